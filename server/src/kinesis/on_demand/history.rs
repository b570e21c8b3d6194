//! What an on-demand stream's writes have needed: durably for the days that count, and in memory for
//! the last minutes, which do not count yet.

use std::collections::HashMap;

use kinelog_engine::types::{ShardUid, Timestamp};
use serde::{Deserialize, Serialize};

use crate::limits;

const DAY_MS: u64 = 24 * 3_600_000;

/// Shards that carry `load` at half of what they can.
pub(super) fn shards_for(load: u64) -> u32 {
    u32::try_from(load.div_ceil(limits::ON_DEMAND_LOAD_MAX)).unwrap_or(u32::MAX)
}

/// What is kept with the stream: a number for each day that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in super::super) struct History {
    /// Days since the epoch on which more shards than the fewest were needed, and how many.
    days: Vec<(u64, u32)>,
    /// When the stream grew last, until it may shrink again.
    grown_at: Option<Timestamp>,
}

impl History {
    /// That of a stream which has `shards` when it becomes on-demand, and keeps them at first.
    pub(in super::super) fn beginning(now: Timestamp, shards: u32) -> Self {
        let mut history = Self::default();
        history.note(now, shards);
        history
    }

    /// Notes that `shards` were needed at `at`, and forgets the days that count no more by then.
    pub(in super::super) fn note(&mut self, at: Timestamp, shards: u32) {
        self.days.retain(|(day, _)| counts(*day, at));
        if shards <= limits::ON_DEMAND_SHARDS {
            return;
        }
        let day = at.0 / DAY_MS;
        match self.days.iter_mut().find(|(known, _)| *known == day) {
            Some((_, most)) => *most = shards.max(*most),
            None => self.days.push((day, shards)),
        }
    }

    /// The most shards needed on the days that count at `now`.
    pub(in super::super) fn need(&self, now: Timestamp) -> u32 {
        let days = self.days.iter().filter(|(day, _)| counts(*day, now));
        days.fold(limits::ON_DEMAND_SHARDS, |most, (_, shards)| most.max(*shards))
    }

    /// Notes that the stream grows at `now`.
    pub(in super::super) fn grow(&mut self, now: Timestamp) {
        self.grown_at = Some(now);
    }

    /// Lets the stream shrink although it has grown of late.
    pub(in super::super) fn release(&mut self) {
        self.grown_at = None;
    }

    /// True when the stream has not grown for so long that it may shrink at `now`.
    pub(in super::super) fn may_shrink(&self, now: Timestamp) -> bool {
        self.grown_at.is_none_or(|at| now.since(at) >= limits::ON_DEMAND_SHRINK_MS)
    }
}

/// True while what was needed on `day` counts: for as many days after it.
const fn counts(day: u64, now: Timestamp) -> bool {
    (now.0 / DAY_MS).saturating_sub(day) <= limits::ON_DEMAND_MEMORY_DAYS
}

/// What the last measurements of a stream showed. It is lost with a restart, which makes growth wait
/// anew.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Shards needed, oldest first, each with the beginning of its measurement.
    needs: Vec<(Timestamp, u32)>,
    /// Since when each shard has carried more than it should, without a break.
    hot_since: HashMap<ShardUid, Timestamp>,
}

impl Recent {
    /// Takes in a measurement that began at `from`: the load of each shard of the stream.
    pub(super) fn note(&mut self, from: Timestamp, loads: &[(ShardUid, u64)]) {
        let total = loads.iter().map(|(_, load)| load).sum();
        self.needs.push((from, shards_for(total)));
        let hot = loads.iter().filter(|(_, load)| *load > limits::ON_DEMAND_LOAD_MAX);
        let since = |shard: &ShardUid| self.hot_since.get(shard).copied().unwrap_or(from);
        self.hot_since = hot.map(|(shard, _)| (*shard, since(shard))).collect();
    }

    /// Notes in `history` what began `lag_ms` ago or earlier: it counts from now on.
    pub(super) fn settle(&self, history: &mut History, now: Timestamp, lag_ms: u64) {
        for (from, shards) in self.needs.iter().filter(|(from, _)| now.since(*from) >= lag_ms) {
            history.note(*from, *shards);
        }
    }

