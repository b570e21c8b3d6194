//! `SplitShard`: plans two shards in the place of one; the stream is in UPDATING until then.

use bytes::Bytes;
use kinelog_engine::types::{Shard, Stream};

use super::attributes::Attributes;
use super::context::Call;
use super::reshard::Swap;
use super::shard_id::ShardId;
use super::stream_ref::StreamRef;
use super::{lifecycle, shapes, shards};
use crate::aws::exception::{Exception, Kind};
use crate::aws::input::Input;
use crate::aws::shape::Structure;
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "SplitShardRequest",
    members: &[
        shapes::STREAM_NAME,
        shapes::required("ShardToSplit", shapes::NAME),
        shapes::required("NewStartingHashKey", shapes::HASH_KEY),
        shapes::STREAM_ARN,
        shapes::STREAM_ID,
    ],
};

/// A sound request.
#[derive(Debug)]
struct Request {
    stream: StreamRef,
    shard: ShardId,
    /// Digits; they need not be a hash key.
    at: String,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let stream = StreamRef::parse(call, input)?;
        let shard = shards::parse_id(&stream, input.text("ShardToSplit").unwrap_or_default())?;
        let at = input.text("NewStartingHashKey").unwrap_or_default().to_owned();
        Ok(Self { stream, shard, at })
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = Request::parse(call, input)?;
    request.stream.admit(call, "SplitShard", limits::SPLIT_SHARD_PER_SECOND)?;
    // What is due to be gone does not count.
    lifecycle::settle_all(call).await;
    let plan =
        |stream: &Stream, attributes: &mut Attributes| plan(call, &request, stream, attributes);
    lifecycle::reshard(call, &request.stream, plan).await?;
    Ok(Bytes::new())
}

fn plan(
    call: &Call<'_>,
    request: &Request,
    stream: &Stream,
    attributes: &Attributes,
) -> Result<Vec<Vec<Swap>>, Exception> {
    lifecycle::check_reshardable(call, stream, attributes)?;
    let shard = shards::find(call, stream, request.shard)?;
    shards::check_quota(call, 1, call.context.settings().shards_max(call.region))?;
    shards::check_open(call, stream, shard)?;
    let Some(at) = hash_key_inside(&request.at, shard) else {
        return Err(out_of_bounds(call, request, stream, shard));
    };
    Ok(vec![vec![Swap::split(shard.index, shard.range, at)]])
}

/// The hash key, when it can start the upper one of two shards in the place of `shard`.
fn hash_key_inside(digits: &str, shard: &Shard) -> Option<u128> {
    let at: u128 = digits.parse().ok()?;
    let lowest = shard.range.start.checked_add(2)?;
    (lowest..shard.range.end).contains(&at).then_some(at)
}

fn out_of_bounds(call: &Call<'_>, request: &Request, stream: &Stream, shard: &Shard) -> Exception {
    let Request { shard: id, at, .. } = request;
    let (start, end) = (shard.range.start, shard.range.end);
    Exception::new(
        Kind::InvalidArgument,
        format!(
            "NewStartingHashKey {at} used in SplitShard() on shard {id} in stream {} under account \
             {} is not both greater than one plus the shard's StartingHashKey {start} and less \
             than the shard's EndingHashKey {end}.",
            stream.key.name, call.account
        ),
    )
}
