//! Latencies without coordinated omission: in an open loop a call counts from the moment it was
//! due, not from the moment it could be sent.

use hdrhistogram::Histogram;

/// What one phase of a run counted.
pub(crate) struct Tally {
    /// Latency of each call, in microseconds.
    pub(crate) latency: Histogram<u64>,
    /// Calls answered with success.
    pub(crate) calls: u64,
    /// Calls refused or failed.
    pub(crate) failed_calls: u64,
    /// Records written or read.
    pub(crate) records: u64,
    /// Records refused inside a successful call.
    pub(crate) failed_records: u64,
    /// Payload bytes written or read.
    pub(crate) bytes: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            latency: Histogram::new_with_bounds(1, 600_000_000, 3)
                .expect("the bounds are in order and the precision is allowed"),
            calls: 0,
            failed_calls: 0,
            records: 0,
            failed_records: 0,
            bytes: 0,
        }
    }

    pub(crate) fn time(&mut self, micros: u64) {
        self.latency.saturating_record(micros.max(1));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("both histograms have the same bounds");
        self.calls += other.calls;
        self.failed_calls += other.failed_calls;
        self.records += other.records;
        self.failed_records += other.failed_records;
        self.bytes += other.bytes;
    }
}
