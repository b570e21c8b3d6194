//! One shard's log as the log thread publishes it and readers see it.
//!
//! The log thread is the only writer of everything here. Order of publication: a batch becomes
//! durable, enters the tail cache, then `end` moves, then followers wake. Readers never see a
//! record at or past `end`. A batch stays in the tail cache at least until its segment's
//! `readable_bytes` covers it.

#[cfg(test)]
mod fixture;
mod marks;
pub mod reader;
pub mod tail_cache;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::bugs::{self, Bug};
use crate::segment::Segment;
use crate::sync::atomic; // for `marks`
use crate::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::types::{LostRange, Ordinal, ShardIndex, ShardUid, StreamId, Timestamp};
use marks::Marks;
use tail_cache::Tail;

/// Shared state of one shard that has or may get records.
#[derive(Debug)]
pub struct ShardLog {
    /// The shard.
    pub uid: ShardUid,
    /// Its number in the stream, for messages.
    pub index: ShardIndex,
    /// Its stream.
    pub stream: StreamId,
    marks: Marks,
    /// Recent batches, contiguous, the last one ends at `end`.
    pub tail: Mutex<Tail>,
    /// Segments in order of base ordinal; only the last may be active.
    pub segments: RwLock<Vec<Arc<Segment>>>,
    /// Woken when `end` moves, and when the shard closes or goes.
    pub changed: Notify,
    /// Records that a repair found in no copy; in order and apart.
    pub lost: Vec<LostRange>,
}

impl ShardLog {
    /// State of a shard whose next record gets `end`.
    pub fn new(
        uid: ShardUid,
        index: ShardIndex,
        stream: StreamId,
        first_kept: Ordinal,
        end: Ordinal,
        last_arrival: Timestamp,
    ) -> Self {
        Self {
            uid,
            index,
            stream,
            marks: Marks::new(first_kept.0, end.0, last_arrival.0),
            tail: Mutex::default(),
            segments: RwLock::default(),
            changed: Notify::new(),
            lost: Vec::new(),
        }
    }

    /// One past the last durable record.
    pub fn end(&self) -> Ordinal {
        Ordinal(self.marks.end())
    }

    /// First record that is still kept.
    pub fn first_kept(&self) -> Ordinal {
        Ordinal(self.marks.first_kept())
    }

    /// Arrival of the last durable record.
    pub fn last_arrival(&self) -> Timestamp {
        Timestamp(self.marks.last_arrival())
    }

    /// The position after the lost records that `at` is one of.
    pub(crate) fn after_lost(&self, at: Ordinal) -> Option<Ordinal> {
        let after = self.lost.partition_point(|lost| lost.from <= at);
        let lost = self.lost.get(after.checked_sub(1)?)?;
        (at < lost.until).then_some(lost.until)
    }

    /// True once no record will follow.
    pub fn is_closed(&self) -> bool {
        self.marks.is_closed()
    }

    /// True once the shard is gone.
    pub fn is_gone(&self) -> bool {
        self.marks.is_gone()
    }

    /// True when the records from `from` on are in the tail cache, or there are none.
    pub(crate) fn is_warm(&self, from: Ordinal) -> bool {
        let first = self.tail.lock().expect("no holder panics").first();
        from >= first.unwrap_or_else(|| self.end())
    }

    /// Makes records below `end` visible; their batches are in the tail cache already.
    pub(crate) fn advance(&self, end: Ordinal, last_arrival: Timestamp) {
        self.marks.advance(end.0, last_arrival.0);
        if !bugs::is_on(Bug::FollowersNotWoken) {
            self.changed.notify_waiters();
        }
    }

    /// Retention: records below `first_kept` are gone.
    pub(crate) fn trim(&self, first_kept: Ordinal) {
        self.marks.trim(first_kept.0);
    }

    /// No record will follow.
    pub(crate) fn close(&self) {
        self.marks.close();
        self.changed.notify_waiters();
    }

    /// The shard is gone.
    pub(crate) fn remove(&self) {
        self.marks.remove();
        self.changed.notify_waiters();
    }
}

/// All shards of the store by uid.
#[derive(Debug, Default)]
pub struct ShardMap(RwLock<HashMap<ShardUid, Arc<ShardLog>>>);

impl ShardMap {
    /// The shard of this uid.
    pub fn get(&self, uid: ShardUid) -> Option<Arc<ShardLog>> {
        self.read().get(&uid).cloned()
    }

    /// Adds a shard.
    pub(crate) fn insert(&self, shard: Arc<ShardLog>) {
        self.write().insert(shard.uid, shard);
    }

    /// Takes a shard out.
    pub(crate) fn remove(&self, uid: ShardUid) -> Option<Arc<ShardLog>> {
        self.write().remove(&uid)
    }

    /// All shards, by uid.
    pub fn all(&self) -> Vec<Arc<ShardLog>> {
        let mut all: Vec<_> = self.read().values().cloned().collect();
        all.sort_by_key(|shard| shard.uid);
        all
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<ShardUid, Arc<ShardLog>>> {
        self.0.read().expect("no holder panics")
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<ShardUid, Arc<ShardLog>>> {
        self.0.write().expect("no holder panics")
    }
}