    /// Forgets what `settle` has noted, once that is durable.
    pub(super) fn forget_settled(&mut self, now: Timestamp, lag_ms: u64) {
        self.needs.retain(|(from, _)| now.since(*from) < lag_ms);
    }

    /// True when the shard has been too loaded for `lag_ms`.
    pub(super) fn is_hot(&self, shard: ShardUid, now: Timestamp, lag_ms: u64) -> bool {
        self.hot_since.get(&shard).is_some_and(|since| now.since(*since) >= lag_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG_MS: u64 = 900_000;
    const NOON: Timestamp = Timestamp(20_000 * DAY_MS + DAY_MS / 2);

    const fn after_days(days: u64) -> Timestamp {
        Timestamp(NOON.0 + days * DAY_MS)
    }

    #[test]
    fn a_load_needs_twice_the_shards_it_would_fill() {
        for (load, shards) in [(0, 0), (1, 1), (500, 1), (501, 2), (2000, 4), (2001, 5)] {
            assert_eq!(shards_for(load), shards);
        }
        assert_eq!(shards_for(u64::MAX), u32::MAX);
    }

    #[test]
    fn the_highest_need_of_thirty_days_counts() {
        let mut history = History::default();
        assert_eq!(history.need(NOON), 4);
        history.note(NOON, 9);
        history.note(NOON, 7);
        history.note(after_days(1), 6);
        history.note(after_days(2), 3);
        assert_eq!(history.need(NOON), 9);
        assert_eq!(history.need(after_days(30)), 9);
        assert_eq!(history.need(after_days(31)), 6);
        assert_eq!(history.need(after_days(32)), 4);
    }

    #[test]
    fn no_more_is_kept_than_counts() {
        let mut history = History::default();
        for day in 0..100 {
            history.note(after_days(day), 5);
        }
        assert_eq!(history.days.len(), 31);
        history.note(after_days(200), 1);
        assert_eq!(history, History::default());
    }

    #[test]
    fn a_stream_shrinks_a_day_after_it_grew_or_when_it_is_released() {
        let mut history = History::default();
        assert!(history.may_shrink(NOON));
        history.grow(NOON);
        assert!(!history.may_shrink(Timestamp(after_days(1).0 - 1)));
        assert!(history.may_shrink(after_days(1)));
        history.release();
        assert!(history.may_shrink(NOON));
    }

    #[test]
    fn what_is_recent_does_not_count_yet() {
        let (mut recent, mut history) = (Recent::default(), History::default());
        let minute = |n: u64| Timestamp(NOON.0 + n * 60_000);
        recent.note(minute(0), &[(ShardUid(1), 2000), (ShardUid(2), 1500)]);
        recent.note(minute(1), &[(ShardUid(1), 9000)]);
        recent.settle(&mut history, Timestamp(minute(15).0 - 1), LAG_MS);
        assert_eq!(history.need(minute(15)), 4);
        recent.settle(&mut history, minute(15), LAG_MS);
        assert_eq!(history.need(minute(15)), 7);
        recent.forget_settled(minute(15), LAG_MS);
        assert_eq!(recent.needs, [(minute(1), 18)]);
        recent.settle(&mut history, minute(16), LAG_MS);
        assert_eq!(history.need(minute(16)), 18);
        recent.forget_settled(minute(16), LAG_MS);
        assert!(recent.needs.is_empty());
    }

    #[test]
    fn a_shard_is_hot_when_it_was_so_all_the_time() {
        let mut recent = Recent::default();
        let minute = |n: u64| Timestamp(NOON.0 + n * 60_000);
        let shard = ShardUid(1);
        for n in 0..15 {
            assert!(!recent.is_hot(shard, minute(n), LAG_MS));
            recent.note(minute(n), &[(shard, 501), (ShardUid(2), 500)]);
        }
        assert!(recent.is_hot(shard, minute(15), LAG_MS));
        assert!(!recent.is_hot(ShardUid(2), minute(15), LAG_MS));
        recent.note(minute(15), &[(shard, 500)]);
        recent.note(minute(16), &[(shard, 501)]);
        assert!(!recent.is_hot(shard, minute(30), LAG_MS));
        assert!(recent.is_hot(shard, minute(31), LAG_MS));
    }
}
