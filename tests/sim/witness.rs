//! Sees which of the rare situations of `situations` a simulation meets. It looks and counts, draws
//! nothing and calls nothing that a story could notice.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use kinelog_engine::Engine;
use kinelog_engine::device::Clock;
use kinelog_engine::device::simulated::{Fault, Operation};
use kinelog_engine::types::{Ordinal, Shard, Stream, Timestamp};

use super::shared::Shared;
use super::story::{End, Step};
use super::world::World;
use crate::history::{Fate, History};

/// What is done between steps, and by those that only let something come.
pub(super) const NOTHING: &str = "nothing asked for";
const RESTART: &str = "a restart";
/// Unsynced changes that are many for one power cut.
const MANY_AT_RISK: u32 = 50;
/// Groups that are many for one start.
const MANY_GROUPS: u64 = 20;

/// How things stood before a step.
pub(super) struct Before {
    faults: BTreeMap<(Operation, Fault), u64>,
}

/// What a step asks for.
const fn name_of(step: &Step) -> &'static str {
    match step {
        Step::Send { .. } | Step::SendClosed { .. } => "appends",
        Step::Read { .. } | Step::Follow { .. } => "a read",
        Step::Split { .. } => "a split",
        Step::Merge { .. } => "a merge",
        Step::Retain { .. } => "a change of retention",
        Step::Sweep => "a sweep",
        Step::Pass(_) => "a pause",
        Step::Jump(_) => "a jump of the clock",
        Step::Checkpoint => "a checkpoint",
        Step::Restart(_) => RESTART,
        Step::Damage { .. } => "damage",
        Step::Fail { .. }
        | Step::FailStart { .. }
        | Step::Crash { .. }
        | Step::Fill { .. }
        | Step::Free => NOTHING,
    }
}

const fn name_of_end(end: End) -> &'static str {
    match end {
        End::Close => "closed",
        End::Drop => "dropped",
        End::Kill => "killed",
        End::Cut(_) => "cut",
    }
}

impl Shared {
    /// Counts what came while something else was done.
    pub(super) fn count_during(&self, what: &str) {
        let doing = self.doing.get();
        if !matches!(doing, "appends" | "a read" | RESTART | "damage" | NOTHING) {
            self.count(format!("{what}: during {doing}"));
        }
    }

    pub(super) fn count_if(&self, is_met: bool, what: impl Into<String>) {
        if is_met {
            self.count(what);
        }
    }
}

impl World {
    /// Looks before a step.
    pub(super) fn look_before(&self, step: &Step) -> Before {
        self.shared.doing.set(name_of(step));
        match *step {
            Step::Jump(ms) => self.see_jump(ms),
            Step::Checkpoint => self.see_checkpoint(),
            Step::Fill { left } => {
                self.shared.count_if(left == 0, "disk: filled to the last byte");
                self.shared.count_if(self.is_appending(), "disk: filled with appends on their way");
            }
            Step::Free => {
                self.shared.count_if(self.is_full(), "disk: freed when writes were refused");
            }
            Step::Retain { hours } => self.see_retention(hours),
            Step::Send { .. }
            | Step::Read { .. }
            | Step::Follow { .. }
            | Step::Split { .. }
            | Step::Merge { .. }
            | Step::Sweep
            | Step::Pass(_)
            | Step::Restart(_)
            | Step::Fail { .. }
            | Step::FailStart { .. }
            | Step::SendClosed { .. }
            | Step::Crash { .. }
            | Step::Damage { .. } => {}
        }
        Before { faults: self.disk.faults_met() }
    }

    /// Looks after it, before anything is done about what went wrong.
    pub(super) fn look_after(&mut self, step: &Step, before: &Before) {
        let doing = name_of(step);
        if !self.disk.is_powered() {
            self.shared.count(format!("crash: during {doing}"));
        }
        self.last = doing;
        // A restart is over another disk.
        if doing != RESTART {
            self.see_faults(before);
        }
    }

