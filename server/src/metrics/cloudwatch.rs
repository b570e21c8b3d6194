//! The metrics of `AWS/Kinesis` that are counted here, under the names CloudWatch has for them, and
//! their export: `aws_kinesis_` and the name, dots as underscores, `aws_kinesis_shard_` for those of
//! single shards. Two prefixes, so that a sum over a family counts nothing twice.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::proto;
use serde::{Deserialize, Serialize};

/// A set of metrics.
pub trait Metric: Copy + PartialEq + 'static {
    /// All of them.
    const ALL: &'static [Self];
    /// What stands before their names in the export.
    const PREFIX: &'static str;

    /// CloudWatch's name.
    fn name(self) -> &'static str;
    /// What it tells, in a sentence.
    fn help(self) -> &'static str;
    /// Place in `ALL`.
    fn place(self) -> usize;

    /// False for what only grows.
    fn is_gauge(self) -> bool {
        let gauges = ["IteratorAgeMilliseconds", "MillisBehindLatest", "Open"];
        gauges.iter().any(|name| self.name().ends_with(name))
    }
}

macro_rules! metrics {
    ($(#[$about:meta])* $set:ident, $prefix:literal: $($metric:ident = $name:literal, $help:literal;)*) => {
        $(#[$about])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub enum $set {
            $(#[doc = $help] $metric,)*
        }

        impl Metric for $set {
            const ALL: &'static [Self] = &[$(Self::$metric,)*];
            const PREFIX: &'static str = $prefix;

            fn name(self) -> &'static str {
                match self { $(Self::$metric => $name,)* }
            }

            fn help(self) -> &'static str {
                match self { $(Self::$metric => $help,)* }
            }

            fn place(self) -> usize {
                self as usize
            }
        }
    };
}

metrics! {
    /// Metrics of a stream.
    StreamMetric, "aws_kinesis_":
    IncomingBytes = "IncomingBytes", "Bytes of data and partition keys stored.";
    IncomingRecords = "IncomingRecords", "Records stored.";
    PutRecordBytes = "PutRecord.Bytes", "Bytes stored by PutRecord.";
    PutRecordSuccess = "PutRecord.Success", "Calls of PutRecord that stored their record.";
    PutRecordsBytes = "PutRecords.Bytes", "Bytes stored by PutRecords.";
    PutRecordsSuccess = "PutRecords.Success", "Calls of PutRecords that stored a record.";
    PutRecordsTotalRecords = "PutRecords.TotalRecords", "Records in calls of PutRecords.";
    PutRecordsSuccessfulRecords = "PutRecords.SuccessfulRecords", "Records stored by PutRecords.";
    PutRecordsFailedRecords = "PutRecords.FailedRecords",
        "Records of PutRecords not stored for a reason of the server's.";
    PutRecordsThrottledRecords = "PutRecords.ThrottledRecords",
        "Records of PutRecords refused for the limits of their shard.";
    WriteProvisionedThroughputExceeded = "WriteProvisionedThroughputExceeded",
        "Records refused for the limits of their shard.";
    GetRecordsBytes = "GetRecords.Bytes", "Bytes of data and partition keys read by GetRecords.";
    GetRecordsRecords = "GetRecords.Records", "Records read by GetRecords.";
    GetRecordsSuccess = "GetRecords.Success", "Calls of GetRecords that succeeded.";
    GetRecordsIteratorAge = "GetRecords.IteratorAgeMilliseconds",
        "Age of the last record of the last GetRecords, 0 when it had caught up.";
    ReadProvisionedThroughputExceeded = "ReadProvisionedThroughputExceeded",
        "Calls of GetRecords refused for the limits of their shard.";
}

metrics! {
    /// Metrics of a shard, kept where a stream has them enabled; in the order of their names.
    ShardMetric, "aws_kinesis_shard_":
    IncomingBytes = "IncomingBytes", "Bytes of data and partition keys stored.";
    IncomingRecords = "IncomingRecords", "Records stored.";
    IteratorAgeMilliseconds = "IteratorAgeMilliseconds",
        "Age of the last record of the last GetRecords, 0 when it had caught up.";
    OutgoingBytes = "OutgoingBytes", "Bytes of data and partition keys read by GetRecords.";
    OutgoingRecords = "OutgoingRecords", "Records read by GetRecords.";
    ReadProvisionedThroughputExceeded = "ReadProvisionedThroughputExceeded",
        "Calls of GetRecords refused for the limits of the shard.";
    WriteProvisionedThroughputExceeded = "WriteProvisionedThroughputExceeded",
        "Records refused for the limits of the shard.";
}

