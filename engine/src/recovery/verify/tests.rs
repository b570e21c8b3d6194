//! A small store, built with the encoders, and everything that can be wrong with it.

use std::path::Path;

use super::*;
use crate::catalog::Catalog;
use crate::catalog::tests::memory::Memory;
use crate::commit_log;
use crate::format::batch::{self, Plan};
use crate::format::footer::{self, IndexEntry, Trailer};
use crate::format::group::{self, Prefix};
use crate::format::manifest::{self, ActiveFloor, Manifest, ReplayStart, ShardFloor};
use crate::format::page_header::{self, FileKind, PageHeader};
use crate::format::record::{self, RecordRef};
use crate::segment;
use crate::types::{
    Epoch, NewShard, NewStream, Ordinal, SegmentId, ShardUid, StoreId, StreamKey, StreamStatus,
    Timestamp, uniform_ranges,
};

const STORE: StoreId = StoreId(77);
const DIRECTORY: &str = "/data";
const SEALED: SegmentId = SegmentId(0xaa);
const ACTIVE: SegmentId = SegmentId(0xbb);
const IN_LOG: SegmentId = SegmentId(0xcc);
const PAGE: usize = 4096;
const FIRST: ShardUid = ShardUid(1);
const SECOND: ShardUid = ShardUid(2);

fn page(kind: FileKind, fields: &[u64]) -> Vec<u8> {
    let mut all = [0; 10];
    all[..fields.len()].copy_from_slice(fields);
    page_header::encode(&PageHeader { kind, store: STORE, fields: all }).to_vec()
}

/// A batch of two records for a place in a segment.
fn pair(shard: ShardUid, base: u64, segment: SegmentId, offset: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut entries = Vec::new();
    for i in 0..2u8 {
        let data = [i; 13];
        let record = RecordRef {
            partition_key: Some(b"key"),
            explicit_hash_key: None,
            data: &data,
            encrypted: false,
        };
        entries.push(record::encode(&record, &mut bytes));
    }
    let plan = Plan {
        base_ordinal: Ordinal(base),
        arrival: Timestamp(1_000 + base),
        epoch: Epoch(1),
        log_position: 0,
        shard,
        salt: batch::salt(segment, offset as u64),
    };
    let mut out = vec![0; batch::frame_bytes(2, bytes.len())];
    batch::encode(&plan, std::iter::once((&entries[..], &bytes[..])), &mut out);
    out
}

/// Records 1 to 6 of the first shard, sealed.
fn sealed_segment() -> Vec<u8> {
    let mut out = page(FileKind::Segment, &[1, FIRST.0, SEALED.0, 1, 0, 0]);
    let mut crcs = crc32fast::Hasher::new();
    for base in [1, 3, 5] {
        let batch = pair(FIRST, base, SEALED, out.len());
        crcs.update(&batch::header_crc(&batch).to_le_bytes());
        out.extend(batch);
    }
    let index = [IndexEntry {
        ordinal_delta: 0,
        arrival_delta: 0,
        position: 4096,
        header_crc: batch::header_crc(&out[PAGE..]),
    }];
    let trailer = Trailer {
        index_entries: 1,
        index_position: out.len() as u64,
        base_ordinal: Ordinal(1),
        records: 6,
        first_arrival: Timestamp(1_001),
        last_arrival: Timestamp(1_005),
        batches: 3,
        batches_crc: crcs.finalize(),
        segment: SEALED,
        shard: FIRST,
    };
    out.extend(footer::encode(&index, &trailer));
    out
}

struct Built {
    log: Vec<u8>,
    /// Replay starts of the two manifests.
    replays: [ReplayStart; 2],
    /// Offset after the last group.
    end: usize,
}

