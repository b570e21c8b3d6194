//! What the shards of an on-demand stream should become: a pure function of what the stream needs,
//! what each shard carries, and how many shards it may have.

use std::cmp::Reverse;

use kinelog_engine::types::{HashKeyRange, Shard, ShardIndex};

use super::super::reshard::Swap;
use crate::limits;

/// An open shard and the load it carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShardLoad {
    /// Which.
    pub(super) shard: ShardIndex,
    /// Its hash keys.
    pub(super) range: HashKeyRange,
    /// Writes, in thousandths of what a shard carries.
    pub(super) load: u64,
    /// True when it has carried too much for so long that it is to be split.
    pub(super) is_hot: bool,
}

impl ShardLoad {
    /// An open shard with what was measured of it.
    pub(super) fn of(shard: &Shard, load: u64, is_hot: bool) -> Self {
        Self { shard: shard.index, range: shard.range, load, is_hot }
    }
}

/// How many shards a stream should have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    /// So many at least.
    pub(super) shards: u32,
    /// Never more than this.
    pub(super) ceiling: u32,
    /// True when those it has beyond its need may go.
    pub(super) may_shrink: bool,
}

/// What is to happen to the shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing: they are as they should be.
    Stay,
    /// Splits, step by step.
    Grow(Vec<Vec<Swap>>),
    /// Merges, in one step; more may follow.
    Shrink(Vec<Swap>),
}

/// What is to happen to the open `shards` of a stream, given in order of their ranges. New ones take
/// the indexes from `next` on.
///
/// A hot shard is split even where the stream as a whole needs no more shards, but only up to twice
/// its need, since a single hot key cannot be spread.
pub(super) fn plan(shards: &[ShardLoad], next: ShardIndex, need: Need) -> Plan {
    let up_to = |shards: u32| shards.min(need.ceiling) as usize;
    let wanted = up_to(need.shards);
    let hot = shards.iter().filter(|it| it.is_hot).count();
    let target = wanted.max((shards.len() + hot).min(up_to(need.shards.saturating_mul(2))));
    if shards.len() < target {
        let steps = grow(shards.to_vec(), next, target);
        return if steps.is_empty() { Plan::Stay } else { Plan::Grow(steps) };
    }
    if !need.may_shrink || shards.len() <= wanted {
        return Plan::Stay;
    }
    let merges = shrink(shards, shards.len() - wanted);
    if merges.is_empty() { Plan::Stay } else { Plan::Shrink(merges) }
}

/// Splits in the middle until there are `target` shards. A step splits every shard once at most, and
/// is about shards that are there once the one before is done: new ones take the indexes from `next`
/// on, in the order in which the splits open them.
pub(super) fn grow(
    mut shards: Vec<ShardLoad>,
    mut next: ShardIndex,
    target: usize,
) -> Vec<Vec<Swap>> {
    let mut steps = Vec::new();
    while shards.len() < target {
        let chosen = most_urgent(&shards, target - shards.len());
        if chosen.is_empty() {
            break;
        }
        let mut step = Vec::with_capacity(chosen.len());
        let mut after = Vec::with_capacity(shards.len() + chosen.len());
        for (at, shard) in shards.iter().enumerate() {
            if chosen.binary_search(&at).is_err() {
                after.push(*shard);
                continue;
            }
            let HashKeyRange { start, end } = shard.range;
            let middle = start + (end - start) / 2 + 1;
            step.push(Swap::split(shard.shard, shard.range, middle));
            for range in
                [HashKeyRange { start, end: middle - 1 }, HashKeyRange { start: middle, end }]
            {
                after.push(ShardLoad { shard: next, range, load: shard.load / 2, is_hot: false });
                next = ShardIndex(next.0 + 1);
            }
        }
        shards = after;
        steps.push(step);
    }
    steps
}

/// Positions of up to `count` shards that are wide enough for a split, in order: hot ones come first, then the
/// most loaded, then the widest.
fn most_urgent(shards: &[ShardLoad], count: usize) -> Vec<usize> {
    let mut all: Vec<_> = (0..shards.len()).filter(|at| width(&shards[*at]) >= 3).collect();
    all.sort_by_key(|at| {
        let shard = &shards[*at];
        Reverse((shard.is_hot, shard.load, width(shard)))
    });
    all.truncate(count);
    all.sort_unstable();
    all
}

