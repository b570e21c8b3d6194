//! The one way in: what a caller can ask of the engine. No logic of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::append::Append;
use crate::bugs::{self, Bug};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::device::{BoxFuture, Device};
use crate::error::{AppendError, CatalogError, OpenError, ReadError};
use crate::metrics::Metrics;
use crate::shard::ShardLog;
use crate::shard::reader::Reader;
use crate::store::{LogHandle, Maintenance};
use crate::types::{
    AppendedRun, Durable, NewStream, Ordinal, ReadLimit, ReadResult, Reshard, Shard, ShardEnd,
    ShardIndex, ShardUid, StoreId, Stream, StreamChange, StreamId, StreamKey, Timestamp,
};

/// An open store. Cheap to clone; the last clone dropped without `close` ends the log thread as a
/// crash would, and nothing acknowledged is lost.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    device: Device,
    catalog: Arc<Catalog>,
    reader: Arc<Reader>,
    maintenance: Arc<Maintenance>,
    log: Arc<LogHandle>,
    /// Where changes run to their end.
    runtime: Handle,
}

impl Engine {
    /// Opens or creates the store in `config.directory` and recovers it. Changes of streams and
    /// retention run in the calling runtime, which must be driven for as long as the store is open.
    ///
    /// # Errors
    ///
    /// Any `OpenError`; nothing was changed that a later open could miss.
    pub async fn open(config: Config, device: Device) -> Result<Self, OpenError> {
        let reader_config = config.clone();
        let (log, catalog) = LogHandle::start(config, &device).await?;
        let log = Arc::new(log);
        let metrics = Arc::clone(&log.shared().metrics);
        let reader = Arc::new(Reader::new(&reader_config, &device, metrics, catalog.store()));
        let maintenance = Arc::new(Maintenance::new(
            Arc::clone(&log),
            &device,
            Arc::clone(&reader),
            Arc::clone(&catalog),
        ));
        let interval = Duration::from_millis(reader_config.retention_interval_ms);
        tokio::spawn(Maintenance::run_every(Arc::downgrade(&maintenance), interval));
        let runtime = Handle::current();
        let inner = Inner { device, catalog, reader, maintenance, log, runtime };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Checkpoints and stops; appends that come later are refused.
    pub async fn close(&self) {
        self.inner.log.close().await;
    }

    /// Makes a stream durable.
    ///
    /// # Errors
    ///
    /// See `CatalogError`.
    pub async fn create_stream(&self, new: NewStream) -> Result<Arc<Stream>, CatalogError> {
        let inner = Arc::clone(&self.inner);
        self.detached(async move {
            inner.check_running()?;
            let stream = inner.catalog.create(new).await?;
            inner.add_shards(&stream, &stream.shards).await?;
            Ok(stream)
        })
        .await
    }

    /// The stream of this key.
    pub fn stream(&self, key: &StreamKey) -> Option<Arc<Stream>> {
        self.inner.catalog.stream(key)
    }

    /// The stream of this id.
    pub fn stream_by_id(&self, id: StreamId) -> Option<Arc<Stream>> {
        self.inner.catalog.stream_by_id(id)
    }

    /// Up to `limit` streams of a namespace in order of name, those after `after` only.
    pub fn streams(&self, namespace: &str, after: Option<&str>, limit: usize) -> Vec<Arc<Stream>> {
        self.inner.catalog.streams(namespace, after, limit)
    }

    /// All streams of the store.
    pub fn all_streams(&self) -> Vec<Arc<Stream>> {
        self.inner.catalog.all()
    }

    /// The document the caller keeps with a namespace, if it has given it one.
    pub fn document(&self, namespace: &str) -> Option<Arc<serde_json::Value>> {
        self.inner.catalog.document(namespace)
    }

    /// Makes a namespace's document durable, in place of the one before.
    ///
    /// # Errors
    ///
    /// See `CatalogError`.
    pub async fn set_document(
        &self,
        namespace: &str,
        document: serde_json::Value,
    ) -> Result<(), CatalogError> {
        let (inner, namespace) = (Arc::clone(&self.inner), namespace.to_owned());
        self.detached(async move {
            inner.check_running()?;
            inner.catalog.set_document(namespace, document).await
        })
        .await
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
        let inner = Arc::clone(&self.inner);
        self.detached(async move { inner.change(stream, changes).await }).await
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
        let inner = Arc::clone(&self.inner);
        self.detached(async move { inner.reshard(stream, reshard, closed_at, changes).await }).await
    }

    /// Forgets a stream at once; its files go in the background.
    ///
    /// # Errors
    ///
    /// See `CatalogError`.
    pub async fn remove_stream(&self, stream: StreamId) -> Result<(), CatalogError> {
        let inner = Arc::clone(&self.inner);
        self.detached(async move {
            inner.check_running()?;
            let removed = inner.catalog.remove(stream).await?;
            let shards = removed.shards.iter().map(|shard| shard.uid).collect();
            for segment in inner.log.remove_shards(shards).await {
                inner.reader.forget(segment);
            }
            Ok(())
        })
        .await
    }

    /// Appends; completes once durable. One result for each run, in order; runs fail one by one.
    pub fn append(
        &self,
        append: Append,
    ) -> BoxFuture<Vec<Result<Durable<AppendedRun>, AppendError>>> {
        self.inner.log.append(append)
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
        let log = self.shard(shard).ok_or(ReadError::ShardGone)?;
        let mut horizon = stream.horizon(self.now());
        if bugs::is_on(Bug::ExpiredShown) {
            horizon = Timestamp(0);
        }
        self.inner.reader.read(&log, from, horizon, limit).await
    }

    /// True when a read from `from` on begins with records that are in memory, or finds none: it does
    /// not wait for the disk, as far as that can be told before.
    pub fn is_warm(&self, shard: &Shard, from: Ordinal) -> bool {
        self.shard(shard).is_none_or(|log| log.is_warm(from))
    }

    /// Position of the first record that arrived at or after `at`; the end when there is none.
    ///
    /// # Errors
    ///
    /// See `ReadError`.
    pub async fn ordinal_at(&self, shard: &Shard, at: Timestamp) -> Result<Ordinal, ReadError> {
        let log = self.shard(shard).ok_or(ReadError::ShardGone)?;
        self.inner.reader.ordinal_at(&log, at).await
    }

    /// One past the last durable record of `shard`; `None` when the shard is gone.
    pub fn end(&self, shard: &Shard) -> Option<Ordinal> {
        self.shard(shard).map(|log| log.end())
    }

    /// Completes when a record at or after `from` is durable, or the shard is closed or gone.
    pub async fn follow(&self, shard: &Shard, from: Ordinal) {
        if let Some(log) = self.shard(shard) {
            self.inner.reader.follow(&log, from).await;
        }
    }

    /// Runs retention once, now: expired segments and shards go. It also runs by itself.
    pub async fn run_retention(&self) {
        self.inner.maintenance.run().await;
    }

    /// Copies everything pending into segments and makes a checkpoint.
    ///
    /// # Errors
    ///
    /// `Stopped` when writes have stopped.
    pub async fn checkpoint(&self) -> Result<(), AppendError> {
        self.inner.log.checkpoint().await
    }

    /// Counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.inner.log.shared().metrics
    }

