//! The document the server keeps with each stream: everything the API shows or needs of a stream
//! that the engine gives no meaning. A field that a document lacks takes its default, so documents
//! written before a field existed stay readable.

use std::collections::{BTreeMap, BTreeSet};

use kinelog_engine::types::{Stream, Timestamp};
use serde::{Deserialize, Serialize};

use super::consumers::Consumers;
use super::failures;
use super::on_demand::History;
use super::reshard::Step;
use super::rolling_day::RollingDay;
use crate::aws::exception::Exception;
use crate::limits;
use crate::metrics::cloudwatch::ShardMetric;

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
    /// The mode of this name; provisioned where none is given.
    pub(super) fn named(name: Option<&str>) -> Self {
        if name == Some("ON_DEMAND") { Self::OnDemand } else { Self::Provisioned }
    }

    /// That of `stream`, without reading the rest of its document.
    pub(super) fn of(stream: &Stream) -> Self {
        Self::named(stream.attributes.get("mode").and_then(|mode| mode.as_str()))
    }

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
    /// The strategy of this name; by partition key where none is given.
    pub(super) fn named(name: Option<&str>) -> Self {
        if name == Some("AUTO") { Self::Auto } else { Self::UserPartitionKey }
    }

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

/// The names of the stream's consumers, without reading the rest of its document.
pub(super) fn consumer_names(stream: &Stream) -> Vec<String> {
    let consumers = stream.attributes.get("consumers").and_then(|it| it.as_object());
    consumers.map(|consumers| consumers.keys().cloned().collect()).unwrap_or_default()
}

/// Whether metrics of its shards are switched on, without reading the rest of its document.
pub(super) fn has_shard_level_metrics(stream: &Stream) -> bool {
    let metrics = stream.attributes.get("shard_level_metrics");
    metrics.and_then(|it| it.as_array()).is_some_and(|metrics| !metrics.is_empty())
}

/// Encryption to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NextEncryption {
    /// As `WriteSettings::encryption_key`.
    pub(super) key: Option<String>,
}

/// The whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Attributes {
    /// Capacity mode.
    pub(super) mode: Mode,
    /// Switches of the mode.
    pub(super) mode_switches: RollingDay,
    /// What the writes of an on-demand stream have needed.
    pub(super) history: History,
    /// What a write has to know.
    pub(super) write: WriteSettings,
    /// Shard-level metrics switched on.
    pub(super) shard_level_metrics: BTreeSet<ShardMetric>,
    /// Tags.
    pub(super) tags: BTreeMap<String, String>,
    /// Registered consumers by name.
    pub(super) consumers: Consumers,
    /// Resource policy as the caller wrote it.
    pub(super) policy: Option<String>,
    /// Capacity kept ready ahead of traffic, in MiB/s, where set; a shard is one of them.
    pub(super) warm_mibps: Option<u32>,
    /// Encryption as it is to be once the stream is ACTIVE again, where that is another one.
    pub(super) next_encryption: Option<NextEncryption>,
    /// Calls that started encryption, or gave it another key.
    pub(super) encryption_starts: RollingDay,
    /// Calls that stopped encryption.
    pub(super) encryption_stops: RollingDay,
    /// When the stream leaves CREATING, UPDATING or DELETING.
    pub(super) transition_due: Option<Timestamp>,
    /// Changes of the number of its shards by `UpdateShardCount`.
    pub(super) shard_count_updates: RollingDay,
    /// Planned changes of its shards, in order.
    pub(super) reshard: Vec<Step>,
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

    /// When `stream` leaves its state, without reading the rest of its document.
    pub(super) fn transition_due(stream: &Stream) -> Option<Timestamp> {
        Option::deserialize(stream.attributes.get("transition_due")?).ok()?
    }

    /// As they are once the stream is ACTIVE.
    pub(super) fn settled(mut self) -> Self {
        self.transition_due = None;
        if let Some(NextEncryption { key }) = self.next_encryption.take() {
            self.write.encryption_key = key;
        }
        self
    }

    /// The document to store.
    pub(super) fn to_document(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("keys are text and numbers fit, so this has a JSON form")
    }
}

#[cfg(test)]
mod tests {
    use kinelog_engine::types::{ShardIndex, uniform_ranges};

    use super::*;
    use crate::kinesis::consumers::{Consumer, ConsumerStatus};
    use crate::kinesis::reshard::{self, Swap};

    #[test]
    fn attributes_survive_their_document() {
        let consumer = Consumer {
            created_seconds: 7,
            status: ConsumerStatus::Active,
            transition_due: None,
            tags: BTreeMap::new(),
            policy: None,
        };
        let mut switches = RollingDay::default();
        assert!(switches.admit(Timestamp(5), 1));
        let split = Swap::split(ShardIndex(0), uniform_ranges(1)[0], 1 << 127);
        let attributes = Attributes {
            mode: Mode::OnDemand,
            mode_switches: switches.clone(),
            shard_count_updates: switches.clone(),
            history: History::beginning(Timestamp(6), 9),
            write: WriteSettings {
                record_kib_max: 2048,
                distribution: Distribution::Auto,
                encryption_key: Some("alias/x".to_owned()),
            },
            shard_level_metrics: BTreeSet::from([ShardMetric::IncomingBytes]),
            tags: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            policy: Some("{}".to_owned()),
            consumers: BTreeMap::from([("c".to_owned(), consumer)]),
            warm_mibps: Some(8),
            next_encryption: Some(NextEncryption { key: None }),
            encryption_starts: switches.clone(),
            encryption_stops: switches,
            transition_due: Some(Timestamp(7)),
            reshard: reshard::schedule(vec![vec![split]], 0, Timestamp(7)),
        };
        let document = attributes.to_document();
        for (name, mode) in [("ON_DEMAND", Mode::OnDemand), ("PROVISIONED", Mode::Provisioned)] {
            assert_eq!((mode.name(), Mode::named(Some(name))), (name, mode));
        }
        assert_eq!(Attributes::deserialize(&document).unwrap(), attributes);
    }

    #[test]
    fn an_empty_document_has_the_defaults() {
        let attributes = Attributes::deserialize(&serde_json::json!({})).unwrap();
        assert_eq!(attributes, Attributes::default());
        assert_eq!(attributes.write.record_bytes_max(), 1_048_576);
    }
}
