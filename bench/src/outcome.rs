//! What one measurement found, and the figures made of it.

use std::collections::BTreeMap;

use crate::latency::Tally;
use crate::process::Usage;

/// Named figures of one measurement. The unit is the end of the name.
pub(crate) type Sample = BTreeMap<&'static str, f64>;

/// Names of figures.
pub(crate) mod figure {
    pub(crate) const CALLS: &str = "calls_per_second";
    pub(crate) const RECORDS: &str = "records_per_second";
    pub(crate) const MEGABYTES: &str = "megabytes_per_second";
    pub(crate) const P50: &str = "p50_ms";
    pub(crate) const P90: &str = "p90_ms";
    pub(crate) const P99: &str = "p99_ms";
    pub(crate) const P999: &str = "p999_ms";
    pub(crate) const LONGEST: &str = "max_ms";
    pub(crate) const FAILED: &str = "failed";
    /// Processor time of the generator by time passed: 1 is a whole core.
    pub(crate) const GENERATOR_CORES: &str = "generator_cores";
    /// The same of the server.
    pub(crate) const SERVER_CORES: &str = "server_cores";
    /// Processor time of the server.
    pub(crate) const CPU_PER_MILLION: &str = "server_cpu_seconds_per_million_records";
    pub(crate) const CPU_PER_GIGABYTE: &str = "server_cpu_seconds_per_gigabyte";
    /// Bytes to the device for each byte of payload.
    pub(crate) const DEVICE_BYTES: &str = "device_bytes_per_byte";
    pub(crate) const RESIDENT: &str = "server_resident_mib";
    pub(crate) const MILLIS: &str = "ms";
    pub(crate) const MEBIBYTES: &str = "mib";
    pub(crate) const KIBIBYTES: &str = "kib";
    pub(crate) const OFFERED: &str = "offered_per_second";
}

/// One measurement.
pub(crate) struct Outcome {
    /// Of the measured stretch.
    pub(crate) tally: Tally,
    /// Length of the measured stretch, in seconds.
    pub(crate) seconds: f64,
    /// Of the whole run, warm-up included.
    pub(crate) all_seconds: f64,
    pub(crate) all_records: u64,
    pub(crate) all_bytes: u64,
    /// Processor time of this process over the whole run, in seconds.
    pub(crate) generator_cpu_seconds: f64,
    /// What the server used over the whole run, if its process is known.
    pub(crate) server: Option<Usage>,
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^52")]
impl Outcome {
    pub(crate) fn new() -> Self {
        Self {
            tally: Tally::new(),
            seconds: 0.0,
            all_seconds: 0.0,
            all_records: 0,
            all_bytes: 0,
            generator_cpu_seconds: 0.0,
            server: None,
        }
    }

    pub(crate) fn calls_per_second(&self) -> f64 {
        self.tally.calls as f64 / self.seconds
    }

    /// Mean payload of one call, in bytes.
    pub(crate) fn bytes_per_call(&self) -> usize {
        usize::try_from(self.tally.bytes / self.tally.calls.max(1)).unwrap_or(usize::MAX)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.tally.failed_calls + self.tally.failed_records
    }

    /// All figures that are known.
    pub(crate) fn sample(&self) -> Sample {
        let millis = |percentile| self.tally.latency.value_at_percentile(percentile) as f64 / 1e3;
        let mut sample = Sample::from([
            (figure::CALLS, self.calls_per_second()),
            (figure::RECORDS, self.tally.records as f64 / self.seconds),
            (figure::MEGABYTES, self.tally.bytes as f64 / self.seconds / 1e6),
            (figure::FAILED, self.failed() as f64),
            (figure::GENERATOR_CORES, self.generator_cpu_seconds / self.all_seconds),
        ]);
        if !self.tally.latency.is_empty() {
            sample.extend([
                (figure::P50, millis(50.0)),
                (figure::P90, millis(90.0)),
                (figure::P99, millis(99.0)),
                (figure::P999, millis(99.9)),
                (figure::LONGEST, millis(100.0)),
            ]);
        }
        if let Some(used) = self.server {
            sample.insert(figure::SERVER_CORES, used.cpu_seconds / self.all_seconds);
            sample.insert(figure::RESIDENT, used.resident_bytes as f64 / 1_048_576.0);
            if self.all_records > 0 {
                let millions = self.all_records as f64 / 1e6;
                sample.insert(figure::CPU_PER_MILLION, used.cpu_seconds / millions);
                let gigabytes = self.all_bytes as f64 / 1e9;
                sample.insert(figure::CPU_PER_GIGABYTE, used.cpu_seconds / gigabytes);
            }
        }
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_shared_among_all_records_of_a_run() {
        let mut outcome = Outcome::new();
        (outcome.seconds, outcome.all_seconds) = (2.0, 4.0);
        (outcome.all_records, outcome.all_bytes) = (500_000, 500_000_000);
        outcome.tally.records = 250_000;
        outcome.server = Some(Usage { cpu_seconds: 3.0, ..Usage::default() });
        let sample = outcome.sample();
        assert!((sample[figure::CPU_PER_MILLION] - 6.0).abs() < 1e-9);
        assert!((sample[figure::CPU_PER_GIGABYTE] - 6.0).abs() < 1e-9);
        assert!((sample[figure::SERVER_CORES] - 0.75).abs() < 1e-9);
        assert!((sample[figure::RECORDS] - 125_000.0).abs() < 1e-6);
    }

    #[test]
    fn figures_of_an_unknown_server_are_left_out() {
        let mut outcome = Outcome::new();
        (outcome.seconds, outcome.all_seconds) = (1.0, 1.0);
        assert!(!outcome.sample().contains_key(figure::SERVER_CORES));
        assert!(!outcome.sample().contains_key(figure::P50));
    }
}
