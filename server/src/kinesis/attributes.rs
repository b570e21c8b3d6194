//! The document the server keeps with each stream: everything the API shows or needs of a stream
//! that the engine gives no meaning. A field that a document lacks takes its default, so documents
//! written before a field existed stay readable.

use std::collections::{BTreeMap, BTreeSet};

use kinelog_engine::types::{Stream, Timestamp};
use serde::{Deserialize, Serialize};

use super::consumers::Consumers;
use super::failures;
use crate::aws::exception::Exception;
use crate::limits;

/// How a stream's capacity is managed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Mode {
    /// By the number of shards.
    #[default]
    Provisioned,
    /// By the service.
    OnDemand,
}

impl Mode {
    /// The service's word for it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Provisioned => "PROVISIONED",
            Self::OnDemand => "ON_DEMAND",
        }
    }
}

/// Who chooses a record's shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Distribution {
    /// The partition key.
    #[default]
    UserPartitionKey,
    /// The service, evenly.
    Auto,
}

impl Distribution {
    /// The service's word for it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::UserPartitionKey => "USER_PARTITION_KEY",
            Self::Auto => "AUTO",
        }
    }
}

/// What a write has to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct WriteSettings {
    /// Longest record, in KiB.
    pub(super) record_kib_max: u32,
    /// Who chooses the shard.
    pub(super) distribution: Distribution,
    /// Key id as the caller gave it; `None` when new records are not encrypted.
    pub(super) encryption_key: Option<String>,
}

impl Default for WriteSettings {
    fn default() -> Self {
        Self {
            record_kib_max: limits::RECORD_KIB_DEFAULT,
            distribution: Distribution::default(),
            encryption_key: None,
        }
    }
}

impl WriteSettings {
    /// Those of `stream`, without reading the rest of its document.
    ///
    /// # Errors
    ///
    /// `InternalFailure` when the document is not one of ours.
    pub(super) fn of(stream: &Stream) -> Result<Self, Exception> {
        match stream.attributes.get("write") {
            Some(write) => Self::deserialize(write).map_err(|error| failures::internal(&error)),
            None => Ok(Self::default()),
        }
    }

    /// Longest data of a record, in bytes.
    pub(super) const fn record_bytes_max(&self) -> usize {
        self.record_kib_max as usize * 1024
    }
}

/// Capacity kept ready ahead of traffic, in MiB/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WarmThroughput {
    /// Asked for.
    pub(super) target: u32,
    /// In force.
    pub(super) current: u32,
}

/// The whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Attributes {
    /// Capacity mode.
    pub(super) mode: Mode,
    /// What a write has to know.
    pub(super) write: WriteSettings,
    /// Shard-level metrics switched on.
    pub(super) shard_level_metrics: BTreeSet<String>,
    /// Tags.
    pub(super) tags: BTreeMap<String, String>,
    /// Registered consumers by name.
    pub(super) consumers: Consumers,
    /// Resource policy as the caller wrote it.
    pub(super) policy: Option<String>,
    /// Warm throughput, where set.
    pub(super) warm_throughput: Option<WarmThroughput>,
    /// When the stream leaves CREATING, UPDATING or DELETING.
    pub(super) transition_due: Option<Timestamp>,
}

impl Attributes {
    /// Those of `stream`.
    ///
    /// # Errors
    ///
    /// `InternalFailure` when the document is not one of ours.
    pub(super) fn of(stream: &Stream) -> Result<Self, Exception> {
        Self::deserialize(&stream.attributes).map_err(|error| failures::internal(&error))
    }

    /// The document to store.
    pub(super) fn to_document(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("keys are text and numbers fit, so this has a JSON form")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinesis::consumers::{Consumer, ConsumerStatus};

    #[test]
    fn attributes_survive_their_document() {
        let consumer = Consumer {
            created_seconds: 7,
            status: ConsumerStatus::Active,
            transition_due: None,
            tags: BTreeMap::new(),
            policy: None,
        };
        let attributes = Attributes {
            mode: Mode::OnDemand,
            write: WriteSettings {
                record_kib_max: 2048,
                distribution: Distribution::Auto,
                encryption_key: Some("alias/x".to_owned()),
            },
            shard_level_metrics: BTreeSet::from(["IncomingBytes".to_owned()]),
            tags: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            policy: Some("{}".to_owned()),
            consumers: BTreeMap::from([("c".to_owned(), consumer)]),
            warm_throughput: Some(WarmThroughput { target: 8, current: 4 }),
            transition_due: Some(Timestamp(7)),
        };
        let document = attributes.to_document();
        assert_eq!(Attributes::deserialize(&document).unwrap(), attributes);
    }

    #[test]
    fn an_empty_document_has_the_defaults() {
        let attributes = Attributes::deserialize(&serde_json::json!({})).unwrap();
        assert_eq!(attributes, Attributes::default());
        assert_eq!(attributes.write.record_bytes_max(), 1_048_576);
    }
}
