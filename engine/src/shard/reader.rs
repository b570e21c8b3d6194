//! Reading one shard: tail cache first, then the active segment's file, then mapped segments.
//!
//! A read looks at where the record due is now, takes what it finds there, and looks again: the
//! log thread may move records from one place to the next at any moment, always so that the new
//! place holds them before the old one lets go. What a read returns is contiguous over all places,
//! below the durable end, and every byte of it has passed its checks in this process.

mod search;
mod take;

use std::path::PathBuf;
use std::sync::Arc;

use super::ShardLog;
use crate::bugs::{self, Bug};
use crate::config::Config;
use crate::device::Device;
use crate::error::{DeviceError, ReadError};
use crate::format::batch::Batch;
use crate::limits::READ_PIECE_BYTES_MAX;
use crate::metrics::Metrics;
use crate::segment::index::Target;
use crate::segment::sealed::OpenFailure;
use crate::segment::view::Views;
use crate::segment::{self, Segment};
use crate::types::{Ordinal, ReadLimit, ReadResult, SegmentId, StoreId, Timestamp};
use take::{Take, Taken};

/// How often a read looks again because the place it found had gone meanwhile.
const RETRIES_MAX: u32 = 16;
/// Least bytes read from a file at a time.
const PIECE_BYTES_MIN: usize = 64 << 10;
/// What a record is taken to need when only their number is limited.
const RECORD_BYTES: usize = 4 << 10;

/// Reads shards. One for the store; bounds its own maps and descriptors.
pub struct Reader {
    views: Views,
    segments: PathBuf,
    metrics: Arc<Metrics>,
}

/// Where the record due is.
enum Place {
    /// In memory: these batches, the first one holds it.
    Tail(Vec<Batch>),
    /// In this segment, as are all records from there to before `until`.
    Segment { segment: Arc<Segment>, until: Ordinal },
    /// Nowhere, nor are the records from there to before `until`.
    Nowhere { until: Ordinal },
}

/// Why a read cannot go on where it stands.
enum Halt {
    /// All records before this one have expired.
    Expired { until: Ordinal },
    /// The records due, up to but not this one, fail their checks, or are in no segment.
    Damaged { until: Ordinal, segment: Option<Arc<Segment>> },
    /// The device failed.
    Device(DeviceError),
}

impl Halt {
    /// The segment that looks damaged.
    fn segment(&self) -> Option<SegmentId> {
        let Self::Damaged { segment: Some(segment), .. } = self else { return None };
        Some(segment.id)
    }
}

impl From<DeviceError> for Halt {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

impl Reader {
    /// A reader over `device` of what belongs to `store`.
    pub fn new(config: &Config, device: &Device, metrics: Arc<Metrics>, store: StoreId) -> Self {
        let views = Views::new(config, &device.files, &metrics, store);
        Self { views, segments: segment::directory(&config.directory), metrics }
    }

