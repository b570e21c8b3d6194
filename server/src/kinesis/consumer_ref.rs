//! Which consumer a request is about: by its ARN, by the ARN of its stream and its name, or by all
//! three if they agree.

use std::sync::Arc;

use kinelog_engine::types::Stream;

use super::attributes::Attributes;
use super::consumers::{Consumer, ConsumerArn, ConsumerStatus, Consumers};
use super::context::Call;
use super::stream_ref::StreamRef;
use super::unconfirmed;
use crate::aws::exception::Exception;
use crate::aws::input::Input;

/// A consumer as addressed; it need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConsumerRef {
    /// Its stream.
    pub(super) stream: StreamRef,
    /// Its name.
    pub(super) name: String,
    /// The very registration that is meant, where it was addressed by its own ARN.
    created_seconds: Option<u64>,
}

impl ConsumerRef {
    /// From the members `StreamARN`, `ConsumerName` and `ConsumerARN`.
    ///
    /// # Errors
    ///
    /// `InvalidArgumentException` when too little is given, or it disagrees.
    pub(super) fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let stream = input.text("StreamARN").map(|arn| StreamRef::of_arn(call, arn));
        let name = input.text("ConsumerName");
        let Some(arn) = input.text("ConsumerARN") else {
            let (Some(stream), Some(name)) = (stream, name) else {
                return Err(unconfirmed::consumer_not_named());
            };
            return Ok(Self::named(stream, name.to_owned()));
        };
        let consumer = Self::of_arn(call, arn).ok_or_else(unconfirmed::consumer_not_named)?;
        let agrees = stream.is_none_or(|stream| stream == consumer.stream)
            && name.is_none_or(|name| name == consumer.name);
        if agrees { Ok(consumer) } else { Err(unconfirmed::consumer_names_disagree(arn)) }
    }

    /// The consumer of this name, whenever it was registered.
    pub(super) const fn named(stream: StreamRef, name: String) -> Self {
        Self { stream, name, created_seconds: None }
    }

    /// The consumer of this ARN; `None` when its number is beyond all times.
    pub(super) fn of_arn(call: &Call<'_>, arn: &str) -> Option<Self> {
        let arn = ConsumerArn::parse(arn)?;
        Some(Self {
            stream: StreamRef::of_parts(call, arn.stream),
            name: arn.name.to_owned(),
            created_seconds: Some(arn.created_seconds),
        })
    }

    /// The consumer, its state and its stream.
    ///
    /// # Errors
    ///
    /// `ResourceNotFoundException` when either does not exist.
    pub(super) async fn get(
        &self,
        call: &Call<'_>,
    ) -> Result<(Arc<Stream>, Consumer, ConsumerStatus), Exception> {
        let stream = self.stream.get(call).await?;
        let consumers = Attributes::of(&stream)?.consumers;
        let (consumer, status) = self.find(call, &consumers)?;
        Ok((stream, consumer.clone(), status))
    }

    /// The consumer among those of its stream, and its state.
    ///
    /// # Errors
    ///
    /// `ResourceNotFoundException`.
    pub(super) fn find<'a>(
        &self,
        call: &Call<'_>,
        consumers: &'a Consumers,
    ) -> Result<(&'a Consumer, ConsumerStatus), Exception> {
        let found = consumers
            .get(&self.name)
            .filter(|it| self.created_seconds.is_none_or(|seconds| seconds == it.created_seconds))
            .and_then(|it| Some((it, it.status_at(call.now)?)));
        found.ok_or_else(|| self.not_found())
    }

    /// That there is no such consumer.
    pub(super) fn not_found(&self) -> Exception {
        let StreamRef { name, account, .. } = &self.stream;
        unconfirmed::consumer_not_found(&self.name, name, account)
    }
}
