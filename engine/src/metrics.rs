//! Counters of the engine as plain values; exporting them is the server's business.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows, or a gauge that is set.
#[derive(Debug, Default)]
pub struct Metric(AtomicU64);

impl Metric {
    /// Adds to a counter.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Sets a gauge.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Current value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// All counters and gauges of one open store.
        #[derive(Debug, Default)]
        pub struct Metrics { $($(#[$doc])* pub $name: Metric,)* }

        impl Metrics {
            /// Name and value of each, in the order above.
            pub fn values(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get()),)*]
            }
        }
    };
}

metrics! {
    /// Records appended.
    appended_records,
    /// Bytes of stored records appended.
    appended_bytes,
    /// Groups written to the commit log.
    groups,
    /// Bytes written to the commit log, padding included.
    log_bytes,
    /// Microseconds spent waiting for durable log writes.
    log_write_micros,
    /// Bytes copied into segments.
    segment_bytes,
    /// Checkpoints finished.
    checkpoints,
    /// Appends refused because the queue was full.
    refused_overloaded,
    /// Appends refused because the disk was nearly full.
    refused_disk_full,
    /// 1 once a failed write or sync has stopped all writes.
    stopped,
    /// 1 while appends are refused for lack of space.
    disk_full,
    /// Bytes held by the tail cache.
    tail_cache_bytes,
    /// Records read.
    read_records,
    /// Segments mapped.
    mapped_segments,
    /// Damaged ranges met by reads and recovery.
    damaged_ranges,
    /// Footers of sealed segments rebuilt in memory because they were damaged or missing.
    rebuilt_indexes,
    /// Single flipped bits repaired.
    repaired_bits,
    /// Segments expired.
    expired_segments,
    /// Microseconds a durable write of 4 KiB took at the start, 0 until known.
    flush_micros,
    /// Bytes of the log replayed by the last start.
    replayed_bytes,
    /// Milliseconds the last start spent on recovery.
    recovery_ms,
}
