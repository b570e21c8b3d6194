//! One segment: a stretch of one shard's records in one file, named
//! `segments/<shard uid>-<base ordinal>-<segment id>.seg` (16 hex digits each).
//!
//! A segment is active (batches are appended, the index is in memory) and later sealed (a footer
//! ends the file, which never changes again and is read through a map). What the file holds below
//! `readable_bytes` is complete batches that were durable in the commit log before.

pub mod index;
mod lru;
mod map_cache;
mod ranges;
pub(crate) mod scan;
pub(crate) mod sealed;
pub(crate) mod totals;
pub(crate) mod view;

use std::path::{Path, PathBuf};

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::types::{Ordinal, SegmentId, ShardUid};

/// One segment, shared by the log thread (which writes) and readers.
#[derive(Debug)]
pub struct Segment {
    /// Its id.
    pub id: SegmentId,
    /// Its shard.
    pub shard: ShardUid,
    /// Ordinal of its first record.
    pub base: Ordinal,
    /// Its file.
    pub path: PathBuf,
    /// Changed by the log thread only, but for the start of an incomplete index, which a reader
    /// may add (`SparseIndex::complete`).
    pub state: Mutex<SegmentState>,
    /// Set once the file has turned out to be one of another store: it is passed over.
    pub is_foreign: AtomicBool,
}

impl Segment {
    /// True when the file is known to belong to another store.
    pub(crate) fn is_foreign(&self) -> bool {
        self.is_foreign.load(Ordering::Relaxed)
    }
}

/// State of a segment as readers need it.
#[derive(Debug)]
pub enum SegmentState {
    /// Being appended to.
    Active {
        /// Bytes from the start of the file that hold complete batches; grows as copies land.
        readable_bytes: u64,
        /// Index over the batches from `index.from_position` on.
        index: index::SparseIndex,
    },
    /// Ended by a footer; immutable.
    Sealed,
}

/// File name of a segment.
pub fn file_name(shard: ShardUid, base: Ordinal, segment: SegmentId) -> String {
    format!("{:016x}-{:016x}-{:016x}.seg", shard.0, base.0, segment.0)
}

/// The reverse of `file_name`; `None` for any other name.
pub fn parse_file_name(name: &str) -> Option<(ShardUid, Ordinal, SegmentId)> {
    let (shard, rest) = name.strip_suffix(".seg")?.split_once('-')?;
    let (base, segment) = rest.split_once('-')?;
    let hex = |s: &str| {
        let canonical = s.len() == 16 && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        canonical.then(|| u64::from_str_radix(s, 16).ok()).flatten()
    };
    Some((ShardUid(hex(shard)?), Ordinal(hex(base)?), SegmentId(hex(segment)?)))
}

/// Directory of the segments below a data directory.
pub fn directory(data: &Path) -> PathBuf {
    data.join("segments")
}
