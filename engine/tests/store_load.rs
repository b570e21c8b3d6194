//! Under load that never pauses, what runs beside the appends still gets done.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_common;

use std::collections::VecDeque;
use std::sync::Arc;

use kinelog_engine::Engine;
use kinelog_engine::config::Durability;
use kinelog_engine::error::AppendError;
use kinelog_engine::types::Shard;
use store_common::*;

/// Appends that wait at any time.
const WAITING: usize = 64;

/// Appends without pause until one is refused.
async fn append_until_refused(engine: &Engine, shard: &Arc<Shard>, bytes: usize) -> AppendError {
    let payloads = [payload(0, bytes)];
    let mut waiting = VecDeque::new();
    for _ in 0..300_000 {
        waiting.push_back(engine.append(build(&[(shard, &payloads)])));
        if waiting.len() > WAITING {
            let mut answer = waiting.pop_front().unwrap().await;
            if let Err(refused) = answer.pop().unwrap() {
                return refused;
            }
        }
    }
    panic!("nothing was ever refused");
}

/// A store whose copies take far longer than its commits.
fn with_slow_copies(seed: u64) -> Bench {
    let mut bench = Bench::new(seed);
    bench.config.durability = Durability::None;
    bench.disk.set_pauses_max(300);
    bench
}

#[tokio::test]
async fn a_checkpoint_ends_while_appends_go_on() {
    let bench = with_slow_copies(1);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    let checkpoint = {
        let engine = engine.clone();
        let disk = bench.disk.clone();
        async move {
            engine.checkpoint().await.unwrap();
            disk.set_capacity(Some(0)); // Ends the appends.
        }
    };
    let checkpoint = tokio::spawn(checkpoint);
    let refused = append_until_refused(&engine, &created.shards[0], 100).await;
    assert!(matches!(refused, AppendError::DiskFull { .. }), "{refused:?}");
    checkpoint.await.unwrap();
}

#[tokio::test]
async fn space_is_watched_while_appends_go_on() {
    let mut bench = with_slow_copies(2);
    bench.config.checkpoint_log_bytes = 4 << 20;
    bench.config.reserve_bytes = 1 << 40;
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    append(&engine, &created.shards[0], &[payload(0, 100)]).await.unwrap();
    bench.disk.set_capacity(Some(1 << 39));
    let refused = append_until_refused(&engine, &created.shards[0], 70_000).await;
    assert!(matches!(refused, AppendError::DiskFull { .. }), "{refused:?}");
}

#[tokio::test]
async fn memory_is_bounded_however_many_shards_a_group_waits_for() {
    let mut bench = Bench::new(3);
    bench.config.durability = Durability::None;
    bench.config.checkpoint_log_bytes = 256 << 10;
    bench.disk.set_pauses_max(20);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 400).await;
    let payloads = [payload(0, 20)];
    let (mut waiting, mut most) = (VecDeque::new(), 0);
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..20_000 {
        let shard = &created.shards[random.usize(..400)];
        waiting.push_back(engine.append(build(&[(shard, &payloads)])));
        if waiting.len() > WAITING {
            waiting.pop_front().unwrap().await.pop().unwrap().unwrap();
            most = most.max(engine.metrics().tail_cache_bytes.get());
        }
    }
    // And the group that was begun just below the bound.
    assert!(most <= (4 * 256 + 64) << 10, "{most} bytes were held");
}
