//! From one number of shards to another by splits in two and merges of neighbours, as the service
//! does it: to grow, every shard is split and then neighbours are merged until the number is right;
//! to shrink, neighbours are merged. So ranges need not be of one size, and shards in between stay
//! behind in the lineage.

use std::collections::HashSet;

use kinelog_engine::types::{HashKeyRange, ShardIndex, Stream};

use super::reshard::Swap;

/// The open shards in order of their ranges, and the index of the next one.
struct Cover {
    open: Vec<(ShardIndex, HashKeyRange)>,
    next: u32,
}

/// The steps that take `stream` to `target` open shards; none when it has so many. Shards of fewer
/// than four hash keys are not split, so there may remain fewer.
pub(super) fn to_count(stream: &Stream, target: usize) -> Vec<Vec<Swap>> {
    let open = stream.open_shards().map(|shard| (shard.index, shard.range)).collect();
    let mut cover = Cover { open, next: stream.next_shard_index };
    let mut steps = Vec::new();
    while cover.open.len() < target {
        let swaps = cover.halves();
        if swaps.is_empty() {
            break;
        }
        cover.apply(&swaps);
        steps.push(swaps);
    }
    while cover.open.len() > target.max(1) {
        let swaps = cover.pairs(cover.open.len() - target.max(1));
        cover.apply(&swaps);
        steps.push(swaps);
    }
    steps
}

/// How many shards are open at most on the way from one number to another.
pub(super) const fn most_open(from: usize, target: usize) -> usize {
    let mut most = if from > 0 { from } else { 1 };
    while most < target {
        most = most.saturating_mul(2);
    }
    most
}

impl Cover {
    /// Every shard in two.
    fn halves(&self) -> Vec<Swap> {
        let wide = self.open.iter().filter(|(_, range)| range.end - range.start >= 3);
        wide.map(|&(shard, range)| {
            let middle = range.start + (range.end - range.start) / 2 + 1;
            Swap::split(shard, range, middle)
        })
        .collect()
    }

    /// Up to `count` pairs of neighbours, the narrowest ones: each shard is in one pair only.
    fn pairs(&self, count: usize) -> Vec<Swap> {
        let mut pairs: Vec<_> = self.open.chunks_exact(2).collect();
        pairs.sort_by_key(|pair| pair[1].1.end - pair[0].1.start);
        pairs.truncate(count);
        pairs.sort_by_key(|pair| pair[0].1.start);
        pairs.into_iter().map(|pair| Swap::merge(pair[0], pair[1])).collect()
    }

