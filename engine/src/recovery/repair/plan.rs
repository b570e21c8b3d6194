//! Which copy serves each record, and which records are lost.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::sources::{Copy, Sources};
use super::{LostRecords, Origin, Purpose, Repair, SavedRange, ShardName};
use crate::limits::ORDINALS_PER_RESTORE;
use crate::types::{LostRange, Ordinal, Shard, ShardUid, Stream, StreamId, Timestamp};

/// Records of one batch that go to the new store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Place of its copy in the plan's list.
    pub(super) copy: usize,
    pub(super) from: Ordinal,
    pub(super) until: Ordinal,
}

/// One shard of the new store.
pub(super) struct ShardPlan {
    pub(super) uid: ShardUid,
    pub(super) stream: StreamId,
    pub(super) copies: Vec<Copy>,
    /// In order of their records, none twice.
    pub(super) pieces: Vec<Piece>,
    pub(super) lost: Vec<LostRange>,
    pub(super) first_kept: Ordinal,
    /// Records before this one are read from segments, those from it on from the log.
    covered: Ordinal,
    /// The number the next record gets.
    pub(super) next: Ordinal,
    pub(super) last_arrival: Timestamp,
}

/// Chooses for all shards of the catalogue.
pub(super) fn make(mut sources: Sources, purpose: Purpose) -> Repair {
    let left_out = match purpose {
        Purpose::Repair => 0,
        Purpose::Restore => ORDINALS_PER_RESTORE,
    };
    let mut repair = Repair {
        notes: std::mem::take(&mut sources.notes),
        saved: Vec::new(),
        lost: Vec::new(),
        records: 0,
        shards: Vec::new(),
        epoch: sources.epoch,
        catalog: sources.catalog,
        _lock: sources.lock,
    };
    let floors = sources.newest.map(|newest| newest.shards).unwrap_or_default();
    for stream in repair.catalog.streams() {
        for shard in &stream.shards {
            let floor = floors.iter().find(|floor| floor.shard == shard.uid);
            let copies = sources.copies.remove(&shard.uid).unwrap_or_default();
            let covered = floor.map_or(Ordinal::FIRST, |floor| floor.next);
            let copies = trusted(copies, covered, &sources.log);
            let first_kept = floor.map_or_else(
                || copies.iter().map(|copy| copy.base).min().unwrap_or(Ordinal::FIRST),
                |floor| floor.first_kept,
            );
            let pieces = choose(&copies, first_kept);
            // Damaged records of a batch whose header is sound were there, and what was left out
            // before stays so.
            let left_out_before = shard.lost.iter().map(|lost| lost.until);
            let ends = copies.iter().map(|copy| copy.end).chain(left_out_before);
            let found = ends.fold(first_kept.max(covered), Ordinal::max);
            let doubtful = sources.log.losses.after_last(shard.uid);
            let (end, next) = match shard.closed.map(|closed| closed.end.max(found)) {
                Some(end) => (end, end),
                None => (found.plus(doubtful), found.plus(doubtful).plus(left_out)),
            };
            let arrivals = copies.iter().map(|copy| copy.last_arrival);
            let last_arrival = floor.map_or(Timestamp(0), |floor| floor.last_arrival);
            let plan = ShardPlan {
                uid: shard.uid,
                stream: stream.id,
                last_arrival: arrivals.fold(last_arrival, Timestamp::max),
                lost: gaps(&pieces, first_kept, next),
                first_kept,
                covered,
                next,
                copies,
                pieces,
            };
            let certain = if shard.closed.is_some() { end } else { found };
            tell(&mut repair, &stream, shard, &plan, certain..end);
            repair.shards.push(plan);
        }
    }
    let mut strays: Vec<_> = sources.copies.into_iter().collect();
    strays.sort_by_key(|(uid, _)| *uid);
    for (uid, copies) in strays {
        let first = copies.iter().map(|copy| copy.base).min().unwrap_or_default();
        let end = copies.iter().map(|copy| copy.end).max().unwrap_or_default();
        // Shards that expired or were deleted leave files behind for a while.
        repair.notes.push(format!(
            "records {first} to {} are of shard uid {uid}, which the catalogue does not have: they \
             are left out",
            end.0.saturating_sub(1)
        ));
    }
    repair
}

/// The copies that were durable, each with what it is. What stands in a segment beyond the
/// checkpoint and beyond the end of a log that is whole is left over from records nobody was told
/// of.
fn trusted(copies: Vec<Copy>, covered: Ordinal, log: &super::damaged_log::LogEnd) -> Vec<Copy> {
    let mut trusted = Vec::with_capacity(copies.len());
    for mut copy in copies {
        if copy.origin == Origin::Segment && copy.end > covered {
            copy.origin = Origin::Uncovered;
        }
        let was_logged = copy.log_position < log.position || log.is_open;
        if copy.origin != Origin::Uncovered || was_logged {
            trusted.push(copy);
        }
    }
    trusted
}

