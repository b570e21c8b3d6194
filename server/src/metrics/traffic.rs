//! What goes in and out of each stream. A request costs a shared lock, a look-up and two additions.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use kinelog_engine::types::{Stream, StreamId};
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, Opts};

use crate::limits;

/// Labels of every counter here.
const LABELS: &[&str] = &["account", "region", "stream"];
/// Stands for all streams beyond the bound; no stream can have this name.
const OTHERS: &str = "(others)";

/// The counters of one stream.
#[derive(Debug, Default)]
pub struct StreamTraffic {
    incoming: Pair,
    outgoing: Pair,
    throttled_records: AtomicU64,
}

#[derive(Debug, Default)]
struct Pair {
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Pair {
    fn add(&self, records: usize, bytes: usize) {
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl StreamTraffic {
    /// Counts records stored, and the bytes of their data and partition keys.
    pub fn stored(&self, records: usize, bytes: usize) {
        self.incoming.add(records, bytes);
    }

    /// Counts records refused for their shard's limits.
    pub fn throttled(&self, records: usize) {
        self.throttled_records.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// Counts records read, and the bytes of their data and partition keys.
    pub fn read(&self, records: usize, bytes: usize) {
        self.outgoing.add(records, bytes);
    }

    /// In the order of [`FAMILIES`].
    fn values(&self) -> [u64; FAMILIES.len()] {
        let Self { incoming, outgoing, throttled_records } = self;
        let counters = [
            &incoming.records,
            &incoming.bytes,
            &outgoing.records,
            &outgoing.bytes,
            throttled_records,
        ];
        counters.map(|counter| counter.load(Ordering::Relaxed))
    }
}

/// Name and help of each counter.
const FAMILIES: [(&str, &str); 5] = [
    ("kinelog_stream_incoming_records_total", "Records stored."),
    ("kinelog_stream_incoming_bytes_total", "Bytes of data and partition keys stored."),
    ("kinelog_stream_outgoing_records_total", "Records read."),
    ("kinelog_stream_outgoing_bytes_total", "Bytes of data and partition keys read."),
    ("kinelog_stream_throttled_records_total", "Records refused for the limits of their shard."),
];

type Streams = HashMap<StreamId, Arc<StreamTraffic>>;

/// The counters of all streams that were used since the start; those beyond the bound share one.
#[derive(Debug, Default)]
pub struct Traffic {
    streams: RwLock<Streams>,
    others: Arc<StreamTraffic>,
}

impl Traffic {
    /// The counters of a stream.
    pub fn of(&self, stream: StreamId) -> Arc<StreamTraffic> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = streams.get(&stream) {
            return Arc::clone(found);
        }
        let is_full = streams.len() >= limits::STREAMS_MEASURED_MAX;
        drop(streams);
        if is_full {
            return Arc::clone(&self.others);
        }
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(streams.entry(stream).or_default())
    }

    /// For export; forgets the streams that are not among `existing`.
    pub fn collect(&self, existing: impl FnOnce() -> Vec<Arc<Stream>>) -> Vec<MetricFamily> {
        let Ok(counters) = FAMILIES
            .iter()
            .map(|(name, help)| IntCounterVec::new(Opts::new(*name, *help), LABELS))
            .collect::<Result<Vec<_>, _>>()
        else {
            return Vec::new();
        };
        let add = |labels: &[&str], traffic: &StreamTraffic| {
            for (counter, value) in counters.iter().zip(traffic.values()) {
                counter.with_label_values(labels).inc_by(value);
            }
        };
        let (existing, used) = self.retain(existing);
        for stream in existing {
            let Some(traffic) = used.get(&stream.id) else { continue };
            let namespace = stream.key.namespace.as_str();
            let (account, region) = namespace.split_once('/').unwrap_or((namespace, ""));
            add(&[account, region, &stream.key.name], traffic);
        }
        add(&["", "", OTHERS], &self.others);
        counters.iter().flat_map(Collector::collect).collect()
    }

    /// Forgets streams that are gone. Asks which there are while none can be added, so that none
    /// that has just been made is forgotten.
    fn retain(&self, existing: impl FnOnce() -> Vec<Arc<Stream>>) -> (Vec<Arc<Stream>>, Streams) {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        let existing = existing();
        let ids: HashSet<_> = existing.iter().map(|stream| stream.id).collect();
        streams.retain(|id, _| ids.contains(id));
        (existing, streams.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_beyond_the_bound_share_their_counters() {
        let traffic = Traffic::default();
        let most = limits::STREAMS_MEASURED_MAX as u64;
        let first = traffic.of(StreamId(1));
        (2..=most).for_each(|id| drop(traffic.of(StreamId(id))));
        assert!(Arc::ptr_eq(&traffic.of(StreamId(1)), &first));
        assert!(Arc::ptr_eq(&traffic.of(StreamId(most + 1)), &traffic.of(StreamId(most + 2))));
        assert!(!Arc::ptr_eq(&traffic.of(StreamId(most)), &traffic.of(StreamId(most + 1))));
    }

    #[test]
    fn streams_that_are_gone_make_room() {
        let traffic = Traffic::default();
        (0..=limits::STREAMS_MEASURED_MAX as u64).for_each(|id| drop(traffic.of(StreamId(id))));
        traffic.collect(Vec::new);
        assert!(!Arc::ptr_eq(&traffic.of(StreamId(7)), &traffic.of(StreamId(8))));
    }
}
