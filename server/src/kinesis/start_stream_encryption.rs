//! `StartStreamEncryption`: new records are written under a key.

use bytes::Bytes;

use super::context::Call;
use super::encryption::{self, Change};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;

/// The input.
pub(super) static SHAPE: Structure =
    Structure { name: "StartStreamEncryptionRequest", members: encryption::MEMBERS };

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    encryption::change(call, input, Change::Start).await
}
