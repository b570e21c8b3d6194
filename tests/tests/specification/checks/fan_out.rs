//! Checks of subscriptions against a real process, through the official SDK for Rust.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    ConsumerStatus, ShardIteratorType, StartingPosition, StreamStatus, SubscribeToShardEvent,
    SubscribeToShardEventStream,
};
use kinelog_tests::Server;

const BINARY: &str = env!("CARGO_BIN_EXE_kinelog-under-test");
const FLAGS: &[&str] = &["--limits", "off", "--transition-ms", "1"];
const SHARD: &str = "shardId-000000000000";

/// Waits until stream `s` is ACTIVE; its ARN.
pub(super) async fn settle(client: &Client) -> String {
    loop {
        let answer = client.describe_stream_summary().stream_name("s").send().await.unwrap();
        let summary = answer.stream_description_summary.unwrap();
        if summary.stream_status == StreamStatus::Active {
            return summary.stream_arn;
        }
    }
}

/// Registers consumer `c`; its ARN once it is ACTIVE.
async fn register(client: &Client) -> String {
    let arn = settle(client).await;
    let call = client.register_stream_consumer().stream_arn(arn).consumer_name("c");
    let consumer = call.send().await.unwrap().consumer.unwrap().consumer_arn;
    loop {
        let call = client.describe_stream_consumer().consumer_arn(&consumer);
        let description = call.send().await.unwrap().consumer_description.unwrap();
        if description.consumer_status == ConsumerStatus::Active {
            return consumer;
        }
    }
}

async fn subscribe(
    client: &Client,
    consumer: &str,
    kind: ShardIteratorType,
    number: Option<&String>,
) -> SubscribeToShardOutput {
    let position = StartingPosition::builder().r#type(kind).set_sequence_number(number.cloned());
    let call = client.subscribe_to_shard().consumer_arn(consumer).shard_id(SHARD);
    call.starting_position(position.build().unwrap()).send().await.unwrap()
}

async fn event(subscription: &mut SubscribeToShardOutput) -> SubscribeToShardEvent {
    let received = subscription.event_stream.recv().await.unwrap();
    let Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)) = received else {
        panic!("{received:?}");
    };
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn check_4_kill_and_resume_from_continuation_with_at_and_after() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(BINARY, &directory.path().join("data"), FLAGS);
    let client = server.client(1);
    client.create_stream().stream_name("s").shard_count(1).send().await.unwrap();
    let consumer = register(&client).await;
    let put = async |n: usize| {
        let call = client.put_record().stream_name("s").partition_key("k");
        call.data(Blob::new(n.to_string())).send().await.unwrap();
    };
    let (mut put_so_far, mut seen) = (0, Vec::new());
    let mut kind = ShardIteratorType::TrimHorizon;
    let mut continuation = None;
    for round in 0..6 {
        for _ in 0..3 {
            put(put_so_far).await;
            put_so_far += 1;
        }
        let mut subscription = subscribe(&client, &consumer, kind, continuation.as_ref()).await;
        // In half of the rounds all records have come, in the others some are still to come.
        let enough = if round % 2 == 0 { put_so_far } else { put_so_far - 1 };
        while seen.len() < enough {
            let event = event(&mut subscription).await;
            let data = event.records.into_iter().map(|record| record.data.into_inner());
            seen.extend(data.map(|data| String::from_utf8(data).unwrap()));
            continuation = Some(event.continuation_sequence_number);
        }
        server.kill();
        server.start_again();
        kind = match round % 2 {
            0 => ShardIteratorType::AtSequenceNumber,
            _ => ShardIteratorType::AfterSequenceNumber,
        };
    }
    let expected: Vec<_> = (0..put_so_far).map(|n| n.to_string()).collect();
    assert_eq!(seen, expected[..seen.len()], "each record once, in order");
    assert!(seen.len() >= put_so_far - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_5_ten_mib_record_in_and_out() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(BINARY, &directory.path().join("data"), FLAGS);
    let client = server.client(1);
    let call = client.create_stream().stream_name("s").shard_count(1);
    call.max_record_size_in_kib(10_240).send().await.unwrap();
    let consumer = register(&client).await;
    let data: Vec<u8> =
        (0..10 << 20).map(|n: u32| n.to_le_bytes()[usize::from(n.is_multiple_of(3))]).collect();
    let put = async |data: &[u8]| {
        client.put_record().stream_name("s").partition_key("k").data(Blob::new(data)).send().await
    };
    put(&data).await.unwrap();
    let too_long = put(&[&data[..], b"x"].concat()).await.unwrap_err().into_service_error();
    assert_eq!(too_long.meta().code(), Some("ValidationException"));
    put(b"behind it").await.unwrap();
    let start = client.get_shard_iterator().stream_name("s").shard_id(SHARD);
    let start = start.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
    let mut iterator = start.shard_iterator;
    let mut read = Vec::new();
    while read.len() < 2 {
        let answer = client.get_records().set_shard_iterator(iterator).send().await.unwrap();
        read.extend(answer.records.into_iter().map(|record| record.data.into_inner()));
        iterator = answer.next_shard_iterator;
    }
    assert!(read[0] == data && read[1] == b"behind it");
    let kind = ShardIteratorType::TrimHorizon;
    let mut subscription = subscribe(&client, &consumer, kind, None).await;
    let mut pushed = Vec::new();
    while pushed.len() < 2 {
        let records = event(&mut subscription).await.records;
        pushed.extend(records.into_iter().map(|record| record.data.into_inner()));
    }
    assert!(pushed == read, "the same bytes");
}
