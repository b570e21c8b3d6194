//! Counters and histograms of the engine as plain values; exporting them is the server's business.

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

/// Sizes counted in buckets: bucket `i` holds those above `2^(i - 1)` and up to `2^i`, the last one
/// all that are larger.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

/// Buckets of a histogram; the largest bound, 2^26, stands for 64 MiB or 67 seconds.
const BUCKETS: usize = 28;

/// A histogram as it was at some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramValues {
    /// Upper bounds in rising order, each with the number of values up to it.
    pub up_to: Vec<(u64, u64)>,
    /// Number of all values.
    pub count: u64,
    /// Sum of all values.
    pub sum: u64,
}

impl Histogram {
    /// Counts one value.
    pub fn observe(&self, value: u64) {
        let bits = u64::BITS - value.saturating_sub(1).leading_zeros();
        let bucket = (bits as usize).min(BUCKETS - 1);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Current values.
    pub fn values(&self) -> HistogramValues {
        let mut values = HistogramValues::default();
        for (power, bucket) in self.counts.iter().enumerate() {
            values.count += bucket.load(Ordering::Relaxed);
            if power < BUCKETS - 1 {
                values.up_to.push((1 << power, values.count));
            }
        }
        values.sum = self.sum.load(Ordering::Relaxed);
        values
    }
}

macro_rules! metrics {
    (
        values { $($(#[$doc:meta])* $name:ident,)* }
        histograms { $($(#[$histogram_doc:meta])* $histogram:ident,)* }
    ) => {
        /// All counters, gauges and histograms of one open store.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $($(#[$doc])* pub $name: Metric,)*
            $($(#[$histogram_doc])* pub $histogram: Histogram,)*
        }

        impl Metrics {
            /// Name and value of each, in the order above.
            pub fn values(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get()),)*]
            }

            /// Name and values of each histogram.
            pub fn histograms(&self) -> Vec<(&'static str, HistogramValues)> {
                vec![$((stringify!($histogram), self.$histogram.values()),)*]
            }
        }
    };
}

metrics! {
    values {
        /// Records appended.
        appended_records,
        /// Bytes of stored records appended.
        appended_bytes,
        /// Groups written to the commit log.
        groups,
        /// Bytes written to the commit log, padding included.
        log_bytes,
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
        /// Maps given up because their file was cut, or could not be read any more.
        lost_maps,
        /// Footers of sealed segments rebuilt in memory because they were damaged or missing.
        rebuilt_indexes,
        /// Single flipped bits repaired.
        repaired_bits,
        /// Segments expired.
        expired_segments,
        /// Microseconds a durable write of 4 KiB took at the start, 0 until known.
        flush_micros,
        /// Groups of the log replayed by the last start.
        replayed_groups,
        /// Bytes of the log replayed by the last start.
        replayed_bytes,
        /// Milliseconds the last start spent on recovery.
        recovery_ms,
    }
    histograms {
        /// Records in a group.
        group_records,
        /// Bytes of a group in the commit log, padding included.
        group_bytes,
        /// Microseconds a group waited for its durable write.
        log_write_micros,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_the_bucket_of_the_next_power_of_two() {
        let histogram = Histogram::default();
        for value in [0, 1, 2, 3, 4, 5, 1 << 26, (1 << 26) + 1] {
            histogram.observe(value);
        }
        let values = histogram.values();
        assert_eq!(values.up_to[..4], [(1, 2), (2, 3), (4, 5), (8, 6)]);
        assert_eq!(values.up_to.last(), Some(&(1 << 26, 7)));
        assert_eq!((values.count, values.sum), (8, 15 + (2 << 26) + 1));
    }
}
