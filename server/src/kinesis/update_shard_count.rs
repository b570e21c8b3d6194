//! `UpdateShardCount`: plans the splits and merges that lead to a number of open shards; the stream
//! is in UPDATING until the last of them. Asking for the number there is changes nothing.

use bytes::Bytes;
use kinelog_engine::types::Stream;

use super::arn::StreamArn;
use super::attributes::Attributes;
use super::context::Call;
use super::reshard::Swap;
use super::stream_ref::StreamRef;
use super::{lifecycle, shapes, shard_plan, shards, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::{Shape, Structure};
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "UpdateShardCountRequest",
    members: &[
        shapes::STREAM_NAME,
        shapes::required("TargetShardCount", Shape::Integer { min: Some(1), max: None }),
        shapes::required("ScalingType", shapes::one_of(&["UNIFORM_SCALING"])),
        shapes::STREAM_ARN,
        shapes::STREAM_ID,
    ],
};

/// A sound request.
#[derive(Debug)]
struct Request {
    stream: StreamRef,
    target: usize,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let stream = StreamRef::parse(call, input)?;
        let target = input.integer("TargetShardCount").and_then(|it| usize::try_from(it).ok());
        Ok(Self { stream, target: target.unwrap_or(1) })
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = Request::parse(call, input)?;
    let rate = limits::UPDATE_SHARD_COUNT_PER_SECOND;
    request.stream.admit(call, "UpdateShardCount", rate)?;
    // What is due to be gone does not count.
    lifecycle::settle_all(call).await;
    let mut current = 0;
    let plan = |stream: &Stream, attributes: &mut Attributes| {
        current = stream.open.len();
        plan(call, request.target, stream, attributes)
    };
    lifecycle::reshard(call, &request.stream, plan).await?;
    Ok(write(call, &request, current))
}

fn plan(
    call: &Call<'_>,
    target: usize,
    stream: &Stream,
    attributes: &mut Attributes,
) -> Result<Vec<Vec<Swap>>, Exception> {
    lifecycle::check_reshardable(call, stream, attributes)?;
    let current = stream.open.len();
    if target == current {
        return Ok(Vec::new());
    }
    let settings = call.context.settings();
    if !settings.limits.is_off() {
        check_factor(current, target)?;
        let most = limits::SHARD_COUNT_UPDATES_PER_DAY_MAX;
        if !attributes.shard_count_updates.admit(call.now, most) {
            return Err(unconfirmed::too_many_shard_count_updates(most));
        }
    }
    let additional = shard_plan::most_open(current, target).saturating_sub(current);
    shards::check_quota(call, additional as u64, settings.shards_max(call.region))?;
    Ok(shard_plan::to_count(stream, target))
}

/// Refuses more than double, less than half, and more than the service scales to. A stream that has
/// more shards than that can only get fewer than that.
fn check_factor(current: usize, target: usize) -> Result<(), Exception> {
    const MOST: usize = limits::SHARD_COUNT_TARGET_MAX;
    if target > current.saturating_mul(2) {
        return Err(unconfirmed::scaling_above_double(current, target));
    }
    if target < unconfirmed::least_shard_count(current) {
        return Err(unconfirmed::scaling_below_half(current, target));
    }
    if target > MOST || (current > MOST && target == MOST) {
        return Err(unconfirmed::scaling_above_most(current, target, MOST));
    }
    Ok(())
}

fn write(call: &Call<'_>, request: &Request, current: usize) -> Bytes {
    let name = &request.stream.name;
    let mut writer = call.writer(512);
    writer.begin_map();
    writer.key("StreamName");
    writer.text(name);
    for (member, count) in [("CurrentShardCount", current), ("TargetShardCount", request.target)] {
        writer.key(member);
        writer.integer(i64::try_from(count).unwrap_or(i64::MAX));
    }
    writer.key("StreamARN");
    writer.text(&StreamArn { region: call.region, account: call.account, name }.to_string());
    writer.end_map();
    writer.finish()
}
