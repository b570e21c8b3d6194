//! `CreateStream`: makes a stream, in CREATING until its transition is due.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kinelog_engine::types::{NewShard, NewStream, Stream, StreamStatus, uniform_ranges};

use super::attributes::{Attributes, Distribution, Mode, WriteSettings};
use super::context::{Call, Context};
use super::resource::ResourceRef;
use super::stream_ref::StreamRef;
use super::{account, failures, lifecycle, shapes, shards, tags, unconfirmed, warm_throughput};
use crate::aws::exception::Exception;
use crate::aws::input::{self, Input};
use crate::aws::shape::{Shape, Structure};
use crate::aws::value::Value;
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "CreateStreamRequest",
    members: &[
        shapes::required("StreamName", shapes::NAME),
        shapes::optional("ShardCount", Shape::Integer { min: Some(1), max: None }),
        shapes::optional("StreamModeDetails", Shape::Structure(&shapes::MODE_DETAILS)),
        shapes::optional("Tags", tags::TAGS),
        shapes::optional("WarmThroughputMiBps", shapes::WARM_THROUGHPUT),
        shapes::optional("MaxRecordSizeInKiB", shapes::RECORD_KIB),
        shapes::optional("RecordDistributionStrategy", shapes::DISTRIBUTION),
    ],
};

/// A sound request: mode, shard count and settings fit together.
#[derive(Debug)]
struct Request {
    stream: StreamRef,
    shard_count: u32,
    attributes: Attributes,
    quotas: Quotas,
}

/// Whose bounds a new stream is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotas {
    /// The service's.
    Service,
    /// Our own.
    Own,
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
        let distribution = Distribution::named(input.text("RecordDistributionStrategy"));
        if mode == Mode::Provisioned && distribution == Distribution::Auto {
            return Err(unconfirmed::on_demand_only("RecordDistributionStrategy AUTO"));
        }
        let warm_mibps = input.integer("WarmThroughputMiBps").map(i32::unsigned_abs);
        if let Some(mibps) = warm_mibps {
            if mode == Mode::Provisioned {
                return Err(unconfirmed::on_demand_only("WarmThroughputMiBps"));
            }
            warm_throughput::check(call, mibps)?;
        }
        let shard_count = shard_count.max(warm_mibps.unwrap_or_default());
        let record_kib_max = input.integer("MaxRecordSizeInKiB").map(i32::unsigned_abs);
        let write = WriteSettings {
            record_kib_max: record_kib_max.unwrap_or(limits::RECORD_KIB_DEFAULT),
            distribution,
            encryption_key: None,
        };
        let mut new_tags = BTreeMap::new();
        tags::add(&ResourceRef::Stream(stream.clone()), &mut new_tags, input)?;
        let attributes =
            Attributes { mode, write, tags: new_tags, warm_mibps, ..Attributes::default() };
        let is_off = call.context.settings().limits.is_off();
        let quotas = if is_off { Quotas::Own } else { Quotas::Service };
        Ok(Self { stream, shard_count, attributes, quotas })
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
/// is missing, unless one of this name exists. Tells whether it made one. The service's quotas do
/// not hold here.
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
    let body = Value::Map(vec![("StreamName".into(), Value::Text(name.into()))]);
    input::read(body, &SHAPE, call.encoding)?;
    let stream = StreamRef::named(&call, name);
    if stream.find(&call).await.is_some() {
        return Ok(false);
    }
    let (mode, shard_count) = match shards {
        Some(count) => (Mode::Provisioned, count.max(1)),
        None => (Mode::OnDemand, limits::ON_DEMAND_SHARDS),
    };
    let attributes = Attributes { mode, ..Attributes::default() };
    run(&call, Request { stream, shard_count, attributes, quotas: Quotas::Own }).await?;
    Ok(true)
}

async fn run(call: &Call<'_>, request: Request) -> Result<(), Exception> {
    let Request { stream, shard_count, attributes, quotas } = request;
    let exists = || failures::stream_exists(&stream.name, call.account);
    if stream.find(call).await.is_some() {
        return Err(exists());
    }
    let context = call.context;
    lifecycle::settle_all(call).await;
    let _exclusive = context.exclusive_changes().await;
    let others = context.engine.streams(&call.namespace, None, usize::MAX);
    if others.iter().any(|other| other.key.name == stream.name) {
        return Err(exists());
    }
    let shard_quota = match quotas {
        Quotas::Service => context.settings().shard_quota(call.region),
        Quotas::Own => limits::SHARDS_MAX,
    };
    shards::check_quota(call, shard_count.into(), shard_quota)?;
    if quotas == Quotas::Service {
        check_stream_quotas(call, &others, attributes.mode)?;
    }
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

fn check_stream_quotas(
    call: &Call<'_>,
    others: &[Arc<Stream>],
    mode: Mode,
) -> Result<(), Exception> {
    let creating = others.iter().filter(|it| it.status == StreamStatus::Creating).count();
    if creating >= limits::CREATING_STREAMS_MAX {
        return Err(unconfirmed::too_many_creating(call.account, limits::CREATING_STREAMS_MAX));
    }
    if mode == Mode::OnDemand {
        account::check_on_demand_quota(call, others.iter().map(AsRef::as_ref))?;
    }
    Ok(())
}
