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

use std::borrow::Cow;

use super::block::Block;
use super::checksum::Salt;
use super::fields::{put, u16_at, u32_at, u64_at};
use super::{batch, record};
use crate::error::FormatError;
use crate::limits::{GROUP_BYTES_MAX, GROUP_ENTRIES_MAX, PAGE_BYTES};
use crate::types::{Epoch, SegmentId, ShardUid, StoreId};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of one prefix.
pub const PREFIX_BYTES: usize = 32;
/// Newest version.
pub const VERSION: u16 = 1;

const WHAT: &str = "group";
const FIRST_OF_SEGMENT: u32 = 1;
/// Bytes of a batch of one empty record.
const BATCH_BYTES_MIN: usize = batch::frame_bytes(1, record::HEAD_BYTES);
const HEAD: Block = Block {
    what: WHAT,
    magic: u32::from_le_bytes(*b"KLG1"),
    fixed_bytes: HEADER_BYTES,
    length_at: 12,
    length: |entries| {
        let entries = entries as usize;
        if entries <= GROUP_ENTRIES_MAX { Some(head_bytes(entries)) } else { None }
    },
};

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
    Salt::numbered(store, sequence, offset)
}

/// Bytes before the first batch for a group of `entries`.
pub const fn head_bytes(entries: usize) -> usize {
    HEADER_BYTES + entries * PREFIX_BYTES
}

/// Writes header and prefixes to the start of `out`, a whole group whose batches are in place and
/// whose padding is zero. `header.crc` and `header.entries` are computed here; returns the header
/// as written.
///
/// # Panics
///
/// When `header.bytes` is not the length of `out`, or there are more than `GROUP_ENTRIES_MAX`
/// prefixes: faults of the program.
pub fn seal(header: &Header, prefixes: &[Prefix], salt: Salt, out: &mut [u8]) -> Header {
    assert!(
        header.bytes as usize == out.len() && prefixes.len() <= GROUP_ENTRIES_MAX,
        "a group is planned within its limits and sealed whole"
    );
    let entries = u32::try_from(prefixes.len()).expect("prefixes were asserted to be few");
    let head = &mut out[..head_bytes(prefixes.len())];
    put(head, 0, &HEAD.magic.to_le_bytes());
    put(head, 8, &header.bytes.to_le_bytes());
    put(head, 12, &entries.to_le_bytes());
    put(head, 16, &header.number.to_le_bytes());
    put(head, 24, &header.position.to_le_bytes());
    put(head, 32, &header.durable_position.to_le_bytes());
    put(head, 40, &header.previous_crc.to_le_bytes());
    put(head, 44, &VERSION.to_le_bytes());
    put(head, 46, &[0; 2]);
    put(head, 48, &header.epoch.0.to_le_bytes());
    put(head, 52, &header.payload_bytes.to_le_bytes());
    put(head, 56, &[0; 8]);
    for (prefix, out) in prefixes.iter().zip(head[HEADER_BYTES..].chunks_exact_mut(PREFIX_BYTES)) {
        let flags = if prefix.first_of_segment { FIRST_OF_SEGMENT } else { 0 };
        put(out, 0, &prefix.shard.0.to_le_bytes());
        put(out, 8, &prefix.segment.0.to_le_bytes());
        put(out, 16, &prefix.offset.to_le_bytes());
        put(out, 24, &prefix.bytes.to_le_bytes());
        put(out, 28, &flags.to_le_bytes());
    }
    let crc = Block::crc(head, salt);
    put(head, 4, &crc.to_le_bytes());
    Header { entries, crc, ..*header }
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

impl Head {
    /// Each prefix with the stretch its batch takes in the group, in order.
    pub fn batches(&self) -> impl Iterator<Item = (&Prefix, std::ops::Range<usize>)> + '_ {
        let mut end = head_bytes(self.prefixes.len());
        self.prefixes.iter().map(move |prefix| {
            let start = end;
            end += prefix.bytes as usize;
            (prefix, start..end)
        })
    }
}

/// Reads a head from the start of `bytes`; repairs one flipped bit. Lengths are checked against
/// `GROUP_BYTES_MAX`, `GROUP_ENTRIES_MAX` and `bytes.len()` before anything is allocated.
///
/// # Errors
///
/// Any `FormatError`.
pub fn decode_head(bytes: &[u8], salt: Salt) -> Result<Head, FormatError> {
    let block = HEAD.check_or_repair(bytes, salt)?;
    read_head(&block, bytes.len(), matches!(block, Cow::Owned(_)))
}

