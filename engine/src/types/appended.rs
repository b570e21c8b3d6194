//! What the table of a batch says of a record, and where the records of an append went.

use super::{Ordinal, Timestamp};

/// What the batch table says of one record, but for its offset and arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordEntry {
    /// Length of the stored record in bytes, padding included; a multiple of 8.
    pub stored_bytes: u32,
    /// CRC-32 over the stored record.
    pub crc: u32,
}

/// Where the records of one run went: `first`, `first + 1`, and so on, all at `arrival`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendedRun {
    /// Position of the run's first record.
    pub first: Ordinal,
    /// Arrival time of all its records; never falls within a shard.
    pub arrival: Timestamp,
}

/// Proof that the value is on the device (in the durability mode in force). Only the commit path
/// makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    /// Made by the commit path after the device answered.
    pub(crate) const fn witnessed(value: T) -> Self {
        Self(value)
    }

    /// The durable value.
    pub fn into_inner(self) -> T {
        self.0
    }
}
