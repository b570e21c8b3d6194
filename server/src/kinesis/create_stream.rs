//! `CreateStream`: makes a stream, in CREATING until its transition is due.

use std::collections::BTreeMap;

use bytes::Bytes;
use kinelog_engine::types::{NewShard, NewStream, StreamStatus, uniform_ranges};

use super::attributes::{Attributes, Distribution, Mode, WriteSettings};
use super::context::{Call, Context};
use super::stream_ref::StreamRef;
use super::{failures, lifecycle, shapes, tags, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::{Shape, Structure};
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "CreateStreamRequest",
    members: &[
        shapes::required("StreamName", shapes::NAME),
        shapes::optional("ShardCount", Shape::Integer { min: Some(1), max: None }),
        shapes::optional("StreamModeDetails", Shape::Structure(&MODE_DETAILS)),
        shapes::optional(
            "Tags",
            Shape::TextMap { length: Some((1, 200)), key: (1, 128), value: (0, 256) },
        ),
        shapes::optional("WarmThroughputMiBps", Shape::Integer { min: Some(0), max: None }),
        shapes::optional("MaxRecordSizeInKiB", shapes::integer(1024, 10_240)),
        shapes::optional(
            "RecordDistributionStrategy",
            shapes::one_of(&["AUTO", "USER_PARTITION_KEY"]),
        ),
    ],
};

static MODE_DETAILS: Structure = Structure {
    name: "StreamModeDetails",
    members: &[shapes::required("StreamMode", shapes::one_of(&["PROVISIONED", "ON_DEMAND"]))],
};

/// A sound request: mode, shard count and settings fit together.
#[derive(Debug)]
struct Request {
    stream: StreamRef,
    shard_count: u32,
    attributes: Attributes,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let stream = StreamRef::named(call, input.text("StreamName").unwrap_or_default());
        let given = input.integer("ShardCount").map(i32::unsigned_abs);
        let mode = input.structure("StreamModeDetails").and_then(|it| it.text("StreamMode"));
        let (mode, shard_count) = match (mode, given) {
            (Some("ON_DEMAND"), Some(_)) => return Err(unconfirmed::on_demand_with_shard_count()),
            (Some("ON_DEMAND") | None, None) => (Mode::OnDemand, limits::ON_DEMAND_SHARDS),
            (_, Some(count)) => (Mode::Provisioned, count),
            (Some(_), None) => return Err(unconfirmed::provisioned_without_shard_count()),
        };
        let distribution = match input.text("RecordDistributionStrategy") {
            Some("AUTO") => Distribution::Auto,
            _ => Distribution::UserPartitionKey,
        };
        if mode == Mode::Provisioned && distribution == Distribution::Auto {
            return Err(unconfirmed::on_demand_only("RecordDistributionStrategy AUTO"));
        }
        if input.integer("WarmThroughputMiBps").is_some() {
            return Err(match mode {
                Mode::Provisioned => unconfirmed::on_demand_only("WarmThroughputMiBps"),
                Mode::OnDemand => unconfirmed::warm_throughput_without_commitment(),
            });
        }
        let record_kib_max = input.integer("MaxRecordSizeInKiB").map(i32::unsigned_abs);
        let write = WriteSettings {
            record_kib_max: record_kib_max.unwrap_or(limits::RECORD_KIB_DEFAULT),
            distribution,
            encryption_key: None,
        };
        let mut new_tags = BTreeMap::new();
        let given = input.text_map("Tags").unwrap_or_default();
        tags::add(&stream, &mut new_tags, given.iter().map(|(k, v)| (k.as_ref(), v.as_ref())))?;
        let attributes = Attributes { mode, write, tags: new_tags, ..Attributes::default() };
        Ok(Self { stream, shard_count, attributes })
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = Request::parse(call, input)?;
    request.stream.admit(call, "CreateStream", limits::CREATE_STREAM_PER_SECOND)?;
    run(call, request).await?;
    Ok(Bytes::new())
}

/// Makes a provisioned stream of `shards` shards in the region, or an on-demand one when the number
/// is missing, unless one of this name exists. Tells whether it made one.
///
/// # Errors
///
/// The exception that `CreateStream` would answer.
pub async fn ensure(
    context: &Context,
    region: &str,
    name: &str,
    shards: Option<u32>,
) -> Result<bool, Exception> {
    let call = Call::by_operator(context, region);
    let stream = StreamRef::named(&call, name);
    if stream.find(&call).await.is_some() {
        return Ok(false);
    }
    let (mode, shard_count) = match shards {
        Some(count) => (Mode::Provisioned, count.max(1)),
        None => (Mode::OnDemand, limits::ON_DEMAND_SHARDS),
    };
    let attributes = Attributes { mode, ..Attributes::default() };
    run(&call, Request { stream, shard_count, attributes }).await?;
    Ok(true)
}

async fn run(call: &Call<'_>, request: Request) -> Result<(), Exception> {
    let Request { stream, shard_count, attributes } = request;
    let exists = || failures::stream_exists(&stream.name, call.account);
    if stream.find(call).await.is_some() {
        return Err(exists());
    }
    let context = call.context;
    let _exclusive = context.exclusive_changes().await;
    if context.engine.stream(&call.key(&stream.name)).is_some() {
        return Err(exists());
    }
    check_quotas(call, shard_count, attributes.mode)?;
    let new_shard =
        |range| NewShard { range, created_seconds: call.now.seconds(), parents: Vec::new() };
    let attributes = Attributes { transition_due: Some(lifecycle::due(context)), ..attributes };
    let new = NewStream {
        key: call.key(&stream.name),
        status: StreamStatus::Creating,
        shards: uniform_ranges(shard_count).into_iter().map(new_shard).collect(),
        retention_hours: limits::RETENTION_HOURS_DEFAULT,
        attributes: attributes.to_document(),
    };
    match context.engine.create_stream(new).await {
        Ok(created) => {
            lifecycle::schedule(context, &created);
            Ok(())
        }
        Err(error) => Err(failures::of_catalog(&error, &stream.name, call.account)),
    }
}

/// The account's quotas, in the service's order.
fn check_quotas(call: &Call<'_>, shard_count: u32, mode: Mode) -> Result<(), Exception> {
    let streams = call.context.engine.streams(&call.namespace, None, usize::MAX);
    let current: u64 = streams.iter().map(|stream| stream.open.len() as u64).sum();
    let settings = call.context.settings();
    let quota = settings.shard_quota(call.region);
    if current + u64::from(shard_count) > u64::from(quota) {
        let additional = shard_count.into();
        return Err(failures::shard_quota(call.account, call.region, current, quota, additional));
    }
    if settings.limits.is_off() {
        return Ok(());
    }
    let creating = streams.iter().filter(|it| it.status == StreamStatus::Creating).count();
    if creating >= limits::CREATING_STREAMS_MAX {
        return Err(unconfirmed::too_many_creating(call.account, limits::CREATING_STREAMS_MAX));
    }
    let is_on_demand =
        |attributes: Result<Attributes, _>| attributes.is_ok_and(|it| it.mode == Mode::OnDemand);
    if mode == Mode::OnDemand
        && streams.iter().filter(|it| is_on_demand(Attributes::of(it))).count()
            >= limits::ON_DEMAND_STREAMS_MAX
    {
        return Err(unconfirmed::too_many_on_demand(call.account, limits::ON_DEMAND_STREAMS_MAX));
    }
    Ok(())
}
