//! The end of a shard's arrivals, set before the shard is closed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_common;

use kinelog_engine::Engine;
use kinelog_engine::device::simulated::Survive;
use kinelog_engine::error::CatalogError;
use kinelog_engine::types::{
    NewShard, Reshard, ShardIndex, StreamChange, Timestamp, uniform_ranges,
};
use store_common::*;

const UNTIL: Timestamp = Timestamp(START.0 + 999);

fn until(shard: u32, until: Timestamp) -> Vec<StreamChange> {
    vec![StreamChange::ArrivalsUntil(vec![ShardIndex(shard)], until)]
}

async fn arrival(engine: &Engine, shard: usize) -> Timestamp {
    let shard = &found(engine, "s").shards[shard];
    append(engine, shard, &[payload(0, 20)]).await.unwrap().arrival
}

#[tokio::test]
async fn records_taken_after_the_end_of_arrivals_arrive_at_it() {
    let mut bench = Bench::new(1);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 2).await;
    engine.change_stream(created.id, until(0, UNTIL)).await.unwrap();
    assert_eq!(arrival(&engine, 0).await, START);
    bench.clock.set(UNTIL);
    assert_eq!(arrival(&engine, 0).await, UNTIL);
    bench.clock.advance_ms(1);
    assert_eq!((arrival(&engine, 0).await, arrival(&engine, 1).await), (UNTIL, bench.clock_now()));
    bench.disk = bench.disk.power_cut(1, Survive::None);
    let engine = bench.open().await;
    assert_eq!((arrival(&engine, 0).await, arrival(&engine, 1).await), (UNTIL, bench.clock_now()));
}

#[tokio::test]
async fn arrivals_do_not_end_before_the_last_one() {
    let bench = Bench::new(2);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 2).await;
    bench.clock.set(Timestamp(UNTIL.0 + 1));
    let last = arrival(&engine, 1).await;
    let both = vec![StreamChange::ArrivalsUntil(vec![ShardIndex(0), ShardIndex(1)], UNTIL)];
    let refused = engine.change_stream(created.id, both).await;
    assert!(matches!(refused, Err(CatalogError::ArrivedLater(at)) if at == last), "{refused:?}");
    assert_eq!(arrival(&engine, 0).await, last, "nothing was changed");
    assert_eq!(found(&engine, "s").shards[0].arrivals_until, None);
    engine.change_stream(created.id, until(1, last)).await.unwrap();
}

#[tokio::test]
async fn a_refused_change_leaves_arrivals_as_they_were() {
    let bench = Bench::new(3);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 2).await;
    engine.change_stream(created.id, until(0, UNTIL)).await.unwrap();
    bench.disk.set_capacity(Some(0));
    for shard in [0, 1] {
        let refused = engine.change_stream(created.id, until(shard, START)).await;
        assert!(matches!(refused, Err(CatalogError::DiskFull { .. })), "{refused:?}");
    }
    bench.disk.set_capacity(None);
    bench.clock.set(Timestamp(UNTIL.0 + 1));
    assert_eq!((arrival(&engine, 0).await, arrival(&engine, 1).await), (UNTIL, bench.clock_now()));
    let unknown = engine.change_stream(created.id, until(2, UNTIL)).await;
    assert!(matches!(unknown, Err(CatalogError::ShardNotOpen(ShardIndex(2)))), "{unknown:?}");
}

#[tokio::test]
async fn a_later_end_is_not_in_force_before_it_is_stored() {
    let bench = Bench::new(6);
    // One thread and slow calls of the disk: records arrive while the change is written.
    bench.disk.set_pauses_max(200);
    let story = async {
        let device = bench.disk.single_threaded_device(bench.clock.clone());
        let engine = Engine::open(bench.config.clone(), device).await.unwrap();
        let created = stream(&engine, "s", 1).await;
        engine.change_stream(created.id, until(0, UNTIL)).await.unwrap();
        bench.clock.set(Timestamp(UNTIL.0 + 1));
        let later = until(0, Timestamp(UNTIL.0 + 2));
        let mut change = std::pin::pin!(engine.change_stream(created.id, later));
        let mut arrived = 0;
        loop {
            let mut record = std::pin::pin!(arrival(&engine, 0));
            tokio::select! {
                biased;
                changed = &mut change => break drop(changed.unwrap()),
                at = &mut record => assert_eq!(at, UNTIL),
            }
            arrived += 1;
        }
        assert!(arrived > 0, "the change was stored too soon to tell");
        assert_eq!(arrival(&engine, 0).await, bench.clock_now());
    };
    tokio::task::LocalSet::new().run_until(story).await;
}

#[tokio::test]
async fn no_record_arrives_before_its_shard_began() {
    let bench = Bench::new(5);
    let mut engine = bench.open().await;
    stream(&engine, "s", 1).await;
    bench.clock.set(Timestamp(START.0 - 3_600_000));
    assert_eq!(arrival(&engine, 0).await, START);
    drop(engine);
    engine = bench.open().await;
    assert_eq!(arrival(&engine, 0).await, START);
}

#[tokio::test]
async fn a_shard_can_be_opened_with_the_end_of_its_arrivals() {
    let bench = Bench::new(4);
    let mut engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    let open = uniform_ranges(2).into_iter().map(|range| NewShard {
        range,
        created_seconds: START.seconds(),
        parents: vec![ShardIndex(0)],
    });
    let reshard = Reshard { close: vec![ShardIndex(0)], open: open.collect() };
    engine.reshard(created.id, reshard, START, until(1, UNTIL)).await.unwrap();
    bench.clock.set(Timestamp(UNTIL.0 + 1));
    for is_reopened in [false, true] {
        if is_reopened {
            drop(engine);
            engine = bench.open().await;
        }
        let (limited, free) = (arrival(&engine, 1).await, arrival(&engine, 2).await);
        assert_eq!((limited, free), (UNTIL, bench.clock_now()));
    }
}

#[tokio::test]
async fn no_record_arrives_in_a_time_that_retention_has_given_up() {
    let mut bench = Bench::new(8);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 2).await;
    // The clock is ahead while retention grows, and is then put right.
    bench.clock.advance_ms(100 * 3_600_000);
    let longer =
        engine.change_stream(created.id, vec![StreamChange::Retention(168)]).await.unwrap();
    bench.clock.set(START);
    let trimmed_before = longer.trimmed_before;
    assert_eq!(trimmed_before, Timestamp(START.0 + 76 * 3_600_000));
    assert_eq!(arrival(&engine, 0).await, trimmed_before);
    assert_holds(&engine, "s", 0, 0..1).await;
    let ranges = uniform_ranges(4).into_iter().skip(2);
    let new =
        |range| NewShard { range, created_seconds: START.seconds(), parents: vec![ShardIndex(1)] };
    let reshard = Reshard { close: vec![ShardIndex(1)], open: ranges.map(new).collect() };
    engine.reshard(created.id, reshard, START, vec![]).await.unwrap();
    assert_eq!(arrival(&engine, 2).await, trimmed_before);
    bench.disk = bench.disk.power_cut(1, Survive::None);
    let engine = bench.open().await;
    assert_eq!(arrival(&engine, 3).await, trimmed_before);
    for shard in [0, 2, 3] {
        assert_holds(&engine, "s", shard, 0..1).await;
    }
}
