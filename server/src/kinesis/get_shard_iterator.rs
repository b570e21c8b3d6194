//! `GetShardIterator`: a reading position of one of five kinds.

use std::sync::Arc;

use bytes::Bytes;
use kinelog_engine::types::{Shard, Stream, StreamStatus};

use super::context::Call;
use super::position::{self, Wanted};
use super::shard_id::ShardId;
use super::stream_ref::StreamRef;
use super::{Operation, failures, shapes, shards, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::{Shape, Structure};
use crate::shard_iterator::ShardIterator;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "GetShardIteratorRequest",
    members: &[
        shapes::STREAM_NAME,
        shapes::required("ShardId", shapes::NAME),
        shapes::required("ShardIteratorType", position::KIND),
        shapes::optional("StartingSequenceNumber", shapes::SEQUENCE_NUMBER),
        shapes::optional("Timestamp", Shape::Timestamp),
        shapes::STREAM_ARN,
        shapes::STREAM_ID,
        shapes::DRY_RUN,
    ],
};

/// The shard a request names: parsed before anything is looked up.
struct Target {
    stream: StreamRef,
    shard: ShardId,
}

impl Target {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let stream = StreamRef::parse(call, input)?;
        let shard = shards::parse_id(&stream, input.text("ShardId").unwrap_or_default())?;
        Ok(Self { stream, shard })
    }

    fn does_not_exist(&self) -> Exception {
        failures::shard_does_not_exist(self.shard, &self.stream.name, &self.stream.account)
    }

    async fn find(&self, call: &Call<'_>) -> Result<(Arc<Stream>, Arc<Shard>), Exception> {
        let stream = self.stream.find(call).await.ok_or_else(|| self.does_not_exist())?;
        let shard = stream
            .shard(self.shard.0)
            .filter(|_| stream.status != StreamStatus::Creating)
            .filter(|shard| shards::is_kept(shard, stream.horizon(call.now)))
            .cloned();
        Ok((stream, shard.ok_or_else(|| self.does_not_exist())?))
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let target = Target::parse(call, input)?;
    let (stream, shard) = target.find(call).await?;
    let StreamRef { name, account, .. } = &target.stream;
    let wanted = Wanted {
        operation: Operation::GetShardIterator,
        stream: &target.stream,
        shard: &shard,
        kind: input.text("ShardIteratorType").unwrap_or_default(),
        number: input.text("StartingSequenceNumber"),
        timestamp: input.timestamp("Timestamp"),
    };
    let position = wanted.check(call)?;
    if input.boolean("DryRun") == Some(true) {
        return Err(unconfirmed::dry_run());
    }
    if !call.context.throttle().admit_iterator(shard.uid, call.now) {
        return Err(failures::shard_rate(target.shard, name, account));
    }
    let position = position.find(call, &wanted).await?;
    let iterator = ShardIterator {
        issued: call.now,
        stream: stream.id,
        stream_name: stream.key.name.clone(),
        shard: shard.index,
        position,
        serial: call.context.iterator_serial(),
    };
    Ok(write(call, &iterator))
}

fn write(call: &Call<'_>, iterator: &ShardIterator) -> Bytes {
    let mut writer = call.writer(512);
    writer.begin_map();
    writer.key("ShardIterator");
    writer.text(&iterator.seal(call.context.seal_key(), &call.namespace));
    writer.end_map();
    writer.finish()
}
