//! Public failures: one enum for each thing a caller can ask, built of small shared values.
//! Variants carry values; the text is made once, here.

use std::path::PathBuf;

use crate::types::{Ordinal, ShardIndex, StreamKey, Timestamp};

/// What the kernel (or its simulation) said.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation} {path}: {message}", path = path.display())]
pub struct DeviceError {
    /// The operation, as a verb phrase: "write", "sync", "open".
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// Offset in bytes where it applies.
    pub offset: Option<u64>,
    /// Kind of failure; `StorageFull` and `QuotaExceeded` mean a full disk.
    pub kind: std::io::ErrorKind,
    /// The system's own words.
    pub message: String,
}

impl DeviceError {
    /// From an I/O error.
    pub fn new(operation: &'static str, path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        Self {
            operation,
            path: path.into(),
            offset: None,
            kind: error.kind(),
            message: error.to_string(),
        }
    }

    /// The same with the offset it happened at.
    #[must_use]
    pub const fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// True when the disk is full or the quota is used up.
    pub const fn is_full(&self) -> bool {
        matches!(self.kind, std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    }
}

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Fewer bytes than the structure needs.
    #[error("{what}: needs {needed} bytes, has {available}")]
    Short {
        /// The structure.
        what: &'static str,
        /// Bytes it needs.
        needed: u64,
        /// Bytes there are.
        available: u64,
    },
    /// The magic number is another one.
    #[error("{what}: not a {what} (magic {found:#x})")]
    Magic {
        /// The structure.
        what: &'static str,
        /// What stands there.
        found: u64,
    },
    /// A version this program does not know.
    #[error("{what}: format version {found}, newest known is {newest}")]
    Version {
        /// The structure.
        what: &'static str,
        /// What stands there.
        found: u32,
        /// What this program knows.
        newest: u32,
    },
    /// A checksum does not match.
    #[error("{what}: checksum {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// The structure.
        what: &'static str,
        /// Sum of the bytes found.
        found: u32,
        /// Sum stored with them.
        expected: u32,
    },
    /// A field is outside its range, or contradicts another one.
    #[error("{what}: field {field} has the impossible value {found}")]
    Field {
        /// The structure.
        what: &'static str,
        /// The field.
        field: &'static str,
        /// Its value.
        found: u64,
    },
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("data directory {path} is in use by another process; stop it or choose another directory", path = path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The directory holds files, none of them ours.
    #[error("data directory {path} holds files that are not Kinelog's ({file}); choose an empty directory", path = path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// One of the files.
        file: String,
    },
    /// Written by a newer program.
    #[error("{file} has format version {found}, this program knows {newest}; use a newer kinelog", file = file.display())]
    TooNew {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: u32,
        /// Newest known version.
        newest: u32,
    },
    /// Damage that would lose acknowledged data if start-up went on.
    #[error("{file}: {reason}; run `kinelog verify` on the directory", file = file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong, in one clause.
        reason: String,
    },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Why an append was refused; nothing of the run was stored, but for `Stopped`, after which the
/// outcome is unknown.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The shard is closed or gone.
    #[error("shard {0} is closed")]
    ShardClosed(ShardIndex),
    /// The queue into the log is full.
    #[error("more than {limit} bytes wait for the log device")]
    Overloaded {
        /// The bound, in bytes.
        limit: usize,
    },
    /// Too little space is left; writes resume when space is freed.
    #[error(
        "the disk is nearly full: {free} bytes free, {reserve} kept in reserve; writes resume when space is freed"
    )]
    DiskFull {
        /// Bytes free.
        free: u64,
        /// Bytes the store keeps free.
        reserve: u64,
    },
    /// A write or sync failed; writes stay refused until a restart has reread the disk.
    #[error("writes stopped: {reason}")]
    Stopped {
        /// The first failure.
        reason: String,
    },
}

/// Why a read failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The shard is gone: expired, or its stream deleted.
    #[error("the shard does not exist any more")]
    ShardGone,
    /// The stored bytes from `first` to `last` fail their checks. Reading goes on after `last`.
    #[error("records {first} to {last} of shard {shard} are damaged in {file}", file = file.display())]
    Damaged {
        /// The shard.
        shard: ShardIndex,
        /// First damaged record.
        first: Ordinal,
        /// Last damaged record.
        last: Ordinal,
        /// The file.
        file: PathBuf,
    },
    /// Bytes of a mapped file went away while they were read. Another read maps what is left.
    #[error(
        "a segment file of shard {shard} was cut, or cannot be read any more, while it was being read; read again"
    )]
    MapLost {
        /// The shard.
        shard: ShardIndex,
    },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Why a metadata change failed; nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CatalogError {
    /// The key is taken.
    #[error("stream {name} exists", name = .0.name)]
    StreamExists(StreamKey),
    /// No such stream.
    #[error("the stream does not exist")]
    StreamNotFound,
    /// A shard named in a reshard does not exist or is closed already.
    #[error("shard {0} is not open")]
    ShardNotOpen(ShardIndex),
    /// A record of a shard has arrived after the time at which its arrivals were to end.
    #[error("a record has arrived at {0} already, after the end of arrivals asked for")]
    ArrivedLater(Timestamp),
    /// After the change the open shards would not cover the hash key space exactly once.
    #[error("the open shards would not cover the hash key space exactly once")]
    Coverage,
    /// Too little space is left.
    #[error("the disk is nearly full: {free} bytes free, {reserve} kept in reserve")]
    DiskFull {
        /// Bytes free.
        free: u64,
        /// Bytes the store keeps free.
        reserve: u64,
    },
    /// A write or sync failed before; changes stay refused until a restart has reread the disk.
    #[error("changes stopped: {reason}")]
    Stopped {
        /// The first failure.
        reason: String,
    },
}
