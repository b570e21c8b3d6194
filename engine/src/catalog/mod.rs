//! The catalogue: streams, their shards and settings, and a document for each namespace, durable and
//! crash-safe.
//!
//! State lives in memory as immutable [`Stream`] snapshots; every change is one journal frame,
//! synced into two mirrored files (`catalog.0`, `catalog.1`) before it becomes visible. On open
//! each frame is taken from whichever mirror holds it sound. A journal that has grown well past
//! its snapshot is rewritten as a new generation (temporary file, sync, rename, sync directory).
//! The catalogue does not know segments: removing a stream leaves its files to the store.
//!
//! A change runs in a task of its own: a caller that stops waiting cannot leave a write half done.

mod entry;
mod journal;
pub(crate) mod mirrors;
pub(crate) mod salvage;
mod state;

use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::Mutex;

use crate::bugs::{self, Bug};
use crate::device::Device;
use crate::error::{CatalogError, OpenError};
use crate::types::{
    NewStream, Reshard, ShardEnd, ShardIndex, ShardUid, StoreId, Stream, StreamChange, StreamId,
    StreamKey,
};
use bytes::Bytes;
use entry::Entry;
pub(crate) use journal::FILE_NAMES;
use journal::{AppendError, Journal};
use mirrors::{Note, Refusal};
use state::State;

/// The catalogue of one store. Readers never wait for a writer; changes run one after another.
pub struct Catalog {
    inner: Arc<Inner>,
}

struct Inner {
    device: Device,
    store: StoreId,
    state: RwLock<State>,
    writer: Mutex<Writer>,
    on_stop: OnceLock<Tell>,
}

/// Who is told a reason.
type Tell = Box<dyn Fn(&str) + Send + Sync>;

/// What a change needs; its lock puts changes in a row.
struct Writer {
    journal: Journal,
    /// The first failure; sticky.
    stopped: Option<String>,
}

/// What opening found besides the streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogReport {
    /// Frames one mirror had lost and the other served.
    pub healed_frames: u64,
    /// Bits repaired.
    pub repaired_bits: u64,
}

/// The catalogue as `inspect` finds it.
pub(crate) struct Inspected {
    /// What was made good.
    pub(crate) notes: Vec<Note>,
    /// The streams, in order of id.
    pub(crate) streams: Vec<Arc<Stream>>,
    /// The highest shard uid ever given out.
    pub(crate) last_shard: ShardUid,
}

/// Reads the catalogue from its mirrors as they are.
///
/// # Errors
///
/// As `Catalog::open`, with the place.
pub(crate) fn inspect(images: &[Option<Bytes>; 2], store: StoreId) -> Result<Inspected, Refusal> {
    let damaged = |reason: String| Refusal::Damaged { mirror: 0, offset: 0, reason };
    let merged = mirrors::merge(images, store)?;
    let merged = merged.ok_or_else(|| damaged("both mirrors are missing".to_owned()))?;
    let state = journal::replay(&merged.payloads).map_err(damaged)?;
    let last_shard = ShardUid(state.last_shard());
    Ok(Inspected { notes: merged.notes, streams: state.snapshot().streams, last_shard })
}

impl Catalog {
    /// Opens the journal in `directory`, creating it when both mirrors are missing and `fresh`.
    ///
    /// # Errors
    ///
    /// `Damaged` when a frame is sound in neither mirror although a later one proves that it was
    /// acknowledged, or when both mirrors are missing in a store that is not fresh; `TooNew`;
    /// `Device`.
    pub async fn open(
        device: &Device,
        directory: &Path,
        store: StoreId,
        fresh: bool,
    ) -> Result<(Self, CatalogReport), OpenError> {
        let (journal, state, report) = journal::open(device, directory, store, fresh).await?;
        let inner = Inner {
            device: device.clone(),
            store,
            state: RwLock::new(state),
            writer: Mutex::new(Writer { journal, stopped: None }),
            on_stop: OnceLock::new(),
        };
        Ok((Self { inner: Arc::new(inner) }, report))
    }

