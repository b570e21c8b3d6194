//! The official SDK for Rust against a real process: real rows through kills, limits and retries.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::HashMap;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    PutRecordsRequestEntry, ShardIteratorType, StreamDescriptionSummary, StreamStatus,
};
use kinelog_tests::Server;

const BINARY: &str = env!("CARGO_BIN_EXE_kinelog-under-test");
const STREAM: &str = "flights";

/// Partition key and payload of each row of the sample; the payload starts with the row's number.
fn rows() -> Vec<(String, Vec<u8>)> {
    let text = include_str!("../data/flights-sample.csv");
    let mut lines = text.lines();
    let key_at = lines.next().unwrap().split(',').position(|name| name == "tailnum").unwrap();
    lines
        .enumerate()
        .map(|(number, line)| {
            let key = line.split(',').nth(key_at).filter(|key| !key.is_empty());
            (key.unwrap_or("unknown").to_owned(), format!("{number},{line}").into_bytes())
        })
        .collect()
}

/// Creates the stream, on-demand where no number of shards is given.
async fn create(client: &Client, shards: impl Into<Option<i32>>) {
    client.create_stream().stream_name(STREAM).set_shard_count(shards.into()).send().await.unwrap();
    while summary(client).await.stream_status != StreamStatus::Active {
        tokio::task::yield_now().await;
    }
}

async fn summary(client: &Client) -> StreamDescriptionSummary {
    let answer = client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
    answer.stream_description_summary.unwrap()
}

fn entry((key, data): &(String, Vec<u8>)) -> PutRecordsRequestEntry {
    let entry = PutRecordsRequestEntry::builder().partition_key(key);
    entry.data(Blob::new(data.clone())).build().unwrap()
}

struct Read {
    shard: String,
    sequence: String,
    key: String,
    data: Vec<u8>,
}

