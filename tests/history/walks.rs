//! Every iterator against the log of its shard: where it begins, that it neither skips nor repeats,
//! that an end is one.

use super::log::{Entry, answered};
use super::{Damage, History, Moment, Number, ShardId, Start, Step, Violation, Walk};

/// What may be missing from a read: what was reported lost, and what has expired.
pub(super) struct Excuses<'a> {
    damage: &'a [Damage],
    /// The shortest retention there has been from each moment on.
    shortest: Vec<(Moment, u64)>,
}

impl<'a> Excuses<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        let mut shortest: Vec<(Moment, u64)> = Vec::new();
        for retention in &history.retentions {
            let ms = shortest.last().map_or(retention.ms, |(_, before)| retention.ms.min(*before));
            shortest.push((retention.from, ms));
        }
        Self { damage: &history.damage, shortest }
    }

    /// Whether the store said that this is lost.
    pub(super) fn is_reported(&self, shard: ShardId, number: Number) -> bool {
        self.damage.iter().any(|damage| {
            damage.shard == shard && damage.numbers.0 <= number && number <= damage.numbers.1
        })
    }

    /// Whether what arrived at `arrival_ms` or later may be gone for good when `step` comes.
    pub(super) fn has_expired(&self, arrival_ms: u64, step: &Step) -> bool {
        let until = self.shortest.partition_point(|(from, _)| *from < step.answered);
        let shortest = until.checked_sub(1).map(|last| self.shortest[last].1);
        shortest.is_some_and(|ms| arrival_ms.saturating_add(ms) <= step.clock_ms)
    }
}

