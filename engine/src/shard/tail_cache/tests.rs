//! The tail cache against its budget.

use super::*;
use crate::format::batch::Header;
use crate::types::{Epoch, ShardIndex, ShardUid, StreamId, Timestamp};

fn shard(uid: u64) -> Arc<ShardLog> {
    let (uid, index, stream) = (ShardUid(uid), ShardIndex(0), StreamId(1));
    Arc::new(ShardLog::new(uid, index, stream, Ordinal(1), Ordinal(1), Timestamp(0)))
}

/// A batch of two records and `bytes` bytes in the group at `group`.
fn batch(shard: &ShardLog, base: u64, group: u64, bytes: usize) -> TailBatch {
    let header = Header {
        frame_bytes: u32::try_from(bytes).unwrap(),
        table_crc: 0,
        base_ordinal: Ordinal(base),
        count: 2,
        first_arrival: Timestamp(0),
        last_arrival_delta: 0,
        epoch: Epoch(1),
        log_position: group,
        shard: shard.uid,
    };
    let batch = Batch::trusted(header, vec![0; bytes].into());
    TailBatch { batch, segment: SegmentId(1), offset: 0 }
}

fn bases(shard: &ShardLog) -> Vec<u64> {
    lock(shard).batches.iter().map(|held| held.base().0).collect()
}

fn cache(pages: usize) -> TailCache {
    TailCache::new(pages * PAGE_BYTES, Arc::default())
}

#[test]
fn a_group_counts_its_whole_buffer_once() {
    let (mut cache, a, b) = (cache(8), shard(1), shard(2));
    cache.admit(&a, batch(&a, 1, 0, 200));
    assert_eq!(cache.held_bytes(), 4096);
    cache.admit(&b, batch(&b, 1, 0, 3700));
    assert_eq!(cache.held_bytes(), 4096); // 64 + 2 * 32 + 3900 bytes
    cache.admit(&a, batch(&a, 3, 4096, 4000));
    assert_eq!(cache.held_bytes(), 4096 + 4096);
    cache.admit(&b, batch(&b, 3, 4096, 8));
    assert_eq!(cache.held_bytes(), 4096 + 8192);
    assert_eq!(cache.metrics.tail_cache_bytes.get(), 4096 + 8192);
    assert_eq!(cache.pending_bytes(), 4096 + 8192);
}

#[test]
fn batches_not_copied_stay_whatever_the_budget() {
    let (mut cache, a) = (cache(0), shard(1));
    for i in 0..10 {
        cache.admit(&a, batch(&a, 1 + 2 * i, i * 4096, 1000));
    }
    assert_eq!(bases(&a).len(), 10);
    cache.copied(&a, Ordinal(7));
    assert_eq!(bases(&a), [7, 9, 11, 13, 15, 17, 19]);
    assert_eq!((cache.pending_bytes(), cache.held_bytes()), (7 * 4096, 7 * 4096));
    cache.copied(&a, Ordinal(21));
    assert_eq!((cache.pending_bytes(), cache.held_bytes()), (0, 0));
}

#[test]
fn the_oldest_copied_groups_leave_first_over_all_shards() {
    let (mut cache, a, b) = (cache(3), shard(1), shard(2));
    cache.admit(&a, batch(&a, 1, 0, 1000));
    cache.admit(&b, batch(&b, 1, 4096, 1000));
    cache.admit(&a, batch(&a, 3, 8192, 1000));
    cache.copied(&b, Ordinal(3));
    cache.copied(&a, Ordinal(5));
    cache.admit(&b, batch(&b, 3, 12_288, 1000));
    assert_eq!((bases(&a), bases(&b)), (vec![3], vec![1, 3]));
    cache.admit(&b, batch(&b, 5, 16_384, 1000));
    assert_eq!((bases(&a), bases(&b)), (vec![3], vec![3, 5]));
    assert_eq!(cache.held_bytes(), 3 * 4096);
}

#[test]
fn a_slow_shard_does_not_keep_the_groups_of_others() {
    let (mut cache, slow, busy) = (cache(2), shard(1), shard(2));
    cache.admit(&slow, batch(&slow, 1, 0, 100));
    cache.admit(&busy, batch(&busy, 1, 0, 100));
    for i in 1..10 {
        cache.admit(&busy, batch(&busy, 1 + 2 * i, i * 4096, 1000));
        cache.copied(&busy, Ordinal(3 + 2 * i));
    }
    assert_eq!(cache.held_bytes(), 2 * 4096);
    assert_eq!(cache.pending_bytes(), 4096);
    assert_eq!((bases(&slow), bases(&busy)), (vec![1], vec![19]));
    cache.copied(&slow, Ordinal(3));
    assert_eq!(cache.pending_bytes(), 0);
}

#[test]
fn a_forgotten_shard_holds_nothing_back() {
    let (mut cache, a, b) = (cache(1), shard(1), shard(2));
    cache.admit(&a, batch(&a, 1, 0, 1000));
    cache.admit(&b, batch(&b, 1, 4096, 1000));
    cache.forget(&a);
    assert!(bases(&a).is_empty());
    assert_eq!((cache.held_bytes(), cache.pending_bytes()), (4096, 4096));
}

#[test]
fn a_pick_starts_at_the_batch_that_holds_the_record_and_is_bounded() {
    let (mut cache, a) = (cache(8), shard(1));
    for i in 0..600 {
        cache.admit(&a, batch(&a, 11 + 2 * i, i * 4096, 1000));
    }
    let pick = |at, records, bytes| {
        let found = lock(&a).batches_from(Ordinal(at), records, bytes);
        (found.first().map(|batch| batch.header.base_ordinal.0), found.len())
    };
    assert_eq!(pick(10, 9, 9000), (None, 0));
    assert_eq!(pick(12, 1, 9000), (Some(11), 3));
    assert_eq!(pick(13, 100, 1000), (Some(13), 3));
    assert_eq!(pick(13, 100_000, usize::MAX), (Some(13), PICK_MAX));
    assert_eq!(pick(1209, 9, 9000), (Some(1209), 1));
    assert_eq!(pick(1211, 9, 9000), (None, 0));
}
