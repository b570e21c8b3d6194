//! Sealed segments whose footer or batches the input makes: `index` and `segment_recovery`. Sums are
//! right, so that what stands behind them is reached.

use std::path::Path;

use kinelog_engine::format::batch::{self, HEADER_BYTES};
use kinelog_engine::format::footer::{self, IndexEntry, TRAILER_BYTES, Trailer};
use kinelog_engine::format::{checksum, page_header};
use kinelog_engine::types::{Ordinal, SegmentId, Timestamp};

use crate::choices::Choices;
use crate::store::{self, Files};
use crate::{Seed, put};

const PAGE_BYTES: usize = 4096;
const ENTRIES_MAX: usize = 40;
const PIECES_MAX: usize = 400;

/// The sealed segments of a store, and their trailers.
fn sealed(files: &Files) -> Vec<(&Path, Trailer)> {
    let all = files.iter().filter(|(path, _)| path.starts_with("/data/segments"));
    all.filter_map(|(path, bytes)| {
        let segment = page_header::decode(bytes, page_header::FileKind::Segment).ok()?.0.fields[2];
        let trailer = footer::decode(bytes, bytes.len() as u64, SegmentId(segment)).ok()?;
        Some((path.as_path(), trailer))
    })
    .collect()
}

/// The target of the index: any index gives the same records, each of them, and the same places in
/// time.
pub fn run_index(data: &[u8]) {
    let sample = store::indexed();
    let mut files = sample.files.clone();
    let mut choices = Choices::new(data);
    let all = sealed(&sample.files);
    let (path, mut trailer) = all[choices.below(all.len())];
    let mut index: Vec<_> = Vec::new();
    for _ in 0..choices.below(ENTRIES_MAX) {
        index.push(entry(&mut choices, &files[path]));
    }
    if choices.is() {
        index.sort_by_key(|entry| entry.position);
    }
    trailer.index_entries = u32::try_from(index.len()).expect("there are few");
    match choices.below(6) {
        0 => trailer.records = choices.number(),
        1 => trailer.first_arrival = Timestamp(choices.number()),
        2 => trailer.last_arrival = Timestamp(choices.number()),
        3 => trailer.base_ordinal = Ordinal(choices.number()),
        4 => trailer.batches = u32::from(choices.short()),
        _ => {}
    }
    let end = usize::try_from(trailer.index_position).expect("the file is short");
    let bytes = files.get_mut(path).expect("it is one of them");
    bytes.truncate(end);
    bytes.extend(footer::encode(&index, &trailer));
    let found = sample.survives_in_time(files);
    assert_eq!(found.as_ref(), Some(&sample.written), "an index only says where to look");
}

/// An entry that is right, or nearly, or not at all.
fn entry(choices: &mut Choices<'_>, file: &[u8]) -> IndexEntry {
    let frames = frames(file);
    let at = frames[usize::from(choices.short()) % frames.len()];
    let first = u64_at(file, PAGE_BYTES + 16);
    let mut entry = IndexEntry {
        ordinal_delta: u32::try_from(u64_at(file, at + 16) - first).expect("ordinals are near"),
        arrival_delta: 0,
        position: u32::try_from(at).expect("the file is short"),
        header_crc: u32_at(file, at + 4),
    };
    match choices.below(5) {
        0 => entry.ordinal_delta = u32::from(choices.short()),
        1 => entry.position = u32::from(choices.short()) * 8,
        2 => entry.arrival_delta = u32::from(choices.short()),
        3 => entry.header_crc ^= u32::from(choices.short()),
        _ => {}
    }
    entry
}

/// Where the batches of a sealed segment begin.
fn frames(file: &[u8]) -> Vec<usize> {
    let mut all = Vec::new();
    let mut at = PAGE_BYTES;
    while file.len() > at + TRAILER_BYTES && file[at..].starts_with(b"KLB1") {
        all.push(at);
        at += u32_at(file, at + 8) as usize;
    }
    all
}

/// The target of recovery: batches of a segment in any order and number, each with the sum of its new
/// place, and bytes between them. What is read is what was written, and reads go forward.
pub fn run_recovery(data: &[u8]) {
    let sample = store::small();
    let mut files = sample.files.clone();
    let mut choices = Choices::new(data);
    let all = sealed(&sample.files);
    let (path, mut trailer) = all[choices.below(all.len())];
    let before = &sample.files[path];
    let frames = frames(before);
    let mut bytes = before[..PAGE_BYTES].to_vec();
    for _ in 0..PIECES_MAX {
        if choices.is_used_up() {
            break;
        }
        match choices.below(8) {
            0 => bytes.extend_from_slice(choices.bytes()),
            1 => bytes.resize(bytes.len() + choices.below(64) * 8, 0),
            what => {
                let at = frames[choices.below(frames.len())];
                let frame = &before[at..at + u32_at(before, at + 8) as usize];
                let place = bytes.len();
                bytes.extend_from_slice(frame);
                let salt = batch::salt(trailer.segment, place as u64);
                let sum = checksum::salted(salt, &frame[8..HEADER_BYTES]);
                put(&mut bytes, place + 4, sum);
                if what == 2 {
                    let at = place + usize::from(choices.short()) % frame.len();
                    bytes[at] ^= choices.byte();
                } else if what == 3 {
                    bytes.truncate(place + usize::from(choices.short()) % frame.len());
                }
            }
        }
    }
    if choices.is() {
        trailer.index_entries = 0;
        trailer.index_position = bytes.len() as u64;
        bytes.extend(footer::encode(&[], &trailer));
    }
    files.insert(path.to_owned(), bytes);
    drop(sample.survives(files));
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("a header is whole"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("a header is whole"))
}

/// Indexes: none, right ones, one that is far off.
pub fn index_seeds() -> Vec<Seed> {
    let right = |frame: u8| [frame, 0, 4];
    let mut sorted = vec![0, 6];
    (0..6).for_each(|place| sorted.extend(right(place * 20)));
    sorted.extend([1, 5]);
    vec![
        ("none", vec![0, 0, 0, 5]),
        ("right", sorted),
        ("far", vec![1, 2, 5, 0, 0, 0xff, 0xff, 9, 0, 1, 0xff, 0xff, 0, 3, 0, 0]),
    ]
}

/// Segments as they were, turned round, doubled, with holes, and damaged.
pub fn recovery_seeds() -> Vec<Seed> {
    vec![
        ("same", vec![0, 4, 0, 4, 1, 4, 2, 4, 3, 1]),
        ("turned", vec![0, 4, 3, 4, 2, 4, 1, 4, 0]),
        ("doubled", vec![1, 4, 0, 4, 0, 4, 0]),
        ("holes", vec![0, 4, 0, 1, 9, 4, 1, 0, 3, 1, 2, 3, 4, 2]),
        ("damaged", vec![0, 2, 0, 70, 0, 4, 3, 1, 90, 0, 4, 2]),
    ]
}
