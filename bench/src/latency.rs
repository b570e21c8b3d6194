//! What a stretch of load counted. Latencies are free of coordinated omission: in an open loop a
//! call counts from the moment it was due, not from the moment it could be sent.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest time told apart, in microseconds.
const MICROS_MAX: u64 = 600_000_000;

/// Counts of one stretch.
#[derive(Clone)]
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

/// What one call brought.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Call {
    pub(crate) success: bool,
    pub(crate) records: u64,
    pub(crate) failed_records: u64,
    pub(crate) bytes: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            latency: Histogram::new_with_bounds(1, MICROS_MAX, 3)
                .expect("the bounds are in order and the precision is allowed"),
            calls: 0,
            failed_calls: 0,
            records: 0,
            failed_records: 0,
            bytes: 0,
        }
    }

    /// Counts a call that took so long.
    pub(crate) fn count(&mut self, call: Call, time: Duration) {
        self.time(time);
        self.calls += u64::from(call.success);
        self.failed_calls += u64::from(!call.success);
        self.records += call.records;
        self.failed_records += call.failed_records;
        self.bytes += call.bytes;
    }

    pub(crate) fn time(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_counted_where_it_belongs() {
        let mut tally = Tally::new();
        let call = Call { success: true, records: 3, failed_records: 2, bytes: 30 };
        tally.count(call, Duration::from_millis(5));
        tally.count(Call::default(), Duration::from_millis(7));
        assert_eq!((tally.calls, tally.failed_calls, tally.records), (1, 1, 3));
        assert_eq!((tally.failed_records, tally.bytes), (2, 30));
        assert_eq!(tally.latency.value_at_percentile(50.0) / 100, 50);
    }
}
