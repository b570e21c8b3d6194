//! `ListTagsForStream`: a page of a stream's tags, by key.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::context::Call;
use super::resource::ResourceRef;
use super::stream_ref::StreamRef;
use super::{describe_stream, shapes, tags};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "ListTagsForStreamRequest",
    members: &[
        shapes::STREAM_NAME,
        shapes::optional("ExclusiveStartTagKey", tags::TAG_KEY),
        shapes::optional("Limit", shapes::integer(1, 50)),
        shapes::STREAM_ARN,
        shapes::STREAM_ID,
    ],
};

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let stream = ResourceRef::Stream(StreamRef::parse(call, input)?);
    stream.admit(call, "ListTagsForStream")?;
    let after = input.text("ExclusiveStartTagKey");
    let limit = describe_stream::page_limit(input, "Limit", limits::TAGS_MAX);
    Ok(write(call, &stream.tags(call).await?, after, limit))
}

fn write(
    call: &Call<'_>,
    tags: &BTreeMap<String, String>,
    after: Option<&str>,
    limit: usize,
) -> Bytes {
    let after = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut rest = tags.range::<str, _>((after, Bound::Unbounded));
    let mut writer = call.writer(1024);
    writer.begin_map();
    tags::write(&mut writer, rest.by_ref().take(limit));
    writer.key("HasMoreTags");
    writer.boolean(rest.next().is_some());
    writer.end_map();
    writer.finish()
}
