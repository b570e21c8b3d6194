//! A planned change of a stream's shards: steps, each in a second of its own.
//!
//! The plan stands in the stream's document from the change on that puts the stream into UPDATING.
//! In the second in which a step begins, its new shards take the place of their parents, which have
//! no record after the second before. Callers may be shown a step up to a second ahead of that:
//! records still go to the parents then, although their end and their children are known.

use std::sync::Arc;

use kinelog_engine::types::{
    HashKeyRange, NewShard, Ordinal, Reshard, Shard, ShardEnd, ShardIndex, ShardUid, Stream,
    StreamChange, Timestamp,
};
use serde::{Deserialize, Serialize};

/// Shards that give way to others with the same hash keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Swap {
    close: Vec<ShardIndex>,
    open: Vec<HashKeyRange>,
}

impl Swap {
    /// `shard` gives way to two; the upper one starts with the hash key `at`.
    pub(super) fn split(shard: ShardIndex, range: HashKeyRange, at: u128) -> Self {
        let HashKeyRange { start, end } = range;
        let lower = HashKeyRange { start, end: at.saturating_sub(1) };
        Self { close: vec![shard], open: vec![lower, HashKeyRange { start: at, end }] }
    }

    /// Two neighbours, the lower one first, give way to one.
    pub(super) fn merge(
        lower: (ShardIndex, HashKeyRange),
        upper: (ShardIndex, HashKeyRange),
    ) -> Self {
        let range = HashKeyRange { start: lower.1.start, end: upper.1.end };
        Self { close: vec![lower.0, upper.0], open: vec![range] }
    }

    /// The shards that give way.
    pub(super) fn closed(&self) -> impl Iterator<Item = ShardIndex> {
        self.close.iter().copied()
    }

    /// The ranges of the shards that take over.
    pub(super) fn opened(&self) -> impl Iterator<Item = HashKeyRange> {
        self.open.iter().copied()
    }
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    /// From then on callers see it.
    shown_from: Timestamp,
    /// The second in which the new shards begin.
    begins_seconds: u64,
    swaps: Vec<Swap>,
}

/// When a step comes; read without the rest of it.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Times {
    shown_from: Timestamp,
    begins_seconds: u64,
}

impl Times {
    fn of_next_step(stream: &Stream) -> Option<Self> {
        Self::deserialize(stream.attributes.get("reshard")?.get(0)?).ok()
    }
}

/// When the next step of the stream's plan begins.
pub(super) fn next_begins(stream: &Stream) -> Option<Timestamp> {
    Times::of_next_step(stream).map(|times| start_of(times.begins_seconds))
}

/// True when callers see a step of the stream's plan before it begins.
pub(super) fn is_shown_ahead(stream: &Stream, now: Timestamp) -> bool {
    Times::of_next_step(stream).is_some_and(|times| times.shown_from <= now)
}

/// Puts the steps into consecutive seconds: all of them after the second `after`, and the last one
/// not before `due` has passed. Callers see the last one from `due` on, if it is next by then, and
/// the others when they begin.
pub(super) fn schedule(steps: Vec<Vec<Swap>>, after: u64, due: Timestamp) -> Vec<Step> {
    let count = steps.len() as u64;
    let last = (due.seconds() + 1).max(after + count);
    let mut scheduled: Vec<_> = (last + 1 - count..)
        .zip(steps)
        .map(|(begins_seconds, swaps)| Step {
            shown_from: start_of(begins_seconds),
            begins_seconds,
            swaps,
        })
        .collect();
    if let Some(step) = scheduled.last_mut() {
        step.shown_from = due.max(start_of(last - 1));
    }
    scheduled
}

/// Ends the arrivals of the shards that `steps` close, as far as `is_there` tells that they exist.
pub(super) fn end_arrivals(
    steps: &[Step],
    is_there: impl Fn(ShardIndex) -> bool,
) -> impl Iterator<Item = StreamChange> {
    steps.iter().filter_map(move |step| {
        let closed = step.swaps.iter().flat_map(|swap| &swap.close).copied();
        let closed: Vec<_> = closed.filter(|shard| is_there(*shard)).collect();
        (!closed.is_empty()).then(|| StreamChange::ArrivalsUntil(closed, step.closed_at()))
    })
}

impl Step {
    /// From then on callers see it.
    pub(super) const fn shown_from(&self) -> Timestamp {
        self.shown_from
    }

    /// The second in which the new shards begin.
    pub(super) const fn begins_seconds(&self) -> u64 {
        self.begins_seconds
    }

    /// The last moment of the shards that give way.
    pub(super) const fn closed_at(&self) -> Timestamp {
        Timestamp(start_of(self.begins_seconds).0.saturating_sub(1))
    }

