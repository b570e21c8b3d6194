//! A store made of a copy of one that went on: a prefix of every shard, and numbers of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_common;

use std::path::Path;

use kinelog_engine::Engine;
use kinelog_engine::device::simulated::SimulatedDisk;
use kinelog_engine::limits::ORDINALS_PER_RESTORE;
use kinelog_engine::recovery::repair::{self, Purpose};
use kinelog_engine::recovery::verify::verify;
use kinelog_engine::types::{NewShard, Ordinal, ReadLimit, Reshard, ShardIndex, uniform_ranges};
use store_common::*;

const COPY: &str = "/data";
const RESTORED: &str = "/restored";

/// What a snapshot of the file system holds, restored; the store that it was taken of goes on.
async fn restored_of(bench: &Bench) -> Bench {
    let mut copy = Bench::new(9);
    copy.disk = SimulatedDisk::from_snapshot(9, bench.disk.snapshot());
    let device = copy.disk.device(copy.clock.clone());
    let files = |disk: &SimulatedDisk| {
        let mut files = disk.snapshot();
        files.retain(|path, _| path.starts_with(COPY) && !path.ends_with("LOCK"));
        files
    };
    let before = files(&copy.disk);
    let repair = repair::plan(&device, Path::new(COPY), Purpose::Restore).await.unwrap();
    repair.write(&device, Path::new(COPY), Path::new(RESTORED)).await.unwrap();
    assert!(repair.is_lossless(), "{:?}", repair.lost);
    assert!(files(&copy.disk) == before, "the copy is as it was");
    assert_eq!(verify(&device, Path::new(RESTORED)).await.unwrap().findings, []);
    copy.config = small(RESTORED);
    copy
}

/// A shard that was split, with records, its children, of which one has none, and a stream of one
/// shard.
async fn filled(bench: &Bench) -> Engine {
    let engine = bench.open().await;
    let split = stream(&engine, "split", 1).await;
    let plain = stream(&engine, "plain", 1).await;
    for n in 0..10 {
        append(&engine, &split.shards[0], &[payload(n, 3000)]).await.unwrap();
        append(&engine, &plain.shards[0], &[payload(n, 300)]).await.unwrap();
    }
    let children = uniform_ranges(2).into_iter().map(|range| NewShard {
        range,
        created_seconds: START.seconds() + 1,
        parents: vec![ShardIndex(0)],
    });
    let reshard = Reshard { close: vec![ShardIndex(0)], open: children.collect() };
    engine.reshard(split.id, reshard, START, vec![]).await.unwrap();
    let split = found(&engine, "split");
    append(&engine, &split.shards[1], &[payload(10, 300)]).await.unwrap();
    engine
}

#[tokio::test]
async fn a_restored_store_has_what_the_copy_had_and_none_of_the_numbers_given_out_since() {
    let bench = Bench::new(7);
    let engine = filled(&bench).await;
    let copy = restored_of(&bench).await;
    // The store that the copy was taken of goes on.
    let shard = |engine: &Engine, name, at: usize| found(engine, name).shards[at].clone();
    let mut since = Vec::new();
    for n in 10..20 {
        let run = append(&engine, &shard(&engine, "plain", 0), &[payload(n, 300)]).await.unwrap();
        since.push(run.first);
    }
    let restored = copy.open().await;
    assert_holds(&restored, "plain", 0, 0..10).await;
    assert_holds(&restored, "split", 0, 0..10).await;
    assert_holds(&restored, "split", 1, 10..11).await;
    for (name, at, records) in [("plain", 0, 10), ("split", 1, 1), ("split", 2, 0)] {
        let run = append(&restored, &shard(&restored, name, at), &[payload(99, 300)]).await;
        let first = run.unwrap().first;
        assert_eq!(first, Ordinal(1 + records + ORDINALS_PER_RESTORE), "shard {at} of {name}");
        assert!(since.iter().all(|given| *given < first));
    }
    let ends = |engine: &Engine| engine.end(&shard(engine, "split", 0)).unwrap();
    assert_eq!(ends(&restored), ends(&engine), "a closed shard ends where it did");
}

#[tokio::test]
async fn who_had_read_further_in_the_other_store_goes_on_with_the_first_new_record() {
    let bench = Bench::new(8);
    drop(filled(&bench).await);
    let copy = restored_of(&bench).await;
    let restored = copy.open().await;
    let stream = found(&restored, "plain");
    let run = append(&restored, &stream.shards[0], &[payload(99, 300)]).await.unwrap();
    let limit = ReadLimit { records: 10, bytes: 1 << 20 };
    let read = restored.read(&stream, &stream.shards[0], Ordinal(15), limit).await.unwrap();
    let found: Vec<_> = read.records.iter().map(|record| record.ordinal).collect();
    assert_eq!(found, [run.first]);
}