    /// Faults that came together.
    fn see_faults(&self, before: &Before) {
        const PAIRS: &[(Fault, Fault, &str)] = &[
            (Fault::Io, Fault::PowerOff, "an error and a power cut"),
            (Fault::Full, Fault::PowerOff, "a full disk and a power cut"),
            (Fault::LosePages, Fault::PowerOff, "lost pages and a power cut"),
            (Fault::Stall, Fault::PowerOff, "a stall and a power cut"),
            (Fault::Io, Fault::LosePages, "an error and lost pages"),
            (Fault::Io, Fault::Full, "an error and a full disk"),
            (Fault::Io, Fault::Stall, "an error and a stall"),
            (Fault::Full, Fault::LosePages, "a full disk and lost pages"),
            (Fault::Full, Fault::Stall, "a full disk and a stall"),
            (Fault::LosePages, Fault::Stall, "lost pages and a stall"),
        ];
        let met = self.disk.faults_met();
        let new = met.iter().filter_map(|(kind, times)| {
            let times = times - before.faults.get(kind).copied().unwrap_or(0).min(*times);
            (times > 0).then_some((kind, times))
        });
        let new: Vec<_> = new.collect();
        let kinds: BTreeSet<_> = new.iter().map(|((_, fault), _)| *fault).collect();
        for (one, other, name) in PAIRS {
            let are_both = kinds.contains(one) && kinds.contains(other);
            self.shared.count_if(are_both, format!("faults: {name}"));
        }
        self.shared.count_if(kinds.len() > 2, "faults: three kinds in one step");
        let is_again = new.iter().any(|((_, fault), times)| *fault == Fault::Io && *times > 1);
        self.shared.count_if(is_again, "faults: one kind of call failed again and again");
        let is_again =
            new.iter().any(|((_, fault), times)| *fault == Fault::LosePages && *times > 1);
        self.shared.count_if(is_again, "faults: two syncs lost pages");
    }

    fn see_jump(&self, ms: i64) {
        let now = self.shared.clock.now();
        let then = Timestamp(now.0.saturating_add_signed(ms));
        let way = if ms < 0 { "back" } else { "ahead" };
        let count_if = |is_met, what| self.shared.count_if(is_met, format!("clock: {way} {what}"));
        count_if(self.is_appending(), "with appends on their way");
        count_if(self.is_followed(None), "while somebody follows");
        let Some(stream) = self.stream() else { return };
        let (low, high) = (now.min(then), now.max(then));
        let ends = |it: &Arc<Shard>| {
            it.closed.is_none() && it.arrivals_until.is_some_and(|at| low < at && at < high)
        };
        count_if(stream.shards.iter().any(ends), "over an end of arrivals");
        let last = self.last_arrival(&stream.shards);
        count_if(ms < 0 && last > then, "behind the last arrival");
        let youngest = stream.shards.iter().map(|it| it.created_seconds).max().unwrap_or(0);
        count_if(ms < 0 && youngest * 1_000 > then.0, "behind the creation of a shard");
        let has_expired = last.0 > 0 && stream.horizon(now) <= last && last < stream.horizon(then);
        count_if(has_expired, "past the retention of all records");
    }

    fn see_checkpoint(&self) {
        self.shared.count_if(self.is_appending(), "checkpoint: with appends on their way");
        self.shared.count_if(self.last == "a checkpoint", "checkpoint: right after another");
        self.shared.count_if(self.last == RESTART, "checkpoint: right after a start");
        self.shared.count_if(self.is_followed(None), "checkpoint: while somebody follows");
        self.shared.count_if(self.is_full(), "checkpoint: on a full disk");
    }

    fn see_retention(&self, hours: u32) {
        let before = &self.settings.acknowledged;
        let now = self.shared.clock.now();
        let (old, new) = (
            before.horizon(now),
            Stream { retention_hours: hours, ..(**before).clone() }.horizon(now),
        );
        let shards = self.shared.shards.borrow();
        let lasts = || shards.values().map(|known| known.last_arrival).filter(|at| at.0 > 0);
        let is_longer = hours > before.retention_hours;
        let is_shorter = hours < before.retention_hours;
        self.shared.count_if(is_longer, "retention: longer");
        self.shared.count_if(is_shorter, "retention: shorter");
        let were_gone = lasts().any(|at| at < old);
        self.shared.count_if(is_longer && were_gone, "retention: longer when records had expired");
        let go = lasts().any(|at| old <= at && at < new);
        self.shared.count_if(is_shorter && go, "retention: shorter so that records expire at once");
        self.shared.count_if(self.is_appending(), "retention: changed with appends on their way");
    }

