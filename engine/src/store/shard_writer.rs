//! The log thread's own view of one shard: what is assigned, what waits to be copied, what stands
//! in segments. Pure state; `copy` moves the bytes.
//!
//! Three positions rise one after the other: assigned (`next`), durable (`ShardLog::end`) and
//! copied (`copied`). A segment goes through the same stages: it is chosen when a batch is placed,
//! its file appears with the first copy, and it is sealed once it has ended and all is copied.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use crate::bugs::{self, Bug};
use crate::config::Config;
use crate::format::batch::{self, Batch};
use crate::format::manifest::{ActiveFloor, ShardFloor};
use crate::limits::PAGE_BYTES;
use crate::segment::index::SparseIndex;
use crate::segment::totals::Totals;
use crate::segment::{self, Segment, SegmentState};
use crate::shard::ShardLog;
use crate::sync::Mutex;
use crate::types::{Ordinal, SegmentId, Shard, Timestamp};

/// A time that does not come.
const NEVER: Timestamp = Timestamp(u64::MAX);

/// Where a batch was placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: SegmentId,
    pub(super) offset: u64,
    pub(super) is_first: bool,
}

/// One shard as the log thread writes it.
#[derive(Debug)]
pub(super) struct ShardWriter {
    pub(super) log: Arc<ShardLog>,
    /// Appends are refused.
    pub(super) is_closed: bool,
    /// Where the shard ends, says the catalogue it was opened with.
    pub(super) closed_end: Option<Ordinal>,
    /// The shard is forgotten; a copy under way lands in a file about to be removed.
    pub(super) is_removed: bool,
    /// Ordinal the next record gets.
    pub(super) next: Ordinal,
    /// Arrival of the last record assigned.
    pub(super) last_arrival: Timestamp,
    /// No record arrives earlier, nor later; `last_arrival` is never above the latter.
    arrivals: (Timestamp, Timestamp),
    /// The newest segment, 0 when there was none.
    last_segment: SegmentId,
    /// Segments not sealed yet, oldest first; all but the last have ended.
    pub(super) open: VecDeque<OpenSegment>,
    /// Bytes of durable batches not copied yet.
    pub(super) pending_bytes: u64,
    /// State after the last copy, as a manifest may state it.
    copied: ShardFloor,
}

/// A segment that is not sealed.
#[derive(Debug)]
pub(super) struct OpenSegment {
    pub(super) id: SegmentId,
    pub(super) base: Ordinal,
    pub(super) previous: SegmentId,
    /// Arrival of the first record, and of the last one placed.
    pub(super) first_arrival: Timestamp,
    last_placed: Timestamp,
    /// Offset after the last batch placed.
    pub(super) end: u64,
    /// No batch will follow.
    pub(super) is_ended: bool,
    /// Durable batches that are not copied, with their offsets.
    pub(super) pending: VecDeque<(u64, Batch)>,
    /// True once the file is there; `shared` is set once its first copy is complete.
    pub(super) exists: bool,
    pub(super) shared: Option<Arc<Segment>>,
    /// Length the file had at the start, when it may exceed what is written now.
    pub(super) stale_bytes: u64,
    /// All its batches were placed by this process, so that index and totals cover it.
    pub(super) is_whole: bool,
    totals: Totals,
}

impl OpenSegment {
    /// A segment whose first batch is placed at `end`.
    pub(super) fn new(
        id: SegmentId,
        base: Ordinal,
        previous: SegmentId,
        first_arrival: Timestamp,
        end: u64,
    ) -> Self {
        Self {
            id,
            base,
            previous,
            first_arrival,
            last_placed: first_arrival,
            end,
            is_ended: false,
            pending: VecDeque::new(),
            exists: false,
            shared: None,
            stale_bytes: 0,
            is_whole: true,
            totals: Totals::new(base, first_arrival, end),
        }
    }

    /// The active segment of a manifest. Its batches were not looked at.
    fn restored(shared: Arc<Segment>, floor: ActiveFloor, last_arrival: Timestamp) -> Self {
        let mut restored =
            Self::new(floor.segment, floor.base, SegmentId(0), last_arrival, floor.bytes);
        restored.exists = true;
        restored.is_whole = false;
        restored.shared = Some(shared);
        restored
    }

    /// The footer of a segment that is whole; `None` for any other.
    pub(super) fn footer(&self) -> Option<Vec<u8>> {
        let shared = self.shared.as_ref().filter(|_| self.is_whole)?;
        match &*shared.state.lock().expect("no holder panics") {
            SegmentState::Active { index, .. } => {
                Some(self.totals.footer(index, self.id, shared.shard))
            }
            SegmentState::Sealed => None,
        }
    }

    /// Offset after the last copied batch.
    pub(super) const fn copied_end(&self) -> u64 {
        self.totals.end
    }

