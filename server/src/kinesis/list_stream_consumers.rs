//! `ListStreamConsumers`: a page of a stream's consumers, by name.

use std::sync::Arc;

use bytes::Bytes;
use kinelog_engine::types::{Stream, StreamId};
use serde::{Deserialize, Serialize};

use super::attributes::Attributes;
use super::consumers::{self, Consumers};
use super::context::Call;
use super::stream_ref::StreamRef;
use super::{describe, describe_stream, page_token, shapes, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::{Shape, Structure};
use crate::limits;

const NAME: &str = "ListStreamConsumers";

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "ListStreamConsumersRequest",
    members: &[
        shapes::STREAM_ARN_REQUIRED,
        shapes::optional("NextToken", shapes::NEXT_TOKEN),
        shapes::optional("MaxResults", shapes::PAGE_LIMIT),
        shapes::optional("StreamCreationTimestamp", Shape::Timestamp),
        shapes::STREAM_ID,
    ],
};

/// A sound request.
#[derive(Debug)]
struct Request {
    stream: StreamRef,
    created_ms: Option<i64>,
    page: Option<Page>,
    limit: usize,
}

/// Where a listing goes on; what a token carries.
#[derive(Debug, Serialize, Deserialize)]
struct Page {
    stream: StreamId,
    after: String,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let created_ms = input.timestamp("StreamCreationTimestamp");
        let page = input.text("NextToken");
        if page.is_some() && created_ms.is_some() {
            return Err(unconfirmed::next_token_with("StreamCreationTimestamp"));
        }
        Ok(Self {
            stream: StreamRef::parse(call, input)?,
            created_ms,
            page: page.map(|token| page_token::redeem(call, NAME, token)).transpose()?,
            limit: describe_stream::page_limit(input, "MaxResults", limits::PAGE_ENTRIES_MAX),
        })
    }

    /// The stream as described; a token is good for the one it was issued for.
    async fn find(&self, call: &Call<'_>) -> Result<Arc<Stream>, Exception> {
        let stream = self.stream.get(call).await?;
        if self.page.as_ref().is_some_and(|page| page.stream != stream.id) {
            return Err(unconfirmed::invalid_next_token());
        }
        if self.created_ms.is_some_and(|created| !describe::is_created(&stream, created)) {
            return Err(self.stream.not_found());
        }
        Ok(stream)
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = Request::parse(call, input)?;
    request.stream.admit_stream(call, NAME, limits::LIST_STREAM_CONSUMERS_PER_SECOND)?;
    let stream = request.find(call).await?;
    let consumers = Attributes::of(&stream)?.consumers;
    Ok(write(call, &request, &stream, &consumers))
}

fn write(call: &Call<'_>, request: &Request, stream: &Stream, consumers: &Consumers) -> Bytes {
    let after = request.page.as_ref().map(|page| page.after.as_str());
    let mut shown: Vec<_> = consumers::existing(consumers, call.now)
        .filter(|(name, ..)| after.is_none_or(|after| *name > after))
        .collect();
    let has_more = shown.len() > request.limit;
    shown.truncate(request.limit);
    let mut writer = call.writer(64 + 512 * shown.len());
    writer.begin_map();
    writer.key("Consumers");
    writer.begin_list();
    for consumer in &shown {
        writer.begin_map();
        consumers::write_consumer(&mut writer, call, &stream.key.name, *consumer);
        writer.end_map();
    }
    writer.end_list();
    if let Some((name, ..)) = shown.last().filter(|_| has_more) {
        writer.key("NextToken");
        let next = Page { stream: stream.id, after: (*name).to_owned() };
        writer.text(&page_token::issue(call, NAME, &next));
    }
    writer.end_map();
    writer.finish()
}
