//! `TagResource`: adds tags to a stream or a consumer, or gives existing ones new values.

use bytes::Bytes;

use super::context::Call;
use super::resource::ResourceRef;
use super::{shapes, tags};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "TagResourceRequest",
    members: &[shapes::required("Tags", tags::TAGS), shapes::RESOURCE_ARN, shapes::STREAM_ID],
};

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let resource = ResourceRef::parse(call, input)?;
    resource.admit(call, "TagResource")?;
    resource.change_tags(call, |tags| tags::add(&resource, tags, input)).await?;
    Ok(Bytes::new())
}
