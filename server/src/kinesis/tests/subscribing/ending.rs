//! How subscriptions end.

use super::*;

#[tokio::test]
async fn a_subscription_ends_by_itself_after_five_minutes() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    subscriber.event().await;
    world.clock.advance_ms(limits::SUBSCRIPTION_MS - 1);
    let last = subscriber.event().await;
    assert!(subscriber.is_silent());
    world.put("k", "x").await;
    world.clock.advance_ms(1);
    assert!(subscriber.message().await.is_none(), "cleanly, and before further records");
    let from = json!({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": continuation(&last)});
    let mut subscriber = world.subscribe(&consumer, from).await;
    assert_eq!(data(&subscriber.event().await), ["x"]);
}

/// Clients read for 10 seconds at most before they give up, and call again when the server ends the
/// subscription.
#[tokio::test]
async fn check_3_idle_consumer_for_six_minutes_across_a_resubscription() {
    const STEP_MS: u64 = 250;
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    let (mut way_on, mut silent_ms, mut subscriptions) = (String::new(), 0, 1);
    let end = Timestamp(world.context.engine.now().0 + 6 * 60_000);
    while world.context.engine.now() < end {
        match subscriber.poll() {
            Poll::Ready(Some(message)) => {
                let event: Json = serde_json::from_slice(&message.payload).unwrap();
                assert!(is_empty(&event), "{event}");
                way_on = continuation(&event).to_owned();
                silent_ms = 0;
            }
            Poll::Ready(None) => {
                let from = json!({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": way_on});
                subscriber = world.subscribe(&consumer, from).await;
                subscriptions += 1;
            }
            Poll::Pending => {
                world.clock.advance_ms(STEP_MS);
                silent_ms += STEP_MS;
                assert!(silent_ms <= 5000, "silent for {silent_ms} ms");
            }
        }
    }
    assert_eq!(subscriptions, 2);
    world.put("k", "at last").await;
    assert_eq!(subscriber.data(1).await, ["at last"]);
}

#[tokio::test]
async fn a_consumer_that_is_deregistered_is_told_so() {
    let world = World::with_stream(2).await;
    let (one, two) = (consumer(&world, "c").await, consumer(&world, "d").await);
    let mut gone = world.subscribe(&one, latest()).await;
    let mut stays = world.subscribe(&two, latest()).await;
    gone.event().await;
    stays.event().await;
    let text = "Consumer c under stream s under account 123456789012 not found.";
    let body = json!({"ConsumerARN": one});
    let (exception, _) =
        tokio::join!(gone.exception(), world.ok(Operation::DeregisterStreamConsumer, body));
    assert_eq!(exception, ("ResourceNotFoundException".to_owned(), text.to_owned()));
    assert!(stays.is_silent());
}

#[tokio::test]
async fn a_stream_that_is_deleted_ends_its_subscriptions() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    subscriber.event().await;
    let body = json!({"StreamName": "s", "EnforceConsumerDeletion": true});
    world.ok(Operation::DeleteStream, body).await;
    let text = "Stream s under account 123456789012 not found.";
    let exception = subscriber.exception().await;
    assert_eq!(exception, ("ResourceNotFoundException".to_owned(), text.to_owned()));
}

#[tokio::test]
async fn a_stream_that_is_gone_ends_its_subscriptions() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    subscriber.event().await;
    let (exception, removed) =
        tokio::join!(subscriber.exception(), world.context.engine.remove_stream(world.stream().id));
    removed.unwrap();
    assert_eq!(exception.0, "ResourceNotFoundException");
}

fn assert_shard_end(event: &Json) {
    let members: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["ChildShards", "MillisBehindLatest", "Records"]);
    assert_eq!(event["MillisBehindLatest"], 0);
    let half = "170141183460469231731687303715884105727";
    let next = "170141183460469231731687303715884105728";
    let all = "340282366920938463463374607431768211455";
    let children = json!([
        {
            "ShardId": "shardId-000000000001",
            "ParentShards": ["shardId-000000000000"],
            "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": half},
        },
        {
            "ShardId": "shardId-000000000002",
            "ParentShards": ["shardId-000000000000"],
            "HashKeyRange": {"StartingHashKey": next, "EndingHashKey": all},
        },
    ]);
    assert_eq!(event["ChildShards"], children);
}

