//! What has been put so far, and how fast.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::commands::figures;

/// Time over which the rate of the moment is taken.
const WINDOW: Duration = Duration::from_secs(2);

/// Shared by all lanes.
#[derive(Debug)]
pub(super) struct Tally {
    since: Instant,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    records: u64,
    bytes: u64,
    throttled: u64,
    failed: u64,
    overtaken: u64,
    /// Time and bytes of moments in the window, oldest first.
    moments: VecDeque<(Instant, u64)>,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), counts: Mutex::default() }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts stored records, their bytes of data, and the records they overtook: earlier ones with
    /// the same key.
    pub(super) fn stored(&self, records: u64, bytes: u64, overtaken: u64) {
        self.change(|counts| {
            counts.records += records;
            counts.bytes += bytes;
            counts.overtaken += overtaken;
        });
    }

    /// Counts records sent again: those refused for the rate of their shard, and those refused or
    /// lost for any other reason.
    pub(super) fn sent_again(&self, throttled: u64, failed: u64) {
        self.change(|counts| {
            counts.throttled += throttled;
            counts.failed += failed;
        });
    }

    /// One line for somebody who waits.
    pub(super) fn progress(&self) -> String {
        let now = Instant::now();
        self.change(|counts| {
            counts.moments.push_back((now, counts.bytes));
            while counts.moments.front().is_some_and(|(time, _)| now - *time > WINDOW) {
                counts.moments.pop_front();
            }
            let (time, bytes) = counts.moments.front().copied().unwrap_or((now, counts.bytes));
            let rate = figures::per_second(counts.bytes - bytes, now - time);
            format!(
                "{} records, {}, {}/s{}",
                figures::count(counts.records),
                figures::bytes(counts.bytes),
                figures::amount(rate),
                counts.again()
            )
        })
    }

    /// The whole, once it is over.
    pub(super) fn summary(&self, stream: &str) -> String {
        let time = self.since.elapsed();
        self.change(|counts| {
            let records = if counts.records == 1 { "record" } else { "records" };
            let overtaken = match counts.overtaken {
                0 => String::new(),
                overtaken => format!(
                    "; {} stored after a later one with the same key (--ordered rules that out)",
                    figures::count(overtaken)
                ),
            };
            format!(
                "{} {records} ({}) put into {stream} in {}: {} records/s, {}/s{}{overtaken}",
                figures::count(counts.records),
                figures::bytes(counts.bytes),
                figures::seconds(time),
                figures::rate(figures::per_second(counts.records, time)),
                figures::amount(figures::per_second(counts.bytes, time)),
                counts.again()
            )
        })
    }
}

impl Counts {
    fn again(&self) -> String {
        let named = [(self.throttled, "throttled"), (self.failed, "failed and sent again")];
        let told = named.iter().filter(|(count, _)| *count > 0);
        told.map(|(count, word)| format!(", {} {word}", figures::count(*count)))
            .collect::<Vec<_>>()
            .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_tell_only_what_happened() {
        let tally = Tally::new();
        let smooth = tally.summary("s");
        assert!(smooth.starts_with("0 records (0 B) put into s in 0.0 s: 0 records/s"), "{smooth}");
        assert!(!smooth.contains("throttled") && !smooth.contains("--ordered"), "{smooth}");
        tally.stored(1, 1500, 1);
        tally.sent_again(2000, 3);
        let rough = tally.summary("s");
        assert!(rough.starts_with("1 record (1.50 kB) put into s in "), "{rough}");
        let end = ", 2,000 throttled, 3 failed and sent again; 1 stored after a later one with the \
                   same key (--ordered rules that out)";
        assert!(rough.ends_with(end), "{rough}");
        assert!(tally.progress().starts_with("1 records, 1.50 kB, 0 B/s, 2,000 throttled"));
    }
}
