//! The commit loop: queue to group, group to device, then to readers, then to callers.
//!
//! One group is in flight at a time; what arrives meanwhile makes up the next one. No timer: an
//! idle store commits a single append at once.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::group_builder::{self, Group};
use super::log_thread::{LogThread, Shared};
use super::open;
use super::queue::{Control, QueuedAppend, Work};
use super::shard_writer::ShardWriter;
use crate::bugs::{self, Bug};
use crate::config::Durability;
use crate::error::{AppendError, DeviceError};
use crate::format::batch::Batch;
use crate::format::group;
use crate::limits::PAGE_BYTES;
use crate::segment;
use crate::shard::ShardLog;
use crate::shard::tail_cache::TailBatch;
use crate::types::{Durable, Ordinal, SegmentId, Shard, ShardUid, Stream, Timestamp};

/// A shard is copied once so many of its bytes wait, at least and at most: each copy costs a few
/// system calls and starts a write of its own to the device.
const COPY_BYTES: (u64, u64) = (64 << 10, 256 << 10);
/// What waits in all shards stays below this part of what may wait, as far as the least copy allows.
const COPY_SHARE: u64 = 8;
/// How much may wait for its copy, and how much its groups may hold, in logs between two checkpoints.
/// Many shards take their copies in turns, so that a group waits for all of them.
const PENDING_CHECKPOINTS_MAX: u64 = 2;
const HELD_CHECKPOINTS_MAX: u64 = 4;

/// Serves the queue until the store is closed (true), dropped or stopped (false).
pub(super) async fn run(log: &Rc<LogThread>) -> bool {
    while log.shared.stopped().is_none() {
        wait_for_copies(log).await;
        match log.shared.queue.take(log.config().group_bytes_max).await {
            Work::Appends(appends) => commit(log, appends).await,
            Work::Control(Control::Stop) => return true,
            Work::Control(control) => obey(log, control),
            Work::End => return false,
        }
    }
    false
}

/// Memory is bounded here: nothing is taken from the queue while too much waits for its copy, or while
/// the groups of what waits hold too much, each as a whole until its last batch is copied. A full disk
/// does not hold the queue up, since appends are refused then.
async fn wait_for_copies(log: &LogThread) {
    let checkpoint = log.config().checkpoint_log_bytes;
    let has_room = || {
        log.pending_bytes.get() <= PENDING_CHECKPOINTS_MAX * checkpoint
            && log.tail.borrow().pending_bytes() <= HELD_CHECKPOINTS_MAX * checkpoint
    };
    while !has_room() && !log.is_full() && !log.is_over() {
        log.progress.notified().await;
    }
}

/// Stops writes when a commit panics, before its appends are dropped: whoever learns from a dropped
/// reply that writes have stopped finds them stopped.
struct StopOnPanic<'a>(&'a Shared);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("the log thread failed");
        }
    }
}

async fn commit(log: &LogThread, appends: Vec<QueuedAppend>) {
    let _stop = StopOnPanic(&log.shared);
    if log.is_full() {
        refuse(log, appends);
        return;
    }
    if bugs::is_on(Bug::AnsweredBeforeWritten) {
        return answer_first(log, appends).await;
    }
    match write_group(log, &appends).await {
        Ok((group, bytes)) => {
            if !bugs::is_on(Bug::DirtyRead) {
                publish(log, &group, &bytes);
            }
            count(log, &group, bytes.len());
            if bugs::is_on(Bug::StoredYetRefused) && appends.len() > 3 {
                refuse(log, appends);
                return;
            }
            for (queued, outcomes) in appends.into_iter().zip(group.outcomes) {
                let results = outcomes.into_iter().map(|run| run.map(Durable::witnessed));
                // A caller that has gone does not want the answer.
                drop(queued.reply.send(results.collect()));
            }
        }
        Err(Failure::NoRoom(error)) => {
            log.failed(&error);
            if log.is_full() {
                refuse(log, appends);
            }
        }
        Err(Failure::Write(_)) if bugs::is_on(Bug::PoisonIgnored) => {}
        Err(Failure::Write(error)) => log.shared.stop(&error.to_string()),
    }
}

