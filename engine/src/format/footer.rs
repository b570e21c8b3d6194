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
//! further 32 KiB. The footer is derived: it can be rebuilt from the batches.

use crate::error::FormatError;
use crate::types::{Ordinal, SegmentId, ShardUid, Timestamp};

/// Bytes of one index entry.
pub const INDEX_ENTRY_BYTES: usize = 16;
/// Bytes of the trailer.
pub const TRAILER_BYTES: usize = 96;

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
pub fn encode(index: &[IndexEntry], trailer: &Trailer) -> Vec<u8> {
    let _ = (index, trailer);
    todo!()
}

/// Reads the footer that ends `file` (the whole file, or at least its end; `file_bytes` is the
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
    let _ = (file_end, file_bytes, segment);
    todo!()
}

/// Entry `i` of an index given as its stored bytes.
pub fn index_entry(index: &[u8], i: usize) -> IndexEntry {
    let _ = (index, i);
    todo!()
}