async fn read_all(client: &Client) -> Vec<Read> {
    let shards = client.list_shards().stream_name(STREAM).send().await.unwrap().shards.unwrap();
    let mut all = Vec::new();
    for shard in shards {
        let answer = client.get_shard_iterator().stream_name(STREAM).shard_id(&shard.shard_id);
        let answer = answer.shard_iterator_type(ShardIteratorType::TrimHorizon).send();
        let mut iterator = answer.await.unwrap().shard_iterator.unwrap();
        loop {
            let answer = client.get_records().shard_iterator(iterator).send().await.unwrap();
            let at_tip = answer.records.is_empty() && answer.millis_behind_latest == Some(0);
            all.extend(answer.records.into_iter().map(|record| Read {
                shard: shard.shard_id.clone(),
                sequence: record.sequence_number,
                key: record.partition_key.unwrap_or_default(),
                data: record.data.into_inner(),
            }));
            match answer.next_shard_iterator {
                Some(next) if !at_tip => iterator = next,
                // Caught up, or at the end of a closed shard.
                Some(_) | None => break,
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_rows_survive_kills_once_in_order_and_unaltered() {
    through_kills(&["--limits", "off"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_rows_survive_kills_without_io_uring() {
    through_kills(&["--limits", "off", "--io", "posix"]).await;
}

async fn through_kills(flags: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start(BINARY, &data, flags);
    let client = server.client(1);
    create(&client, 4).await;
    let rows = rows();
    let mut acknowledged = HashMap::new();
    for (batch, chunk) in rows.chunks(100).enumerate() {
        let entries: Vec<_> = chunk.iter().map(entry).collect();
        let call = client.put_records().stream_name(STREAM).set_records(Some(entries.clone()));
        let call = tokio::spawn(call.send());
        if batch % 6 == 5 {
            // In the middle of the call, wherever that is.
            server.kill();
            server.start_again();
        }
        let answer = if let Ok(answer) = call.await.unwrap() {
            answer
        } else {
            let call = client.put_records().stream_name(STREAM).set_records(Some(entries));
            call.send().await.unwrap()
        };
        assert_eq!(answer.failed_record_count, Some(0));
        for (place, result) in answer.records.into_iter().enumerate() {
            let at = (result.shard_id.unwrap(), result.sequence_number.unwrap());
            let before = acknowledged.insert(at.clone(), batch * 100 + place);
            assert!(before.is_none(), "{at:?} was given out twice");
        }
    }
    assert_eq!(acknowledged.len(), rows.len());
    check(&read_all(&client).await, &mut acknowledged, &rows);
    assert!(acknowledged.is_empty(), "{} acknowledged records are missing", acknowledged.len());
}

fn check(
    read: &[Read],
    acknowledged: &mut HashMap<(String, String), usize>,
    rows: &[(String, Vec<u8>)],
) {
    let mut last_in_shard: HashMap<&str, &str> = HashMap::new();
    let mut last_of_key: HashMap<&str, usize> = HashMap::new();
    for record in read {
        // All numbers have 56 digits, so their texts compare as they do.
        let before = last_in_shard.insert(&record.shard, &record.sequence);
        assert!(before.is_none_or(|before| before < record.sequence.as_str()));
        let at = (record.shard.clone(), record.sequence.clone());
        let row = match acknowledged.remove(&at) {
            Some(row) => {
                let before = last_of_key.insert(&record.key, row);
                assert!(
                    before.is_none_or(|before| before < row),
                    "key {} out of order",
                    record.key
                );
                row
            }
            // A call that never got its answer may have stored its records, whole.
            None => {
                String::from_utf8_lossy(&record.data).split(',').next().unwrap().parse().unwrap()
            }
        };
        assert_eq!((&record.key, &record.data), (&rows[row].0, &rows[row].1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_refuses_what_aws_refuses_in_its_words() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(BINARY, &directory.path().join("data"), &["--limits", "aws"]);
    create(&server.client(50), 1).await;
    let client = server.client(1);
    let row = ("key".to_owned(), vec![7; 100]);
    let mut refused = Vec::new();
    let mut accepted = 0;
    for _ in 0..6 {
        let call = client.put_records().stream_name(STREAM);
        let answer = call.set_records(Some(vec![entry(&row); 500])).send().await.unwrap();
        let failed = answer.failed_record_count.unwrap();
        accepted += 500 - failed;
        let errors = answer.records.into_iter().filter(|result| result.error_code.is_some());
        refused.extend(errors);
    }
    assert!(accepted >= 1000, "a full bucket takes 1,000 records, {accepted} were taken");
    assert!(!refused.is_empty(), "3,000 records at once exceed 1,000 a second");
    for result in refused {
        assert_eq!(result.error_code.unwrap(), "ProvisionedThroughputExceededException");
        assert_eq!(
            result.error_message.unwrap(),
            "Rate exceeded for shard shardId-000000000000 in stream flights under account \
             000000000000."
        );
        assert!(result.sequence_number.is_none() && result.shard_id.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retrying_client_gets_everything_through_the_limits() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(BINARY, &directory.path().join("data"), &["--limits", "aws"]);
    let client = server.client(50);
    create(&client, 1).await;
    let rows: Vec<_> = rows().into_iter().take(1500).collect();
    let mut lanes = Vec::new();
    for lane in rows.chunks(100) {
        let (client, lane) = (client.clone(), lane.to_vec());
        lanes.push(tokio::spawn(async move {
            for (key, data) in lane {
                let call = client.put_record().stream_name(STREAM).partition_key(key);
                call.data(Blob::new(data)).send().await.unwrap();
            }
        }));
    }
    for lane in lanes {
        lane.await.unwrap();
    }
    let mut stored: Vec<_> =
        read_all(&server.client(50)).await.into_iter().map(|record| record.data).collect();
    let mut sent: Vec<_> = rows.into_iter().map(|(_, data)| data).collect();
    stored.sort();
    stored.dedup();
    sent.sort();
    assert_eq!(stored, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_on_demand_stream_grows_under_its_writer_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start(BINARY, &data, &["--limits", "off", "--on-demand", "open"]);
    let client = server.client(1);
    create(&client, None).await;
    assert_eq!(summary(&client).await.open_shard_count, 4);
    let (mut rows, mut acknowledged) = (Vec::new(), HashMap::new());
    while summary(&client).await.open_shard_count <= 4 {
        let first = rows.len();
        rows.extend(
            (first..first + 500).map(|row| (format!("k{}", row % 97), format!("{row},").into())),
        );
        let entries = rows[first..].iter().map(entry).collect();
        let call = client.put_records().stream_name(STREAM).set_records(Some(entries));
        let answer = call.send().await.unwrap();
        assert_eq!(answer.failed_record_count, Some(0));
        for (row, result) in (first..).zip(answer.records) {
            let at = (result.shard_id.unwrap(), result.sequence_number.unwrap());
            assert!(acknowledged.insert(at, row).is_none());
        }
    }
    server.kill();
    server.start_again();
    check(&read_all(&client).await, &mut acknowledged, &rows);
    assert!(acknowledged.is_empty(), "{} acknowledged records are missing", acknowledged.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_acknowledged_over_tls_is_read_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--tls", "self-signed", "--limits", "off"];
    let mut server = Server::start(BINARY, &directory.path().join("data"), &flags);
    create(&server.tls_client(1), 2).await;
    let rows: Vec<_> = rows().into_iter().take(500).collect();
    let call = server.tls_client(1).put_records().stream_name(STREAM);
    let answer = call.set_records(Some(rows.iter().map(entry).collect())).send().await.unwrap();
    assert_eq!(answer.failed_record_count, Some(0));
    server.kill();
    server.start_again();
    let read = read_all(&server.tls_client(50)).await.into_iter().map(|record| record.data);
    let (mut read, mut sent): (Vec<_>, Vec<_>) =
        (read.collect(), rows.into_iter().map(|(_, data)| data).collect());
    read.sort();
    sent.sort();
    assert_eq!(read, sent);
}
