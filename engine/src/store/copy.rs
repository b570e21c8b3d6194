//! Copying durable batches into their segments, and sealing segments that have ended.
//!
//! Only the keeper copies (and recovery, before there is a keeper), so nothing here runs twice at
//! once for one shard.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::log_thread::LogThread;
use super::shard_writer::{OpenSegment, ShardWriter};
use super::totals::surveyed_footer;
use crate::bugs::{self, Bug};
use crate::device::again;
use crate::error::DeviceError;
use crate::format::page_header::{self, FileKind, PageHeader};
use crate::segment;
use crate::types::{SegmentId, ShardUid};

/// Shards copied at the same time.
const PARALLEL: usize = 8;
/// Most bytes and batches of one write.
const WRITE_BYTES_MAX: u64 = 4 << 20;
const WRITE_BATCHES_MAX: usize = 512;

/// Copies everything that waits in these shards now, and seals what has ended. Appends go on
/// meanwhile; what they add is for the next time, or this might never end.
///
/// # Errors
///
/// The first failure; what could not be copied still waits.
pub(super) async fn copy_shards(
    log: &Rc<LogThread>,
    shards: Vec<ShardUid>,
) -> Result<(), DeviceError> {
    let shards = Rc::new(RefCell::new(shards.into_iter()));
    let mut workers = JoinSet::new();
    for _ in 0..PARALLEL.min(shards.borrow().len()) {
        let (log, shards) = (Rc::clone(log), Rc::clone(&shards));
        workers.spawn_local(async move {
            loop {
                let Some(shard) = shards.borrow_mut().next() else { return Ok(()) };
                copy_shard(&log, shard).await?;
            }
        });
    }
    let mut result = Ok(());
    while let Some(ended) = workers.join_next().await {
        match ended {
            Ok(ended) => result = result.and(ended),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
    result
}

async fn copy_shard(log: &LogThread, shard: ShardUid) -> Result<(), DeviceError> {
    let Some(writer) = log.writer(shard) else { return Ok(()) };
    let until = writer.borrow().log.end();
    while writer.borrow().has_work_below(until) && !writer.borrow().is_removed {
        let job = Job::of(&writer.borrow(), log);
        if job.batches == 0 {
            seal(log, &writer, &job).await?;
            continue;
        }
        let file = log.files.for_write(job.segment, &job.path, job.exists).await?;
        if let Some(front) = writer.borrow_mut().open.front_mut() {
            front.exists = true;
        }
        if bugs::is_on(Bug::BatchLeavesEarly) {
            let shard = Arc::clone(&writer.borrow().log);
            log.tail.borrow_mut().copied(&shard, shard.end());
        }
        for (offset, pieces) in job.writes {
            let moved = u64::from(bugs::is_on(Bug::BatchMisplaced) && offset > 0) * 8;
            file.write(offset + moved, pieces).await?;
        }
        landed(log, &writer, job.batches);
    }
    Ok(())
}

fn landed(log: &LogThread, writer: &RefCell<ShardWriter>, batches: usize) {
    let (bytes, shard, to) = {
        let mut writer = writer.borrow_mut();
        if writer.is_removed {
            return;
        }
        let bytes = writer.landed(batches, log.files.directory());
        (bytes, Arc::clone(&writer.log), writer.copied_to())
    };
    log.tail.borrow_mut().copied(&shard, to);
    log.settle_pending(bytes);
    log.shared.metrics.segment_bytes.add(bytes);
}

/// The next writes of one shard, all into its oldest open segment.
struct Job {
    segment: SegmentId,
    path: PathBuf,
    exists: bool,
    batches: usize,
    writes: Vec<(u64, Vec<Bytes>)>,
}

impl Job {
    fn of(writer: &ShardWriter, log: &LogThread) -> Self {
        let front = writer.open.front().expect("a shard with work has an open segment");
        let name = segment::file_name(writer.log.uid, front.base, front.id);
        let mut job = Self {
            segment: front.id,
            path: log.files.directory().join(name),
            exists: front.exists,
            batches: 0,
            writes: Vec::new(),
        };
        if front.shared.is_none() && !front.pending.is_empty() {
            job.writes.push((0, vec![header_page(writer, front, log)]));
        }
        job.add_batches(front);
        job
    }

    fn add_batches(&mut self, front: &OpenSegment) {
        let (mut bytes, mut end) = (0, 0);
        if let Some((offset, pieces)) = self.writes.last() {
            end = offset + pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        }
        for (offset, batch) in front.pending.iter().take(WRITE_BATCHES_MAX) {
            bytes += batch.bytes().len() as u64;
            if bytes > WRITE_BYTES_MAX && self.batches > 0 {
                break;
            }
            // Batches stand back to back, but for what a damaged log has lost.
            if end != *offset || self.writes.is_empty() {
                self.writes.push((*offset, Vec::new()));
            }
            let (_, pieces) = self.writes.last_mut().expect("there is a write to add to");
            pieces.push(batch.bytes().clone());
            end = offset + batch.bytes().len() as u64;
            self.batches += 1;
        }
    }
}

/// The same bytes whenever they are made, so that replay may write them again.
fn header_page(writer: &ShardWriter, segment: &OpenSegment, log: &LogThread) -> Bytes {
    let mut fields = [0; 10];
    fields[0] = writer.log.stream.0;
    fields[1] = writer.log.uid.0;
    fields[2] = segment.id.0;
    fields[3] = segment.base.0;
    fields[4] = segment.first_arrival.0;
    fields[5] = segment.previous.0;
    let header = PageHeader { kind: FileKind::Segment, store: log.store, fields };
    Bytes::copy_from_slice(&page_header::encode(&header))
}

async fn seal(
    log: &LogThread,
    writer: &RefCell<ShardWriter>,
    job: &Job,
) -> Result<(), DeviceError> {
    let (end, stale_bytes, shared, known) = {
        let writer = writer.borrow();
        let front = writer.open.front().expect("a shard with work has an open segment");
        (front.copied_end(), front.stale_bytes, front.shared.clone(), front.footer())
    };
    let file = log.files.for_write(job.segment, &job.path, true).await?;
    let footer = match (known, shared) {
        (Some(footer), _) => footer,
        (None, Some(segment)) => surveyed_footer(&segment, Arc::clone(&file), end).await?,
        (None, None) => Vec::new(), // A segment without a single batch, which nothing makes.
    };
    if stale_bytes > end + footer.len() as u64 {
        replace(log, &*file, job, end, footer).await?;
    } else {
        file.write(end, vec![footer.into()]).await?;
    }
    writer.borrow_mut().sealed();
    log.files.forget(job.segment);
    Ok(())
}

/// A footer ends its file, but this file holds more, which was never durable in the log: the
/// sound part moves to a new file of the same name. Files are never cut, since they may be mapped.
async fn replace(
    log: &LogThread,
    file: &dyn crate::device::File,
    job: &Job,
    end: u64,
    footer: Vec<u8>,
) -> Result<(), DeviceError> {
    let files = &log.device.files;
    let temporary = job.path.with_extension("seg.tmp");
    let copy = again::create_anew(&**files, &temporary).await?;
    let mut at = 0;
    while at < end {
        let step = WRITE_BYTES_MAX.min(end - at);
        let len = usize::try_from(step).unwrap_or(usize::MAX);
        let piece = again::read_alike(file, at, len).await?;
        if piece.is_empty() {
            break; // The rest is a hole, which the new file has as well.
        }
        let bytes = piece.len() as u64;
        copy.write(at, vec![piece]).await?;
        at += bytes;
    }
    copy.write(end, vec![footer.into()]).await?;
    copy.sync_data().await?;
    files.rename(&temporary, &job.path).await?;
    log.files.renamed(job.segment);
    Ok(())
}
