//! A manifest slot: what a checkpoint made durable. Two files take turns.
//!
//! ```text
//! page header (kind Manifest), then at 4096:
//!  0 u64 generation, from 1          8 u64 replay: log file sequence
//! 16 u64 replay: offset in it       24 u64 replay: group number   32 u64 replay: log position
//! 40 u32 replay: crc of the group before    44 u32 epoch
//! 48 u32 entries   52 u32 zero   56 u64 last shard uid ever seen
//! 64 entries x 64 bytes, then u32 crc over bytes 4096.. up to it
//! entry:  0 u64 shard uid   8 u64 next ordinal   16 u64 first kept ordinal
//!        24 u64 active segment id (0 none)  32 u64 its base ordinal  40 u64 its durable bytes
//!        48 u64 last arrival  56 u64 last sealed or active segment id (the next one's previous)
//! ```

use crate::error::FormatError;
use crate::types::{Epoch, Ordinal, SegmentId, ShardUid, StoreId, Timestamp};

/// Where replay starts: the first group not covered by the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayStart {
    /// Sequence of the log file.
    pub sequence: u64,
    /// Offset in it.
    pub offset: u64,
    /// Number of the next group.
    pub group_number: u64,
    /// Its log position.
    pub position: u64,
    /// Header CRC of the group before it.
    pub previous_crc: u32,
}

/// State of one shard at the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardFloor {
    /// The shard.
    pub shard: ShardUid,
    /// Ordinal the next record gets.
    pub next: Ordinal,
    /// First ordinal retention has kept; everything below is gone for good.
    pub first_kept: Ordinal,
    /// The segment being appended to, if any.
    pub active: Option<ActiveFloor>,
    /// Arrival of the last record.
    pub last_arrival: Timestamp,
    /// The newest segment, active or sealed; 0 when there was none.
    pub last_segment: SegmentId,
}

/// The active segment at the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveFloor {
    /// Its id.
    pub segment: SegmentId,
    /// Its first ordinal.
    pub base: Ordinal,
    /// Bytes of it that are durable.
    pub bytes: u64,
}

/// A whole slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Rises by 1 with every checkpoint.
    pub generation: u64,
    /// Where replay starts.
    pub replay: ReplayStart,
    /// Epoch of the store that wrote it.
    pub epoch: Epoch,
    /// Shards that have ever had a record, by uid.
    pub shards: Vec<ShardFloor>,
}

/// The slot as stored, page header included.
pub fn encode(manifest: &Manifest, store: StoreId) -> Vec<u8> {
    let _ = (manifest, store);
    todo!()
}

/// Reads a slot. One CRC covers it: a damaged slot is refused whole, the other one serves.
///
/// # Errors
///
/// Any `FormatError`.
pub fn decode(bytes: &[u8], store: StoreId) -> Result<Manifest, FormatError> {
    let _ = (bytes, store);
    todo!()
}