/// Records 7 and 8 of the first shard in one group; 9 and 10, and those of the second, in another.
fn log_file() -> Built {
    let active_end = PAGE + pair(FIRST, 7, ACTIVE, PAGE).len();
    let place = |segment, offset, first_of_segment| (segment, offset, first_of_segment);
    let groups = [
        vec![(FIRST, 7, place(ACTIVE, PAGE, true))],
        vec![(FIRST, 9, place(ACTIVE, active_end, false)), (SECOND, 1, place(IN_LOG, PAGE, true))],
    ];
    let mut log = page(FileKind::Log, &[1, 5 * PAGE as u64]);
    let mut cursor = ReplayStart {
        sequence: 1,
        offset: PAGE as u64,
        group_number: 4,
        position: 3 * PAGE as u64,
        previous_crc: 0xabcd,
    };
    let mut replays = Vec::new();
    for batches in groups {
        replays.push(cursor);
        let mut out = vec![0; group::head_bytes(batches.len())];
        let mut prefixes = Vec::new();
        for (shard, base, (segment, offset, first_of_segment)) in batches {
            let batch = pair(shard, base, segment, offset);
            let (offset, bytes) = (offset as u64, u32::try_from(batch.len()).unwrap());
            prefixes.push(Prefix { shard, segment, offset, bytes, first_of_segment });
            out.extend(batch);
        }
        let payload_bytes = u32::try_from(out.len()).unwrap();
        out.resize(out.len().next_multiple_of(PAGE), 0);
        let header = group::Header {
            bytes: u32::try_from(out.len()).unwrap(),
            entries: 0,
            number: cursor.group_number,
            position: cursor.position,
            durable_position: cursor.position,
            previous_crc: cursor.previous_crc,
            epoch: Epoch(1),
            payload_bytes,
            crc: 0,
        };
        let header =
            group::seal(&header, &prefixes, group::salt(STORE, 1, cursor.offset), &mut out);
        cursor.offset += out.len() as u64;
        cursor.position += out.len() as u64;
        cursor.group_number += 1;
        cursor.previous_crc = header.crc;
        log.extend(out);
    }
    let end = log.len();
    log.resize(5 * PAGE, 0);
    Built { log, replays: replays.try_into().unwrap(), end }
}

fn manifest(generation: u64, replay: ReplayStart, next: u64, active: Option<u64>) -> Vec<u8> {
    let floor = ShardFloor {
        shard: FIRST,
        next: Ordinal(next),
        first_kept: Ordinal(1),
        active: active.map(|bytes| ActiveFloor { segment: ACTIVE, base: Ordinal(7), bytes }),
        last_arrival: Timestamp(1_005),
        last_segment: SEALED,
    };
    let manifest = Manifest { generation, replay, epoch: Epoch(1), shards: vec![floor] };
    manifest::encode(&manifest, STORE)
}

fn segment_path(base: u64, id: SegmentId) -> PathBuf {
    segment::directory(Path::new(DIRECTORY)).join(segment::file_name(FIRST, Ordinal(base), id))
}

fn log_path(name: &str) -> PathBuf {
    commit_log::directory(Path::new(DIRECTORY)).join(name)
}

/// The store and the offset after the last group of its log.
async fn store() -> (Memory, usize) {
    let memory = Memory::new();
    let directory = Path::new(DIRECTORY);
    let (catalog, _) = Catalog::open(&memory.device(), directory, STORE, true).await.unwrap();
    let shard = |range| NewShard { range, created_seconds: 0, parents: Vec::new() };
    let new = NewStream {
        key: StreamKey { namespace: "n".to_owned(), name: "s".to_owned() },
        status: StreamStatus::Active,
        shards: uniform_ranges(2).into_iter().map(shard).collect(),
        retention_hours: 24,
        attributes: serde_json::Value::Null,
    };
    catalog.create(new).await.unwrap();
    memory.put(&directory.join("store"), page(FileKind::Store, &[5]));
    memory.put(&segment_path(1, SEALED), sealed_segment());
    let mut active = page(FileKind::Segment, &[1, FIRST.0, ACTIVE.0, 7, 0, SEALED.0]);
    active.extend(pair(FIRST, 7, ACTIVE, PAGE));
    let active_bytes = active.len() as u64;
    memory.put(&segment_path(7, ACTIVE), active);
    let built = log_file();
    memory.put(&log_path(&commit_log::file_name(1)), built.log);
    memory.put(&log_path("manifest.0"), manifest(1, built.replays[0], 7, None));
    memory.put(&log_path("manifest.1"), manifest(2, built.replays[1], 9, Some(active_bytes)));
    (memory, built.end)
}

async fn report(memory: &Memory) -> Report {
    verify(&memory.device(), Path::new(DIRECTORY)).await.unwrap()
}

async fn messages(memory: &Memory) -> Vec<(String, bool)> {
    let findings = report(memory).await.findings;
    findings.into_iter().map(|finding| (finding.message, finding.harmless)).collect()
}

fn edit(memory: &Memory, path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = memory.get(path).unwrap();
    edit(&mut bytes);
    memory.put(path, bytes);
}

#[tokio::test]
async fn a_sound_store_has_no_findings() {
    let (memory, _) = store().await;
    let report = report(&memory).await;
    assert_eq!(report.findings, []);
    // Six sealed ones, two in the active segment and the log, four in the log only.
    assert_eq!(report.records, 6 + 2 + 2 + 4);
    assert_eq!(report.files, 8);
}

