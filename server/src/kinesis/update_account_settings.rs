//! `UpdateAccountSettings`: begins or ends the account's commitment to a minimum throughput, at
//! once. A commitment ends no sooner than a day after it began; until then it can be taken up again.

use bytes::Bytes;

use super::account::Account;
use super::context::Call;
use super::{describe_account_settings, failures, shapes};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::{Shape, Structure};
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "UpdateAccountSettingsRequest",
    members: &[shapes::required(
        "MinimumThroughputBillingCommitment",
        Shape::Structure(&COMMITMENT),
    )],
};

static COMMITMENT: Structure = Structure {
    name: "MinimumThroughputBillingCommitmentInput",
    members: &[shapes::required("Status", shapes::one_of(&["ENABLED", "DISABLED"]))],
};

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let commitment = input.structure("MinimumThroughputBillingCommitment");
    let enable = commitment.and_then(|it| it.text("Status")) == Some("ENABLED");
    call.admit("UpdateAccountSettings", limits::UPDATE_ACCOUNT_SETTINGS_PER_SECOND)?;
    Ok(describe_account_settings::write(call, &run(call, enable).await?))
}

async fn run(call: &Call<'_>, enable: bool) -> Result<Account, Exception> {
    let _exclusive = call.context.exclusive_changes().await;
    let before = Account::of(call)?;
    let mut account = before.clone();
    if enable {
        account.commit(call.now);
    } else {
        account.release(call.now);
    }
    if account != before {
        let stored = call.context.engine.set_document(&call.namespace, account.to_document()).await;
        stored.map_err(|error| failures::internal(&error))?;
    }
    Ok(account)
}
