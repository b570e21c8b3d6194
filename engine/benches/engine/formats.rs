//! Stored formats: the sum below all of them, a record, a batch of records, the head of a group.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use kinelog_engine::format::batch::{self, Batch, Plan};
use kinelog_engine::format::checksum::{self, Salt};
use kinelog_engine::format::group::{self, Prefix};
use kinelog_engine::format::record;
use kinelog_engine::types::{
    Epoch, Ordinal, SegmentId, SequenceNumber, ShardIndex, ShardUid, StoreId, Timestamp,
};

use crate::samples::{self, noise};

/// Data of a record.
const SIZES: [usize; 3] = [100, 1024, 10 * 1024];
/// Records of a batch.
const RECORDS: usize = 8;
/// Batches of a group.
const BATCHES: u32 = 64;
const PAGE: usize = 4096;
const SALT: Salt = batch::salt(SegmentId(5), PAGE as u64);

pub(crate) fn measure(criterion: &mut Criterion) {
    numbers(criterion);
    sums(criterion);
    records(criterion);
    batches(criterion);
    groups(criterion);
}

/// Every record of an answer shows one.
fn numbers(criterion: &mut Criterion) {
    let number = SequenceNumber {
        shard_created_seconds: 1_764_787_734,
        shard: ShardIndex(7),
        counter: Ordinal(1_234_567),
        seconds: 1_764_787_999,
    };
    let digits = number.digits();
    let text = std::str::from_utf8(&digits).unwrap();
    let mut group = criterion.benchmark_group("sequence number");
    group.bench_function("digits", |bencher| bencher.iter(|| black_box(number).digits()));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| SequenceNumber::parse(black_box(text)).unwrap());
    });
    group.finish();
}

fn sums(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checksum");
    for bytes in [64, 1024, 64 * 1024] {
        let data = noise(bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new("crc", bytes), |bencher| {
            bencher.iter(|| checksum::crc(black_box(&data)));
        });
    }
    group.finish();
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    for bytes in SIZES {
        let data = noise(bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        let mut out = Vec::new();
        group.bench_function(BenchmarkId::new("encode", bytes), |bencher| {
            bencher.iter(|| {
                out.clear();
                record::encode(black_box(&samples::record(&data)), &mut out)
            });
        });
        let stored = Bytes::from(samples::stored(1, &data).1);
        group.bench_function(BenchmarkId::new("decode", bytes), |bencher| {
            bencher.iter(|| record::decode(black_box(&stored)).unwrap());
        });
    }
    group.finish();
}

fn batches(criterion: &mut Criterion) {
    let plan = Plan {
        base_ordinal: Ordinal(41),
        arrival: Timestamp(1_764_787_734_000),
        epoch: Epoch(2),
        log_position: 12_288,
        shard: ShardUid(3),
        salt: SALT,
    };
    let mut group = criterion.benchmark_group("batch");
    for bytes in SIZES {
        let (entries, stored) = samples::stored(RECORDS, &noise(bytes));
        let mut out = vec![0; batch::frame_bytes(RECORDS, stored.len())];
        group.throughput(Throughput::Bytes(out.len() as u64));
        let runs = std::iter::once((&entries[..], &stored[..]));
        batch::encode(&plan, runs.clone(), &mut out); // What is not asked for does not run.
        group.bench_function(BenchmarkId::new("encode", bytes), |bencher| {
            bencher.iter(|| batch::encode(black_box(&plan), runs.clone(), &mut out));
        });
        let encoded = Bytes::from(out);
        group.bench_function(BenchmarkId::new("open", bytes), |bencher| {
            bencher.iter(|| Batch::open(black_box(&encoded), SALT).unwrap());
        });
        let opened = Batch::open(&encoded, SALT).unwrap();
        group.bench_function(BenchmarkId::new("check records", bytes), |bencher| {
            bencher.iter(|| {
                for i in 0..opened.header.count {
                    black_box(opened.record(i).unwrap());
                }
            });
        });
    }
    group.finish();
}

fn groups(criterion: &mut Criterion) {
    let salt = group::salt(StoreId(77), 1, PAGE as u64);
    let payload = group::head_bytes(BATCHES as usize) + BATCHES as usize * PAGE;
    let mut out = vec![0; payload.next_multiple_of(PAGE)];
    let header = group::Header {
        bytes: u32::try_from(out.len()).unwrap(),
        entries: 0,
        number: 9,
        position: 1 << 20,
        durable_position: 1 << 20,
        previous_crc: 7,
        epoch: Epoch(2),
        payload_bytes: u32::try_from(payload).unwrap(),
        crc: 0,
    };
    let prefix = |shard| Prefix {
        shard: ShardUid(shard),
        segment: SegmentId(shard + 100),
        offset: 8192,
        bytes: 4096,
        first_of_segment: false,
    };
    let prefixes: Vec<_> = (0..BATCHES.into()).map(prefix).collect();
    group::seal(&header, &prefixes, salt, &mut out);
    let mut group = criterion.benchmark_group("group");
    group.bench_function(BenchmarkId::new("seal", BATCHES), |bencher| {
        bencher.iter(|| group::seal(black_box(&header), &prefixes, salt, &mut out));
    });
    group.bench_function(BenchmarkId::new("decode head", BATCHES), |bencher| {
        bencher.iter(|| group::decode_head(black_box(&out), salt).unwrap());
    });
    group.finish();
}