/// Flips bits all over a file: each byte that holds something once, zeros here and there.
async fn flip_through(path: &Path, range: std::ops::Range<usize>, lossy: std::ops::Range<usize>) {
    let (memory, _) = store().await;
    let whole = memory.get(path).unwrap();
    for at in range {
        if whole[at] == 0 && at % 61 != 0 {
            continue;
        }
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        memory.put(path, bytes);
        let findings = report(&memory).await.findings;
        assert!(!findings.is_empty(), "{} byte {at} passed unseen", path.display());
        assert!(findings.iter().any(|finding| finding.file == path), "byte {at}: {findings:?}");
        let harmless = findings.iter().all(|finding| finding.harmless);
        assert!(harmless || lossy.contains(&at), "byte {at}: {findings:?}");
    }
}

#[tokio::test]
async fn a_flipped_bit_in_the_metadata_is_found_and_harmless() {
    let (memory, _) = store().await;
    let own = ["store", "catalog.0", "catalog.1"].map(|name| Path::new(DIRECTORY).join(name));
    let manifests = ["manifest.0", "manifest.1"].map(log_path);
    for path in own.iter().chain(&manifests) {
        let len = memory.get(path).unwrap().len();
        flip_through(path, 0..len, 0..0).await;
    }
}

#[tokio::test]
async fn a_flipped_bit_in_the_log_is_found_and_harmless() {
    let (_, end) = store().await;
    flip_through(&log_path(&commit_log::file_name(1)), 0..end, 0..0).await;
}

#[tokio::test]
async fn a_flipped_bit_in_a_segment_is_found_and_costs_records_only() {
    let sealed = sealed_segment();
    // Records have no repair, and no copy that a start would read: the checkpoint covers them.
    flip_through(&segment_path(1, SEALED), 0..sealed.len(), PAGE..sealed.len() - 112).await;
    let (memory, _) = store().await;
    let active = segment_path(7, ACTIVE);
    let len = memory.get(&active).unwrap().len();
    flip_through(&active, 0..len, PAGE..len).await;
}

#[tokio::test]
async fn a_damaged_record_is_named_with_its_fate() {
    let (memory, _) = store().await;
    let record_at = PAGE + 64 + 24 + 10;
    edit(&memory, &segment_path(1, SEALED), |bytes| bytes[record_at] ^= 1);
    let lost = "record 1 of shard 0 of stream s is damaged: no other copy serves, it is lost";
    assert_eq!(messages(&memory).await, [(lost.to_owned(), false)]);
    // The log still holds it, but a start begins after it and reads go to the segment.
    let (memory, _) = store().await;
    edit(&memory, &segment_path(7, ACTIVE), |bytes| bytes[record_at] ^= 1);
    let lost = "record 7 of shard 0 of stream s is damaged: no other copy serves, it is lost";
    assert_eq!(messages(&memory).await, [(lost.to_owned(), false)]);
}

#[tokio::test]
async fn damaged_batches_are_named_with_their_records_and_fate() {
    let batch = pair(FIRST, 1, SEALED, PAGE).len();
    let (memory, _) = store().await;
    edit(&memory, &segment_path(1, SEALED), |bytes| bytes[PAGE + batch..][..30].fill(0xee));
    let lost =
        "records 3 to 4 of shard 0 of stream s are damaged: no other copy serves, they are lost";
    assert_eq!(messages(&memory).await, [(lost.to_owned(), false)]);
    let (memory, _) = store().await;
    edit(&memory, &segment_path(7, ACTIVE), |bytes| bytes[PAGE..][..30].fill(0xee));
    let lost =
        "records 7 to 8 of shard 0 of stream s are damaged: no other copy serves, they are lost";
    assert_eq!(messages(&memory).await, [(lost.to_owned(), false)]);
}

#[tokio::test]
async fn missing_segments_are_gaps() {
    let (memory, _) = store().await;
    memory.delete(&segment_path(1, SEALED));
    let lost = "records 1 to 6 of shard 0 of stream s are missing, they are lost";
    assert_eq!(messages(&memory).await, [(lost.to_owned(), false)]);
    let (memory, _) = store().await;
    memory.delete(&segment_path(7, ACTIVE));
    // The log still holds them, but a start begins after that.
    let gone = "the active segment of shard 0 of stream s is missing";
    let lost = "records 7 to 8 of shard 0 of stream s are missing, they are lost";
    let found = messages(&memory).await;
    assert_eq!(found, [(lost.to_owned(), false), (gone.to_owned(), false)]);
}

