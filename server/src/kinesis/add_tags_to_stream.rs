//! `AddTagsToStream`: adds tags to a stream, or gives existing ones new values.

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
    name: "AddTagsToStreamRequest",
    members: &[
        shapes::STREAM_NAME,
        shapes::required("Tags", tags::TAGS),
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
    stream.admit(call, "AddTagsToStream")?;
    stream.change_tags(call, |tags| tags::add(&stream, tags, input)).await?;
    Ok(Bytes::new())
}
