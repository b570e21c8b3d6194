//! `DescribeStream`: a stream's settings and a page of its shards.

use std::sync::Arc;

use bytes::Bytes;
use kinelog_engine::types::{Shard, ShardIndex, Stream};

use super::attributes::Attributes;
use super::context::Call;
use super::shard_id::ShardId;
use super::stream_ref::StreamRef;
use super::{describe, failures, shapes, shards};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;
use crate::aws::writer::Writer;
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "DescribeStreamRequest",
    members: &[
        shapes::STREAM_NAME,
        shapes::optional("Limit", shapes::PAGE_LIMIT),
        shapes::optional("ExclusiveStartShardId", shapes::NAME),
        shapes::STREAM_ARN,
        shapes::STREAM_ID,
    ],
};

/// A sound request.
#[derive(Debug)]
struct Request {
    stream: StreamRef,
    after: Option<ShardIndex>,
    limit: usize,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let stream = StreamRef::parse(call, input)?;
        let after = shard_after(&stream, input)?;
        let limit = page_limit(input, "Limit", limits::PAGE_ENTRIES_MAX);
        Ok(Self { stream, after, limit })
    }
}

/// The shard of `ExclusiveStartShardId`; it need not exist.
///
/// # Errors
///
/// `ResourceNotFoundException` when it is no shard id.
pub(super) fn shard_after(
    stream: &StreamRef,
    input: &Input<'_>,
) -> Result<Option<ShardIndex>, Exception> {
    let Some(raw) = input.text("ExclusiveStartShardId") else { return Ok(None) };
    match ShardId::parse(raw) {
        Some(ShardId(index)) => Ok(Some(index)),
        None => Err(failures::shard_id_unparsable(raw, &stream.name, &stream.account)),
    }
}

/// The page size asked for in `member`; `page_max` where none or more is asked for.
pub(super) fn page_limit(input: &Input<'_>, member: &str, page_max: usize) -> usize {
    let asked = input.integer(member).and_then(|limit| usize::try_from(limit).ok());
    asked.map_or(page_max, |limit| limit.min(page_max))
}

/// The answer.
struct Response<'a> {
    stream: &'a Stream,
    attributes: Attributes,
    shards: Vec<&'a Arc<Shard>>,
    has_more: bool,
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = Request::parse(call, input)?;
    request.stream.admit(call, "DescribeStream", limits::DESCRIBE_STREAM_PER_SECOND)?;
    let stream = request.stream.get(call).await?;
    Ok(run(call, &request, &stream)?.write(call))
}

fn run<'a>(
    call: &Call<'_>,
    request: &Request,
    stream: &'a Stream,
) -> Result<Response<'a>, Exception> {
    let attributes = Attributes::of(stream)?;
    let mut rest = shards::visible(stream, call.now)
        .filter(|shard| request.after.is_none_or(|after| shard.index > after));
    let shards = rest.by_ref().take(request.limit).collect();
    Ok(Response { stream, attributes, shards, has_more: rest.next().is_some() })
}

impl Response<'_> {
    fn write(&self, call: &Call<'_>) -> Bytes {
        let mut writer: Writer = call.writer(512 + 512 * self.shards.len());
        writer.begin_map();
        writer.key("StreamDescription");
        writer.begin_map();
        describe::write_identity(&mut writer, call, self.stream, &self.attributes);
        describe::write_settings(&mut writer, self.stream, &self.attributes);
        writer.key("Shards");
        writer.begin_list();
        for shard in &self.shards {
            shards::write_shard(&mut writer, shard);
        }
        writer.end_list();
        writer.key("HasMoreShards");
        writer.boolean(self.has_more);
        writer.end_map();
        writer.end_map();
        writer.finish()
    }
}
