//! What goes in and out of streams and shards, and to consumers. A request costs a shared lock, a look-up and a few
//! additions.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use kinelog_engine::types::{ShardUid, StreamId};
use prometheus::proto::MetricFamily;

use super::cloudwatch::{ConsumerMetric, Export, Metric, ShardMetric, StreamMetric, Tally};
use crate::limits;

/// Stands for all streams, shards or consumers beyond the bound; none of them can have this name.
const OTHERS: &str = "(others)";

/// Tallies by stream, shard or consumer.
type Known<K, M> = HashMap<K, Arc<Tally<M>>>;

/// The tallies of all streams, shards or consumers that were used since the start; those beyond the bound
/// share one.
#[derive(Debug)]
struct Tallies<K, M> {
    known: RwLock<Known<K, M>>,
    others: Arc<Tally<M>>,
    most: usize,
}

impl<K: Clone + Eq + Hash, M: Metric> Tallies<K, M> {
    fn new(most: usize) -> Self {
        Self { known: RwLock::default(), others: Arc::default(), most }
    }

    fn of(&self, key: K) -> Arc<Tally<M>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&key) {
            return Arc::clone(found);
        }
        let is_full = known.len() >= self.most;
        drop(known);
        if is_full {
            return Arc::clone(&self.others);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(key).or_default())
    }

    fn snapshot(&self) -> Known<K, M> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what `snapshot` held and does not exist. What came after the snapshot stays.
    fn forget(&self, snapshot: &Known<K, M>, existing: &HashSet<K>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|key, _| existing.contains(key) || !snapshot.contains_key(key));
    }
}

/// A stream as exported.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The stream.
    pub id: StreamId,
    /// Its account.
    pub account: String,
    /// Its region.
    pub region: String,
    /// Its name.
    pub name: String,
    /// What is shown of its shards.
    pub shard_metrics: BTreeSet<ShardMetric>,
    /// Its shards with their ids, where anything is shown of them.
    pub shards: Vec<(ShardUid, String)>,
    /// Its consumers.
    pub consumers: Vec<String>,
}

impl Measured {
    fn labels(&self) -> [(&'static str, &str); 3] {
        labels(&self.account, &self.region, &self.name)
    }

    fn consumers(&self) -> impl Iterator<Item = (StreamId, String)> {
        self.consumers.iter().map(|name| (self.id, name.clone()))
    }
}

const fn labels<'a>(
    account: &'a str,
    region: &'a str,
    name: &'a str,
) -> [(&'static str, &'a str); 3] {
    [("account", account), ("region", region), ("StreamName", name)]
}

/// All tallies.
#[derive(Debug)]
pub struct Traffic {
    streams: Tallies<StreamId, StreamMetric>,
    shards: Tallies<ShardUid, ShardMetric>,
    consumers: Tallies<(StreamId, String), ConsumerMetric>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            streams: Tallies::new(limits::STREAMS_MEASURED_MAX),
            shards: Tallies::new(limits::SHARDS_MEASURED_MAX),
            consumers: Tallies::new(limits::CONSUMERS_MEASURED_MAX),
        }
    }
}

impl Traffic {
    /// The tally of a stream.
    pub fn of(&self, stream: StreamId) -> Arc<Tally<StreamMetric>> {
        self.streams.of(stream)
    }

    /// The tally of a shard. To be asked for only where a stream has metrics of its shards enabled.
    pub fn of_shard(&self, shard: ShardUid) -> Arc<Tally<ShardMetric>> {
        self.shards.of(shard)
    }

    /// The tally of a consumer.
    pub fn of_consumer(&self, stream: StreamId, name: &str) -> Arc<Tally<ConsumerMetric>> {
        self.consumers.of((stream, name.to_owned()))
    }

