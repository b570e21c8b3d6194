//! `ListShards`: a page of a stream's shards, all or by a filter.

use std::sync::Arc;

use bytes::Bytes;
use kinelog_engine::types::{Shard, ShardIndex, Stream, StreamId, StreamStatus};
use serde::{Deserialize, Serialize};

use super::context::Call;
use super::shard_filter::{self, SettledFilter, ShardFilter};
use super::stream_ref::StreamRef;
use super::{
    describe, describe_stream, failures, lifecycle, page_token, shapes, shards, unconfirmed,
};
use crate::aws::exception::{Exception, Kind};
use crate::aws::input::Input;
use crate::aws::shape::{Shape, Structure};
use crate::limits;

const NAME: &str = "ListShards";

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "ListShardsRequest",
    members: &[
        shapes::STREAM_NAME,
        shapes::optional("NextToken", shapes::NEXT_TOKEN),
        shapes::optional("ExclusiveStartShardId", shapes::NAME),
        shapes::optional("MaxResults", shapes::PAGE_LIMIT),
        shapes::optional("StreamCreationTimestamp", Shape::Timestamp),
        shapes::optional("ShardFilter", Shape::Structure(&shard_filter::SHAPE)),
        shapes::STREAM_ARN,
        shapes::STREAM_ID,
    ],
};

/// A sound request: the first page of a stream, or the one after a token.
#[derive(Debug)]
enum Request {
    First(First),
    Next(Page),
}

/// What to list.
#[derive(Debug)]
struct First {
    stream: StreamRef,
    created_ms: Option<i64>,
    after: Option<ShardIndex>,
    filter: ShardFilter,
}

/// Where a listing goes on; what a token carries.
#[derive(Debug, Serialize, Deserialize)]
struct Page {
    stream: StreamId,
    stream_name: String,
    after: Option<ShardIndex>,
    filter: SettledFilter,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let Some(token) = input.text("NextToken") else {
            if input.text("StreamName").is_none() && input.text("StreamARN").is_none() {
                let text = "Either NextToken or StreamName should be provided.";
                return Err(Exception::new(Kind::InvalidArgument, text));
            }
            return First::parse(call, input).map(Self::First);
        };
        let decided = [
            ("StreamName", input.text("StreamName").is_some()),
            ("StreamARN", input.text("StreamARN").is_some()),
            ("ExclusiveStartShardId", input.text("ExclusiveStartShardId").is_some()),
            ("StreamCreationTimestamp", input.timestamp("StreamCreationTimestamp").is_some()),
            ("ShardFilter", input.structure("ShardFilter").is_some()),
        ];
        match decided.into_iter().find(|(_, given)| *given) {
            Some((member, _)) => Err(unconfirmed::next_token_with(member)),
            None => page_token::redeem(call, NAME, token).map(Self::Next),
        }
    }
}

impl First {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let stream = StreamRef::parse(call, input)?;
        let after = describe_stream::shard_after(&stream, input)?;
        let filter = ShardFilter::parse(&stream, input.structure("ShardFilter"), call.now)?;
        Ok(Self { created_ms: input.timestamp("StreamCreationTimestamp"), stream, after, filter })
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let limit = describe_stream::page_limit(input, "MaxResults", limits::LIST_SHARDS_PAGE_MAX);
    let (stream, page) = match Request::parse(call, input)? {
        Request::First(first) => begin(call, first).await?,
        Request::Next(page) => resume(call, page).await?,
    };
    Ok(Response::of(call, &stream, page, limit).write(call))
}

async fn begin(call: &Call<'_>, first: First) -> Result<(Arc<Stream>, Page), Exception> {
    let First { stream: named, created_ms, after, filter } = first;
    named.admit_stream(call, NAME, limits::LIST_SHARDS_PER_SECOND)?;
    let stream = named.get(call).await?;
    check_state(call, &stream)?;
    if created_ms.is_some_and(|created| !describe::is_created(&stream, created)) {
        return Err(named.not_found());
    }
    let filter = filter.settle(&stream, call.now);
    let page = Page { stream: stream.id, stream_name: named.name, after, filter };
    Ok((stream, page))
}

async fn resume(call: &Call<'_>, page: Page) -> Result<(Arc<Stream>, Page), Exception> {
    let named = StreamRef::named(call, &page.stream_name);
    named.admit_stream(call, NAME, limits::LIST_SHARDS_PER_SECOND)?;
    let stream = call.context.engine.stream_by_id(page.stream);
    let stream = stream.ok_or_else(|| named.not_found())?;
    let stream = lifecycle::settle(call.context, stream).await.ok_or_else(|| named.not_found())?;
    check_state(call, &stream)?;
    Ok((stream, page))
}

fn check_state(call: &Call<'_>, stream: &Stream) -> Result<(), Exception> {
    match stream.status {
        StreamStatus::Active | StreamStatus::Updating => Ok(()),
        status @ (StreamStatus::Creating | StreamStatus::Deleting) => {
            Err(failures::stream_not_active(&stream.key.name, call.account, status))
        }
    }
}

/// The answer.
struct Response<'a> {
    shards: Vec<&'a Arc<Shard>>,
    next: Option<Page>,
}

impl<'a> Response<'a> {
    fn of(call: &Call<'_>, stream: &'a Stream, page: Page, limit: usize) -> Self {
        let mut shards = page.filter.apply(shards::visible(stream, call.now));
        shards.retain(|shard| page.after.is_none_or(|after| shard.index > after));
        let has_more = shards.len() > limit;
        shards.truncate(limit);
        let last = shards.last().filter(|_| has_more);
        let next = last.map(|last| Page { after: Some(last.index), ..page });
        Self { shards, next }
    }

    fn write(&self, call: &Call<'_>) -> Bytes {
        let mut writer = call.writer(256 + 512 * self.shards.len());
        writer.begin_map();
        writer.key("Shards");
        writer.begin_list();
        for shard in &self.shards {
            shards::write_shard(&mut writer, shard);
        }
        writer.end_list();
        if let Some(page) = &self.next {
            writer.key("NextToken");
            writer.text(&page_token::issue(call, NAME, page));
        }
        writer.end_map();
        writer.finish()
    }
}
