//! A small store after a power cut, and what holds for whatever becomes of its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use kinelog_engine::Engine;
use kinelog_engine::append::AppendBuilder;
use kinelog_engine::config::Config;
use kinelog_engine::device::Device;
use kinelog_engine::device::clock::ManualClock;
use kinelog_engine::device::simulated::{SimulatedDisk, Survive};
use kinelog_engine::error::ReadError;
use kinelog_engine::format::record::RecordRef;
use kinelog_engine::recovery::verify::verify;
use kinelog_engine::types::{
    NewShard, NewStream, Ordinal, ReadLimit, Shard, StoreId, Stream, StreamKey, StreamStatus,
    Timestamp, uniform_ranges,
};

use crate::block_on;

pub(crate) const START: Timestamp = Timestamp(1_790_000_000_000);
pub(crate) const DIRECTORY: &str = "/data";
const SHARDS: u32 = 2;

pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) key: Vec<u8>,
    pub(crate) data: Vec<u8>,
    pub(crate) arrival: Timestamp,
}

/// What one shard holds, by ordinal.
pub(crate) type Records = BTreeMap<u64, Stored>;

/// A store as it stands on the disk.
pub(crate) struct Sample {
    pub(crate) files: Files,
    /// A map for each shard.
    pub(crate) written: Vec<Records>,
    pub(crate) store: StoreId,
    config: Config,
}

/// Sealed and active segments, two checkpoints, and a log that goes on after them. Files are as small
/// as they get.
pub(crate) fn small() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    let config = Config { log_file_bytes: 16 << 10, segment_bytes_max: 5 << 10, ..config() };
    SAMPLE.get_or_init(|| block_on(build(config, 8)))
}

/// The same with segments that are long enough to have an index.
pub(crate) fn indexed() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    let config = Config { log_file_bytes: 64 << 10, segment_bytes_max: 70 << 10, ..config() };
    SAMPLE.get_or_init(|| block_on(build(config, 240)))
}

/// Nothing happens by time.
fn config() -> Config {
    Config {
        checkpoint_log_bytes: 1 << 30,
        checkpoint_interval_ms: 3_600_000,
        tail_cache_bytes_max: 0,
        reserve_bytes: 0,
        retention_interval_ms: 3_600_000,
        ..Config::new(DIRECTORY)
    }
}

async fn build(config: Config, each_round: usize) -> Sample {
    let (disk, clock) = (SimulatedDisk::new(1), Arc::new(ManualClock::new(START)));
    let opened = Engine::open(config.clone(), disk.device(clock.clone())).await;
    let engine = opened.expect("an empty disk without faults takes a store");
    let stream = engine.create_stream(new_stream()).await.expect("the store is new");
    for number in 0..3 * each_round {
        clock.advance_ms(3);
        append(&engine, &stream.shards[number % 2], number).await;
        if number > 0 && number % each_round == 0 {
            engine.checkpoint().await.expect("the disk has no faults");
        }
    }
    let mut written = Vec::new();
    for shard in &stream.shards {
        written.push(read(&engine, &stream, shard).await);
    }
    assert!(written.iter().all(|records| records.len() == 3 * each_round / 2));
    let store = engine.store_id();
    drop(engine);
    Sample { files: disk.power_cut(1, Survive::None).snapshot(), written, store, config }
}

async fn append(engine: &Engine, shard: &Arc<Shard>, number: usize) {
    let mut builder = AppendBuilder::with_capacity(1, 100);
    builder.begin_run(Arc::clone(shard));
    builder.push(&RecordRef {
        partition_key: Some(number.to_string().as_bytes()),
        explicit_hash_key: None,
        data: &payload(number),
        encrypted: false,
    });
    let results = engine.append(builder.finish()).await;
    assert!(results.iter().all(Result::is_ok), "the disk has no faults: {results:?}");
}

/// The data of a record.
pub(crate) fn payload(number: usize) -> Vec<u8> {
    format!("record {number}, ").repeat(20).into_bytes()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp(START.0 + 3_600_000)))
}

