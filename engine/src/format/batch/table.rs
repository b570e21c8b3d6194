//! Reading through the table of a batch, and checking a batch as a whole.

use std::ops::Range;

use super::{
    HEADER, HEADER_BYTES, Header, TABLE_ENTRY_BYTES, WHAT, check, decode_header, table_bytes,
};
use crate::error::FormatError;
use crate::format::checksum::{self, FlippedBit, Salt};
use crate::format::fields::u32_at;
use crate::format::record;

/// One entry of the table.
pub(super) struct Entry {
    pub(super) offset: usize,
    pub(super) arrival: u32,
    pub(super) crc: u32,
}

impl Header {
    pub(super) const fn table(&self) -> Range<usize> {
        HEADER_BYTES..HEADER_BYTES + table_bytes(self.count as usize)
    }

    /// Entry `i` of the table of `batch`.
    pub(super) fn entry(batch: &[u8], i: u32) -> Entry {
        let at = HEADER_BYTES + i as usize * TABLE_ENTRY_BYTES;
        Entry {
            offset: u32_at(batch, at) as usize,
            arrival: u32_at(batch, at + 4),
            crc: u32_at(batch, at + 8),
        }
    }

    /// Where record `i` stands in `batch`, whose table has been checked.
    pub(super) fn record_range(&self, batch: &[u8], i: u32) -> Range<usize> {
        let start = Self::entry(batch, i).offset;
        let end = if i + 1 < self.count {
            Self::entry(batch, i + 1).offset
        } else {
            self.frame_bytes as usize
        };
        start..end
    }

    /// The bytes of the batch this header starts.
    pub(super) fn frame<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], FormatError> {
        bytes.get(..self.frame_bytes as usize).ok_or(FormatError::Short {
            what: WHAT,
            needed: u64::from(self.frame_bytes),
            available: bytes.len() as u64,
        })
    }

    pub(super) fn check_table_crc(&self, table: &[u8]) -> Result<(), FormatError> {
        let found = checksum::crc(table);
        if found == self.table_crc {
            return Ok(());
        }
        Err(FormatError::Checksum { what: "batch table", found, expected: self.table_crc })
    }

    /// Checks that the entries of a table whose sum is right lie in order inside the batch, so
    /// that everything read through them later is in bounds.
    pub(super) fn check_entries(&self, batch: &[u8]) -> Result<(), FormatError> {
        let (mut offset_min, mut arrival_min) = (self.table().end, 0);
        let mut exact = true;
        for i in 0..self.count {
            let entry = Self::entry(batch, i);
            let offset = entry.offset as u64;
            let in_order =
                if exact { entry.offset == offset_min } else { entry.offset >= offset_min };
            check(in_order && entry.offset.is_multiple_of(8), "record offset", offset)?;
            check(entry.arrival >= arrival_min, "record arrival", entry.arrival)?;
            exact = false;
            offset_min = entry.offset + record::HEAD_BYTES;
            arrival_min = entry.arrival;
        }
        check(offset_min <= batch.len(), "record offset", offset_min as u64)?;
        check(arrival_min == self.last_arrival_delta, "last arrival", self.last_arrival_delta)
    }

    fn record_is_sound(&self, batch: &[u8], i: u32) -> bool {
        checksum::crc(&batch[self.record_range(batch, i)]) == Self::entry(batch, i).crc
    }

    /// Indexes of the records whose CRC fails.
    pub(super) fn damaged<'a>(&'a self, batch: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
        (0..self.count).filter(move |&i| !self.record_is_sound(batch, i))
    }
}

/// Checks a whole batch, records included, that fills `bytes` exactly. Returns the one flipped bit
/// that explains all damage, or `None` when there is none.
///
/// # Errors
///
/// Any `FormatError` when more than one bit is wrong.
pub fn inspect(bytes: &[u8], salt: Salt) -> Result<Option<FlippedBit>, FormatError> {
    let Err(error) = check_whole(bytes, salt) else { return Ok(None) };
    let Some(flipped) = suspect(bytes, salt) else { return Err(error) };
    let mut repaired = bytes.to_vec();
    flipped.repair(&mut repaired);
    check_whole(&repaired, salt).map(|()| Some(flipped))
}

fn check_whole(bytes: &[u8], salt: Salt) -> Result<(), FormatError> {
    let header = decode_header(bytes, salt)?;
    let batch = header.frame(bytes)?;
    check(batch.len() == bytes.len(), "frame bytes", header.frame_bytes)?;
    header.check_table_crc(&batch[header.table()])?;
    header.check_entries(batch)?;
    match header.damaged(batch).next() {
        None => Ok(()),
        Some(i) => {
            let found = checksum::crc(&batch[header.record_range(batch, i)]);
            Err(FormatError::Checksum {
                what: "record",
                found,
                expected: Header::entry(batch, i).crc,
            })
        }
    }
}

/// The bit that explains the first sum that fails. The sums of table and records are themselves
/// under a sum that holds, so there the flipped bit lies among the summed bytes.
fn suspect(bytes: &[u8], salt: Salt) -> Option<FlippedBit> {
    let Ok(header) = decode_header(bytes, salt) else {
        return HEADER.find_flipped(bytes, salt).map(|(flipped, _)| flipped);
    };
    let batch = header.frame(bytes).ok()?;
    let (range, stored) = if header.check_table_crc(&batch[header.table()]).is_err() {
        (header.table(), header.table_crc)
    } else {
        header.check_entries(batch).ok()?;
        let i = header.damaged(batch).next()?;
        (header.record_range(batch, i), Header::entry(batch, i).crc)
    };
    let syndrome = checksum::crc(&batch[range.clone()]) ^ stored;
    Some(checksum::locate(range.len(), syndrome)?.moved_by(range.start))
}
