//! Enhanced fan-out through the official SDK for Rust, against a real process.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{
    ChildShard, ConsumerStatus, ShardIteratorType, StartingPosition, StreamStatus,
    SubscribeToShardEvent, SubscribeToShardEventStream,
};
use kinelog_tests::Server;
use rustix::process::{Pid, Signal, kill_process};

const BINARY: &str = env!("CARGO_BIN_EXE_kinelog-under-test");
const STREAM: &str = "flights";
const PARENT: &str = "shardId-000000000000";

/// One subscription.
struct Subscriber(SubscribeToShardOutput);

impl Subscriber {
    /// The next event; `None` at the end.
    async fn try_next(
        &mut self,
    ) -> Result<Option<SubscribeToShardEvent>, SubscribeToShardEventStreamError> {
        let received = self.0.event_stream.recv().await;
        Ok(match received.map_err(SdkError::into_service_error)? {
            Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)) => Some(event),
            Some(other) => panic!("{other:?}"),
            None => None,
        })
    }

    async fn event(&mut self) -> SubscribeToShardEvent {
        self.try_next().await.unwrap().expect("the subscription goes on")
    }

    /// The next record, whatever empty events come before it.
    async fn record(&mut self) -> (String, SubscribeToShardEvent) {
        loop {
            let event = self.event().await;
            if let Some(record) = event.records.first() {
                assert_eq!(event.records.len(), 1);
                return (String::from_utf8(record.data.clone().into_inner()).unwrap(), event);
            }
        }
    }
}

/// Starts a server with a stream of one shard and the consumer `name`; its ARN.
async fn start(directory: &std::path::Path, name: &str) -> (Server, Client, String) {
    let flags = ["--limits", "off", "--transition-ms", "1"];
    let server = Server::start(BINARY, &directory.join("data"), &flags);
    let client = server.client(1);
    client.create_stream().stream_name(STREAM).shard_count(1).send().await.unwrap();
    settle(&client).await;
    let consumer = register(&client, name).await;
    (server, client, consumer)
}

/// Waits until the stream is ACTIVE; its ARN.
async fn settle(client: &Client) -> String {
    loop {
        let answer = client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
        let summary = answer.stream_description_summary.unwrap();
        if summary.stream_status == StreamStatus::Active {
            return summary.stream_arn;
        }
    }
}

async fn register(client: &Client, name: &str) -> String {
    let arn = settle(client).await;
    let call = client.register_stream_consumer().stream_arn(arn).consumer_name(name);
    let consumer = call.send().await.unwrap().consumer.unwrap().consumer_arn;
    loop {
        let answer =
            client.describe_stream_consumer().consumer_arn(&consumer).send().await.unwrap();
        if answer.consumer_description.unwrap().consumer_status == ConsumerStatus::Active {
            return consumer;
        }
    }
}

fn from(kind: ShardIteratorType, number: Option<&str>) -> StartingPosition {
    let position = StartingPosition::builder().r#type(kind);
    position.set_sequence_number(number.map(ToOwned::to_owned)).build().unwrap()
}

async fn subscribe(
    client: &Client,
    consumer: &str,
    shard: &str,
    position: StartingPosition,
) -> Subscriber {
    let call = client.subscribe_to_shard().consumer_arn(consumer).shard_id(shard);
    Subscriber(call.starting_position(position).send().await.unwrap())
}

async fn put(client: &Client, data: &str) {
    let call = client.put_record().stream_name(STREAM).partition_key(data);
    call.data(Blob::new(data)).send().await.unwrap();
}

