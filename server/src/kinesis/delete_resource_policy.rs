//! `DeleteResourcePolicy`: takes the policy of a stream or a consumer away.

use bytes::Bytes;

use super::context::Call;
use super::resource::ResourceRef;
use super::{shapes, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "DeleteResourcePolicyRequest",
    members: &[shapes::RESOURCE_ARN, shapes::STREAM_ID],
};

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let resource = ResourceRef::parse(call, input)?;
    resource.admit(call, "DeleteResourcePolicy")?;
    let arn = input.text("ResourceARN").unwrap_or_default();
    let change = resource.change_policy(call, |policy| match policy.take() {
        Some(_) => Ok(()),
        None => Err(unconfirmed::no_resource_policy(arn)),
    });
    change.await?;
    Ok(Bytes::new())
}
