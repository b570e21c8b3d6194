//! The store's everyday life: append, read back, close, crash, reopen.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the time of recovery is of interest")]

mod store_common;

use kinelog_engine::Engine;
use kinelog_engine::config::{Config, Durability};
use kinelog_engine::device::simulated::{Operation, Survive};
use kinelog_engine::device::{Device, LogChoice};
use kinelog_engine::error::AppendError;
use kinelog_engine::types::{NewShard, Ordinal, Reshard, ShardIndex};
use store_common::*;

#[tokio::test]
async fn appended_records_are_read_back_in_order() {
    let bench = Bench::new(1);
    let engine = bench.open().await;
    let stream = stream(&engine, "s", 2).await;
    for n in 0..20 {
        let run = append(&engine, &stream.shards[1], &[payload(n, 100)]).await.unwrap();
        assert_eq!(run.first, Ordinal(n + 1));
    }
    assert_holds(&engine, "s", 1, 0..20).await;
    assert_holds(&engine, "s", 0, 0..0).await;
}

#[tokio::test]
async fn a_closed_store_reopens_with_all_records() {
    let bench = Bench::new(2);
    for round in 0..4 {
        let engine = bench.open().await;
        if round == 0 {
            stream(&engine, "s", 1).await;
        }
        assert_holds(&engine, "s", 0, 0..round * 10).await;
        for n in 0..10 {
            let shard = &found(&engine, "s").shards[0];
            append(&engine, shard, &[payload(round * 10 + n, 3000)]).await.unwrap();
        }
        engine.close().await;
    }
}

