//! `GetResourcePolicy`: the policy of a stream or a consumer, as it was put.

use bytes::Bytes;

use super::context::Call;
use super::resource::ResourceRef;
use super::shapes;
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "GetResourcePolicyRequest",
    members: &[shapes::RESOURCE_ARN, shapes::STREAM_ID],
};

/// What stands for no policy.
const NONE: &str = "{}";

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let resource = ResourceRef::parse(call, input)?;
    resource.admit(call, "GetResourcePolicy")?;
    let policy = resource.policy(call).await?;
    let mut writer = call.writer(256);
    writer.begin_map();
    writer.key("Policy");
    writer.text(policy.as_deref().unwrap_or(NONE));
    writer.end_map();
    Ok(writer.finish())
}