/// For each record from `first` on the most trusted sound copy.
fn choose(copies: &[Copy], first: Ordinal) -> Vec<Piece> {
    let mut chosen: BTreeMap<Ordinal, Piece> = BTreeMap::new();
    for origin in [Origin::Segment, Origin::Log, Origin::Uncovered] {
        for (i, copy) in copies.iter().enumerate().filter(|(_, copy)| copy.origin == origin) {
            for range in &copy.sound {
                let from = copy.base.plus(u64::from(range.start)).max(first);
                let until = copy.base.plus(u64::from(range.end));
                add(&mut chosen, Piece { copy: i, from, until });
            }
        }
    }
    chosen.into_values().collect()
}

/// Adds what no piece before has.
fn add(chosen: &mut BTreeMap<Ordinal, Piece>, piece: Piece) {
    let mut from = piece.from;
    while from < piece.until {
        let before = chosen.range(..=from).next_back().map(|(_, before)| before.until);
        if let Some(until) = before.filter(|until| *until > from) {
            from = until;
            continue;
        }
        let next = chosen.range(from..).next().map_or(piece.until, |(next, _)| *next);
        let until = next.min(piece.until);
        chosen.insert(from, Piece { from, until, ..piece });
        from = until;
    }
}

/// What lies between the pieces, from `first` to before `next`.
fn gaps(pieces: &[Piece], first: Ordinal, next: Ordinal) -> Vec<LostRange> {
    let mut gaps = Vec::new();
    let mut due = first;
    let end = Piece { copy: 0, from: next, until: next };
    for piece in pieces.iter().chain([&end]) {
        if piece.from > due {
            gaps.push(LostRange { from: due, until: piece.from });
        }
        due = due.max(piece.until);
    }
    gaps
}

/// Tells of what was saved from an unusual place, and of what is lost; records in `doubtful` may
/// never have been, and what follows was another store's.
fn tell(
    repair: &mut Repair,
    stream: &Arc<Stream>,
    shard: &Arc<Shard>,
    plan: &ShardPlan,
    doubtful: Range<Ordinal>,
) {
    let name = ShardName {
        stream: stream.key.clone(),
        index: shard.index,
        created_seconds: shard.created_seconds,
    };
    for piece in &plan.pieces {
        repair.records += piece.until.0 - piece.from.0;
        let copy = &plan.copies[piece.copy];
        let usual = if piece.from < plan.covered { Origin::Segment } else { Origin::Log };
        if copy.origin != usual {
            repair.saved.push(SavedRange {
                shard: name.clone(),
                first: piece.from,
                last: Ordinal(piece.until.0 - 1),
                origin: copy.origin,
                file: copy.file.to_path_buf(),
                offset: copy.offset,
            });
        }
    }
    for lost in &plan.lost {
        let lost = LostRange { until: lost.until.min(doubtful.end), ..*lost };
        for range in split(lost, doubtful.start, &shard.lost) {
            let first_created = Timestamp(shard.created_seconds.saturating_mul(1000));
            let (from, until) = arrivals(plan, range, first_created);
            repair.lost.push(LostRecords {
                shard: name.clone(),
                first: range.from,
                last: Ordinal(range.until.0 - 1),
                arrived_from: from,
                arrived_until: until,
                is_certain: range.until <= doubtful.start,
            });
        }
    }
}

/// The parts of `lost` that no repair before this one has told of, records from `certain` on apart.
fn split(lost: LostRange, certain: Ordinal, told: &[LostRange]) -> Vec<LostRange> {
    let middle = certain.max(lost.from).min(lost.until);
    let parts = [(lost.from, middle), (middle, lost.until)];
    let parts = parts.into_iter().filter(|(from, until)| from < until);
    parts.flat_map(|(from, until)| (LostRange { from, until }).without(told)).collect()
}

/// Between which times records `lost` arrived: as their batch's table says where that is sound,
/// else as their neighbours do.
fn arrivals(plan: &ShardPlan, lost: LostRange, created: Timestamp) -> (Timestamp, Timestamp) {
    let last = Ordinal(lost.until.0 - 1);
    let (mut from, mut until) = (created, plan.last_arrival);
    for copy in &plan.copies {
        if copy.end <= lost.from {
            from = from.max(copy.last_arrival);
        }
        if copy.base >= lost.until {
            until = until.min(copy.first_arrival);
        }
    }
    let stated = |record| {
        let all = plan.copies.iter().flat_map(|copy| &copy.arrivals);
        all.into_iter().find(|(at, _)| *at == record).map(|(_, arrival)| *arrival)
    };
    let from = stated(lost.from).unwrap_or(from);
    (from, stated(last).unwrap_or(until).max(from))
}
