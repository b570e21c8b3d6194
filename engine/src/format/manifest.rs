//! A manifest slot: what a checkpoint made durable. Two files take turns.
//!
//! ```text
//! page header (kind Manifest), then at 4096:
//!  0 u64 generation, from 1          8 u64 replay: log file sequence
//! 16 u64 replay: offset in it       24 u64 replay: group number   32 u64 replay: log position
//! 40 u32 replay: crc of the group before    44 u32 epoch
//! 48 u32 entries   52 u32 zero   56 u64 zero
//! 64 entries x 64 bytes, then u32 crc over bytes 4096.. up to it
//! entry:  0 u64 shard uid   8 u64 next ordinal   16 u64 first kept ordinal
//!        24 u64 active segment id (0 none)  32 u64 its base ordinal  40 u64 its durable bytes
//!        48 u64 last arrival  56 u64 last sealed or active segment id (the next one's previous)
//! ```

use super::checksum;
use super::fields::{put, u32_at, u64_at};
use super::page_header::{self, FileKind, PageHeader};
use crate::bugs::{self, Bug};
use crate::error::FormatError;
use crate::limits::PAGE_BYTES;
use crate::types::{Epoch, Ordinal, SegmentId, ShardUid, StoreId, Timestamp};

const WHAT: &str = "manifest";
const HEAD_BYTES: usize = 64;
const ENTRY_BYTES: usize = 64;
const CRC_BYTES: usize = 4;

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
///
/// # Panics
///
/// When there are 2^32 shards or more, which no store holds.
pub fn encode(manifest: &Manifest, store: StoreId) -> Vec<u8> {
    let entries = u32::try_from(manifest.shards.len()).expect("a store has fewer than 2^32 shards");
    let summed_bytes = HEAD_BYTES + manifest.shards.len() * ENTRY_BYTES;
    let mut out = Vec::with_capacity(PAGE_BYTES + summed_bytes + CRC_BYTES);
    let page = PageHeader { kind: FileKind::Manifest, store, fields: [0; 10] };
    out.extend_from_slice(&page_header::encode(&page));
    out.resize(PAGE_BYTES + summed_bytes, 0);
    let (head, slots) = out[PAGE_BYTES..].split_at_mut(HEAD_BYTES);
    let replay = &manifest.replay;
    put(head, 0, &manifest.generation.to_le_bytes());
    put(head, 8, &replay.sequence.to_le_bytes());
    put(head, 16, &replay.offset.to_le_bytes());
    put(head, 24, &replay.group_number.to_le_bytes());
    put(head, 32, &replay.position.to_le_bytes());
    put(head, 40, &replay.previous_crc.to_le_bytes());
    put(head, 44, &manifest.epoch.0.to_le_bytes());
    put(head, 48, &entries.to_le_bytes());
    for (shard, slot) in manifest.shards.iter().zip(slots.chunks_exact_mut(ENTRY_BYTES)) {
        write_entry(shard, slot);
    }
    let crc = checksum::crc(&out[PAGE_BYTES..]);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn write_entry(shard: &ShardFloor, out: &mut [u8]) {
    let none = ActiveFloor { segment: SegmentId(0), base: Ordinal(0), bytes: 0 };
    let active = shard.active.unwrap_or(none);
    put(out, 0, &shard.shard.0.to_le_bytes());
    put(out, 8, &shard.next.0.to_le_bytes());
    put(out, 16, &shard.first_kept.0.to_le_bytes());
    put(out, 24, &active.segment.0.to_le_bytes());
    put(out, 32, &active.base.0.to_le_bytes());
    put(out, 40, &active.bytes.to_le_bytes());
    put(out, 48, &shard.last_arrival.0.to_le_bytes());
    put(out, 56, &shard.last_segment.0.to_le_bytes());
}

/// Reads a slot. One CRC covers it: a damaged slot is refused whole, the other one serves. What
/// follows the CRC is left over from a longer slot and not looked at.
///
/// # Errors
///
/// Any `FormatError`.
pub fn decode(bytes: &[u8], store: StoreId) -> Result<Manifest, FormatError> {
    let (page, _) = page_header::decode(bytes, FileKind::Manifest)?;
    if page.store != store {
        let low = u64::try_from(page.store.0 & u128::from(u64::MAX)).unwrap_or_default();
        return Err(FormatError::Field { what: WHAT, field: "store id", found: low });
    }
    let body = &bytes[PAGE_BYTES..];
    let short = |needed: u64| FormatError::Short {
        what: WHAT,
        needed: PAGE_BYTES as u64 + needed,
        available: bytes.len() as u64,
    };
    if body.len() < HEAD_BYTES {
        return Err(short(HEAD_BYTES as u64));
    }
    let summed_bytes = HEAD_BYTES as u64 + u64::from(u32_at(body, 48)) * ENTRY_BYTES as u64;
    let whole_bytes = summed_bytes + CRC_BYTES as u64;
    let slot = usize::try_from(whole_bytes).ok().and_then(|end| body.get(..end));
    let slot = slot.ok_or_else(|| short(whole_bytes))?;
    let (summed, stored) = slot.split_at(slot.len() - CRC_BYTES);
    let (found, expected) = (checksum::crc(summed), u32_at(stored, 0));
    if found != expected && !bugs::is_on(Bug::ManifestUnchecked) {
        return Err(FormatError::Checksum { what: WHAT, found, expected });
    }
    read_body(summed)
}

/// The contents of a slot whose sum is right.
fn read_body(body: &[u8]) -> Result<Manifest, FormatError> {
    let (head, slots) = body.split_at(HEAD_BYTES);
    let generation = u64_at(head, 0);
    check(generation > 0, "generation", generation)?;
    check(u32_at(head, 52) == 0 && u64_at(head, 56) == 0, "zero", u64_at(head, 56))?;
    Ok(Manifest {
        generation,
        replay: ReplayStart {
            sequence: u64_at(head, 8),
            offset: u64_at(head, 16),
            group_number: u64_at(head, 24),
            position: u64_at(head, 32),
            previous_crc: u32_at(head, 40),
        },
        epoch: Epoch(u32_at(head, 44)),
        shards: slots.chunks_exact(ENTRY_BYTES).map(read_entry).collect::<Result<_, _>>()?,
    })
}

fn read_entry(entry: &[u8]) -> Result<ShardFloor, FormatError> {
    let active = ActiveFloor {
        segment: SegmentId(u64_at(entry, 24)),
        base: Ordinal(u64_at(entry, 32)),
        bytes: u64_at(entry, 40),
    };
    let is_active = active.segment.0 != 0;
    let consistent = is_active || (active.base.0 == 0 && active.bytes == 0);
    check(consistent, "active segment id", 0)?;
    Ok(ShardFloor {
        shard: ShardUid(u64_at(entry, 0)),
        next: Ordinal(u64_at(entry, 8)),
        first_kept: Ordinal(u64_at(entry, 16)),
        active: is_active.then_some(active),
        last_arrival: Timestamp(u64_at(entry, 48)),
        last_segment: SegmentId(u64_at(entry, 56)),
    })
}

const fn check(holds: bool, field: &'static str, found: u64) -> Result<(), FormatError> {
    if holds { Ok(()) } else { Err(FormatError::Field { what: WHAT, field, found }) }
}
