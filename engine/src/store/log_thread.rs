//! State of the log thread, shared by its tasks, and its life from recovery to the end.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::queue::Queue;
use super::segment_files::SegmentFiles;
use super::shard_writer::ShardWriter;
use super::{checkpoint, commit, keeper, open};
use crate::catalog::Catalog;
use crate::commit_log::CommitLog;
use crate::config::Config;
use crate::device::aligned::BufferPool;
use crate::device::{Device, LogDevice};
use crate::error::{AppendError, DeviceError, OpenError};
use crate::metrics::Metrics;
use crate::shard::ShardMap;
use crate::shard::tail_cache::TailCache;
use crate::types::{SegmentId, ShardUid, StoreId};

/// What the log thread shares with everybody.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shards: ShardMap,
    pub(crate) queue: Queue,
    /// Why writes have stopped for good.
    stopped: OnceLock<String>,
}

impl Shared {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            queue: Queue::new(config.queue_bytes_max),
            config,
            metrics: Arc::default(),
            shards: ShardMap::default(),
            stopped: OnceLock::new(),
        }
    }

    /// Why writes have stopped, if they have.
    pub(crate) fn stopped(&self) -> Option<String> {
        self.stopped.get().cloned()
    }

    /// The answer to whoever asks for a write now.
    pub(crate) fn stopped_error(&self) -> AppendError {
        let reason = self.stopped().unwrap_or_else(|| "the store is closed".to_owned());
        AppendError::Stopped { reason }
    }

    /// Stops writes for good: what is on the disk is in doubt until a start has read it again.
    pub(super) fn stop(&self, reason: &str) {
        if self.stopped.set(reason.to_owned()).is_ok() {
            tracing::error!(reason, "writes stopped; restart to read the disk again");
        }
        self.metrics.stopped.set(1);
        self.queue.close();
    }
}

/// Free space as last seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Space {
    /// Bytes free.
    pub(super) free: u64,
    /// Less than the reserve is free.
    pub(super) is_low: bool,
    /// The device said so itself and has not taken a write since.
    pub(super) is_refused: bool,
}

/// What the next checkpoint is about.
#[derive(Debug, Default)]
pub(super) struct Since {
    /// Log position at the last checkpoint.
    pub(super) position: u64,
    /// First change after the last checkpoint.
    pub(super) first_change: Option<Instant>,
}

/// The manifests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manifests {
    /// Slot (0 or 1) the next one goes to.
    pub(super) slot: u8,
    /// Generation of the newest.
    pub(super) generation: u64,
    /// Log file the newest one starts its replay in.
    pub(super) replay_sequence: u64,
}

/// State on the log thread.
pub(super) struct LogThread {
    pub(super) shared: Arc<Shared>,
    pub(super) device: Device,
    pub(super) store: StoreId,
    pub(super) writers: RefCell<BTreeMap<ShardUid, Rc<RefCell<ShardWriter>>>>,
    pub(super) tail: RefCell<TailCache>,
    pub(super) files: SegmentFiles,
    pub(super) log: CommitLog,
    pub(super) pool: BufferPool,
    /// Shards whose copies are due.
    pub(super) due: RefCell<BTreeSet<ShardUid>>,
    /// Bytes of durable batches not copied yet, over all shards.
    pub(super) pending_bytes: Cell<u64>,
    pub(super) space: Cell<Space>,
    pub(super) since: RefCell<Since>,
    pub(super) manifests: Cell<Manifests>,
    pub(super) checkpoint_requests: RefCell<Vec<oneshot::Sender<()>>>,
    /// Answered once what they ask for is sealed.
    pub(super) seal_requests: RefCell<Vec<oneshot::Sender<()>>>,
    /// Files to remove once no manifest names their records any more.
    pub(super) garbage: RefCell<Vec<(SegmentId, PathBuf)>>,
    /// Records or shards were given up that the manifests still name: the next checkpoint tells
    /// both.
    pub(super) gives_up: Cell<bool>,
    /// Wakes the keeper.
    pub(super) keeper: Notify,
    /// Wakes the commit loop when it waits for copies.
    pub(super) progress: Notify,
    pub(super) is_ending: Cell<bool>,
}