/// As `decode_head`, without repair.
///
/// # Errors
///
/// Any `FormatError`.
pub fn decode_sound_head(bytes: &[u8], salt: Salt) -> Result<Head, FormatError> {
    read_head(HEAD.check(bytes, salt)?, bytes.len(), false)
}

/// True when the page that starts `bytes` names the group that follows a group of CRC
/// `previous_crc` as number `number` at `position`, sound or not: its write had been started. A
/// group is started only after the one before it was durable.
pub fn names(bytes: &[u8], number: u64, position: u64, previous_crc: u32) -> bool {
    bytes.len() >= HEADER_BYTES
        && u32_at(bytes, 0) == HEAD.magic
        && u64_at(bytes, 16) == number
        && u64_at(bytes, 24) == position
        && u32_at(bytes, 40) == previous_crc
}

/// The log position the page that starts `bytes` claims for a group, `None` without the magic
/// number of one. Nothing is checked: it tells cheaply where a check cannot succeed.
pub fn claimed_position(bytes: &[u8]) -> Option<u64> {
    let claims = bytes.len() >= HEADER_BYTES && u32_at(bytes, 0) == HEAD.magic;
    claims.then(|| u64_at(bytes, 24))
}

/// The fields of a head whose sum is right, checked against each other and the `available` bytes.
fn read_head(block: &[u8], available: usize, repaired: bool) -> Result<Head, FormatError> {
    let version = u16_at(block, 44);
    if version != VERSION {
        let (found, newest) = (u32::from(version), u32::from(VERSION));
        return Err(FormatError::Version { what: WHAT, found, newest });
    }
    let header = read_header(block);
    check_header(&header, u16_at(block, 46), u64_at(block, 56))?;
    if header.bytes as usize > available {
        let (needed, available) = (u64::from(header.bytes), available as u64);
        return Err(FormatError::Short { what: WHAT, needed, available });
    }
    let prefixes = block[HEADER_BYTES..]
        .chunks_exact(PREFIX_BYTES)
        .map(read_prefix)
        .collect::<Result<Vec<_>, _>>()?;
    let batches: u64 = prefixes.iter().map(|prefix| u64::from(prefix.bytes)).sum();
    let payload_bytes = u64::from(header.payload_bytes);
    check(block.len() as u64 + batches == payload_bytes, "payload bytes", payload_bytes)?;
    Ok(Head { header, prefixes, repaired })
}

fn read_header(block: &[u8]) -> Header {
    Header {
        bytes: u32_at(block, 8),
        entries: u32_at(block, 12),
        number: u64_at(block, 16),
        position: u64_at(block, 24),
        durable_position: u64_at(block, 32),
        previous_crc: u32_at(block, 40),
        epoch: Epoch(u32_at(block, 48)),
        payload_bytes: u32_at(block, 52),
        crc: u32_at(block, 4),
    }
}

fn check_header(header: &Header, flags: u16, zero: u64) -> Result<(), FormatError> {
    let page = PAGE_BYTES as u64;
    let bytes = u64::from(header.bytes);
    let padded = u64::from(header.payload_bytes).next_multiple_of(page);
    check(flags == 0, "flags", flags)?;
    check(zero == 0, "zero", zero)?;
    check(bytes <= GROUP_BYTES_MAX as u64 && bytes == padded, "bytes", bytes)?;
    let (number, position) = (header.number, header.position);
    check(number > 0 && number < u64::MAX, "number", number)?;
    let fits = position.is_multiple_of(page) && position.checked_add(bytes).is_some();
    check(fits, "position", position)?;
    check(header.durable_position <= position, "durable position", header.durable_position)
}

fn read_prefix(bytes: &[u8]) -> Result<Prefix, FormatError> {
    let flags = u32_at(bytes, 28);
    let prefix = Prefix {
        shard: ShardUid(u64_at(bytes, 0)),
        segment: SegmentId(u64_at(bytes, 8)),
        offset: u64_at(bytes, 16),
        bytes: u32_at(bytes, 24),
        first_of_segment: flags == FIRST_OF_SEGMENT,
    };
    check(flags <= FIRST_OF_SEGMENT, "prefix flags", flags)?;
    let long_enough = prefix.bytes as usize >= BATCH_BYTES_MIN && prefix.bytes.is_multiple_of(8);
    check(long_enough, "batch bytes", prefix.bytes)?;
    let end = prefix.offset.checked_add(u64::from(prefix.bytes));
    check(end.is_some(), "batch offset", prefix.offset)?;
    Ok(prefix)
}

fn check(holds: bool, field: &'static str, found: impl Into<u64>) -> Result<(), FormatError> {
    if holds { Ok(()) } else { Err(FormatError::Field { what: WHAT, field, found: found.into() }) }
}
