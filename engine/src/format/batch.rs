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

mod excerpt;
mod table;

use std::borrow::Cow;

use bytes::Bytes;

use super::block::Block;
use super::checksum::{self, Salt};
use super::fields::{put, u16_at, u32_at, u64_at};
use super::record::{self, Record};
use crate::error::FormatError;
use crate::limits::BATCH_BYTES_MAX;
use crate::types::{Epoch, Ordinal, RecordEntry, SegmentId, ShardUid, Timestamp};

pub use table::inspect;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of one table entry.
pub const TABLE_ENTRY_BYTES: usize = 12;
/// Newest version.
pub const VERSION: u16 = 1;

const WHAT: &str = "batch";
const HEADER: Block = Block {
    what: WHAT,
    magic: u32::from_le_bytes(*b"KLB1"),
    fixed_bytes: HEADER_BYTES,
    length_at: 8,
    length: |_| Some(HEADER_BYTES),
};

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

/// Salt of the batch at `offset` of a segment.
pub const fn salt(segment: SegmentId, offset: u64) -> Salt {
    Salt { file: segment.0 as u128, offset }
}

/// Bytes of a batch of `records` records whose stored bytes sum to `stored_bytes`.
pub const fn frame_bytes(records: usize, stored_bytes: usize) -> usize {
    HEADER_BYTES + table_bytes(records) + stored_bytes
}

const fn table_bytes(records: usize) -> usize {
    (records * TABLE_ENTRY_BYTES).next_multiple_of(8)
}

/// Lays a batch out into `out`, which is exactly `frame_bytes` long. `runs` are stretches of
/// stored records with their entries, in order.
///
/// # Panics
///
/// When there is no record, the batch is longer than `BATCH_BYTES_MAX`, or `out` is not as long as
/// the runs: faults of the program.
pub fn encode<'a>(
    plan: &Plan,
    runs: impl Iterator<Item = (&'a [RecordEntry], &'a [u8])> + Clone,
    out: &mut [u8],
) -> Header {
    assert!(out.len() <= BATCH_BYTES_MAX, "a batch is planned within its limit");
    let records: usize = runs.clone().map(|(entries, _)| entries.len()).sum();
    let table_end = HEADER_BYTES + table_bytes(records);
    let (head, bodies) = out.split_at_mut(table_end);
    let (header_bytes, table) = head.split_at_mut(HEADER_BYTES);
    let mut slots = table.chunks_exact_mut(TABLE_ENTRY_BYTES);
    let (mut copied, mut described) = (0, 0);
    for (entries, bytes) in runs {
        bodies[copied..copied + bytes.len()].copy_from_slice(bytes);
        copied += bytes.len();
        for (entry, slot) in entries.iter().zip(&mut slots) {
            put(slot, 0, &number(table_end + described).to_le_bytes());
            put(slot, 4, &[0; 4]);
            put(slot, 8, &entry.crc.to_le_bytes());
            described += entry.stored_bytes as usize;
        }
    }
    slots.into_remainder().fill(0);
    assert!(
        records > 0 && copied == described && copied == bodies.len(),
        "the entries describe the records and both fill the batch"
    );
    let header = Header {
        frame_bytes: number(table_end + copied),
        table_crc: checksum::crc(table),
        base_ordinal: plan.base_ordinal,
        count: number(records),
        first_arrival: plan.arrival,
        last_arrival_delta: 0,
        epoch: plan.epoch,
        log_position: plan.log_position,
        shard: plan.shard,
    };
    write_header(&header, plan.salt, header_bytes);
    header
}

/// A number within the limit of a batch as it is stored.
fn number(value: usize) -> u32 {
    u32::try_from(value).expect("a batch is shorter than 4 GiB")
}

fn write_header(header: &Header, salt: Salt, out: &mut [u8]) {
    put(out, 0, &HEADER.magic.to_le_bytes());
    put(out, 8, &header.frame_bytes.to_le_bytes());
    put(out, 12, &header.table_crc.to_le_bytes());
    put(out, 16, &header.base_ordinal.0.to_le_bytes());
    put(out, 24, &header.count.to_le_bytes());
    put(out, 28, &VERSION.to_le_bytes());
    put(out, 30, &[0; 2]);
    put(out, 32, &header.first_arrival.0.to_le_bytes());
    put(out, 40, &header.last_arrival_delta.to_le_bytes());
    put(out, 44, &header.epoch.0.to_le_bytes());
    put(out, 48, &header.log_position.to_le_bytes());
    put(out, 56, &header.shard.0.to_le_bytes());
    let crc = Block::crc(out, salt);
    put(out, 4, &crc.to_le_bytes());
}

/// The stored CRC of the header that starts `batch` (at least 64 bytes), as the index and the
/// footer of a segment record it.
pub fn header_crc(batch: &[u8]) -> u32 {
    u32_at(batch, 4)
}

/// Reads a header from the first 64 bytes of `bytes` and checks magic, CRC, version, and the
/// plausibility of its lengths (`frame_bytes` against `BATCH_BYTES_MAX` and `count`).
///
/// # Errors
///
/// Any `FormatError`.
pub fn decode_header(bytes: &[u8], salt: Salt) -> Result<Header, FormatError> {
    read_header(HEADER.check(bytes, salt)?)
}

/// As `decode_header`, with the header's own sum; when one flipped bit explains why magic or CRC
/// fail, both are returned without it.
///
/// # Errors
///
/// Any `FormatError`.
pub fn decode_header_repairing(bytes: &[u8], salt: Salt) -> Result<(Header, u32), FormatError> {
    let block = HEADER.check_or_repair(bytes, salt)?;
    Ok((read_header(&block)?, header_crc(&block)))
}

