//! The one way in: what a caller can ask of the engine. No logic of its own.

use std::sync::Arc;

use crate::config::Config;
use crate::device::{BoxFuture, Device};
use crate::error::{AppendError, CatalogError, OpenError, ReadError};
use crate::metrics::Metrics;
use crate::types::{
    Append, AppendedRun, Durable, NewStream, Ordinal, ReadLimit, ReadResult, Reshard, Shard,
    StoreId, Stream, StreamChange, StreamId, StreamKey, Timestamp,
};

/// An open store. Cheap to clone; the last clone dropped without `close` ends the log thread as a
/// crash would, and nothing acknowledged is lost.
#[derive(Clone)]
pub struct Engine {}

impl Engine {
    /// Opens or creates the store in `config.directory` and recovers it.
    ///
    /// # Errors
    ///
    /// Any `OpenError`; nothing was changed that a later open could miss.
    pub async fn open(config: Config, device: Device) -> Result<Self, OpenError> {
        let _ = (config, device);
        todo!()
    }

    /// Checkpoints and stops; appends that come later are refused.
    pub async fn close(&self) {
        todo!()
    }

    /// Makes a stream durable.
    ///
    /// # Errors
    ///
    /// See `CatalogError`.
    pub async fn create_stream(&self, new: NewStream) -> Result<Arc<Stream>, CatalogError> {
        let _ = new;
        todo!()
    }

    /// The stream of this key.
    pub fn stream(&self, key: &StreamKey) -> Option<Arc<Stream>> {
        let _ = key;
        todo!()
    }

    /// The stream of this id.
    pub fn stream_by_id(&self, id: StreamId) -> Option<Arc<Stream>> {
        let _ = id;
        todo!()
    }

    /// Up to `limit` streams of a namespace in order of name, those after `after` only.
    pub fn streams(&self, namespace: &str, after: Option<&str>, limit: usize) -> Vec<Arc<Stream>> {
        let _ = (namespace, after, limit);
        todo!()
    }

    /// All streams of the store.
    pub fn all_streams(&self) -> Vec<Arc<Stream>> {
        todo!()
    }

    /// Applies changes of one stream, all or none.
    ///
    /// # Errors
    ///
    /// See `CatalogError`.
    pub async fn change_stream(
        &self,
        stream: StreamId,
        changes: Vec<StreamChange>,
    ) -> Result<Arc<Stream>, CatalogError> {
        let _ = (stream, changes);
        todo!()
    }

    /// Closes and opens shards of one stream in one durable step. `closed_at` is the time recorded
    /// for the close.
    ///
    /// # Errors
    ///
    /// See `CatalogError`.
    pub async fn reshard(
        &self,
        stream: StreamId,
        reshard: Reshard,
        closed_at: Timestamp,
        changes: Vec<StreamChange>,
    ) -> Result<Arc<Stream>, CatalogError> {
        let _ = (stream, reshard, closed_at, changes);
        todo!()
    }

    /// Forgets a stream at once; its files go in the background.
    ///
    /// # Errors
    ///
    /// See `CatalogError`.
    pub async fn remove_stream(&self, stream: StreamId) -> Result<(), CatalogError> {
        let _ = stream;
        todo!()
    }

    /// Appends; completes once durable. One result for each run, in order; runs fail one by one.
    pub fn append(
        &self,
        append: Append,
    ) -> BoxFuture<Vec<Result<Durable<AppendedRun>, AppendError>>> {
        let _ = append;
        todo!()
    }

    /// Records of `shard` from `from` on; those past retention are skipped.
    ///
    /// # Errors
    ///
    /// See `ReadError`.
    pub async fn read(
        &self,
        stream: &Stream,
        shard: &Shard,
        from: Ordinal,
        limit: ReadLimit,
    ) -> Result<ReadResult, ReadError> {
        let _ = (stream, shard, from, limit);
        todo!()
    }

    /// Position of the first record that arrived at or after `at`; the end when there is none.
    ///
    /// # Errors
    ///
    /// See `ReadError`.
    pub async fn ordinal_at(&self, shard: &Shard, at: Timestamp) -> Result<Ordinal, ReadError> {
        let _ = (shard, at);
        todo!()
    }

    /// One past the last durable record of `shard`; `None` when the shard is gone.
    pub fn end(&self, shard: &Shard) -> Option<Ordinal> {
        let _ = shard;
        todo!()
    }

    /// Completes when a record at or after `from` is durable, or the shard is closed or gone.
    pub async fn follow(&self, shard: &Shard, from: Ordinal) {
        let _ = (shard, from);
        todo!()
    }

    /// Runs retention once, now: expired segments and shards go. It also runs by itself.
    pub async fn run_retention(&self) {
        todo!()
    }

    /// Copies everything pending into segments and makes a checkpoint.
    ///
    /// # Errors
    ///
    /// `Stopped` when writes have stopped.
    pub async fn checkpoint(&self) -> Result<(), AppendError> {
        todo!()
    }

    /// Counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        todo!()
    }

    /// Why writes have stopped, if they have.
    pub fn stopped(&self) -> Option<String> {
        todo!()
    }

    /// "io_uring", "posix" or "simulated".
    pub fn log_device(&self) -> &'static str {
        todo!()
    }

    /// Random identity of the data directory, the same for as long as it exists.
    pub fn store_id(&self) -> StoreId {
        todo!()
    }

    /// The clock in use.
    pub fn now(&self) -> Timestamp {
        todo!()
    }
}
