//! The sparse index of a segment in memory: one entry for the first batch and one for the first
//! batch at or after each further `INDEX_STRIDE_BYTES`.
//!
//! An index is a hint: whoever follows an entry checks that the batch there confirms it.

use bytes::Bytes;

use crate::format::batch::Header;
use crate::format::footer::{self, IndexEntry};
use crate::limits::{INDEX_STRIDE_BYTES, PAGE_BYTES};
use crate::types::{Ordinal, Timestamp};

/// Position of the first batch of every segment.
pub const FIRST_POSITION: u64 = PAGE_BYTES as u64;

/// Index entries in order of position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseIndex {
    /// Entries.
    pub entries: Vec<IndexEntry>,
    /// Batches before this position are not indexed (after a restart, until someone scans them);
    /// 4096 for a complete index.
    pub from_position: u64,
}

impl SparseIndex {
    /// A complete index without entries.
    pub const fn new() -> Self {
        Self { entries: Vec::new(), from_position: FIRST_POSITION }
    }

    /// Keeps `entry` if it is the first one or starts a further stride. Batches are offered in
    /// order of position.
    pub fn offer(&mut self, entry: IndexEntry) {
        let stride = |entry: &IndexEntry| u64::from(entry.position) / INDEX_STRIDE_BYTES;
        if self.entries.last().is_none_or(|last| stride(last) < stride(&entry)) {
            self.entries.push(entry);
        }
    }

    /// True when every batch of the segment has been offered.
    pub const fn is_complete(&self) -> bool {
        self.from_position <= FIRST_POSITION
    }

    /// Puts the entries of the batches below `from_position` in front; what `start` holds beyond
    /// them is ignored. Nothing happens when the index is complete already.
    pub fn complete(&mut self, start: &Self) {
        if self.is_complete() {
            return;
        }
        let mut whole = Self::new();
        let below = |entry: &&IndexEntry| u64::from(entry.position) < self.from_position;
        start.entries.iter().take_while(below).chain(&self.entries).for_each(|e| whole.offer(*e));
        *self = whole;
    }

    /// Where to start looking for `target`.
    pub fn find(&self, base: Base, target: Target) -> Option<Hint> {
        last_before(self.entries.len(), |i| self.entries[i], base, target)
    }
}

/// What the entries of one segment are relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// First ordinal of the segment.
    pub ordinal: Ordinal,
    /// Arrival of its first record.
    pub arrival: Timestamp,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The batch that holds this record.
    Record(Ordinal),
    /// The batch with the first record that arrived at or after this time.
    Arrival(Timestamp),
}

impl Target {
    /// True when a walk from this batch on meets the target, by what the batch says itself.
    pub(crate) fn is_past(self, batch: &Header) -> bool {
        match self {
            Self::Record(record) => batch.base_ordinal <= record,
            Self::Arrival(at) => batch.first_arrival < at,
        }
    }
}

/// A place to start walking from: if the index is right, a batch that begins with `ordinal` stands
/// at `position`, and the target is in it or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Position in the file.
    pub position: u64,
    /// First ordinal of the batch there.
    pub ordinal: Ordinal,
}

/// The entries of a sealed segment.
#[derive(Clone, Debug)]
pub enum SealedIndex {
    /// As stored in the footer.
    Stored(Bytes),
    /// Rebuilt from the batches because the footer is damaged or missing.
    Rebuilt(SparseIndex),
}

impl SealedIndex {
    /// Where to start looking for `target`.
    pub fn find(&self, base: Base, target: Target) -> Option<Hint> {
        match self {
            Self::Stored(bytes) => last_before(
                bytes.len() / footer::INDEX_ENTRY_BYTES,
                |i| footer::index_entry(bytes, i),
                base,
                target,
            ),
            Self::Rebuilt(index) => index.find(base, target),
        }
    }
}

/// The last of `len` entries that lies at or before the target; `None` when none does.
fn last_before(
    len: usize,
    entry: impl Fn(usize) -> IndexEntry,
    base: Base,
    target: Target,
) -> Option<Hint> {
    let ordinal = |entry: &IndexEntry| base.ordinal.plus(u64::from(entry.ordinal_delta));
    let precedes = |entry: &IndexEntry| match target {
        Target::Record(record) => ordinal(entry) <= record,
        // Strictly: the record looked for may end the batch before one that starts at `at`.
        Target::Arrival(at) => base.arrival.0.saturating_add(u64::from(entry.arrival_delta)) < at.0,
    };
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low.midpoint(high);
        if precedes(&entry(middle)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let found = entry(low.checked_sub(1)?);
    Some(Hint { position: u64::from(found.position), ordinal: ordinal(&found) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(ordinal_delta: u32, arrival_delta: u32, position: u32) -> IndexEntry {
        IndexEntry { ordinal_delta, arrival_delta, position, header_crc: 0 }
    }

    fn sample() -> SparseIndex {
        let mut index = SparseIndex::new();
        for (ordinal, arrival, position) in
            [(0, 0, 4096), (2, 5, 8000), (10, 50, 40_000), (12, 50, 50_000), (20, 50, 70_000)]
        {
            index.offer(entry(ordinal, arrival, position));
        }
        index
    }

    const BASE: Base = Base { ordinal: Ordinal(100), arrival: Timestamp(1000) };

    #[test]
    fn only_the_first_batch_of_each_stride_is_kept() {
        let positions: Vec<_> = sample().entries.iter().map(|e| e.position).collect();
        assert_eq!(positions, [4096, 40_000, 70_000]);
    }

    #[test]
    fn a_record_is_found_at_or_after_the_hint() {
        let at = |n| sample().find(BASE, Target::Record(Ordinal(n))).map(|h| h.position);
        assert_eq!(at(99), None);
        assert_eq!(at(100), Some(4096));
        assert_eq!(at(109), Some(4096));
        assert_eq!(at(110), Some(40_000));
        assert_eq!(at(1_000_000), Some(70_000));
    }

    #[test]
    fn an_arrival_is_looked_for_before_the_batches_that_start_with_it() {
        let at = |n| sample().find(BASE, Target::Arrival(Timestamp(n))).map(|h| h.position);
        assert_eq!(at(1000), None);
        assert_eq!(at(1050), Some(4096));
        assert_eq!(at(1051), Some(70_000));
    }

    #[test]
    fn completing_an_index_joins_both_parts_once() {
        let whole = sample();
        let mut late = SparseIndex { entries: whole.entries[1..].to_vec(), from_position: 40_000 };
        late.complete(&whole);
        assert_eq!(late, whole);
        late.complete(&SparseIndex::new());
        assert_eq!(late, whole);
    }
}
