//! Records on their way out.

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use bytes::Bytes;

use super::{Ordinal, Timestamp};

/// Bounds of one read.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// Most records, at least 1.
    pub records: usize,
    /// Most bytes of keys and data; one record is returned even when it alone exceeds this.
    pub bytes: usize,
}

/// The mark of a mapped file: set for ever once bytes of its map are not those of the file, since
/// the file was cut or the disk cannot give them.
#[derive(Clone, Copy, Debug)]
pub struct Mark(&'static AtomicBool);

impl Mark {
    /// A mark that `is_lost` sets.
    pub const fn new(is_lost: &'static AtomicBool) -> Self {
        Self(is_lost)
    }

    /// True if bytes that were read from the map before may have been zeros in place of the file's.
    pub fn is_set(self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::SeqCst)
    }
}

/// The marks of the maps that records lie in, to be looked at after the last use of the records.
#[derive(Clone, Debug, Default)]
pub struct Marks(Vec<Mark>);

impl Marks {
    /// Adds one; once is enough.
    pub fn add(&mut self, mark: Mark) {
        if !self.0.iter().any(|known| ptr::eq(known.0, mark.0)) {
            self.0.push(mark);
        }
    }

    /// True if one is set.
    pub fn is_any_set(&self) -> bool {
        self.0.iter().any(|mark| mark.is_set())
    }
}

/// A stored record; its bytes are shared with the cache or the mapped segment, not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Place in the shard.
    pub ordinal: Ordinal,
    /// Arrival time.
    pub arrival: Timestamp,
    /// Partition key as given; `None` when the producer gave none.
    pub partition_key: Option<Bytes>,
    /// Payload as given.
    pub data: Bytes,
    /// True when it was written under a key, whatever has become of that key.
    pub encrypted: bool,
}

/// Answer to one read.
#[derive(Clone, Debug)]
pub struct ReadResult {
    /// Records in order, without gaps but for expired ones.
    pub records: Vec<StoredRecord>,
    /// Where the next read continues.
    pub next: Ordinal,
    /// Arrival time of the record at `next`, `None` when the reader is at the tip.
    pub next_arrival: Option<Timestamp>,
    /// True when `next` is the end of a closed shard.
    pub at_end: bool,
    /// The maps that bytes of the records lie in.
    pub marks: Marks,
}

impl ReadResult {
    /// True if all that was read from the records so far was what had been stored. A file that is
    /// cut by somebody else takes bytes away that have passed their checks: ask this after the last
    /// use of them.
    pub fn is_sound(&self) -> bool {
        !self.marks.is_any_set()
    }
}