    fn apply(&mut self, swaps: &[Swap]) {
        let closed: HashSet<_> = swaps.iter().flat_map(Swap::closed).collect();
        self.open.retain(|(shard, _)| !closed.contains(shard));
        for range in swaps.iter().flat_map(Swap::opened) {
            self.open.push((ShardIndex(self.next), range));
            self.next += 1;
        }
        self.open.sort_by_key(|(_, range)| range.start);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kinelog_engine::types::{
        Shard, ShardUid, StreamId, StreamKey, StreamStatus, Timestamp, uniform_ranges,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::kinesis::reshard;

    fn stream(ranges: Vec<HashKeyRange>) -> Stream {
        let shard = |(range, index): (HashKeyRange, u32)| {
            Arc::new(Shard {
                uid: ShardUid(u64::from(index) + 1),
                index: ShardIndex(index),
                range,
                created_seconds: 1,
                parents: Vec::new(),
                arrivals_until: None,
                closed: None,
                lost: Vec::new(),
            })
        };
        let next_shard_index = u32::try_from(ranges.len()).unwrap();
        let mut stream = Stream {
            id: StreamId(1),
            key: StreamKey { namespace: String::new(), name: "s".to_owned() },
            created_at: Timestamp(1000),
            status: StreamStatus::Active,
            retention_hours: 24,
            trimmed_before: Timestamp(0),
            shards: ranges.into_iter().zip(0..).map(shard).collect(),
            next_shard_index,
            attributes: serde_json::Value::Null,
            open: Vec::new(),
        };
        stream.index_open_shards();
        stream
    }

    /// The stream after the steps, which must be sound one by one.
    fn carried_out(mut stream: Stream, steps: Vec<Vec<Swap>>) -> Stream {
        for step in reshard::schedule(steps, 10, Timestamp(0)) {
            step.foreshadow(&mut stream);
            assert_covers(&stream);
        }
        stream
    }

    fn assert_covers(stream: &Stream) {
        let mut next = Some(0);
        for shard in stream.open_shards() {
            assert_eq!(Some(shard.range.start), next);
            next = shard.range.end.checked_add(1);
        }
        assert_eq!(next, None);
    }

    #[test]
    fn as_many_shards_come_and_go_as_with_the_service() {
        for (from, to, ever) in
            [(2, 4, 6), (4, 5, 15), (10, 13, 37), (4, 2, 6), (5, 3, 7), (10, 3, 17), (2, 3, 7)]
        {
            let before = stream(uniform_ranges(from));
            let steps = to_count(&before, to);
            let after = carried_out(before, steps);
            assert_eq!((after.open.len(), after.shards.len()), (to, ever), "{from} to {to}");
        }
    }

    #[test]
    fn steps_are_as_few_as_can_be() {
        for (from, to, steps) in [
            (3, 3, 0),
            (2, 4, 1),
            (4, 5, 2),
            (4, 2, 1),
            (5, 3, 1),
            (10, 3, 2),
            (1, 5, 4),
            (9, 1, 4),
        ] {
            assert_eq!(to_count(&stream(uniform_ranges(from)), to).len(), steps, "{from} to {to}");
        }
    }

    #[test]
    fn growth_restores_the_narrow_and_halves_the_wide() {
        const QUARTER: u128 = 1 << 126;
        let range = |start, end| HashKeyRange { start, end };
        let before = stream(vec![
            range(0, 2 * QUARTER - 1),
            range(2 * QUARTER, 3 * QUARTER - 1),
            range(3 * QUARTER, u128::MAX),
        ]);
        let steps = to_count(&before, 4);
        let after = carried_out(before, steps);
        let starts: Vec<_> = after.open_shards().map(|shard| shard.range.start).collect();
        assert_eq!(starts, [0, QUARTER, 2 * QUARTER, 3 * QUARTER]);
    }

    #[test]
    fn shards_in_between_are_counted() {
        for (from, to) in [(4, 5), (2, 4), (4, 2), (4, 4), (3, 10)] {
            let mut stream = stream(uniform_ranges(from));
            let mut most = stream.open.len();
            for step in reshard::schedule(to_count(&stream, to), 10, Timestamp(0)) {
                step.foreshadow(&mut stream);
                most = most.max(stream.open.len());
            }
            assert_eq!(most_open(from as usize, to), most, "{from} to {to}");
        }
        assert_eq!(most_open(3, usize::MAX), usize::MAX);
    }

    #[test]
    fn a_shard_too_narrow_to_be_split_stays() {
        let narrow = HashKeyRange { start: 0, end: 2 };
        let before = stream(vec![narrow, HashKeyRange { start: 3, end: u128::MAX }]);
        let steps = to_count(&before, 5);
        let after = carried_out(before, steps);
        assert_eq!(after.open.len(), 5);
        assert_eq!(after.shard(ShardIndex(0)).unwrap().closed, None);
    }

    proptest! {
        #[test]
        fn every_number_is_reached(from in 1u32..40, targets in prop::collection::vec(1usize..80, 1..4)) {
            let mut stream = stream(uniform_ranges(from));
            for target in targets {
                let steps = to_count(&stream, target);
                stream = carried_out(stream, steps);
                prop_assert_eq!(stream.open.len(), target);
            }
        }
    }
}
