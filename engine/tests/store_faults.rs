//! What the store does when the disk fails, fills up or belongs to somebody else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kinelog_engine::Engine;
use kinelog_engine::device::Clock;
use kinelog_engine::device::simulated::{Fault, Operation, Survive};
use kinelog_engine::error::{AppendError, CatalogError, OpenError};
use kinelog_engine::types::{Durable, Timestamp};
use store_common::*;

#[tokio::test]
async fn a_failed_log_write_goes_to_the_next_file() {
    let bench = Bench::new(1);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    let shard = &created.shards[0];
    for n in 0..5 {
        append(&engine, shard, &[payload(n, 100)]).await.unwrap();
    }
    bench.disk.fail_nth(Operation::LogWrite, 1, Fault::Io);
    for n in 5..10 {
        append(&engine, shard, &[payload(n, 100)]).await.unwrap();
    }
    assert_eq!(engine.stopped(), None);
    drop(engine);
    assert_holds(&bench.open().await, "s", 0, 0..10).await;
}

#[tokio::test]
async fn a_second_failed_log_write_stops_writes_and_reads_go_on() {
    let bench = Bench::new(2);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    let shard = &created.shards[0];
    append(&engine, shard, &[payload(0, 100)]).await.unwrap();
    bench.disk.fail_nth(Operation::LogWrite, 1, Fault::Io);
    bench.disk.fail_nth(Operation::LogWrite, 2, Fault::Io);
    for n in 1..3 {
        let refused = append(&engine, shard, &[payload(n, 100)]).await;
        assert!(matches!(refused, Err(AppendError::Stopped { .. })), "{refused:?}");
    }
    assert!(engine.stopped().is_some());
    assert_eq!(engine.metrics().stopped.get(), 1);
    assert!(engine.checkpoint().await.is_err());
    assert_holds(&engine, "s", 0, 0..1).await;
}

#[tokio::test]
async fn a_catalogue_of_which_a_write_failed_stops_all_writes_and_reads_go_on() {
    for operation in [Operation::Write, Operation::SyncData] {
        let bench = Bench::new(19);
        let engine = bench.open().await;
        let created = stream(&engine, "s", 1).await;
        append(&engine, &created.shards[0], &[payload(0, 100)]).await.unwrap();
        bench.disk.set_fault_rates(vec![(operation, Fault::Io, 10_000)]);
        // A start may find the stream or not: nobody is told that a record of it is stored.
        let doubtful = engine.remove_stream(created.id).await;
        assert!(matches!(doubtful, Err(CatalogError::Stopped { .. })), "{doubtful:?}");
        let reason = engine.stopped().unwrap();
        assert!(reason.contains("catalog.0"), "{reason}");
        assert_eq!(engine.metrics().stopped.get(), 1);
        let refused = append(&engine, &created.shards[0], &[payload(1, 100)]).await;
        assert!(matches!(refused, Err(AppendError::Stopped { .. })), "{refused:?}");
        assert_holds(&engine, "s", 0, 0..1).await;
        drop(engine);
        bench.disk.clear_faults();
        assert_eq!(bench.open().await.stopped(), None);
    }
}

#[tokio::test]
async fn a_group_that_a_start_has_cut_off_does_not_come_back() {
    for seed in 0..40 {
        let mut bench = Bench::new(seed);
        let engine = bench.open().await;
        let created = stream(&engine, "s", 1).await;
        append(&engine, &created.shards[0], &[payload(0, 100)]).await.unwrap();
        // Any part of the group is left in one file, and any other part in the next.
        bench.disk.fail_nth(Operation::LogWrite, 1, Fault::Io);
        bench.disk.fail_nth(Operation::LogWrite, 2, Fault::Io);
        append(&engine, &created.shards[0], &[payload(1, 3000)]).await.unwrap_err();
        drop(engine);
        let engine = bench.open().await;
        let found = read_all(&engine, &created, &created.shards[0]).await.unwrap().len() as u64;
        drop(engine);
        bench.disk = bench.disk.power_cut(seed, Survive::None);
        assert_holds(&bench.open().await, "s", 0, 0..found).await;
    }
}

/// A clock that breaks: a fault in the program, from the log thread's point of view.
struct BrokenClock(AtomicBool);

impl Clock for BrokenClock {
    fn now(&self) -> Timestamp {
        assert!(!self.0.load(Ordering::SeqCst), "the clock is broken");
        START
    }
}

