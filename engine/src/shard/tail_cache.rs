//! Recent batches of all shards in memory, within one budget of bytes.
//!
//! A batch is admitted when it becomes durable. When the budget is exceeded the oldest batches
//! over all shards leave, but never one whose segment copy is not readable yet: those are bounded
//! by the log thread, which refuses new work instead (`TailCache::pending_bytes`).
//!
//! A batch is a slice of its whole group's buffer, so memory is freed group by group. The cache
//! therefore counts whole groups, padding included, and evicts whole groups: what it counts is
//! what it holds. Slices in the hands of readers keep a group's memory for as long as they live;
//! that is bounded by the answers in flight.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::ShardLog;
use crate::format::batch::Batch;
use crate::format::group;
use crate::limits::PAGE_BYTES;
use crate::metrics::Metrics;
use crate::sync::MutexGuard;
use crate::types::{Ordinal, SegmentId};

/// Most batches handed to a reader at once: the lock is held while they are picked.
const PICK_MAX: usize = 512;

/// One batch in memory, and where its copy stands or will stand.
#[derive(Clone, Debug)]
pub struct TailBatch {
    /// The batch.
    pub batch: Batch,
    /// Its segment.
    pub segment: SegmentId,
    /// Its offset there.
    pub offset: u64,
}

/// The tail of one shard: contiguous batches, oldest first.
#[derive(Debug, Default)]
pub struct Tail {
    /// Batches.
    pub batches: VecDeque<TailBatch>,
    /// The first ordinal whose copy is not readable in its segment yet; batches that start below
    /// it may leave.
    pub copied_to: Ordinal,
}

impl Tail {
    /// The first record held; `None` when the tail is empty.
    pub fn first(&self) -> Option<Ordinal> {
        self.batches.front().map(|held| held.batch.header.base_ordinal)
    }

    /// Batches whose copy is not readable yet, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &TailBatch> {
        let copied = self.batches.partition_point(|held| held.base() < self.copied_to);
        self.batches.range(copied..)
    }

    /// Handles of the batches from the one that holds `at` on: as many as `records` records or
    /// `bytes` bytes take and one more, at most `PICK_MAX`. Empty when `at` is not held.
    pub(crate) fn batches_from(&self, at: Ordinal, records: usize, bytes: usize) -> Vec<Batch> {
        if self.first().is_none_or(|first| at < first) {
            return Vec::new();
        }
        let start = self.batches.partition_point(|held| held.batch.end() <= at);
        let (mut found, mut records_found, mut bytes_found) = (Vec::new(), 0, 0);
        for held in self.batches.range(start..).take(PICK_MAX) {
            let enough = records_found >= records || bytes_found >= bytes;
            found.push(held.batch.clone());
            if enough {
                break;
            }
            // The first batch may hold mostly records before `at`: it does not count.
            if found.len() > 1 {
                records_found += held.batch.header.count as usize;
                bytes_found += held.batch.bytes().len();
            }
        }
        found
    }
}

impl TailBatch {
    const fn base(&self) -> Ordinal {
        self.batch.header.base_ordinal
    }

    /// Groups are told apart by their log position, which each batch carries.
    const fn group(&self) -> u64 {
        self.batch.header.log_position
    }
}

/// The budget of all tails. Only the log thread has it.
#[derive(Debug)]
pub struct TailCache {
    bytes_max: u64,
    metrics: Arc<Metrics>,
    /// Groups held, by log position, oldest first.
    groups: BTreeMap<u64, Group>,
    /// Those all of whose batches are copied: they may leave.
    copied: BTreeSet<u64>,
    held_bytes: u64,
    copied_bytes: u64,
}

/// What one group of the log holds in memory.
#[derive(Debug, Default)]
struct Group {
    batch_bytes: usize,
    uncopied: usize,
    members: Vec<Member>,
}

/// A shard with a batch in a group, and the ordinal after that batch.
#[derive(Debug)]
struct Member {
    shard: Arc<ShardLog>,
    end: Ordinal,
}

impl Group {
    /// Bytes of the buffer all its batches share.
    fn bytes(&self) -> u64 {
        let bytes = group::head_bytes(self.members.len()) + self.batch_bytes;
        bytes.next_multiple_of(PAGE_BYTES) as u64
    }
}

