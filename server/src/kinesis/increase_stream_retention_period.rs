//! `IncreaseStreamRetentionPeriod`: records stay longer.

use bytes::Bytes;

use super::context::Call;
use super::retention::{self, Direction};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;

/// The input.
pub(super) static SHAPE: Structure =
    Structure { name: "IncreaseStreamRetentionPeriodRequest", members: retention::MEMBERS };

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    retention::change(call, input, Direction::Up).await
}
