//! `DescribeAccountSettings`: where the account's commitment to a minimum throughput stands.

use bytes::Bytes;

use super::account::{Account, CommitmentStatus};
use super::context::Call;
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure =
    Structure { name: "DescribeAccountSettingsRequest", members: &[] };

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
#[expect(clippy::unused_async, reason = "operations are answered alike")]
pub(super) async fn answer(call: &Call<'_>, _input: &Input<'_>) -> Result<Bytes, Exception> {
    call.admit("DescribeAccountSettings", limits::DESCRIBE_ACCOUNT_SETTINGS_PER_SECOND)?;
    Ok(write(call, &Account::of(call)?))
}

/// Writes the answer; that of `UpdateAccountSettings` is the same.
pub(super) fn write(call: &Call<'_>, account: &Account) -> Bytes {
    let status = account.commitment_at(call.now);
    let mut writer = call.writer(256);
    writer.begin_map();
    writer.key("MinimumThroughputBillingCommitment");
    writer.begin_map();
    writer.key("Status");
    writer.text(status.name());
    if let Some(commitment) = &account.commitment {
        let mut time = |name, at: kinelog_engine::types::Timestamp| {
            writer.key(name);
            writer.timestamp(at.0);
        };
        time("StartedAt", commitment.started_at);
        match (status, commitment.ends_at) {
            (CommitmentStatus::Disabled, Some(end)) => time("EndedAt", end),
            _ => time("EarliestAllowedEndAt", commitment.earliest_allowed_end()),
        }
    }
    writer.end_map();
    writer.end_map();
    writer.finish()
}