/// Merges up to `count` pairs of neighbours that are quiet together, the quietest first, then the
/// narrowest.
fn shrink(shards: &[ShardLoad], count: usize) -> Vec<Swap> {
    let pair = |at: usize| (&shards[at], &shards[at + 1]);
    let load = |at: usize| pair(at).0.load + pair(at).1.load;
    let is_quiet = |at: &usize| load(*at) <= limits::ON_DEMAND_MERGED_LOAD_MAX;
    let mut quiet: Vec<_> = (0..shards.len().saturating_sub(1)).filter(is_quiet).collect();
    quiet.sort_by_key(|at| (load(*at), pair(*at).1.range.end - pair(*at).0.range.start));
    let mut is_taken = vec![false; shards.len()];
    let mut merges = Vec::new();
    for at in quiet {
        if merges.len() == count {
            break;
        }
        if !is_taken[at] && !is_taken[at + 1] {
            is_taken[at..=at + 1].fill(true);
            let (lower, upper) = pair(at);
            merges.push(Swap::merge((lower.shard, lower.range), (upper.shard, upper.range)));
        }
    }
    merges
}

const fn width(shard: &ShardLoad) -> u128 {
    shard.range.end - shard.range.start
}

#[cfg(test)]
mod tests {
    use kinelog_engine::types::uniform_ranges;
    use proptest::prelude::*;

    use super::*;

    /// Uniform shards with these loads; those above 500 are hot.
    fn shards(loads: &[u64]) -> Vec<ShardLoad> {
        let ranges = uniform_ranges(u32::try_from(loads.len()).unwrap());
        (0..)
            .zip(ranges)
            .zip(loads)
            .map(|((index, range), &load)| ShardLoad {
                shard: ShardIndex(index),
                range,
                load,
                is_hot: load > 500,
            })
            .collect()
    }

    const fn need(shards: u32) -> Need {
        Need { shards, ceiling: 1000, may_shrink: false }
    }

    fn planned(loads: &[u64], need: Need) -> Vec<Vec<Swap>> {
        let next = u32::try_from(loads.len()).unwrap();
        steps(plan(&shards(loads), ShardIndex(next), need))
    }

    fn steps(plan: Plan) -> Vec<Vec<Swap>> {
        match plan {
            Plan::Stay => Vec::new(),
            Plan::Grow(steps) => steps,
            Plan::Shrink(merges) => vec![merges],
        }
    }

    /// The ranges after the steps, by shard; checks that each step closes shards that are open.
    fn after(before: &[ShardLoad], steps: &[Vec<Swap>]) -> Vec<(ShardIndex, HashKeyRange)> {
        let mut open: Vec<_> = before.iter().map(|it| (it.shard, it.range)).collect();
        let mut next = before.len();
        for step in steps {
            for swap in step {
                for shard in swap.closed() {
                    let at = open.iter().position(|(it, _)| *it == shard).expect("it is open");
                    open.remove(at);
                }
            }
            for range in step.iter().flat_map(Swap::opened) {
                open.push((ShardIndex(u32::try_from(next).unwrap()), range));
                next += 1;
            }
        }
        open.sort_by_key(|(_, range)| range.start);
        open
    }

    fn closed(step: &[Swap]) -> Vec<u32> {
        step.iter().flat_map(Swap::closed).map(|shard| shard.0).collect()
    }

    #[test]
    fn a_stream_that_has_what_it_needs_stays_as_it_is() {
        assert!(planned(&[0; 4], need(4)).is_empty());
        assert!(planned(&[500; 8], need(4)).is_empty());
    }

    #[test]
    fn the_most_loaded_shards_are_split_first() {
        let steps = planned(&[10, 400, 20, 300], need(6));
        assert_eq!(steps.iter().map(|step| closed(step)).collect::<Vec<_>>(), [[1, 3]]);
    }

