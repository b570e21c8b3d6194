//! What the tests of the store share: a disk in memory, small limits, appends and reads.

#![allow(dead_code, reason = "each test file uses a part")]

use std::path::PathBuf;
use std::sync::Arc;

use kinelog_engine::Engine;
use kinelog_engine::append::AppendBuilder;
use kinelog_engine::config::Config;
use kinelog_engine::device::Clock;
use kinelog_engine::device::clock::ManualClock;
use kinelog_engine::device::simulated::SimulatedDisk;
use kinelog_engine::error::{AppendError, OpenError, ReadError};
use kinelog_engine::format::record::RecordRef;
use kinelog_engine::types::{
    AppendedRun, Durable, NewShard, NewStream, Ordinal, ReadLimit, Shard, StoredRecord, Stream,
    StreamKey, StreamStatus, Timestamp, uniform_ranges,
};

/// When the tests take place.
pub(crate) const START: Timestamp = Timestamp(1_790_000_000_000);

/// A store on a disk in memory.
pub(crate) struct Bench {
    pub(crate) disk: SimulatedDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: Config,
}

impl Bench {
    pub(crate) fn new(seed: u64) -> Self {
        let disk = SimulatedDisk::new(seed);
        Self { disk, clock: Arc::new(ManualClock::new(START)), config: small("/data") }
    }

    pub(crate) fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn open(&self) -> Engine {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<Engine, OpenError> {
        Engine::open(self.config.clone(), self.disk.device(self.clock.clone())).await
    }
}

/// Limits small enough that a few records rotate, roll and checkpoint; nothing happens by time.
pub(crate) fn small(directory: impl Into<PathBuf>) -> Config {
    Config {
        log_file_bytes: 64 << 10,
        checkpoint_log_bytes: 1 << 30,
        checkpoint_interval_ms: 3_600_000,
        segment_bytes_max: 64 << 10,
        tail_cache_bytes_max: 0,
        reserve_bytes: 0,
        retention_interval_ms: 3_600_000,
        ..Config::new(directory)
    }
}

pub(crate) async fn stream(engine: &Engine, name: &str, shards: u32) -> Arc<Stream> {
    try_stream(engine, name, shards).await.unwrap()
}

/// `None` when the stream could not be made.
pub(crate) async fn try_stream(engine: &Engine, name: &str, shards: u32) -> Option<Arc<Stream>> {
    let new = |range| NewShard { range, created_seconds: START.seconds(), parents: vec![] };
    let key = StreamKey { namespace: "test".into(), name: name.into() };
    let new = NewStream {
        key,
        status: StreamStatus::Active,
        shards: uniform_ranges(shards).into_iter().map(new).collect(),
        retention_hours: 24,
        attributes: serde_json::Value::Null,
    };
    engine.create_stream(new).await.ok()
}

pub(crate) fn found(engine: &Engine, name: &str) -> Arc<Stream> {
    engine.stream(&StreamKey { namespace: "test".into(), name: name.into() }).unwrap()
}

pub(crate) async fn append(
    engine: &Engine,
    shard: &Arc<Shard>,
    payloads: &[Vec<u8>],
) -> Result<AppendedRun, AppendError> {
    let mut results = engine.append(build(&[(shard, payloads)])).await;
    results.pop().unwrap().map(Durable::into_inner)
}

pub(crate) fn build(runs: &[(&Arc<Shard>, &[Vec<u8>])]) -> kinelog_engine::append::Append {
    let mut builder = AppendBuilder::with_capacity(1, 100);
    for (shard, payloads) in runs {
        builder.begin_run(Arc::clone(shard));
        for data in *payloads {
            builder.push(&RecordRef {
                partition_key: Some(b"key"),
                explicit_hash_key: None,
                data,
                encrypted: false,
            });
        }
    }
    builder.finish()
}

/// A payload that tells its number and has `bytes` bytes.
pub(crate) fn payload(number: u64, bytes: usize) -> Vec<u8> {
    let mut data = format!("{number:020}").into_bytes();
    data.resize(bytes.max(20), b'.');
    data
}

/// All records of a shard.
pub(crate) async fn read_all(
    engine: &Engine,
    stream: &Stream,
    shard: &Shard,
) -> Result<Vec<StoredRecord>, ReadError> {
    let (mut records, mut next) = (Vec::new(), Ordinal::FIRST);
    loop {
        let limit = ReadLimit { records: 1000, bytes: 1 << 20 };
        let read = engine.read(stream, shard, next, limit).await?;
        records.extend(read.records);
        if read.next_arrival.is_none() {
            return Ok(records);
        }
        next = read.next;
    }
}

/// Asserts that the shard holds exactly the payloads `numbers`, from ordinal 1 on.
pub(crate) async fn assert_holds(
    engine: &Engine,
    name: &str,
    shard: usize,
    numbers: std::ops::Range<u64>,
) {
    let stream = found(engine, name);
    let records = read_all(engine, &stream, &stream.shards[shard]).await.unwrap();
    let ordinals: Vec<_> = records.iter().map(|record| record.ordinal.0).collect();
    let expected: Vec<_> = (1..).take(records.len()).collect();
    assert_eq!(ordinals, expected);
    let held: Vec<_> = records.iter().map(number).collect();
    assert_eq!(held, numbers.collect::<Vec<_>>());
}

/// The number in a payload.
pub(crate) fn number(record: &StoredRecord) -> u64 {
    std::str::from_utf8(&record.data[..20]).unwrap().parse().unwrap()
}
