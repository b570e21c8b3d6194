//! Registered consumers: what the server keeps of one, inside the document of its stream, what the
//! API shows of it, and its ARN.
//!
//! The clock alone moves a consumer on: its state is a function of what is stored and of the time.
//! One that is gone stays stored for the rest of the second it was registered in, so that the next
//! one of its name gets another second, and with it another ARN.

use std::collections::BTreeMap;
use std::fmt;

use kinelog_engine::types::Timestamp;
use serde::{Deserialize, Serialize};

use super::arn::StreamArn;
use super::context::Call;
use crate::aws::writer::Writer;

/// Registered consumers of a stream by name.
pub(super) type Consumers = BTreeMap<String, Consumer>;

/// Life cycle of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ConsumerStatus {
    /// Being registered until `transition_due`.
    Creating,
    /// May subscribe.
    Active,
    /// Being forgotten until `transition_due`.
    Deleting,
}

/// One registered consumer. Its name is its key in `Attributes::consumers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Consumer {
    /// Time of the registration in whole seconds; part of its ARN, so that one registered again
    /// under the same name is another one.
    pub(super) created_seconds: u64,
    /// State as of the last change; `Consumer::status_at` tells the state now.
    pub(super) status: ConsumerStatus,
    /// When it leaves CREATING or DELETING.
    pub(super) transition_due: Option<Timestamp>,
    /// Tags.
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    /// Resource policy as the caller wrote it.
    #[serde(default)]
    pub(super) policy: Option<String>,
}

impl ConsumerStatus {
    /// The service's word for it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Deleting => "DELETING",
        }
    }
}

impl Consumer {
    /// The same one, to be gone when `due`.
    pub(super) fn deleting(&self, due: Timestamp) -> Self {
        let (status, transition_due) = (ConsumerStatus::Deleting, Some(due));
        Self { status, transition_due, ..self.clone() }
    }

    /// The state it is due to be in at `now`; `None` when it is due to be gone.
    pub(super) fn status_at(&self, now: Timestamp) -> Option<ConsumerStatus> {
        let due = self.transition_due.is_some_and(|due| due <= now);
        match self.status {
            ConsumerStatus::Creating if due => Some(ConsumerStatus::Active),
            ConsumerStatus::Deleting if due => None,
            status @ (ConsumerStatus::Creating
            | ConsumerStatus::Active
            | ConsumerStatus::Deleting) => Some(status),
        }
    }
}

/// The consumers that exist at `now`, by name, with their states.
pub(super) fn existing(
    consumers: &Consumers,
    now: Timestamp,
) -> impl Iterator<Item = (&str, &Consumer, ConsumerStatus)> {
    let status = move |consumer: &Consumer| consumer.status_at(now);
    consumers.iter().filter_map(move |(name, it)| Some((name.as_str(), it, status(it)?)))
}

/// Forgets consumers that are gone, but for those whose second has not passed.
pub(super) fn forget_gone(consumers: &mut Consumers, now: Timestamp) {
    consumers.retain(|_, it| it.status_at(now).is_some() || it.created_seconds >= now.seconds());
}

/// Writes the members that every answer about a consumer has.
pub(super) fn write_consumer(
    writer: &mut Writer,
    call: &Call<'_>,
    stream: &str,
    (name, consumer, status): (&str, &Consumer, ConsumerStatus),
) {
    let stream = StreamArn { region: call.region, account: call.account, name: stream };
    let created_seconds = consumer.created_seconds;
    writer.key("ConsumerName");
    writer.text(name);
    writer.key("ConsumerARN");
    writer.text(&ConsumerArn { stream, name, created_seconds }.to_string());
    writer.key("ConsumerStatus");
    writer.text(status.name());
    writer.key("ConsumerCreationTimestamp");
    writer.timestamp(created_seconds * 1000);
}

/// The parts of a consumer's ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConsumerArn<'a> {
    /// Its stream.
    pub(super) stream: StreamArn<'a>,
    /// Consumer name.
    pub(super) name: &'a str,
    /// Time of the registration in whole seconds.
    pub(super) created_seconds: u64,
}

impl<'a> ConsumerArn<'a> {
    /// Takes apart `<stream ARN>/consumer/<name>:<seconds>`; `None` for any other text.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (stream, consumer) = text.split_once("/consumer/")?;
        let (name, created) = consumer.rsplit_once(':')?;
        let created_seconds = created.parse().ok()?;
        Some(Self { stream: StreamArn::parse(stream), name, created_seconds })
    }
}

impl fmt::Display for ConsumerArn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, name, created_seconds } = self;
        write!(f, "{stream}/consumer/{name}:{created_seconds}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(created_seconds: u64, status: ConsumerStatus, due: u64) -> Consumer {
        Consumer {
            created_seconds,
            status,
            transition_due: Some(Timestamp(due)),
            tags: BTreeMap::new(),
            policy: None,
        }
    }

    #[test]
    fn consumer_arns_print_and_parse() {
        let text = "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1764787734";
        let arn = ConsumerArn::parse(text).unwrap();
        assert_eq!((arn.stream.name, arn.name, arn.created_seconds), ("s", "c", 1_764_787_734));
        assert_eq!(arn.to_string(), text);
    }

    #[test]
    fn other_arns_name_no_consumer() {
        for text in ["", "arn:aws:kinesis:r:1:stream/s", "arn:x:stream/s/consumer/c:y"] {
            assert_eq!(ConsumerArn::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_clock_alone_moves_a_consumer_on() {
        let mut consumer = consumer(0, ConsumerStatus::Creating, 10);
        assert_eq!(consumer.status_at(Timestamp(9)), Some(ConsumerStatus::Creating));
        assert_eq!(consumer.status_at(Timestamp(10)), Some(ConsumerStatus::Active));
        consumer.status = ConsumerStatus::Deleting;
        assert_eq!(consumer.status_at(Timestamp(9)), Some(ConsumerStatus::Deleting));
        assert_eq!(consumer.status_at(Timestamp(10)), None);
    }

    #[test]
    fn a_consumer_that_is_gone_is_kept_until_its_second_has_passed() {
        let gone = consumer(7, ConsumerStatus::Deleting, 7_500);
        let mut consumers = Consumers::from([("c".to_owned(), gone)]);
        for (now, exists, kept) in [(7_499, 1, 1), (7_500, 0, 1), (7_999, 0, 1), (8_000, 0, 0)] {
            let now = Timestamp(now);
            forget_gone(&mut consumers, now);
            assert_eq!((existing(&consumers, now).count(), consumers.len()), (exists, kept));
        }
    }
}
