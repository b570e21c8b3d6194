//! Retention, run by the clock: what the sweep needs of the store, and how often it runs.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Mutex;

use super::handle::LogHandle;
use super::retention::{Extent, Retained, Sweeper};
use crate::catalog::Catalog;
use crate::device::Device;
use crate::format::footer::{self, INDEX_ENTRY_BYTES, TRAILER_BYTES};
use crate::format::page_header::{self, FileKind};
use crate::limits::{INDEX_STRIDE_BYTES, PAGE_BYTES};
use crate::segment::Segment;
use crate::shard::ShardLog;
use crate::shard::reader::Reader;
use crate::types::{Ordinal, ShardUid, StoreId};

/// Lets expired segments and shards go.
pub(crate) struct Maintenance {
    handle: Arc<LogHandle>,
    device: Device,
    store: StoreId,
    reader: Arc<Reader>,
    sweeper: Mutex<Sweeper>,
}

impl Maintenance {
    pub(crate) fn new(
        handle: Arc<LogHandle>,
        device: &Device,
        reader: Arc<Reader>,
        catalog: Arc<Catalog>,
    ) -> Self {
        let store = catalog.store();
        let sweeper = Mutex::new(Sweeper::new(catalog, Arc::clone(&device.clock)));
        Self { handle, device: device.clone(), store, reader, sweeper }
    }

    /// Goes through all shards once.
    pub(crate) async fn run(&self) {
        self.sweeper.lock().await.sweep(self).await;
    }

    /// Runs every `interval` for as long as the store is open.
    pub(crate) async fn run_every(this: Weak<Self>, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            let Some(this) = this.upgrade() else { return };
            if this.handle.shared().queue.is_closed() {
                return;
            }
            this.run().await;
        }
    }
}

impl Retained for Maintenance {
    fn log(&self, shard: ShardUid) -> Option<Arc<ShardLog>> {
        self.handle.shared().shards.get(shard)
    }

    async fn extent(&self, segment: &Arc<Segment>) -> Option<Extent> {
        let file = self.device.files.open_read(&segment.path).await.ok()?;
        let bytes = file.bytes().await.ok()?;
        // One entry for each stride of the file at most.
        let entries = usize::try_from(bytes / INDEX_STRIDE_BYTES).ok()? + 1;
        let most = entries * INDEX_ENTRY_BYTES + TRAILER_BYTES;
        let start = bytes.saturating_sub(most as u64);
        let end = file.read(start, most).await.ok()?;
        let trailer = footer::decode(&end, bytes, segment.id).ok()?;
        let page = file.read(0, PAGE_BYTES).await.ok()?;
        let header = page_header::decode(&page, FileKind::Segment);
        if header.is_ok_and(|(header, _)| header.store != self.store) {
            return None;
        }
        let end = trailer.base_ordinal.plus(trailer.records);
        Some(Extent { end, last_arrival: trailer.last_arrival })
    }

    async fn seal(&self, shard: ShardUid) {
        self.handle.seal(shard).await;
    }

    async fn trim(&self, shard: ShardUid, first_kept: Ordinal) {
        let gone = self.handle.trim(shard, first_kept).await;
        for segment in gone {
            self.reader.forget(segment);
        }
    }

    async fn remove(&self, shards: Vec<ShardUid>) {
        let gone = self.handle.remove_shards(shards).await;
        for segment in gone {
            self.reader.forget(segment);
        }
    }
}
