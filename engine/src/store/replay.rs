//! Replay: what the log holds beyond the manifest goes to its segments again, to the same places.
//!
//! Replay takes the same path as live appends do after their commit, so it may be repeated, and
//! only segments with batches in the log are touched.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;

use super::copy::copy_shards;
use super::keeper::shards_with_work;
use super::log_thread::LogThread;
use super::open::{ListedSegments, discard};
use crate::commit_log::LogFileEntry;
use crate::error::DeviceError;
use crate::format::batch::{self, Batch};
use crate::format::group::Prefix;
use crate::format::manifest::Manifest;
use crate::recovery::log_scan::{LogScan, ScannedFile};
use crate::types::{Epoch, Ordinal, ShardUid};

/// Replayed bytes held before they are copied.
const PENDING_BYTES_MAX: u64 = 64 << 20;

/// What is known to be lost.
#[derive(Default)]
struct Losses {
    /// Bytes of damaged stretches of the log.
    log_bytes: u64,
    /// Shards with a sound batch after the last such stretch.
    proven: BTreeSet<ShardUid>,
    /// Shards whose last batch is damaged, with its bytes.
    batches: BTreeMap<ShardUid, u64>,
}

/// Replays the log from the manifest's start, moves the shards' ends, and makes the log ready to
/// go on in a new file.
///
/// # Errors
///
/// When the device fails.
pub(super) async fn replay(
    log: &Rc<LogThread>,
    newest: &Manifest,
    log_files: Vec<LogFileEntry>,
    listed: &ListedSegments,
) -> Result<(), DeviceError> {
    let files = &log.device.files;
    let mut scan = LogScan::new(&**files, log.store, newest.replay, log_files);
    let (mut losses, mut epoch, mut last_file) = (Losses::default(), newest.epoch, None);
    while let Some(file) = scan.next().await? {
        report(log, &file, &mut losses);
        for found in &file.groups {
            epoch = epoch.max(found.head.header.epoch);
            let start = usize::try_from(found.offset).unwrap_or(usize::MAX);
            let is_after = file.damage.last().is_none_or(|damage| found.offset >= damage.end);
            for (prefix, range) in found.head.batches() {
                let bytes = file.bytes.slice(start + range.start..start + range.end);
                apply(log, prefix, &bytes, is_after, listed, &mut losses);
            }
            if log.pending_bytes.get() > PENDING_BYTES_MAX {
                copy_shards(log, shards_with_work(log)).await?;
            }
        }
        last_file = Some(file.entry.path);
    }
    copy_shards(log, shards_with_work(log)).await?;
    if let Some(path) = last_file {
        // Its last group may stand in the system's or the device's cache only: before anybody
        // reads it, it is made durable.
        files.open(&path).await?.sync_data().await?;
        log.touch();
    }
    let cursor = scan.cursor();
    log.log.resume(cursor, Epoch(epoch.0.saturating_add(1)));
    log.since.borrow_mut().position = newest.replay.position;
    settle(log, &losses);
    discard_orphans(log, listed, &losses);
    Ok(())
}

fn report(log: &LogThread, file: &ScannedFile, losses: &mut Losses) {
    let path = file.entry.path.display();
    log.shared.metrics.repaired_bits.add(file.repaired_bits);
    if let Some(offset) = file.torn {
        tracing::info!(file = %path, offset, "the log ends with a group that was never complete");
    }
    for damage in &file.damage {
        log.shared.metrics.damaged_ranges.add(1);
        let (start, end) = (damage.start, damage.end);
        tracing::error!(file = %path, start, end, "acknowledged records in the log are damaged");
        losses.log_bytes += damage.end.saturating_sub(damage.start);
        losses.proven.clear();
    }
}

fn apply(
    log: &LogThread,
    prefix: &Prefix,
    bytes: &Bytes,
    is_after_damage: bool,
    listed: &ListedSegments,
    losses: &mut Losses,
) {
    let Some(writer) = log.writer(prefix.shard) else { return };
    let mut writer = writer.borrow_mut();
    let salt = batch::salt(prefix.segment, prefix.offset);
    let batch = match Batch::open(bytes, salt) {
        Ok(batch) if batch.header.shard == prefix.shard => batch,
        _ => {
            let (shard, offset) = (prefix.shard, prefix.offset);
            tracing::error!(%shard, segment = %prefix.segment, offset, "a batch is damaged");
            log.shared.metrics.damaged_ranges.add(1);
            losses.batches.insert(prefix.shard, u64::from(prefix.bytes));
            return;
        }
    };
    losses.batches.remove(&prefix.shard);
    if is_after_damage {
        losses.proven.insert(prefix.shard);
    }
    log.shared.metrics.repaired_bits.add(u64::from(batch.repaired()));
    if batch.end() <= writer.next {
        return; // In its segment already, says the manifest.
    }
    let base = batch.header.base_ordinal;
    if base > writer.next {
        let (shard, first) = (prefix.shard, writer.next);
        tracing::error!(%shard, %first, next = %base, "records are lost");
    }
    let damaged = batch.damaged().len() as u64;
    if damaged > 0 {
        tracing::error!(shard = %prefix.shard, base = %base, damaged, "records are damaged");
        log.shared.metrics.damaged_ranges.add(damaged);
    }
    let file = listed.get(&prefix.segment);
    let named = file.map_or(base, |file| file.base);
    let (frame, arrival) = (bytes.len() as u64, batch.last_arrival());
    let open = writer.occupy(prefix.segment, named, prefix.offset, frame, arrival);
    if let Some(file) = file {
        open.exists = true;
        open.stale_bytes = file.bytes;
    }
    writer.next = batch.end();
    log.pending_bytes.set(log.pending_bytes.get() + frame);
    writer.await_copy(prefix.segment, prefix.offset, batch);
}

/// Moves every shard's end. No ordinal that may have been answered is given out again: where
/// nothing proves that a shard lost no record, as many ordinals as could be lost are skipped, and
/// reading them reports damage.
fn settle(log: &LogThread, losses: &Losses) {
    let could_be = |bytes: u64| bytes / RECORD_BYTES_MIN + 1;
    for (uid, writer) in log.writers.borrow().iter() {
        let mut writer = writer.borrow_mut();
        let mut lost = losses.batches.get(uid).map_or(0, |bytes| could_be(*bytes));
        if losses.log_bytes > 0 && !losses.proven.contains(uid) {
            lost = lost.max(could_be(losses.log_bytes));
        }
        if lost > 0 && !writer.is_closed {
            let next = writer.next.plus(lost);
            writer.burn(next);
        }
        writer.log.advance(writer.next, writer.last_arrival);
    }
}

/// Least bytes a record takes: its head and its entry in the table.
const RECORD_BYTES_MIN: u64 = 8 + batch::TABLE_ENTRY_BYTES as u64;

/// Files that neither the manifest nor the log knows hold nothing acknowledged, unless the log is
/// damaged: then they stay for `verify`.
fn discard_orphans(log: &LogThread, listed: &ListedSegments, losses: &Losses) {
    if losses.log_bytes > 0 {
        return;
    }
    for (id, file) in listed {
        let Some(writer) = log.writer(file.shard) else { continue };
        let writer = writer.borrow();
        let segments = writer.log.segments.read().expect("no holder panics");
        let is_known = segments.iter().any(|segment| segment.id == *id);
        let was_known = file.base < writer.log.first_kept().max(Ordinal::FIRST);
        if !is_known && !was_known {
            discard(log, *id, listed);
        }
    }
}
