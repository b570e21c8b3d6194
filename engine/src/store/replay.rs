//! Replay: what the log holds beyond the manifest is published again and waits for its copy, to
//! the same places as before.
//!
//! From there on replayed batches go the way of any other. So replay may be repeated, its memory
//! is bounded as theirs is, and a start touches no segment unless much is to be replayed.

use std::rc::Rc;

use bytes::Bytes;

use super::copy::copy_shards;
use super::keeper::shards_with_work;
use super::log_end::{self, LastGroup};
use super::log_thread::LogThread;
use super::open::{ListedSegments, discard};
use crate::bugs::{self, Bug};
use crate::commit_log::LogFileEntry;
use crate::device::again;
use crate::error::DeviceError;
use crate::format::batch::{self, Batch};
use crate::format::group::Prefix;
use crate::format::manifest::Manifest;
use crate::recovery::floor::Found;
use crate::recovery::log_scan::{LogScan, ScannedFile};
use crate::recovery::losses::Losses;
use crate::shard::tail_cache::TailBatch;
use crate::types::{Epoch, Ordinal, ShardUid};

/// Replayed bytes held before they are copied.
const PENDING_BYTES_MAX: u64 = 64 << 20;

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
    let (mut losses, mut epoch, mut last) = (Losses::default(), newest.epoch, None);
    while let Some(file) = scan.next().await? {
        log.touch();
        report(log, &file, &mut losses);
        for found in file.groups.iter().skip(usize::from(bugs::is_on(Bug::ReplaySkipsGroup))) {
            epoch = epoch.max(found.head.header.epoch);
            let group = copy_of(found, &file.bytes);
            let is_after = file.damage.last().is_none_or(|damage| found.offset >= damage.range.end);
            for (prefix, range) in found.head.batches() {
                let at = found.offset + range.start as u64;
                let read = read_batch(log, prefix, group.slice(range), (&file, at)).await?;
                let Some(batch) = open_batch(log, prefix, read, is_after, &mut losses) else {
                    continue;
                };
                if log.writer(prefix.shard).is_some_and(|w| w.borrow().next != base(&batch)) {
                    break_tail(log, prefix.shard).await?;
                }
                publish(log, prefix, batch, listed);
            }
            if log.pending_bytes.get() > PENDING_BYTES_MAX {
                copy_shards(log, shards_with_work(log)).await?;
            }
        }
        last = LastGroup::of(&file).or(last);
        if bugs::is_on(Bug::ReplaySkipsFile) {
            break;
        }
    }
    log_end::settle(&**files, last, scan.cut()).await?;
    let cursor = scan.cursor();
    log.log.resume(cursor, Epoch(epoch.0.saturating_add(1)));
    log.since.borrow_mut().position = newest.replay.position;
    settle(log, &losses).await?;
    discard_orphans(log, listed, &losses);
    Ok(())
}

/// The bytes of a group by themselves: a slice of the file would keep all of it in memory.
fn copy_of(found: &Found, file: &Bytes) -> Bytes {
    let start = usize::try_from(found.offset).unwrap_or(usize::MAX);
    Bytes::copy_from_slice(&file[start..start + found.head.header.bytes as usize])
}

fn report(log: &LogThread, file: &ScannedFile, losses: &mut Losses) {
    let path = file.entry.path.display();
    log.shared.metrics.repaired_bits.add(file.repaired_bits);
    log.shared.metrics.replayed_groups.add(file.groups.len() as u64);
    if let Some(offset) = file.torn {
        tracing::info!(file = %path, offset, "the log ends with a group that was never complete");
    }
    for damage in &file.damage {
        log.shared.metrics.damaged_ranges.add(1);
        let (start, end) = (damage.range.start, damage.range.end);
        tracing::error!(file = %path, start, end, "acknowledged records in the log are damaged");
        losses.add_stretch(damage.log_bytes);
    }
}

/// A batch and how many of its records are damaged.
type Read = Option<(Batch, usize)>;

/// The batch in `bytes`, which stand at that place of the file. What is not sound there is read
/// again: a bit that flipped on its way from the device must not be copied to where it stays.
async fn read_batch(
    log: &LogThread,
    prefix: &Prefix,
    bytes: Bytes,
    (file, at): (&ScannedFile, u64),
) -> Result<Read, DeviceError> {
    let Some(writer) = log.writer(prefix.shard) else { return Ok(None) };
    let next = writer.borrow().next;
    let open = |bytes: &Bytes| {
        let opened = Batch::open(bytes, batch::salt(prefix.segment, prefix.offset)).ok();
        let batch = opened.filter(|batch| batch.header.shard == prefix.shard)?;
        // What is in its segment already is not looked at.
        let damaged = if batch.end() <= next { 0 } else { batch.damaged().len() };
        Some((batch, damaged))
    };
    let first = open(&bytes);
    if matches!(first, Some((_, 0))) {
        return Ok(first);
    }
    let file = log.device.files.open_read(&file.entry.path).await?;
    let second = open(&again::read_alike(&*file, at, bytes.len()).await?);
    let damaged = |read: &Read| read.as_ref().map_or(usize::MAX, |(_, damaged)| *damaged);
    Ok(if damaged(&second) < damaged(&first) { second } else { first })
}

