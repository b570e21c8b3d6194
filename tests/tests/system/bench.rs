//! A store on a disk in memory, with limits so small that a few records fill every kind of file.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use kinelog_engine::Engine;
use kinelog_engine::append::AppendBuilder;
use kinelog_engine::config::Config;
use kinelog_engine::device::clock::ManualClock;
use kinelog_engine::device::simulated::SimulatedDisk;
use kinelog_engine::error::ReadError;
use kinelog_engine::format::record::RecordRef;
use kinelog_engine::types::{
    Durable, NewShard, NewStream, Ordinal, ReadLimit, Shard, StoredRecord, Stream, StreamKey,
    StreamStatus, Timestamp, uniform_ranges,
};

/// When the tests take place.
pub(crate) const START: Timestamp = Timestamp(1_790_000_000_000);

/// A disk, and the time it is used at.
pub(crate) struct Bench {
    pub(crate) disk: SimulatedDisk,
    pub(crate) clock: Arc<ManualClock>,
}

impl Bench {
    pub(crate) fn new(disk: SimulatedDisk) -> Self {
        Self { disk, clock: Arc::new(ManualClock::new(START)) }
    }

    pub(crate) async fn open(&self) -> Engine {
        Engine::open(config(), self.disk.device(self.clock.clone())).await.unwrap()
    }
}

/// Nothing happens by time; files are as small as they get.
pub(crate) fn config() -> Config {
    Config {
        log_file_bytes: 16 << 10,
        checkpoint_log_bytes: 1 << 30,
        checkpoint_interval_ms: 3_600_000,
        segment_bytes_max: 5 << 10,
        tail_cache_bytes_max: 0,
        reserve_bytes: 0,
        retention_interval_ms: 3_600_000,
        ..Config::new("/data")
    }
}

pub(crate) fn key(name: &str) -> StreamKey {
    StreamKey { namespace: "test".into(), name: name.into() }
}

pub(crate) async fn create(engine: &Engine, name: &str, shards: u32) -> Arc<Stream> {
    let new = |range| NewShard { range, created_seconds: START.seconds(), parents: vec![] };
    let new = NewStream {
        key: key(name),
        status: StreamStatus::Active,
        shards: uniform_ranges(shards).into_iter().map(new).collect(),
        retention_hours: 24,
        attributes: serde_json::Value::Null,
    };
    engine.create_stream(new).await.unwrap()
}

/// Appends records whose partition keys are their numbers.
pub(crate) async fn append(engine: &Engine, shard: &Arc<Shard>, records: &[(u64, usize)]) {
    let mut builder = AppendBuilder::with_capacity(records.len(), 100);
    builder.begin_run(Arc::clone(shard));
    for &(number, bytes) in records {
        builder.push(&RecordRef {
            partition_key: Some(number.to_string().as_bytes()),
            explicit_hash_key: None,
            data: &data(number, bytes),
            encrypted: false,
        });
    }
    let done = engine.append(builder.finish()).await.pop().unwrap();
    done.map(Durable::into_inner).unwrap();
}

/// Bytes that tell their record.
pub(crate) fn data(number: u64, bytes: usize) -> Vec<u8> {
    format!("record {number:06}, ").into_bytes().into_iter().cycle().take(bytes).collect()
}

/// What reading a shard from its start to its end gave.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) records: BTreeMap<Ordinal, StoredRecord>,
    /// What was reported as damaged, in order.
    pub(crate) damaged: Vec<(RangeInclusive<u64>, PathBuf)>,
}

pub(crate) async fn read(engine: &Engine, stream: &Stream, shard: &Shard) -> Contents {
    let (mut contents, mut next) = (Contents::default(), Ordinal::FIRST);
    let limit = ReadLimit { records: 1000, bytes: 1 << 20 };
    while next < engine.end(shard).unwrap() {
        match engine.read(stream, shard, next, limit).await {
            Ok(read) => {
                assert!(read.next > next, "a read gets on");
                contents.records.extend(read.records.into_iter().map(|r| (r.ordinal, r)));
                next = read.next;
            }
            Err(ReadError::Damaged { first, last, file, .. }) => {
                assert!(first == next && last >= first, "damage at {next}: {first} to {last}");
                contents.damaged.push((first.0..=last.0, file));
                next = last.plus(1);
            }
            Err(error) => panic!("{error}"),
        }
    }
    contents
}
