//! Engine settings: unit, default, effect.

use std::path::PathBuf;

/// What an acknowledgement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On the device: survives kill -9 and power loss.
    Fsync,
    /// In memory: for tests and upper bounds.
    None,
}

/// How to run a store. `Config::new` gives the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory.
    pub directory: PathBuf,
    /// What an acknowledgement means. Default: on the device.
    pub durability: Durability,
    /// Bytes of one commit-log file. Default 64 MiB; the very first file is small.
    pub log_file_bytes: u64,
    /// A checkpoint starts after this many bytes of log. Default 256 MiB.
    pub checkpoint_log_bytes: u64,
    /// A checkpoint starts this long after the first write that follows the last one. Default 15 s.
    pub checkpoint_interval_ms: u64,
    /// Upper bound of one group of batches, in bytes; one larger append still passes. Default 8 MiB.
    pub group_bytes_max: usize,
    /// Bytes of appends that may wait for the log thread. Default 64 MiB.
    pub queue_bytes_max: usize,
    /// A segment is sealed when it is this large. Default 64 MiB.
    pub segment_bytes_max: u64,
    /// A segment is sealed when its first record is this old. Default 1 h.
    pub segment_age_max_ms: u64,
    /// A segment is sealed when nothing was appended for this long. Default 10 min.
    pub segment_idle_max_ms: u64,
    /// Bytes of recent batches kept in memory over all shards. Default 256 MiB.
    pub tail_cache_bytes_max: usize,
    /// Segments that may be mapped at once; 0 takes the smaller of 16,384 and a quarter of
    /// `vm.max_map_count`.
    pub mapped_segments_max: usize,
    /// Segment files open for writing at once. Default 512.
    pub open_segments_max: usize,
    /// Appends are refused when less space than this is free. Default 256 MiB.
    pub reserve_bytes: u64,
    /// How often retention removes expired segments and shards. Default 1 s.
    pub retention_interval_ms: u64,
}

impl Config {
    /// Defaults for `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        const MIB: usize = 1 << 20;
        Self {
            directory: directory.into(),
            durability: Durability::Fsync,
            log_file_bytes: 64 << 20,
            checkpoint_log_bytes: 256 << 20,
            checkpoint_interval_ms: 15_000,
            group_bytes_max: 8 * MIB,
            queue_bytes_max: 64 * MIB,
            segment_bytes_max: 64 << 20,
            segment_age_max_ms: 3_600_000,
            segment_idle_max_ms: 600_000,
            tail_cache_bytes_max: 256 * MIB,
            mapped_segments_max: 0,
            open_segments_max: 512,
            reserve_bytes: 256 << 20,
            retention_interval_ms: 1_000,
        }
    }
}
