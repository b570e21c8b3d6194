//! The sparse index of a segment in memory: one entry for the first batch and one for the first
//! batch at or after each further `INDEX_STRIDE_BYTES`.

use crate::format::footer::IndexEntry;

/// Index entries in order of position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseIndex {
    /// Entries.
    pub entries: Vec<IndexEntry>,
    /// Batches before this position are not indexed (after a restart, until someone scans them);
    /// 4096 for a complete index.
    pub from_position: u64,
}
