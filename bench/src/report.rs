//! What a run says: a table for people, JSON for programs, both with the conditions.

use std::path::Path;

use serde_json::{Value, json};

use crate::arguments::Load;
use crate::client::Failure;
use crate::latency::Tally;

/// One measured line.
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// Measured seconds.
    pub(crate) seconds: f64,
    /// Records of the whole run, warm-up included.
    pub(crate) all_records: u64,
    /// Processor seconds of this process, floors' servers included.
    pub(crate) generator_cpu_seconds: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^52")]
impl Outcome {
    pub(crate) fn new() -> Self {
        Self { tally: Tally::new(), seconds: 0.0, all_records: 0, generator_cpu_seconds: 0.0 }
    }

    pub(crate) fn calls_per_second(&self) -> f64 {
        self.tally.calls as f64 / self.seconds
    }

    pub(crate) fn records_per_second(&self) -> f64 {
        self.tally.records as f64 / self.seconds
    }

    pub(crate) fn megabytes_per_second(&self) -> f64 {
        self.tally.bytes as f64 / self.seconds / 1e6
    }

    /// Mean payload of one call, in bytes.
    pub(crate) fn answer_bytes(&self) -> usize {
        usize::try_from(self.tally.bytes / self.tally.calls.max(1)).unwrap_or(usize::MAX)
    }

    /// Latency at a percentile, in milliseconds.
    pub(crate) fn millis(&self, percentile: f64) -> f64 {
        self.tally.latency.value_at_percentile(percentile) as f64 / 1e3
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "seconds": self.seconds,
            "calls_per_second": self.calls_per_second(),
            "records_per_second": self.records_per_second(),
            "payload_megabytes_per_second": self.megabytes_per_second(),
            "failed_calls": self.tally.failed_calls,
            "failed_records": self.tally.failed_records,
            "generator_cpu_seconds": self.generator_cpu_seconds,
            "latency_ms": {
                "p50": self.millis(50.0), "p90": self.millis(90.0), "p99": self.millis(99.0),
                "p99.9": self.millis(99.9), "max": self.millis(100.0),
            },
        })
    }
}

/// All lines of one run.
pub(crate) struct Report {
    what: &'static str,
    load: Load,
    lines: Vec<(String, Value, String)>,
    notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(what: &'static str, load: &Load) -> Self {
        Self { what, load: load.clone(), lines: Vec::new(), notes: Vec::new() }
    }

    pub(crate) fn add(&mut self, name: &str, outcome: &Outcome) {
        let row = format!(
            "{name:<24} {:>10.0} {:>12.0} {:>9.1} {:>9.3} {:>9.3} {:>9.3} {:>8} {:>7.0}%",
            outcome.calls_per_second(),
            outcome.records_per_second(),
            outcome.megabytes_per_second(),
            outcome.millis(50.0),
            outcome.millis(99.0),
            outcome.millis(99.9),
            outcome.tally.failed_calls + outcome.tally.failed_records,
            outcome.generator_cpu_seconds / (outcome.seconds + self.load.warm_up) * 100.0,
        );
        self.lines.push((name.to_owned(), outcome.json(), row));
    }

    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Prints the table and writes the JSON.
    pub(crate) fn finish(self, json_path: Option<&Path>) -> Result<(), Failure> {
        use std::io::Write;
        let mut out = std::io::stdout().lock();
        let load = &self.load;
        writeln!(
            out,
            "{} {}: {} shards, {} x {} B, {} connections, {:?}, HTTP {}, {}",
            self.what,
            load.endpoint,
            load.shards,
            load.batch,
            load.record_bytes,
            load.connections,
            load.encoding,
            match load.http {
                crate::arguments::Http::One => "1.1",
                crate::arguments::Http::Two => "2",
            },
            load.rate.map_or_else(|| "closed loop".to_owned(), |rate| format!("{rate} calls/s")),
        )?;
        writeln!(out, "{}", conditions_text())?;
        writeln!(
            out,
            "{:<24} {:>10} {:>12} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8}",
            "",
            "calls/s",
            "records/s",
            "MB/s",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "failed",
            "gen. cpu"
        )?;
        for (_, _, row) in &self.lines {
            writeln!(out, "{row}")?;
        }
        for note in &self.notes {
            writeln!(out, "{note}")?;
        }
        if let Some(path) = json_path {
            let lines: serde_json::Map<_, _> =
                self.lines.iter().map(|(name, value, _)| (name.clone(), value.clone())).collect();
            let whole = json!({
                "what": self.what, "shards": load.shards, "batch": load.batch,
                "record_bytes": load.record_bytes, "connections": load.connections,
                "conditions": conditions_text(), "lines": lines, "notes": self.notes,
            });
            write_file(path, whole.to_string().as_bytes())?;
        }
        Ok(())
    }
}

/// Machine and kernel in one line.
pub(crate) fn conditions_text() -> String {
    let name = rustix::system::uname();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!(
        "conditions: {cores} cores shared by generator and server, kernel {}",
        name.release().to_string_lossy()
    )
}

/// Processor time of this process so far, in seconds.
pub(crate) fn process_cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "a process uses far less than 2^52 ns")]
    let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    seconds
}

/// Writes a result file.
#[expect(clippy::disallowed_methods, reason = "a result file is no part of a store")]
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()).into())
}
