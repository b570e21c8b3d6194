//! Appending, reading, rolling and trimming at once, by the engine's own code, in schedules of threads
//! that are drawn: half of them step by step, half by priorities (PCT), which meets what takes several
//! steps of one thread between two of another.
//!
//! In each schedule a store is opened that holds old records in several segments. Two writers append,
//! one reader follows from the first record on, one looks back, and retention gives up the old records,
//! between checkpoints that copy, seal and remove. The log thread, with its commit loop and its keeper,
//! is one more thread. Segments, tail, open files and maps are so small that records move all the time.
//! Threads change at each lock and atomic of segments, shards and queue (`sync`), and wherever a task
//! waits, calls of the simulated disk included.
//!
//! Not covered: orders of memory, all is seen at once here (`engine/loom` has them); what happens inside
//! tokio's `Notify`, channels and cells, and under the lock of the catalogue, each of which is one step;
//! real devices; changes of streams and shards; faults, damage and power cuts (`tests/sim` has them), so
//! that nothing here tells whether what is read is durable.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use kinelog_shuttle::Engine;
use kinelog_shuttle::append::AppendBuilder;
use kinelog_shuttle::bugs::{self, Bug};
use kinelog_shuttle::config::Config;
use kinelog_shuttle::device::Clock;
use kinelog_shuttle::device::clock::ManualClock;
use kinelog_shuttle::device::simulated::SimulatedDisk;
use kinelog_shuttle::format::record::RecordRef;
use kinelog_shuttle::types::{
    Durable, NewShard, NewStream, Ordinal, ReadLimit, ReadResult, Shard, StoredRecord, Stream,
    StreamKey, StreamStatus, Timestamp, uniform_ranges,
};
use shuttle::future::{block_on, spawn};
use shuttle::rand::{Rng, RngCore, thread_rng};
use shuttle::scheduler::{
    PctScheduler, RandomScheduler, Scheduler, UncontrolledNondeterminismCheckScheduler,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

const HOUR_MS: u64 = 3_600_000;
/// When the old records arrive.
const BEFORE: Timestamp = Timestamp(1_790_000_000_000);
/// When the new ones begin to: the last millisecond of the old ones' retention.
const NOW: Timestamp = Timestamp(BEFORE.0 + 24 * HOUR_MS);
/// How many records there are before, and how many each of two writers adds.
const OLD: u64 = 6;
const ADDED: u64 = 3;
const LAST: Ordinal = Ordinal(OLD + 2 * ADDED);
const FIRST_NEW: Ordinal = Ordinal(OLD + 1);
/// Schedules of a run that nobody asked for more.
const SCHEDULES: usize = 4000;
/// Faults of the program that schedules must find, and how many they may take. In five runs they took, one
/// after the other, at most 9, 138, 971, 1, 1, 3 and 6.
const BUGS: &[Bug] = &[
    Bug::EndBeforeTail,
    Bug::BatchLeavesEarly,
    Bug::SegmentsGoBeforeMark,
    Bug::EndTooHigh,
    Bug::EndTooLow,
    Bug::FollowersNotWoken,
    Bug::AnsweredBeforeWritten,
];
const BUG_SCHEDULES: usize = 10_000;
/// In a schedule by priorities the thread that runs loses its own at so many steps, less one.
const PCT_DEPTH: usize = 3;

/// A disk's files.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Two records a segment, two groups in memory, one file and one map; a checkpoint every three groups.
fn config() -> Config {
    Config {
        log_file_bytes: 16 << 10,
        checkpoint_log_bytes: 12 << 10,
        checkpoint_interval_ms: HOUR_MS,
        segment_bytes_max: (4 << 10) + 800,
        tail_cache_bytes_max: 8 << 10,
        mapped_segments_max: 1,
        open_segments_max: 1,
        reserve_bytes: 0,
        retention_interval_ms: HOUR_MS,
        ..Config::new("/data")
    }
}

fn key() -> StreamKey {
    StreamKey { namespace: "test".into(), name: "stream".into() }
}

fn payload(who: &str, number: u64) -> Vec<u8> {
    let mut data = format!("{who} {number}").into_bytes();
    data.resize(180, b'.');
    data
}

/// An open store and its only shard, as every thread has it.
#[derive(Clone)]
struct Store {
    engine: Engine,
    clock: Arc<ManualClock>,
    stream: Arc<Stream>,
    shard: Arc<Shard>,
}

impl Store {
    async fn open(disk: &SimulatedDisk, now: Timestamp) -> Self {
        let clock = Arc::new(ManualClock::new(now));
        let device = disk.single_threaded_device(clock.clone());
        let engine = Engine::open(config(), device).await.unwrap();
        let stream = match engine.stream(&key()) {
            Some(stream) => stream,
            None => engine.create_stream(new_stream()).await.unwrap(),
        };
        let shard = Arc::clone(&stream.shards[0]);
        Self { engine, clock, stream, shard }
    }

    async fn append(&self, data: &[u8]) -> Ordinal {
        let mut builder = AppendBuilder::default();
        builder.begin_run(Arc::clone(&self.shard));
        let partition_key = Some(&b"key"[..]);
        builder.push(&RecordRef { partition_key, explicit_hash_key: None, data, encrypted: false });
        let mut results = self.engine.append(builder.finish()).await;
        results.pop().unwrap().map(Durable::into_inner).unwrap().first
    }

    fn has_expired(&self) -> bool {
        self.clock.now() > NOW
    }

    /// Reads, and judges what can be told at once: nothing is damaged, nothing is left out but what has
    /// expired, nothing is shown that had expired before, and nothing at or past the end.
    async fn read(&self, from: Ordinal, records: usize) -> ReadResult {
        let had_expired = self.has_expired();
        let limit = ReadLimit { records, bytes: 1 << 20 };
        let read = self.engine.read(&self.stream, &self.shard, from, limit).await.unwrap();
        let begin = Ordinal(read.next.0 - read.records.len() as u64);
        for (record, due) in read.records.iter().zip(begin.0..) {
            assert_eq!(record.ordinal.0, due, "records come in order and without a gap");
            assert!(due > OLD || record.data == payload("old", due), "an old record is its own");
        }
        let is_trimmed = from < begin && begin <= FIRST_NEW && self.has_expired();
        assert!(from == begin || is_trimmed, "a read from {from} on began at {begin}");
        assert!(!had_expired || begin > Ordinal(OLD), "an expired record was shown");
        assert!(read.next <= self.engine.end(&self.shard).unwrap(), "a record was shown too early");
        read
    }
}

fn new_stream() -> NewStream {
    let created_seconds = BEFORE.seconds();
    let new = |range| NewShard { range, created_seconds, parents: vec![] };
    NewStream {
        key: key(),
        status: StreamStatus::Active,
        shards: uniform_ranges(1).into_iter().map(new).collect(),
        retention_hours: 24,
        attributes: serde_json::Value::Null,
    }
}

async fn writes(store: Store, who: &'static str) -> Vec<(Ordinal, Vec<u8>)> {
    let mut stored = Vec::new();
    for number in 1..=ADDED {
        let data = payload(who, number);
        let at = store.append(&data).await;
        let read = store.read(at, 1).await;
        assert_eq!(read.records[0].data, data, "what was answered is there");
        stored.push((at, data));
    }
    stored
}

/// Each record once, for a read goes on where the one before has ended.
async fn follows(store: Store) -> Vec<StoredRecord> {
    let (mut next, mut seen) = (Ordinal::FIRST, Vec::new());
    while next <= LAST {
        store.engine.follow(&store.shard, next).await;
        let read = store.read(next, 2).await;
        assert!(read.next > next, "what a reader is woken for is there");
        next = read.next;
        seen.extend(read.records);
    }
    seen
}

async fn looks_back(store: Store) -> Vec<StoredRecord> {
    let mut seen = Vec::new();
    for _ in 0..3 {
        let end = store.engine.end(&store.shard).unwrap();
        let from = Ordinal(thread_rng().gen_range(1..=end.0));
        seen.extend(store.read(from, 3).await.records);
        let found = store.engine.ordinal_at(&store.shard, NOW).await.unwrap();
        assert_eq!(found, FIRST_NEW, "the first of a time stays the first");
    }
    seen
}

async fn maintains(store: Store) {
    store.engine.checkpoint().await.unwrap();
    store.clock.advance_ms(1);
    store.engine.run_retention().await;
    store.engine.checkpoint().await.unwrap();
}

/// One schedule.
fn story(files: &Files) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let disk = SimulatedDisk::from_snapshot(thread_rng().next_u64(), files.clone());
    disk.set_pauses_max(1);
    // Whoever drives this set is the log thread.
    block_on(LocalSet::new().run_until(async {
        let store = Store::open(&disk, NOW).await;
        let writers = ["one", "two"].map(|who| spawn(writes(store.clone(), who)));
        let readers = [spawn(follows(store.clone())), spawn(looks_back(store.clone()))];
        let maintenance = spawn(maintains(store.clone()));
        let mut stored = BTreeMap::new();
        for writer in writers {
            stored.extend(writer.await.unwrap());
        }
        assert!(stored.keys().map(|at| at.0).eq(FIRST_NEW.0..=LAST.0), "{:?}", stored.keys());
        maintenance.await.unwrap();
        let mut seen = store.read(Ordinal::FIRST, usize::MAX).await.records;
        assert_eq!(seen.len(), stored.len(), "all that is kept is read in the end");
        for reader in readers {
            seen.extend(reader.await.unwrap());
        }
        for record in seen.iter().filter(|record| record.ordinal >= FIRST_NEW) {
            assert_eq!(record.data, stored[&record.ordinal], "a record is its own");
        }
    }));
}

