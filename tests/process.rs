//! What the kernel tells of another process. All of it panics when the process is gone.
#![expect(clippy::disallowed_methods, reason = "these files are the kernel's, not the store's")]

use std::path::PathBuf;

fn proc(process: u32, name: &str) -> PathBuf {
    format!("/proc/{process}/{name}").into()
}

fn text(process: u32, name: &str) -> String {
    let bytes = std::fs::read(proc(process, name)).expect("the process runs");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn entries(process: u32, name: &str) -> usize {
    std::fs::read_dir(proc(process, name)).expect("the process runs").count()
}

/// A number of its status.
fn status(process: u32, name: &str) -> u64 {
    let status = text(process, "status");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    number.and_then(|number| number.parse().ok()).expect("the kernel tells this of all processes")
}

/// Resident memory, in KiB.
pub fn resident_kib(process: u32) -> u64 {
    status(process, "VmRSS")
}

/// Resident memory that no file stands behind, in KiB.
pub fn private_kib(process: u32) -> u64 {
    status(process, "RssAnon")
}

/// The most resident memory it ever had, in KiB.
pub fn peak_kib(process: u32) -> u64 {
    status(process, "VmHWM")
}

/// Threads.
pub fn threads(process: u32) -> usize {
    entries(process, "task")
}

/// Open descriptors.
pub fn descriptors(process: u32) -> usize {
    entries(process, "fd")
}

/// Mapped areas.
pub fn maps(process: u32) -> usize {
    text(process, "maps").lines().count()
}

/// Processor time used so far, in ticks of the kernel (100 a second).
pub fn cpu_ticks(process: u32) -> u64 {
    let stat = text(process, "stat");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}
