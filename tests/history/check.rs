//! The verdict: all rules over one history, in time that grows with it and not with its square.

use std::fmt;

use super::lineage::Lineage;
use super::log::{self, Entry, Logs};
use super::walks::{Excuses, Judge};
use super::{Fate, History, Moment, Start, Violation, Walk};

/// What a history that breaks no rule was about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records sent.
    pub attempts: usize,
    /// Of them acknowledged.
    pub acknowledged: usize,
    /// Of them refused.
    pub refused: usize,
    /// Of those without an answer, found in the log.
    pub found_unanswered: usize,
    /// Records in all reads.
    pub read: usize,
    /// Iterators.
    pub walks: usize,
    /// Shards that were read or written.
    pub shards: usize,
    /// Starts of the store after the first.
    pub restarts: usize,
    /// Acknowledged records nobody could read that the store had reported lost.
    pub reported_lost: usize,
    /// Acknowledged records that had expired before anybody read them.
    pub expired: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sent, {} acknowledged, {} refused, {} found without an answer; {} read by {} \
             iterators of {} shards; {} restarts, {} reported lost, {} expired",
            self.attempts,
            self.acknowledged,
            self.refused,
            self.found_unanswered,
            self.read,
            self.walks,
            self.shards,
            self.restarts,
            self.reported_lost,
            self.expired
        )
    }
}

/// Checks a history.
///
/// # Errors
///
/// Everything in it that no store may do.
pub fn check(history: &History) -> Result<Summary, Vec<Violation>> {
    let mut found = Vec::new();
    let logs = log::build(history, &mut found);
    let lineage = Lineage::of(history, &mut found);
    let excuses = Excuses::new(history);
    let mut summary = count(history, &logs);
    let mut walks: Vec<&Walk> = history.walks.iter().collect();
    walks.sort_by_key(|walk| walk.shard);
    for (&shard, log) in &logs {
        let first = walks.partition_point(|walk| walk.shard < shard);
        let walks = &walks[first..walks.partition_point(|walk| walk.shard <= shard)];
        let judge = Judge::new(history, &excuses, (shard, log), lineage.children(shard));
        for walk in walks {
            judge.judge(walk, &mut found);
        }
        judge.judge_order(&mut found);
        judge_acknowledged(&judge, walks, &mut summary, &mut found);
    }
    lineage.judge(history, &logs, &mut found);
    if found.is_empty() { Ok(summary) } else { Err(found) }
}

fn count(history: &History, logs: &Logs) -> Summary {
    let mut summary = Summary {
        attempts: history.attempts.len(),
        walks: history.walks.len(),
        shards: logs.len(),
        restarts: history.restarts.len(),
        ..Summary::default()
    };
    for attempt in &history.attempts {
        match attempt.fate {
            Fate::Stored { .. } => summary.acknowledged += 1,
            Fate::Refused { .. } => summary.refused += 1,
            Fate::Unknown => {}
        }
    }
    let steps = history.walks.iter().flat_map(|walk| &walk.steps);
    summary.read = steps.map(|step| step.records.len()).sum();
    let is_unanswered =
        |entry: &&Entry| entry.sent_by.is_some_and(|it| history.attempts[it].fate == Fate::Unknown);
    summary.found_unanswered = logs.values().flatten().filter(is_unanswered).count();
    summary
}

/// Each acknowledged record was read by somebody, and the shard to its end by the last reader.
fn judge_acknowledged(
    judge: &Judge<'_>,
    walks: &[&Walk],
    summary: &mut Summary,
    found: &mut Vec<Violation>,
) {
    let shard = judge.shard;
    let acknowledged = || judge.log.iter().filter_map(|entry| Some((entry, entry.acknowledged?)));
    let answered = |it| log::answered(judge.history, it).unwrap_or(Moment::MAX);
    let Some(latest) = acknowledged().map(|(_, it)| answered(it)).max() else { return };
    let is_whole = |walk: &&&Walk| {
        walk.is_last
            && walk.start == Start::Horizon
            && walk.opened.0 > latest
            && walk.steps.last().is_some_and(|step| step.is_caught_up || step.end.is_some())
    };
    let Some(last) = walks.iter().find(is_whole).and_then(|walk| walk.steps.last()) else {
        found.push(Violation::NotReadToTheEnd { shard });
        return;
    };
    for (entry, attempt) in acknowledged().filter(|(entry, _)| entry.seen.is_none()) {
        let number = entry.number;
        if judge.excuses.is_reported(shard, number) {
            summary.reported_lost += 1;
        } else if judge.excuses.has_expired(judge.history.attempts[attempt].sent_ms, last) {
            summary.expired += 1;
        } else {
            found.push(Violation::Lost { shard, number });
        }
    }
}