#[tokio::test]
async fn a_dropped_store_reopens_with_all_records() {
    let bench = Bench::new(3);
    for round in 0..4 {
        let engine = bench.open().await;
        if round == 0 {
            stream(&engine, "s", 1).await;
        }
        assert_holds(&engine, "s", 0, 0..round * 10).await;
        for n in 0..10 {
            let shard = &found(&engine, "s").shards[0];
            append(&engine, shard, &[payload(round * 10 + n, 3000)]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_power_cut_loses_nothing_acknowledged() {
    let mut bench = Bench::new(4);
    for round in 0..4 {
        let engine = bench.open().await;
        if round == 0 {
            stream(&engine, "s", 1).await;
        }
        assert_holds(&engine, "s", 0, 0..round * 10).await;
        for n in 0..10 {
            let shard = &found(&engine, "s").shards[0];
            append(&engine, shard, &[payload(round * 10 + n, 3000)]).await.unwrap();
        }
        bench.disk = bench.disk.power_cut(round, Survive::None);
    }
}

#[tokio::test]
async fn appends_after_a_close_are_refused() {
    let bench = Bench::new(5);
    let engine = bench.open().await;
    let stream = stream(&engine, "s", 1).await;
    engine.close().await;
    let refused = append(&engine, &stream.shards[0], &[payload(0, 1)]).await;
    assert!(matches!(refused, Err(AppendError::Stopped { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_resharded_stream_refuses_appends_to_closed_shards_also_after_a_restart() {
    let bench = Bench::new(6);
    let mut engine = bench.open().await;
    let before = stream(&engine, "s", 1).await;
    append(&engine, &before.shards[0], &[payload(0, 1)]).await.unwrap();
    let ranges = kinelog_engine::types::uniform_ranges(2);
    let open = ranges.into_iter().map(|range| NewShard {
        range,
        created_seconds: START.seconds(),
        parents: vec![ShardIndex(0)],
    });
    let reshard = Reshard { close: vec![ShardIndex(0)], open: open.collect() };
    let after = engine.reshard(before.id, reshard, START, vec![]).await.unwrap();
    assert_eq!(after.shards[0].closed.unwrap().end, Ordinal(2));
    for is_reopened in [false, true] {
        if is_reopened {
            drop(engine);
            engine = bench.open().await;
        }
        let refused = append(&engine, &before.shards[0], &[payload(1, 1)]).await;
        assert!(matches!(refused, Err(AppendError::ShardClosed(ShardIndex(0)))), "{refused:?}");
        append(&engine, &after.shards[2], &[payload(1, 1)]).await.unwrap();
        assert_holds(&engine, "s", 0, 0..1).await;
    }
}

#[tokio::test]
async fn runs_fail_one_by_one_and_arrival_never_falls() {
    let bench = Bench::new(8);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 2).await;
    let gone = stream(&engine, "gone", 1).await;
    engine.remove_stream(gone.id).await.unwrap();
    let data = [payload(0, 10), payload(1, 10)];
    let both = build(&[(&gone.shards[0], &data[..]), (&created.shards[1], &data[..])]);
    let results = engine.append(both).await;
    assert!(matches!(results[0], Err(AppendError::ShardClosed(ShardIndex(0)))), "{results:?}");
    let run = results[1].clone().unwrap().into_inner();
    assert_eq!((run.first, run.arrival), (Ordinal(1), START));
    bench.clock.set(kinelog_engine::types::Timestamp(START.0 - 1000));
    let run = append(&engine, &created.shards[1], &[payload(2, 10)]).await.unwrap();
    assert_eq!((run.first, run.arrival), (Ordinal(3), START));
    assert_holds(&engine, "s", 1, 0..3).await;
}

#[tokio::test]
async fn without_durability_a_clean_close_still_keeps_everything() {
    let mut bench = Bench::new(7);
    bench.config.durability = Durability::None;
    let engine = bench.open().await;
    let stream = stream(&engine, "s", 1).await;
    for n in 0..100 {
        append(&engine, &stream.shards[0], &[payload(n, 3000)]).await.unwrap();
    }
    engine.close().await;
    drop(engine);
    assert_holds(&bench.open().await, "s", 0, 0..100).await;
}

async fn append_to_ten_thousand_shards(engine: &Engine) {
    let created = stream(engine, "s", 10_000).await;
    let data = [payload(7, 20)];
    let runs: Vec<_> = created.shards.iter().map(|shard| (shard, &data[..])).collect();
    assert!(engine.append(build(&runs)).await.iter().all(Result::is_ok));
}

async fn assert_ten_thousand_shards(engine: &Engine) {
    println!("10,000 shards recovered in {} ms", engine.metrics().recovery_ms.get());
    for shard in [0, 4_999, 9_999] {
        assert_holds(engine, "s", shard, 7..8).await;
    }
}

#[tokio::test]
async fn ten_thousand_shards_with_a_record_each_reopen_after_crashes() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { reserve_bytes: 0, ..Config::new(directory.path().join("data")) };
    let open = async || {
        let (device, _) = Device::system(&config.directory, LogChoice::Auto).unwrap();
        Engine::open(config.clone(), device).await.unwrap()
    };
    append_to_ten_thousand_shards(&open().await).await;
    for _ in 0..2 {
        assert_ten_thousand_shards(&open().await).await;
    }
}

#[tokio::test]
async fn ten_thousand_shards_with_a_record_each_reopen_after_a_close() {
    let bench = Bench::new(9);
    let engine = bench.open().await;
    append_to_ten_thousand_shards(&engine).await;
    engine.close().await;
    drop(engine);
    let opened = bench.disk.calls(Operation::Open);
    let engine = bench.open().await;
    let opened = bench.disk.calls(Operation::Open) - opened;
    assert!(opened < 20, "no file of a shard is opened: {opened}");
    assert_ten_thousand_shards(&engine).await;
}

#[tokio::test]
async fn a_change_outlives_the_runtime_it_was_asked_for_in() {
    let bench = Bench::new(1);
    let engine = bench.open().await;
    let asked = engine.clone();
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut change = Box::pin(stream(&asked, "first", 1));
            std::future::poll_fn(|context| {
                assert!(change.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
        });
    });
    asking.join().unwrap();
    // Changes are made one after the other.
    stream(&engine, "second", 1).await;
    assert_eq!(found(&engine, "first").shards.len(), 1);
}
