//! A server as a process, from its start on: what an empty directory and ten thousand shards cost.

use std::path::{Path, PathBuf};
use std::time::Instant;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType, StreamStatus};
use kinelog_tests::Server;

const BINARY: &str = env!("CARGO_BIN_EXE_kinelog-under-test");
const STREAM: &str = "wide";
const SHARDS: u32 = 10_000;
/// Records of one call of `PutRecords`.
const CALL_RECORDS: usize = 500;
/// Largest file right after a start on an empty directory, in bytes: nothing large is zeroed
/// before the first answer.
const FIRST_FILE_BYTES_MAX: u64 = 2 << 20;
/// Mapped areas of a process with all shards open: those of the program itself, and a few hundred
/// for its segments, far from the 65,530 the kernel allows.
const MAPS_MAX: usize = 2_000;
/// Open descriptors: the segments open for writing, at most 512, and as many again for readers,
/// the log, and connections.
const DESCRIPTORS_MAX: usize = 1_100;

/// Sizes of all files below `directory`.
fn files(directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push((entry.path(), metadata.len()));
        }
    }
    found
}

/// `VmRSS` of a process, as the kernel words it.
fn resident(process: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap().trim().to_owned()
}

fn maps(process: u32) -> usize {
    std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap().lines().count()
}

fn descriptors(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_directory_is_served_before_anything_large_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let start = Instant::now();
    let server = Server::start(BINARY, &data, &[]);
    let client = server.client(1);
    assert_eq!(client.list_streams().send().await.unwrap().stream_names, Vec::<String>::new());
    let answered = start.elapsed();
    let files = files(&data);
    eprintln!("cold start to the first ListStreams: {answered:?}, {}", resident(server.id()));
    let large: Vec<_> = files.iter().filter(|(_, len)| *len > FIRST_FILE_BYTES_MAX).collect();
    assert!(!files.is_empty() && large.is_empty(), "{large:?}");
}

async fn create(client: &Client) {
    let shards = i32::try_from(SHARDS).unwrap();
    client.create_stream().stream_name(STREAM).shard_count(shards).send().await.unwrap();
    loop {
        let answer = client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
        let summary = answer.stream_description_summary.unwrap();
        if summary.stream_status == StreamStatus::Active {
            assert_eq!(summary.open_shard_count, shards);
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A hash key that shard `number` owns: the middle of its range.
fn hash_key(number: u32) -> u128 {
    let width = u128::MAX / u128::from(SHARDS);
    width * u128::from(number) + width / 2
}

/// One record to each shard; the payload is the shard's number.
async fn fill(client: &Client) {
    let numbers: Vec<_> = (0..SHARDS).collect();
    for chunk in numbers.chunks(CALL_RECORDS) {
        let entries = chunk.iter().map(|number| {
            let entry = PutRecordsRequestEntry::builder().partition_key("key");
            let entry = entry.explicit_hash_key(hash_key(*number).to_string());
            entry.data(Blob::new(number.to_string())).build().unwrap()
        });
        let call = client.put_records().stream_name(STREAM);
        let answer = call.set_records(Some(entries.collect())).send().await.unwrap();
        assert_eq!(answer.failed_record_count, Some(0));
        for (number, result) in chunk.iter().zip(answer.records) {
            assert_eq!(result.shard_id.unwrap(), shard_id(*number));
        }
    }
}

fn shard_id(number: u32) -> String {
    format!("shardId-{number:012}")
}

/// All records of one shard.
async fn records(client: &Client, number: u32) -> Vec<Vec<u8>> {
    let call = client.get_shard_iterator().stream_name(STREAM).shard_id(shard_id(number));
    let call = call.shard_iterator_type(ShardIteratorType::TrimHorizon);
    let iterator = call.send().await.unwrap().shard_iterator.unwrap();
    let answer = client.get_records().shard_iterator(iterator).send().await.unwrap();
    answer.records.into_iter().map(|record| record.data.into_inner()).collect()
}

fn assert_bounded(server: &Server, when: &str) {
    let (maps, descriptors) = (maps(server.id()), descriptors(server.id()));
    eprintln!("{when}: {}, {maps} maps, {descriptors} descriptors", resident(server.id()));
    assert!(maps <= MAPS_MAX, "{when}: {maps} maps");
    assert!(descriptors <= DESCRIPTORS_MAX, "{when}: {descriptors} descriptors");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_shards_open_again_after_a_kill_within_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--limits", "off", "--transition-ms", "1"];
    let mut server = Server::start(BINARY, &directory.path().join("data"), &flags);
    let client = server.client(1);
    create(&client).await;
    fill(&client).await;
    assert_bounded(&server, "10,000 shards written");
    server.kill();
    let start = Instant::now();
    server.start_again();
    let listening = start.elapsed();
    let first = records(&client, 0).await;
    eprintln!(
        "10,000 shards after a kill: listening in {listening:?}, read in {:?}",
        start.elapsed()
    );
    assert_eq!(first, [b"0"]);
    for number in (1..SHARDS).step_by(97).chain([SHARDS - 1]) {
        assert_eq!(records(&client, number).await, [number.to_string().into_bytes()], "{number}");
    }
    assert_bounded(&server, "10,000 shards open again");
}