#[tokio::test]
async fn a_copy_of_a_restored_store_can_be_restored_again() {
    let bench = Bench::new(9);
    drop(filled(&bench).await);
    let once = restored_of(&bench).await;
    let engine = once.open().await;
    let stream = found(&engine, "plain");
    let first = append(&engine, &stream.shards[0], &[payload(10, 300)]).await.unwrap().first;
    engine.close().await;
    let twice = Path::new("/twice");
    let device = once.disk.device(once.clock.clone());
    let repair = repair::plan(&device, Path::new(RESTORED), Purpose::Restore).await.unwrap();
    repair.write(&device, Path::new(RESTORED), twice).await.unwrap();
    assert!(repair.is_lossless(), "{:?}", repair.lost);
    assert_eq!(verify(&device, twice).await.unwrap().findings, []);
    let mut again = once;
    again.config = small(twice);
    let engine = again.open().await;
    let stream = found(&engine, "plain");
    let records = read_all(&engine, &stream, &stream.shards[0]).await.unwrap();
    assert_eq!(records.iter().map(number).collect::<Vec<_>>(), (0..11).collect::<Vec<_>>());
    let next = append(&engine, &stream.shards[0], &[payload(11, 300)]).await.unwrap().first;
    assert_eq!(next, first.plus(1 + ORDINALS_PER_RESTORE));
}

#[tokio::test]
async fn a_read_of_the_last_old_record_says_that_nothing_follows() {
    let bench = Bench::new(10);
    drop(filled(&bench).await);
    let copy = restored_of(&bench).await;
    let restored = copy.open().await;
    let stream = found(&restored, "plain");
    let limit = ReadLimit { records: 100, bytes: 1 << 20 };
    let read = restored.read(&stream, &stream.shards[0], Ordinal::FIRST, limit).await.unwrap();
    assert_eq!((read.records.len(), read.next_arrival), (10, None));
    assert_eq!(read.next, restored.end(&stream.shards[0]).unwrap());
}

#[tokio::test]
async fn what_expires_in_a_restored_store_goes_at_once() {
    const HOUR_MS: u64 = 3_600_000;
    let bench = Bench::new(11);
    drop(filled(&bench).await);
    let copy = restored_of(&bench).await;
    let restored = copy.open().await;
    let shard = found(&restored, "plain").shards[0].clone();
    let prefix = format!("{RESTORED}/segments/{:016x}-", shard.uid.0);
    let segments = || {
        let files = copy.disk.snapshot();
        files.keys().filter(|path| path.to_str().unwrap().starts_with(&prefix)).count()
    };
    copy.clock.advance_ms(HOUR_MS);
    append(&restored, &shard, &[payload(10, 300)]).await.unwrap();
    restored.checkpoint().await.unwrap();
    assert_eq!(segments(), 2);
    copy.clock.advance_ms(23 * HOUR_MS + 1);
    restored.run_retention().await;
    restored.checkpoint().await.unwrap();
    assert_eq!(segments(), 1, "the new record is kept, the old ones are gone");
    let records = read_all(&restored, &found(&restored, "plain"), &shard).await.unwrap();
    assert_eq!(records.iter().map(number).collect::<Vec<_>>(), [10]);
}

#[tokio::test]
async fn a_restored_store_that_loses_its_manifests_keeps_what_was_left_out() {
    let bench = Bench::new(12);
    drop(filled(&bench).await);
    let copy = restored_of(&bench).await;
    let mut files = copy.disk.snapshot();
    files.retain(|path, _| !path.to_str().unwrap().contains("manifest."));
    let disk = SimulatedDisk::from_snapshot(3, files);
    let device = disk.device(copy.clock.clone());
    let repaired = Path::new("/repaired");
    let repair = repair::plan(&device, Path::new(RESTORED), Purpose::Repair).await.unwrap();
    repair.write(&device, Path::new(RESTORED), repaired).await.unwrap();
    let engine = Engine::open(small(repaired), device).await.unwrap();
    let stream = found(&engine, "plain");
    let next = append(&engine, &stream.shards[0], &[payload(10, 300)]).await.unwrap().first;
    assert!(next >= Ordinal(11 + ORDINALS_PER_RESTORE), "{next}");
}