    /// The same, so many seconds later. Where callers are shown it ahead, they have seen it perhaps,
    /// and still do.
    pub(super) fn later(self, seconds: u64) -> Self {
        let is_ahead = self.shown_from < start_of(self.begins_seconds);
        let begins_seconds = self.begins_seconds.saturating_add(seconds);
        let shown_from = if is_ahead { self.shown_from } else { start_of(begins_seconds) };
        Self { shown_from, begins_seconds, swaps: self.swaps }
    }

    /// The shards that give way.
    pub(super) fn closed(&self) -> impl Iterator<Item = ShardIndex> {
        self.swaps.iter().flat_map(Swap::closed)
    }

    /// What it asks of the engine.
    pub(super) fn to_reshard(&self) -> Reshard {
        let new = |swap: &Swap| {
            let new = |range: &HashKeyRange| NewShard {
                range: *range,
                created_seconds: self.begins_seconds,
                parents: swap.close.clone(),
            };
            swap.open.iter().map(new).collect::<Vec<_>>()
        };
        let close = self.swaps.iter().flat_map(|swap| swap.close.iter().copied()).collect();
        Reshard { close, open: self.swaps.iter().flat_map(new).collect() }
    }

    /// Makes `stream` look as if the step had been carried out.
    pub(super) fn foreshadow(&self, stream: &mut Stream) {
        let Reshard { close, open } = self.to_reshard();
        for shard in close {
            if let Ok(at) = stream.shards.binary_search_by_key(&shard, |shard| shard.index) {
                let end = ShardEnd { closed_at: self.closed_at(), end: Ordinal(u64::MAX) };
                Arc::make_mut(&mut stream.shards[at]).closed = Some(end);
            }
        }
        for (new, index) in open.into_iter().zip(stream.next_shard_index..) {
            let index = ShardIndex(index);
            stream.shards.push(Arc::new(Shard {
                uid: planned_uid(stream, index),
                index,
                range: new.range,
                created_seconds: new.created_seconds,
                parents: new.parents,
                arrivals_until: None,
                closed: None,
                lost: Vec::new(),
            }));
        }
        stream.next_shard_index = stream.shards.last().map_or(0, |shard| shard.index.0 + 1);
        stream.index_open_shards();
    }
}

/// Marks shards that callers see before they begin: they have no identity in the store yet.
const PLANNED: u64 = 1 << 63;

/// Tells planned shards apart where buckets are kept.
fn planned_uid(stream: &Stream, index: ShardIndex) -> ShardUid {
    ShardUid(PLANNED | (stream.id.0 << 32) | u64::from(index.0))
}

/// True for a shard that callers see before it begins: it is empty, and the engine does not know it.
pub(super) const fn is_planned(shard: &Shard) -> bool {
    shard.uid.0 & PLANNED != 0
}

const fn start_of(seconds: u64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use kinelog_engine::types::uniform_ranges;
    use proptest::prelude::*;

    use super::*;

    fn steps(count: usize) -> Vec<Vec<Swap>> {
        vec![vec![Swap::split(ShardIndex(0), uniform_ranges(1)[0], 1 << 127)]; count]
    }

    /// When each step is shown and begins.
    fn times(count: usize, after: u64, due: u64) -> Vec<(u64, u64)> {
        let scheduled = schedule(steps(count), after, Timestamp(due));
        scheduled.iter().map(|step| (step.shown_from.0, step.begins_seconds)).collect()
    }

    #[test]
    fn one_step_is_shown_when_due_and_begins_in_the_next_second() {
        assert_eq!(times(1, 10, 10_500), [(10_500, 11)]);
        assert_eq!(times(1, 10, 19_999), [(19_999, 20)]);
        assert_eq!(times(1, 10, 20_000), [(20_000, 21)]);
    }

    #[test]
    fn several_steps_take_the_last_seconds_before_the_end() {
        assert_eq!(times(3, 10, 60_500), [(59_000, 59), (60_000, 60), (60_500, 61)]);
    }

    #[test]
    fn steps_for_which_there_is_no_time_take_longer() {
        assert_eq!(times(3, 10, 10_500), [(11_000, 11), (12_000, 12), (12_000, 13)]);
        assert_eq!(times(1, 30, 10_500), [(30_000, 31)]);
    }

    proptest! {
        #[test]
        fn steps_are_seconds_apart_and_at_most_one_is_shown_ahead(
            count in 1usize..9,
            after in 0u64..1000,
            due in 0u64..1_000_000,
        ) {
            let times = times(count, after, due);
            for (nth, &(shown, begins)) in times.iter().enumerate() {
                prop_assert!(begins > after);
                prop_assert!(nth == 0 || times[nth - 1].1 + 1 == begins);
                prop_assert!(shown <= begins * 1000);
                prop_assert!(nth == 0 || shown >= times[nth - 1].1 * 1000);
            }
            let (shown, begins) = times[count - 1];
            prop_assert!(shown >= due && begins * 1000 > due);
            prop_assert!(begins * 1000 - shown <= 1000);
        }
    }
}
