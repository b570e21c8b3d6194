//! Segment files: every batch, every record, and the footer against what the batches say.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::Verifier;
use super::log::{Damage, LogCopies, LogCopy};
use super::metadata::Known;
use crate::error::{FormatError, OpenError};
use crate::format::batch::{self, Batch, HEADER_BYTES};
use crate::format::footer::{self, INDEX_ENTRY_BYTES, Trailer};
use crate::format::page_header::{self, FileKind};
use crate::limits::PAGE_BYTES;
use crate::segment;
use crate::types::{Ordinal, SegmentId, ShardUid, Timestamp};

/// The records one segment file holds, damaged ones included.
pub(super) struct Span {
    pub(super) shard: ShardUid,
    pub(super) base: Ordinal,
    pub(super) end: Ordinal,
    pub(super) path: PathBuf,
}

/// Checks all segments of kept shards.
pub(super) async fn check(
    verifier: &mut Verifier<'_>,
    known: &Known,
    copies: &mut LogCopies,
) -> Result<Vec<Span>, OpenError> {
    let directory = segment::directory(verifier.directory);
    let mut spans = Vec::new();
    for entry in verifier.list(&directory).await? {
        let path = directory.join(&entry.name);
        let Some((shard, base, id)) = segment::parse_file_name(&entry.name) else {
            verifier.harmless(&path, 0, "the file is no segment, or left over");
            continue;
        };
        if shard > known.last_shard {
            let message =
                format!("shard uid {shard} is newer than the catalogue, which was put back");
            verifier.damage(&path, 0, message);
            continue;
        }
        if !known.is_kept(shard) {
            verifier.harmless(&path, 0, "the segment belongs to no shard any more");
            continue;
        }
        let Some(bytes) = verifier.read(&path).await else { continue };
        let file = SegmentFile { path: &path, bytes, shard, base, id };
        spans.push(file.check(verifier, known, copies)?);
    }
    tell_missing(verifier, known, &spans);
    Ok(spans)
}

/// The file of an active segment must be there, also when the log still has its records.
fn tell_missing(verifier: &mut Verifier<'_>, known: &Known, spans: &[Span]) {
    for floor in known.floors.values().filter(|floor| known.is_kept(floor.shard)) {
        let Some(active) = floor.active else { continue };
        let name = segment::file_name(floor.shard, active.base, active.segment);
        let path = segment::directory(verifier.directory).join(name);
        if !spans.iter().any(|span| span.path == path) {
            let label = known.label(floor.shard);
            verifier.damage(&path, 0, format!("the active segment of {label} is missing"));
        }
    }
}

struct SegmentFile<'a> {
    path: &'a Path,
    bytes: Bytes,
    shard: ShardUid,
    base: Ordinal,
    id: SegmentId,
}

/// What a walk over the batches adds up to.
struct Walk {
    position: u64,
    next: Ordinal,
    /// The position after the last record, where footer or checkpoint tell it.
    end: Option<Ordinal>,
    batches: u32,
    header_crcs: crc32fast::Hasher,
    first_arrival: Option<Timestamp>,
    last_arrival: Timestamp,
    /// Batches as index entries would name them: position, ordinal, arrival, header CRC.
    seen: Vec<(u64, Ordinal, Timestamp, u32)>,
    is_damaged: bool,
}