    /// For export; forgets the streams, shards and consumers that are not among `existing`, which is asked for
    /// after the tallies, so that what has just been made is not forgotten.
    pub fn collect(&self, existing: impl FnOnce() -> Vec<Measured>) -> Vec<MetricFamily> {
        let (streams, shards) = (self.streams.snapshot(), self.shards.snapshot());
        let consumers = self.consumers.snapshot();
        let existing = existing();
        self.streams.forget(&streams, &existing.iter().map(|stream| stream.id).collect());
        let uids = existing.iter().flat_map(|stream| &stream.shards).map(|(uid, _)| *uid);
        self.shards.forget(&shards, &uids.collect());
        self.consumers.forget(&consumers, &existing.iter().flat_map(Measured::consumers).collect());
        let (mut of_streams, mut of_shards) = (Export::new(), Export::new());
        let mut of_consumers = Export::new();
        for stream in &existing {
            if let Some(tally) = streams.get(&stream.id) {
                of_streams.add(&stream.labels(), tally, StreamMetric::ALL);
            }
            let [account, region, name] = stream.labels();
            for (uid, id) in &stream.shards {
                if let Some(tally) = shards.get(uid) {
                    let labels = [account, region, name, ("ShardId", id)];
                    of_shards.add(&labels, tally, &stream.shard_metrics);
                }
            }
            for consumer in stream.consumers() {
                if let Some(tally) = consumers.get(&consumer) {
                    let labels = [account, region, name, ("ConsumerName", &consumer.1)];
                    of_consumers.add(&labels, tally, ConsumerMetric::ALL);
                }
            }
        }
        let [account, region, name] = labels("", "", OTHERS);
        of_streams.add(&[account, region, name], &self.streams.others, StreamMetric::ALL);
        if shards.len() >= self.shards.most {
            let labels = [account, region, name, ("ShardId", OTHERS)];
            of_shards.add(&labels, &self.shards.others, ShardMetric::ALL);
        }
        if consumers.len() >= self.consumers.most {
            let labels = [account, region, name, ("ConsumerName", OTHERS)];
            of_consumers.add(&labels, &self.consumers.others, ConsumerMetric::ALL);
        }
        of_streams.finish().chain(of_shards.finish()).chain(of_consumers.finish()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stream 1 with two shards, of which so much is shown.
    fn measured(shard_metrics: &[ShardMetric]) -> Measured {
        Measured {
            id: StreamId(1),
            account: "a".to_owned(),
            region: "r".to_owned(),
            name: "s".to_owned(),
            shard_metrics: shard_metrics.iter().copied().collect(),
            shards: vec![(ShardUid(10), "zero".to_owned()), (ShardUid(11), "one".to_owned())],
            consumers: vec!["c".to_owned()],
        }
    }

    fn lines(families: &[MetricFamily]) -> Vec<String> {
        let text = prometheus::TextEncoder::new().encode_to_string(families).unwrap();
        text.lines().filter(|line| line.starts_with("aws_kinesis_shard_")).map(Into::into).collect()
    }

    #[test]
    fn streams_beyond_the_bound_share_their_tally() {
        let traffic = Traffic::default();
        let most = limits::STREAMS_MEASURED_MAX as u64;
        let first = traffic.of(StreamId(1));
        (2..=most).for_each(|id| drop(traffic.of(StreamId(id))));
        assert!(Arc::ptr_eq(&traffic.of(StreamId(1)), &first));
        assert!(Arc::ptr_eq(&traffic.of(StreamId(most + 1)), &traffic.of(StreamId(most + 2))));
        assert!(!Arc::ptr_eq(&traffic.of(StreamId(most)), &traffic.of(StreamId(most + 1))));
    }

    #[test]
    fn shards_beyond_the_bound_share_their_tally() {
        let traffic = Traffic::default();
        let most = limits::SHARDS_MEASURED_MAX as u64;
        (1..=most).for_each(|uid| drop(traffic.of_shard(ShardUid(uid))));
        traffic.of_shard(ShardUid(most + 1)).add(ShardMetric::OutgoingBytes, 1);
        traffic.of_shard(ShardUid(most + 2)).add(ShardMetric::OutgoingBytes, 2);
        let others = r#"account="",region="",StreamName="(others)",ShardId="(others)""#;
        let line = format!("aws_kinesis_shard_OutgoingBytes{{{others}}} 3");
        assert!(lines(&traffic.collect(Vec::new)).contains(&line));
    }

    #[test]
    fn streams_and_shards_that_are_gone_make_room() {
        let traffic = Traffic::default();
        (0..=limits::STREAMS_MEASURED_MAX as u64).for_each(|id| drop(traffic.of(StreamId(id))));
        (0..=limits::SHARDS_MEASURED_MAX as u64)
            .for_each(|id| drop(traffic.of_shard(ShardUid(id))));
        traffic.collect(Vec::new);
        assert!(!Arc::ptr_eq(&traffic.of(StreamId(7)), &traffic.of(StreamId(8))));
        assert!(!Arc::ptr_eq(&traffic.of_shard(ShardUid(7)), &traffic.of_shard(ShardUid(8))));
    }

    #[test]
    fn what_is_used_while_metrics_are_collected_is_not_forgotten() {
        let traffic = Traffic::default();
        let mut used = None;
        traffic.collect(|| {
            used = Some((traffic.of(StreamId(1)), traffic.of_shard(ShardUid(10))));
            Vec::new()
        });
        let (stream, shard) = used.unwrap();
        assert!(Arc::ptr_eq(&traffic.of(StreamId(1)), &stream));
        assert!(Arc::ptr_eq(&traffic.of_shard(ShardUid(10)), &shard));
    }

    #[test]
    fn of_a_shard_is_shown_what_is_enabled() {
        let traffic = Traffic::default();
        traffic.of_shard(ShardUid(10)).add(ShardMetric::IncomingBytes, 5);
        traffic.of_shard(ShardUid(10)).add(ShardMetric::OutgoingBytes, 6);
        let shown = || vec![measured(&[ShardMetric::IncomingBytes])];
        let labels = r#"account="a",region="r",StreamName="s",ShardId="zero""#;
        let line = format!("aws_kinesis_shard_IncomingBytes{{{labels}}} 5");
        assert_eq!(lines(&traffic.collect(shown)), [line]);
        let hidden = || vec![Measured { shards: Vec::new(), ..measured(&[]) }];
        assert!(lines(&traffic.collect(hidden)).is_empty());
        assert!(lines(&traffic.collect(shown)).is_empty(), "counted anew once enabled again");
    }

    #[test]
    fn consumers_are_exported_while_they_are_registered() {
        let traffic = Traffic::default();
        traffic.of_consumer(StreamId(1), "c").add(ConsumerMetric::Open, 2);
        traffic.of_consumer(StreamId(1), "c").less(ConsumerMetric::Open);
        traffic.of_consumer(StreamId(1), "d").add(ConsumerMetric::Open, 1);
        let families = traffic.collect(|| vec![measured(&[])]);
        let text = prometheus::TextEncoder::new().encode_to_string(&families).unwrap();
        let found: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("aws_kinesis_SubscribeToShard_Open"))
            .collect();
        let labels = r#"account="a",region="r",StreamName="s",ConsumerName="c""#;
        assert_eq!(found, [format!("aws_kinesis_SubscribeToShard_Open{{{labels}}} 1")]);
        assert!(text.contains("# TYPE aws_kinesis_SubscribeToShard_Open gauge"));
        let most = limits::CONSUMERS_MEASURED_MAX;
        (0..most + 2).for_each(|n| {
            traffic.of_consumer(StreamId(2), &n.to_string()).add(ConsumerMetric::Success, 1);
        });
        let families = traffic.collect(Vec::new);
        let text = prometheus::TextEncoder::new().encode_to_string(&families).unwrap();
        let labels = r#"account="",region="",StreamName="(others)",ConsumerName="(others)""#;
        let line = format!("aws_kinesis_SubscribeToShard_Success{{{labels}}} 3");
        assert!(text.lines().any(|found| found == line), "{text}");
    }
}