#[tokio::test]
async fn a_log_thread_that_panics_answers_everybody_and_says_that_writes_stopped() {
    let bench = Bench::new(15);
    let clock = Arc::new(BrokenClock(false.into()));
    let device = bench.disk.device(clock.clone());
    let engine = Engine::open(bench.config.clone(), device).await.unwrap();
    let created = stream(&engine, "s", 1).await;
    clock.0.store(true, Ordering::SeqCst);
    let payloads = [payload(0, 100)];
    let sent: Vec<_> =
        (0..20).map(|_| engine.append(build(&[(&created.shards[0], &payloads)]))).collect();
    for answer in sent {
        let refused = answer.await.pop().unwrap().map(Durable::into_inner);
        assert!(matches!(refused, Err(AppendError::Stopped { .. })), "{refused:?}");
    }
    assert!(engine.stopped().is_some());
    assert!(engine.checkpoint().await.is_err());
    engine.close().await;
}

#[tokio::test]
async fn a_failed_sync_of_segments_stops_writes_and_loses_nothing() {
    let bench = Bench::new(3);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    append(&engine, &created.shards[0], &[payload(0, 100)]).await.unwrap();
    engine.checkpoint().await.unwrap();
    append(&engine, &created.shards[0], &[payload(1, 100)]).await.unwrap();
    // The spare log file, made in the background, may meet one of them.
    for nth in 1..=3 {
        bench.disk.fail_nth(Operation::SyncData, nth, Fault::LosePages);
    }
    assert!(engine.checkpoint().await.is_err());
    assert!(engine.stopped().is_some());
    engine.close().await;
    drop(engine);
    let after = Bench { disk: bench.disk.power_cut(1, Survive::None), ..bench };
    assert_holds(&after.open().await, "s", 0, 0..2).await;
}

#[tokio::test]
async fn a_full_disk_refuses_appends_until_there_is_space() {
    let mut bench = Bench::new(4);
    bench.config.log_file_bytes = 32 << 10;
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    let shard = &created.shards[0];
    let held: usize = bench.disk.snapshot().values().map(Vec::len).sum();
    bench.disk.set_capacity(Some(held as u64 + (200 << 10)));
    let mut n = 0;
    let refused = loop {
        match append(&engine, shard, &[payload(n, 4000)]).await {
            Ok(_) => n += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AppendError::DiskFull { .. }), "{refused:?}");
    assert!(n > 5, "{n}");
    assert_eq!(engine.stopped(), None);
    bench.disk.set_capacity(None);
    while append(&engine, shard, &[payload(n, 4000)]).await.is_err() {
        assert_eq!(engine.stopped(), None);
        tokio::task::yield_now().await;
    }
    assert_holds(&engine, "s", 0, 0..n + 1).await;
    engine.close().await;
    drop(engine);
    assert_holds(&bench.open().await, "s", 0, 0..n + 1).await;
}

#[tokio::test]
async fn a_disk_that_was_full_at_first_loses_nothing_later() {
    let bench = Bench::new(12);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    let shard = &created.shards[0];
    bench.disk.set_capacity(Some(0));
    let refused = append(&engine, shard, &[payload(0, 100)]).await;
    assert!(matches!(refused, Err(AppendError::DiskFull { .. })), "{refused:?}");
    bench.disk.set_capacity(None);
    while append(&engine, shard, &[payload(0, 100)]).await.is_err() {
        tokio::task::yield_now().await;
    }
    drop(engine);
    assert_holds(&bench.open().await, "s", 0, 0..1).await;
}

#[tokio::test]
async fn a_log_file_left_half_made_on_a_full_disk_gives_way_once_there_is_space() {
    let bench = Bench::new(17);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    let shard = &created.shards[0];
    bench.disk.fail_nth(Operation::Write, 1, Fault::Full);
    bench.disk.fail_nth(Operation::Remove, 1, Fault::Io);
    let refused = append(&engine, shard, &[payload(0, 100)]).await;
    assert!(matches!(refused, Err(AppendError::DiskFull { .. })), "{refused:?}");
    while append(&engine, shard, &[payload(0, 100)]).await.is_err() {
        assert_eq!(engine.stopped(), None);
        tokio::task::yield_now().await;
    }
    assert_holds(&engine, "s", 0, 0..1).await;
}