/// The batch as far as it is new; `None` when it is damaged, of a shard that is gone, or in its
/// segment already.
fn open_batch(
    log: &LogThread,
    prefix: &Prefix,
    read: Read,
    is_after_damage: bool,
    losses: &mut Losses,
) -> Option<Batch> {
    let next = log.writer(prefix.shard)?.borrow().next;
    let Some((batch, damaged)) = read else {
        let (shard, offset) = (prefix.shard, prefix.offset);
        tracing::error!(%shard, segment = %prefix.segment, offset, "a batch is damaged");
        log.shared.metrics.damaged_ranges.add(1);
        losses.add_batch(prefix.shard, prefix.bytes);
        return None;
    };
    losses.is_sound(prefix.shard, is_after_damage);
    log.shared.metrics.repaired_bits.add(u64::from(batch.repaired()));
    if batch.end() <= next {
        return None;
    }
    let shard = prefix.shard;
    if base(&batch) > next {
        tracing::error!(%shard, first = %next, next = %base(&batch), "records are lost");
    }
    if damaged > 0 {
        tracing::error!(%shard, base = %base(&batch), damaged, "records are damaged");
        log.shared.metrics.damaged_ranges.add(damaged as u64);
    }
    Some(batch)
}

const fn base(batch: &Batch) -> Ordinal {
    batch.header.base_ordinal
}

/// Makes a replayed batch visible and lets it wait for its copy.
fn publish(log: &LogThread, prefix: &Prefix, batch: Batch, listed: &ListedSegments) {
    let Some(writer) = log.writer(prefix.shard) else { return };
    let mut writer = writer.borrow_mut();
    let file = listed.get(&prefix.segment);
    let named = file.map_or(base(&batch), |file| file.base);
    let frame = batch.bytes().len() as u64;
    log.shared.metrics.replayed_bytes.add(frame);
    let (segment, offset, arrival) = (prefix.segment, prefix.offset, batch.last_arrival());
    let open = writer.occupy(segment, named, offset, frame, arrival);
    if let Some(file) = file {
        open.exists = true;
        open.stale_bytes = file.bytes;
    }
    writer.next = batch.end();
    let admitted = TailBatch { batch: batch.clone(), segment, offset };
    log.tail.borrow_mut().admit(&writer.log, admitted);
    writer.log.advance(writer.next, arrival);
    log.pending_bytes.set(log.pending_bytes.get() + frame);
    writer.await_copy(segment, offset, batch);
}

/// The next batch of the shard does not continue the last one, so they cannot both be in the tail
/// cache: what is there goes to its segments.
async fn break_tail(log: &Rc<LogThread>, shard: ShardUid) -> Result<(), DeviceError> {
    copy_shards(log, vec![shard]).await?;
    if let Some(writer) = log.writer(shard) {
        log.tail.borrow_mut().forget(&writer.borrow().log);
    }
    Ok(())
}

/// Moves every shard's end. No ordinal that may have been answered is given out again: where
/// nothing proves that a shard lost no record, as many ordinals as could be lost are skipped, and
/// reading them reports damage.
async fn settle(log: &Rc<LogThread>, losses: &Losses) -> Result<(), DeviceError> {
    let writers: Vec<_> = log.writers.borrow().iter().map(|(k, v)| (*k, Rc::clone(v))).collect();
    for (uid, writer) in writers {
        let lost = losses.after_last(uid) * u64::from(!bugs::is_on(Bug::OrdinalsReused));
        let next = writer.borrow().next;
        // A closed shard ends where the catalogue says, lost or not.
        let end = writer.borrow().closed_end.unwrap_or_else(|| next.plus(lost));
        if end > next {
            break_tail(log, uid).await?;
            let mut writer = writer.borrow_mut();
            let next = end;
            tracing::error!(shard = %uid, first = %writer.next, %next, "records may be lost");
            // What is lost may have arrived as late as now: retention does not hide it before.
            let arrival = writer.arrival(log.device.clock.now());
            writer.burn(next, arrival);
            writer.log.advance(next, arrival);
        }
    }
    Ok(())
}

/// Files that neither the manifest nor the log knows hold nothing acknowledged, unless the log is
/// damaged: then they stay for `verify`.
fn discard_orphans(log: &LogThread, listed: &ListedSegments, losses: &Losses) {
    if losses.has_stretch() {
        return;
    }
    for (id, file) in listed {
        let Some(writer) = log.writer(file.shard) else { continue };
        let writer = writer.borrow();
        let segments = writer.log.segments.read().expect("no holder panics");
        let is_open = writer.open.iter().any(|open| open.id == *id);
        let is_known = is_open || segments.iter().any(|segment| segment.id == *id);
        let was_known = file.base < writer.log.first_kept().max(Ordinal::FIRST);
        if !is_known && !was_known {
            discard(log, *id, listed);
        }
    }
}
