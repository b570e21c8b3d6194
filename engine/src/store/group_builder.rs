//! From queued appends to one group: one batch for each shard touched.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use super::log_thread::LogThread;
use super::queue::QueuedAppend;
use super::shard_writer::ShardWriter;
use crate::append::Run;
use crate::device::aligned::GroupBuffer;
use crate::error::AppendError;
use crate::format::batch::{self, Header, Plan};
use crate::format::group::{self, Prefix};
use crate::shard::ShardLog;
use crate::types::{AppendedRun, RecordEntry, ShardUid, Timestamp};

/// What a group holds.
pub(super) struct Group {
    pub(super) header: group::Header,
    pub(super) prefixes: Vec<Prefix>,
    pub(super) batches: Vec<PlacedBatch>,
    /// For each append, what to answer once the group is durable.
    pub(super) outcomes: Vec<Vec<Result<AppendedRun, AppendError>>>,
    pub(super) records: u64,
}

/// One batch of a group.
pub(super) struct PlacedBatch {
    pub(super) writer: Rc<RefCell<ShardWriter>>,
    pub(super) shard: Arc<ShardLog>,
    pub(super) header: Header,
    pub(super) prefix: Prefix,
    /// Its bytes in the group.
    pub(super) bytes: Range<usize>,
}

/// The batch of one shard while its runs are gathered.
struct Draft<'a> {
    writer: Rc<RefCell<ShardWriter>>,
    shard: ShardUid,
    arrival: Timestamp,
    runs: Vec<(&'a [RecordEntry], &'a [u8])>,
    records: usize,
    stored_bytes: usize,
}

/// Assigns ordinals, arrival times and places, and lays the batches out in a buffer; only the head
/// of the group is missing there. The group has no batch when no run was accepted.
pub(super) fn build(log: &LogThread, appends: &[QueuedAppend]) -> (Group, GroupBuffer) {
    let now = log.device.clock.now();
    let mut drafts = Drafts::default();
    let outcomes = appends.iter().map(|queued| {
        let append = &queued.append;
        let runs = append.runs.iter().map(|run| {
            let stored = (&append.entries[run.entries.clone()], &append.bytes[run.bytes.clone()]);
            drafts.add(log, run, stored, now)
        });
        runs.collect()
    });
    let outcomes = outcomes.collect();
    drafts.list.retain(|draft| draft.records > 0);
    lay_out(log, &drafts.list, outcomes)
}

#[derive(Default)]
struct Drafts<'a> {
    list: Vec<Draft<'a>>,
    by_shard: HashMap<ShardUid, usize>,
}

impl<'a> Drafts<'a> {
    fn add(
        &mut self,
        log: &LogThread,
        run: &Run,
        stored: (&'a [RecordEntry], &'a [u8]),
        now: Timestamp,
    ) -> Result<AppendedRun, AppendError> {
        let at = match self.by_shard.entry(run.shard.uid) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let writer = log.writer(run.shard.uid).filter(|w| !w.borrow().is_closed);
                let writer = writer.ok_or(AppendError::ShardClosed(run.shard.index))?;
                let arrival = writer.borrow().arrival(now);
                let (runs, shard) = (Vec::new(), run.shard.uid);
                self.list.push(Draft { writer, shard, arrival, runs, records: 0, stored_bytes: 0 });
                *entry.insert(self.list.len() - 1)
            }
        };
        let draft = &mut self.list[at];
        let first = draft.writer.borrow().next.plus(draft.records as u64);
        draft.runs.push(stored);
        draft.records += stored.0.len();
        draft.stored_bytes += stored.1.len();
        Ok(AppendedRun { first, arrival: draft.arrival })
    }
}

fn lay_out(
    log: &LogThread,
    drafts: &[Draft<'_>],
    outcomes: Vec<Vec<Result<AppendedRun, AppendError>>>,
) -> (Group, GroupBuffer) {
    let frames = drafts.iter().map(|draft| batch::frame_bytes(draft.records, draft.stored_bytes));
    let head_bytes = group::head_bytes(drafts.len());
    let payload_bytes = head_bytes + frames.sum::<usize>();
    let mut buffer = log.pool.take(payload_bytes);
    let header = log.log.next_header(buffer.len(), payload_bytes);
    let mut batches = Vec::with_capacity(drafts.len());
    let mut at = head_bytes;
    for draft in drafts {
        let frame = batch::frame_bytes(draft.records, draft.stored_bytes);
        let bytes = at..at + frame;
        let out = &mut buffer.as_mut_slice()[bytes.clone()];
        batches.push(draft.place(log, header.position, bytes, out));
        at += frame;
    }
    let prefixes = batches.iter().map(|placed| placed.prefix).collect();
    let records = drafts.iter().map(|draft| draft.records as u64).sum();
    (Group { header, prefixes, batches, outcomes, records }, buffer)
}

impl Draft<'_> {
    fn place(
        &self,
        log: &LogThread,
        log_position: u64,
        bytes: Range<usize>,
        out: &mut [u8],
    ) -> PlacedBatch {
        let mut writer = self.writer.borrow_mut();
        let number = |n: usize| u32::try_from(n).expect("a batch is smaller than BATCH_BYTES_MAX");
        let (base_ordinal, frame, arrival) = (writer.next, out.len() as u64, self.arrival);
        let place = writer
            .place(number(self.records), frame, arrival, log.config(), || log.new_segment_id());
        let plan = Plan {
            base_ordinal,
            arrival,
            epoch: log.log.epoch(),
            log_position,
            shard: self.shard,
            salt: batch::salt(place.segment, place.offset),
        };
        let header = batch::encode(&plan, self.runs.iter().copied(), out);
        let prefix = Prefix {
            shard: self.shard,
            segment: place.segment,
            offset: place.offset,
            bytes: number(out.len()),
            first_of_segment: place.is_first,
        };
        let shard = Arc::clone(&writer.log);
        drop(writer);
        PlacedBatch { writer: Rc::clone(&self.writer), shard, header, prefix, bytes }
    }
}
