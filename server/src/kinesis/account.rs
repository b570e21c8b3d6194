//! What holds for an account in a region as a whole: its commitment to a minimum throughput, and
//! the quotas that depend on it. Kept as the document of the engine's name space.

use kinelog_engine::types::{Stream, Timestamp};
use serde::{Deserialize, Serialize};

use super::attributes::Mode;
use super::context::Call;
use super::{failures, unconfirmed};
use crate::aws::exception::Exception;
use crate::limits;

/// The whole document. A field that a document lacks takes its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Account {
    /// The latest commitment, if there ever was one.
    pub(super) commitment: Option<Commitment>,
}

/// A commitment to pay for a minimum throughput, which opens the on-demand advantages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Commitment {
    /// When it began.
    pub(super) started_at: Timestamp,
    /// When it ended or will end.
    pub(super) ends_at: Option<Timestamp>,
}

/// Where a commitment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommitmentStatus {
    /// In force.
    Enabled,
    /// In force until it may end.
    EnabledUntilEarliestAllowedEnd,
    /// Not in force.
    Disabled,
}

impl CommitmentStatus {
    /// The service's word for it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::EnabledUntilEarliestAllowedEnd => "ENABLED_UNTIL_EARLIEST_ALLOWED_END",
            Self::Disabled => "DISABLED",
        }
    }
}

impl Commitment {
    /// Where it stands at `now`.
    pub(super) fn status_at(&self, now: Timestamp) -> CommitmentStatus {
        match self.ends_at {
            None => CommitmentStatus::Enabled,
            Some(end) if now < end => CommitmentStatus::EnabledUntilEarliestAllowedEnd,
            Some(_) => CommitmentStatus::Disabled,
        }
    }

    /// The first moment at which it may end.
    pub(super) const fn earliest_allowed_end(&self) -> Timestamp {
        Timestamp(self.started_at.0.saturating_add(limits::COMMITMENT_MS_MIN))
    }
}

impl Account {
    /// That of the caller.
    ///
    /// # Errors
    ///
    /// `InternalFailure` when the document is not one of ours.
    pub(super) fn of(call: &Call<'_>) -> Result<Self, Exception> {
        Self::of_document(call.context.engine.document(&call.namespace).as_deref())
    }

    /// What a namespace's document says.
    ///
    /// # Errors
    ///
    /// `InternalFailure` when the document is not one of ours.
    pub(super) fn of_document(document: Option<&serde_json::Value>) -> Result<Self, Exception> {
        let Some(document) = document else { return Ok(Self::default()) };
        Self::deserialize(document).map_err(|error| failures::internal(&error))
    }

    /// Where its commitment stands at `now`.
    pub(super) fn commitment_at(&self, now: Timestamp) -> CommitmentStatus {
        self.commitment.map_or(CommitmentStatus::Disabled, |it| it.status_at(now))
    }

    /// True when it has the on-demand advantages at `now`.
    pub(super) fn is_committed(&self, now: Timestamp) -> bool {
        self.commitment_at(now) != CommitmentStatus::Disabled
    }

    /// Begins a commitment, or takes its end back.
    pub(super) fn commit(&mut self, now: Timestamp) {
        match &mut self.commitment {
            Some(running) if running.status_at(now) != CommitmentStatus::Disabled => {
                running.ends_at = None;
            }
            _ => self.commitment = Some(Commitment { started_at: now, ends_at: None }),
        }
    }

    /// Ends the commitment as soon as it may end.
    pub(super) fn release(&mut self, now: Timestamp) {
        if let Some(running) = self.commitment.as_mut().filter(|it| it.ends_at.is_none()) {
            running.ends_at = Some(now.max(running.earliest_allowed_end()));
        }
    }

    /// The document to store.
    pub(super) fn to_document(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("numbers fit, so this has a JSON form")
    }

    /// Consumers a stream in `mode` may have, queues included.
    pub(super) fn consumers_max(&self, mode: Mode, now: Timestamp) -> usize {
        match mode {
            Mode::OnDemand if self.is_committed(now) => {
                limits::CONSUMERS_OF_STREAM_MAX_WITH_ADVANTAGE
            }
            Mode::OnDemand | Mode::Provisioned => limits::CONSUMERS_OF_STREAM_MAX,
        }
    }