/// What a log that answers too early does.
async fn answer_first(log: &LogThread, appends: Vec<QueuedAppend>) {
    let (group, buffer) = {
        let bytes: usize = appends.iter().map(|queued| queued.group_bytes).sum();
        let most = (group::HEADER_BYTES + bytes).next_multiple_of(PAGE_BYTES);
        if let Err(error) = log.log.make_room(most).await {
            return log.failed(&error);
        }
        group_builder::build(log, &appends)
    };
    for (queued, outcomes) in appends.into_iter().zip(&group.outcomes) {
        let results = outcomes.iter().cloned().map(|run| run.map(Durable::witnessed));
        drop(queued.reply.send(results.collect()));
    }
    if group.batches.is_empty() {
        return;
    }
    match log.log.write(&group.header, &group.prefixes, buffer).await {
        Ok(bytes) => publish(log, &group, &bytes),
        Err(error) => log.shared.stop(&error.to_string()),
    }
}

enum Failure {
    /// No file for the group; nothing was assigned.
    NoRoom(DeviceError),
    /// The group is lost, and with it the ordinals in it.
    Write(DeviceError),
}

async fn write_group(log: &LogThread, appends: &[QueuedAppend]) -> Result<(Group, Bytes), Failure> {
    let is_logged = log.config().durability == Durability::Fsync;
    if is_logged {
        let bytes: usize = appends.iter().map(|queued| queued.group_bytes).sum();
        let most = (group::HEADER_BYTES + bytes).next_multiple_of(PAGE_BYTES);
        log.log.make_room(most).await.map_err(Failure::NoRoom)?;
    }
    let (group, buffer) = group_builder::build(log, appends);
    if group.batches.is_empty() {
        return Ok((group, Bytes::new()));
    }
    if !is_logged {
        log.log.skip(buffer.len());
        // Nothing here waits for a device: the keeper gets its turn all the same.
        tokio::task::yield_now().await;
        return Ok((group, buffer.freeze()));
    }
    if bugs::is_on(Bug::DirtyRead) {
        publish(log, &group, &Bytes::copy_from_slice(buffer.as_slice()));
    }
    let start = Instant::now();
    let written = log.log.write(&group.header, &group.prefixes, buffer).await;
    let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    log.shared.metrics.log_write_micros.observe(micros);
    written.map(|bytes| (group, bytes)).map_err(Failure::Write)
}

/// How many bytes of a shard wait before they are copied, where `most` may wait in all `shards`: more
/// where fewer share it.
fn copy_bytes(most: u64, shards: usize) -> u64 {
    (most / COPY_SHARE / shards.max(1) as u64).clamp(COPY_BYTES.0, COPY_BYTES.1)
}

/// Makes a durable group visible, shard by shard.
fn publish(log: &LogThread, group: &Group, bytes: &Bytes) {
    let config = log.config();
    let most = config.checkpoint_log_bytes.min(config.tail_cache_bytes_max as u64);
    let (mut pending, copy_bytes) = (0, copy_bytes(most, log.writers.borrow().len()));
    for placed in &group.batches {
        let batch = Batch::trusted(placed.header, bytes.slice(placed.bytes.clone()));
        let (segment, offset) = (placed.prefix.segment, placed.prefix.offset);
        pending += batch.bytes().len() as u64;
        let tail_batch = TailBatch { batch: batch.clone(), segment, offset };
        if bugs::is_on(Bug::EndBeforeTail) {
            placed.shard.advance(batch.end(), batch.last_arrival());
        }
        log.tail.borrow_mut().admit(&placed.shard, tail_batch);
        let end = if bugs::is_on(Bug::EndTooHigh) {
            batch.end().plus(1)
        } else if bugs::is_on(Bug::EndTooLow) {
            Ordinal(batch.end().0 - 1)
        } else {
            batch.end()
        };
        placed.shard.advance(end, batch.last_arrival());
        let mut writer = placed.writer.borrow_mut();
        writer.await_copy(segment, offset, batch);
        if writer.pending_bytes >= copy_bytes {
            log.due.borrow_mut().insert(placed.shard.uid);
            log.keeper.notify_one();
        }
    }
    log.pending_bytes.set(log.pending_bytes.get() + pending);
    log.touch();
    let written = log.log.cursor().position - log.since.borrow().position;
    if written >= log.config().checkpoint_log_bytes {
        log.keeper.notify_one();
    }
}