#[tokio::test]
async fn a_segment_that_was_cut_short_is_damage() {
    let (memory, _) = store().await;
    edit(&memory, &segment_path(7, ACTIVE), |bytes| bytes.truncate(PAGE + 40));
    assert!(messages(&memory).await.iter().any(|(_, harmless)| !harmless));
    let (memory, _) = store().await;
    edit(&memory, &segment_path(1, SEALED), |bytes| bytes.truncate(PAGE + 200));
    let found = messages(&memory).await;
    assert!(found.iter().any(|(message, harmless)| !harmless && message.contains("lost")));
}

#[tokio::test]
async fn a_missing_log_is_damage() {
    let (memory, _) = store().await;
    memory.delete(&log_path(&commit_log::file_name(1)));
    assert!(messages(&memory).await.iter().any(|(message, harmless)| {
        !harmless && message.contains("what came after the checkpoint")
    }));
}

#[tokio::test]
async fn a_damaged_catalogue_does_not_hide_the_rest() {
    let (memory, _) = store().await;
    for name in ["catalog.0", "catalog.1"] {
        edit(&memory, &Path::new(DIRECTORY).join(name), |bytes| bytes[PAGE..].fill(7));
    }
    edit(&memory, &segment_path(1, SEALED), |bytes| bytes[PAGE + 100] ^= 1);
    let found = messages(&memory).await;
    assert!(found.iter().any(|(message, _)| message.starts_with("the catalogue is damaged")));
    assert!(found.iter().any(|(message, _)| message.starts_with("record 1 of shard uid 1")));
}

#[tokio::test]
async fn leftovers_are_harmless() {
    let (memory, _) = store().await;
    let segments = segment::directory(Path::new(DIRECTORY));
    memory.put(&segments.join(segment::file_name(ShardUid(0), Ordinal(1), SEALED)), vec![1; 50]);
    memory.put(&segments.join("x.tmp"), Vec::new());
    memory.put(&log_path("commit-0000000000000001.log.tmp"), Vec::new());
    memory.put(&Path::new(DIRECTORY).join("catalog.0.new"), Vec::new());
    let found = messages(&memory).await;
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|(_, harmless)| *harmless));
}

#[tokio::test]
async fn a_shard_newer_than_the_catalogue_is_damage() {
    let (memory, _) = store().await;
    let segments = segment::directory(Path::new(DIRECTORY));
    memory.put(&segments.join(segment::file_name(ShardUid(9), Ordinal(1), SEALED)), vec![1; 50]);
    let put_back = "shard uid 9 is newer than the catalogue, which was put back";
    assert_eq!(messages(&memory).await, [(put_back.to_owned(), false)]);
}

#[tokio::test]
async fn damage_to_the_only_manifest_is_harmless_while_the_log_is_whole() {
    let (memory, _) = store().await;
    memory.delete(&log_path("manifest.1"));
    edit(&memory, &log_path("manifest.0"), |bytes| bytes.truncate(4200));
    let found = messages(&memory).await;
    assert!(found.contains(&(
        "the only manifest is damaged, the log serves, which is whole".to_owned(),
        true
    )));
    // Not where the log does not go back to its beginning.
    let names = [1, 2].map(commit_log::file_name);
    memory.put(&log_path(&names[1]), memory.get(&log_path(&names[0])).unwrap());
    memory.delete(&log_path(&names[0]));
    let found = messages(&memory).await;
    assert!(
        found.iter().any(|(message, harmless)| {
            !harmless && message.starts_with("no manifest is sound")
        })
    );
}

#[tokio::test]
async fn a_segment_that_had_just_been_made_need_not_be_whole() {
    let (memory, _) = store().await;
    memory.put(&segment_path(9, IN_LOG), vec![7; 100]);
    let found = messages(&memory).await;
    assert!(found.iter().all(|(_, harmless)| *harmless), "{found:?}");
}

#[tokio::test]
async fn a_directory_of_others_is_refused() {
    let memory = Memory::new();
    memory.put(&Path::new(DIRECTORY).join("notes.txt"), vec![1]);
    let refused = verify(&memory.device(), Path::new(DIRECTORY)).await;
    assert!(matches!(refused, Err(OpenError::Foreign { file, .. }) if file == "notes.txt"));
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let (memory, _) = store().await;
    edit(&memory, &segment_path(1, SEALED), |bytes| {
        for copy in [0, 2048] {
            bytes[copy + 12] = 2;
            let crc = crc32fast::hash(&bytes[copy..copy + 124]).to_le_bytes();
            bytes[copy + 124..copy + 128].copy_from_slice(&crc);
        }
    });
    let refused = verify(&memory.device(), Path::new(DIRECTORY)).await;
    assert!(matches!(refused, Err(OpenError::TooNew { found: 2, .. })));
}
