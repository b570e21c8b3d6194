//! Some records of a batch as a batch of their own, for another place.

use std::ops::Range;

use super::{Batch, HEADER_BYTES, Header, TABLE_ENTRY_BYTES, frame_bytes, number, table_bytes};
use crate::format::checksum::{self, Salt};
use crate::format::fields::put;
use crate::types::Timestamp;

impl Batch {
    /// Records `range` (not empty, within the batch) as a batch for the place that `salt` names.
    /// Ordinals, arrivals and stored bytes stay, as do epoch and log position. Sums of records are
    /// taken over as they are: a damaged record stays damaged.
    ///
    /// # Panics
    ///
    /// When `range` is empty or not within the batch: a fault of the program.
    pub fn excerpt(&self, range: Range<u32>, salt: Salt) -> Vec<u8> {
        assert!(range.start < range.end && range.end <= self.header.count, "records are chosen");
        let (first, last) = (range.start, range.end - 1);
        let place = |i| self.header.record_range(&self.bytes, i);
        let bodies = place(first).start..place(last).end;
        let records = (range.end - range.start) as usize;
        let table_end = HEADER_BYTES + table_bytes(records);
        let mut out = vec![0; frame_bytes(records, bodies.len())];
        for (i, slot) in range.clone().zip(out[HEADER_BYTES..].chunks_exact_mut(TABLE_ENTRY_BYTES))
        {
            let entry = Header::entry(&self.bytes, i);
            let arrival = entry.arrival - Header::entry(&self.bytes, first).arrival;
            put(slot, 0, &number(table_end + entry.offset - bodies.start).to_le_bytes());
            put(slot, 4, &arrival.to_le_bytes());
            put(slot, 8, &entry.crc.to_le_bytes());
        }
        out[table_end..].copy_from_slice(&self.bytes[bodies]);
        let first_arrival: Timestamp = self.arrival(first);
        let header = Header {
            frame_bytes: number(out.len()),
            table_crc: checksum::crc(&out[HEADER_BYTES..table_end]),
            base_ordinal: self.header.base_ordinal.plus(u64::from(first)),
            count: range.end - range.start,
            first_arrival,
            last_arrival_delta: Header::entry(&self.bytes, last).arrival
                - Header::entry(&self.bytes, first).arrival,
            ..self.header
        };
        super::write_header(&header, salt, &mut out[..HEADER_BYTES]);
        out
    }
}