    /// Has `tell` told the reason when a write fails, after which it is unknown what a start will
    /// find: no change is taken any more. It is told before the change is answered.
    pub(crate) fn on_stop(&self, tell: impl Fn(&str) + Send + Sync + 'static) {
        drop(self.inner.on_stop.set(Box::new(tell)));
    }

    /// Identity of the store it belongs to.
    pub fn store(&self) -> StoreId {
        self.inner.store
    }

    /// The stream of this key.
    pub fn stream(&self, key: &StreamKey) -> Option<Arc<Stream>> {
        self.inner.read().stream(key).cloned()
    }

    /// The stream of this id.
    pub fn stream_by_id(&self, id: StreamId) -> Option<Arc<Stream>> {
        self.inner.read().stream_by_id(id).cloned()
    }

    /// Up to `limit` streams of a namespace in order of name, those after `after` only.
    pub fn streams(&self, namespace: &str, after: Option<&str>, limit: usize) -> Vec<Arc<Stream>> {
        self.inner.read().streams(namespace, after).take(limit).cloned().collect()
    }

    /// All streams, in order of id.
    pub fn all(&self) -> Vec<Arc<Stream>> {
        self.inner.read().all().cloned().collect()
    }

    /// The document of a namespace, if it was given one.
    pub fn document(&self, namespace: &str) -> Option<Arc<serde_json::Value>> {
        self.inner.read().document(namespace).cloned()
    }

    /// Gives a namespace its document, in place of the one before.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `Stopped`.
    pub async fn set_document(
        &self,
        namespace: String,
        document: serde_json::Value,
    ) -> Result<(), CatalogError> {
        let document = Arc::new(document);
        self.commit(move |_| Ok(Entry::Document { namespace, document })).await.map(drop)
    }

    /// The highest shard uid ever given out.
    pub(crate) fn last_shard(&self) -> ShardUid {
        ShardUid(self.inner.read().last_shard())
    }

    /// True when the shard is catalogued.
    pub fn has_shard(&self, shard: ShardUid) -> bool {
        self.inner.read().has_shard(shard)
    }

    /// Makes a stream.
    ///
    /// # Errors
    ///
    /// `StreamExists`, `Coverage`, `DiskFull`, `Stopped`.
    pub async fn create(&self, new: NewStream) -> Result<Arc<Stream>, CatalogError> {
        let now = self.inner.device.clock.now();
        self.commit_stream(move |state| Entry::create(state, new, now)).await
    }

    /// Applies several changes of one stream in one frame: all or none. A longer retention also
    /// moves `trimmed_before` to the horizon that was in force.
    ///
    /// # Errors
    ///
    /// `StreamNotFound`, `DiskFull`, `Stopped`.
    pub async fn change(
        &self,
        stream: StreamId,
        changes: Vec<StreamChange>,
    ) -> Result<Arc<Stream>, CatalogError> {
        let now = self.inner.device.clock.now();
        self.commit_stream(move |state| Entry::change(state, stream, changes, now)).await
    }

    /// Closes and opens shards in one frame, together with further changes. `ends` gives the end of
    /// each shard closed, in the order of `reshard.close`.
    ///
    /// # Errors
    ///
    /// `StreamNotFound`, `ShardNotOpen`, `Coverage`, `DiskFull`, `Stopped`.
    pub async fn reshard(
        &self,
        stream: StreamId,
        reshard: Reshard,
        ends: Vec<ShardEnd>,
        changes: Vec<StreamChange>,
    ) -> Result<Arc<Stream>, CatalogError> {
        let now = self.inner.device.clock.now();
        let plan = move |state: &State| Entry::reshard(state, stream, reshard, ends, changes, now);
        self.commit_stream(plan).await
    }

    /// Forgets closed shards whose data has expired. Open shards and unknown ones stay as they are.
    ///
    /// # Errors
    ///
    /// `StreamNotFound`, `DiskFull`, `Stopped`.
    pub async fn expire_shards(
        &self,
        stream: StreamId,
        shards: Vec<ShardIndex>,
    ) -> Result<Arc<Stream>, CatalogError> {
        self.commit_stream(move |state| Entry::expire(state, stream, shards)).await
    }

