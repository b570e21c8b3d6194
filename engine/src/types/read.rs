//! Records on their way out.

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
}
