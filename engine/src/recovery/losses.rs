//! What is known to be lost of the log, and how many ordinals of a shard that may be.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::batch::TABLE_ENTRY_BYTES;
use crate::types::ShardUid;

/// Least bytes a record takes: its head and its entry in the table.
const RECORD_BYTES_MIN: u64 = 8 + TABLE_ENTRY_BYTES as u64;

/// What a scan of the log from the manifest's start on has found to be lost.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// Bytes of damaged stretches of the log.
    log_bytes: u64,
    /// Shards with a sound batch after the last such stretch.
    proven: BTreeSet<ShardUid>,
    /// Shards whose last batch is damaged, with its bytes.
    batches: BTreeMap<ShardUid, u64>,
}

impl Losses {
    /// So many bytes of the log, of acknowledged groups, are damaged or missing.
    pub(crate) fn add_stretch(&mut self, bytes: u64) {
        self.log_bytes = self.log_bytes.saturating_add(bytes).max(1);
        self.proven.clear();
    }

    /// A batch of the shard is damaged.
    pub(crate) fn add_batch(&mut self, shard: ShardUid, bytes: u32) {
        self.batches.insert(shard, u64::from(bytes));
    }

    /// A batch of the shard is sound; `is_after`: it stands after all damaged stretches so far.
    pub(crate) fn is_sound(&mut self, shard: ShardUid, is_after: bool) {
        self.batches.remove(&shard);
        if is_after {
            self.proven.insert(shard);
        }
    }

    /// True when a stretch of the log is damaged.
    pub(crate) const fn has_stretch(&self) -> bool {
        self.log_bytes > 0
    }

    /// Most records that may have been answered after the last one found of the shard.
    pub(crate) fn after_last(&self, shard: ShardUid) -> u64 {
        let could_be = |bytes: u64| bytes / RECORD_BYTES_MIN + 1;
        let lost = self.batches.get(&shard).map_or(0, |bytes| could_be(*bytes));
        if self.has_stretch() && !self.proven.contains(&shard) {
            lost.max(could_be(self.log_bytes))
        } else {
            lost
        }
    }
}