impl SegmentFile<'_> {
    fn check(
        &self,
        verifier: &mut Verifier<'_>,
        known: &Known,
        copies: &mut LogCopies,
    ) -> Result<Span, OpenError> {
        self.check_header(verifier, known)?;
        let len = self.bytes.len() as u64;
        let floor = known.floors.get(&self.shard);
        let active = floor.and_then(|floor| floor.active).filter(|a| a.segment == self.id);
        let is_new = floor.is_none_or(|floor| floor.next <= self.base);
        let trailer = match footer::decode(&self.bytes, len, self.id) {
            Ok(trailer) => Some(trailer),
            Err(FormatError::Version { found, newest, .. }) => {
                return Err(OpenError::TooNew { file: self.path.to_owned(), found, newest });
            }
            Err(error) => {
                if active.is_none() && !is_new {
                    let message = format!("the footer is rebuilt from the batches: {error}");
                    verifier.harmless(self.path, len, message);
                }
                None
            }
        };
        let certain = match (&trailer, active) {
            (Some(trailer), _) => trailer.index_position,
            (None, Some(active)) => active.bytes,
            // Replay makes it again, however far it came.
            (None, None) if is_new => len.min(PAGE_BYTES as u64),
            (None, None) => self.last_batch_end(),
        };
        if certain > len {
            let message = format!("the file ends at {len}, {certain} bytes were written");
            verifier.damage(self.path, len, message);
        }
        let stated = match (&trailer, active) {
            (Some(trailer), _) => Some(trailer.base_ordinal.plus(trailer.records)),
            (None, Some(_)) => floor.map(|floor| floor.next),
            (None, None) => None,
        };
        let walk = self.walk(verifier, known, copies, (certain.min(len), stated));
        if let Some(trailer) = trailer.as_ref().filter(|_| !walk.is_damaged) {
            self.check_footer(verifier, trailer, &walk);
        }
        let end = stated.unwrap_or(walk.next).max(walk.next);
        self.look_beyond(copies, certain);
        Ok(Span { shard: self.shard, base: self.base, end, path: self.path.to_owned() })
    }

    fn check_header(&self, verifier: &mut Verifier<'_>, known: &Known) -> Result<(), OpenError> {
        match page_header::decode(&self.bytes, FileKind::Segment) {
            Ok((header, repaired)) => {
                if repaired {
                    verifier.harmless(self.path, 0, "one copy of the page header is damaged");
                }
                let named = [self.shard.0, self.id.0, self.base.0];
                if header.store != known.store {
                    verifier.damage(self.path, 0, "the file belongs to another store");
                } else if header.fields[1..4] != named {
                    verifier.damage(self.path, 0, "the page header contradicts the file's name");
                }
            }
            Err(FormatError::Version { found, newest, .. }) => {
                return Err(OpenError::TooNew { file: self.path.to_owned(), found, newest });
            }
            Err(error) => {
                let message = format!("the name serves in place of the header: {error}");
                verifier.harmless(self.path, 0, message);
            }
        }
        Ok(())
    }

    fn open(&self, position: u64) -> Option<Batch> {
        let start = usize::try_from(position).ok().filter(|start| *start < self.bytes.len())?;
        Batch::open(&self.bytes.slice(start..), batch::salt(self.id, position)).ok()
    }

    /// End of the last sound batch: where a lost footer began.
    fn last_batch_end(&self) -> u64 {
        let mut position = PAGE_BYTES as u64;
        while let Some(next) = self.next_sound(position, self.bytes.len() as u64) {
            let Some(batch) = self.open(next) else { break };
            position = next + batch.bytes().len() as u64;
        }
        position
    }

    /// Position of the first sound batch of this shard at or after `position`.
    fn next_sound(&self, position: u64, end: u64) -> Option<u64> {
        let last = end.checked_sub(HEADER_BYTES as u64)?;
        (position..=last).step_by(8).find(|&at| {
            self.open(at).is_some_and(|batch| {
                batch.header.shard == self.shard && at + batch.bytes().len() as u64 <= end
            })
        })
    }

    fn walk(
        &self,
        verifier: &mut Verifier<'_>,
        known: &Known,
        copies: &mut LogCopies,
        (end, end_ordinal): (u64, Option<Ordinal>),
    ) -> Walk {
        let mut walk = Walk {
            position: PAGE_BYTES as u64,
            next: self.base,
            end: end_ordinal,
            batches: 0,
            header_crcs: crc32fast::Hasher::new(),
            first_arrival: None,
            last_arrival: Timestamp(0),
            seen: Vec::new(),
            is_damaged: false,
        };
        while walk.position < end {
            let found = self.next_sound(walk.position, end);
            let until = found.unwrap_or(end);
            let batch = found.and_then(|at| self.open(at));
            if until > walk.position {
                let next = batch.as_ref().map(|batch| batch.header.base_ordinal).or(walk.end);
                self.tell_damage(verifier, known, copies, &walk, until, next);
                walk.is_damaged = true;
                walk.position = until;
            }
            let Some(batch) = batch else { break };
            self.take(verifier, known, copies, &mut walk, &batch);
        }
        walk
    }

    /// A stretch in which no batch is sound; `next` is the first record after it.
    fn tell_damage(
        &self,
        verifier: &mut Verifier<'_>,
        known: &Known,
        copies: &mut LogCopies,
        walk: &Walk,
        until: u64,
        next: Option<Ordinal>,
    ) {
        let label = known.label(self.shard);
        let mut saved = walk.next;
        for (_, copy) in copies.range_mut((self.id, walk.position)..(self.id, until)) {
            copy.in_segment = Some(Damage::Whole);
            if copy.is_needed && copy.damage.is_none() && copy.base == saved {
                saved = saved.plus(u64::from(copy.count));
            }
        }
        let which = match next {
            Some(next) if next > walk.next => format!("records {} to {}", walk.next, next.0 - 1),
            Some(_) => "bytes".to_owned(),
            None => format!("records from {} on", walk.next),
        };
        let known_end = next.or_else(|| (saved > walk.next).then_some(saved));
        let is_saved = known_end.is_some_and(|end| saved >= end);
        let expired = next.is_some_and(|next| next <= known.first_kept(self.shard));
        let fate = match (is_saved, expired) {
            (true, _) => "the log has a sound copy",
            (false, true) => "they have expired",
            (false, false) => "no other copy serves, they are lost",
        };
        let message = format!("{which} of {label} are damaged: {fate}");
        verifier.find(self.path, walk.position, message, is_saved || expired);
    }

    fn take(
        &self,
        verifier: &mut Verifier<'_>,
        known: &Known,
        copies: &mut LogCopies,
        walk: &mut Walk,
        batch: &Batch,
    ) {
        let (position, header) = (walk.position, &batch.header);
        let header_crc = batch::header_crc(batch.bytes());
        if batch.repaired() {
            let message = "a flipped bit in a batch is repaired on reading";
            verifier.harmless(self.path, position, message);
        }
        if header.base_ordinal != walk.next && !walk.is_damaged {
            let message = format!(
                "the batch starts at record {}, record {} is due",
                header.base_ordinal, walk.next
            );
            verifier.damage(self.path, position, message);
        }
        self.check_arrivals(verifier, known, walk, batch);
        let damaged = batch.damaged();
        let mut copy = copies.get_mut(&(self.id, position));
        if let Some(copy) = copy.as_deref_mut() {
            copy.in_segment = Some(Damage::Records(damaged.clone()));
            if copy.damage != Damage::Whole && copy.header_crc != header_crc {
                verifier.damage(self.path, position, "the batch differs from the log's");
            }
        }
        for &i in &damaged {
            let record = header.base_ordinal.plus(u64::from(i));
            let serves = |copy: &&mut LogCopy| copy.is_needed && copy.damage.spares(i);
            let saved = copy.as_ref().is_some_and(serves);
            let expired = record < known.first_kept(self.shard);
            let fate = match (saved, expired) {
                (true, _) => "the log has a sound copy",
                (false, true) => "it has expired",
                (false, false) => "no other copy serves, it is lost",
            };
            let label = known.label(self.shard);
            let message = format!("record {record} of {label} is damaged: {fate}");
            verifier.find(self.path, position, message, saved || expired);
        }
        verifier.report.records += u64::from(header.count);
        walk.seen.push((position, header.base_ordinal, header.first_arrival, header_crc));
        walk.header_crcs.update(&header_crc.to_le_bytes());
        walk.batches += 1;
        walk.first_arrival.get_or_insert(header.first_arrival);
        walk.last_arrival = batch.last_arrival();
        walk.next = batch.end();
        walk.position += batch.bytes().len() as u64;
    }

    /// Arrivals never fall, and stay within the time of the shard.
    fn check_arrivals(
        &self,
        verifier: &mut Verifier<'_>,
        known: &Known,
        walk: &Walk,
        batch: &Batch,
    ) {
        let (first, last) = (batch.header.first_arrival, batch.last_arrival());
        if first < walk.last_arrival {
            let message = format!("the batch arrived at {first}, earlier than the one before it");
            verifier.damage(self.path, walk.position, message);
        }
        if known.is_untimely(self.shard, first, last) {
            let message = format!(
                "records arrived from {first} to {last}, outside the time of {}",
                known.label(self.shard)
            );
            verifier.damage(self.path, walk.position, message);
        }
    }

    /// The footer's sum is right: what it says must be what the batches say.
    fn check_footer(&self, verifier: &mut Verifier<'_>, trailer: &Trailer, walk: &Walk) {
        let said = (
            trailer.shard,
            trailer.base_ordinal,
            trailer.base_ordinal.plus(trailer.records),
            Some(trailer.first_arrival),
            trailer.last_arrival,
            trailer.batches,
            trailer.batches_crc,
        );
        let found = (
            self.shard,
            self.base,
            walk.next,
            walk.first_arrival,
            walk.last_arrival,
            walk.batches,
            walk.header_crcs.clone().finalize(),
        );
        let index_start = usize::try_from(trailer.index_position).unwrap_or(usize::MAX);
        let index = self.bytes.get(index_start..).unwrap_or_default();
        let entries = (0..trailer.index_entries as usize)
            .take_while(|i| (i + 1) * INDEX_ENTRY_BYTES <= index.len());
        let index_agrees = entries.map(|i| footer::index_entry(index, i)).all(|entry| {
            let position = u64::from(entry.position);
            walk.seen.binary_search_by_key(&position, |batch| batch.0).is_ok_and(|at| {
                let (_, ordinal, arrival, crc) = walk.seen[at];
                ordinal.0.checked_sub(trailer.base_ordinal.0) == Some(entry.ordinal_delta.into())
                    && arrival.since(trailer.first_arrival) == u64::from(entry.arrival_delta)
                    && crc == entry.header_crc
            })
        });
        if said != found || !index_agrees {
            let message = "the footer contradicts the batches before it";
            verifier.damage(self.path, trailer.index_position, message);
        }
    }

    /// Batches of the log that were copied here after the checkpoint: replay writes them again,
    /// so that they need not be sound.
    fn look_beyond(&self, copies: &mut LogCopies, certain: u64) {
        for (&(_, position), copy) in copies.range_mut((self.id, certain)..=(self.id, u64::MAX)) {
            copy.in_segment = self.open(position).map(|batch| Damage::Records(batch.damaged()));
        }
    }
}
