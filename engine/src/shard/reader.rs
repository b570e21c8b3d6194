//! Reading one shard: tail cache first, then the active segment's file, then mapped segments.

use std::sync::Arc;

use super::ShardLog;
use crate::config::Config;
use crate::device::Device;
use crate::error::ReadError;
use crate::metrics::Metrics;
use crate::types::{Ordinal, ReadLimit, ReadResult, Timestamp};

/// Reads shards. One for the store; bounds its own maps and descriptors.
pub struct Reader {}

impl Reader {
    /// A reader over `device`.
    pub fn new(config: &Config, device: &Device, metrics: Arc<Metrics>) -> Self {
        let _ = (config, device, metrics);
        todo!()
    }

    /// Records from `from` on that arrived at or after `horizon`. `from` below the first kept
    /// record starts there; past the end it returns nothing and keeps `from`.
    ///
    /// # Errors
    ///
    /// `Damaged` only when the first record due is damaged; else the read ends before the damage.
    pub async fn read(
        &self,
        shard: &ShardLog,
        from: Ordinal,
        horizon: Timestamp,
        limit: ReadLimit,
    ) -> Result<ReadResult, ReadError> {
        let _ = (shard, from, horizon, limit);
        todo!()
    }

    /// Position of the first record that arrived at or after `at`; the end when there is none.
    ///
    /// # Errors
    ///
    /// As `read`.
    pub async fn ordinal_at(&self, shard: &ShardLog, at: Timestamp) -> Result<Ordinal, ReadError> {
        let _ = (shard, at);
        todo!()
    }

    /// Completes when a record at or after `from` is durable, or the shard is closed or gone.
    pub async fn follow(&self, shard: &ShardLog, from: Ordinal) {
        let _ = (shard, from);
        todo!()
    }
}