    /// Forgets a stream; returns its last snapshot.
    ///
    /// # Errors
    ///
    /// `StreamNotFound`, `DiskFull`, `Stopped`.
    pub async fn remove(&self, stream: StreamId) -> Result<Arc<Stream>, CatalogError> {
        self.commit_stream(move |state| Entry::remove(state, stream)).await
    }

    /// A change that is about a stream.
    async fn commit_stream(
        &self,
        plan: impl FnOnce(&State) -> Result<Entry, CatalogError> + Send + 'static,
    ) -> Result<Arc<Stream>, CatalogError> {
        self.commit(plan).await?.ok_or(CatalogError::StreamNotFound)
    }

    /// Runs one change to its end, also when the caller stops waiting.
    async fn commit(
        &self,
        plan: impl FnOnce(&State) -> Result<Entry, CatalogError> + Send + 'static,
    ) -> Result<Option<Arc<Stream>>, CatalogError> {
        let inner = self.inner.clone();
        tokio::spawn(async move { inner.commit(plan).await }).await.unwrap_or_else(|error| {
            let reason = format!("the change did not finish: {error}");
            self.inner.tell_stopped(&reason);
            Err(CatalogError::Stopped { reason })
        })
    }
}

impl Inner {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    async fn commit(
        &self,
        plan: impl FnOnce(&State) -> Result<Entry, CatalogError> + Send,
    ) -> Result<Option<Arc<Stream>>, CatalogError> {
        let mut writer = self.writer.lock().await;
        if let Some(reason) = &writer.stopped {
            return Err(CatalogError::Stopped { reason: reason.clone() });
        }
        let (entry, outcome) = {
            let state = self.read();
            let entry = plan(&state)?;
            let outcome = entry.outcome(&state).map_err(|contradiction| {
                // The entry was just made from this state.
                CatalogError::Stopped { reason: contradiction.to_string() }
            })?;
            (entry, outcome)
        };
        let is_forgotten = match entry {
            Entry::Reshard { .. } => bugs::is_on(Bug::ReshardNotWritten),
            Entry::Change { .. } => bugs::is_on(Bug::ChangeNotWritten),
            Entry::Stream(_)
            | Entry::Expire { .. }
            | Entry::Remove { .. }
            | Entry::Document { .. } => false,
        };
        let written = if is_forgotten { Ok(()) } else { writer.append(&entry).await };
        if written.is_ok() {
            self.publish(&entry, outcome.clone());
            writer.compact_if_long(&self.state).await;
        }
        if let Some(reason) = &writer.stopped {
            self.tell_stopped(reason);
        }
        written.map(|()| outcome)
    }

    fn publish(&self, entry: &Entry, outcome: Option<Arc<Stream>>) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).publish(entry, outcome);
    }

    fn tell_stopped(&self, reason: &str) {
        if let Some(tell) = self.on_stop.get() {
            tell(reason);
        }
    }
}

impl Writer {
    async fn append(&mut self, entry: &Entry) -> Result<(), CatalogError> {
        match self.journal.append(entry).await {
            Ok(()) => Ok(()),
            Err(AppendError::Full { free, reserve }) => {
                Err(CatalogError::DiskFull { free, reserve })
            }
            Err(AppendError::TooLong(reason)) => Err(CatalogError::Stopped { reason }),
            Err(AppendError::Failed(reason)) => {
                self.stopped = Some(reason.clone());
                Err(CatalogError::Stopped { reason })
            }
        }
    }

    /// The change that led here is durable already: a failure stops only those that follow.
    async fn compact_if_long(&mut self, state: &RwLock<State>) {
        if !self.journal.is_long() {
            return;
        }
        let entries = state.read().unwrap_or_else(PoisonError::into_inner).snapshot();
        if let Err(reason) = self.journal.compact(&entries).await {
            self.stopped = Some(reason);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