    /// Shards all on-demand streams may grow to together in `region`.
    pub(super) fn on_demand_shards_max(&self, region: &str, now: Timestamp) -> u32 {
        if self.is_committed(now) {
            limits::WARM_THROUGHPUT_MIBPS_MAX
        } else {
            limits::on_demand_shards_max(region)
        }
    }
}

/// The on-demand streams among `streams`.
pub(super) fn count_on_demand<'a>(streams: impl IntoIterator<Item = &'a Stream>) -> usize {
    streams.into_iter().filter(|stream| Mode::of(stream) == Mode::OnDemand).count()
}

/// Refuses one more on-demand stream besides `others`.
///
/// # Errors
///
/// `LimitExceededException`.
pub(super) fn check_on_demand_quota<'a>(
    call: &Call<'_>,
    others: impl IntoIterator<Item = &'a Stream>,
) -> Result<(), Exception> {
    if count_on_demand(others) < limits::ON_DEMAND_STREAMS_MAX {
        return Ok(());
    }
    Err(unconfirmed::too_many_on_demand(call.account, limits::ON_DEMAND_STREAMS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * 3_600_000;
    const START: Timestamp = Timestamp(1_000);

    const fn hours(hours: u64) -> Timestamp {
        Timestamp(START.0 + hours * 3_600_000)
    }

    #[test]
    fn a_commitment_holds_for_a_day_at_least() {
        let mut account = Account::default();
        assert_eq!(account.commitment_at(START), CommitmentStatus::Disabled);
        account.commit(START);
        assert_eq!(account.commitment_at(START), CommitmentStatus::Enabled);
        account.release(hours(1));
        let until = CommitmentStatus::EnabledUntilEarliestAllowedEnd;
        assert_eq!(account.commitment_at(hours(1)), until);
        assert_eq!(account.commitment_at(Timestamp(START.0 + DAY_MS - 1)), until);
        assert!(account.is_committed(Timestamp(START.0 + DAY_MS - 1)));
        assert_eq!(account.commitment_at(hours(24)), CommitmentStatus::Disabled);
        assert_eq!(account.commitment.unwrap().ends_at, Some(hours(24)));
    }

    #[test]
    fn a_commitment_older_than_a_day_ends_at_once() {
        let mut account = Account::default();
        account.commit(START);
        account.release(hours(30));
        assert_eq!(account.commitment_at(hours(30)), CommitmentStatus::Disabled);
        assert_eq!(account.commitment.unwrap().ends_at, Some(hours(30)));
    }

    #[test]
    fn enabling_again_takes_the_end_back_and_keeps_the_beginning() {
        let mut account = Account::default();
        account.commit(START);
        account.release(hours(1));
        account.commit(hours(2));
        assert_eq!(account.commitment, Some(Commitment { started_at: START, ends_at: None }));
        account.release(hours(3));
        account.release(hours(4));
        assert_eq!(account.commitment.unwrap().ends_at, Some(hours(24)));
        account.commit(hours(25));
        let anew = Commitment { started_at: hours(25), ends_at: None };
        assert_eq!(account.commitment, Some(anew));
    }

    #[test]
    fn an_account_survives_its_document() {
        let mut account = Account::default();
        assert_eq!(Account::of_document(None), Ok(account.clone()));
        assert_eq!(Account::of_document(Some(&serde_json::json!({}))), Ok(account.clone()));
        account.commit(START);
        account.release(START);
        assert_eq!(Account::of_document(Some(&account.to_document())), Ok(account));
    }

    #[test]
    fn the_advantages_are_those_of_on_demand_streams() {
        let mut account = Account::default();
        let consumers = |account: &Account, mode| account.consumers_max(mode, START);
        assert_eq!(consumers(&account, Mode::OnDemand), 20);
        assert_eq!(account.on_demand_shards_max("us-east-1", START), 10_000);
        assert_eq!(account.on_demand_shards_max("eu-north-1", START), 200);
        account.commit(START);
        assert_eq!(consumers(&account, Mode::OnDemand), 50);
        assert_eq!(consumers(&account, Mode::Provisioned), 20);
        assert_eq!(account.on_demand_shards_max("eu-north-1", START), 10_240);
    }
}
