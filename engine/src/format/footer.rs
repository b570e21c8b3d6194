//! The footer of a sealed segment: the sparse index and a trailer, at the end of the file.
//!
//! ```text
//! index entry, 16 bytes                 trailer, 96 bytes, ends the file
//!  0 u32 ordinal, after the base         0 u64 magic "KLFOOT1\0"
//!  4 u32 arrival ms, after the first     8 u32 version      12 u32 index entries
//!  8 u32 position in the file           16 u64 index position (end of the batches)
//! 12 u32 header crc of the batch there  24 u64 base ordinal  32 u64 record count
//!                                       40 u64 first arrival 48 u64 last arrival
//!                                       56 u32 batch count   60 u32 crc of all header crcs
//!                                       64 u64 segment id    72 u64 shard uid   80 12 zeros
//!                                       92 u32 crc (salted; index entries then trailer 0..92)
//! ```
//!
//! An index entry stands for the first batch and for the first batch that starts at or after each
//! further 32 KiB. The footer is derived: it can be rebuilt from the batches, so it is never
//! repaired. Its salt is the segment id and the index position.

use super::checksum::{self, Salt};
use super::fields::{put, u32_at, u64_at};
use crate::bugs::{self, Bug};
use crate::error::FormatError;
use crate::types::{Ordinal, SegmentId, ShardUid, Timestamp};

/// Bytes of one index entry.
pub const INDEX_ENTRY_BYTES: usize = 16;
/// Bytes of the trailer.
pub const TRAILER_BYTES: usize = 96;
/// Newest version.
pub const VERSION: u32 = 1;

const WHAT: &str = "footer";
const MAGIC: u64 = u64::from_le_bytes(*b"KLFOOT1\0");
const CRC_AT: usize = 92;

/// One index entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Base ordinal of the batch minus the segment's.
    pub ordinal_delta: u32,
    /// First arrival of the batch minus the segment's, in ms.
    pub arrival_delta: u32,
    /// Position of the batch in the file.
    pub position: u32,
    /// Header CRC of that batch.
    pub header_crc: u32,
}

/// The trailer's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Number of index entries.
    pub index_entries: u32,
    /// Where the batches end and the index starts.
    pub index_position: u64,
    /// First ordinal.
    pub base_ordinal: Ordinal,
    /// Number of records.
    pub records: u64,
    /// Arrival of the first record.
    pub first_arrival: Timestamp,
    /// Arrival of the last record.
    pub last_arrival: Timestamp,
    /// Number of batches.
    pub batches: u32,
    /// CRC over the header CRCs of all batches, in order, each as 4 little-endian bytes.
    pub batches_crc: u32,
    /// The segment.
    pub segment: SegmentId,
    /// The shard.
    pub shard: ShardUid,
}

/// Index and trailer as stored.
///
/// # Panics
///
/// When `trailer.index_entries` is not the length of `index`: a fault of the program.
pub fn encode(index: &[IndexEntry], trailer: &Trailer) -> Vec<u8> {
    assert!(trailer.index_entries as usize == index.len(), "the trailer counts the entries");
    let index_bytes = index.len() * INDEX_ENTRY_BYTES;
    let mut out = vec![0; index_bytes + TRAILER_BYTES];
    for (entry, slot) in index.iter().zip(out.chunks_exact_mut(INDEX_ENTRY_BYTES)) {
        put(slot, 0, &entry.ordinal_delta.to_le_bytes());
        put(slot, 4, &entry.arrival_delta.to_le_bytes());
        put(slot, 8, &entry.position.to_le_bytes());
        put(slot, 12, &entry.header_crc.to_le_bytes());
    }
    let fields = &mut out[index_bytes..];
    put(fields, 0, &MAGIC.to_le_bytes());
    put(fields, 8, &VERSION.to_le_bytes());
    put(fields, 12, &trailer.index_entries.to_le_bytes());
    put(fields, 16, &trailer.index_position.to_le_bytes());
    put(fields, 24, &trailer.base_ordinal.0.to_le_bytes());
    put(fields, 32, &trailer.records.to_le_bytes());
    put(fields, 40, &trailer.first_arrival.0.to_le_bytes());
    put(fields, 48, &trailer.last_arrival.0.to_le_bytes());
    put(fields, 56, &trailer.batches.to_le_bytes());
    put(fields, 60, &trailer.batches_crc.to_le_bytes());
    put(fields, 64, &trailer.segment.0.to_le_bytes());
    put(fields, 72, &trailer.shard.0.to_le_bytes());
    let crc = checksum::salted(salt(trailer), &out[..index_bytes + CRC_AT]);
    put(&mut out, index_bytes + CRC_AT, &crc.to_le_bytes());
    out
}

