//! `PutResourcePolicy`: gives a stream or a consumer a policy, instead of the one it has.

use bytes::Bytes;

use super::context::Call;
use super::resource::ResourceRef;
use super::{resource_policy, shapes};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "PutResourcePolicyRequest",
    members: &[
        shapes::RESOURCE_ARN,
        shapes::STREAM_ID,
        shapes::required("Policy", shapes::ANY_TEXT),
    ],
};

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let resource = ResourceRef::parse(call, input)?;
    resource.admit(call, "PutResourcePolicy")?;
    let policy = input.text("Policy").unwrap_or_default();
    let arn = input.text("ResourceARN").unwrap_or_default();
    let change = resource.change_policy(call, |current| {
        resource_policy::check(policy, &resource, arn)?;
        *current = Some(policy.to_owned());
        Ok(())
    });
    change.await?;
    Ok(Bytes::new())
}