/// Its tasks are driven by nobody: retention runs when it is called, and time stands still.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// The disk that each schedule begins with.
fn old_files() -> Arc<Files> {
    let found = Arc::new(OnceLock::new());
    let finds = Arc::clone(&found);
    let prepare = move || {
        let disk = SimulatedDisk::new(1);
        LocalSet::new().block_on(&runtime(), async {
            let store = Store::open(&disk, BEFORE).await;
            for number in 1..=OLD {
                store.append(&payload("old", number)).await;
            }
            store.engine.close().await;
        });
        finds.set(disk.snapshot()).unwrap();
    };
    shuttle::Runner::new(RandomScheduler::new_from_seed(0, 1), settings()).run(prepare);
    Arc::new(found.get().unwrap().clone())
}

fn settings() -> shuttle::Config {
    let mut settings = shuttle::Config::new();
    settings.stack_size = 1 << 20;
    settings.silence_warnings = true; // Of orders of memory, which are left to loom.
    settings
}

/// Runs all schedules, with a fault of the program or without.
///
/// # Errors
///
/// The number of the first schedule that fails.
fn run<S: Scheduler + 'static>(
    files: &Arc<Files>,
    bug: Option<Bug>,
    scheduler: impl FnOnce() -> S + Send + 'static,
) -> Result<usize, usize> {
    let begun = Arc::new(AtomicUsize::new(0));
    let (files, counts) = (Arc::clone(files), Arc::clone(&begun));
    // On a thread of its own: what a failed schedule leaves there is met by no other run.
    let run = std::thread::spawn(move || {
        bugs::switch(bug);
        shuttle::Runner::new(scheduler(), settings()).run(move || {
            counts.fetch_add(1, Ordering::Relaxed);
            story(&files);
        });
    });
    let result = run.join();
    let begun = begun.load(Ordering::Relaxed);
    result.map(|()| begun).map_err(|_| begun)
}

