//! Shards as the API shows them.

use std::sync::Arc;

use kinelog_engine::types::{HashKeyRange, SequenceNumber, Shard, Stream, StreamStatus, Timestamp};

use super::shard_id::ShardId;
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
