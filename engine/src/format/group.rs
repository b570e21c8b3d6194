//! A commit-log group: all batches of one durable write. Starts and ends on 4096-byte boundaries.
//!
//! ```text
//! header, 64 bytes                                   then per batch a prefix, 32 bytes
//!  0 u32 magic "KLG1"                                 0 u64 shard uid
//!  4 u32 header crc (salted; 8..64 and prefixes)      8 u64 segment id
//!  8 u32 bytes, padding included                     16 u64 offset in the segment
//! 12 u32 prefix count                                24 u32 batch bytes
//! 16 u64 group number, from 1                        28 u32 flags (bit 0: first of its segment)
//! 24 u64 log position: bytes of all groups before
//! 32 u64 durable position when it was submitted     then the batches back to back, zeros to 4096
//! 40 u32 header crc of the group before
//! 44 u16 version   46 u16 flags (0)
//! 48 u32 epoch     52 u32 bytes without padding
//! 56 u64 zero
//! ```
//!
//! The salt is the store id mixed with the log file's sequence, and the offset in the file.

use super::checksum::Salt;
use crate::error::FormatError;
use crate::types::{Epoch, SegmentId, ShardUid, StoreId};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of one prefix.
pub const PREFIX_BYTES: usize = 32;
/// Newest version.
pub const VERSION: u16 = 1;

/// The header's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length with padding, a multiple of 4096.
    pub bytes: u32,
    /// Number of batches.
    pub entries: u32,
    /// From 1, without gaps.
    pub number: u64,
    /// Bytes of all groups before this one.
    pub position: u64,
    /// Everything below was durable when this group was submitted.
    pub durable_position: u64,
    /// Header CRC of the group before; 0 for the first.
    pub previous_crc: u32,
    /// Epoch of the store.
    pub epoch: Epoch,
    /// Length without padding.
    pub payload_bytes: u32,
    /// This group's own header CRC.
    pub crc: u32,
}

/// Where one batch of the group belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The shard.
    pub shard: ShardUid,
    /// Its segment.
    pub segment: SegmentId,
    /// Offset in the segment.
    pub offset: u64,
    /// Length of the batch.
    pub bytes: u32,
    /// True for the first batch of a segment.
    pub first_of_segment: bool,
}

/// Salt of the group at `offset` of the log file `sequence`.
pub fn salt(store: StoreId, sequence: u64, offset: u64) -> Salt {
    let mixed = store.0 ^ (u128::from(sequence) << 64 | u128::from(sequence));
    Salt { file: mixed, offset }
}

/// Bytes before the first batch for a group of `entries`.
pub const fn head_bytes(entries: usize) -> usize {
    HEADER_BYTES + entries * PREFIX_BYTES
}

/// Writes header and prefixes to the start of `out`, a whole group whose batches are in place and
/// whose padding is zero. `header.crc` and `header.entries` are computed here; returns the header
/// as written.
pub fn seal(header: &Header, prefixes: &[Prefix], salt: Salt, out: &mut [u8]) -> Header {
    let _ = (header, prefixes, salt, out);
    todo!()
}

/// A decoded head: header and prefixes, checked; the batches are not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The header.
    pub header: Header,
    /// One prefix for each batch, lengths checked to fit the group.
    pub prefixes: Vec<Prefix>,
    /// True when a flipped bit was repaired.
    pub repaired: bool,
}

/// Reads a head from the start of `bytes`; repairs one flipped bit. Lengths are checked against
/// `GROUP_BYTES_MAX`, `GROUP_ENTRIES_MAX` and `bytes.len()` before anything is allocated.
///
/// # Errors
///
/// Any `FormatError`.
pub fn decode_head(bytes: &[u8], salt: Salt) -> Result<Head, FormatError> {
    let _ = (bytes, salt);
    todo!()
}
