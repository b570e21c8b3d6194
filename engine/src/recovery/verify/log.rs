//! The commit log: which batches it still holds, and which of those nothing else has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::Verifier;
use super::metadata::Known;
use crate::commit_log;
use crate::error::{FormatError, OpenError};
use crate::format::batch::{self, Batch};
use crate::format::group::Prefix;
use crate::format::page_header::{self, FileKind};
use crate::recovery::log_scan::{self, FIRST_OFFSET, LogScan, ScannedFile};
use crate::types::{Ordinal, SegmentId, ShardUid};

/// How much of a batch is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// These records, by their place in the batch; none when it is sound.
    Records(Vec<u32>),
    /// Its header or table: not one record can be told.
    Whole,
}

impl Damage {
    /// True when this copy has record `i` whole.
    pub(super) fn spares(&self, i: u32) -> bool {
        matches!(self, Self::Records(records) if !records.contains(&i))
    }

    /// True when this copy is whole.
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::Records(records) if records.is_empty())
    }
}

/// One batch as the log holds it.
pub(super) struct LogCopy {
    pub(super) file: Arc<Path>,
    pub(super) offset: u64,
    pub(super) shard: ShardUid,
    /// First ordinal and count; meaningless when the damage is `Whole`.
    pub(super) base: Ordinal,
    pub(super) count: u32,
    pub(super) header_crc: u32,
    pub(super) damage: Damage,
    /// False when a checkpoint has made the segment's copy the one that counts: a start passes
    /// over this one, sound or not.
    pub(super) is_needed: bool,
    /// Damage of the copy in the segment, once one was found there.
    pub(super) in_segment: Option<Damage>,
}

/// The batches of the log by where they stand in segments.
pub(super) type LogCopies = BTreeMap<(SegmentId, u64), LogCopy>;

/// Checks the log files and collects what they hold.
pub(super) async fn check(
    verifier: &mut Verifier<'_>,
    known: &Known,
) -> Result<LogCopies, OpenError> {
    check_names(verifier).await?;
    let files = verifier.device.files.clone();
    let entries = match log_scan::list(&*files, verifier.directory).await {
        Ok(entries) => entries,
        Err(error) if error.kind == std::io::ErrorKind::NotFound => return Ok(LogCopies::new()),
        Err(error) => return Err(error.into()),
    };
    for entry in &entries {
        check_header(verifier, known, &entry.path, entry.sequence).await?;
    }
    // Sequence 0 stands for a log that nothing has been written to.
    let is_written = known.is_checkpointed && known.replay.sequence > 0;
    let start = &known.replay;
    let is_missing = is_written && entries.iter().all(|entry| entry.sequence != start.sequence);
    if is_missing && !log_scan::goes_on_at(&*files, known.store, start, &entries).await? {
        let path = commit_log::directory(verifier.directory)
            .join(commit_log::file_name(known.replay.sequence));
        verifier.damage(&path, 0, "the file is missing, and what came after the checkpoint");
    }
    let mut copies = LogCopies::new();
    let mut scan = LogScan::new(&*files, known.store, known.log_start, entries);
    while let Some(file) = scan.next().await? {
        verifier.report.bytes += (file.bytes.len() as u64).saturating_sub(FIRST_OFFSET);
        check_file(verifier, known, &file, &mut copies);
    }
    Ok(copies)
}

async fn check_names(verifier: &mut Verifier<'_>) -> Result<(), OpenError> {
    let directory = commit_log::directory(verifier.directory);
    for entry in verifier.list(&directory).await? {
        let name = entry.name.as_str();
        let ours = commit_log::parse_file_name(name).is_some()
            || ["manifest.0", "manifest.1"].contains(&name);
        if !ours {
            let message = "the file is none of the log's, or left over";
            verifier.harmless(&directory.join(name), 0, message);
        }
    }
    Ok(())
}

/// The page header only says again what the name says: groups carry the sequence in their sums.
async fn check_header(
    verifier: &mut Verifier<'_>,
    known: &Known,
    path: &Path,
    sequence: u64,
) -> Result<(), OpenError> {
    let head = verifier.read_up_to(path, FIRST_OFFSET).await;
    let Some(bytes) = head else { return Ok(()) };
    match page_header::decode(&bytes, FileKind::Log) {
        Ok((header, repaired)) => {
            if repaired {
                verifier.harmless(path, 0, "one copy of the page header is damaged");
            }
            if header.store != known.store {
                verifier.damage(path, 0, "the file belongs to another store");
            } else if header.fields[0] != sequence {
                verifier.harmless(path, 0, "the page header is of another use of the file");
            }
        }
        Err(FormatError::Version { found, newest, .. }) => {
            return Err(OpenError::TooNew { file: path.to_owned(), found, newest });
        }
        Err(error) => {
            verifier.harmless(path, 0, format!("the name serves in place of the header: {error}"));
        }
    }
    Ok(())
}

