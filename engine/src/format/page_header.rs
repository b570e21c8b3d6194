//! The first page (4096 bytes) of every file: who wrote it and what it is. 128 bytes, stored twice
//! (at 0 and at 2048); the rest of the page is zero. A reader takes whichever copy is sound.
//!
//! ```text
//!  0 u64 magic "KINELOG\0"
//!  8 u32 kind       12 u32 version     16 u32 checksum algorithm (1 = CRC-32/ISO-HDLC)
//! 20 u32 zero       24 u128 store id   40 u64 x 10 fields, by kind    120 u32 zero
//! 124 u32 crc of bytes 0..124
//! ```

use super::checksum;
use super::fields::{put, u32_at, u64_at, u128_at};
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

const WHAT: &str = "page header";
const MAGIC: u64 = u64::from_le_bytes(*b"KINELOG\0");
const CRC_32_ISO_HDLC: u32 = 1;
const COPY_BYTES: usize = 128;
const COPIES_AT: [usize; 2] = [0, 2048];
const FIELDS_AT: usize = 40;
const CRC_AT: usize = 124;

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
    let mut copy = [0; COPY_BYTES];
    put(&mut copy, 0, &MAGIC.to_le_bytes());
    put(&mut copy, 8, &(header.kind as u32).to_le_bytes());
    put(&mut copy, 12, &VERSION.to_le_bytes());
    put(&mut copy, 16, &CRC_32_ISO_HDLC.to_le_bytes());
    put(&mut copy, 24, &header.store.0.to_le_bytes());
    for (i, field) in header.fields.iter().enumerate() {
        put(&mut copy, FIELDS_AT + 8 * i, &field.to_le_bytes());
    }
    let crc = checksum::crc(&copy[..CRC_AT]);
    put(&mut copy, CRC_AT, &crc.to_le_bytes());
    let mut page = [0; PAGE_BYTES];
    for at in COPIES_AT {
        put(&mut page, at, &copy);
    }
    page
}

/// Reads a page; true when one of its copies or its zeros was damaged but the other serves.
///
/// # Errors
///
/// `Short`, `Magic` (not ours, or another kind), `Version` (newer), `Checksum` (both copies bad),
/// `Field` (a sum is right, its fields are impossible).
pub fn decode(page: &[u8], kind: FileKind) -> Result<(PageHeader, bool), FormatError> {
    let Some(page) = page.get(..PAGE_BYTES) else {
        let (needed, available) = (PAGE_BYTES as u64, page.len() as u64);
        return Err(FormatError::Short { what: WHAT, needed, available });
    };
    let [first, second] = COPIES_AT.map(|at| &page[at..at + COPY_BYTES]);
    let header = match (check_copy(first), check_copy(second)) {
        (Ok(()), _) => read_copy(first, kind)?,
        (Err(_), Ok(())) => read_copy(second, kind)?,
        (Err(error @ FormatError::Checksum { .. }), Err(_)) | (Err(_), Err(error)) => {
            return Err(error);
        }
    };
    Ok((header, encode(&header) != page))
}

/// Checks magic number and sum of one copy.
fn check_copy(copy: &[u8]) -> Result<(), FormatError> {
    let magic = u64_at(copy, 0);
    if magic != MAGIC {
        return Err(FormatError::Magic { what: WHAT, found: magic });
    }
    let (found, expected) = (checksum::crc(&copy[..CRC_AT]), u32_at(copy, CRC_AT));
    if found != expected {
        return Err(FormatError::Checksum { what: WHAT, found, expected });
    }
    Ok(())
}

/// The fields of a copy whose sum is right.
fn read_copy(copy: &[u8], kind: FileKind) -> Result<PageHeader, FormatError> {
    let version = u32_at(copy, 12);
    if version > VERSION {
        return Err(FormatError::Version { what: WHAT, found: version, newest: VERSION });
    }
    let found = u32_at(copy, 8);
    if found != kind as u32 {
        return Err(FormatError::Magic { what: WHAT, found: u64::from(found) });
    }
    let expected = [(12, VERSION, "version"), (16, CRC_32_ISO_HDLC, "checksum algorithm")];
    for (at, value, field) in expected.into_iter().chain([(20, 0, "zero"), (120, 0, "zero")]) {
        if u32_at(copy, at) != value {
            return Err(FormatError::Field {
                what: WHAT,
                field,
                found: u64::from(u32_at(copy, at)),
            });
        }
    }
    Ok(PageHeader {
        kind,
        store: StoreId(u128_at(copy, 24)),
        fields: std::array::from_fn(|i| u64_at(copy, FIELDS_AT + 8 * i)),
    })
}