    /// Why writes have stopped, if they have.
    pub fn stopped(&self) -> Option<String> {
        self.inner.log.shared().stopped()
    }

    /// `io_uring`, `posix` or `simulated`.
    pub fn log_device(&self) -> &'static str {
        self.inner.device.log.name()
    }

    /// Random identity of the data directory, the same for as long as it exists.
    pub fn store_id(&self) -> StoreId {
        self.inner.catalog.store()
    }

    /// 64 random bits.
    pub fn random(&self) -> u64 {
        self.inner.device.entropy.next_u64()
    }

    /// The clock in use.
    pub fn now(&self) -> Timestamp {
        self.inner.device.clock.now()
    }

    fn shard(&self, shard: &Shard) -> Option<Arc<ShardLog>> {
        self.inner.log.shared().shards.get(shard.uid)
    }

    /// Runs a change to its end even when the caller stops waiting for it, or its runtime ends:
    /// catalogue and log thread change together or not at all.
    async fn detached<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, CatalogError>> + Send + 'static,
    ) -> Result<T, CatalogError> {
        match self.inner.runtime.spawn(change).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(CatalogError::Stopped { reason: "the program is ending".to_owned() }),
            },
        }
    }
}

impl Inner {
    fn stopped_error(&self) -> CatalogError {
        let stopped = self.log.shared().stopped();
        let reason = stopped.unwrap_or_else(|| "the store is closed".to_owned());
        CatalogError::Stopped { reason }
    }

    fn check_running(&self) -> Result<(), CatalogError> {
        if self.log.shared().queue.is_closed() { Err(self.stopped_error()) } else { Ok(()) }
    }

