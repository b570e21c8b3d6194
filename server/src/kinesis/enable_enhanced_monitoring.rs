//! `EnableEnhancedMonitoring`: counts some metrics for each shard of a stream.

use bytes::Bytes;

use super::context::Call;
use super::monitoring;
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;

const NAME: &str = "EnableEnhancedMonitoring";

/// The input.
pub(super) static SHAPE: Structure =
    Structure { name: "EnableEnhancedMonitoringRequest", members: monitoring::MEMBERS };

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    monitoring::change(call, input, NAME, |before, asked| before | asked).await
}