/// Splits shard 0: its children are shown at once, and begin in the next second.
async fn begin_split(world: &World) {
    let middle = (world.stream().shard(ShardIndex(0)).unwrap().range.end >> 1) + 1;
    let body = json!({
        "StreamName": "s", "ShardToSplit": "0", "NewStartingHashKey": middle.to_string(),
    });
    world.ok(Operation::SplitShard, body).await;
}

async fn split(world: &World) {
    begin_split(world).await;
    world.next_second().await;
}

#[tokio::test]
async fn a_shard_that_is_split_ends_with_its_children() {
    let world = World::with_stream(1).await.in_no_time();
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    subscriber.event().await;
    world.put("k", "last").await;
    split(&world).await;
    assert_eq!(data(&subscriber.event().await), ["last"]);
    let event = subscriber.event().await;
    assert!(is_empty(&event));
    assert_shard_end(&event);
    assert!(subscriber.message().await.is_none());
}

#[tokio::test]
async fn a_subscriber_that_waits_learns_of_a_split_at_once() {
    let world = World::with_stream(1).await.in_no_time();
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    subscriber.event().await;
    let (event, ()) = tokio::join!(subscriber.event(), split(&world));
    assert_shard_end(&event);
    assert!(subscriber.message().await.is_none());
}

#[tokio::test]
async fn a_closed_shard_is_read_to_its_end() {
    let world = World::with_stream(1).await.in_no_time();
    let consumer = consumer(&world, "c").await;
    world.put("k", "1").await;
    world.put("k", "2").await;
    split(&world).await;
    for (from, expected) in [(horizon(), &["1", "2"][..]), (latest(), &[])] {
        let mut subscriber = world.subscribe(&consumer, from).await;
        assert_eq!(subscriber.data(expected.len()).await, expected);
        assert_shard_end(&subscriber.event().await);
        assert!(subscriber.message().await.is_none());
        world.clock.advance_ms(limits::TAKE_OVER_AFTER_MS);
    }
}

#[tokio::test]
async fn the_end_number_of_a_closed_shard_gives_its_end() {
    let world = World::with_stream(1).await.in_no_time();
    let consumer = consumer(&world, "c").await;
    world.put("k", "1").await;
    split(&world).await;
    let shards = world.ok(Operation::ListShards, json!({"StreamName": "s"})).await;
    let end = &shards["Shards"][0]["SequenceNumberRange"]["EndingSequenceNumber"];
    let from = |kind| json!({"Type": kind, "SequenceNumber": end});
    let mut subscriber = world.subscribe(&consumer, from("AT_SEQUENCE_NUMBER")).await;
    assert_shard_end(&subscriber.event().await);
    let text = "Invalid SequenceNumber for ShardIteratorType AFTER_SEQUENCE_NUMBER, SequenceNumber \
                has reached max possible value for the shard.";
    let body = request(&consumer, from("AFTER_SEQUENCE_NUMBER"));
    world.refuses(body, Kind::InvalidArgument, text).await;
}

#[tokio::test]
async fn a_split_leaves_other_shards_alone() {
    let world = World::with_stream(2).await.in_no_time();
    let consumer = consumer(&world, "c").await;
    let mut body = request(&consumer, latest());
    body["ShardId"] = json!("shardId-000000000001");
    let mut subscriber = world.try_subscribe(body).await.unwrap();
    subscriber.event().await;
    split(&world).await;
    assert!(subscriber.is_silent());
}

#[tokio::test]
async fn a_parent_ends_when_its_children_begin_and_not_when_they_are_shown() {
    let world = World::with_stream(1).await.in_no_time();
    let consumer = consumer(&world, "c").await;
    let mut parent = world.subscribe(&consumer, latest()).await;
    parent.event().await;
    begin_split(&world).await;
    let shards = world.ok(Operation::ListShards, json!({"StreamName": "s"})).await;
    assert_eq!(shards["Shards"].as_array().unwrap().len(), 3);
    world.put("k", "to the parent").await;
    assert_eq!(data(&parent.event().await), ["to the parent"]);
    assert!(parent.is_silent());
    world.clock.set(Timestamp((world.context.engine.now().seconds() + 1) * 1000));
    assert_shard_end(&parent.event().await);
}

