//! What a `ResourceARN` names, a stream or a consumer of one, and the tags and the policy that both
//! carry. Queues and channels do not exist here.

use std::collections::BTreeMap;
use std::fmt;

use super::attributes::Attributes;
use super::consumer_ref::ConsumerRef;
use super::consumers::ConsumerStatus;
use super::context::Call;
use super::stream_ref::StreamRef;
use super::{failures, lifecycle, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::limits::CALLS_PER_SECOND;

/// A resource as addressed; it need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ResourceRef {
    /// A stream.
    Stream(StreamRef),
    /// A consumer of a stream.
    Consumer(ConsumerRef),
}

/// What a resource carries besides its work.
struct Carried<'a> {
    tags: &'a mut BTreeMap<String, String>,
    policy: &'a mut Option<String>,
}

impl ResourceRef {
    /// From the member `ResourceARN`.
    ///
    /// # Errors
    ///
    /// `ResourceNotFoundException` for a queue or a channel.
    pub(super) fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let arn = input.text("ResourceARN").unwrap_or_default();
        if let Some(consumer) = ConsumerRef::of_arn(call, arn) {
            Ok(Self::Consumer(consumer))
        } else if arn.contains(":stream/") {
            Ok(Self::Stream(StreamRef::of_arn(call, arn)))
        } else {
            Err(unconfirmed::resource_not_found(arn))
        }
    }

    /// What kind of resource it is, in one word.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Stream(_) => "stream",
            Self::Consumer(_) => "consumer",
        }
    }

    /// The stream it is, or belongs to.
    const fn stream(&self) -> &StreamRef {
        match self {
            Self::Stream(stream) => stream,
            Self::Consumer(consumer) => &consumer.stream,
        }
    }

    /// Refuses the call when the account has called `operation` too often.
    ///
    /// # Errors
    ///
    /// `LimitExceededException`.
    pub(super) fn admit(&self, call: &Call<'_>, operation: &'static str) -> Result<(), Exception> {
        self.stream().admit(call, operation, CALLS_PER_SECOND)
    }

    /// Its tags.
    ///
    /// # Errors
    ///
    /// `ResourceNotFoundException`.
    pub(super) async fn tags(
        &self,
        call: &Call<'_>,
    ) -> Result<BTreeMap<String, String>, Exception> {
        let mut attributes = Attributes::of(&*self.stream().get(call).await?)?;
        Ok(std::mem::take(self.carried(call, &mut attributes)?.tags))
    }

    /// Its policy.
    ///
    /// # Errors
    ///
    /// `ResourceNotFoundException`.
    pub(super) async fn policy(&self, call: &Call<'_>) -> Result<Option<String>, Exception> {
        let mut attributes = Attributes::of(&*self.stream().get(call).await?)?;
        Ok(self.carried(call, &mut attributes)?.policy.take())
    }

    /// Changes its tags.
    ///
    /// # Errors
    ///
    /// `ResourceNotFoundException`, `ResourceInUseException` while its stream is made or deleted,
    /// and whatever `change` refuses with; nothing has changed then.
    pub(super) async fn change_tags(
        &self,
        call: &Call<'_>,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), Exception>,
    ) -> Result<(), Exception> {
        self.amend(call, |attributes| change(self.carried(call, attributes)?.tags)).await
    }

    /// Changes its policy.
    ///
    /// # Errors
    ///
    /// As `change_tags`, and `ResourceInUseException` for a consumer that is not ACTIVE.
    pub(super) async fn change_policy(
        &self,
        call: &Call<'_>,
        change: impl FnOnce(&mut Option<String>) -> Result<(), Exception>,
    ) -> Result<(), Exception> {
        self.amend(call, |attributes| {
            if let Self::Consumer(named) = self {
                let (consumer, status) = named.find(call, &attributes.consumers)?;
                if status != ConsumerStatus::Active {
                    let StreamRef { name: stream, account, .. } = &named.stream;
                    let created = consumer.created_seconds;
                    return Err(failures::no_policy_of(&named.name, created, stream, account));
                }
            }
            change(self.carried(call, attributes)?.policy)
        })
        .await
    }

    async fn amend(
        &self,
        call: &Call<'_>,
        change: impl FnOnce(&mut Attributes) -> Result<(), Exception>,
    ) -> Result<(), Exception> {
        let checked = lifecycle::amend(call, self.stream(), |stream, attributes| {
            if !unconfirmed::takes_tags_and_policies(stream.status) {
                let name = &stream.key.name;
                return Err(failures::stream_not_active(name, call.account, stream.status));
            }
            change(attributes).map(|()| Vec::new())
        });
        checked.await.map(drop)
    }

    fn carried<'c>(
        &self,
        call: &Call<'_>,
        attributes: &'c mut Attributes,
    ) -> Result<Carried<'c>, Exception> {
        let (tags, policy) = match self {
            Self::Stream(_) => (&mut attributes.tags, &mut attributes.policy),
            Self::Consumer(named) => {
                named.find(call, &attributes.consumers)?;
                let consumer = attributes.consumers.get_mut(&named.name);
                let consumer = consumer.ok_or_else(|| named.not_found())?;
                (&mut consumer.tags, &mut consumer.policy)
            }
        };
        Ok(Carried { tags, policy })
    }
}

/// As messages name it.
impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Consumer(consumer) = self {
            write!(f, "consumer {} under ", consumer.name)?;
        }
        let StreamRef { name, account, .. } = self.stream();
        write!(f, "stream {name} under account {account}")
    }
}
