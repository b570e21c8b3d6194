//! The sparse index of a full segment: where a record, or a time, is looked for first.

use std::hint::black_box;

use criterion::Criterion;
use kinelog_engine::format::footer::IndexEntry;
use kinelog_engine::segment::index::{Base, SparseIndex, Target};
use kinelog_engine::types::{Ordinal, Timestamp};

const BASE: Base = Base { ordinal: Ordinal(1_000_000), arrival: Timestamp(1_764_787_734_000) };
/// A segment of 64 MiB: a batch of 32 records every 32 KiB, one a millisecond.
const BATCHES: u32 = 2048;
const RECORDS: u32 = 32;
const STRIDE: u32 = 32 << 10;

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut index = SparseIndex::new();
    for batch in 0..BATCHES {
        index.offer(IndexEntry {
            ordinal_delta: batch * RECORDS,
            arrival_delta: batch,
            position: 4096 + batch * STRIDE,
            header_crc: 0,
        });
    }
    assert_eq!(index.entries.len(), BATCHES as usize);
    let mut random = fastrand::Rng::with_seed(7);
    let mut group = criterion.benchmark_group("index");
    group.bench_function("find record", |bencher| {
        bencher.iter(|| {
            let record = BASE.ordinal.plus(random.u64(..u64::from(BATCHES * RECORDS)));
            index.find(BASE, Target::Record(black_box(record))).unwrap()
        });
    });
    group.bench_function("find arrival", |bencher| {
        bencher.iter(|| {
            let arrival = Timestamp(BASE.arrival.0 + random.u64(1..u64::from(BATCHES)));
            index.find(BASE, Target::Arrival(black_box(arrival))).unwrap()
        });
    });
    group.finish();
}
