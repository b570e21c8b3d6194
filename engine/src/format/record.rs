//! One stored record: 8-byte head, optional explicit hash key, partition key, data, zero padding
//! to a multiple of 8. Its CRC stands in the batch table and covers all of it, padding included.
//!
//! ```text
//! 0        4         6       7       8            [24]
//! | data   | key     | flags | zero  | explicit   | partition key | data | zeros to 8 |
//! | length | length  |       |       | hash key   |
//! ```
//!
//! Flags: 1 it has a partition key, 2 it has an explicit hash key, 4 it was written under a key.
//! Byte 7 is kept for the cipher of the data; 0 is none.

use std::ops::Range;

use bytes::Bytes;

use super::checksum;
use super::fields::{u16_at, u32_at, u128_at};
use crate::error::FormatError;
use crate::limits::{PARTITION_KEY_BYTES_MAX, RECORD_DATA_BYTES_MAX};
use crate::types::RecordEntry;

/// Bytes of the head, which every record has.
pub const HEAD_BYTES: usize = 8;

const HAS_PARTITION_KEY: u8 = 1;
const HAS_EXPLICIT_HASH_KEY: u8 = 2;
const IS_ENCRYPTED: u8 = 4;
const EXPLICIT_HASH_KEY_BYTES: usize = 16;
const WHAT: &str = "record";

/// Most bytes a stored record has beyond key and data: head, explicit hash key, padding.
pub const OVERHEAD_BYTES_MAX: usize = 8 + 16 + 7;

/// A record to be stored, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// `None` when the producer gave none.
    pub partition_key: Option<&'a [u8]>,
    /// Stored for the record (aggregation, audits); never returned by the API.
    pub explicit_hash_key: Option<u128>,
    /// Payload, as it is to be stored.
    pub data: &'a [u8],
    /// True when it was written under a key, which it shows for life.
    pub encrypted: bool,
}

/// All of a record but its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// As in [`RecordRef`].
    pub partition_key: Option<&'a [u8]>,
    /// As in [`RecordRef`].
    pub explicit_hash_key: Option<u128>,
    /// As in [`RecordRef`].
    pub encrypted: bool,
}

impl<'a> RecordRef<'a> {
    /// All but the data.
    pub const fn attributes(&self) -> Attributes<'a> {
        let Self { partition_key, explicit_hash_key, encrypted, .. } = *self;
        Attributes { partition_key, explicit_hash_key, encrypted }
    }
}

/// Appends the stored form to `out` and returns its table entry (length and CRC).
///
/// # Panics
///
/// When the key is longer than `PARTITION_KEY_BYTES_MAX` or the data than `RECORD_DATA_BYTES_MAX`:
/// faults of the program.
pub fn encode(record: &RecordRef<'_>, out: &mut Vec<u8>) -> RecordEntry {
    let append_data = |out: &mut Vec<u8>| out.extend_from_slice(record.data);
    encode_made(&record.attributes(), record.data.len(), append_data, out)
}

/// As `encode`, with data that `append_data` adds to `out`.
///
/// # Panics
///
/// As `encode`, and when it adds other than `data_bytes` bytes.
pub fn encode_made(
    record: &Attributes<'_>,
    data_bytes: usize,
    append_data: impl FnOnce(&mut Vec<u8>),
    out: &mut Vec<u8>,
) -> RecordEntry {
    let key = record.partition_key.unwrap_or_default();
    assert!(key.len() <= PARTITION_KEY_BYTES_MAX, "the partition key is within its limit");
    assert!(data_bytes <= RECORD_DATA_BYTES_MAX, "the data is within its limit");
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let flags = flag(record.partition_key.is_some(), HAS_PARTITION_KEY)
        | flag(record.explicit_hash_key.is_some(), HAS_EXPLICIT_HASH_KEY)
        | flag(record.encrypted, IS_ENCRYPTED);
    let stated = u32::try_from(data_bytes).expect("data was asserted to be short");
    let key_bytes = u16::try_from(key.len()).expect("the key was asserted to be short");

    let start = out.len();
    out.reserve(key.len() + data_bytes + OVERHEAD_BYTES_MAX);
    out.extend_from_slice(&stated.to_le_bytes());
    out.extend_from_slice(&key_bytes.to_le_bytes());
    out.extend_from_slice(&[flags, 0]);
    if let Some(hash_key) = record.explicit_hash_key {
        out.extend_from_slice(&hash_key.to_le_bytes());
    }
    out.extend_from_slice(key);
    let data_at = out.len();
    append_data(out);
    assert!(out.len() == data_at + data_bytes, "the data is as long as was said");
    let stored_bytes = (out.len() - start).next_multiple_of(8);
    out.resize(start + stored_bytes, 0);
    RecordEntry {
        stored_bytes: u32::try_from(stored_bytes).expect("key and data were asserted to be short"),
        crc: checksum::crc(&out[start..]),
    }
}

