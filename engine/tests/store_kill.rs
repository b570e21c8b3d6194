//! The process is killed anywhere, started again, and then the power fails: what the first process
//! left in the system's cache only must not be taken for durable by the second.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_common;

use std::collections::BTreeMap;
use std::sync::Arc;

use kinelog_engine::Engine;
use kinelog_engine::device::simulated::{Fault, Operation, SimulatedDisk, Survive};
use kinelog_engine::types::{Shard, Stream};
use store_common::*;

/// Enough that a manifest takes several sectors.
const SHARDS: usize = 12;
/// More calls than a process makes in these tests.
const CALLS_MAX: u64 = 1000;

/// What was acknowledged: number of the payload by shard and ordinal.
type Acknowledged = BTreeMap<(usize, u64), u64>;

/// From the `nth` call on, every call fails, as if none were made any more.
fn kill_at(disk: &SimulatedDisk, nth: u64) {
    for call in nth..nth + CALLS_MAX {
        disk.fail_nth(Operation::Any, call, Fault::Io);
    }
}

/// From the `nth` sync of a file on, every one fails.
fn kill_syncs_at(disk: &SimulatedDisk, nth: u64) {
    for call in nth..nth + 20 {
        disk.fail_nth(Operation::SyncData, call, Fault::Io);
    }
}

struct Life {
    bench: Bench,
    acknowledged: Acknowledged,
    next_number: u64,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut bench = Bench::new(seed);
        bench.config.log_file_bytes = 32 << 10;
        bench.config.segment_bytes_max = 100 << 10;
        Self { bench, acknowledged: BTreeMap::new(), next_number: 0 }
    }

    /// True when the record was acknowledged.
    async fn append(
        &mut self,
        engine: &Engine,
        stream: &Stream,
        shard: usize,
        bytes: usize,
    ) -> bool {
        let number = self.next_number;
        self.next_number += 1;
        let target: &Arc<Shard> = &stream.shards[shard];
        let answer = append(engine, target, &[payload(number, bytes)]).await;
        if let Ok(run) = &answer {
            let before = self.acknowledged.insert((shard, run.first.0), number);
            assert_eq!(before, None, "an ordinal was given out twice");
        }
        answer.is_ok()
    }

    /// A life of a store, long enough for every kind of file to come and go; ends early when it
    /// is killed.
    async fn live(&mut self) -> Option<()> {
        let engine = self.bench.try_open().await.ok()?;
        let created = try_stream(&engine, "s", u32::try_from(SHARDS).unwrap()).await?;
        for shard in 0..SHARDS {
            self.append(&engine, &created, shard, 100).await.then_some(())?;
        }
        for round in 0..4 {
            for _ in 0..3 {
                self.append(&engine, &created, 0, 9000).await.then_some(())?;
            }
            self.append(&engine, &created, 1, 70_000).await.then_some(())?;
            if round != 1 {
                engine.checkpoint().await.ok()?;
            }
        }
        engine.close().await;
        engine.stopped().is_none().then_some(())
    }

    async fn check(&self) {
        let engine = self.bench.open().await;
        assert_eq!(engine.metrics().damaged_ranges.get(), 0);
        if self.acknowledged.is_empty() {
            return;
        }
        let stream = found(&engine, "s");
        for shard in 0..SHARDS {
            let records = read_all(&engine, &stream, &stream.shards[shard]).await.unwrap();
            for (ordinal, record) in (1..).zip(&records) {
                assert_eq!(record.ordinal.0, ordinal, "no gap, nothing twice");
                let acknowledged = self.acknowledged.get(&(shard, ordinal));
                assert!(acknowledged.is_none_or(|held| *held == number(record)));
            }
            let last = self.acknowledged.keys().filter(|(of, _)| *of == shard).map(|key| key.1);
            assert!(last.max().unwrap_or(0) <= records.len() as u64, "a record is lost");
        }
    }
}

/// What happens between the second start and the power cut.
#[derive(Clone, Copy, Debug)]
enum Second {
    /// One append to each shard.
    Appends,
    /// The same and a checkpoint.
    Checkpoint,
    /// The same, and the power fails at some call of the checkpoint.
    CutInCheckpoint(u64),
    /// The second start is killed at some call; the third one does as for `Checkpoint`.
    KilledAgain(u64),
}

async fn kill_and_cut(nth: u64, second: Second, survive: Survive) -> bool {
    let mut life = Life::new(nth);
    kill_at(&life.bench.disk, nth);
    let lived_on = life.live().await.is_some();
    life.bench.disk.clear_faults();
    if let Second::KilledAgain(call) = second {
        kill_at(&life.bench.disk, call);
        drop(life.bench.try_open().await);
        life.bench.disk.clear_faults();
    }
    {
        let engine = life.bench.open().await;
        let key_is_there = engine.all_streams().len() == 1;
        let created = if key_is_there {
            found(&engine, "s")
        } else {
            stream(&engine, "s", u32::try_from(SHARDS).unwrap()).await
        };
        for shard in 0..2 {
            assert!(life.append(&engine, &created, shard, 100).await);
        }
        match second {
            Second::Appends => {}
            Second::Checkpoint | Second::KilledAgain(_) => engine.checkpoint().await.unwrap(),
            Second::CutInCheckpoint(call) => {
                kill_at(&life.bench.disk, call);
                drop(engine.checkpoint().await);
            }
        }
        life.bench.disk = life.bench.disk.power_cut(nth, survive);
    }
    life.check().await;
    lived_on
}

