//! `format::record`: what decodes encodes to the same bytes.

use bytes::Bytes;
use kinelog_engine::format::record::{self, RecordRef};

use crate::{Seed, samples};

/// The target.
pub fn run(data: &[u8]) {
    let Ok(found) = record::decode(&Bytes::copy_from_slice(data)) else { return };
    let mut again = Vec::new();
    let record = RecordRef {
        partition_key: found.partition_key.as_deref(),
        explicit_hash_key: found.explicit_hash_key,
        data: &found.data,
        encrypted: found.encrypted,
    };
    let entry = record::encode(&record, &mut again);
    assert_eq!(again, data, "each record has one stored form");
    assert_eq!(entry.stored_bytes as usize, data.len());
}

/// Records of all shapes.
pub fn seeds() -> Vec<Seed> {
    let names = ["plain", "hash_key", "empty", "long"];
    let records = samples::records(300).into_iter().map(|(_, bytes)| bytes);
    names.into_iter().zip(records).collect()
}