fn check_file(
    verifier: &mut Verifier<'_>,
    known: &Known,
    file: &ScannedFile,
    copies: &mut LogCopies,
) {
    let path: Arc<Path> = file.entry.path.clone().into();
    let replay = known.replay;
    for damage in &file.damage {
        let range = &damage.range;
        let needed = damage.until > replay.position;
        let bytes = damage.log_bytes;
        if needed {
            let message =
                format!("{bytes} bytes of acknowledged groups are damaged or missing from here on");
            verifier.damage(&path, range.start, message);
        } else {
            let message = format!("{bytes} bytes are damaged, which a checkpoint has covered");
            verifier.harmless(&path, range.start, message);
        }
    }
    if let Some(offset) = file.torn {
        verifier.harmless(&path, offset, "a group that was never acknowledged ends the log");
    }
    if file.repaired_bits > 0 {
        let offset = file.groups.iter().find(|found| found.head.repaired);
        let offset = offset.or(file.groups.last()).map_or(0, |found| found.offset);
        verifier.harmless(&path, offset, "a flipped bit in a group is repaired on reading");
    }
    for group in &file.groups {
        let is_replayed = group.head.header.position >= replay.position;
        for (prefix, range) in group.head.batches() {
            let offset = group.offset + range.start as u64;
            let bytes = slice(&file.bytes, offset, range.len());
            let copy = look_at(verifier, known, &path, offset, prefix, &bytes);
            let is_needed = is_replayed && !is_passed_over(known, &copy);
            copies.insert((prefix.segment, prefix.offset), LogCopy { is_needed, ..copy });
        }
        check_padding(verifier, &path, &file.bytes, group);
    }
}

/// True when the checkpoint was made after this batch had gone to its segment.
fn is_passed_over(known: &Known, copy: &LogCopy) -> bool {
    let floor = known.floors.get(&copy.shard).filter(|_| copy.damage != Damage::Whole);
    floor.is_some_and(|floor| copy.base.plus(u64::from(copy.count)) <= floor.next)
}

/// The zeros that fill the last page of a group.
fn check_padding(
    verifier: &mut Verifier<'_>,
    path: &Path,
    bytes: &Bytes,
    group: &crate::recovery::floor::Found,
) {
    let header = &group.head.header;
    let start = group.offset + u64::from(header.payload_bytes);
    let len = header.bytes.saturating_sub(header.payload_bytes) as usize;
    if slice(bytes, start, len).iter().any(|&byte| byte != 0) {
        verifier.harmless(path, start, "the zeros after a group are damaged");
    }
}

/// Part of a file, as far as it is there.
fn slice(bytes: &Bytes, offset: u64, len: usize) -> Bytes {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(start..bytes.len().min(start.saturating_add(len)))
}

fn look_at(
    verifier: &mut Verifier<'_>,
    known: &Known,
    path: &Arc<Path>,
    offset: u64,
    prefix: &Prefix,
    bytes: &Bytes,
) -> LogCopy {
    let salt = batch::salt(prefix.segment, prefix.offset);
    let mut copy = LogCopy {
        file: path.clone(),
        offset,
        shard: prefix.shard,
        base: Ordinal(0),
        count: 0,
        header_crc: 0,
        damage: Damage::Whole,
        is_needed: true,
        in_segment: None,
    };
    let Ok(batch) = Batch::open(bytes, salt) else { return copy };
    if prefix.shard > known.last_shard {
        let shard = prefix.shard;
        let message = format!("shard uid {shard} is newer than the catalogue, which was put back");
        verifier.damage(path, offset, message);
    }
    if batch.repaired() {
        verifier.harmless(path, offset, "a flipped bit in a batch is repaired on reading");
    }
    let (first, last) = (batch.header.first_arrival, batch.last_arrival());
    if known.is_untimely(batch.header.shard, first, last) {
        let label = known.label(batch.header.shard);
        let message =
            format!("records arrived from {first} to {last}, outside the time of {label}");
        verifier.damage(path, offset, message);
    }
    verifier.report.records += u64::from(batch.header.count);
    copy.base = batch.header.base_ordinal;
    copy.count = batch.header.count;
    copy.header_crc = batch::header_crc(batch.bytes());
    copy.damage = Damage::Records(batch.damaged());
    copy
}

/// Tells of damaged batches of the log what is lost with them.
pub(super) fn tell_lost(verifier: &mut Verifier<'_>, known: &Known, copies: &LogCopies) {
    for copy in copies.values().filter(|copy| !copy.damage.is_none()) {
        let label = known.label(copy.shard);
        let path: PathBuf = copy.file.to_path_buf();
        if !copy.is_needed {
            let message = format!("a batch of {label} is damaged, which a checkpoint has covered");
            verifier.harmless(&path, copy.offset, message);
            continue;
        }
        match &copy.damage {
            Damage::Records(records) => {
                for &i in records {
                    let record = copy.base.plus(u64::from(i));
                    let spared = copy.in_segment.as_ref().is_some_and(|other| other.spares(i));
                    let fate = if spared { "its segment has it" } else { "it is lost" };
                    let message = format!("record {record} of {label} is damaged: {fate}");
                    verifier.find(&path, copy.offset, message, spared);
                }
            }
            Damage::Whole => {
                let spared = copy.in_segment.as_ref().is_some_and(Damage::is_none);
                let fate = if spared { "its segment has it" } else { "its records are lost" };
                let message = format!("a batch of {label} is damaged: {fate}");
                verifier.find(&path, copy.offset, message, spared);
            }
        }
    }
}
