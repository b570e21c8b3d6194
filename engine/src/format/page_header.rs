//! The first page (4096 bytes) of every file: who wrote it and what it is. 128 bytes, stored twice
//! (at 0 and at 2048); the rest of the page is zero. A reader takes whichever copy is sound.
//!
//! ```text
//!  0 u64 magic "KINELOG\0"
//!  8 u32 kind       12 u32 version     16 u32 checksum algorithm (1 = CRC-32/ISO-HDLC)
//! 20 u32 zero       24 u128 store id   40 u64 x 10 fields, by kind    120 u32 zero
//! 124 u32 crc of bytes 0..124
//! ```

use crate::error::FormatError;
use crate::limits::PAGE_BYTES;
use crate::types::StoreId;

/// Which file this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum FileKind {
    /// `store`: identity of the data directory. Fields: created ms.
    Store = 1,
    /// A segment. Fields: stream id, shard uid, segment id, base ordinal, created ms, previous
    /// segment id (0 none).
    Segment = 2,
    /// A commit-log file. Fields: sequence, file bytes.
    Log = 3,
    /// A manifest slot. Fields: none.
    Manifest = 4,
    /// A journal of the catalogue. Fields: generation.
    Journal = 5,
}

/// Newest version of each kind; they move together.
pub const VERSION: u32 = 1;

/// A decoded page header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHeader {
    /// Kind of file.
    pub kind: FileKind,
    /// The store it belongs to.
    pub store: StoreId,
    /// Fields by kind, unused ones 0.
    pub fields: [u64; 10],
}

/// The page as stored.
pub fn encode(header: &PageHeader) -> [u8; PAGE_BYTES] {
    let _ = header;
    todo!()
}

/// Reads a page; true when one of its copies or its zeros was damaged but the other serves.
///
/// # Errors
///
/// `Short`, `Magic` (not ours, or another kind), `Version` (newer), `Checksum` (both copies bad).
pub fn decode(page: &[u8], kind: FileKind) -> Result<(PageHeader, bool), FormatError> {
    let _ = (page, kind);
    todo!()
}