fn salt(trailer: &Trailer) -> Salt {
    Salt { file: u128::from(trailer.segment.0), offset: trailer.index_position }
}

/// Reads the footer that ends `file_end` (the whole file, or at least its end; `file_bytes` is the
/// file's full length) and checks it. The index is left in place: see `index_entry`.
///
/// # Errors
///
/// Any `FormatError`.
pub fn decode(
    file_end: &[u8],
    file_bytes: u64,
    segment: SegmentId,
) -> Result<Trailer, FormatError> {
    let available = file_end.len();
    let trailer_at = available.checked_sub(TRAILER_BYTES).ok_or_else(|| short(96, available))?;
    let fields = &file_end[trailer_at..];
    let magic = u64_at(fields, 0);
    if magic != MAGIC {
        return Err(FormatError::Magic { what: WHAT, found: magic });
    }
    let trailer = read_trailer(fields);
    check(trailer.segment == segment, "segment id", trailer.segment.0)?;
    let entries = trailer.index_entries;
    let index_bytes = u64::from(entries) * INDEX_ENTRY_BYTES as u64;
    let footer_bytes = index_bytes + TRAILER_BYTES as u64;
    let fills = trailer.index_position.checked_add(footer_bytes) == Some(file_bytes);
    check(fills, "index position", trailer.index_position)?;
    let footer_at = usize::try_from(footer_bytes).ok().and_then(|n| available.checked_sub(n));
    let footer = &file_end[footer_at.ok_or_else(|| short(footer_bytes, available))?..];
    let (summed, stored) = footer.split_at(footer.len() - 4);
    let (found, expected) = (checksum::salted(salt(&trailer), summed), u32_at(stored, 0));
    if found != expected && !bugs::is_on(Bug::FooterTrusted) {
        return Err(FormatError::Checksum { what: WHAT, found, expected });
    }
    let version = u32_at(fields, 8);
    if version != VERSION {
        return Err(FormatError::Version { what: WHAT, found: version, newest: VERSION });
    }
    check(u64_at(fields, 80) == 0 && u32_at(fields, 88) == 0, "zero", u64_at(fields, 80))?;
    check_ranges(&trailer)?;
    Ok(trailer)
}

fn read_trailer(fields: &[u8]) -> Trailer {
    Trailer {
        index_entries: u32_at(fields, 12),
        index_position: u64_at(fields, 16),
        base_ordinal: Ordinal(u64_at(fields, 24)),
        records: u64_at(fields, 32),
        first_arrival: Timestamp(u64_at(fields, 40)),
        last_arrival: Timestamp(u64_at(fields, 48)),
        batches: u32_at(fields, 56),
        batches_crc: u32_at(fields, 60),
        segment: SegmentId(u64_at(fields, 64)),
        shard: ShardUid(u64_at(fields, 72)),
    }
}

fn check_ranges(trailer: &Trailer) -> Result<(), FormatError> {
    let base = trailer.base_ordinal.0;
    check(base.checked_add(trailer.records).is_some(), "base ordinal", base)?;
    let last = trailer.last_arrival.0;
    check(trailer.first_arrival.0 <= last, "last arrival", last)?;
    check(trailer.index_entries <= trailer.batches, "index entries", trailer.index_entries)
}

fn check(holds: bool, field: &'static str, found: impl Into<u64>) -> Result<(), FormatError> {
    if holds { Ok(()) } else { Err(FormatError::Field { what: WHAT, field, found: found.into() }) }
}

const fn short(needed: u64, available: usize) -> FormatError {
    FormatError::Short { what: WHAT, needed, available: available as u64 }
}

/// Entry `i` of an index given as its stored bytes, which hold more than `i` entries.
pub fn index_entry(index: &[u8], i: usize) -> IndexEntry {
    let entry = &index[i * INDEX_ENTRY_BYTES..];
    IndexEntry {
        ordinal_delta: u32_at(entry, 0),
        arrival_delta: u32_at(entry, 4),
        position: u32_at(entry, 8),
        header_crc: u32_at(entry, 12),
    }
}
