//! What the system lends this process, and who gets how much of it: a server that is asked for more
//! than there is refuses, instead of taking the store's share.

use std::path::{Path, PathBuf};

use kinelog_engine::config::Config;
use kinelog_engine::device::Files;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::http::Bounds;
use crate::kinesis::context;
use crate::limits;
use crate::server::Settings;

/// Most descriptors kept for all that is no connection: segments twice over, for writers and readers,
/// and a quarter for logs, listeners and operators.
const KEPT_DESCRIPTORS_MAX: usize = 1_400;
/// Longest of the kernel's files that are read here.
const KERNEL_FILE_BYTES_MAX: usize = 16 << 10;

/// What was said about memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// For bodies.
    pub(crate) body_bytes: Option<usize>,
    /// For the newest records.
    pub(crate) cache_bytes: Option<usize>,
}

/// Gives the store and the front end what they may have.
pub(super) async fn share(
    store: &mut Config,
    settings: &mut Settings,
    given: Memory,
    files: &dyn Files,
) {
    let descriptors = descriptors();
    let bounds = &mut settings.http.bounds;
    bounds.connections_max = bounds.connections_max.min(descriptors.connections);
    store.open_segments_max = store.open_segments_max.min(descriptors.segments);
    let allowed = usize::try_from(memory(files).await).unwrap_or(usize::MAX);
    share_memory(allowed, store, bounds, &mut settings.kinesis, given);
}

/// Gives the store and the front end what they may have of `allowed` bytes.
fn share_memory(
    allowed: usize,
    store: &mut Config,
    bounds: &mut Bounds,
    service: &mut context::Settings,
    given: Memory,
) {
    bounds.body_memory_bytes_max =
        given.body_bytes.unwrap_or_else(|| (allowed / 4).min(bounds.body_memory_bytes_max));
    store.tail_cache_bytes_max =
        given.cache_bytes.unwrap_or_else(|| (allowed / 8).min(store.tail_cache_bytes_max));
    store.queue_bytes_max = store.queue_bytes_max.min(allowed / 8);
    let spare = &mut service.spare_bytes_max;
    *spare = (allowed / 64).min(*spare);
    let cold_reads = &mut service.cold_reads_max;
    *cold_reads = (allowed / limits::COLD_READ_MEMORY_BYTES).clamp(1, *cold_reads);
    tracing::debug!(
        allowed,
        bodies = bounds.body_memory_bytes_max,
        cache = store.tail_cache_bytes_max,
        queue = store.queue_bytes_max,
        "memory"
    );
}

/// Descriptors by use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Descriptors {
    /// For connections of clients.
    connections: usize,
    /// For segments open for writing, and as many again for reading.
    segments: usize,
}

/// Takes all descriptors the system allows (the soft limit is often 1024) and shares them out.
fn descriptors() -> Descriptors {
    let hard = getrlimit(Resource::Nofile).maximum;
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard }) {
        tracing::warn!(%error, "the limit of open files stays as it was");
    }
    let allowed = getrlimit(Resource::Nofile).current;
    let allowed =
        allowed.map_or(usize::MAX, |allowed| usize::try_from(allowed).unwrap_or(usize::MAX));
    let shares = shares(allowed);
    if shares.connections < limits::CONNECTIONS_MAX {
        let connections = shares.connections;
        tracing::warn!(
            allowed,
            connections,
            "few open files are allowed; raise the limit (ulimit -n)"
        );
    }
    shares
}

fn shares(allowed: usize) -> Descriptors {
    let kept = (allowed / 2).min(KEPT_DESCRIPTORS_MAX);
    Descriptors { connections: allowed - kept, segments: kept / 8 * 3 }
}

/// Memory this process may use, in bytes: the least of what its control group, its own limits and the
/// machine allow.
async fn memory(files: &dyn Files) -> u64 {
    let own = [Resource::Data, Resource::As].map(|resource| getrlimit(resource).current);
    let mut allowed = own.into_iter().flatten().min().unwrap_or(u64::MAX);
    for path in groups(&read(files, Path::new("/proc/self/cgroup")).await) {
        // `max`, where there is no limit, is no number.
        allowed =
            read(files, &path).await.trim().parse().map_or(allowed, |limit| allowed.min(limit));
    }
    let machine = read(files, Path::new("/proc/meminfo")).await;
    machine_memory(&machine).map_or(allowed, |machine| allowed.min(machine))
}