    /// Looks before shards are closed.
    pub(super) fn see_reshard(&self, engine: &Engine, parents: &[Arc<Shard>]) {
        let kind = if parents.len() == 1 { "split" } else { "merge" };
        let count_if = |is_met, what| self.shared.count_if(is_met, format!("{kind}: {what}"));
        let any = |is: &dyn Fn(&Arc<Shard>) -> bool| parents.iter().any(is);
        let now = self.shared.clock.now();
        let horizon = self.settings.acknowledged.horizon(now);
        let last = |it: &Arc<Shard>| self.last_arrival(std::slice::from_ref(it));
        count_if(any(&|it| engine.end(it) == Some(Ordinal::FIRST)), "of a shard without records");
        count_if(any(&|it| !it.parents.is_empty()), "of a shard that came out of another");
        count_if(any(&|it| self.is_followed(Some(it))), "of a shard that is followed");
        count_if(any(&|it| last(it) > now), "of a shard with records of the future");
        count_if(
            any(&|it| last(it).0 > 0 && last(it) < horizon),
            "of a shard whose records have expired",
        );
        count_if(
            any(&|it| it.arrivals_until.is_some_and(|at| at <= now)),
            "after the end of arrivals",
        );
        count_if(
            any(&|it| it.arrivals_until.is_some_and(|at| at > now)),
            "before the end of arrivals",
        );
        count_if(self.is_appending(), "with appends on their way");
        count_if(self.is_full(), "on a full disk");
        if let [one, other] = parents {
            count_if(
                !one.parents.is_empty() && one.parents == other.parents,
                "of two that were one",
            );
            count_if(one.created_seconds != other.created_seconds, "of shards of different age");
        }
    }

    /// Looks at what a sweep has done since there were so many expired segments.
    pub(super) fn see_sweep(
        &self,
        engine: &Engine,
        before: &Stream,
        segments: u64,
        horizon: Timestamp,
    ) {
        let went = engine.metrics().expired_segments.get() > segments;
        self.shared.count_if(went, "sweep: segments went");
        self.shared.count_if(!went, "sweep: nothing went");
        self.shared.count_if(self.is_followed(None), "sweep: while somebody follows");
        let after = self.stream().map_or(0, |stream| stream.shards.len());
        self.shared.count_if(after < before.shards.len(), "sweep: a shard went");
        let has_expired = |it: &Arc<Shard>| {
            let last = self.last_arrival(std::slice::from_ref(it));
            it.closed.is_none() && last.0 > 0 && last < horizon
        };
        self.shared.count_if(
            before.shards.iter().any(has_expired),
            "sweep: all records of an open shard went",
        );
    }

    /// Looks at damage that was just done, which `damaged` does not name yet.
    pub(super) fn see_damage(&self) {
        self.shared.count_if(self.is_appending(), "damage: with appends on their way");
        self.shared.count_if(self.is_followed(None), "damage: while somebody follows");
        self.shared.count_if(!self.damaged.is_empty(), "damage: to another kind of file as well");
        self.shared.count_if(self.flips.len() > 1, "damage: to records again");
        self.shared.count_if(self.flips_cost_max().is_none(), "damage: two flips in one place");
    }

    /// Looks at writes that have stopped.
    pub(super) fn see_stop(&self, reason: &str) {
        self.shared.count(format!("stop: during {}", self.shared.doing.get()));
        self.shared.count_if(self.is_appending(), "stop: with appends on their way");
        self.shared.count_if(self.is_followed(None), "stop: while somebody follows");
        let files = [
            (".seg", "a segment"),
            (".log", "the log"),
            ("manifest.", "a manifest"),
            ("catalog.", "the catalogue"),
        ];
        let file = files.iter().find(|(part, _)| reason.contains(part));
        let name = file.map_or("another call", |(_, name)| name);
        self.shared.count(format!("stop: {name} failed"));
        self.shared.doing.set(NOTHING);
    }

    /// Looks at a store that is about to end.
    pub(super) fn see_end(&self, end: End) {
        self.shared.doing.set(RESTART);
        let how = name_of_end(end);
        let count_if =
            |is_met, what: &str| self.shared.count_if(is_met, format!("end: {how} {what}"));
        count_if(self.is_appending(), "with appends on their way");
        count_if(self.is_followed(None), "while somebody follows");
        count_if(self.is_full(), "on a full disk");
        count_if(self.engine().is_some_and(|it| it.stopped().is_some()), "after writes stopped");
        if !self.disk.is_powered() || !matches!(end, End::Cut(_) | End::Kill) {
            return;
        }
        let at_risk = self.disk.changes_at_risk();
        count_if(at_risk == 0, "when all was synced");
        count_if(at_risk >= MANY_AT_RISK, "when much was not synced");
        let is_told = !matches!(self.last, NOTHING | "damage" | "a read" | "a pause");
        count_if(is_told, &format!("right after {}", self.last));
    }

