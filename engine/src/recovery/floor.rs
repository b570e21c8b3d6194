//! Torn or corrupt: a pure function over the bytes of one commit-log file.
//!
//! Groups are written one at a time: group n+1 is submitted only after group n is durable, and
//! says so. Hence an invalid stretch followed anywhere later by a valid group (of this file, or of
//! a later one) whose durable position lies beyond it was once durable: corrupt, never cut.
//! An invalid stretch that nothing later vouches for is the torn tail of a write nobody was told
//! about. Between the two stands the tail group damaged by a single flipped bit: it is repaired,
//! since a torn sector does not look like one flipped bit.

use crate::format::group::Head;
use crate::types::StoreId;

/// Where a scan starts: what is known of the group expected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Number of the next group.
    pub number: u64,
    /// Its log position.
    pub position: u64,
    /// Header CRC of the group before it; `None` when unknown.
    pub previous_crc: Option<u32>,
}

/// One group found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Offset in the file.
    pub offset: u64,
    /// Its head.
    pub head: Head,
}

/// How the scan of one file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing but zeros or groups of an earlier use of the file follows.
    Clean {
        /// Offset after the last group.
        offset: u64,
    },
    /// A group that was never acknowledged follows: it is cut.
    Torn {
        /// Where it starts.
        offset: u64,
    },
    /// Damage inside what was durable.
    Corrupt {
        /// Where it starts.
        offset: u64,
        /// Offset of the next sound group of this file, if any.
        resume: Option<u64>,
    },
}

/// Result of scanning one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Sound groups in order. Batches inside may still be damaged where a later group vouches for
    /// this one; they are told apart by the batch checks.
    pub groups: Vec<Found>,
    /// How it ended.
    pub end: End,
    /// What the next file must continue with.
    pub next: Expect,
    /// Flipped bits repaired in heads.
    pub repaired_bits: u64,
}

/// Scans `file` (all bytes of the log file) from `offset`. `vouched_position` is the durable
/// position stated by later files, 0 when there is none: everything below it was acknowledged.
/// A group whose batches are damaged counts as torn only if it is the last one, nothing vouches
/// for it, and a single flipped bit does not explain the damage.
pub fn scan(
    file: &[u8],
    store: StoreId,
    sequence: u64,
    offset: u64,
    expect: Expect,
    vouched_position: u64,
) -> Scan {
    let _ = (file, store, sequence, offset, expect, vouched_position);
    todo!()
}
