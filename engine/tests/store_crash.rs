//! Power cuts at random points: what was acknowledged is there, once, in order, unaltered.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kinelog_engine::Engine;
use kinelog_engine::config::Durability;
use kinelog_engine::device::simulated::{Fault, Operation, Survive};
use kinelog_engine::error::AppendError;
use kinelog_engine::recovery::verify::verify;
use kinelog_engine::types::{Ordinal, Stream};
use proptest::prelude::*;
use store_common::*;

const SHARDS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Appends of `count` records of `bytes` bytes each to one shard; `width` calls at once.
    Append {
        shard: usize,
        count: usize,
        bytes: usize,
        width: usize,
    },
    Checkpoint,
    /// The clock jumps, either way.
    Clock(i64),
    /// Reopens after a clean close.
    Close,
    /// Reopens after a drop without a close.
    Drop,
    /// Lets an operation fail some calls later, and cuts the power.
    Cut {
        fault_in: u64,
        survive: Survive,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let survive = prop_oneof![
        Just(Survive::None),
        Just(Survive::All),
        Just(Survive::Random),
        Just(Survive::Torn)
    ];
    let append = (0..SHARDS, 1usize..5, 20usize..12_000, 1usize..5);
    let append =
        append.prop_map(|(shard, count, bytes, width)| Step::Append { shard, count, bytes, width });
    let step = prop_oneof![
        12 => append,
        2 => Just(Step::Checkpoint),
        1 => (-7_200_000i64..7_200_000).prop_map(Step::Clock),
        1 => Just(Step::Close),
        1 => Just(Step::Drop),
        3 => (1u64..40, survive).prop_map(|(fault_in, survive)| Step::Cut { fault_in, survive }),
    ];
    prop::collection::vec(step, 1..40)
}

/// What a shard must hold.
#[derive(Default)]
struct Model {
    /// Payload number and length of each acknowledged record, by ordinal.
    acknowledged: BTreeMap<u64, (u64, usize)>,
    /// The highest ordinal ever answered or read.
    highest: u64,
}

struct Run {
    bench: Bench,
    engine: Engine,
    stream: Arc<Stream>,
    models: Vec<Model>,
    next_number: u64,
    cuts: u64,
}