    async fn add_shards(
        &self,
        stream: &Arc<Stream>,
        shards: &[Arc<Shard>],
    ) -> Result<(), CatalogError> {
        let added = self.log.add_shards(Arc::clone(stream), shards.to_vec()).await;
        added.ok_or_else(|| self.stopped_error())
    }

    async fn change(
        &self,
        stream: StreamId,
        changes: Vec<StreamChange>,
    ) -> Result<Arc<Stream>, CatalogError> {
        self.check_running()?;
        let before = self.catalog.stream_by_id(stream).ok_or(CatalogError::StreamNotFound)?;
        let mut limits = Vec::new();
        for change in &changes {
            if let StreamChange::ArrivalsUntil(shards, until) = change {
                let open = open_shards(&before, shards)?.into_iter();
                limits.extend(open.map(|shard| (shard.uid, shard.arrivals_until, *until)));
            }
        }
        // While nobody can tell which of two ends a start would find, the earlier one holds.
        let earlier = |(uid, before, until): &(ShardUid, Option<Timestamp>, Timestamp)| {
            (*uid, Some(before.map_or(*until, |before| before.min(*until))))
        };
        self.limit_arrivals(limits.iter().map(earlier).collect()).await?;
        let changed = self.catalog.change(stream, changes).await;
        let settled: Vec<_> = match &changed {
            Ok(_) => limits.into_iter().map(|(uid, _, until)| (uid, Some(until))).collect(),
            Err(CatalogError::Stopped { .. }) => Vec::new(),
            Err(_) => limits.into_iter().map(|(uid, before, _)| (uid, before)).collect(),
        };
        // Where the log thread has ended no record arrives, and the change is as it is.
        drop(self.limit_arrivals(settled).await);
        if let Ok(after) = &changed
            && after.trimmed_before > before.trimmed_before
        {
            let open = after.open_shards().map(|shard| shard.uid).collect();
            self.log.begin_arrivals(open, after.trimmed_before).await;
        }
        changed
    }

    async fn limit_arrivals(
        &self,
        limits: Vec<(ShardUid, Option<Timestamp>)>,
    ) -> Result<(), CatalogError> {
        if limits.is_empty() {
            return Ok(());
        }
        let limited = self.log.limit_arrivals(limits).await;
        limited.ok_or_else(|| self.stopped_error())?.map_err(CatalogError::ArrivedLater)
    }

    async fn reshard(
        &self,
        stream: StreamId,
        reshard: Reshard,
        closed_at: Timestamp,
        changes: Vec<StreamChange>,
    ) -> Result<Arc<Stream>, CatalogError> {
        self.check_running()?;
        let before = self.catalog.stream_by_id(stream).ok_or(CatalogError::StreamNotFound)?;
        let closing = open_shards(&before, &reshard.close)?;
        let uids: Vec<_> = closing.iter().map(|shard| shard.uid).collect();
        let closed = self.log.close_shards(uids.clone()).await;
        let ends = match closed.ok_or_else(|| self.stopped_error())? {
            Ok(ends) => ends,
            Err(uid) => return Err(not_open(&before, uid)),
        };
        let ends = ends.into_iter().map(|end| ShardEnd { closed_at, end }).collect();
        match self.catalog.reshard(stream, reshard, ends, changes).await {
            Ok(after) => {
                let is_new = |shard: &&Arc<Shard>| shard.index.0 >= before.next_shard_index;
                let new: Vec<_> = after.shards.iter().filter(is_new).cloned().collect();
                self.add_shards(&after, &new).await?;
                for log in uids.iter().filter_map(|uid| self.log.shared().shards.get(*uid)) {
                    log.close();
                }
                Ok(after)
            }
            // After a doubtful write the close may be on the disk: the shards stay closed.
            Err(error @ CatalogError::Stopped { .. }) => Err(error),
            Err(error) => {
                self.log.reopen_shards(uids);
                Err(error)
            }
        }
    }
}

fn open_shards<'a>(
    stream: &'a Stream,
    shards: &[ShardIndex],
) -> Result<Vec<&'a Arc<Shard>>, CatalogError> {
    let open = |index: &ShardIndex| {
        let shard = stream.shard(*index).filter(|shard| shard.closed.is_none());
        shard.ok_or(CatalogError::ShardNotOpen(*index))
    };
    shards.iter().map(open).collect()
}

fn not_open(stream: &Stream, uid: ShardUid) -> CatalogError {
    let index = stream.shards.iter().find(|shard| shard.uid == uid).map(|shard| shard.index);
    index.map_or(CatalogError::StreamNotFound, CatalogError::ShardNotOpen)
}
