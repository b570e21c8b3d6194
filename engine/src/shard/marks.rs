//! The marks of one shard: how far it is durable, what is kept, whether it is closed or gone. The log
//! thread moves them, readers see them without a lock. Numbers are those of ordinals and times; the
//! atomics come from above, so that `engine/loom` can run this file through every order of steps.

use super::atomic::{AtomicBool, AtomicU64, Ordering};

/// The marks.
#[derive(Debug)]
pub(crate) struct Marks {
    /// One past the last durable record.
    end: AtomicU64,
    /// First record retention has kept.
    first_kept: AtomicU64,
    /// Arrival of the last durable record, 0 when there is none.
    last_arrival: AtomicU64,
    /// True once no record will follow.
    closed: AtomicBool,
    /// True once the shard is gone (expired or deleted).
    gone: AtomicBool,
}

impl Marks {
    pub(crate) fn new(first_kept: u64, end: u64, last_arrival: u64) -> Self {
        Self {
            end: AtomicU64::new(end),
            first_kept: AtomicU64::new(first_kept),
            last_arrival: AtomicU64::new(last_arrival),
            closed: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        }
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn first_kept(&self) -> u64 {
        self.first_kept.load(Ordering::Acquire)
    }

    /// At least the arrival of the last record below an end that was read before.
    pub(crate) fn last_arrival(&self) -> u64 {
        self.last_arrival.load(Ordering::Acquire)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// What the caller did before is seen by whoever sees the new end.
    pub(crate) fn advance(&self, end: u64, last_arrival: u64) {
        self.last_arrival.store(last_arrival, Ordering::Release);
        self.end.store(end, Ordering::Release);
    }

    pub(crate) fn trim(&self, first_kept: u64) {
        self.first_kept.fetch_max(first_kept, Ordering::AcqRel);
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn remove(&self) {
        self.gone.store(true, Ordering::Release);
    }
}
