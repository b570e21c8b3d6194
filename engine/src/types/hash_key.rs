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

    pub(super) fn serialize<S: Serializer>(value: &u128, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u128, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_partition_keys_hash_to_the_known_numbers() {
        let vectors = [
            ("a", 16_955_237_001_963_240_173_058_271_559_858_726_497),
            ("pk", 38_317_986_088_707_300_215_492_326_132_921_849_533),
            ("partition-1", 198_019_941_650_871_988_756_153_596_255_032_211_816),
            ("\u{fc}", 255_482_112_228_542_481_294_366_945_247_899_473_731),
        ];
        for (key, hash) in vectors {
            assert_eq!(HashKey::of_partition_key(key.as_bytes()), HashKey(hash), "{key}");
        }
    }

    #[test]
    fn three_uniform_ranges_have_the_known_bounds() {
        let bounds: Vec<_> =
            uniform_ranges(3).iter().map(|range| (range.start, range.end)).collect();
        let first = 113_427_455_640_312_821_154_458_202_477_256_070_484;
        let second = 226_854_911_280_625_642_308_916_404_954_512_140_969;
        assert_eq!(bounds, [(0, first), (first + 1, second), (second + 1, u128::MAX)],);
    }

    #[test]
    fn one_range_is_everything() {
        assert_eq!(uniform_ranges(1), [HashKeyRange { start: 0, end: u128::MAX }]);
        assert_eq!(uniform_ranges(0), uniform_ranges(1));
    }

    #[test]
    fn both_ends_belong_to_a_range() {
        let range = HashKeyRange { start: 5, end: 7 };
        let inside = [4, 5, 7, 8].map(|key| range.contains(HashKey(key)));
        assert_eq!(inside, [false, true, true, false]);
    }

    #[test]
    fn bounds_are_stored_as_decimal_text() {
        let range = HashKeyRange { start: 0, end: u128::MAX };
        let text = serde_json::to_string(&range).unwrap();
        assert_eq!(text, r#"{"start":"0","end":"340282366920938463463374607431768211455"}"#);
        assert_eq!(serde_json::from_str::<HashKeyRange>(&text).unwrap(), range);
    }

    proptest! {
        #[test]
        fn uniform_ranges_tile_the_space_in_equal_widths(count in 1u32..5_000) {
            let ranges = uniform_ranges(count);
            prop_assert_eq!(ranges.len(), count as usize);
            prop_assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (0, u128::MAX));
            for pair in ranges.windows(2) {
                prop_assert_eq!(pair[0].end + 1, pair[1].start);
                prop_assert_eq!(pair[0].end - pair[0].start, ranges[0].end);
            }
            // floor(2^128 / n) keys each: what is left over is less than one for each.
            let last = ranges[ranges.len() - 1];
            prop_assert!(last.end - last.start - ranges[0].end < u128::from(count));
        }
    }
}
