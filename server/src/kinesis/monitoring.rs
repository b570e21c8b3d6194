//! What `EnableEnhancedMonitoring` and `DisableEnhancedMonitoring` share, and what is measured of
//! streams and their shards.

use std::collections::BTreeSet;

use bytes::Bytes;
use kinelog_engine::types::Stream;

use super::arn::StreamArn;
use super::attributes::{self, Attributes};
use super::context::{Call, Context};
use super::shard_id::ShardId;
use super::stream_ref::StreamRef;
use super::{lifecycle, shapes};
use crate::aws::exception::Exception;
use crate::aws::input::{Field, Input};
use crate::aws::shape::{Member, Shape};
use crate::aws::writer::Writer;
use crate::limits::CALLS_PER_SECOND;
use crate::metrics::cloudwatch::{Metric, ShardMetric};
use crate::metrics::traffic::Measured;

/// The members of both inputs.
pub(super) const MEMBERS: &[Member] = &[
    shapes::STREAM_NAME,
    shapes::required("ShardLevelMetrics", Shape::List { of: &METRIC, length: Some((1, 7)) }),
    shapes::STREAM_ARN,
    shapes::STREAM_ID,
];

const METRIC: Shape = shapes::one_of(&[
    "IncomingBytes",
    "IncomingRecords",
    "OutgoingBytes",
    "OutgoingRecords",
    "WriteProvisionedThroughputExceeded",
    "ReadProvisionedThroughputExceeded",
    "IteratorAgeMilliseconds",
    "ALL",
]);

type Metrics = BTreeSet<ShardMetric>;

/// Answers a call of either operation; `alter` makes the metrics that are to be from those that are
/// and those that were named.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn change(
    call: &Call<'_>,
    input: &Input<'_>,
    operation: &'static str,
    alter: fn(&Metrics, &Metrics) -> Metrics,
) -> Result<Bytes, Exception> {
    let named = StreamRef::parse(call, input)?;
    named.admit(call, operation, CALLS_PER_SECOND)?;
    let asked = asked(input);
    let (mut before, mut after) = (Metrics::new(), Metrics::new());
    let changed = lifecycle::update(call, &named, |_, attributes| {
        let metrics = &mut attributes.shard_level_metrics;
        after = alter(metrics, &asked);
        before = std::mem::replace(metrics, after.clone());
        Ok(Vec::new())
    });
    let stream = changed.await?;
    Ok(write(call, &stream, &before, &after))
}

/// The metrics named in `ShardLevelMetrics`.
fn asked(input: &Input<'_>) -> Metrics {
    let words = input.list("ShardLevelMetrics").unwrap_or_default();
    let is_named = |name: &str| {
        words.iter().any(|word| matches!(word, Field::Text(word) if word == name || word == "ALL"))
    };
    ShardMetric::ALL.iter().copied().filter(|metric| is_named(metric.name())).collect()
}

fn write(call: &Call<'_>, stream: &Stream, before: &Metrics, after: &Metrics) -> Bytes {
    let name = &stream.key.name;
    let mut writer = call.writer(1024);
    writer.begin_map();
    writer.key("StreamName");
    writer.text(name);
    writer.key("CurrentShardLevelMetrics");
    write_metrics(&mut writer, before);
    writer.key("DesiredShardLevelMetrics");
    write_metrics(&mut writer, after);
    writer.key("StreamARN");
    writer.text(&StreamArn { region: call.region, account: call.account, name }.to_string());
    writer.end_map();
    writer.finish()
}

/// Writes the names of metrics as a list.
pub(super) fn write_metrics(writer: &mut Writer, metrics: &Metrics) {
    writer.begin_list();
    for metric in metrics {
        writer.text(metric.name());
    }
    writer.end_list();
}

/// All streams, with what is to be shown of each.
pub fn measured(context: &Context) -> Vec<Measured> {
    let streams = context.engine.all_streams();
    streams.iter().map(|stream| measure(stream)).collect()
}

fn measure(stream: &Stream) -> Measured {
    let namespace = stream.key.namespace.as_str();
    let (account, region) = namespace.split_once('/').unwrap_or((namespace, ""));
    let shard_metrics = if attributes::has_shard_level_metrics(stream) {
        Attributes::of(stream).map(|attributes| attributes.shard_level_metrics).unwrap_or_default()
    } else {
        Metrics::new()
    };
    let shards = if shard_metrics.is_empty() {
        Vec::new()
    } else {
        stream.shards.iter().map(|it| (it.uid, ShardId(it.index).to_string())).collect()
    };
    Measured {
        id: stream.id,
        account: account.to_owned(),
        region: region.to_owned(),
        name: stream.key.name.clone(),
        shard_metrics,
        shards,
        consumers: attributes::consumer_names(stream),
    }
}
