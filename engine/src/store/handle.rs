//! The log thread as seen from other threads: its start, its queue, its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};

use super::log_thread::{Shared, run};
use super::queue::{AppendReply, Control};
use crate::append::Append;
use crate::catalog::Catalog;
use crate::config::Config;
use crate::device::{BoxFuture, Device, LocalBoxFuture};
use crate::error::{AppendError, DeviceError, OpenError};
use crate::types::{Ordinal, SegmentId, Shard, ShardUid, Stream, Timestamp};

/// The running log thread. Dropping it ends the thread without a checkpoint.
pub(crate) struct LogHandle {
    shared: Arc<Shared>,
    ended: watch::Receiver<()>,
    /// `None` where the device runs the log thread's body as a task of the caller.
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl LogHandle {
    /// Starts the log thread, which opens and recovers the store.
    ///
    /// # Errors
    ///
    /// Any `OpenError`.
    pub(crate) async fn start(
        config: Config,
        device: &Device,
    ) -> Result<(Self, Arc<Catalog>), OpenError> {
        let directory = config.directory.clone();
        let shared = Arc::new(Shared::new(config));
        let (end, ended) = watch::channel(());
        let (ready, opened) = oneshot::channel();
        let (failure, failed) = oneshot::channel();
        let (for_thread, for_body) = (Arc::clone(&shared), device.clone());
        let main = Box::new(move |log_device| -> LocalBoxFuture<()> {
            Box::pin(run(for_thread, for_body, log_device, ready))
        });
        let on_end = Box::new(move |result: Result<(), DeviceError>| {
            if let Err(error) = result {
                drop(failure.send(error));
            }
            drop(end);
        });
        let started = Arc::clone(&device.log).start(main, on_end);
        let thread = started
            .map_err(|error| DeviceError::new("start the log thread for", &directory, &error))?;
        let handle = Self { shared, ended, thread: Mutex::new(thread) };
        let catalog = match opened.await {
            Ok(opened) => opened?,
            Err(_) => return Err(no_runtime(failed.await.ok(), directory)),
        };
        Ok((handle, catalog))
    }

    /// What the log thread shares.
    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Queues an append; the future completes once it is durable.
    pub(crate) fn append(&self, append: Append) -> BoxFuture<AppendReply> {
        let runs = append.runs.len();
        let refuse = move |error: AppendError| vec![Err(error); runs];
        let shared = Arc::clone(&self.shared);
        match shared.queue.push(append) {
            Ok(Some(receiver)) => Box::pin(async move {
                receiver.await.unwrap_or_else(|_| refuse(shared.stopped_error()))
            }),
            Ok(None) => Box::pin(async move { refuse(shared.stopped_error()) }),
            Err(error) => {
                shared.metrics.refused_overloaded.add(1);
                Box::pin(async move { refuse(error) })
            }
        }
    }

    /// Sends a command and waits for its answer; `None` when the log thread has ended.
    async fn ask<T>(&self, control: impl FnOnce(oneshot::Sender<T>) -> Control) -> Option<T> {
        let (reply, receiver) = oneshot::channel();
        self.shared.queue.send(control(reply));
        receiver.await.ok()
    }

    /// Refuses further appends to all of `shards` and tells where each ends; `None` when writes
    /// have stopped.
    ///
    /// # Errors
    ///
    /// The uid of the first shard that is not open; nothing was closed then.
    pub(crate) async fn close_shards(
        &self,
        shards: Vec<ShardUid>,
    ) -> Option<Result<Vec<Ordinal>, ShardUid>> {
        self.ask(|reply| Control::CloseShards(shards, reply)).await
    }

    /// Takes `close_shards` back.
    pub(crate) fn reopen_shards(&self, shards: Vec<ShardUid>) {
        self.shared.queue.send(Control::ReopenShards(shards));
    }

    /// Starts new, empty shards of `stream`; `None` when writes have stopped.
    pub(crate) async fn add_shards(
        &self,
        stream: Arc<Stream>,
        shards: Vec<Arc<Shard>>,
    ) -> Option<()> {
        self.ask(|reply| Control::AddShards(stream, shards, reply)).await
    }

    /// Lets no record of these shards arrive before `from`.
    pub(crate) async fn begin_arrivals(&self, shards: Vec<ShardUid>, from: Timestamp) {
        self.ask(|reply| Control::BeginArrivals(shards, from, reply)).await.unwrap_or_default();
    }

    /// Sets or lifts the time after which no record of a shard arrives; `None` when writes have
    /// stopped.
    ///
    /// # Errors
    ///
    /// The latest arrival when there is one after such a time; nothing was set then.
    pub(crate) async fn limit_arrivals(
        &self,
        limits: Vec<(ShardUid, Option<Timestamp>)>,
    ) -> Option<Result<(), Timestamp>> {
        self.ask(|reply| Control::LimitArrivals(limits, reply)).await
    }

    /// Forgets shards; returns their segments, whose files go with the next checkpoint.
    pub(crate) async fn remove_shards(&self, shards: Vec<ShardUid>) -> Vec<SegmentId> {
        self.ask(|reply| Control::RemoveShards(shards, reply)).await.unwrap_or_default()
    }

    /// Drops what lies wholly below `first_kept`; returns the segments, whose files go with the
    /// next checkpoint.
    pub(crate) async fn trim(&self, shard: ShardUid, first_kept: Ordinal) -> Vec<SegmentId> {
        self.ask(|reply| Control::Trim(shard, first_kept, reply)).await.unwrap_or_default()
    }

    /// Seals the active segment of a shard, unless a batch is on its way into it.
    pub(crate) async fn seal(&self, shard: ShardUid) {
        self.ask(|reply| Control::Seal(shard, reply)).await.unwrap_or_default();
    }

    /// Copies everything pending and makes a checkpoint.
    ///
    /// # Errors
    ///
    /// `Stopped`.
    pub(crate) async fn checkpoint(&self) -> Result<(), AppendError> {
        self.ask(Control::Checkpoint).await.ok_or_else(|| self.shared.stopped_error())
    }

    /// Makes a last checkpoint and waits until the log thread has ended.
    pub(crate) async fn close(&self) {
        self.shared.queue.send(Control::Stop);
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

impl Drop for LogHandle {
    fn drop(&mut self) {
        self.shared.queue.abandon();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            // The directory stays locked until the thread ends, and it ends with the write that
            // is under way.
            drop(thread.join());
        }
    }
}

fn no_runtime(error: Option<DeviceError>, path: std::path::PathBuf) -> OpenError {
    OpenError::Device(error.unwrap_or_else(|| DeviceError {
        operation: "open",
        path,
        offset: None,
        kind: std::io::ErrorKind::Other,
        message: "the log thread ended during the start".to_owned(),
    }))
}