impl TailCache {
    /// An empty cache of `bytes_max` bytes.
    pub fn new(bytes_max: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            bytes_max: bytes_max as u64,
            metrics,
            groups: BTreeMap::new(),
            copied: BTreeSet::new(),
            held_bytes: 0,
            copied_bytes: 0,
        }
    }

    /// Takes a batch that has become durable; the caller then moves the shard's `end`. The batch
    /// continues the shard's tail.
    ///
    /// # Panics
    ///
    /// When it does not: a fault of the program.
    pub fn admit(&mut self, shard: &Arc<ShardLog>, admitted: TailBatch) {
        let (position, end) = (admitted.group(), admitted.batch.end());
        let batch_bytes = admitted.batch.bytes().len();
        let is_copied = {
            let mut tail = lock(shard);
            let last = tail.batches.back().map(|held| held.batch.end());
            assert!(
                last.is_none_or(|last| last == admitted.base()),
                "batches of one shard are admitted without gaps"
            );
            let is_copied = admitted.base() < tail.copied_to;
            tail.batches.push_back(admitted);
            is_copied
        };
        self.change(position, |group| {
            group.batch_bytes += batch_bytes;
            group.uncopied += usize::from(!is_copied);
            group.members.push(Member { shard: Arc::clone(shard), end });
        });
        self.evict();
    }

    /// The copies of all batches of `shard` below `to` are readable in their segments.
    pub fn copied(&mut self, shard: &ShardLog, to: Ordinal) {
        let groups: Vec<u64> = {
            let mut tail = lock(shard);
            let groups = tail.pending().take_while(|held| held.base() < to).map(TailBatch::group);
            let groups = groups.collect();
            tail.copied_to = tail.copied_to.max(to);
            groups
        };
        self.settle(&groups);
        self.evict();
    }

    /// The shard is gone: its batches leave, copied or not.
    pub fn forget(&mut self, shard: &ShardLog) {
        let groups: Vec<u64> = {
            let mut tail = lock(shard);
            let groups = tail.pending().map(TailBatch::group).collect();
            tail.batches.clear();
            groups
        };
        self.settle(&groups);
        self.evict();
    }

    /// Bytes held, of all groups.
    pub const fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// Bytes held by groups with batches not copied yet: these cannot be evicted. The log thread
    /// copies, and then refuses work, to keep this below the budget.
    pub const fn pending_bytes(&self) -> u64 {
        self.held_bytes - self.copied_bytes
    }

    /// One batch of each of `groups` needs its place no more.
    fn settle(&mut self, groups: &[u64]) {
        for position in groups {
            self.change(*position, |group| {
                group.uncopied = group.uncopied.checked_sub(1).expect("each batch settles once");
            });
        }
    }

    /// Changes one group and brings the sums up to date.
    fn change(&mut self, position: u64, change: impl FnOnce(&mut Group)) {
        let group = self.groups.entry(position).or_default();
        let before = group.bytes() * u64::from(!group.members.is_empty());
        change(group);
        let (after, is_copied) = (group.bytes(), group.uncopied == 0);
        self.held_bytes = self.held_bytes - before + after;
        if self.copied.remove(&position) {
            self.copied_bytes -= before;
        }
        if is_copied {
            self.copied.insert(position);
            self.copied_bytes += after;
        }
    }

    /// Drops the oldest groups that may leave until the rest fits.
    fn evict(&mut self) {
        let mut gone = Vec::new();
        while self.held_bytes > self.bytes_max
            && let Some(position) = self.copied.pop_first()
        {
            let group = self.groups.remove(&position).expect("a copied group is held");
            self.held_bytes -= group.bytes();
            self.copied_bytes -= group.bytes();
            for member in &group.members {
                // A tail stays contiguous: batches of older groups, all copied, leave along. They are
                // few, and looking at the others costs more than looking at these one by one.
                let mut tail = lock(&member.shard);
                let is_gone = |held: &mut TailBatch| held.batch.end() <= member.end;
                gone.extend(std::iter::from_fn(|| tail.batches.pop_front_if(is_gone)));
            }
            gone.clear(); // Memory is given back outside the locks.
        }
        self.metrics.tail_cache_bytes.set(self.held_bytes);
    }
}

fn lock(shard: &ShardLog) -> MutexGuard<'_, Tail> {
    shard.tail.lock().expect("no holder panics")
}

#[cfg(test)]
mod tests;