    /// Looks at a start that has succeeded, after so many that have not.
    pub(super) fn see_start(&self, engine: &Engine, found: &Stream, failed: u32) {
        let count_if = |is_met, what| self.shared.count_if(is_met, format!("start: {what}"));
        count_if(failed == 1, "the second one succeeded");
        count_if(failed == 2, "the third one succeeded");
        count_if(failed > 2, "it succeeded once nothing failed any more");
        let metrics = engine.metrics();
        count_if(metrics.replayed_groups.get() == 0, "the log was empty");
        count_if(metrics.replayed_groups.get() >= MANY_GROUPS, "many groups in the log");
        count_if(metrics.damaged_ranges.get() > 0, "damage in the log");
        count_if(metrics.repaired_bits.get() > 0, "a flipped bit was repaired");
        count_if(metrics.rebuilt_indexes.get() > 0, "an index was rebuilt");
        count_if(engine.stopped().is_some(), "writes stopped at once");
        let now = self.shared.clock.now();
        let last = self.last_arrival(&found.shards);
        count_if(last > now, "the clock stood behind the last arrival");
        count_if(last.0 > 0 && last < found.horizon(now), "all records had expired");
        self.see_shards_found(engine, found, now);
        self.see_unanswered(found);
    }

    fn see_shards_found(&self, engine: &Engine, found: &Stream, now: Timestamp) {
        let count_if = |is_met, what| self.shared.count_if(is_met, format!("start: {what}"));
        let any = |is: &dyn Fn(&Arc<Shard>) -> bool| found.shards.iter().any(is);
        let is_open = |it: &Arc<Shard>| it.closed.is_none();
        let is_empty = |it: &Arc<Shard>| engine.end(it) == Some(Ordinal::FIRST);
        count_if(
            any(&|it| is_open(it) && it.arrivals_until.is_some_and(|at| at > now)),
            "an end of arrivals to come",
        );
        count_if(
            any(&|it| is_open(it) && it.arrivals_until.is_some_and(|at| at <= now)),
            "an end of arrivals that had passed",
        );
        count_if(any(&|it| !is_open(it) && is_empty(it)), "a closed shard without records");
        count_if(any(&|it| !is_open(it) && !is_empty(it)), "a closed shard with records");
        let is_orphan =
            |it: &Arc<Shard>| it.parents.iter().any(|parent| found.shard(*parent).is_none());
        count_if(any(&is_orphan), "a shard whose parents had gone");
    }

    /// Looks at changes that nobody was told of.
    fn see_unanswered(&self, found: &Stream) {
        let before = &self.settings.acknowledged;
        if found.attributes == before.attributes {
            return;
        }
        let count_if =
            |is_met, what| self.shared.count_if(is_met, format!("start: {what} without an answer"));
        count_if(found.next_shard_index > before.next_shard_index, "a reshard");
        count_if(found.retention_hours != before.retention_hours, "a change of retention");
        let limits =
            |stream: &Stream| stream.shards.iter().filter(|it| it.arrivals_until.is_some()).count();
        count_if(limits(found) > limits(before), "an end of arrivals");
    }

    fn stream(&self) -> Option<Arc<Stream>> {
        self.engine()?.stream(&super::clients::key())
    }

    fn is_appending(&self) -> bool {
        self.pending.iter().any(|append| !append.is_finished())
    }

    /// True when somebody follows a shard, or this one.
    fn is_followed(&self, shard: Option<&Arc<Shard>>) -> bool {
        let is_it = |index| shard.is_none_or(|shard| shard.index == index);
        self.followers.iter().any(|it| is_it(it.shard.index) && !it.task.is_finished())
    }

    fn is_full(&self) -> bool {
        self.engine().is_some_and(|engine| engine.metrics().disk_full.get() == 1)
    }
}

/// Counts what became of records whose writers were not told.
pub(super) fn see_unanswered_records(shared: &Shared, history: &History) {
    let unknown: Vec<_> = history.attempts.iter().filter(|it| it.fate == Fate::Unknown).collect();
    if unknown.is_empty() {
        return;
    }
    let steps = history.walks.iter().flat_map(|walk| &walk.steps);
    let read: HashSet<_> = steps.flat_map(|step| &step.records).map(|it| &it.content).collect();
    for attempt in unknown {
        let is_there = read.contains(&attempt.content);
        shared.count(if is_there { "unanswered: stored" } else { "unanswered: not stored" });
    }
}