fn assert_is_empty(event: &SubscribeToShardEvent) {
    assert!(event.records.is_empty(), "{event:?}");
    assert_eq!(event.millis_behind_latest, 0);
    assert_eq!(event.continuation_sequence_number.len(), 56);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_record_is_pushed_before_the_next_one_is_put() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client, consumer) = start(directory.path(), "c").await;
    let latest = || from(ShardIteratorType::Latest, None);
    let mut one = subscribe(&client, &consumer, PARENT, latest()).await;
    let other = register(&client, "d").await;
    let mut two = subscribe(&client, &other, PARENT, latest()).await;
    assert_is_empty(&one.event().await);
    assert_is_empty(&two.event().await);
    for n in 0..200 {
        put(&client, &n.to_string()).await;
        assert_eq!(one.record().await.0, n.to_string());
        assert_eq!(two.record().await.0, n.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_goes_on_where_the_one_before_stood() {
    let directory = tempfile::tempdir().unwrap();
    let (mut server, client, consumer) = start(directory.path(), "c").await;
    // Beats while the other consumer may not subscribe again.
    let other = register(&client, "d").await;
    let latest = from(ShardIteratorType::Latest, None);
    let horizon = from(ShardIteratorType::TrimHorizon, None);
    let mut clock = subscribe(&client, &other, PARENT, latest).await;
    let mut subscriber = subscribe(&client, &consumer, PARENT, horizon).await;
    for n in 0..5 {
        put(&client, &n.to_string()).await;
    }
    let mut seen = Vec::new();
    let mut number = String::new();
    while seen.len() < 3 {
        let event = subscriber.event().await;
        seen.extend(event.records.into_iter().map(|record| record.data.into_inner()));
        number = event.continuation_sequence_number;
    }
    for kind in [ShardIteratorType::AtSequenceNumber, ShardIteratorType::AfterSequenceNumber] {
        drop(subscriber);
        // The first may be there already; the others come 4 seconds or more after each other.
        let mut beats = 0;
        while beats < 3 {
            beats += u32::from(clock.event().await.records.is_empty());
        }
        put(&client, "more").await;
        let position = from(kind, Some(&number));
        subscriber = subscribe(&client, &consumer, PARENT, position).await;
        loop {
            let event = subscriber.event().await;
            seen.extend(event.records.into_iter().map(|record| record.data.into_inner()));
            number = event.continuation_sequence_number;
            if seen.last().unwrap() == b"more" {
                break;
            }
        }
    }
    server.kill();
    server.start_again();
    let position = from(ShardIteratorType::AfterSequenceNumber, Some(&number));
    let mut subscriber = subscribe(&client, &consumer, PARENT, position).await;
    put(&client, "last").await;
    assert_eq!(subscriber.record().await.0, "last");
    let seen: Vec<_> = seen.iter().map(|data| std::str::from_utf8(data).unwrap()).collect();
    assert_eq!(seen, ["0", "1", "2", "3", "4", "more", "more"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_follow_a_split_through_its_children() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client, consumer) = start(directory.path(), "c").await;
    let horizon = || from(ShardIteratorType::TrimHorizon, None);
    let mut parent = subscribe(&client, &consumer, PARENT, horizon()).await;
    let writer = {
        let client = client.clone();
        tokio::spawn(async move {
            let mut written = 0;
            let split = client.split_shard().stream_name(STREAM).shard_to_split(PARENT);
            let middle = (u128::MAX / 2 + 1).to_string();
            split.new_starting_hash_key(middle).send().await.unwrap();
            // Until both children have some.
            let mut shards = BTreeMap::new();
            while shards.len() < 3 {
                let data = written.to_string();
                let call = client.put_record().stream_name(STREAM).partition_key(&data);
                let answer = call.data(Blob::new(data)).send().await.unwrap();
                *shards.entry(answer.shard_id).or_insert(0) += 1;
                written += 1;
            }
            (written, shards)
        })
    };
    let mut read: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut take = |shard: &str, event: SubscribeToShardEvent| {
        let number = |data: Blob| String::from_utf8(data.into_inner()).unwrap().parse().unwrap();
        let numbers = event.records.into_iter().map(|record| number(record.data));
        read.entry(shard.to_owned()).or_default().extend::<Vec<usize>>(numbers.collect());
    };
    let children: Vec<ChildShard> = loop {
        let mut event = parent.event().await;
        let children = event.child_shards.take();
        let number = event.continuation_sequence_number.clone();
        take(PARENT, event);
        if let Some(children) = children {
            assert_eq!(number, "");
            break children;
        }
        assert_eq!(number.len(), 56);
    };
    assert!(parent.try_next().await.unwrap().is_none());
    let ids: Vec<_> = children.iter().map(|child| child.shard_id.as_str()).collect();
    assert_eq!(ids, ["shardId-000000000001", "shardId-000000000002"]);
    assert!(children.iter().all(|child| child.parent_shards == [PARENT]));
    let (written, by_shard) = writer.await.unwrap();
    for shard in ids {
        let mut subscriber = subscribe(&client, &consumer, shard, horizon()).await;
        let expected = by_shard[shard];
        let mut count = 0;
        while count < expected {
            let event = subscriber.event().await;
            count += event.records.len();
            take(shard, event);
        }
    }
    assert!(read.values().all(|numbers| numbers.is_sorted()));
    let mut all: Vec<_> = read.into_values().flatten().collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..written));
}

#[tokio::test(flavor = "multi_thread")]
async fn exceptions_inside_the_stream_have_their_types() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, client, consumer) = start(directory.path(), "c").await;
    let latest = || from(ShardIteratorType::Latest, None);
    let mut old = subscribe(&client, &consumer, PARENT, latest()).await;
    let refused = client.subscribe_to_shard().consumer_arn(&consumer).shard_id(PARENT);
    let refused = refused.starting_position(latest()).send().await.err().unwrap();
    assert!(refused.into_service_error().is_resource_in_use_exception());
    for _ in 0..3 {
        old.event().await;
    }
    let mut new = subscribe(&client, &consumer, PARENT, latest()).await;
    let taken_over = old.try_next().await.unwrap_err();
    assert!(taken_over.is_resource_in_use_exception());
    assert_is_empty(&new.event().await);
    client.deregister_stream_consumer().consumer_arn(&consumer).send().await.unwrap();
    let gone = new.try_next().await.unwrap_err();
    assert!(gone.is_resource_not_found_exception());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_ends_subscriptions_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    let (server, client, consumer) = start(directory.path(), "c").await;
    let latest = from(ShardIteratorType::Latest, None);
    let mut subscriber = subscribe(&client, &consumer, PARENT, latest).await;
    assert_is_empty(&subscriber.event().await);
    let process = Pid::from_raw(server.id().try_into().unwrap()).unwrap();
    kill_process(process, Signal::TERM).unwrap();
    while subscriber.try_next().await.unwrap().is_some() {}
}