impl Run {
    async fn new(seed: u64) -> Self {
        let mut bench = Bench::new(seed);
        bench.config.checkpoint_log_bytes = 200 << 10;
        bench.config.open_segments_max = 2;
        bench.config.segment_bytes_max = 40 << 10;
        bench.disk.set_pauses_max(3);
        let engine = bench.open().await;
        let stream = stream(&engine, "s", u32::try_from(SHARDS).unwrap()).await;
        let models = (0..SHARDS).map(|_| Model::default()).collect();
        Self { bench, engine, stream, models, next_number: 0, cuts: 0 }
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Append { shard, count, bytes, width } => {
                self.append(shard, count, bytes, width).await;
            }
            Step::Checkpoint => drop(self.engine.checkpoint().await),
            Step::Clock(ms) => {
                let now = self.engine.now().0.saturating_add_signed(ms);
                self.bench.clock.set(kinelog_engine::types::Timestamp(now));
            }
            Step::Close => {
                self.engine.close().await;
                self.reopen().await;
            }
            Step::Drop => self.reopen().await,
            Step::Cut { fault_in, survive } => {
                self.bench.disk.fail_nth(Operation::Any, fault_in, Fault::Io);
                self.append(0, 2, 3_000, 4).await;
                self.cuts += 1;
                self.bench.disk = self.bench.disk.power_cut(self.cuts, survive);
                self.bench.disk.set_pauses_max(3);
                self.reopen().await;
            }
        }
    }

    async fn append(&mut self, shard: usize, count: usize, bytes: usize, width: usize) {
        let mut sent = Vec::new();
        for _ in 0..width {
            let numbers = self.next_number..self.next_number + count as u64;
            self.next_number = numbers.end;
            let payloads: Vec<_> = numbers.clone().map(|n| payload(n, bytes)).collect();
            let append = build(&[(&self.stream.shards[shard], &payloads[..])]);
            sent.push((numbers, self.engine.append(append)));
        }
        let model = &mut self.models[shard];
        for (numbers, answer) in sent {
            match answer.await.pop().unwrap() {
                Ok(run) => {
                    let first = run.into_inner().first.0;
                    assert!(first > model.highest, "an ordinal was given out twice");
                    for (ordinal, number) in (first..).zip(numbers) {
                        model.acknowledged.insert(ordinal, (number, bytes));
                        model.highest = ordinal;
                    }
                }
                Err(AppendError::Stopped { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn reopen(&mut self) {
        self.bench.disk.clear_faults();
        // The old engine lets go of the lock when it is dropped, before the new one is opened.
        let config = self.bench.config.clone();
        let spare = SpareEngine::open().await;
        drop(std::mem::replace(&mut self.engine, spare));
        let device = self.bench.disk.device(self.bench.clock.clone());
        self.engine = Engine::open(config, device).await.unwrap();
        self.stream = found(&self.engine, "s");
        self.check().await;
    }

    async fn check(&mut self) {
        assert_eq!(self.engine.metrics().damaged_ranges.get(), 0);
        for (i, model) in self.models.iter_mut().enumerate() {
            let shard = &self.stream.shards[i];
            let records = read_all(&self.engine, &self.stream, shard).await.unwrap();
            assert_eq!(records.len() as u64 + 1, self.engine.end(shard).unwrap().0);
            let mut last = (Ordinal(0), None, None);
            for record in &records {
                assert_eq!(record.ordinal, last.0.plus(1), "no gap, nothing twice");
                assert!(Some(number(record)) > last.1, "nothing is reordered");
                assert!(Some(record.arrival) >= last.2, "arrival never falls");
                last = (record.ordinal, Some(number(record)), Some(record.arrival));
                assert_eq!(record.data, payload(number(record), record.data.len()));
                if let Some(held) = model.acknowledged.get(&record.ordinal.0) {
                    assert_eq!(*held, (number(record), record.data.len()));
                }
            }
            assert!(model.highest <= last.0.0, "an acknowledged record is lost");
            model.highest = last.0.0;
        }
    }
}

/// A store that takes the place of another for a moment.
struct SpareEngine;

impl SpareEngine {
    async fn open() -> Engine {
        Bench::new(0).open().await
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn acknowledged_records_survive_every_stop(seed in 0u64..1 << 32, steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new(seed).await;
            for step in &steps {
                run.step(step).await;
            }
            run.step(&Step::Drop).await;
            run.engine.close().await;
            assert_sound(&run.bench).await;
        });
    }
}

#[tokio::test]
async fn log_files_are_rotated_and_recycled() {
    let bench = Bench::new(1);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    for n in 0..200 {
        append(&engine, &created.shards[0], &[payload(n, 9_000)]).await.unwrap();
        if n % 10 == 9 {
            engine.checkpoint().await.unwrap();
        }
    }
    let logs: Vec<_> = bench.disk.snapshot().into_keys().filter(|path| is(path, "log")).collect();
    assert!(logs.len() < 12, "{logs:?}");
    assert!(logs.iter().all(|path| !path.ends_with("commit-0000000000000001.log")));
    drop(engine);
    assert_holds(&bench.open().await, "s", 0, 0..200).await;
}

#[tokio::test]
async fn segments_roll_by_size_and_by_age() {
    let bench = Bench::new(2);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    for n in 0..20 {
        append(&engine, &created.shards[0], &[payload(n, 9_000)]).await.unwrap();
    }
    engine.checkpoint().await.unwrap();
    let segments = || bench.disk.snapshot().into_keys().filter(|path| is(path, "seg")).count();
    assert_eq!(segments(), 4, "six batches fit a segment of 64 KiB");
    bench.clock.advance_ms(bench.config.segment_idle_max_ms + 1);
    append(&engine, &created.shards[0], &[payload(20, 100)]).await.unwrap();
    engine.checkpoint().await.unwrap();
    assert_eq!(segments(), 5);
    assert_holds(&engine, "s", 0, 0..21).await;
    drop(engine);
    assert_holds(&bench.open().await, "s", 0, 0..21).await;
}

#[tokio::test]
async fn a_removed_stream_takes_its_files_with_it() {
    let bench = Bench::new(3);
    let engine = bench.open().await;
    let kept = stream(&engine, "kept", 1).await;
    let created = stream(&engine, "s", 1).await;
    append(&engine, &kept.shards[0], &[payload(0, 100)]).await.unwrap();
    append(&engine, &created.shards[0], &[payload(0, 100)]).await.unwrap();
    engine.checkpoint().await.unwrap();
    engine.remove_stream(created.id).await.unwrap();
    engine.checkpoint().await.unwrap();
    let segments = bench.disk.snapshot().into_keys().filter(|path| is(path, "seg")).count();
    assert_eq!(segments, 1);
    assert_eq!(engine.end(&created.shards[0]), None);
    drop(engine);
    assert_holds(&bench.open().await, "kept", 0, 0..1).await;
}

#[tokio::test]
async fn expired_segments_are_removed_and_stay_so() {
    let bench = Bench::new(4);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    for n in 0..20 {
        append(&engine, &created.shards[0], &[payload(n, 9_000)]).await.unwrap();
    }
    bench.clock.advance_ms(25 * 3_600_000);
    append(&engine, &created.shards[0], &[payload(20, 100)]).await.unwrap();
    engine.checkpoint().await.unwrap();
    engine.run_retention().await;
    engine.checkpoint().await.unwrap();
    let segments = bench.disk.snapshot().into_keys().filter(|path| is(path, "seg")).count();
    assert_eq!(segments, 1);
    drop(engine);
    let engine = bench.open().await;
    let records = read_all(&engine, &created, &created.shards[0]).await.unwrap();
    assert_eq!(records.iter().map(|r| r.ordinal).collect::<Vec<_>>(), [Ordinal(21)]);
}

/// Asserts that `verify` finds nothing that costs anything.
async fn assert_sound(bench: &Bench) {
    let device = bench.disk.device(bench.clock.clone());
    let report = verify(&device, &bench.config.directory).await.unwrap();
    let costly: Vec<_> = report.findings.iter().filter(|finding| !finding.harmless).collect();
    assert!(costly.is_empty(), "{costly:?}");
}

#[tokio::test]
async fn what_a_crash_without_durability_leaves_behind_is_overwritten() {
    let mut bench = Bench::new(5);
    bench.config.durability = Durability::None;
    bench.config.segment_bytes_max = 1 << 20;
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    append(&engine, &created.shards[0], &[payload(0, 100)]).await.unwrap();
    engine.checkpoint().await.unwrap();
    append(&engine, &created.shards[0], &[payload(1, 100_000)]).await.unwrap();
    while engine.metrics().segment_bytes.get() < 100_000 {
        tokio::task::yield_now().await;
    }
    drop(engine);
    let engine = bench.open().await;
    assert_holds(&engine, "s", 0, 0..1).await;
    append(&engine, &created.shards[0], &[payload(1, 100)]).await.unwrap();
    assert_holds(&engine, "s", 0, 0..2).await;
    engine.close().await;
    let device = bench.disk.device(bench.clock.clone());
    let report = verify(&device, &bench.config.directory).await.unwrap();
    assert_eq!(report.findings, [], "the footer ends the file");
    drop(engine);
    assert_holds(&bench.open().await, "s", 0, 0..2).await;
}

fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}
