//! Records that all benchmarks share: one partition key, data that looks random.

use std::sync::Arc;

use kinelog_engine::append::{Append, AppendBuilder};
use kinelog_engine::format::record::{self, RecordRef};
use kinelog_engine::types::{RecordEntry, Shard};

/// The same bytes in every run.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut noise = vec![0; bytes];
    random.fill(&mut noise);
    noise
}

/// A record of this data.
pub(crate) const fn record(data: &[u8]) -> RecordRef<'_> {
    RecordRef {
        partition_key: Some(b"key-0123456789abcdef"),
        explicit_hash_key: None,
        data,
        encrypted: false,
    }
}

/// `count` records as they are stored.
pub(crate) fn stored(count: usize, data: &[u8]) -> (Vec<RecordEntry>, Vec<u8>) {
    let mut bytes = Vec::new();
    let entries = (0..count).map(|_| record::encode(&record(data), &mut bytes)).collect();
    (entries, bytes)
}

/// `count` records, divided evenly among the shards.
pub(crate) fn append(shards: &[Arc<Shard>], count: usize, data: &[u8]) -> Append {
    let mut builder = AppendBuilder::with_capacity(count, count * (data.len() + 20));
    for (number, shard) in shards.iter().enumerate() {
        builder.begin_run(Arc::clone(shard));
        for _ in (number..count).step_by(shards.len()) {
            builder.push(&record(data));
        }
    }
    builder.finish()
}
