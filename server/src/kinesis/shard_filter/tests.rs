//! The filters over a stream with a lineage:
//!
//! ```text
//! second   100          200          300          400
//! lower    0 ---------- | 2 -------- | 4 (2 + 3) ------
//!                       | 3 -------- |
//! upper    1 ---------------------------------- | 5 | 6
//! ```
//!
//! 0 is split in second 200, 2 and 3 are merged in 300, 1 is split in 400.

use std::sync::Arc;

use kinelog_engine::types::{
    HashKeyRange, Ordinal, ShardEnd, ShardUid, StreamId, StreamKey, StreamStatus,
};

use super::*;

const HALF: u128 = 1 << 127;
const QUARTER: u128 = 1 << 126;

fn shard(
    index: u32,
    created_seconds: u64,
    closed_seconds: Option<u64>,
    parents: &[u32],
    (start, end): (u128, u128),
) -> Arc<Shard> {
    let end_of = |seconds| ShardEnd { closed_at: Timestamp(seconds * 1000 + 500), end: Ordinal(9) };
    Arc::new(Shard {
        uid: ShardUid(u64::from(index) + 1),
        index: ShardIndex(index),
        range: HashKeyRange { start, end },
        created_seconds,
        parents: parents.iter().copied().map(ShardIndex).collect(),
        arrivals_until: None,
        closed: closed_seconds.map(end_of),
        lost: Vec::new(),
    })
}

fn stream() -> Stream {
    let mut stream = Stream {
        id: StreamId(1),
        key: StreamKey { namespace: String::new(), name: "s".to_owned() },
        created_at: Timestamp(100_000),
        status: StreamStatus::Active,
        retention_hours: 24,
        trimmed_before: Timestamp(0),
        shards: vec![
            shard(0, 100, Some(200), &[], (0, HALF - 1)),
            shard(1, 100, Some(400), &[], (HALF, u128::MAX)),
            shard(2, 201, Some(300), &[0], (0, QUARTER - 1)),
            shard(3, 201, Some(300), &[0], (QUARTER, HALF - 1)),
            shard(4, 301, None, &[2, 3], (0, HALF - 1)),
            shard(5, 401, None, &[1], (HALF, HALF + QUARTER - 1)),
            shard(6, 401, None, &[1], (HALF + QUARTER, u128::MAX)),
        ],
        next_shard_index: 7,
        attributes: serde_json::Value::Null,
        open: Vec::new(),
    };
    stream.index_open_shards();
    stream
}

const NOW: Timestamp = Timestamp(1_000_000);

fn indexes(stream: &Stream, filter: SettledFilter, now: Timestamp) -> Vec<u32> {
    let shards = filter.apply(shards::visible(stream, now));
    shards.iter().map(|shard| shard.index.0).collect()
}

fn listed(stream: &Stream, filter: ShardFilter, now: Timestamp) -> Vec<u32> {
    indexes(stream, filter.settle(stream, now), now)
}

/// True when these shards cover the hash key space exactly once.
fn covers(stream: &Stream, indexes: &[u32]) -> bool {
    let mut ranges: Vec<_> =
        indexes.iter().map(|&index| stream.shard(ShardIndex(index)).unwrap().range).collect();
    ranges.sort_by_key(|range| range.start);
    ranges.first().is_some_and(|range| range.start == 0)
        && ranges.last().is_some_and(|range| range.end == u128::MAX)
        && ranges.windows(2).all(|pair| pair[0].end.checked_add(1) == Some(pair[1].start))
}

#[test]
fn each_filter_lists_its_shards() {
    let stream = stream();
    for (filter, expected) in [
        (ShardFilter::FromTrimHorizon, vec![0, 1, 2, 3, 4, 5, 6]),
        (ShardFilter::After(ShardIndex(4)), vec![5, 6]),
        (ShardFilter::After(ShardIndex(6)), vec![]),
        (ShardFilter::AtTrimHorizon, vec![0, 1]),
        (ShardFilter::AtLatest, vec![4, 5, 6]),
        (ShardFilter::At(250), vec![1, 2, 3]),
        (ShardFilter::At(350), vec![1, 4]),
        (ShardFilter::From(250), vec![1, 2, 3, 4, 5, 6]),
        (ShardFilter::From(301), vec![1, 4, 5, 6]),
        (ShardFilter::From(0), vec![0, 1, 2, 3, 4, 5, 6]),
    ] {
        assert_eq!(listed(&stream, filter, NOW), expected, "{filter:?}");
    }
}

#[test]
fn every_second_has_a_full_cover() {
    let stream = stream();
    for seconds in [0, 99, 100, 101, 199, 200, 201, 299, 300, 301, 399, 400, 401, 999, 1000] {
        let indexes = listed(&stream, ShardFilter::At(seconds), NOW);
        assert!(covers(&stream, &indexes), "{seconds}: {indexes:?}");
    }
}

#[test]
fn every_horizon_has_a_full_cover() {
    let stream = stream();
    let kept_ms = 24 * 3_600_000;
    for horizon_ms in (99_000..402_000).step_by(250) {
        let now = Timestamp(kept_ms + horizon_ms);
        let indexes = listed(&stream, ShardFilter::AtTrimHorizon, now);
        assert!(covers(&stream, &indexes), "{horizon_ms}: {indexes:?}");
        let indexes = listed(&stream, ShardFilter::At(0), now);
        assert!(covers(&stream, &indexes), "{horizon_ms}: {indexes:?}");
    }
}

#[test]
fn expired_shards_are_not_listed() {
    let now = Timestamp(24 * 3_600_000 + 300_501);
    assert_eq!(listed(&stream(), ShardFilter::FromTrimHorizon, now), [1, 4, 5, 6]);
}

#[test]
fn a_later_page_does_not_see_a_reshard() {
    let mut before = stream();
    before.shards.truncate(5);
    before.shards[1] = shard(1, 100, None, &[], (HALF, u128::MAX));
    before.next_shard_index = 5;
    before.index_open_shards();
    let filter = ShardFilter::AtLatest.settle(&before, NOW);
    assert_eq!(indexes(&before, filter, NOW), [1, 4]);
    assert_eq!(indexes(&stream(), filter, NOW), [1, 4]);
}

#[test]
fn a_stream_in_the_making_shows_no_shards() {
    let creating = Stream { status: StreamStatus::Creating, ..stream() };
    assert_eq!(listed(&creating, ShardFilter::FromTrimHorizon, NOW), [0; 0]);
}