    #[test]
    fn growth_by_more_than_two_takes_several_steps() {
        let steps = planned(&[0; 4], need(11));
        let counts: Vec<_> = steps.iter().map(Vec::len).collect();
        assert_eq!(counts, [4, 3]);
        let open = after(&shards(&[0; 4]), &steps);
        assert_eq!(open.len(), 11);
        let widths = open.iter().map(|(_, range)| range.end - range.start);
        assert!(widths.clone().max().unwrap() <= 2 * widths.min().unwrap() + 1);
    }

    #[test]
    fn a_hot_shard_is_split_although_the_stream_needs_no_more() {
        let steps = planned(&[0, 501, 500, 0], need(4));
        assert_eq!(steps.iter().map(|step| closed(step)).collect::<Vec<_>>(), [[1]]);
    }

    #[test]
    fn hot_shards_grow_to_twice_the_need_only() {
        let hot_ends = planned(&[900, 0, 0, 0, 0, 0, 0, 900], need(4));
        assert!(hot_ends.is_empty());
        let one_more = planned(&[900, 0, 0, 0, 0, 0, 800], need(4));
        assert_eq!(one_more.iter().map(|step| closed(step)).collect::<Vec<_>>(), [[0]]);
    }

    #[test]
    fn no_stream_grows_beyond_its_ceiling() {
        let capped = Need { ceiling: 5, ..need(20) };
        assert_eq!(after(&shards(&[900; 4]), &planned(&[900; 4], capped)).len(), 5);
        assert!(planned(&[900; 5], capped).is_empty());
        assert!(planned(&[900; 9], capped).is_empty());
    }

    #[test]
    fn quiet_neighbours_merge_when_they_may() {
        let quiet = [0, 0, 300, 0, 100, 50, 0, 0];
        assert!(planned(&quiet, need(4)).is_empty());
        let steps = planned(&quiet, Need { may_shrink: true, ..need(4) });
        let pairs: Vec<_> =
            steps[0].iter().map(|swap| closed(std::slice::from_ref(swap))).collect();
        assert_eq!(pairs, [[0, 1], [6, 7], [3, 4]]);
        let steps = planned(&quiet, Need { may_shrink: true, ..need(7) });
        assert_eq!(closed(&steps[0]), [0, 1]);
        let busy = planned(&[200; 8], Need { may_shrink: true, ..need(4) });
        assert!(busy.is_empty());
    }

    #[test]
    fn a_shard_of_few_keys_is_never_split() {
        let mut all = shards(&[900, 900]);
        all[0].range.end = 2;
        all[1].range.start = 3;
        let steps = steps(plan(&all, ShardIndex(2), need(3)));
        assert_eq!(closed(&steps[0]), [1]);
        all[1].range.end = 5;
        assert_eq!(plan(&all, ShardIndex(2), need(3)), Plan::Stay);
    }

    proptest! {
        #[test]
        fn every_plan_keeps_the_key_space_covered_and_the_bounds(
            loads in prop::collection::vec(0..1100u64, 1..40),
            wanted in 1..60u32,
            ceiling in 1..60u32,
            may_shrink: bool,
        ) {
            let before = shards(&loads);
            let need = Need { shards: wanted, ceiling, may_shrink };
            let steps = planned(&loads, need);
            let open = after(&before, &steps);
            let mut expected = Some(0);
            for (_, range) in &open {
                prop_assert_eq!(expected, Some(range.start));
                prop_assert!(range.start <= range.end);
                expected = range.end.checked_add(1);
            }
            prop_assert_eq!(expected, None);
            let (count, wanted) = (open.len(), wanted.min(ceiling) as usize);
            let most = (need.shards * 2).min(ceiling) as usize;
            prop_assert!(count >= wanted);
            prop_assert!(count <= before.len().max(most));
            prop_assert!(may_shrink || count >= before.len());
            prop_assert!(steps.iter().all(|step| !step.is_empty()));
            // What has been done is not planned again.
            let calm: Vec<_> = open
                .iter()
                .map(|&(shard, range)| ShardLoad { shard, range, load: 1000, is_hot: false })
                .collect();
            prop_assert_eq!(plan(&calm, ShardIndex(1000), need), Plan::Stay);
        }
    }
}
