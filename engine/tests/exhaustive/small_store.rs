//! A store that holds every kind of file, as small as it gets, and where each record stands in it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use kinelog_engine::Engine;
use kinelog_engine::append::AppendBuilder;
use kinelog_engine::config::Config;
use kinelog_engine::device::clock::ManualClock;
use kinelog_engine::device::simulated::{SimulatedDisk, Survive};
use kinelog_engine::format::batch::{self, Batch};
use kinelog_engine::format::page_header::{self, FileKind};
use kinelog_engine::format::record::RecordRef;
use kinelog_engine::format::{footer, group};
use kinelog_engine::segment;
use kinelog_engine::types::{
    Durable, NewShard, NewStream, Ordinal, Reshard, SegmentId, Shard, ShardIndex, ShardUid, Stream,
    StreamKey, StreamStatus, Timestamp, uniform_ranges,
};

pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

pub(crate) const DATA: &str = "/data";
pub(crate) const START: Timestamp = Timestamp(1_790_000_000_000);
const PAGE: usize = 4096;

/// Nothing happens by time; files are as small as they get.
pub(crate) fn config(directory: &str) -> Config {
    Config {
        log_file_bytes: 12 << 10,
        checkpoint_log_bytes: 1 << 30,
        checkpoint_interval_ms: 3_600_000,
        segment_bytes_max: 4800,
        tail_cache_bytes_max: 0,
        reserve_bytes: 0,
        retention_interval_ms: 3_600_000,
        ..Config::new(directory)
    }
}

pub(crate) fn key(name: &str) -> StreamKey {
    StreamKey { namespace: "test".into(), name: name.into() }
}

pub(crate) async fn create(engine: &Engine, name: &str, shards: u32) -> Arc<Stream> {
    engine.create_stream(new_stream(name, shards)).await.unwrap()
}

pub(crate) fn new_stream(name: &str, shards: u32) -> NewStream {
    let new = |range| NewShard { range, created_seconds: START.seconds(), parents: vec![] };
    NewStream {
        key: key(name),
        status: StreamStatus::Active,
        shards: uniform_ranges(shards).into_iter().map(new).collect(),
        retention_hours: 24,
        attributes: serde_json::Value::Null,
    }
}

/// Records whose keys are their numbers.
pub(crate) async fn append(engine: &Engine, shard: &Arc<Shard>, records: &[(u64, usize)]) {
    let mut builder = AppendBuilder::with_capacity(records.len(), 100);
    builder.begin_run(Arc::clone(shard));
    for &(number, bytes) in records {
        builder.push(&RecordRef {
            partition_key: Some(number.to_string().as_bytes()),
            explicit_hash_key: None,
            data: &data(number, bytes),
            encrypted: false,
        });
    }
    let done = engine.append(builder.finish()).await.pop().unwrap();
    done.map(Durable::into_inner).unwrap();
}

/// Bytes that tell their record.
pub(crate) fn data(number: u64, bytes: usize) -> Vec<u8> {
    format!("record {number:06}, ").into_bytes().into_iter().cycle().take(bytes).collect()
}

/// Two streams. One was split after its second checkpoint, so that it has closed and open shards;
/// some records stand in sealed segments, some in active ones, some in the log only. After a power
/// cut, so that the log is what counts for the last ones. `seed` draws the ids.
pub(crate) async fn build(seed: u64) -> Files {
    let disk = SimulatedDisk::new(seed);
    let clock = Arc::new(ManualClock::new(START));
    let engine = Engine::open(config(DATA), disk.device(clock.clone())).await.unwrap();
    let one = create(&engine, "one", 1).await;
    let two = create(&engine, "two", 2).await;
    let mut number = seed * 100;
    for round in 0..3 {
        clock.set(Timestamp(START.0 + 1000 * (round as u64 + 1)));
        for _ in 0..2 {
            append(&engine, &one.shards[0], &[(number, 300), (number + 1, 30)]).await;
            append(&engine, &two.shards[round % 2], &[(number + 2, 200)]).await;
            number += 3;
        }
        if round < 2 {
            engine.checkpoint().await.unwrap();
        }
    }
    let split = split_of(&two, &two.shards[1]);
    let two = engine.reshard(two.id, split, Timestamp(START.0 + 60_000), vec![]).await.unwrap();
    append(&engine, two.shards.last().unwrap(), &[(number, 100)]).await;
    drop(engine);
    disk.power_cut(seed, Survive::None).snapshot()
}

/// The halves of an open shard.
pub(crate) fn split_of(stream: &Stream, shard: &Shard) -> Reshard {
    let middle = shard.range.start + (shard.range.end - shard.range.start) / 2;
    let half = |start, end| NewShard {
        range: kinelog_engine::types::HashKeyRange { start, end },
        created_seconds: START.seconds() + 60,
        parents: vec![shard.index],
    };
    assert!(stream.shard(shard.index).is_some());
    Reshard {
        close: vec![shard.index],
        open: vec![half(shard.range.start, middle), half(middle + 1, shard.range.end)],
    }
}