    /// Records from `from` on that arrived at or after `horizon`. `from` below the first kept
    /// record starts there; past the end it returns nothing and keeps `from`. Records that a repair
    /// has recorded as lost are passed over.
    ///
    /// # Errors
    ///
    /// `Damaged` only when the first record due is damaged; else the read ends before the damage.
    /// `MapLost` once for a file that was cut while it was mapped.
    pub async fn read(
        &self,
        shard: &ShardLog,
        from: Ordinal,
        horizon: Timestamp,
        limit: ReadLimit,
    ) -> Result<ReadResult, ReadError> {
        // In this order: once closed, the end stays.
        let is_closed = shard.is_closed();
        let end = shard.end();
        let mut take = Take::new(from.max(shard.first_kept()), end, horizon, limit);
        let (mut may_jump, mut retries) = (horizon > Timestamp::default(), 0);
        let mut looked_again = None;
        loop {
            if shard.is_gone() {
                return Err(ReadError::ShardGone);
            }
            if take.is_done() {
                break;
            }
            if let Some(until) = shard.after_lost(take.next) {
                // Recorded as lost: no reader waits for them.
                if until >= end {
                    take.skip_to_end();
                } else if take.is_empty() {
                    take.jump(until);
                } else {
                    take.finish();
                }
                continue;
            }
            let Err(halt) = self.fill(shard, &mut take).await else {
                continue;
            };
            if shard.after_lost(take.next).is_some() {
                continue;
            }
            if !take.is_empty() {
                take.finish();
            } else if is_stale(shard, take.next, &halt) && retries < RETRIES_MAX {
                retries += 1;
                take.jump(take.next.max(shard.first_kept()));
            } else if let Some(segment) = halt.segment()
                && looked_again != Some(take.next)
            {
                // A bit may have flipped on its way into the map: what is seen twice is damage.
                looked_again = Some(take.next);
                self.views.forget(segment);
            } else if may_jump && !matches!(halt, Halt::Device(_)) {
                // Expired, or damage that may have.
                may_jump = false;
                take.jump(take.next.max(self.search(shard, horizon, end).await?));
            } else {
                take.jump(self.give_up(shard, &take, halt)?);
            }
        }
        let result = take.into_result(is_closed);
        if !result.is_sound() {
            return Err(ReadError::MapLost { shard: shard.index });
        }
        self.metrics.read_records.add(result.records.len() as u64);
        Ok(result)
    }

    /// Position of the first record that arrived at or after `at`; the end when there is none.
    /// Damage counts as records that may have: reading from the position reports it.
    ///
    /// # Errors
    ///
    /// As `read`.
    pub async fn ordinal_at(&self, shard: &ShardLog, at: Timestamp) -> Result<Ordinal, ReadError> {
        let found = self.search(shard, at, shard.end()).await;
        if shard.is_gone() { Err(ReadError::ShardGone) } else { Ok(found?) }
    }

    /// Completes when a record at or after `from` is durable, or the shard is closed or gone.
    pub async fn follow(&self, shard: &ShardLog, from: Ordinal) {
        loop {
            // Registered before the look: a change in between still wakes.
            let mut changed = std::pin::pin!(shard.changed.notified());
            changed.as_mut().enable();
            if shard.end() > from || shard.is_closed() || shard.is_gone() {
                return;
            }
            changed.await;
        }
    }

    /// Lets go of a segment; to be called after its file has been removed, so that its space and
    /// its map are given back once the last slice is dropped.
    pub fn forget(&self, segment: SegmentId) {
        self.views.forget(segment);
    }

    /// Takes what stands where the record due is now.
    async fn fill(&self, shard: &ShardLog, take: &mut Take) -> Result<(), Halt> {
        match locate(shard, take) {
            Place::Tail(batches) => {
                for batch in &batches {
                    if take.is_done() {
                        break;
                    }
                    // What replay brought from the log is checked as anything from a file is.
                    take_batch(take, batch, batch.is_own(), None)?;
                }
                Ok(())
            }
            Place::Segment { segment, until } => self.fill_from(&segment, until, take).await,
            Place::Nowhere { until } => Err(Halt::Damaged { until, segment: None }),
        }
    }

