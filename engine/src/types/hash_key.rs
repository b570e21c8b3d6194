//! The 128-bit hash key space and the ranges shards own in it.

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

/// A point of the hash key space, `0..=2^128-1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashKey(pub u128);

impl HashKey {
    /// MD5 of the key's UTF-8 bytes, read as a big-endian number.
    ///
    /// Source: Kinesis Data Streams API Reference, PutRecord, `PartitionKey`.
    pub fn of_partition_key(partition_key: &[u8]) -> Self {
        Self(u128::from_be_bytes(Md5::digest(partition_key).into()))
    }
}

/// An inclusive range of hash keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashKeyRange {
    /// Lowest key of the range.
    #[serde(with = "decimal")]
    pub start: u128,
    /// Highest key of the range, part of it.
    #[serde(with = "decimal")]
    pub end: u128,
}

impl HashKeyRange {
    /// True when `key` lies in the range; both ends belong to it.
    pub const fn contains(self, key: HashKey) -> bool {
        self.start <= key.0 && key.0 <= self.end
    }
}

/// Splits the whole hash key space into `count` ranges (at least 1) of `floor(2^128 / count)`
/// keys each; the last one takes the remainder.
pub fn uniform_ranges(count: u32) -> Vec<HashKeyRange> {
    let count = u128::from(count.max(1));
    // floor(2^128 / n) without 129-bit numbers: (2^128 - n) / n + 1, and 2^128 - n wraps to -n.
    let width = if count == 1 { 0 } else { (0u128.wrapping_sub(count)) / count + 1 };
    (0..count)
        .map(|i| HashKeyRange {
            start: i * width,
            end: if i + 1 == count { u128::MAX } else { (i + 1) * width - 1 },
        })
        .collect()
}

/// Decimal text, since JSON numbers do not carry 128 bits.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(value: &u128, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u128, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}