/// The fields of a header whose sum is right, checked against each other.
fn read_header(block: &[u8]) -> Result<Header, FormatError> {
    let version = u16_at(block, 28);
    if version != VERSION {
        let (found, newest) = (u32::from(version), u32::from(VERSION));
        return Err(FormatError::Version { what: WHAT, found, newest });
    }
    let header = Header {
        frame_bytes: u32_at(block, 8),
        table_crc: u32_at(block, 12),
        base_ordinal: Ordinal(u64_at(block, 16)),
        count: u32_at(block, 24),
        first_arrival: Timestamp(u64_at(block, 32)),
        last_arrival_delta: u32_at(block, 40),
        epoch: Epoch(u32_at(block, 44)),
        log_position: u64_at(block, 48),
        shard: ShardUid(u64_at(block, 56)),
    };
    let flags = u16_at(block, 30);
    let per_record = (TABLE_ENTRY_BYTES + record::HEAD_BYTES) as u64;
    let least = HEADER_BYTES as u64 + u64::from(header.count) * per_record;
    let frame_bytes = u64::from(header.frame_bytes);
    let count = u64::from(header.count);
    check(flags == 0, "flags", flags)?;
    check(frame_bytes <= BATCH_BYTES_MAX as u64, "frame bytes", frame_bytes)?;
    check(frame_bytes.is_multiple_of(8) && frame_bytes >= least, "frame bytes", frame_bytes)?;
    check(count > 0, "record count", count)?;
    let base = header.base_ordinal.0;
    check(base.checked_add(count).is_some(), "base ordinal", base)?;
    let first = header.first_arrival.0;
    let last_fits = first.checked_add(u64::from(header.last_arrival_delta)).is_some();
    check(last_fits, "first arrival", first)?;
    Ok(header)
}

fn check(holds: bool, field: &'static str, found: impl Into<u64>) -> Result<(), FormatError> {
    if holds { Ok(()) } else { Err(FormatError::Field { what: WHAT, field, found: found.into() }) }
}

/// A whole batch whose header and table have been checked. Records are checked one by one.
/// Cheap to clone: all clones share the bytes.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The header.
    pub header: Header,
    bytes: Bytes,
    repaired: bool,
    is_own: bool,
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
        let block = HEADER.check_or_repair(bytes, salt)?;
        let header = read_header(&block)?;
        let frame = header.frame(bytes)?;
        let table = &frame[header.table()];
        let bad_header = matches!(block, Cow::Owned(_));
        let table_error = header.check_table_crc(table).err();
        if !bad_header && table_error.is_none() {
            header.check_entries(frame)?;
            let bytes = bytes.slice(..frame.len());
            return Ok(Self { header, bytes, repaired: false, is_own: false });
        }
        let mut repaired = frame.to_vec();
        put(&mut repaired, 0, &block);
        if let Some(error) = table_error {
            let syndrome = checksum::crc(table) ^ header.table_crc;
            let flipped = checksum::locate(table.len(), syndrome).ok_or(error)?;
            flipped.moved_by(HEADER_BYTES).repair(&mut repaired);
        }
        header.check_entries(&repaired)?;
        Ok(Self { header, bytes: repaired.into(), repaired: true, is_own: false })
    }

    /// Wraps bytes this process has just encoded: nothing is checked again.
    pub fn trusted(header: Header, bytes: Bytes) -> Self {
        Self { header, bytes, repaired: false, is_own: true }
    }

    /// All bytes of the batch.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// True when a flipped bit was repaired while opening.
    pub const fn repaired(&self) -> bool {
        self.repaired
    }

    /// True when this process encoded the batch: its records need no check. Those of a batch that
    /// was opened may be damaged though header and table are sound.
    pub const fn is_own(&self) -> bool {
        self.is_own
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
        Timestamp(self.header.first_arrival.0 + u64::from(Header::entry(&self.bytes, i).arrival))
    }

    /// Index of the first record that arrived at or after `at`; `count` when none did.
    pub fn first_at(&self, at: Timestamp) -> u32 {
        let (mut low, mut high) = (0, self.header.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.arrival(middle) < at {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Payload bytes (key and data) of record `i`, from its head.
    pub fn payload_bytes(&self, i: u32) -> usize {
        record::payload_bytes(&self.bytes[self.header.record_range(&self.bytes, i)])
    }

    /// Record `i` with its CRC checked.
    ///
    /// # Errors
    ///
    /// `Checksum` when its bytes are damaged.
    pub fn record(&self, i: u32) -> Result<BatchRecord, FormatError> {
        let expected = Header::entry(&self.bytes, i).crc;
        let found = checksum::crc(&self.bytes[self.header.record_range(&self.bytes, i)]);
        if found != expected {
            return Err(FormatError::Checksum { what: "record", found, expected });
        }
        self.record_unchecked(i)
    }

    /// Record `i` without the CRC: for batches verified before in this process.
    ///
    /// # Errors
    ///
    /// `Short` or `Field` when lengths contradict each other.
    pub fn record_unchecked(&self, i: u32) -> Result<BatchRecord, FormatError> {
        let range = self.header.record_range(&self.bytes, i);
        Ok(BatchRecord {
            ordinal: self.header.base_ordinal.plus(u64::from(i)),
            arrival: self.arrival(i),
            record: record::decode_at(&self.bytes, range)?,
        })
    }

    /// Indexes of the records whose CRC fails, in order.
    pub fn damaged(&self) -> Vec<u32> {
        self.header.damaged(&self.bytes).collect()
    }
}
