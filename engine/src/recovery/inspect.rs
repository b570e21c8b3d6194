//! `inspect`: one stored file taken apart for people, line by line. Reads bytes only, so it also
//! works on files of a running store; damage is a line, never an error.

use bytes::Bytes;

use crate::format::batch::{self, Batch};
use crate::format::footer;
use crate::format::group;
use crate::format::journal;
use crate::format::manifest;
use crate::format::page_header::{self, FileKind, PageHeader};
use crate::limits::PAGE_BYTES;
use crate::types::SegmentId;

/// Batches start at multiples of this many bytes.
const BATCH_ALIGNMENT: usize = 8;
/// Longest part of a journal frame's payload that is printed, in bytes.
const PAYLOAD_BYTES_PRINTED: usize = 400;

/// Takes the file apart; `line` gets each line of the description.
pub fn inspect(file: &Bytes, line: &mut dyn FnMut(String)) {
    const KINDS: [FileKind; 5] =
        [FileKind::Store, FileKind::Segment, FileKind::Log, FileKind::Manifest, FileKind::Journal];
    let found = KINDS.iter().find_map(|kind| page_header::decode(file, *kind).ok());
    let Some((header, is_damaged)) = found else {
        let why = page_header::decode(file, FileKind::Segment).err();
        let why = why.map(|error| error.to_string()).unwrap_or_default();
        return line(format!("not a sound file of Kinelog: {why}"));
    };
    line(format!("{:?}, store {:032x}, {} bytes", header.kind, header.store.0, file.len()));
    if is_damaged {
        line(
            "  one copy of the page header, or its zeros, is damaged; the other serves".to_owned(),
        );
    }
    match header.kind {
        FileKind::Store => line(format!("  created at {} ms", header.fields[0])),
        FileKind::Segment => segment(file, &header, line),
        FileKind::Log => log(file, &header, line),
        FileKind::Manifest => manifest(file, &header, line),
        FileKind::Journal => journal(file, &header, line),
    }
}

fn segment(file: &Bytes, header: &PageHeader, line: &mut dyn FnMut(String)) {
    let [stream, shard, id, base, created, previous, ..] = header.fields;
    let id = SegmentId(id);
    line(format!(
        "  stream {stream}, shard {shard}, segment {:016x} after {previous:016x}, \
         first ordinal {base}, first arrival {created} ms",
        id.0
    ));
    let footer = footer::decode(file, file.len() as u64, id);
    let end = footer.as_ref().map_or(file.len() as u64, |footer| footer.index_position);
    let mut at = PAGE_BYTES as u64;
    while at < end {
        let rest = file.slice(usize_of(at)..usize_of(end).min(file.len()));
        match Batch::open(&rest, batch::salt(id, at)) {
            Ok(batch) => {
                line(format!("  {at:>10} {}", describe(&batch)));
                at += u64::from(batch.header.frame_bytes);
            }
            Err(_) if rest.iter().all(|byte| *byte == 0) => {
                line(format!("  {at:>10} zeros to the end"));
                break;
            }
            Err(error) => {
                let next = next_batch(file, id, at, end).unwrap_or(end);
                line(format!("  {at:>10} NO BATCH up to {next}: {error}"));
                at = next;
            }
        }
    }
    match footer {
        Ok(footer) => line(format!(
            "  {end:>10} footer: {} records in {} batches, arrivals {} to {} ms, {} index entries",
            footer.records,
            footer.batches,
            footer.first_arrival,
            footer.last_arrival,
            footer.index_entries
        )),
        Err(error) => line(format!("  no footer, so active or unfinished: {error}")),
    }
}

/// Where the next sound header after `at` stands; headers name their place in their checksum.
fn next_batch(file: &[u8], id: SegmentId, at: u64, end: u64) -> Option<u64> {
    (at..end)
        .step_by(BATCH_ALIGNMENT)
        .skip(1)
        .find(|next| batch::decode_header(&file[usize_of(*next)..], batch::salt(id, *next)).is_ok())
}

