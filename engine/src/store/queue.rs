//! The queue into the log thread, bounded in bytes: many senders, one taker, first in first out.
//!
//! Only appends count against the bound: other commands come from changes of metadata, whose
//! callers wait for each other in the catalogue.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::append::Append;
use crate::error::AppendError;
use crate::format::{batch, group};
use crate::limits::{BATCH_BYTES_MAX, GROUP_ENTRIES_MAX};
use crate::sync::{Mutex, MutexGuard};
use crate::types::{AppendedRun, Durable, Ordinal, SegmentId, Shard, ShardUid, Stream, Timestamp};

/// One result for each run of an append.
pub(crate) type AppendReply = Vec<Result<Durable<AppendedRun>, AppendError>>;

/// An append and whom to answer. Dropping it unanswered tells the caller that writes stopped.
#[derive(Debug)]
pub(crate) struct QueuedAppend {
    /// The records.
    pub(crate) append: Append,
    /// Most bytes it can take in a group: as if no other append shared a batch with it.
    pub(crate) group_bytes: usize,
    /// Gets the results once they are durable.
    pub(crate) reply: oneshot::Sender<AppendReply>,
}

fn group_bytes(append: &Append) -> usize {
    let frames = append
        .runs
        .iter()
        .map(|run| group::PREFIX_BYTES + batch::frame_bytes(run.entries.len(), run.bytes.len()));
    frames.sum()
}

/// What is asked of the log thread besides appends.
#[derive(Debug)]
pub(crate) enum Control {
    /// Refuses further appends to these shards and tells where each ends; all of them or, when one
    /// is not open, none (its uid is the answer).
    CloseShards(Vec<ShardUid>, oneshot::Sender<Result<Vec<Ordinal>, ShardUid>>),
    /// Takes a close back.
    ReopenShards(Vec<ShardUid>),
    /// Starts new, empty shards of a stream.
    AddShards(Arc<Stream>, Vec<Arc<Shard>>, oneshot::Sender<()>),
    /// No record of these shards arrives before the time.
    BeginArrivals(Vec<ShardUid>, Timestamp, oneshot::Sender<()>),
    /// Sets or lifts the time after which no record of a shard arrives; all of them or, when a
    /// record has arrived later already, none (the latest arrival is the answer).
    LimitArrivals(Vec<(ShardUid, Option<Timestamp>)>, oneshot::Sender<Result<(), Timestamp>>),
    /// Forgets shards; answers which segments go with them.
    RemoveShards(Vec<ShardUid>, oneshot::Sender<Vec<SegmentId>>),
    /// Drops what lies wholly below the ordinal; answers which segments go.
    Trim(ShardUid, Ordinal, oneshot::Sender<Vec<SegmentId>>),
    /// Seals the active segment of a shard.
    Seal(ShardUid, oneshot::Sender<()>),
    /// Copies everything pending and makes a checkpoint.
    Checkpoint(oneshot::Sender<()>),
    /// Ends the log thread after a last checkpoint.
    Stop,
}

/// What the log thread does next.
#[derive(Debug)]
pub(crate) enum Work {
    /// Appends for one group, in order of arrival; at least one.
    Appends(Vec<QueuedAppend>),
    /// A command; everything queued before it has been done.
    Control(Control),
    /// The store was dropped without a close, or writes have stopped.
    End,
}

#[derive(Debug)]
enum Entry {
    Append(QueuedAppend),
    Control(Control),
}

#[derive(Debug, Default)]
struct Inner {
    entries: VecDeque<Entry>,
    append_bytes: usize,
    abandoned: bool,
    closed: bool,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    changed: Notify,
    bytes_max: usize,
}

impl Queue {
    /// A queue that holds appends of at most `bytes_max` bytes, or a single larger one.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { inner: Mutex::default(), changed: Notify::new(), bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an append. `Ok(None)` when the queue is closed.
    ///
    /// # Errors
    ///
    /// `Overloaded` when the bound is reached, or when the append could never fit a batch.
    pub(crate) fn push(
        &self,
        append: Append,
    ) -> Result<Option<oneshot::Receiver<AppendReply>>, AppendError> {
        let group_bytes = group_bytes(&append);
        if group_bytes > BATCH_BYTES_MAX {
            return Err(AppendError::Overloaded { limit: BATCH_BYTES_MAX });
        }
        let (reply, receiver) = oneshot::channel();
        let mut inner = self.lock();
        if inner.closed {
            return Ok(None);
        }
        if inner.append_bytes > 0 && inner.append_bytes + group_bytes > self.bytes_max {
            return Err(AppendError::Overloaded { limit: self.bytes_max });
        }
        inner.append_bytes += group_bytes;
        inner.entries.push_back(Entry::Append(QueuedAppend { append, group_bytes, reply }));
        drop(inner);
        self.changed.notify_one();
        Ok(Some(receiver))
    }

    /// Queues a command; a closed queue drops it, and with it the reply it carries.
    pub(crate) fn send(&self, control: Control) {
        let mut inner = self.lock();
        if !inner.closed {
            inner.entries.push_back(Entry::Control(control));
            drop(inner);
            self.changed.notify_one();
        }
    }

    /// Nobody will send any more: the log thread ends without a checkpoint.
    pub(crate) fn abandon(&self) {
        self.lock().abandoned = true;
        self.changed.notify_one();
    }

    /// True once `abandon` was called.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// Refuses everything from now on and drops what waits.
    pub(crate) fn close(&self) {
        let dropped = {
            let mut inner = self.lock();
            inner.closed = true;
            inner.append_bytes = 0;
            std::mem::take(&mut inner.entries)
        };
        drop(dropped);
        self.changed.notify_one();
    }

    /// True once `close` was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits for work. Appends come together up to `group_bytes_max` bytes, at least one.
    pub(crate) async fn take(&self, group_bytes_max: usize) -> Work {
        loop {
            if let Some(work) = self.lock().take(group_bytes_max) {
                return work;
            }
            self.changed.notified().await;
        }
    }
}

impl Inner {
    fn take(&mut self, group_bytes_max: usize) -> Option<Work> {
        if self.abandoned || self.closed {
            return Some(Work::End);
        }
        let mut appends = Vec::new();
        let (mut bytes, mut runs) = (0, 0);
        while let Some(Entry::Append(next)) = self.entries.front() {
            let next_bytes = next.group_bytes;
            bytes += next_bytes;
            runs += next.append.runs.len();
            let fits = bytes <= group_bytes_max.min(BATCH_BYTES_MAX) && runs <= GROUP_ENTRIES_MAX;
            if !fits && !appends.is_empty() {
                break;
            }
            self.append_bytes -= next_bytes;
            if let Some(Entry::Append(next)) = self.entries.pop_front() {
                appends.push(next);
            }
        }
        if !appends.is_empty() {
            return Some(Work::Appends(appends));
        }
        match self.entries.pop_front()? {
            Entry::Control(control) => Some(Work::Control(control)),
            Entry::Append(append) => Some(Work::Appends(vec![append])),
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
