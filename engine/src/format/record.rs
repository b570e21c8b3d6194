//! One stored record: 8-byte head, optional explicit hash key, partition key, data, zero padding
//! to a multiple of 8. Its CRC stands in the batch table and covers all of it, padding included.
//!
//! ```text
//! 0        4         6       7       8            [24]
//! | data   | key     | flags | zero  | explicit   | partition key | data | zeros to 8 |
//! | length | length  |       |       | hash key   |
//! ```

use bytes::Bytes;

use crate::error::FormatError;
use crate::types::RecordEntry;

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
    /// True when `data` is ciphertext.
    pub encrypted: bool,
}

/// Appends the stored form to `out` and returns its table entry (length and CRC).
/// Key at most `PARTITION_KEY_BYTES_MAX`, data at most `RECORD_DATA_BYTES_MAX` bytes (asserted).
pub fn encode(record: &RecordRef<'_>, out: &mut Vec<u8>) -> RecordEntry {
    let _ = (record, out);
    todo!()
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
    /// True when the payload is ciphertext.
    pub encrypted: bool,
}

/// Takes apart one stored record that fills `bytes` exactly. Does not check the CRC: the caller
/// has compared `checksum::crc(bytes)` with the table (`batch::Batch::record`).
///
/// # Errors
///
/// `Short` and `Field` when lengths or padding contradict `bytes`.
pub fn decode(bytes: &Bytes) -> Result<Record, FormatError> {
    let _ = bytes;
    todo!()
}
