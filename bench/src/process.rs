//! What a process uses: processor time, resident memory, bytes to the device. Read from `/proc`,
//! for a process and all its descendants, since some servers are a launcher and its workers.

use crate::client::Failure;

/// What processes have used up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// Processor time in user and system mode, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Bytes on their way to the device: written directly, or made dirty in the page cache.
    pub(crate) device_bytes: u64,
    /// Resident memory, in bytes.
    pub(crate) resident_bytes: u64,
    /// The part of it that no file backs, in bytes.
    pub(crate) anonymous_bytes: u64,
}

impl Usage {
    /// Of a process and its descendants.
    pub(crate) fn of(pid: u32) -> Result<Self, Failure> {
        let mut sum = one(pid)?;
        for child in children(pid) {
            // A child may end between the listing and the reading.
            let Ok(used) = Self::of(child) else { continue };
            sum.cpu_seconds += used.cpu_seconds;
            sum.device_bytes += used.device_bytes;
            sum.resident_bytes += used.resident_bytes;
            sum.anonymous_bytes += used.anonymous_bytes;
        }
        Ok(sum)
    }

    /// What was used since `before`; memory as it is now.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            device_bytes: self.device_bytes.saturating_sub(before.device_bytes),
            ..self
        }
    }
}

/// Processor time of this process so far, in seconds.
pub(crate) fn own_cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "a process uses far less than 2^52 ns")]
    let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    seconds
}

fn one(pid: u32) -> Result<Usage, Failure> {
    let file = |name: &str| {
        let path = format!("/proc/{pid}/{name}");
        std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
    };
    let status = file("status")?;
    // The bytes of a process of another user are not shown; they count as none.
    let io = file("io").unwrap_or_default();
    Ok(Usage {
        cpu_seconds: cpu_seconds(&file("stat")?).ok_or("/proc shows no processor time")?,
        device_bytes: member(&io, "write_bytes:").unwrap_or(0),
        resident_bytes: member(&status, "VmRSS:").unwrap_or(0) << 10,
        anonymous_bytes: member(&status, "RssAnon:").unwrap_or(0) << 10,
    })
}

/// Processes whose parent is `pid`. Not every kernel lists them, so all processes are asked.
fn children(pid: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|other| {
            let stat = std::fs::read_to_string(format!("/proc/{other}/stat")).unwrap_or_default();
            parent(&stat) == Some(pid)
        })
        .collect()
}

/// Field 4 of `/proc/PID/stat`.
fn parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// Fields 14 and 15 of `/proc/PID/stat`; the name in field 2 may hold spaces and brackets.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut ticks = rest.split_whitespace().skip(11).map(str::parse::<f64>);
    let sum = ticks.next()?.ok()? + ticks.next()?.ok()?;
    Some(sum / ticks_per_second())
}

#[expect(clippy::cast_precision_loss, reason = "a hundred or a thousand")]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

fn member(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 3 0 10";
        let ticks = cpu_seconds(stat).unwrap() * ticks_per_second();
        assert!((ticks - 200.0).abs() < 1e-6);
    }

    #[test]
    fn this_process_uses_memory_and_is_found() {
        let used = Usage::of(std::process::id()).unwrap();
        assert!(used.resident_bytes > used.anonymous_bytes && used.anonymous_bytes > 0);
    }

    #[test]
    fn a_child_counts_with_its_parent() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let found = children(std::process::id()).contains(&child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found);
    }
}