    fn takes(&self, records: u32, frame: u64, next: Ordinal, now: Timestamp, c: &Config) -> bool {
        const DELTA_MAX: u64 = u32::MAX as u64;
        let end = self.end + frame;
        let age = now.since(self.first_arrival);
        // Restored segments end with the start: their index is not in memory.
        !self.is_ended
            && self.is_whole
            && end <= c.segment_bytes_max.min(DELTA_MAX)
            && age <= c.segment_age_max_ms.min(DELTA_MAX)
            && now.since(self.last_placed) <= c.segment_idle_max_ms
            && next.plus(u64::from(records)).0 - self.base.0 <= DELTA_MAX
    }
}

impl ShardWriter {
    /// A shard as a manifest states it (or a new one). `shared` is its active segment.
    pub(super) fn new(log: Arc<ShardLog>, floor: ShardFloor, shared: Option<Arc<Segment>>) -> Self {
        let is_closed = log.is_closed();
        let mut open = VecDeque::new();
        if let (Some(active), Some(shared)) = (floor.active, shared) {
            open.push_back(OpenSegment::restored(shared, active, floor.last_arrival));
        }
        Self {
            log,
            is_closed,
            closed_end: None,
            is_removed: false,
            next: floor.next,
            last_arrival: floor.last_arrival,
            arrivals: (Timestamp(0), NEVER),
            last_segment: floor.last_segment,
            open,
            pending_bytes: 0,
            copied: floor,
        }
    }

    /// Records arrive in the time of `shard` only, whatever the clock says, and not before
    /// `trimmed_before`.
    pub(super) fn bind(&mut self, shard: &Shard, trimmed_before: Timestamp) {
        let from = Timestamp(shard.created_seconds.saturating_mul(1000));
        self.arrivals = (from, shard.arrivals_until.unwrap_or(NEVER));
        self.begin_arrivals(trimmed_before);
    }

    /// No record arrives before `from`: nobody would read it.
    pub(super) fn begin_arrivals(&mut self, from: Timestamp) {
        self.arrivals.0 = self.arrivals.0.max(from);
    }

    /// Sets or lifts the end of arrivals, which is not before the last one.
    pub(super) fn limit_arrivals(&mut self, until: Option<Timestamp>) {
        self.arrivals.1 = until.unwrap_or(NEVER);
    }

    /// When a record arrives that is taken at `now`: arrival never falls, and it stays within the
    /// time of the shard.
    pub(super) fn arrival(&self, now: Timestamp) -> Timestamp {
        let (from, until) = self.arrivals;
        if bugs::is_on(Bug::ArrivalFalls) {
            return now.max(from).min(until);
        }
        let until = if bugs::is_on(Bug::ArrivalLimitIgnored) { NEVER } else { until };
        now.max(from).min(until).max(self.last_arrival)
    }

    /// Takes the ordinals of a batch and gives it its place, in a new segment when the newest one
    /// is full, old, idle or of an earlier start.
    pub(super) fn place(
        &mut self,
        records: u32,
        frame: u64,
        arrival: Timestamp,
        config: &Config,
        new_id: impl FnOnce() -> SegmentId,
    ) -> Place {
        let back = self.open.back();
        let takes = back.is_some_and(|s| s.takes(records, frame, self.next, arrival, config));
        let id = if takes { self.last_segment } else { new_id() };
        let offset = if takes { self.end() } else { PAGE_BYTES as u64 };
        let base = self.next;
        self.next = self.next.plus(u64::from(records));
        self.occupy(id, base, offset, frame, arrival);
        Place { segment: id, offset, is_first: !takes }
    }

    fn end(&self) -> u64 {
        self.open.back().map_or(0, |segment| segment.end)
    }

    /// Puts a batch that starts with `base` at a given place; an earlier segment ends.
    pub(super) fn occupy(
        &mut self,
        id: SegmentId,
        base: Ordinal,
        offset: u64,
        frame: u64,
        arrival: Timestamp,
    ) -> &mut OpenSegment {
        if self.open.back().is_none_or(|back| back.id != id) {
            if let Some(back) = self.open.back_mut() {
                back.is_ended = true;
            }
            let mut next = OpenSegment::new(id, base, self.last_segment, arrival, offset);
            next.is_whole = offset == PAGE_BYTES as u64;
            self.open.push_back(next);
            self.last_segment = id;
        }
        self.last_arrival = arrival;
        let back = self.open.back_mut().expect("one was just added if there was none");
        back.end = offset + frame;
        back.last_placed = arrival;
        back
    }

    /// A batch has become durable and waits for its copy.
    pub(super) fn await_copy(&mut self, segment: SegmentId, offset: u64, batch: Batch) {
        self.pending_bytes += batch.bytes().len() as u64;
        let place = self.open.iter_mut().rev().find(|open| open.id == segment);
        place.expect("a placed batch keeps its segment open").pending.push_back((offset, batch));
    }

    /// True when something waits for its copy, or for its footer.
    pub(super) fn has_work(&self) -> bool {
        self.has_work_below(Ordinal(u64::MAX))
    }