/// How many schedules to try: `KINELOG_SCHEDULES`.
fn schedules() -> usize {
    std::env::var("KINELOG_SCHEDULES").map_or(SCHEDULES, |count| count.parse().unwrap())
}

#[test]
fn shuttle_append_read_roll_trim() {
    let (files, half) = (old_files(), schedules() / 2);
    let results = std::thread::scope(|scope| {
        let random = || run(&files, None, move || RandomScheduler::new_from_seed(0, half));
        let pct = || run(&files, None, move || PctScheduler::new_from_seed(0, PCT_DEPTH, half));
        [scope.spawn(random), scope.spawn(pct)].map(|half| half.join().unwrap())
    });
    assert_eq!(results, [Ok(half), Ok(half)], "a schedule failed");
}

#[test]
fn schedules_find_seeded_bugs() {
    let files = old_files();
    let scheduler = || PctScheduler::new_from_seed(0, PCT_DEPTH, BUG_SCHEDULES);
    for bug in BUGS {
        let found = run(&files, Some(*bug), scheduler);
        println!("{bug:?}: {found:?}");
        assert!(found.is_err(), "not found: {bug:?}");
    }
}

#[test]
fn one_seed_is_one_schedule() {
    let scheduler = || {
        let random = RandomScheduler::new_from_seed(0, 100);
        UncontrolledNondeterminismCheckScheduler::new(random)
    };
    assert_eq!(run(&old_files(), None, scheduler), Ok(200));
}