fn count(log: &LogThread, group: &Group, bytes: usize) {
    let metrics = &log.shared.metrics;
    let stored = group.batches.iter().map(|placed| placed.bytes.len() as u64);
    metrics.appended_records.add(group.records);
    metrics.appended_bytes.add(stored.sum());
    metrics.groups.add(1);
    metrics.log_bytes.add(bytes as u64);
    metrics.group_records.observe(group.records);
    metrics.group_bytes.observe(bytes as u64);
}

fn refuse(log: &LogThread, appends: Vec<QueuedAppend>) {
    for queued in appends {
        let error: AppendError = log.disk_full_error();
        log.shared.metrics.refused_disk_full.add(1);
        drop(queued.reply.send(vec![Err(error); queued.append.runs.len()]));
    }
}

/// Commands run between groups, so that everything assigned is durable.
fn obey(log: &LogThread, control: Control) {
    match control {
        Control::CloseShards(shards, reply) => drop(reply.send(close_shards(log, &shards))),
        Control::ReopenShards(shards) => {
            for writer in shards.into_iter().filter_map(|shard| log.writer(shard)) {
                writer.borrow_mut().is_closed = false;
            }
        }
        Control::AddShards(stream, shards, reply) => {
            for shard in &shards {
                add_shard(log, &stream, shard);
            }
            reply.send(()).ok();
        }
        Control::BeginArrivals(shards, from, reply) => {
            for writer in shards.into_iter().filter_map(|shard| log.writer(shard)) {
                writer.borrow_mut().begin_arrivals(from);
            }
            reply.send(()).ok();
        }
        Control::LimitArrivals(limits, reply) => drop(reply.send(limit_arrivals(log, &limits))),
        Control::RemoveShards(shards, reply) => {
            let gone = shards.into_iter().flat_map(|shard| remove_shard(log, shard));
            drop(reply.send(gone.collect()));
        }
        Control::Trim(shard, first_kept, reply) => {
            drop(reply.send(trim(log, shard, first_kept)));
        }
        Control::Seal(shard, reply) => {
            if let Some(writer) = log.writer(shard) {
                writer.borrow_mut().end_now();
                log.due.borrow_mut().insert(shard);
            }
            log.seal_requests.borrow_mut().push(reply);
            log.keeper.notify_one();
        }
        Control::Checkpoint(reply) => {
            log.checkpoint_requests.borrow_mut().push(reply);
            log.keeper.notify_one();
        }
        Control::Stop => {}
    }
}

fn close_shards(log: &LogThread, shards: &[ShardUid]) -> Result<Vec<Ordinal>, ShardUid> {
    let open = |shard: &ShardUid| {
        let writer = log.writer(*shard).filter(|writer| !writer.borrow().is_closed);
        writer.ok_or(*shard)
    };
    let writers: Vec<_> = shards.iter().map(open).collect::<Result<_, _>>()?;
    let close = |writer: &Rc<RefCell<ShardWriter>>| {
        let mut writer = writer.borrow_mut();
        writer.is_closed = !bugs::is_on(Bug::ParentStaysOpen);
        if bugs::is_on(Bug::ParentEndsEarly) && writer.next > Ordinal::FIRST {
            return Ordinal(writer.next.0 - 1);
        }
        writer.next
    };
    Ok(writers.iter().map(close).collect())
}

fn limit_arrivals(
    log: &LogThread,
    limits: &[(ShardUid, Option<Timestamp>)],
) -> Result<(), Timestamp> {
    let writers: Vec<_> =
        limits.iter().filter_map(|(shard, until)| Some((log.writer(*shard)?, *until))).collect();
    let too_late = writers.iter().filter_map(|(writer, until)| {
        let last = writer.borrow().last_arrival;
        until.is_some_and(|until| last > until).then_some(last)
    });
    if let Some(latest) = too_late.max() {
        return Err(latest);
    }
    for (writer, until) in writers {
        writer.borrow_mut().limit_arrivals(until);
    }
    Ok(())
}

