//! Recovery of a whole damaged directory: opening and `verify` end without a panic whatever the
//! damage, and whatever is read afterwards is exactly what was written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use kinelog_engine::Engine;
use kinelog_engine::append::AppendBuilder;
use kinelog_engine::config::Config;
use kinelog_engine::device::clock::ManualClock;
use kinelog_engine::device::simulated::{SimulatedDisk, Survive};
use kinelog_engine::error::ReadError;
use kinelog_engine::format::record::RecordRef;
use kinelog_engine::recovery::verify::verify;
use kinelog_engine::types::{
    NewShard, NewStream, Ordinal, ReadLimit, Shard, Stream, StreamKey, StreamStatus, Timestamp,
    uniform_ranges,
};

use crate::Seed;

const START: Timestamp = Timestamp(1_790_000_000_000);
const SHARDS: u32 = 2;
const SECTOR_BYTES: usize = 512;
/// Bytes of one step of a plan: what to do, to which file, where (4 bytes), and how (2 bytes).
const STEP_BYTES: usize = 8;
const STEPS_MAX: usize = 16;

type Files = BTreeMap<PathBuf, Vec<u8>>;
/// Key and data of each record, by its ordinal; one map for each shard.
type Records = Vec<BTreeMap<u64, (Vec<u8>, Vec<u8>)>>;

/// A store after a power cut, and what it holds.
fn store() -> &'static (Files, Records) {
    static STORE: OnceLock<(Files, Records)> = OnceLock::new();
    STORE.get_or_init(|| block_on(build()))
}

/// The target: a plan of damage, step by step.
pub fn run(data: &[u8]) {
    let (files, written) = store();
    let mut files = files.clone();
    for step in data.chunks_exact(STEP_BYTES).take(STEPS_MAX) {
        damage(&mut files, step);
    }
    block_on(async {
        let disk = SimulatedDisk::from_snapshot(1, files);
        // Whatever it finds: the records are what counts.
        drop(verify(&disk.device(clock()), Path::new("/data")).await);
        if let Ok(engine) = Engine::open(config(), disk.device(clock())).await {
            check(&engine, written).await;
        }
    });
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("the system starts a runtime").block_on(work)
}

/// One step of the plan.
fn damage(files: &mut Files, step: &[u8]) {
    let [what, file, a, b, c, d, how, more] = *step else { return };
    let Some(path) = files.keys().nth(usize::from(file) % files.len().max(1)).cloned() else {
        return;
    };
    if what % 5 == 4 {
        files.remove(&path);
        return;
    }
    let Some(bytes) = files.get_mut(&path).filter(|bytes| !bytes.is_empty()) else { return };
    let at = u32::from_le_bytes([a, b, c, d]) as usize % bytes.len();
    let len = usize::from(u16::from_le_bytes([how, more]));
    match what % 5 {
        0 => bytes[at] ^= 1 << (how & 7),
        1 => {
            let end = bytes.len().min(at + len);
            bytes[at..end].fill(0);
        }
        2 => bytes.truncate(at),
        _ => swap_sectors(bytes, at / SECTOR_BYTES, len),
    }
}

fn swap_sectors(bytes: &mut [u8], one: usize, other: usize) {
    let sectors = bytes.len() / SECTOR_BYTES;
    if sectors == 0 {
        return;
    }
    let (one, other) = (one % sectors, other % sectors);
    let (low, high) = (one.min(other) * SECTOR_BYTES, one.max(other) * SECTOR_BYTES);
    if low < high {
        let (head, tail) = bytes.split_at_mut(high);
        head[low..low + SECTOR_BYTES].swap_with_slice(&mut tail[..SECTOR_BYTES]);
    }
}

/// All that can be read was written, where it was written.
async fn check(engine: &Engine, written: &Records) {
    let Some(stream) = engine.stream(&key()) else { return };
    for (shard, written) in stream.shards.iter().zip(written) {
        for (ordinal, found) in read(engine, &stream, shard).await {
            assert_eq!(written.get(&ordinal), Some(&found), "record {ordinal} of {}", shard.index);
        }
    }
}

async fn read(
    engine: &Engine,
    stream: &Stream,
    shard: &Shard,
) -> BTreeMap<u64, (Vec<u8>, Vec<u8>)> {
    let (mut records, mut next) = (BTreeMap::new(), Ordinal::FIRST);
    let limit = ReadLimit { records: 1000, bytes: 1 << 20 };
    while engine.end(shard).is_some_and(|end| next < end) {
        let before = next;
        match engine.read(stream, shard, next, limit).await {
            Ok(read) => {
                for record in read.records {
                    let key = record.partition_key.unwrap_or_default().to_vec();
                    records.insert(record.ordinal.0, (key, record.data.to_vec()));
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

/// Sealed and active segments, two checkpoints, and a log that goes on after them.
async fn build() -> (Files, Records) {
    let disk = SimulatedDisk::new(1);
    let opened = Engine::open(config(), disk.device(clock())).await;
    let engine = opened.expect("an empty disk without faults takes a store");
    let stream = engine.create_stream(new_stream()).await.expect("the store is new");
    for round in 0..3 {
        for number in 0..8 {
            append(&engine, &stream.shards[number % 2], round * 8 + number).await;
        }
        if round < 2 {
            engine.checkpoint().await.expect("the disk has no faults");
        }
    }
    let mut written = Records::new();
    for shard in &stream.shards {
        written.push(read(&engine, &stream, shard).await);
    }
    assert_eq!(written.iter().map(BTreeMap::len).collect::<Vec<_>>(), [12, 12]);
    drop(engine);
    (disk.power_cut(1, Survive::None).snapshot(), written)
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

fn payload(number: usize) -> Vec<u8> {
    format!("record {number}, ").repeat(20).into_bytes()
}

/// Files as small as they get; nothing happens by time.
fn config() -> Config {
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

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START))
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

/// One plan of each kind, at records in the log and in segments, and all together.
pub fn seeds() -> Vec<Seed> {
    let flip = step(0, "/data/log", 20, 3);
    let zero = step(1, "/data/segments", 2, 700);
    let truncate = step(2, "/data/segments", 9, 0);
    let swap = step(3, "/data/log", 18, 12);
    let delete = step(4, "/data/segments", 4, 0);
    vec![
        ("nothing", Vec::new()),
        ("flip", flip.to_vec()),
        ("zero", zero.to_vec()),
        ("truncate", truncate.to_vec()),
        ("swap", swap.to_vec()),
        ("delete", delete.to_vec()),
        ("all", [flip, zero, truncate, swap, delete].concat()),
    ]
}

/// A step that hits the data of record `number` where it stands in `directory`.
fn step(what: u8, directory: &str, number: usize, how: u16) -> [u8; STEP_BYTES] {
    let data = payload(number);
    let find = |(file, (path, bytes)): (u8, (&PathBuf, &Vec<u8>))| {
        let at = bytes.windows(data.len()).position(|window| window == data)?;
        path.starts_with(directory).then_some((file, u32::try_from(at).ok()?))
    };
    let (file, at) = (0..).zip(&store().0).find_map(find).expect("the record stands there");
    let ([a, b, c, d], [how, more]) = (at.to_le_bytes(), how.to_le_bytes());
    [what, file, a, b, c, d, how, more]
}