    /// The same for what starts below `until`.
    pub(super) fn has_work_below(&self, until: Ordinal) -> bool {
        self.open.front().is_some_and(|front| {
            let is_due = |(_, batch): &(u64, Batch)| batch.header.base_ordinal < until;
            front.base < until && (front.is_ended || front.pending.front().is_some_and(is_due))
        })
    }

    /// The first `count` pending batches of the oldest segment are in its file. Returns their
    /// bytes.
    pub(super) fn landed(&mut self, count: usize, segments: &Path) -> u64 {
        let front = self.open.front_mut().expect("batches land in the oldest open segment");
        let mut entries = Vec::with_capacity(count);
        let mut bytes = 0;
        for (offset, batch) in front.pending.drain(..count) {
            bytes += batch.bytes().len() as u64;
            let header_crc = batch::header_crc(batch.bytes());
            entries.push(front.totals.add(&batch.header, header_crc, offset));
            self.copied.next = batch.end();
            self.copied.last_arrival = batch.last_arrival();
        }
        let shared = front.shared.get_or_insert_with(|| {
            let shared = Arc::new(new_segment(front.id, self.log.uid, front.base, segments));
            self.log.segments.write().expect("no holder panics").push(Arc::clone(&shared));
            shared
        });
        if let SegmentState::Active { readable_bytes, index } =
            &mut *shared.state.lock().expect("no holder panics")
        {
            *readable_bytes = front.totals.end;
            if front.is_whole {
                for entry in entries {
                    index.offer(entry);
                }
            } else {
                // Entries count from the first arrival, which is not known here.
                *index = SparseIndex { entries: Vec::new(), from_position: *readable_bytes };
            }
        }
        self.copied.last_segment = front.id;
        self.copied.active =
            Some(ActiveFloor { segment: front.id, base: front.base, bytes: front.totals.end });
        self.pending_bytes -= bytes;
        bytes
    }

    /// The oldest segment has its footer.
    pub(super) fn sealed(&mut self) {
        if let Some(shared) = self.open.pop_front().and_then(|front| front.shared) {
            *shared.state.lock().expect("no holder panics") = SegmentState::Sealed;
        }
        self.copied.active = None;
    }

    /// Ends the newest segment when it is idle or old and nothing is on its way into it. True
    /// when it did.
    pub(super) fn end_when_due(&mut self, now: Timestamp, config: &Config) -> bool {
        let in_flight = self.next != self.log.end();
        let Some(back) = self.open.back_mut().filter(|back| !back.is_ended && !in_flight) else {
            return false;
        };
        let is_old = now.since(back.first_arrival) > config.segment_age_max_ms;
        let is_idle = now.since(back.last_placed) > config.segment_idle_max_ms;
        back.is_ended = is_old || is_idle || self.is_closed;
        back.is_ended
    }

    /// Ends the newest segment, unless a batch is on its way into it.
    pub(super) fn end_now(&mut self) {
        let in_flight = self.next != self.log.end();
        if let Some(back) = self.open.back_mut().filter(|_| !in_flight) {
            back.is_ended = true;
        }
    }

    /// What a manifest may state now; `None` for a shard that never had a record.
    pub(super) fn floor(&self) -> Option<ShardFloor> {
        let mut floor = ShardFloor { first_kept: self.log.first_kept(), ..self.copied };
        if bugs::is_on(Bug::TrimForgotten) {
            floor.first_kept = Ordinal::FIRST;
        }
        if bugs::is_on(Bug::LastArrivalForgotten) {
            floor.last_arrival = Timestamp(0);
        }
        if bugs::is_on(Bug::ManifestAhead) {
            floor.next = self.log.end();
        }
        (self.copied.next > Ordinal::FIRST).then_some(floor)
    }

    /// Gives up ordinals that may have been answered but are lost, up to `next`; none of them
    /// arrived after `last_arrival`.
    pub(super) fn burn(&mut self, next: Ordinal, last_arrival: Timestamp) {
        self.next = self.next.max(next);
        self.copied.next = self.copied.next.max(next);
        self.last_arrival = self.last_arrival.max(last_arrival);
        self.copied.last_arrival = self.copied.last_arrival.max(last_arrival);
        if let Some(back) = self.open.back_mut() {
            back.is_ended = true;
        }
    }

    /// First ordinal that is not in a segment yet.
    pub(super) const fn copied_to(&self) -> Ordinal {
        self.copied.next
    }
}

fn new_segment(
    id: SegmentId,
    shard: crate::types::ShardUid,
    base: Ordinal,
    directory: &Path,
) -> Segment {
    Segment {
        id,
        shard,
        base,
        path: directory.join(segment::file_name(shard, base, id)),
        state: Mutex::new(SegmentState::Active {
            readable_bytes: PAGE_BYTES as u64,
            index: SparseIndex::new(),
        }),
        is_foreign: false.into(),
    }
}