fn key() -> StreamKey {
    StreamKey { namespace: "fuzz".to_owned(), name: "s".to_owned() }
}

fn new_stream() -> NewStream {
    let new = |range| NewShard { range, created_seconds: START.seconds(), parents: Vec::new() };
    NewStream {
        key: key(),
        status: StreamStatus::Active,
        shards: uniform_ranges(SHARDS).into_iter().map(new).collect(),
        retention_hours: 24,
        attributes: serde_json::Value::Null,
    }
}

/// A disk that holds these files.
pub(crate) fn device(files: Files) -> Device {
    SimulatedDisk::from_snapshot(1, files).device(clock())
}

impl Sample {
    /// Opens what has become of it, after `verify` has looked at it: both end without a panic, and
    /// whatever is read was written, where it was written. What each shard still has.
    pub(crate) fn survives(&self, files: Files) -> Option<Vec<Records>> {
        self.look(files, false)
    }

    /// The same where searches by time must be right as well.
    pub(crate) fn survives_in_time(&self, files: Files) -> Option<Vec<Records>> {
        self.look(files, true)
    }

    fn look(&self, files: Files, are_times_right: bool) -> Option<Vec<Records>> {
        block_on(async {
            let device = device(files);
            drop(verify(&device, Path::new(DIRECTORY)).await);
            let engine = Engine::open(self.config.clone(), device).await.ok()?;
            let stream = engine.stream(&key())?;
            let mut found = Vec::new();
            for shard in &stream.shards {
                // Records are kept by the uid, which counts from 1.
                let place = shard.uid.0.checked_sub(1).and_then(|it| usize::try_from(it).ok());
                let (none, records) = (Records::new(), read(&engine, &stream, shard).await);
                let written = place.and_then(|it| self.written.get(it)).unwrap_or(&none);
                for (ordinal, record) in &records {
                    assert_eq!(written.get(ordinal), Some(record), "{ordinal} of {}", shard.index);
                }
                let is_whole = are_times_right && records.len() == written.len();
                check_times(&engine, shard, &records, is_whole).await;
                found.push(records);
            }
            Some(found)
        })
    }
}

/// A search by time ends; where nothing is lost, it finds the first record since.
async fn check_times(engine: &Engine, shard: &Shard, records: &Records, is_whole: bool) {
    for ms in (0..2500).step_by(499) {
        let at = Timestamp(START.0 + ms);
        let found = engine.ordinal_at(shard, at).await;
        if is_whole {
            let since = records.iter().find(|(_, record)| record.arrival >= at);
            // Numbers that damage may have cost are never given out: the end may lie further on.
            let end = engine.end(shard);
            let expected = since.map_or(end, |(ordinal, _)| Some(Ordinal(*ordinal)));
            assert_eq!(found.ok(), expected, "{ms} ms");
        }
    }
}

async fn read(engine: &Engine, stream: &Stream, shard: &Shard) -> Records {
    let (mut records, mut next) = (Records::new(), Ordinal::FIRST);
    let limit = ReadLimit { records: 100, bytes: 1 << 20 };
    while engine.end(shard).is_some_and(|end| next < end) {
        let before = next;
        match engine.read(stream, shard, next, limit).await {
            Ok(read) => {
                for record in read.records {
                    assert!(record.ordinal >= next, "a read goes forward");
                    next = record.ordinal.plus(1);
                    let (key, data) = (record.partition_key.unwrap_or_default(), record.data);
                    let (key, data) = (key.to_vec(), data.to_vec());
                    let stored = Stored { key, data, arrival: record.arrival };
                    records.insert(record.ordinal.0, stored);
                }
                next = read.next;
            }
            Err(ReadError::Damaged { last, .. }) => next = last.plus(1),
            Err(error) => panic!("reading from a sound device: {error}"),
        }
        assert!(next > before, "a read gets on");
    }
    records
}
