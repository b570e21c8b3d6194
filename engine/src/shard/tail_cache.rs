//! Recent batches of all shards in memory, within one budget of bytes.
//!
//! A batch is admitted when it becomes durable. When the budget is exceeded the oldest batches
//! over all shards leave, but never one whose segment copy is not readable yet: those are bounded
//! by the log thread, which refuses new work instead.

use std::collections::VecDeque;

use crate::format::batch::Batch;
use crate::types::{Ordinal, SegmentId};

/// One batch in memory, and where its copy stands or will stand.
#[derive(Clone, Debug)]
pub struct TailBatch {
    /// The batch.
    pub batch: Batch,
    /// Its segment.
    pub segment: SegmentId,
    /// Its offset there.
    pub offset: u64,
}

/// The tail of one shard: contiguous batches, oldest first.
#[derive(Debug, Default)]
pub struct Tail {
    /// Batches.
    pub batches: VecDeque<TailBatch>,
    /// The first ordinal whose copy is not readable in its segment yet; batches that start below
    /// it may leave.
    pub copied_to: Ordinal,
}