/// The log of one shard, ready for its walks.
pub(super) struct Judge<'a> {
    pub(super) history: &'a History,
    pub(super) excuses: &'a Excuses<'a>,
    pub(super) shard: ShardId,
    pub(super) log: &'a [Entry],
    /// For each entry the earliest moment at which it or one behind it had to be given.
    known_from: Vec<Moment>,
    /// Whether hash keys and children are known.
    children: Option<Vec<ShardId>>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        history: &'a History,
        excuses: &'a Excuses<'a>,
        (shard, log): (ShardId, &'a [Entry]),
        children: Option<Vec<ShardId>>,
    ) -> Self {
        let mut known_from = vec![Moment::MAX; log.len() + 1];
        for (at, entry) in log.iter().enumerate().rev() {
            // What nobody was ever given is reported as lost, once.
            let known = entry.seen.as_ref().map_or(Moment::MAX, |_| entry.known(history));
            known_from[at] = known_from[at + 1].min(known);
        }
        Self { history, excuses, shard, log, known_from, children }
    }

    /// The first entry a walk may give.
    fn begin(&self, start: &Start) -> usize {
        match start {
            Start::Horizon | Start::Latest => 0,
            Start::At(number) => self.log.partition_point(|entry| entry.number < *number),
            Start::After(number) => self.log.partition_point(|entry| entry.number <= *number),
            Start::AtTime(ms) => {
                let is_in_time = |entry: &Entry| entry.seen.as_ref().is_some_and(|it| it.0 >= *ms);
                self.log.iter().position(is_in_time).unwrap_or(self.log.len())
            }
        }
    }

    /// Whether a walk that has passed or reached this entry had to give it at `step`.
    fn is_owed(&self, entry: &Entry, walk: &Walk, has_begun: bool, step: &Step) -> bool {
        let Some((arrival_ms, _)) = entry.seen else { return false };
        if walk.start == Start::Latest && !has_begun {
            let sent = entry.sent_by.map(|it| self.history.attempts[it].sent);
            if sent.is_none_or(|sent| sent < walk.opened.1) {
                return false;
            }
        }
        !self.excuses.is_reported(self.shard, entry.number)
            && !self.excuses.has_expired(arrival_ms, step)
    }

    pub(super) fn judge(&self, walk: &Walk, found: &mut Vec<Violation>) {
        let shard = self.shard;
        let (mut at, mut last, mut has_ended) = (self.begin(&walk.start), None, false);
        for step in &walk.steps {
            if has_ended {
                found.push(Violation::ReadAfterEnd { shard });
            }
            for record in &step.records {
                let number = record.number;
                if let Some(before) = last.filter(|before| number <= *before) {
                    found.push(if number == before {
                        Violation::Repeated { shard, number }
                    } else {
                        Violation::OutOfOrder { shard, before, number }
                    });
                    continue;
                }
                let here = self.log.partition_point(|entry| entry.number < number);
                if last.is_none() && self.is_before_start(here, at, walk) {
                    found.push(Violation::BeganEarly { shard, number });
                }
                for skipped in &self.log[at.min(here)..here] {
                    if self.is_owed(skipped, walk, last.is_some(), step) {
                        found.push(self.missing(skipped.number, walk, last.is_some()));
                    }
                }
                (at, last) = (here + 1, Some(number));
            }
            self.judge_end(walk, step, at, last.is_some(), found);
            has_ended |= step.end.is_some();
        }
    }

    fn is_before_start(&self, here: usize, begin: usize, walk: &Walk) -> bool {
        let is_old = || self.log[here].known(self.history) < walk.opened.0;
        here < begin || walk.start == Start::Latest && is_old()
    }

    fn missing(&self, number: Number, walk: &Walk, has_begun: bool) -> Violation {
        let shard = self.shard;
        if walk.is_last {
            return Violation::ReadThenLost { shard, number };
        }
        if has_begun {
            return Violation::Skipped { shard, number };
        }
        if walk.start == Start::Horizon && !self.history.retentions.is_empty() {
            return Violation::TrimmedEarly { shard, number };
        }
        Violation::BeganLate { shard, number }
    }

    /// What a step says of the rest of the log, which begins at `at`.
    fn judge_end(
        &self,
        walk: &Walk,
        step: &Step,
        at: usize,
        has_begun: bool,
        found: &mut Vec<Violation>,
    ) {
        let shard = self.shard;
        let rest = &self.log[at..];
        if let Some(named) = &step.end {
            let is_owed = |entry: &&Entry| self.is_owed(entry, walk, has_begun, step);
            if let Some(entry) = rest.iter().find(is_owed) {
                found.push(Violation::EndedEarly { shard, number: entry.number });
            }
            let mut named = named.clone();
            named.sort_unstable();
            if let Some(listed) = self.children.as_ref().filter(|listed| **listed != named) {
                found.push(Violation::WrongChildren { shard, named, listed: listed.clone() });
            }
        } else if step.is_caught_up && self.known_from[at] < step.asked {
            let is_owed = |entry: &&Entry| {
                entry.known(self.history) < step.asked && self.is_owed(entry, walk, has_begun, step)
            };
            if let Some(entry) = rest.iter().find(is_owed) {
                let number = entry.number;
                found.push(if walk.is_last {
                    Violation::ReadThenLost { shard, number }
                } else {
                    Violation::Behind { shard, number, asked: step.asked }
                });
            }
        }
    }

    /// What holds of the shard's records whoever reads: arrival never falls, and what was sent
    /// after another was acknowledged stands behind it.
    pub(super) fn judge_order(&self, found: &mut Vec<Violation>) {
        let shard = self.shard;
        let mut highest = 0;
        for entry in self.log {
            let Some((arrival_ms, _)) = entry.seen else { continue };
            if arrival_ms < highest {
                found.push(Violation::ArrivalFell { shard, number: entry.number });
            }
            highest = highest.max(arrival_ms);
        }
        let mut earliest = (Moment::MAX, Number::from(0));
        for entry in self.log.iter().rev() {
            let Some(attempt) = entry.sent_by.or(entry.acknowledged) else { continue };
            if self.history.attempts[attempt].sent > earliest.0 {
                let (number, later) = (entry.number, earliest.1);
                found.push(Violation::OrderOfTime { shard, number, later });
            }
            if let Some(at) = answered(self.history, attempt).filter(|at| *at < earliest.0) {
                earliest = (at, entry.number);
            }
        }
    }
}
