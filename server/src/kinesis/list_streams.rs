//! `ListStreams`: a page of the caller's streams, by name.

use std::sync::Arc;

use bytes::Bytes;
use kinelog_engine::types::Stream;
use serde::{Deserialize, Serialize};

use super::attributes::Attributes;
use super::context::Call;
use super::{describe, describe_stream, lifecycle, page_token, shapes};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;
use crate::limits;

const NAME: &str = "ListStreams";

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "ListStreamsRequest",
    members: &[
        shapes::optional("Limit", shapes::PAGE_LIMIT),
        shapes::optional("ExclusiveStartStreamName", shapes::NAME),
        shapes::optional("NextToken", shapes::NEXT_TOKEN),
    ],
};

/// A sound request. Where both are given, the token says where to go on.
#[derive(Debug)]
struct Request {
    after: Option<String>,
    limit: usize,
}

/// What a token carries.
#[derive(Debug, Serialize, Deserialize)]
struct Page {
    after: String,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let limit = describe_stream::page_limit(input, "Limit", limits::PAGE_ENTRIES_MAX);
        let after = match input.text("NextToken") {
            Some(token) => Some(page_token::redeem::<Page>(call, NAME, token)?.after),
            None => input.text("ExclusiveStartStreamName").map(ToOwned::to_owned),
        };
        Ok(Self { after, limit })
    }
}

/// The answer.
#[derive(Debug)]
struct Response {
    streams: Vec<(Arc<Stream>, Attributes)>,
    next: Option<Page>,
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = Request::parse(call, input)?;
    call.admit(NAME, limits::LIST_STREAMS_PER_SECOND)?;
    Ok(run(call, &request).await?.write(call))
}

async fn run(call: &Call<'_>, request: &Request) -> Result<Response, Exception> {
    // What is due to be gone takes no place on a page.
    lifecycle::settle_all(call).await;
    let after = request.after.as_deref();
    let mut found = call.context.engine.streams(&call.namespace, after, request.limit + 1);
    let has_more = found.len() > request.limit;
    found.truncate(request.limit);
    let next = found.last().filter(|_| has_more).map(|last| Page { after: last.key.name.clone() });
    let mut streams = Vec::with_capacity(found.len());
    for stored in found {
        let stream = lifecycle::shown(stored, call.now);
        let attributes = Attributes::of(&stream)?;
        streams.push((stream, attributes));
    }
    Ok(Response { streams, next })
}

impl Response {
    fn write(&self, call: &Call<'_>) -> Bytes {
        let mut writer = call.writer(128 + 512 * self.streams.len());
        writer.begin_map();
        writer.key("StreamNames");
        writer.begin_list();
        for (stream, _) in &self.streams {
            writer.text(&stream.key.name);
        }
        writer.end_list();
        writer.key("HasMoreStreams");
        writer.boolean(self.next.is_some());
        if let Some(page) = &self.next {
            writer.key("NextToken");
            writer.text(&page_token::issue(call, NAME, page));
        }
        writer.key("StreamSummaries");
        writer.begin_list();
        for (stream, attributes) in &self.streams {
            writer.begin_map();
            describe::write_identity(&mut writer, call, stream, attributes);
            writer.end_map();
        }
        writer.end_list();
        writer.end_map();
        writer.finish()
    }
}
