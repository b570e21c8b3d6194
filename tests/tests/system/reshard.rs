//! Shards change while rows are written and the process is killed: nothing is lost, nothing comes
//! twice, and the rows of a key come back in order to whoever follows the lineage.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{Record, ScalingType, Shard, ShardIteratorType, StreamStatus};
use kinelog_tests::Server;

const BINARY: &str = env!("CARGO_BIN_EXE_kinelog-under-test");
const STREAM: &str = "s";
const KEYS: usize = 8;

/// Waits until the stream is ACTIVE, through restarts of the server.
async fn until_active(client: &Client) {
    loop {
        let answer = client.describe_stream_summary().stream_name(STREAM).send().await;
        let summary = answer.ok().and_then(|answer| answer.stream_description_summary);
        if summary.is_some_and(|summary| summary.stream_status == StreamStatus::Active) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// What was acknowledged of one key, in order: number of the row, shard and sequence number.
type Acknowledged = Vec<(u64, String, String)>;

/// Puts one row after the other. A row without an answer is given up: it may have been stored.
async fn produce(client: Client, key: usize, is_done: Arc<AtomicBool>) -> Acknowledged {
    let mut acknowledged = Vec::new();
    for row in 0.. {
        if is_done.load(Ordering::Relaxed) {
            break;
        }
        let put = client.put_record().stream_name(STREAM).partition_key(format!("key {key}"));
        if let Ok(answer) = put.data(Blob::new(row.to_string())).send().await {
            acknowledged.push((row, answer.shard_id, answer.sequence_number));
        }
    }
    acknowledged
}

/// All records of a shard, and the children named at its end. A shard that shows its end may take
/// records for up to a second more; its end is awaited.
async fn drain(client: &Client, shard: &Shard) -> (Vec<Record>, Vec<String>) {
    let range = shard.sequence_number_range.as_ref().unwrap();
    let ends = range.ending_sequence_number.is_some();
    let kind = ShardIteratorType::TrimHorizon;
    let answer = client.get_shard_iterator().stream_name(STREAM).shard_id(&shard.shard_id);
    let answer = answer.shard_iterator_type(kind).send().await.unwrap();
    let (mut iterator, mut records) = (answer.shard_iterator, Vec::new());
    while let Some(from) = iterator {
        let answer = client.get_records().shard_iterator(from).send().await.unwrap();
        let is_at_tip = answer.records.is_empty() && answer.millis_behind_latest == Some(0);
        records.extend(answer.records);
        let children = answer.child_shards.unwrap_or_default();
        assert_eq!(children.is_empty(), answer.next_shard_iterator.is_some());
        if !children.is_empty() {
            assert!(ends);
            return (records, children.into_iter().map(|it| it.shard_id).collect());
        }
        iterator = answer.next_shard_iterator.filter(|_| ends || !is_at_tip);
    }
    assert!(!ends);
    (records, Vec::new())
}

fn parents(shard: &Shard) -> impl Iterator<Item = &String> {
    shard.parent_shard_id.iter().chain(&shard.adjacent_parent_shard_id)
}

/// Reads from the oldest shards to the children named at their ends, a child after all its parents.
async fn follow_the_lineage(client: &Client) -> Vec<(String, Record)> {
    let list = client.list_shards().stream_name(STREAM).send().await.unwrap().shards.unwrap();
    let by_id: HashMap<_, _> = list.iter().map(|shard| (shard.shard_id.clone(), shard)).collect();
    let oldest = list.iter().filter(|shard| parents(shard).count() == 0);
    let mut due: VecDeque<_> = oldest.map(|shard| shard.shard_id.clone()).collect();
    let (mut read, mut rows) = (HashSet::new(), Vec::new());
    while let Some(shard) = due.pop_front() {
        let (records, children) = drain(client, by_id[&shard]).await;
        rows.extend(records.into_iter().map(|record| (shard.clone(), record)));
        read.insert(shard);
        for child in children {
            if parents(by_id[&child]).all(|parent| read.contains(parent)) {
                due.push_back(child);
            }
        }
    }
    assert_eq!(read.len(), list.len(), "every shard is met");
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_once_and_in_order_through_reshards_and_kills() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--limits", "off", "--transition-ms", "300"];
    let mut server = Server::start(BINARY, &directory.path().join("data"), &flags);
    let client = server.client(1);
    client.create_stream().stream_name(STREAM).shard_count(2).send().await.unwrap();
    until_active(&client).await;
    let is_done = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> = (0..KEYS)
        .map(|key| tokio::spawn(produce(client.clone(), key, Arc::clone(&is_done))))
        .collect();
    for (target, looks_before_kill) in [(3, 0), (4, 40), (2, 400), (3, 100)] {
        let update = client.update_shard_count().stream_name(STREAM).target_shard_count(target);
        update.scaling_type(ScalingType::UniformScaling).send().await.unwrap();
        for _ in 0..looks_before_kill {
            client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
        }
        server.kill();
        server.start_again();
        until_active(&client).await;
    }
    is_done.store(true, Ordering::Relaxed);
    let mut acknowledged = HashMap::new();
    for (key, producer) in producers.into_iter().enumerate() {
        for (row, shard, sequence) in producer.await.unwrap() {
            let before = acknowledged.insert((shard, sequence), (format!("key {key}"), row));
            assert!(before.is_none(), "a sequence number was given out twice");
        }
    }
    let mut last_of_key: HashMap<String, u64> = HashMap::new();
    for (shard, record) in follow_the_lineage(&client).await {
        let key = record.partition_key.unwrap();
        let row = String::from_utf8(record.data.into_inner()).unwrap().parse().unwrap();
        let before = last_of_key.insert(key.clone(), row);
        assert!(before.is_none_or(|before| before < row), "{key}: {row} after {before:?}");
        if let Some(put) = acknowledged.remove(&(shard, record.sequence_number)) {
            assert_eq!(put, (key, row));
        }
    }
    assert!(acknowledged.is_empty(), "{} acknowledged rows are missing", acknowledged.len());
}
