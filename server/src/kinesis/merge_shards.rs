//! `MergeShards`: plans one shard in the place of two neighbours; the stream is in UPDATING until
//! then.

use bytes::Bytes;
use kinelog_engine::types::Stream;

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
    name: "MergeShardsRequest",
    members: &[
        shapes::STREAM_NAME,
        shapes::required("ShardToMerge", shapes::NAME),
        shapes::required("AdjacentShardToMerge", shapes::NAME),
        shapes::STREAM_ARN,
        shapes::STREAM_ID,
    ],
};

/// A sound request.
#[derive(Debug)]
struct Request {
    stream: StreamRef,
    lower: ShardId,
    upper: ShardId,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let stream = StreamRef::parse(call, input)?;
        let id = |member| shards::parse_id(&stream, input.text(member).unwrap_or_default());
        let (lower, upper) = (id("ShardToMerge")?, id("AdjacentShardToMerge")?);
        Ok(Self { stream, lower, upper })
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = Request::parse(call, input)?;
    request.stream.admit(call, "MergeShards", limits::MERGE_SHARDS_PER_SECOND)?;
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
    let lower = shards::find(call, stream, request.lower)?;
    let upper = shards::find(call, stream, request.upper)?;
    shards::check_open(call, stream, lower)?;
    shards::check_open(call, stream, upper)?;
    if lower.range.end.checked_add(1) != Some(upper.range.start) {
        return Err(not_adjacent(call, request, stream));
    }
    Ok(vec![vec![Swap::merge((lower.index, lower.range), (upper.index, upper.range))]])
}

fn not_adjacent(call: &Call<'_>, request: &Request, stream: &Stream) -> Exception {
    let Request { lower, upper, .. } = request;
    Exception::new(
        Kind::InvalidArgument,
        format!(
            "Shards {lower} and {upper} in stream {} under account {} are not an adjacent pair of \
             shards eligible for merging",
            stream.key.name, call.account
        ),
    )
}
