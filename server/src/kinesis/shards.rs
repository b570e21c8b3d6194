//! Shards as the API shows them.

use std::sync::Arc;

use kinelog_engine::types::{HashKeyRange, SequenceNumber, Shard, Stream, StreamStatus, Timestamp};

use super::context::Call;
use super::shard_id::ShardId;
use super::stream_ref::StreamRef;
use super::{failures, lifecycle};
use crate::aws::exception::Exception;
use crate::aws::writer::Writer;

/// The shards a caller can see, by index: none before the stream is made, and none whose last
/// record can have expired.
pub(super) fn visible(
    stream: &Stream,
    now: Timestamp,
) -> impl Iterator<Item = &Arc<Shard>> + Clone {
    let horizon = stream.horizon(now);
    let made = stream.status != StreamStatus::Creating;
    stream.shards.iter().filter(move |shard| made && is_kept(shard, horizon))
}

/// True while records of the shard can be inside retention.
pub(super) fn is_kept(shard: &Shard, horizon: Timestamp) -> bool {
    shard.closed.is_none_or(|end| end.closed_at >= horizon)
}

/// Open shards of the account in the region, also those of streams in the making.
fn open_in_region(call: &Call<'_>) -> u64 {
    let streams = call.context.engine.streams(&call.namespace, None, usize::MAX);
    let open = |stream| lifecycle::shown(stream, call.now).open.len() as u64;
    streams.into_iter().map(open).sum()
}

/// Refuses so many more open shards when they would be more than `quota`.
///
/// # Errors
///
/// `LimitExceededException`.
pub(super) fn check_quota(call: &Call<'_>, additional: u64, quota: u32) -> Result<(), Exception> {
    let current = open_in_region(call);
    if current + additional > u64::from(quota) {
        return Err(failures::shard_quota(call.account, call.region, current, quota, additional));
    }
    Ok(())
}

/// A shard id as a request names it; checked before the stream is looked up.
///
/// # Errors
///
/// `ResourceNotFoundException` for a text that is none.
pub(super) fn parse_id(stream: &StreamRef, raw: &str) -> Result<ShardId, Exception> {
    let unparsable = || failures::shard_id_unparsable(raw, &stream.name, &stream.account);
    ShardId::parse(raw).ok_or_else(unparsable)
}

/// The shard that a split or merge names.
///
/// # Errors
///
/// `ResourceNotFoundException` when the stream has no such shard, or no more.
pub(super) fn find<'a>(
    call: &Call<'_>,
    stream: &'a Stream,
    id: ShardId,
) -> Result<&'a Arc<Shard>, Exception> {
    let shard = stream.shard(id.0).filter(|shard| is_kept(shard, stream.horizon(call.now)));
    shard.ok_or_else(|| failures::shard_not_found(id, &stream.key.name, call.account))
}

/// Refuses to split or merge a shard that has been.
///
/// # Errors
///
/// `InvalidArgumentException`.
pub(super) fn check_open(call: &Call<'_>, stream: &Stream, shard: &Shard) -> Result<(), Exception> {
    if shard.closed.is_none() {
        return Ok(());
    }
    Err(failures::shard_closed(ShardId(shard.index), &stream.key.name, call.account))
}

/// Writes the item that `DescribeStream` and `ListShards` have for a shard.
pub(super) fn write_shard(writer: &mut Writer, shard: &Shard) {
    writer.begin_map();
    writer.key("ShardId");
    writer.display(&ShardId(shard.index));
    for (name, parent) in ["ParentShardId", "AdjacentParentShardId"].into_iter().zip(&shard.parents)
    {
        writer.key(name);
        writer.display(&ShardId(*parent));
    }
    write_range(writer, shard.range);
    writer.key("SequenceNumberRange");
    writer.begin_map();
    writer.key("StartingSequenceNumber");
    writer.display(&SequenceNumber::starting(shard.created_seconds, shard.index));
    if let Some(end) = shard.closed {
        let closed_seconds = end.closed_at.seconds();
        writer.key("EndingSequenceNumber");
        writer.display(&SequenceNumber::ending(shard.created_seconds, shard.index, closed_seconds));
    }
    writer.end_map();
    writer.end_map();
}

/// Writes the member `ChildShards` of the answer that ends `parent`.
pub(super) fn write_children(writer: &mut Writer, stream: &Stream, parent: &Shard) {
    writer.key("ChildShards");
    writer.begin_list();
    for child in stream.shards.iter().filter(|child| child.parents.contains(&parent.index)) {
        writer.begin_map();
        writer.key("ShardId");
        writer.display(&ShardId(child.index));
        writer.key("ParentShards");
        writer.begin_list();
        for parent in &child.parents {
            writer.display(&ShardId(*parent));
        }
        writer.end_list();
        write_range(writer, child.range);
        writer.end_map();
    }
    writer.end_list();
}

fn write_range(writer: &mut Writer, range: HashKeyRange) {
    writer.key("HashKeyRange");
    writer.begin_map();
    writer.key("StartingHashKey");
    writer.display(&range.start);
    writer.key("EndingHashKey");
    writer.display(&range.end);
    writer.end_map();
}
