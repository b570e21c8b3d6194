//! Registered consumers: what the server keeps of one, inside the document of its stream, and how
//! a request names it.

#![allow(dead_code, reason = "the operations on consumers are the next to come")]

use std::collections::BTreeMap;
use std::fmt;

use kinelog_engine::types::Timestamp;
use serde::{Deserialize, Serialize};

use super::arn::StreamArn;

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

impl Consumer {
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
        let due = Some(Timestamp(10));
        let mut consumer = Consumer {
            created_seconds: 0,
            status: ConsumerStatus::Creating,
            transition_due: due,
            tags: BTreeMap::new(),
            policy: None,
        };
        assert_eq!(consumer.status_at(Timestamp(9)), Some(ConsumerStatus::Creating));
        assert_eq!(consumer.status_at(Timestamp(10)), Some(ConsumerStatus::Active));
        consumer.status = ConsumerStatus::Deleting;
        assert_eq!(consumer.status_at(Timestamp(9)), Some(ConsumerStatus::Deleting));
        assert_eq!(consumer.status_at(Timestamp(10)), None);
    }
}