/// Where the limits of a process' control groups stand, of either version: its own group's, and those
/// of all above it.
fn groups(own: &str) -> Vec<PathBuf> {
    let unified = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let memory = own.lines().find_map(|line| line.split_once(":memory:/")).map(|(_, path)| path);
    let levels = |root: &'static str, path: &str, file: &'static str| {
        let path = Path::new(root).join(path);
        let above: Vec<_> = path.ancestors().map(Path::to_path_buf).collect();
        above
            .into_iter()
            .filter(move |path| path.starts_with(root))
            .map(move |path| path.join(file))
    };
    let unified = levels("/sys/fs/cgroup", unified.unwrap_or_default(), "memory.max");
    let first =
        levels("/sys/fs/cgroup/memory", memory.unwrap_or_default(), "memory.limit_in_bytes");
    unified.chain(first).collect()
}

fn machine_memory(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

/// A file of the kernel; empty where there is none.
async fn read(files: &dyn Files, path: &Path) -> String {
    let Ok(file) = files.open_read(path).await else { return String::new() };
    let bytes = file.read(0, KERNEL_FILE_BYTES_MAX).await.unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use kinelog_engine::device::posix::PosixFiles;

    use super::*;

    #[test]
    fn connections_leave_the_store_its_descriptors() {
        for (allowed, connections, segments) in [
            (64, 32, 12),
            (256, 128, 48),
            (1_024, 512, 192),
            (4_096, 2_696, 525),
            (20_000, 18_600, 525),
            (1 << 30, (1 << 30) - 1_400, 525),
        ] {
            assert_eq!(shares(allowed), Descriptors { connections, segments }, "{allowed}");
            assert!(connections + 2 * segments < allowed, "{allowed}");
        }
    }

    #[test]
    fn limits_of_all_groups_above_count() {
        let shown = |own| -> Vec<_> {
            groups(own).iter().map(|path| path.to_str().unwrap().to_owned()).collect()
        };
        let second = shown("0::/system.slice/kinelog.service\n");
        assert_eq!(
            second,
            [
                "/sys/fs/cgroup/system.slice/kinelog.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            ]
        );
        let first = shown("5:memory:/docker/x\n4:cpu:/docker/x\n");
        assert!(first.contains(&"/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes".to_owned()));
        assert!(first.contains(&"/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned()));
    }

    #[test]
    fn little_memory_is_shared_out() {
        let shares = |allowed, given| {
            let mut store = Config::new("/data");
            let (mut bounds, mut service) = (Bounds::default(), context::Settings::default());
            share_memory(allowed, &mut store, &mut bounds, &mut service, given);
            [
                bounds.body_memory_bytes_max,
                store.tail_cache_bytes_max,
                store.queue_bytes_max,
                service.spare_bytes_max,
            ]
            .map(|bytes| bytes >> 20)
        };
        let nothing = Memory { body_bytes: None, cache_bytes: None };
        assert_eq!(shares(256 << 20, nothing), [64, 32, 32, 4]);
        assert_eq!(shares(usize::MAX, nothing)[3], limits::SPARE_ANSWER_BYTES_MAX >> 20);
        let given = Memory { body_bytes: Some(100 << 20), cache_bytes: Some(200 << 20) };
        assert_eq!(shares(256 << 20, given), [100, 200, 32, 4]);
    }

    #[tokio::test]
    async fn the_memory_of_this_machine_is_seen() {
        let files = PosixFiles::new(1).unwrap();
        let allowed = memory(&files).await;
        assert!((1 << 20..1 << 50).contains(&allowed), "{allowed}");
    }

    #[test]
    fn memory_of_the_machine_is_in_kib() {
        assert_eq!(machine_memory("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16 << 20));
        assert_eq!(machine_memory("MemFree: 1 kB"), None);
    }
}