fn add_shard(log: &LogThread, stream: &Stream, shard: &Shard) {
    let floor = open::new_floor(shard.uid);
    let Shard { uid, index, .. } = *shard;
    let (first_kept, next, none) = (floor.first_kept, floor.next, floor.last_arrival);
    let shard_log = Arc::new(ShardLog::new(uid, index, stream.id, first_kept, next, none));
    log.shared.shards.insert(Arc::clone(&shard_log));
    let mut writer = ShardWriter::new(shard_log, floor, None);
    writer.bind(shard, stream.trimmed_before);
    log.writers.borrow_mut().insert(uid, Rc::new(RefCell::new(writer)));
}

fn remove_shard(log: &LogThread, uid: ShardUid) -> Vec<SegmentId> {
    let Some(writer) = log.writers.borrow_mut().remove(&uid) else { return Vec::new() };
    let mut writer = writer.borrow_mut();
    writer.is_removed = true;
    writer.log.remove();
    log.shared.shards.remove(uid);
    log.tail.borrow_mut().forget(&writer.log);
    log.settle_pending(writer.pending_bytes);
    let sealed = std::mem::take(&mut *writer.log.segments.write().expect("no holder panics"));
    let mut gone: Vec<_> = sealed.iter().map(|sealed| (sealed.id, sealed.path.clone())).collect();
    for open in writer.open.drain(..) {
        let name = segment::file_name(uid, open.base, open.id);
        gone.push((open.id, log.files.directory().join(name)));
    }
    discard(log, gone)
}

fn trim(log: &LogThread, uid: ShardUid, first_kept: Ordinal) -> Vec<SegmentId> {
    let Some(shard) = log.shared.shards.get(uid) else { return Vec::new() };
    let first_kept = first_kept.min(shard.end());
    if !bugs::is_on(Bug::SegmentsGoBeforeMark) {
        shard.trim(first_kept);
    }
    // Sealed segments end here at the latest.
    let sealed_end = log.writer(uid).map_or(shard.end(), |writer| {
        let writer = writer.borrow();
        writer.open.front().map_or(writer.next, |front| front.base)
    });
    let gone: Vec<_> = {
        let mut segments = shard.segments.write().expect("no holder panics");
        let sealed = segments.partition_point(|segment| segment.base < sealed_end);
        // A segment ends where the next one starts.
        let ends = segments[..sealed].iter().skip(1).map(|next| next.base).chain([sealed_end]);
        let gone = ends.take(sealed).take_while(|end| *end <= first_kept).count();
        segments.drain(..gone).map(|segment| (segment.id, segment.path.clone())).collect()
    };
    if bugs::is_on(Bug::SegmentsGoBeforeMark) {
        shard.trim(first_kept);
    }
    log.shared.metrics.expired_segments.add(gone.len() as u64);
    discard(log, gone)
}

/// Leaves files to be removed once both manifests say that nothing in them is kept.
fn discard(log: &LogThread, files: Vec<(SegmentId, PathBuf)>) -> Vec<SegmentId> {
    let ids = files.iter().map(|(id, _)| *id).collect();
    log.garbage.borrow_mut().extend(files);
    log.gives_up.set(true);
    log.touch();
    ids
}

#[cfg(test)]
mod tests {
    use super::copy_bytes;

    #[test]
    fn copies_are_larger_where_fewer_shards_share_the_memory() {
        assert_eq!(copy_bytes(256 << 20, 64), 256 << 10);
        assert_eq!(copy_bytes(256 << 20, 256), 128 << 10);
        assert_eq!(copy_bytes(256 << 20, 10_000), 64 << 10);
        assert_eq!(copy_bytes(1 << 20, 1), 128 << 10);
        assert_eq!(copy_bytes(0, 0), 64 << 10);
    }
}