#[tokio::test]
async fn a_child_can_be_subscribed_to_before_it_begins() {
    let world = World::with_stream(1).await.in_no_time();
    let consumer = consumer(&world, "c").await;
    begin_split(&world).await;
    let mut subscribers = Vec::new();
    let start = kinelog_engine::types::SequenceNumber::starting(
        world.context.engine.now().seconds() + 1,
        ShardIndex(2),
    );
    for (shard, from) in [
        (1, latest()),
        (2, json!({"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": start.to_string()})),
    ] {
        let mut body = request(&consumer, from);
        body["ShardId"] = json!(shard.to_string());
        let mut subscriber = world.try_subscribe(body).await.unwrap();
        let event = subscriber.event().await;
        assert!(is_empty(&event));
        assert!(subscriber.is_silent());
        subscribers.push((shard, subscriber, event));
    }
    world.put("k", "to the parent").await;
    assert!(subscribers.iter_mut().all(|(_, subscriber, _)| subscriber.is_silent()));
    world.next_second().await;
    for (shard, hash_key) in [(1, "0"), (2, "340282366920938463463374607431768211455")] {
        let body = json!({
            "StreamName": "s", "PartitionKey": "k", "ExplicitHashKey": hash_key,
            "Data": base64(shard.to_string().as_bytes()),
        });
        world.ok(Operation::PutRecord, body).await;
    }
    for (shard, mut subscriber, first) in subscribers {
        assert_eq!(data(&subscriber.event().await), [shard.to_string()]);
        world.clock.advance_ms(limits::TAKE_OVER_AFTER_MS);
        let number = continuation(&first);
        let from = json!({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": number});
        let mut body = request(&consumer, from);
        body["ShardId"] = json!(shard.to_string());
        let mut again = world.try_subscribe(body).await.unwrap();
        assert_eq!(data(&again.event().await), [shard.to_string()]);
    }
}

#[tokio::test]
async fn both_parents_of_a_merge_end_with_their_child() {
    let world = World::with_stream(2).await.in_no_time();
    let consumer = consumer(&world, "c").await;
    let mut subscribers = Vec::new();
    for shard in ["0", "1"] {
        let mut body = request(&consumer, latest());
        body["ShardId"] = json!(shard);
        let mut subscriber = world.try_subscribe(body).await.unwrap();
        assert!(is_empty(&subscriber.event().await));
        subscribers.push(subscriber);
    }
    let body = json!({"StreamName": "s", "ShardToMerge": "0", "AdjacentShardToMerge": "1"});
    world.ok(Operation::MergeShards, body).await;
    world.next_second().await;
    for mut subscriber in subscribers {
        let child = json!([{
            "ShardId": "shardId-000000000002",
            "ParentShards": ["shardId-000000000000", "shardId-000000000001"],
            "HashKeyRange": {
                "StartingHashKey": "0",
                "EndingHashKey": "340282366920938463463374607431768211455",
            },
        }]);
        assert_eq!(subscriber.event().await["ChildShards"], child);
        assert!(subscriber.message().await.is_none());
    }
}

#[tokio::test]
async fn a_fault_ends_a_subscription_in_place_of_an_event() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, horizon()).await;
    subscriber.event().await;
    world.inject(&[
        "SubscribeToShard:stream=t:in-stream=ResourceInUse",
        "SubscribeToShard:count=1:in-stream=InternalFailure:message=try again",
    ]);
    world.put("k", "x").await;
    let expected = ("InternalFailureException".to_owned(), "try again".to_owned());
    assert_eq!(subscriber.exception().await, expected);
    world.clock.advance_ms(limits::TAKE_OVER_AFTER_MS);
    let mut again = world.subscribe(&consumer, horizon()).await;
    assert_eq!(data(&again.event().await), ["x"]);
}