/// Kills at every `step`th call of the first life.
async fn everywhere(second: Second, survive: Survive, step: usize) {
    for nth in (1..CALLS_MAX).step_by(step) {
        if kill_and_cut(nth, second, survive).await {
            return;
        }
    }
    panic!("a life takes more calls than this test counts");
}

#[tokio::test]
async fn a_kill_then_a_power_cut_loses_nothing() {
    everywhere(Second::Appends, Survive::None, 3).await;
}

#[tokio::test]
async fn a_kill_then_a_checkpoint_then_a_power_cut_loses_nothing() {
    everywhere(Second::Checkpoint, Survive::None, 2).await;
    everywhere(Second::Checkpoint, Survive::Random, 5).await;
}

#[tokio::test]
async fn a_kill_then_a_power_cut_during_the_next_checkpoint_loses_nothing() {
    for call in (1..25).step_by(2) {
        everywhere(Second::CutInCheckpoint(call), Survive::Random, 37).await;
    }
}

#[tokio::test]
async fn a_kill_during_recovery_then_a_power_cut_loses_nothing() {
    for call in (1..40).step_by(3) {
        everywhere(Second::KilledAgain(call), Survive::None, 41).await;
    }
}

/// Makes a checkpoint that ends between the manifest's write and its sync.
async fn leave_a_manifest_unsynced(life: &mut Life) {
    let manifests = |disk: &SimulatedDisk| {
        let mut files = disk.snapshot();
        files.retain(|path, _| path.to_string_lossy().contains("manifest"));
        files
    };
    // Segments are synced before it, and the spare log file in the background: a few or more.
    for nth in (1..8).cycle() {
        let before = manifests(&life.bench.disk);
        let engine = life.bench.open().await;
        let stream = found(&engine, "s");
        assert!(life.append(&engine, &stream, 0, 100).await);
        kill_syncs_at(&life.bench.disk, nth);
        let failed = engine.checkpoint().await.is_err();
        drop(engine);
        life.bench.disk.clear_faults();
        if failed && manifests(&life.bench.disk) != before {
            return;
        }
    }
}

#[tokio::test]
async fn a_manifest_that_no_process_synced_is_not_relied_upon() {
    let mut life = Life::new(1);
    life.live().await.unwrap();
    leave_a_manifest_unsynced(&mut life).await;
    leave_a_manifest_unsynced(&mut life).await;
    let disk = life.bench.disk.clone();
    for seed in 0..100 {
        life.bench.disk = disk.after_power_cut(seed, Survive::Random);
        life.check().await;
    }
}

#[tokio::test]
async fn one_fault_then_a_power_cut_loses_nothing() {
    for fault in [Fault::Full, Fault::Io, Fault::LosePages] {
        for nth in (1..400).step_by(7) {
            let mut life = Life::new(nth);
            life.bench.disk.fail_nth(Operation::Any, nth, fault);
            life.live().await;
            let disk = life.bench.disk.power_cut(nth, Survive::None);
            life.bench.disk = disk;
            life.check().await;
        }
    }
}

/// A disk whose process was killed while the group of record 0 was on its way to the device.
async fn killed_in_a_log_write() -> Bench {
    let mut bench = Bench::new(1);
    let device = bench.disk.single_threaded_device(bench.clock.clone());
    let engine = Engine::open(bench.config.clone(), device).await.unwrap();
    let created = stream(&engine, "s", 1).await;
    bench.disk.fail_nth(Operation::LogWrite, 1, Fault::Stall);
    let sent = engine.append(build(&[(&created.shards[0], &[payload(0, 100)])]));
    let is_written = |bytes: &Vec<u8>| bytes.windows(100).any(|held| held == payload(0, 100));
    while !bench.disk.snapshot().values().any(is_written) {
        tokio::task::yield_now().await;
    }
    bench.disk = bench.disk.kill(1);
    drop((sent, engine));
    bench
}

#[tokio::test]
async fn a_last_group_that_a_start_could_not_sync_is_written_again_before_it_is_read() {
    let tasks = tokio::task::LocalSet::new();
    let mut bench = tasks.run_until(killed_in_a_log_write()).await;
    drop(tasks);
    for nth in 1.. {
        bench.disk.fail_nth(Operation::SyncData, nth, Fault::LosePages);
        if bench.try_open().await.is_ok() {
            assert!(nth > 1, "no start synced anything");
            break;
        }
    }
    bench.disk.clear_faults();
    assert_holds(&bench.open().await, "s", 0, 0..1).await;
    bench.disk = bench.disk.power_cut(1, Survive::None);
    assert_holds(&bench.open().await, "s", 0, 0..1).await;
}
