//! Sums over the batches of one segment, for its footer.

use super::index::SparseIndex;
use crate::format::batch::Header;
use crate::format::footer::{self, IndexEntry, Trailer};
use crate::types::{Ordinal, SegmentId, ShardUid, Timestamp};

/// What a trailer tells of the batches, kept up as they are added.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    pub(crate) base: Ordinal,
    pub(crate) first_arrival: Timestamp,
    /// Position after the last batch.
    pub(crate) end: u64,
    next: Ordinal,
    last_arrival: Timestamp,
    batches: u32,
    header_crcs: crc32fast::Hasher,
}

impl Totals {
    /// No batch yet; the first one will stand at `end`.
    pub(crate) fn new(base: Ordinal, first_arrival: Timestamp, end: u64) -> Self {
        Self {
            base,
            first_arrival,
            end,
            next: base,
            last_arrival: first_arrival,
            batches: 0,
            header_crcs: crc32fast::Hasher::new(),
        }
    }

    /// Adds the batch at `position` and returns its index entry.
    pub(crate) fn add(&mut self, header: &Header, header_crc: u32, position: u64) -> IndexEntry {
        self.header_crcs.update(&header_crc.to_le_bytes());
        self.batches += 1;
        self.end = position + u64::from(header.frame_bytes);
        self.next = header.base_ordinal.plus(u64::from(header.count));
        self.last_arrival =
            Timestamp(header.first_arrival.0.saturating_add(u64::from(header.last_arrival_delta)));
        // Segments end before any of these outgrows its field.
        let delta = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        IndexEntry {
            ordinal_delta: delta(header.base_ordinal.0.saturating_sub(self.base.0)),
            arrival_delta: delta(header.first_arrival.since(self.first_arrival)),
            position: delta(position),
            header_crc,
        }
    }

    /// The footer that stands at `end`.
    pub(crate) fn footer(
        &self,
        index: &SparseIndex,
        segment: SegmentId,
        shard: ShardUid,
    ) -> Vec<u8> {
        let trailer = Trailer {
            index_entries: u32::try_from(index.entries.len()).expect("positions are 32 bits wide"),
            index_position: self.end,
            base_ordinal: self.base,
            records: self.next.0.saturating_sub(self.base.0),
            first_arrival: self.first_arrival,
            last_arrival: self.last_arrival.max(self.first_arrival),
            batches: self.batches,
            batches_crc: self.header_crcs.clone().finalize(),
            segment,
            shard,
        };
        footer::encode(&index.entries, &trailer)
    }
}
