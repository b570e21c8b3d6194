//! A store in a temporary directory, through `Engine`: appends, reads from memory and from sealed
//! segments, changes of the catalogue. One call at a time, so an append pays both hops between the
//! threads and, with fsync, one whole write of the device.

use std::path::PathBuf;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput};
use kinelog_engine::Engine;
use kinelog_engine::config::{Config, Durability};
use kinelog_engine::device::{Device, LogChoice};
use kinelog_engine::types::{
    NewShard, NewStream, Ordinal, ReadLimit, ReadResult, Stream, StreamChange, StreamKey,
    StreamStatus, uniform_ranges,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::samples::{append, noise};

const KIB: usize = 1024;
/// Records of one read.
const READ: usize = 100;
/// Records of the shard that is read.
const HELD: usize = 4000;

pub(crate) fn measure(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, durability) in [("none", Durability::None), ("fsync", Durability::Fsync)] {
        appends(criterion, &runtime, name, durability);
    }
    reads(criterion, &runtime);
    changes(criterion, &runtime);
}

/// An open store of one stream.
struct Store {
    engine: Engine,
    stream: Arc<Stream>,
    _directory: TempDir,
}

impl Store {
    /// With `shards` shards, and settings as `set` leaves them.
    fn open(runtime: &Runtime, shards: u32, set: impl FnOnce(&mut Config)) -> Self {
        let parent = std::env::var_os("KINELOG_BENCH_DIRECTORY");
        let parent = parent.map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
        let directory = tempfile::tempdir_in(parent).unwrap();
        let (device, _) = Device::system(directory.path(), LogChoice::Auto).unwrap();
        let mut config = Config::new(directory.path());
        set(&mut config);
        let (engine, stream) = runtime.block_on(async {
            let engine = Engine::open(config, device).await.unwrap();
            let shard = |range| NewShard { range, created_seconds: 0, parents: Vec::new() };
            let new = NewStream {
                key: StreamKey { namespace: String::new(), name: "s".to_owned() },
                status: StreamStatus::Active,
                shards: uniform_ranges(shards).into_iter().map(shard).collect(),
                retention_hours: 24,
                attributes: serde_json::Value::Null,
            };
            let stream = engine.create_stream(new).await.unwrap();
            (engine, stream)
        });
        Self { engine, stream, _directory: directory }
    }

    fn close(self, runtime: &Runtime) {
        runtime.block_on(self.engine.close());
    }

    async fn read(&self, from: Ordinal) -> ReadResult {
        let limit = ReadLimit { records: READ, bytes: READ * 2 * KIB };
        let read = self.engine.read(&self.stream, &self.stream.shards[0], from, limit);
        let read = read.await.unwrap();
        assert_eq!(read.records.len(), READ);
        read
    }
}

fn appends(criterion: &mut Criterion, runtime: &Runtime, name: &str, durability: Durability) {
    let mut group = criterion.benchmark_group("append");
    group.sampling_mode(SamplingMode::Flat); // For calls that wait for a device.
    for (shards, records, bytes) in [(1, 1, 100), (64, 500, KIB)] {
        let store = Store::open(runtime, shards, |config| config.durability = durability);
        let made = append(&store.stream.shards, records, &noise(bytes));
        group.throughput(Throughput::Bytes((records * bytes) as u64));
        let id = BenchmarkId::new(name, format!("{records} x {bytes} B, {shards} shards"));
        group.bench_function(id, |bencher| {
            bencher.to_async(runtime).iter_batched(
                || made.clone(),
                |append| async {
                    for result in store.engine.append(append).await {
                        result.unwrap();
                    }
                },
                BatchSize::SmallInput,
            );
        });
        store.close(runtime);
    }
    group.finish();
}

fn reads(criterion: &mut Criterion, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Elements(READ as u64));
    for (name, cached) in [("tail cache", 64 << 20), ("sealed segment", 0)] {
        let store = Store::open(runtime, 1, |config| {
            config.durability = Durability::None;
            config.tail_cache_bytes_max = cached;
            config.segment_bytes_max = 1 << 20;
        });
        runtime.block_on(async {
            let data = noise(KIB);
            for _ in 0..HELD / READ {
                for result in store.engine.append(append(&store.stream.shards, READ, &data)).await {
                    result.unwrap();
                }
            }
            store.engine.checkpoint().await.unwrap();
        });
        let mut random = fastrand::Rng::with_seed(7);
        // All of it lies in segments that are sealed by now.
        group.bench_function(BenchmarkId::new(name, "100 x 1 KiB"), |bencher| {
            bencher.to_async(runtime).iter_batched(
                || Ordinal::FIRST.plus(random.u64(..(HELD / 2) as u64)),
                |from| store.read(from),
                BatchSize::SmallInput,
            );
        });
        if cached == 0 {
            let half = Ordinal((HELD / 2) as u64);
            let arrival = runtime.block_on(store.read(half)).records[0].arrival;
            let shard = &store.stream.shards[0];
            group.bench_function(BenchmarkId::new(name, "position at a time"), |bencher| {
                bencher
                    .to_async(runtime)
                    .iter(|| async { store.engine.ordinal_at(shard, arrival).await.unwrap() });
            });
        }
        store.close(runtime);
    }
    group.finish();
}

/// A change is synced whatever the durability of records.
fn changes(criterion: &mut Criterion, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("catalogue");
    group.sampling_mode(SamplingMode::Flat); // As for appends.
    for shards in [1, 1000] {
        let store = Store::open(runtime, shards, |_| ());
        let hours = std::cell::Cell::new(24);
        group.bench_function(BenchmarkId::new("change, shards", shards), |bencher| {
            bencher.to_async(runtime).iter(|| {
                hours.set(if hours.get() == 24 { 48 } else { 24 });
                let change = vec![StreamChange::Retention(hours.get())];
                async { store.engine.change_stream(store.stream.id, change).await.unwrap() }
            });
        });
        store.close(runtime);
    }
    group.finish();
}