/// One line on a batch, its records checked.
fn describe(batch: &Batch) -> String {
    let header = &batch.header;
    let mut text = format!(
        "batch: {} records, ordinals {} to {}, arrivals {} to {} ms, {} bytes, epoch {}, \
         log position {}",
        header.count,
        header.base_ordinal,
        batch.end().0.saturating_sub(1),
        header.first_arrival,
        batch.last_arrival(),
        header.frame_bytes,
        header.epoch,
        header.log_position
    );
    if batch.repaired() {
        text.push_str(", one flipped bit repaired");
    }
    let damaged = batch.damaged();
    if !damaged.is_empty() {
        let ordinals: Vec<_> =
            damaged.iter().map(|i| header.base_ordinal.plus(u64::from(*i)).to_string()).collect();
        text.push_str(", DAMAGED records: ");
        text.push_str(&ordinals.join(" "));
    }
    text
}

fn log(file: &Bytes, header: &PageHeader, line: &mut dyn FnMut(String)) {
    let [sequence, bytes, ..] = header.fields;
    line(format!("  sequence {sequence}, {bytes} bytes set aside"));
    let mut at = PAGE_BYTES;
    while at < file.len() {
        let salt = group::salt(header.store, sequence, at as u64);
        let Ok(head) = group::decode_head(&file[at..], salt) else {
            let next = (at + PAGE_BYTES..file.len()).step_by(PAGE_BYTES).find(|next| {
                let salt = group::salt(header.store, sequence, *next as u64);
                group::decode_head(&file[*next..], salt).is_ok()
            });
            let Some(next) = next else { break };
            line(format!("  {at:>10} NO GROUP up to {next}"));
            at = next;
            continue;
        };
        let group = &head.header;
        line(format!(
            "  {at:>10} group {}: position {}, {} bytes, {} batches, epoch {}{}",
            group.number,
            group.position,
            group.bytes,
            head.prefixes.len(),
            group.epoch,
            if head.repaired { ", one flipped bit repaired" } else { "" }
        ));
        for (prefix, range) in head.batches() {
            let bytes = file.slice(at + range.start..(at + range.end).min(file.len()));
            let batch = Batch::open(&bytes, batch::salt(prefix.segment, prefix.offset));
            let text = batch.map_or_else(|error| format!("NO BATCH: {error}"), |b| describe(&b));
            line(format!(
                "               shard {}, segment {:016x} at {}: {text}",
                prefix.shard, prefix.segment.0, prefix.offset
            ));
        }
        at += group.bytes as usize;
    }
    line(format!("  {at:>10} no further group of this use of the file"));
}

fn manifest(file: &Bytes, header: &PageHeader, line: &mut dyn FnMut(String)) {
    let manifest = match manifest::decode(file, header.store) {
        Ok(manifest) => manifest,
        Err(error) => return line(format!("  DAMAGED: {error}")),
    };
    line(format!("  generation {}, epoch {}", manifest.generation, manifest.epoch));
    line(format!("  {:?}", manifest.replay));
    for shard in &manifest.shards {
        line(format!("  {shard:?}"));
    }
}

fn journal(file: &Bytes, header: &PageHeader, line: &mut dyn FnMut(String)) {
    let generation = header.fields[0];
    line(format!("  generation {generation}"));
    let mut at = PAGE_BYTES as u64;
    while usize_of(at) < file.len() {
        match journal::decode(&file[usize_of(at)..], header.store, generation, at) {
            Ok(frame) => {
                let shown = &frame.payload[..frame.payload.len().min(PAYLOAD_BYTES_PRINTED)];
                let text = String::from_utf8_lossy(shown);
                line(format!("  {at:>10} frame {}: {text}", frame.number));
                at += frame.bytes;
            }
            Err(error) => return line(format!("  {at:>10} no frame: {error}")),
        }
    }
}

/// Positions inside a file that is in memory fit.
fn usize_of(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}