metrics! {
    /// Metrics of a consumer. CloudWatch has no number of open subscriptions.
    ConsumerMetric, "aws_kinesis_":
    Open = "SubscribeToShard.Open", "Subscriptions open now.";
    Success = "SubscribeToShard.Success", "Subscriptions that began.";
    RateExceeded = "SubscribeToShard.RateExceeded",
        "Subscriptions refused for the rate of calls, or for one that had just begun.";
    EventBytes = "SubscribeToShardEvent.Bytes", "Bytes of data and partition keys sent.";
    EventRecords = "SubscribeToShardEvent.Records", "Records sent.";
    EventSuccess = "SubscribeToShardEvent.Success", "Events sent.";
    EventBehind = "SubscribeToShardEvent.MillisBehindLatest",
        "What the last event of any shard told, 0 when it had caught up.";
}

/// The values of all metrics of a set, of one stream or shard.
#[derive(Debug)]
pub struct Tally<M> {
    values: Box<[AtomicU64]>,
    set: PhantomData<M>,
}

impl<M: Metric> Default for Tally<M> {
    fn default() -> Self {
        Self { values: M::ALL.iter().map(|_| AtomicU64::new(0)).collect(), set: PhantomData }
    }
}

impl<M: Metric> Tally<M> {
    /// Counts `more`.
    pub fn add(&self, metric: M, more: usize) {
        self.values[metric.place()].fetch_add(more as u64, Ordering::Relaxed);
    }

    /// Takes one off a gauge.
    pub fn less(&self, metric: M) {
        self.values[metric.place()].fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets a gauge.
    pub fn set(&self, metric: M, value: u64) {
        self.values[metric.place()].store(value, Ordering::Relaxed);
    }

    fn get(&self, metric: M) -> u64 {
        self.values[metric.place()].load(Ordering::Relaxed)
    }
}

/// Families in the making, one for each metric of a set.
pub(super) struct Export<M> {
    values: Vec<Vec<proto::Metric>>,
    set: PhantomData<M>,
}

impl<M: Metric> Export<M> {
    pub(super) fn new() -> Self {
        Self { values: vec![Vec::new(); M::ALL.len()], set: PhantomData }
    }

    /// Adds the values of one stream or shard for the metrics `shown`.
    #[expect(clippy::cast_precision_loss, reason = "the text format has no other numbers")]
    pub(super) fn add<'m>(
        &mut self,
        labels: &[(&str, &str)],
        tally: &Tally<M>,
        shown: impl IntoIterator<Item = &'m M>,
    ) {
        for &metric in shown {
            let number = tally.get(metric) as f64;
            let mut value = proto::Metric::default();
            value.set_label(labels.iter().map(|(name, text)| label(name, text)).collect());
            if metric.is_gauge() {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(number);
                value.set_gauge(gauge);
            } else {
                let mut counter = proto::Counter::default();
                counter.set_value(number);
                value.set_counter(counter);
            }
            self.values[metric.place()].push(value);
        }
    }

    /// The families that have a value.
    pub(super) fn finish(self) -> impl Iterator<Item = proto::MetricFamily> {
        let all = M::ALL.iter().zip(self.values).filter(|(_, values)| !values.is_empty());
        all.map(|(metric, values)| {
            let kind = if metric.is_gauge() {
                proto::MetricType::GAUGE
            } else {
                proto::MetricType::COUNTER
            };
            let mut family = proto::MetricFamily::default();
            family.set_name(format!("{}{}", M::PREFIX, metric.name().replace('.', "_")));
            family.set_help(format!("AWS/Kinesis {}: {}", metric.name(), metric.help()));
            family.set_field_type(kind);
            family.set_metric(values);
            family
        })
    }
}

fn label(name: &str, value: &str) -> proto::LabelPair {
    let mut pair = proto::LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_has_the_place_of_its_values() {
        for (place, metric) in StreamMetric::ALL.iter().enumerate() {
            assert_eq!(metric.place(), place);
        }
        for (place, metric) in ShardMetric::ALL.iter().enumerate() {
            assert_eq!(metric.place(), place);
        }
        assert!(ShardMetric::ALL.is_sorted_by_key(|metric| metric.name()));
    }

    #[test]
    fn metrics_are_exported_under_their_names() {
        let tally = Tally::default();
        tally.add(StreamMetric::PutRecordsBytes, 7);
        tally.set(StreamMetric::GetRecordsIteratorAge, 9);
        let mut export = Export::new();
        let shown = [StreamMetric::PutRecordsBytes, StreamMetric::GetRecordsIteratorAge];
        export.add(&[("StreamName", "s")], &tally, &shown);
        let families: Vec<_> = export.finish().collect();
        let text = prometheus::TextEncoder::new().encode_to_string(&families).unwrap();
        for line in [
            "# HELP aws_kinesis_PutRecords_Bytes AWS/Kinesis PutRecords.Bytes: Bytes stored by PutRecords.",
            "# TYPE aws_kinesis_PutRecords_Bytes counter",
            "aws_kinesis_PutRecords_Bytes{StreamName=\"s\"} 7",
            "# TYPE aws_kinesis_GetRecords_IteratorAgeMilliseconds gauge",
            "aws_kinesis_GetRecords_IteratorAgeMilliseconds{StreamName=\"s\"} 9",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        assert_eq!(families.len(), 2, "{text}");
    }
}
