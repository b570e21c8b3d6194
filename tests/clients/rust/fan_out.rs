//! Steps 30 to 37: consumers are registered, subscribe over a reshard, and are forgotten.

use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::delete_stream::DeleteStreamError;
use aws_sdk_kinesis::operation::describe_stream_consumer::DescribeStreamConsumerError;
use aws_sdk_kinesis::operation::register_stream_consumer::RegisterStreamConsumerError;
use aws_sdk_kinesis::operation::register_stream_consumer::builders::RegisterStreamConsumerFluentBuilder;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardError;
use aws_sdk_kinesis::primitives::event_stream::EventReceiver;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{
    ConsumerStatus, ShardIteratorType, StartingPosition, SubscribeToShardEvent,
    SubscribeToShardEventStream,
};

use crate::calls::{ACCOUNT, Clients, HALF, PAUSE, arn, refused, shard_id, shard_ids};
use crate::records::{child_ids, data_of, texts};
use crate::resharding::split;
use crate::step;

/// Returns the ARN of the consumer `late`, which stays.
pub(crate) async fn run(clients: &Clients) -> String {
    let kinesis = &clients.kinesis;
    step(30, "register");
    clients.create("fan", 1).await;
    let reader = register(clients, "reader").await;
    let late = register(clients, "late").await;
    assert_eq!(clients.summary("fan").await.consumer_count, Some(2));

    step(31, "registered twice");
    let again = registration(clients, "reader").send().await;
    refused(again, RegisterStreamConsumerError::is_resource_in_use_exception, None);
    let call = kinesis.list_stream_consumers().stream_arn(arn("fan")).max_results(1);
    let mut pages = call.into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        let consumers = page.unwrap().consumers.unwrap();
        assert_eq!(consumers.len(), 1);
        names.extend(consumers.into_iter().map(|consumer| consumer.consumer_name));
    }
    names.sort();
    assert_eq!(names, ["late", "reader"]);

    subscriptions(clients, &reader).await;

    step(36, "consumers hold the stream");
    let held = kinesis.delete_stream().stream_name("fan").send().await;
    refused(held, DeleteStreamError::is_resource_in_use_exception, None);

    step(37, "deregister");
    kinesis.deregister_stream_consumer().consumer_arn(&reader).send().await.unwrap();
    loop {
        let found = kinesis.describe_stream_consumer().consumer_arn(&reader).send().await;
        if found.is_err() {
            let is_gone = DescribeStreamConsumerError::is_resource_not_found_exception;
            refused(found, is_gone, None);
            return late;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn registration(clients: &Clients, name: &str) -> RegisterStreamConsumerFluentBuilder {
    clients.kinesis.register_stream_consumer().stream_arn(arn("fan")).consumer_name(name)
}

/// Registers a consumer of `fan` and returns its ARN once it is active.
async fn register(clients: &Clients, name: &str) -> String {
    let answer = registration(clients, name).send().await.unwrap();
    let consumer = answer.consumer.unwrap();
    assert_eq!(consumer.consumer_name, name);
    assert_eq!(consumer.consumer_status, ConsumerStatus::Creating);
    let head = format!("{}/consumer/{name}:", arn("fan"));
    let seconds = consumer.consumer_arn.strip_prefix(&head).unwrap();
    assert!(seconds.parse::<u64>().is_ok(), "{seconds}");
    loop {
        let call = clients.kinesis.describe_stream_consumer().consumer_arn(&consumer.consumer_arn);
        let found = call.send().await.unwrap().consumer_description.unwrap();
        assert_eq!(found.stream_arn, arn("fan"));
        if found.consumer_status == ConsumerStatus::Active {
            return consumer.consumer_arn;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn subscriptions(clients: &Clients, reader: &str) {
    let horizon = || StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon);
    let from_horizon = || horizon().build().unwrap();
    step(32, "subscribe");
    for data in ["one", "two", "three"] {
        clients.put("fan", data).await;
    }
    let mut subscription = subscribe(clients, reader, 0, from_horizon()).await.unwrap();
    let (found, continuation) = subscription.next(3).await;
    assert_eq!(found, ["one", "two", "three"]);
    clients.put("fan", "pushed").await;
    assert_eq!(subscription.next(1).await.0, ["pushed"]);

    step(33, "one subscription");
    let text = format!(
        "Another active subscription exists for this consumer: {ACCOUNT}:fan:{}:reader",
        shard_id(0)
    );
    let second = subscribe(clients, reader, 0, from_horizon()).await;
    refused(second, SubscribeToShardError::is_resource_in_use_exception, Some(&text));

    step(34, "end of the shard");
    split(&clients.kinesis, "fan", 0, HALF).send().await.unwrap();
    let mut more = clients.put_until("fan", &shard_id(1), "more").await;
    let last = more.pop().unwrap();
    assert_eq!(subscription.rest().await, data_of(&more));

    step(35, "resubscribe");
    let mut subscription = loop {
        let after = StartingPosition::builder().r#type(ShardIteratorType::AfterSequenceNumber);
        let after = after.sequence_number(&continuation).build().unwrap();
        match subscribe(clients, reader, 0, after).await {
            Ok(subscription) => break subscription,
            Err(error) => {
                let error = error.into_service_error();
                let is_often = error.is_limit_exceeded_exception();
                assert!(is_often || error.is_resource_in_use_exception(), "{error:?}");
            }
        }
        tokio::time::sleep(5 * PAUSE).await;
    };
    let mut expected = data_of(&more);
    expected.insert(0, "pushed".to_owned());
    assert_eq!(subscription.rest().await, expected);
    let mut child = subscribe(clients, reader, 1, from_horizon()).await.unwrap();
    assert_eq!(child.next(1).await.0, [last.data]);
}

struct Subscription(EventReceiver<SubscribeToShardEventStream, SubscribeToShardEventStreamError>);

async fn subscribe(
    clients: &Clients,
    consumer: &str,
    shard: usize,
    from: StartingPosition,
) -> Result<Subscription, SdkError<SubscribeToShardError, HttpResponse>> {
    let call = clients.kinesis.subscribe_to_shard().consumer_arn(consumer);
    let answer = call.shard_id(shard_id(shard)).starting_position(from).send().await?;
    Ok(Subscription(answer.event_stream))
}

impl Subscription {
    /// The next event; `None` at a clean end.
    async fn event(&mut self) -> Option<SubscribeToShardEvent> {
        let event = self.0.recv().await.unwrap()?;
        Some(event.as_subscribe_to_shard_event().unwrap().clone())
    }

    /// The next records, and the last event's continuation number.
    async fn next(&mut self, count: usize) -> (Vec<String>, String) {
        let mut records = Vec::new();
        loop {
            let event = self.event().await.unwrap();
            records.extend(texts(&event.records));
            assert_eq!(event.continuation_sequence_number.len(), 56);
            assert!(event.millis_behind_latest >= 0 && event.child_shards.is_none());
            if records.len() >= count {
                return (records, event.continuation_sequence_number);
            }
        }
    }

    /// The remaining records of a subscription to a shard that ends.
    async fn rest(&mut self) -> Vec<String> {
        let mut records = Vec::new();
        let mut children = None;
        while let Some(event) = self.event().await {
            assert!(children.is_none(), "an event after the end");
            records.extend(texts(&event.records));
            children = event.child_shards;
            // The SDK has an empty text for a number that is not there.
            assert_eq!(event.continuation_sequence_number.is_empty(), children.is_some());
        }
        let children = children.unwrap();
        assert_eq!(child_ids(&children), shard_ids(&[1, 2]));
        assert!(children.iter().all(|child| child.parent_shards == shard_ids(&[0])));
        records
    }
}