/// A stored record taken apart; the slices share `bytes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `None` when the producer gave none.
    pub partition_key: Option<Bytes>,
    /// Explicit hash key, if one was given.
    pub explicit_hash_key: Option<u128>,
    /// Payload.
    pub data: Bytes,
    /// True when it was written under a key.
    pub encrypted: bool,
}

/// Takes apart one stored record that fills `bytes` exactly. Does not check the CRC: the caller
/// has compared `checksum::crc(bytes)` with the table (`batch::Batch::record`).
///
/// # Errors
///
/// `Short` and `Field` when lengths or padding contradict `bytes`.
pub fn decode(bytes: &Bytes) -> Result<Record, FormatError> {
    decode_at(bytes, 0..bytes.len())
}

/// As `decode`, of the record that fills `range` of `bytes`; shares `bytes` without a slice of its
/// own for the record.
pub(super) fn decode_at(bytes: &Bytes, range: Range<usize>) -> Result<Record, FormatError> {
    let head = Head::read(&bytes[range.clone()])?;
    let hash_key_at = range.start + HEAD_BYTES;
    let key_at = hash_key_at + head.hash_key_bytes();
    let data_at = key_at + head.key_bytes;
    let data_end = data_at + head.data_bytes;
    if let Some(&found) = bytes[data_end..range.end].iter().find(|&&byte| byte != 0) {
        return Err(field("padding", found));
    }
    Ok(Record {
        partition_key: head.has(HAS_PARTITION_KEY).then(|| bytes.slice(key_at..data_at)),
        explicit_hash_key: head.has(HAS_EXPLICIT_HASH_KEY).then(|| u128_at(bytes, hash_key_at)),
        data: bytes.slice(data_at..data_end),
        encrypted: head.has(IS_ENCRYPTED),
    })
}

/// Bytes of key and data as the head of a record (at least 8 bytes) states them, unchecked.
pub(super) fn payload_bytes(record: &[u8]) -> usize {
    u32_at(record, 0) as usize + usize::from(u16_at(record, 4))
}

struct Head {
    data_bytes: usize,
    key_bytes: usize,
    flags: u8,
}

impl Head {
    /// Reads the head of the record that fills `record` and checks all lengths against it.
    fn read(record: &[u8]) -> Result<Self, FormatError> {
        if record.len() < HEAD_BYTES {
            return Err(short(HEAD_BYTES, record.len()));
        }
        let data_bytes = u32_at(record, 0) as usize;
        let key_bytes = usize::from(u16_at(record, 4));
        let head = Self { data_bytes, key_bytes, flags: record[6] };
        if data_bytes > RECORD_DATA_BYTES_MAX {
            return Err(field("data length", data_bytes as u64));
        }
        if key_bytes > PARTITION_KEY_BYTES_MAX || (key_bytes > 0 && !head.has(HAS_PARTITION_KEY)) {
            return Err(field("key length", key_bytes as u64));
        }
        if head.flags > (HAS_PARTITION_KEY | HAS_EXPLICIT_HASH_KEY | IS_ENCRYPTED) {
            return Err(field("flags", head.flags));
        }
        if record[7] != 0 {
            return Err(field("byte 7", record[7]));
        }
        let content_bytes = HEAD_BYTES + head.hash_key_bytes() + key_bytes + data_bytes;
        let needed = content_bytes.next_multiple_of(8);
        if needed > record.len() {
            return Err(short(needed, record.len()));
        }
        if needed < record.len() {
            return Err(field("data length", data_bytes as u64));
        }
        Ok(head)
    }

    const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    const fn hash_key_bytes(&self) -> usize {
        if self.has(HAS_EXPLICIT_HASH_KEY) { EXPLICIT_HASH_KEY_BYTES } else { 0 }
    }
}

fn field(field: &'static str, found: impl Into<u64>) -> FormatError {
    FormatError::Field { what: WHAT, field, found: found.into() }
}

const fn short(needed: usize, available: usize) -> FormatError {
    FormatError::Short { what: WHAT, needed: needed as u64, available: available as u64 }
}
