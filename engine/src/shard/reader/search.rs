//! Finding the first record that arrived at or after a time.

use std::sync::Arc;

use super::{RETRIES_MAX, Reader};
use crate::bugs::{self, Bug};
use crate::error::DeviceError;
use crate::segment::Segment;
use crate::segment::index::Target;
use crate::segment::scan::HEADER_PIECE_BYTES;
use crate::segment::sealed::OpenFailure;
use crate::shard::ShardLog;
use crate::types::{Ordinal, Timestamp};

impl Reader {
    /// The first kept record below `end` that arrived at or after `at`, or `end`. Damage is taken
    /// for records that may have: the answer is then where the damage starts.
    pub(super) async fn search(
        &self,
        shard: &ShardLog,
        at: Timestamp,
        end: Ordinal,
    ) -> Result<Ordinal, DeviceError> {
        if at > shard.last_arrival() {
            return Ok(end);
        }
        for _ in 0..RETRIES_MAX {
            let kept = shard.first_kept();
            let found = match search_tail(shard, at) {
                InTail::Found(found) => found,
                InTail::Before(tail_first) => {
                    self.search_segments(shard, at, tail_first.unwrap_or(end)).await?
                }
            };
            // Segments that retention took away meanwhile looked damaged.
            if shard.first_kept() == kept {
                return Ok(found.max(kept).min(end));
            }
        }
        Ok(shard.first_kept().min(end))
    }

    /// As `search`, below `until` only.
    async fn search_segments(
        &self,
        shard: &ShardLog,
        at: Timestamp,
        until: Ordinal,
    ) -> Result<Ordinal, DeviceError> {
        let kept = shard.first_kept();
        let segments: Vec<Arc<Segment>> = {
            let segments = shard.segments.read().expect("no holder panics");
            let first = segments.partition_point(|segment| segment.base <= kept);
            let kept = segments[first.saturating_sub(1)..].iter();
            kept.filter(|segment| !segment.is_foreign()).cloned().collect()
        };
        let Some(last) = self.last_before(&segments, at).await? else {
            return Ok(kept);
        };
        let until = segments.get(last + 1).map_or(until, |next| next.base.min(until));
        self.search_segment(&segments[last], at, until).await
    }

    /// The last of `segments` whose first record arrived before `at`. Those that cannot be read
    /// are passed over.
    async fn last_before(
        &self,
        segments: &[Arc<Segment>],
        at: Timestamp,
    ) -> Result<Option<usize>, DeviceError> {
        let (mut low, mut high, mut found) = (0, segments.len(), None);
        while low < high {
            let middle = low.midpoint(high);
            let mut probe = middle;
            let mut arrival = self.first_arrival(&segments[probe]).await?;
            while arrival.is_none() && probe > low {
                probe -= 1;
                arrival = self.first_arrival(&segments[probe]).await?;
            }
            match arrival {
                Some(arrival) if arrival >= at => high = probe,
                readable => {
                    found = readable.map_or(found, |_| Some(probe));
                    low = middle + 1;
                }
            }
        }
        Ok(found)
    }

    async fn first_arrival(
        &self,
        segment: &Arc<Segment>,
    ) -> Result<Option<Timestamp>, DeviceError> {
        match self.views.view(segment).await {
            Ok(view) => Ok(view.first_arrival().await),
            Err(OpenFailure::Lost | OpenFailure::Foreign) => Ok(None),
            Err(OpenFailure::Device(error)) => Err(error),
        }
    }

    /// The first record of `segment` that arrived at or after `at`, else where it ends or `until`.
    async fn search_segment(
        &self,
        segment: &Arc<Segment>,
        at: Timestamp,
        until: Ordinal,
    ) -> Result<Ordinal, DeviceError> {
        let view = match self.views.view(segment).await {
            Ok(view) => view,
            Err(OpenFailure::Lost | OpenFailure::Foreign) => return Ok(segment.base),
            Err(OpenFailure::Device(error)) => return Err(error),
        };
        let mut cursor = view.cursor(Target::Arrival(at), HEADER_PIECE_BYTES).await?;
        // Where the walk starts in the middle, what is skipped arrived before `at`.
        let mut due = cursor.is_at_start().then_some(segment.base);
        while let Some(found) = cursor.peek().await? {
            let base = found.header.base_ordinal;
            let is_gap = due.is_some_and(|due| due < base);
            if found.last_arrival() < at {
                cursor.skip(&found);
                due = Some(found.end());
                continue;
            }
            if is_gap {
                break;
            }
            let batch = cursor.open(&found).await?;
            let found = base.plus(batch.map_or(0, |batch| u64::from(batch.first_at(at))));
            return Ok(found.plus(u64::from(bugs::is_on(Bug::SearchTooFar))));
        }
        Ok(due.unwrap_or(segment.base).min(until))
    }
}

/// What the tail knows.
enum InTail {
    /// The answer; possibly past the end.
    Found(Ordinal),
    /// The answer is not past the first record of the tail, or the tail is empty.
    Before(Option<Ordinal>),
}

fn search_tail(shard: &ShardLog, at: Timestamp) -> InTail {
    let tail = shard.tail.lock().expect("no holder panics");
    let is_inside = |first: Timestamp| first < at;
    if !tail.batches.front().is_some_and(|held| is_inside(held.batch.header.first_arrival)) {
        return InTail::Before(tail.first());
    }
    let position = tail.batches.partition_point(|held| held.batch.last_arrival() < at);
    if bugs::is_on(Bug::SearchTooShort)
        && let Some(before) = position.checked_sub(1)
    {
        return InTail::Found(tail.batches[before].batch.header.base_ordinal);
    }
    InTail::Found(tail.batches.get(position).map_or(Ordinal(u64::MAX), |held| {
        held.batch.header.base_ordinal.plus(u64::from(held.batch.first_at(at)))
    }))
}
