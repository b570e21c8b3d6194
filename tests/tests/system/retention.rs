//! Records past their retention: gone from reads to the millisecond, from the disk after a sweep,
//! for good; and nothing younger with them.

use std::path::PathBuf;

use kinelog_engine::Engine;
use kinelog_engine::device::simulated::SimulatedDisk;
use kinelog_engine::types::{NewShard, Ordinal, Reshard, ShardIndex, Stream, Timestamp};

use crate::bench::{Bench, START, append, create, key, read};

const HOUR_MS: u64 = 3_600_000;
const RETENTION_MS: u64 = 24 * HOUR_MS;

fn bench() -> Bench {
    Bench::new(SimulatedDisk::new(4))
}

/// One record each hour; each has a segment of its own, since an idle segment is sealed.
async fn filled(bench: &Bench, hours: u64) -> Engine {
    let engine = bench.open().await;
    let stream = create(&engine, "s", 1).await;
    for number in 0..hours {
        bench.clock.set(hour(number));
        append(&engine, &stream.shards[0], &[(number, 500)]).await;
    }
    engine.checkpoint().await.unwrap();
    engine
}

fn hour(number: u64) -> Timestamp {
    Timestamp(START.0 + number * HOUR_MS)
}

fn stream(engine: &Engine) -> std::sync::Arc<Stream> {
    engine.stream(&key("s")).unwrap()
}

/// Ordinals of the records that reading from the start gives: what `TRIM_HORIZON` gives.
async fn readable(engine: &Engine) -> Vec<u64> {
    let stream = stream(engine);
    let contents = read(engine, &stream, &stream.shards[0]).await;
    assert_eq!(contents.damaged, []);
    contents.records.keys().map(|ordinal| ordinal.0).collect()
}

fn segments(bench: &Bench) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|found| found == "seg");
    bench.disk.snapshot().into_keys().filter(is_segment).collect()
}

/// Expired files go with the checkpoint after the sweep.
async fn sweep(engine: &Engine) {
    engine.run_retention().await;
    engine.checkpoint().await.unwrap();
}

#[tokio::test]
async fn a_record_is_read_until_the_last_millisecond_of_its_retention() {
    let bench = bench();
    let engine = filled(&bench, 3).await;
    for expired in 0..3 {
        let last = Timestamp(hour(expired).0 + RETENTION_MS);
        bench.clock.set(last);
        assert_eq!(readable(&engine).await, (expired + 1..=3).collect::<Vec<_>>());
        bench.clock.set(Timestamp(last.0 + 1));
        assert_eq!(readable(&engine).await, (expired + 2..=3).collect::<Vec<_>>());
        let shard = &stream(&engine).shards[0];
        let horizon = engine.ordinal_at(shard, Timestamp(last.0 + 1 - RETENTION_MS)).await;
        assert_eq!(horizon.unwrap(), Ordinal(expired + 2));
    }
}

#[tokio::test]
async fn expired_segments_leave_the_disk_and_nothing_younger_does() {
    let bench = bench();
    let mut engine = filled(&bench, 12).await;
    assert_eq!(segments(&bench).len(), 12);
    for expired in 0..12 {
        bench.clock.set(Timestamp(hour(expired).0 + RETENTION_MS + 1));
        sweep(&engine).await;
        let wanted: Vec<_> = (expired + 2..=12).collect();
        assert_eq!(readable(&engine).await, wanted);
        assert_eq!(segments(&bench).len(), wanted.len());
        if expired % 4 == 3 {
            engine.close().await;
            drop(engine);
            engine = bench.open().await;
            assert_eq!(readable(&engine).await, wanted);
        }
    }
    assert_eq!(segments(&bench), Vec::<PathBuf>::new());
    append(&engine, &stream(&engine).shards[0], &[(12, 500)]).await;
    assert_eq!(readable(&engine).await, [13], "ordinals go on where they were");
}

#[tokio::test]
async fn what_was_given_up_stays_so_when_the_clock_goes_back() {
    let bench = bench();
    let engine = filled(&bench, 12).await;
    bench.clock.set(Timestamp(hour(7).0 + RETENTION_MS + 1));
    sweep(&engine).await;
    let kept = readable(&engine).await;
    assert_eq!(kept, [9, 10, 11, 12]);
    let on_disk = segments(&bench);
    bench.clock.set(START);
    sweep(&engine).await;
    assert_eq!(segments(&bench), on_disk);
    assert_eq!(readable(&engine).await, kept);
    drop(engine);
    let engine = bench.open().await;
    assert_eq!(readable(&engine).await, kept);
    append(&engine, &stream(&engine).shards[0], &[(12, 500)]).await;
    assert_eq!(readable(&engine).await, [9, 10, 11, 12, 13]);
    // It arrived with the record before it, not when the clock said: order of arrival holds.
    bench.clock.set(Timestamp(hour(11).0 + RETENTION_MS));
    assert_eq!(readable(&engine).await, [12, 13]);
}

#[tokio::test]
async fn an_expired_closed_shard_goes_with_its_data() {
    let bench = bench();
    let engine = filled(&bench, 3).await;
    let before = stream(&engine);
    let parent = before.shards[0].clone();
    let child = NewShard {
        range: parent.range,
        created_seconds: engine.now().seconds(),
        parents: vec![ShardIndex(0)],
    };
    let reshard = Reshard { close: vec![ShardIndex(0)], open: vec![child] };
    let closed_at = engine.now();
    let after = engine.reshard(before.id, reshard, closed_at, vec![]).await.unwrap();
    let child = after.shards[1].clone();
    bench.clock.advance_ms(HOUR_MS);
    append(&engine, &child, &[(3, 500)]).await;
    engine.checkpoint().await.unwrap();
    let with_parent = segments(&bench).len();

    bench.clock.set(Timestamp(closed_at.0 + RETENTION_MS));
    sweep(&engine).await;
    assert_eq!(stream(&engine).shards.len(), 2, "its last record can still be read");
    bench.clock.advance_ms(1);
    sweep(&engine).await;
    assert_eq!(stream(&engine).shards, std::slice::from_ref(&child));
    assert_eq!(engine.end(&parent), None);
    assert!(with_parent > 1 && segments(&bench).len() == 1, "only the child's segment is left");
    drop(engine);
    let engine = bench.open().await;
    assert_eq!(stream(&engine).shards, [child]);
    assert_eq!(readable(&engine).await, [1]);
}
