//! Checks of shards and numbers against a real process, through the official SDK for Rust.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{ChildShard, Record, Shard, ShardIteratorType};
use kinelog_tests::Server;

use super::fan_out::settle;
use crate::sequence_number::{Fields, fields};

const BINARY: &str = env!("CARGO_BIN_EXE_kinelog-under-test");
const FLAGS: &[&str] = &["--limits", "off"];

async fn shards(client: &Client) -> Vec<Shard> {
    client.list_shards().stream_name("s").send().await.unwrap().shards.unwrap()
}

/// Records of a shard to its end, and its children; to the tip where it has no end.
async fn drain(client: &Client, shard: &str) -> (Vec<Record>, Vec<ChildShard>) {
    let start = client.get_shard_iterator().stream_name("s").shard_id(shard);
    let start = start.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
    let mut iterator = start.shard_iterator;
    let mut records = Vec::new();
    loop {
        let answer = client.get_records().set_shard_iterator(iterator).send().await.unwrap();
        let at_tip = answer.records.is_empty() && answer.millis_behind_latest == Some(0);
        records.extend(answer.records);
        if answer.next_shard_iterator.is_none() {
            return (records, answer.child_shards.unwrap());
        }
        assert!(answer.child_shards.is_none(), "only the last answer names children");
        if at_tip {
            return (records, Vec::new());
        }
        iterator = answer.next_shard_iterator;
    }
}

/// Puts records of a few keys until `is_enough` of the latest number; data is a count for each key.
async fn put_until(
    client: &Client,
    counts: &mut BTreeMap<String, u64>,
    is_enough: impl Fn(Fields, &str) -> bool,
) {
    for key in (0..12).cycle().map(|n: u32| format!("key {n}")) {
        let count = counts.entry(key.clone()).or_default();
        let call = client.put_record().stream_name("s").partition_key(key);
        let answer = call.data(Blob::new(count.to_string())).send().await.unwrap();
        *count += 1;
        if is_enough(fields(&answer.sequence_number), &answer.shard_id) {
            return;
        }
    }
}

/// Reads everything as the consumer library does: from the shards without parents on, a child once
/// all of its parents have been read to their end.
async fn drain_lineage(client: &Client) -> (Vec<Record>, Vec<String>) {
    let all = shards(client).await;
    let of = |shard: &Shard| {
        let parents = [&shard.parent_shard_id, &shard.adjacent_parent_shard_id];
        parents.into_iter().flatten().cloned().collect::<BTreeSet<_>>()
    };
    let parents: BTreeMap<_, _> = all.iter().map(|it| (it.shard_id.clone(), of(it))).collect();
    let mut due: Vec<_> = parents.iter().filter(|(_, parents)| parents.is_empty()).collect();
    let mut due: Vec<_> = due.drain(..).map(|(shard, _)| shard.clone()).collect();
    let (mut records, mut order) = (Vec::new(), Vec::new());
    while let Some(shard) = due.pop() {
        let (read, children) = drain(client, &shard).await;
        records.extend(read);
        order.push(shard.clone());
        for child in children {
            let named: BTreeSet<_> = child.parent_shards.iter().cloned().collect();
            assert_eq!(named, parents[&child.shard_id], "{child:?}");
            let listed = all.iter().find(|it| it.shard_id == child.shard_id).unwrap();
            assert_eq!(child.hash_key_range, listed.hash_key_range);
            let is_due = named.iter().all(|parent| order.contains(parent));
            if is_due && !due.contains(&child.shard_id) {
                due.push(child.shard_id);
            }
        }
    }
    order.sort_unstable();
    (records, order)
}

#[tokio::test(flavor = "multi_thread")]
async fn check_2_put_split_keep_putting_merge_and_drain() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(BINARY, &directory.path().join("data"), FLAGS);
    let client = server.client(1);
    client.create_stream().stream_name("s").shard_count(2).send().await.unwrap();
    settle(&client).await;
    let mut counts = BTreeMap::new();
    put_until(&client, &mut counts, |_, _| true).await;
    let middle = (u128::MAX / 4 + 1).to_string();
    let split = client.split_shard().stream_name("s").shard_to_split("shardId-000000000000");
    split.new_starting_hash_key(middle).send().await.unwrap();
    // For three seconds from the beginning of the children on.
    let after_split = |number: Fields, shard: &str| {
        shard != "shardId-000000000001"
            && number.seconds >= number.created_seconds + 3
            && number.index >= 2
    };
    put_until(&client, &mut counts, after_split).await;
    settle(&client).await;
    let merge = client.merge_shards().stream_name("s").shard_to_merge("shardId-000000000002");
    merge.adjacent_shard_to_merge("shardId-000000000003").send().await.unwrap();
    put_until(&client, &mut counts, |number, _| number.index == 4).await;
    let (records, order) = drain_lineage(&client).await;
    assert_eq!(order.len(), 5, "{order:?}");
    let mut read: BTreeMap<String, u64> = BTreeMap::new();
    for record in records {
        let count = read.entry(record.partition_key.unwrap()).or_default();
        let data = String::from_utf8(record.data.into_inner()).unwrap();
        assert_eq!(data, count.to_string(), "each record once, in the order of its key");
        *count += 1;
    }
    assert_eq!(read, counts);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_8_sequence_numbers_are_laid_out_as_those_of_aws() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(BINARY, &directory.path().join("data"), FLAGS);
    let client = server.client(1);
    client.create_stream().stream_name("s").shard_count(2).send().await.unwrap();
    settle(&client).await;
    let mut counts = BTreeMap::new();
    put_until(&client, &mut counts, |_, _| true).await;
    let merge = client.merge_shards().stream_name("s").shard_to_merge("shardId-000000000000");
    merge.adjacent_shard_to_merge("shardId-000000000001").send().await.unwrap();
    put_until(&client, &mut counts, |number, _| number.index == 2).await;
    let summary = client.describe_stream_summary().stream_name("s").send().await.unwrap();
    let created = summary.stream_description_summary.unwrap().stream_creation_timestamp.secs();
    let mut ends = Vec::new();
    for (index, shard) in (0..).zip(shards(&client).await) {
        let range = shard.sequence_number_range.unwrap();
        let start = fields(&range.starting_sequence_number);
        assert_eq!((start.index, start.counter), (index, 0));
        assert_eq!(start.seconds, start.created_seconds);
        if index < 2 {
            assert_eq!(i64::try_from(start.created_seconds), Ok(created));
        } else {
            assert_eq!(ends, [start.created_seconds - 1; 2], "a second after its parents");
        }
        let mut last = start;
        for record in drain(&client, &shard.shard_id).await.0 {
            let number = fields(&record.sequence_number);
            assert_eq!((number.index, number.created_seconds), (index, start.created_seconds));
            assert!(number.counter > last.counter && number.seconds >= last.seconds);
            let arrival = record.approximate_arrival_timestamp.unwrap().secs();
            assert_eq!(i64::try_from(number.seconds), Ok(arrival));
            last = number;
        }
        if let Some(end) = range.ending_sequence_number {
            let end = fields(&end);
            assert_eq!((end.index, end.counter), (index, i64::MAX as u64));
            assert!(end.seconds >= last.seconds);
            ends.push(end.seconds);
        }
    }
    assert_eq!(ends.len(), 2);
}