    /// Takes records below `until` from `segment`, which holds them all if it is sound.
    async fn fill_from(
        &self,
        segment: &Arc<Segment>,
        until: Ordinal,
        take: &mut Take,
    ) -> Result<(), Halt> {
        let damaged = |next: Ordinal| Halt::Damaged {
            until: next.min(until),
            segment: Some(Arc::clone(segment)),
        };
        let view = match self.views.view(segment).await {
            Ok(view) => view,
            Err(OpenFailure::Lost) => return Err(damaged(until)),
            Err(OpenFailure::Foreign) => {
                // Passed over from now on: another segment may hold the record due.
                self.metrics.damaged_ranges.add(1);
                tracing::error!(file = %segment.path.display(), "a file of another store is left out");
                return Ok(());
            }
            Err(OpenFailure::Device(error)) => return Err(Halt::Device(error)),
        };
        if let Some(mark) = view.mark() {
            take.marks.add(mark);
        }
        let wanted = take.bytes_left().min(take.records_left().saturating_mul(RECORD_BYTES));
        let piece_bytes = wanted.clamp(PIECE_BYTES_MIN, READ_PIECE_BYTES_MAX);
        let mut cursor = view.cursor(Target::Record(take.next), piece_bytes).await?;
        while !take.is_done() && take.next < until {
            let Some(found) = cursor.peek().await? else {
                return Err(damaged(until));
            };
            if found.end() <= take.next {
                cursor.skip(&found);
                continue;
            }
            if found.header.base_ordinal > take.next {
                return Err(damaged(found.header.base_ordinal));
            }
            // With its table lost the batch shows as a gap in front of the next one.
            if let Some(batch) = cursor.open(&found).await? {
                self.metrics.repaired_bits.add(u64::from(batch.repaired()));
                let is_verified = view.is_verified(&batch, found.position..found.end_position());
                take_batch(take, &batch, is_verified, Some(segment))?;
            }
        }
        if bugs::is_on(Bug::SeamSkipped) && !take.is_done() && take.next == until {
            take.next = take.next.plus(1);
        }
        Ok(())
    }

    /// What a halt that nothing helps against means: where to go on, or the error.
    fn give_up(&self, shard: &ShardLog, take: &Take, halt: Halt) -> Result<Ordinal, ReadError> {
        match halt {
            Halt::Expired { until } => Ok(until),
            Halt::Device(error) => Err(ReadError::Device(error)),
            Halt::Damaged { until, segment } => {
                self.metrics.damaged_ranges.add(1);
                Err(ReadError::Damaged {
                    shard: shard.index,
                    first: take.next,
                    last: Ordinal(until.min(take.end).0.saturating_sub(1)),
                    file: segment.map_or_else(|| self.segments.clone(), |s| s.path.clone()),
                })
            }
        }
    }
}

/// Where the record due is at this moment.
fn locate(shard: &ShardLog, take: &Take) -> Place {
    // The tail first: what has left it by now is readable in a segment that is listed by now.
    let tail_first = {
        let tail = shard.tail.lock().expect("no holder panics");
        let batches = tail.batches_from(take.next, take.records_left(), take.bytes_left());
        if !batches.is_empty() {
            return Place::Tail(batches);
        }
        tail.first()
    };
    let segments = shard.segments.read().expect("no holder panics");
    let after = segments.partition_point(|segment| segment.base <= take.next);
    let (before, later) = segments.split_at(after);
    let ours = |segment: &&Arc<Segment>| !segment.is_foreign();
    let next_base = later.iter().find(ours).map(|segment| segment.base);
    let until = [tail_first, next_base].into_iter().flatten().fold(take.end, Ordinal::min);
    match before.iter().rev().find(ours) {
        Some(segment) => Place::Segment { segment: Arc::clone(segment), until },
        None => Place::Nowhere { until },
    }
}

fn take_batch(
    take: &mut Take,
    batch: &Batch,
    is_verified: bool,
    segment: Option<&Arc<Segment>>,
) -> Result<(), Halt> {
    match take.batch(batch, is_verified) {
        Taken::Records => Ok(()),
        Taken::Expired => Err(Halt::Expired { until: batch.end() }),
        Taken::Damaged(last) => {
            Err(Halt::Damaged { until: last.plus(1), segment: segment.cloned() })
        }
    }
}

/// True when the damage met is none: retention has removed what was being read.
fn is_stale(shard: &ShardLog, next: Ordinal, halt: &Halt) -> bool {
    let Halt::Damaged { segment, .. } = halt else {
        return false;
    };
    let is_listed = |segment: &Arc<Segment>| {
        let segments = shard.segments.read().expect("no holder panics");
        segments.iter().any(|listed| listed.id == segment.id)
    };
    shard.first_kept() > next || segment.as_ref().is_some_and(|segment| !is_listed(segment))
}

#[cfg(test)]
mod tests;
