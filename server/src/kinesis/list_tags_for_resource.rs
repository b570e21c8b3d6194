//! `ListTagsForResource`: all tags of a stream or a consumer, by key.

use bytes::Bytes;

use super::context::Call;
use super::resource::ResourceRef;
use super::{shapes, tags};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "ListTagsForResourceRequest",
    members: &[shapes::RESOURCE_ARN, shapes::STREAM_ID],
};

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let resource = ResourceRef::parse(call, input)?;
    resource.admit(call, "ListTagsForResource")?;
    let found = resource.tags(call).await?;
    let mut writer = call.writer(1024);
    writer.begin_map();
    tags::write(&mut writer, found.iter());
    writer.end_map();
    Ok(writer.finish())
}