/// A record by stream, number of the shard, and ordinal.
pub(crate) type At = (String, ShardIndex, Ordinal);

/// One stored copy of one record: the bytes that must be whole for it to be told.
pub(crate) struct StoredCopy {
    pub(crate) at: (ShardUid, Ordinal),
    pub(crate) needs: Vec<(PathBuf, Range<usize>)>,
}

/// Every stored copy of every record, found by the formats alone.
pub(crate) fn stored_copies(files: &Files) -> Vec<StoredCopy> {
    let mut copies = Vec::new();
    for (path, bytes) in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        if let Some((_, _, id)) = segment::parse_file_name(name) {
            in_segment(path, bytes, id, &mut copies);
        } else if let Some(sequence) = kinelog_engine::commit_log::parse_file_name(name) {
            in_log(path, bytes, sequence, &mut copies);
        }
    }
    copies
}

/// The records of the last group of the log.
pub(crate) fn last_group(files: &Files) -> Vec<(ShardUid, Ordinal)> {
    let mut last = (0, Vec::new());
    for (path, bytes) in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(sequence) = kinelog_engine::commit_log::parse_file_name(name) else { continue };
        let (header, _) = page_header::decode(bytes, FileKind::Log).unwrap();
        let mut at = PAGE;
        while let Ok(head) =
            group::decode_head(&bytes[at..], group::salt(header.store, sequence, at as u64))
        {
            if head.header.number > last.0 {
                last = (head.header.number, Vec::new());
                for (prefix, range) in head.batches() {
                    let salt = batch::salt(prefix.segment, prefix.offset);
                    let bytes = Bytes::copy_from_slice(&bytes[at + range.start..at + range.end]);
                    let batch = Batch::open(&bytes, salt).unwrap();
                    let base = batch.header.base_ordinal;
                    last.1.extend((base.0..batch.end().0).map(|n| (prefix.shard, Ordinal(n))));
                }
            }
            at += head.header.bytes as usize;
        }
    }
    last.1
}

fn in_segment(path: &Path, bytes: &[u8], id: SegmentId, copies: &mut Vec<StoredCopy>) {
    let end = footer::decode(bytes, bytes.len() as u64, id)
        .map_or(bytes.len(), |footer| usize::try_from(footer.index_position).unwrap());
    let mut at = PAGE;
    while at < end {
        let salt = batch::salt(id, at as u64);
        let Ok(batch) = Batch::open(&Bytes::copy_from_slice(&bytes[at..end]), salt) else { break };
        add(path, at, &batch, &[], copies);
        at += batch.bytes().len();
    }
}

fn in_log(path: &Path, bytes: &[u8], sequence: u64, copies: &mut Vec<StoredCopy>) {
    let (header, _) = page_header::decode(bytes, FileKind::Log).unwrap();
    let mut at = PAGE;
    while at < bytes.len() {
        let salt = group::salt(header.store, sequence, at as u64);
        let Ok(head) = group::decode_head(&bytes[at..], salt) else { break };
        for (prefix, range) in head.batches() {
            let start = at + range.start;
            let salt = batch::salt(prefix.segment, prefix.offset);
            let batch = Bytes::copy_from_slice(&bytes[start..at + range.end]);
            let head_bytes = at..at + group::head_bytes(head.prefixes.len());
            let needs = [(path.to_owned(), head_bytes)];
            add(path, start, &Batch::open(&batch, salt).unwrap(), &needs, copies);
        }
        at += head.header.bytes as usize;
    }
}

fn add(
    path: &Path,
    start: usize,
    batch: &Batch,
    needs: &[(PathBuf, Range<usize>)],
    copies: &mut Vec<StoredCopy>,
) {
    let count = batch.header.count as usize;
    let table_end = batch::HEADER_BYTES + (count * batch::TABLE_ENTRY_BYTES).next_multiple_of(8);
    let offset = |i: usize| {
        let at = batch::HEADER_BYTES + i * batch::TABLE_ENTRY_BYTES;
        u32::from_le_bytes(batch.bytes()[at..at + 4].try_into().unwrap()) as usize
    };
    for i in 0..count {
        let end = if i + 1 < count { offset(i + 1) } else { batch.bytes().len() };
        let mut needs = needs.to_vec();
        needs.push((path.to_owned(), start..start + table_end));
        needs.push((path.to_owned(), start + offset(i)..start + end));
        let at = (batch.header.shard, batch.header.base_ordinal.plus(i as u64));
        copies.push(StoredCopy { at, needs });
    }
}