impl LogThread {
    pub(super) fn writer(&self, shard: ShardUid) -> Option<Rc<RefCell<ShardWriter>>> {
        self.writers.borrow().get(&shard).cloned()
    }

    pub(super) fn config(&self) -> &Config {
        &self.shared.config
    }

    /// A random segment id; 0 means none.
    pub(super) fn new_segment_id(&self) -> SegmentId {
        SegmentId(self.device.entropy.next_u64().max(1))
    }

    /// Fewer bytes wait for their copy.
    pub(super) fn settle_pending(&self, bytes: u64) {
        self.pending_bytes.set(self.pending_bytes.get() - bytes);
        self.progress.notify_one();
    }

    /// Something has changed that the next manifest must state.
    pub(super) fn touch(&self) {
        self.since.borrow_mut().first_change.get_or_insert_with(Instant::now);
    }

    /// True while appends are refused for lack of space.
    pub(super) fn is_full(&self) -> bool {
        let space = self.space.get();
        space.is_low || space.is_refused
    }

    pub(super) fn set_space(&self, space: Space) {
        let was_full = self.is_full();
        self.space.set(space);
        if was_full != self.is_full() {
            tracing::warn!(free = space.free, full = !was_full, "disk space");
            self.progress.notify_one();
        }
        self.shared.metrics.disk_full.set(u64::from(self.is_full()));
    }

    pub(super) fn disk_full_error(&self) -> AppendError {
        let reserve = self.config().reserve_bytes;
        AppendError::DiskFull { free: self.space.get().free, reserve }
    }

    /// A write into a segment or the making of a file failed: a full disk is waited for, anything
    /// else is final.
    pub(super) fn failed(&self, error: &DeviceError) {
        if error.is_full() {
            self.set_space(Space { is_refused: true, ..self.space.get() });
        } else {
            self.shared.stop(&error.to_string());
        }
    }

    /// True when there is nothing left to do but to end.
    pub(super) fn is_over(&self) -> bool {
        self.is_ending.get() || self.shared.stopped().is_some() || self.shared.queue.is_abandoned()
    }
}

/// Ends the queue whenever the log thread ends, however that happens.
struct QueueEnd(Arc<Shared>);

impl Drop for QueueEnd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("the log thread failed");
        }
        self.0.queue.close();
    }
}

/// Runs the keeper. Without it nothing may go on.
async fn keep(log: Rc<LogThread>) {
    if let Err(error) = tokio::task::spawn_local(keeper::run(Rc::clone(&log))).await {
        log.shared.stop(&format!("the keeper failed: {error}"));
        log.progress.notify_one();
    }
}

/// Opens the store, tells `ready`, and serves until it is closed, dropped or stopped. The lock on
/// the directory is held until this ends.
pub(crate) async fn run(
    shared: Arc<Shared>,
    device: Device,
    log_device: Rc<dyn LogDevice>,
    ready: oneshot::Sender<Result<Arc<Catalog>, OpenError>>,
) {
    let _end = QueueEnd(Arc::clone(&shared));
    let opened = match open::open(&shared, &device, log_device).await {
        Ok(opened) => opened,
        Err(error) => {
            drop(ready.send(Err(error)));
            return;
        }
    };
    let log = opened.log;
    drop(ready.send(Ok(opened.catalog)));
    let keeper = tokio::task::spawn_local(keep(Rc::clone(&log)));
    let is_clean = commit::run(&log).await;
    log.is_ending.set(true);
    log.keeper.notify_one();
    keeper.await.ok();
    if is_clean && shared.stopped().is_none() {
        checkpoint::checkpoint(&log).await;
    }
    shared.queue.close();
    log.log.finish().await;
    drop(opened.lock);
}
