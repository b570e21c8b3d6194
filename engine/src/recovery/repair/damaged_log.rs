//! The commit log as a repair reads it: all batches of all files, and what a start would conclude
//! from those after the last checkpoint.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::sources::{Copy, Reader};
use super::{Origin, RepairError};
use crate::commit_log::{self, BEGINNING, LogFileEntry};
use crate::format::batch::{self, Batch};
use crate::format::group;
use crate::format::manifest::{Manifest, ReplayStart};
use crate::limits::PAGE_BYTES;
use crate::recovery::log_scan::{self, FIRST_OFFSET, LogScan, ScannedFile};
use crate::recovery::losses::Losses;
use crate::types::{Epoch, ShardUid, StoreId};

/// What the log says of its end.
pub(super) struct LogEnd {
    /// Position after the last group found.
    pub(super) position: u64,
    /// True when acknowledged groups after the checkpoint are damaged or missing, so that more may
    /// have been written than `position` says.
    pub(super) is_open: bool,
    pub(super) losses: Losses,
    pub(super) epoch: Epoch,
}

/// Reads all files of the log.
pub(super) async fn read(
    reader: &mut Reader<'_>,
    store: StoreId,
    newest: Option<&Manifest>,
    copies: &mut HashMap<ShardUid, Vec<Copy>>,
) -> Result<LogEnd, RepairError> {
    let files = reader.device.files.clone();
    let entries = match log_scan::list(&*files, reader.directory).await {
        Ok(entries) => entries,
        Err(error) if error.kind == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let oldest = oldest(&*files, store, &entries).await?;
    // What stood before the oldest group was covered by some checkpoint.
    let replay = newest.map_or(oldest.unwrap_or(BEGINNING), |manifest| manifest.replay);
    let is_missing =
        replay.sequence > 0 && entries.last().is_none_or(|last| last.sequence < replay.sequence);
    if is_missing {
        let name = commit_log::file_name(replay.sequence);
        let path = commit_log::directory(reader.directory).join(name);
        reader.note(&path, "the file is missing, and all that came after the checkpoint");
    }
    let mut end = LogEnd {
        position: replay.position,
        is_open: is_missing || newest.is_none(),
        losses: Losses::default(),
        epoch: Epoch(0),
    };
    let mut scan = LogScan::new(&*files, store, replay, entries.clone());
    while let Some(file) = scan.next().await? {
        end.add(&file);
    }
    end.position = end.position.max(scan.cursor().position);
    let Some(start) = oldest else { return Ok(end) };
    let mut scan = LogScan::new(&*files, store, start, entries);
    while let Some(file) = scan.next().await? {
        take_batches(&file, copies);
    }
    Ok(end)
}

impl LogEnd {
    /// What a start concludes from this file.
    fn add(&mut self, file: &ScannedFile) {
        for damage in &file.damage {
            self.losses.add_stretch(damage.log_bytes);
            self.is_open = true;
        }
        for found in &file.groups {
            self.epoch = self.epoch.max(found.head.header.epoch);
            let is_after = file.damage.last().is_none_or(|damage| found.offset >= damage.range.end);
            for (prefix, range) in found.head.batches() {
                let start = usize::try_from(found.offset).unwrap_or(usize::MAX);
                let bytes = file.bytes.slice(start + range.start..start + range.end);
                let batch = Batch::open(&bytes, batch::salt(prefix.segment, prefix.offset)).ok();
                match batch.filter(|batch| batch.header.shard == prefix.shard) {
                    Some(_) => self.losses.is_sound(prefix.shard, is_after),
                    None => self.losses.add_batch(prefix.shard, prefix.bytes),
                }
            }
        }
    }
}

fn take_batches(file: &ScannedFile, copies: &mut HashMap<ShardUid, Vec<Copy>>) {
    let path: Arc<Path> = file.entry.path.as_path().into();
    for (i, found) in file.groups.iter().enumerate() {
        // The scan repairs flipped bits of the last group in memory only.
        let is_repaired = file.repaired_bits > 0 && i + 1 == file.groups.len();
        for (prefix, range) in found.head.batches() {
            let offset = found.offset + range.start as u64;
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes = file.bytes.slice(start..start + range.len());
            let place = (prefix.segment, prefix.offset);
            let Ok(batch) = Batch::open(&bytes, batch::salt(place.0, place.1)) else { continue };
            let mut copy = Copy::of(&batch, Origin::Log, &path, offset, place);
            let is_cut = offset + range.len() as u64 > file.entry.bytes;
            copy.held = (is_repaired || is_cut).then(|| bytes::Bytes::copy_from_slice(&bytes));
            copies.entry(batch.header.shard).or_default().push(copy);
        }
    }
}

/// Where the oldest group of the log stands that can be found: batches that a checkpoint has
/// covered are good copies, too.
async fn oldest(
    files: &dyn crate::device::Files,
    store: StoreId,
    entries: &[LogFileEntry],
) -> Result<Option<ReplayStart>, RepairError> {
    for entry in entries {
        let file = files.open_read(&entry.path).await?;
        let len = usize::try_from(entry.bytes).unwrap_or(usize::MAX);
        let bytes = file.read(0, len).await?;
        for offset in (FIRST_OFFSET..bytes.len() as u64).step_by(PAGE_BYTES) {
            let rest = &bytes[usize::try_from(offset).unwrap_or(usize::MAX)..];
            let salt = group::salt(store, entry.sequence, offset);
            if let Ok(head) = group::decode_head(rest, salt) {
                return Ok(Some(ReplayStart {
                    sequence: entry.sequence,
                    offset,
                    group_number: head.header.number,
                    position: head.header.position,
                    previous_crc: head.header.previous_crc,
                }));
            }
        }
    }
    Ok(None)
}
