//! A batch: the records one shard got in one commit. 64-byte header, table, records.
//!
//! ```text
//! header, 64 bytes                              table: count x 12 bytes, zeros to 8
//!  0 u32 magic "KLB1"                            0 u32 offset of the record in the batch
//!  4 u32 header crc (salted; bytes 8..64)        4 u32 arrival, ms after first arrival
//!  8 u32 frame bytes, a multiple of 8            8 u32 crc of the stored record
//! 12 u32 table crc (of the padded table)
//! 16 u64 base ordinal                           then the stored records, back to back
//! 24 u32 record count
//! 28 u16 version
//! 30 u16 flags (0)
//! 32 u64 first arrival, ms
//! 40 u32 last arrival, ms after the first
//! 44 u32 epoch
//! 48 u64 log position of the group that carried it
//! 56 u64 shard uid
//! ```
//!
//! The header CRC covers the table CRC, the table covers each record's CRC: each byte is summed
//! once, and damage costs one record.

use bytes::Bytes;

use super::checksum::Salt;
use super::record::Record;
use crate::error::FormatError;
use crate::types::{Epoch, Ordinal, RecordEntry, ShardUid, Timestamp};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of one table entry.
pub const TABLE_ENTRY_BYTES: usize = 12;
/// Newest version.
pub const VERSION: u16 = 1;

/// The header's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the whole batch.
    pub frame_bytes: u32,
    /// CRC of the padded table.
    pub table_crc: u32,
    /// Ordinal of the first record.
    pub base_ordinal: Ordinal,
    /// Number of records, at least 1.
    pub count: u32,
    /// Arrival of the first record.
    pub first_arrival: Timestamp,
    /// Arrival of the last record minus the first's, in ms.
    pub last_arrival_delta: u32,
    /// Epoch of the store that wrote it.
    pub epoch: Epoch,
    /// Log position of its group.
    pub log_position: u64,
    /// The shard.
    pub shard: ShardUid,
}

/// What the writer knows of a batch before its bytes are laid out.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Ordinal of the first record.
    pub base_ordinal: Ordinal,
    /// Arrival time of all its records.
    pub arrival: Timestamp,
    /// Epoch of the store.
    pub epoch: Epoch,
    /// Log position of the group that carries it.
    pub log_position: u64,
    /// The shard.
    pub shard: ShardUid,
    /// Segment id and offset it will stand at.
    pub salt: Salt,
}

/// Bytes of a batch of `records` records whose stored bytes sum to `stored_bytes`.
pub const fn frame_bytes(records: usize, stored_bytes: usize) -> usize {
    HEADER_BYTES + (records * TABLE_ENTRY_BYTES).next_multiple_of(8) + stored_bytes
}

/// Lays a batch out into `out`, which is exactly `frame_bytes` long. `runs` are stretches of
/// stored records with their entries, in order.
pub fn encode<'a>(
    plan: &Plan,
    runs: impl Iterator<Item = (&'a [RecordEntry], &'a [u8])> + Clone,
    out: &mut [u8],
) -> Header {
    let _ = (plan, runs, out);
    todo!()
}

/// Reads a header from the first 64 bytes of `bytes` and checks magic, CRC, version, and the
/// plausibility of its lengths (`frame_bytes` against `BATCH_BYTES_MAX` and `count`).
///
/// # Errors
///
/// Any `FormatError`.
pub fn decode_header(bytes: &[u8], salt: Salt) -> Result<Header, FormatError> {
    let _ = (bytes, salt);
    todo!()
}

/// As `decode_header`; when only the CRC fails and one flipped bit explains it, returns the
/// repaired header and true.
///
/// # Errors
///
/// Any `FormatError`.
pub fn decode_header_repairing(bytes: &[u8], salt: Salt) -> Result<(Header, bool), FormatError> {
    let _ = (bytes, salt);
    todo!()
}

/// A whole batch whose header and table have been checked. Records are checked one by one.
/// Cheap to clone: all clones share the bytes.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The header.
    pub header: Header,
    bytes: Bytes,
    repaired: bool,
}

/// One record of a batch.
#[derive(Clone, Debug)]
pub struct BatchRecord {
    /// Its ordinal.
    pub ordinal: Ordinal,
    /// Its arrival time.
    pub arrival: Timestamp,
    /// Its contents.
    pub record: Record,
}

impl Batch {
    /// Checks header and table (repairing one flipped bit in either, told by `repaired`) of the
    /// batch that starts `bytes`; `bytes` may be longer. Keeps a slice, copies nothing unless a
    /// repair was needed.
    ///
    /// # Errors
    ///
    /// Any `FormatError`; the records' own sums are not looked at.
    pub fn open(bytes: &Bytes, salt: Salt) -> Result<Self, FormatError> {
        let _ = (bytes, salt);
        todo!()
    }

    /// Wraps bytes this process has just encoded: nothing is checked again.
    pub fn trusted(header: Header, bytes: Bytes) -> Self {
        Self { header, bytes, repaired: false }
    }

    /// All bytes of the batch.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// True when a flipped bit was repaired while opening.
    pub const fn repaired(&self) -> bool {
        self.repaired
    }

    /// The position after the last record.
    pub fn end(&self) -> Ordinal {
        self.header.base_ordinal.plus(u64::from(self.header.count))
    }

    /// Arrival of the last record.
    pub fn last_arrival(&self) -> Timestamp {
        Timestamp(self.header.first_arrival.0 + u64::from(self.header.last_arrival_delta))
    }

    /// Arrival time of record `i` (`0..count`).
    pub fn arrival(&self, i: u32) -> Timestamp {
        let _ = i;
        todo!()
    }

    /// Index of the first record that arrived at or after `at`; `count` when none did.
    pub fn first_at(&self, at: Timestamp) -> u32 {
        let _ = at;
        todo!()
    }

    /// Payload bytes (key and data) of record `i`, from its head.
    pub fn payload_bytes(&self, i: u32) -> usize {
        let _ = i;
        todo!()
    }

    /// Record `i` with its CRC checked.
    ///
    /// # Errors
    ///
    /// `Checksum` when its bytes are damaged.
    pub fn record(&self, i: u32) -> Result<BatchRecord, FormatError> {
        let _ = i;
        todo!()
    }

    /// Record `i` without the CRC: for batches verified before in this process.
    ///
    /// # Errors
    ///
    /// `Short` or `Field` when lengths contradict each other.
    pub fn record_unchecked(&self, i: u32) -> Result<BatchRecord, FormatError> {
        let _ = i;
        todo!()
    }

    /// Indexes of the records whose CRC fails, in order.
    pub fn damaged(&self) -> Vec<u32> {
        todo!()
    }
}