#[tokio::test]
async fn a_log_file_that_could_not_be_synced_is_not_used() {
    let bench = Bench::new(18);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    // The page header is synced first, then the zeros.
    bench.disk.fail_nth(Operation::SyncData, 2, Fault::LosePages);
    let refused = append(&engine, &created.shards[0], &[payload(0, 100)]).await;
    assert!(matches!(refused, Err(AppendError::Stopped { .. })), "{refused:?}");
    assert_eq!(bench.disk.calls(Operation::LogWrite), 0);
}

#[tokio::test]
async fn a_checkpoint_that_finds_the_disk_full_once_is_whole_the_next_time() {
    for call in 1..8 {
        let bench = Bench::new(call);
        let engine = bench.open().await;
        let created = stream(&engine, "s", 1).await;
        append(&engine, &created.shards[0], &[payload(0, 100)]).await.unwrap();
        bench.disk.fail_nth(Operation::Write, call, Fault::Full);
        engine.checkpoint().await.unwrap();
        drop(engine);
        let after = bench.disk.power_cut(call, Survive::None);
        let names: Vec<_> = after.snapshot().into_keys().collect();
        assert!(names.iter().any(|path| path.ends_with("manifest.0")), "{names:?}");
    }
}

#[tokio::test]
async fn too_little_free_space_refuses_appends() {
    let mut bench = Bench::new(5);
    let engine = bench.open().await;
    stream(&engine, "s", 1).await;
    drop(engine);
    bench.config.reserve_bytes = u64::MAX;
    let engine = bench.open().await;
    let refused = append(&engine, &found(&engine, "s").shards[0], &[payload(0, 1)]).await;
    assert!(matches!(refused, Err(AppendError::DiskFull { .. })), "{refused:?}");
    assert_eq!(engine.metrics().disk_full.get(), 1);
}

#[tokio::test]
async fn an_open_directory_is_locked() {
    let bench = Bench::new(9);
    let engine = bench.open().await;
    assert!(matches!(bench.try_open().await.err(), Some(OpenError::Locked { .. })));
    drop(engine);
    bench.open().await;
}

#[tokio::test]
async fn a_directory_of_somebody_else_is_left_alone() {
    let bench = Bench::new(10);
    let device = bench.disk.device(bench.clock.clone());
    device.files.create_dir_all(Path::new("/data")).await.unwrap();
    device.files.create(Path::new("/data/thesis.txt")).await.unwrap();
    let error = bench.try_open().await.err();
    assert!(matches!(error, Some(OpenError::Foreign { file, .. }) if file == "thesis.txt"));
    assert_eq!(bench.disk.snapshot().len(), 1);
}

#[tokio::test]
async fn a_probe_left_by_a_start_that_was_killed_does_not_make_the_directory_foreign() {
    let bench = Bench::new(14);
    let device = bench.disk.device(bench.clock.clone());
    device.files.create_dir_all(Path::new("/data")).await.unwrap();
    device.files.create(Path::new("/data/.kinelog-probe-0123456789abcdef")).await.unwrap();
    bench.open().await;
}

#[tokio::test]
async fn a_directory_of_a_newer_version_is_left_alone() {
    let bench = Bench::new(11);
    drop(bench.open().await);
    let newer = |bytes: &mut [u8]| {
        for copy in [0, 2048] {
            bytes[copy + 12] = 2;
            let crc = kinelog_engine::format::checksum::crc(&bytes[copy..copy + 124]);
            bytes[copy + 124..copy + 128].copy_from_slice(&crc.to_le_bytes());
        }
    };
    bench.disk.alter(Path::new("/data/store"), newer).unwrap();
    let error = bench.try_open().await.err();
    assert!(matches!(error, Some(OpenError::TooNew { found: 2, .. })), "{error:?}");
}

#[tokio::test]
async fn a_start_cut_short_anywhere_is_repeated() {
    for nth in 1..60 {
        let mut bench = Bench::new(nth);
        bench.disk.fail_nth(Operation::Any, nth, Fault::Io);
        let first = bench.try_open().await;
        let failed = first.is_err();
        drop(first);
        bench.disk.clear_faults();
        bench.disk = bench.disk.power_cut(nth, Survive::Random);
        let engine = bench.open().await;
        stream(&engine, "s", 1).await;
        if !failed {
            return;
        }
    }
    panic!("opening takes more calls than this test counts");
}
