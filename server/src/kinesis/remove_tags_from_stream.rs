//! `RemoveTagsFromStream`: removes tags from a stream, by their keys.

use bytes::Bytes;

use super::context::Call;
use super::resource::ResourceRef;
use super::stream_ref::StreamRef;
use super::{shapes, tags};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "RemoveTagsFromStreamRequest",
    members: &[shapes::STREAM_NAME, tags::TAG_KEYS, shapes::STREAM_ARN, shapes::STREAM_ID],
};

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let stream = ResourceRef::Stream(StreamRef::parse(call, input)?);
    stream.admit(call, "RemoveTagsFromStream")?;
    stream.change_tags(call, |tags| tags::remove(&stream, tags, input)).await?;
    Ok(Bytes::new())
}
