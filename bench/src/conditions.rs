//! What a figure depends on: machine, kernel, file system, device and durability mode.

use std::path::Path;

use serde_json::{Value, json};

use crate::client::Failure;
use crate::floors::device;

/// The conditions of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) machine: String,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    /// Time of a durable 4 KiB write alone, in milliseconds.
    pub(crate) flush_p50_ms: f64,
    pub(crate) flush_p99_ms: f64,
    /// What an acknowledgement means, as far as it is known.
    pub(crate) durability: String,
    pub(crate) rounds: String,
    /// Runnable threads on average when it began: what else the machine did.
    pub(crate) load_average: String,
    pub(crate) day: String,
}

impl Conditions {
    /// Looks around; writes to the device of `directory` for a moment.
    pub(crate) fn of(directory: &Path, durability: &str, rounds: String) -> Result<Self, Failure> {
        let flush = device::write(directory, 4096, 0.25)?;
        let name = rustix::system::uname();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let memory = member(&text("/proc/meminfo"), "MemTotal");
        let memory: u64 =
            memory.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
        let processor = member(&text("/proc/cpuinfo"), "model name");
        let load = text("/proc/loadavg");
        let millis = |percentile| {
            #[expect(clippy::cast_precision_loss, reason = "microseconds of one write")]
            let micros = flush.tally.latency.value_at_percentile(percentile) as f64;
            micros / 1e3
        };
        Ok(Self {
            machine: format!(
                "{cores} cores ({processor}) shared by generator and server, {} GiB of memory",
                memory >> 20
            ),
            kernel: format!(
                "{} {}",
                name.sysname().to_string_lossy(),
                name.release().to_string_lossy()
            ),
            file_system: file_system(&text("/proc/self/mountinfo"), &directory.canonicalize()?),
            flush_p50_ms: millis(50.0),
            flush_p99_ms: millis(99.0),
            durability: durability.to_owned(),
            rounds,
            load_average: load.split_whitespace().next().unwrap_or_default().to_owned(),
            day: today(),
        })
    }

    /// For people.
    pub(crate) fn words(&self) -> String {
        format!(
            "{}, {}, {}; a durable 4 KiB write alone takes {:.3} ms (p99 {:.3} ms); durability: {}; {}; \
             load average before: {}; {}",
            self.machine,
            self.kernel,
            self.file_system,
            self.flush_p50_ms,
            self.flush_p99_ms,
            self.durability,
            self.rounds,
            self.load_average,
            self.day
        )
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "machine": self.machine, "kernel": self.kernel, "file_system": self.file_system,
            "flush_p50_ms": self.flush_p50_ms, "flush_p99_ms": self.flush_p99_ms,
            "durability": self.durability, "rounds": self.rounds,
            "load_average": self.load_average, "day": self.day,
        })
    }
}

fn member(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

/// Type and source of the mount with the longest path above `directory`.
fn file_system(mounts: &str, directory: &Path) -> String {
    let of = |line: &str| {
        let (place, kind) = line.split_once(" - ")?;
        let point = place.split(' ').nth(4)?;
        let mut kind = kind.split(' ');
        let words = format!("{} on {}", kind.next()?, kind.next()?);
        directory.starts_with(point).then_some((point.len(), words))
    };
    let longest = mounts.lines().filter_map(of).max_by_key(|(length, _)| *length);
    longest.map_or_else(|| "unknown file system".to_owned(), |(_, words)| words)
}

#[expect(clippy::disallowed_methods, reason = "the generator stands outside the engine's seam")]
fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let date = kinelog::aws::basic_date::format(since.map_or(0, |passed| passed.as_secs()));
    match (date.get(..4), date.get(4..6), date.get(6..8)) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_is_the_file_system() {
        let mounts = "1 0 8:1 / / rw shared:1 - ext4 /dev/vda rw\n\
                      2 1 0:5 / /data rw - xfs /dev/vdb rw\n\
                      3 1 0:6 / /da rw - tmpfs none rw\n";
        assert_eq!(file_system(mounts, Path::new("/data/x")), "xfs on /dev/vdb");
        assert_eq!(file_system(mounts, Path::new("/home")), "ext4 on /dev/vda");
        assert_eq!(file_system("", Path::new("/")), "unknown file system");
    }
}
