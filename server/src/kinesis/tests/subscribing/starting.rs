//! Where a subscription starts, and what is refused before it does.

use kinelog_engine::types::SequenceNumber;

use super::*;

const NOT_FOUND: &str = "Consumer c under stream s under account 123456789012 not found.";

#[tokio::test]
async fn each_type_of_position_starts_at_its_record() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let started = world.context.engine.now();
    let mut numbers = Vec::new();
    for n in 1..=5 {
        let answer = world.put("k", &n.to_string()).await;
        numbers.push(answer["SequenceNumber"].as_str().unwrap().to_owned());
        world.clock.advance_ms(1000);
    }
    let shard_start = SequenceNumber::starting(NOW.seconds(), ShardIndex(0)).to_string();
    for (from, expected) in [
        (horizon(), "12345"),
        (latest(), ""),
        (json!({"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": numbers[2]}), "345"),
        (json!({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": numbers[2]}), "45"),
        (json!({"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": shard_start}), "12345"),
        (json!({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": shard_start}), "12345"),
        (json!({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": numbers[4]}), ""),
        (json!({"Type": "AT_TIMESTAMP", "Timestamp": 1}), "12345"),
        (json!({"Type": "AT_TIMESTAMP", "Timestamp": started.0 / 1000 + 2}), "345"),
    ] {
        world.clock.advance_ms(limits::TAKE_OVER_AFTER_MS);
        let mut subscriber = world.subscribe(&consumer, from.clone()).await;
        assert_eq!(data(&subscriber.event().await).concat(), expected, "{from}");
        world.put("k", "").await;
        assert_eq!(subscriber.event().await["Records"][0]["Data"], "", "{from} goes on");
        world.clock.advance_ms(1);
    }
}

#[tokio::test]
async fn unknown_consumers_are_refused() {
    let world = World::with_stream(1).await;
    let known = consumer(&world, "c").await;
    let (prefix, seconds) = known.rsplit_once(':').unwrap();
    let another = format!("{prefix}:{}", seconds.parse::<u64>().unwrap() + 1);
    world.refuses(request(&another, latest()), Kind::ResourceNotFound, NOT_FOUND).await;
    let elsewhere = known.replace("us-east-1", "eu-west-1");
    let text = "Stream s under account 123456789012 not found.";
    world.refuses(request(&elsewhere, latest()), Kind::ResourceNotFound, text).await;
    let refused = world.try_subscribe(request(&arn("s"), latest())).await.err().unwrap();
    assert_eq!(refused.kind, Kind::Validation);
}

#[tokio::test]
async fn a_consumer_in_the_making_and_one_that_goes_cannot_subscribe() {
    let world = World::with_stream(1).await;
    let body = json!({"StreamARN": arn("s"), "ConsumerName": "c"});
    let answer = world.ok(Operation::RegisterStreamConsumer, body).await;
    let consumer = answer["Consumer"]["ConsumerARN"].as_str().unwrap();
    let seconds = consumer.rsplit_once(':').unwrap().1;
    let text = format!(
        "Consumer c with creation timestamp {seconds} under stream: s , account 123456789012 is \
         not in ACTIVE status."
    );
    world.refuses(request(consumer, latest()), Kind::ResourceInUse, &text).await;
    world.clock.advance_ms(TRANSITION_MS);
    drop(world.subscribe(consumer, latest()).await);
    world.ok(Operation::DeregisterStreamConsumer, json!({"ConsumerARN": consumer})).await;
    world.refuses(request(consumer, latest()), Kind::ResourceInUse, &text).await;
    world.clock.advance_ms(TRANSITION_MS);
    world.refuses(request(consumer, latest()), Kind::ResourceNotFound, NOT_FOUND).await;
}

#[tokio::test]
async fn unknown_shards_are_refused() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    for (shard, text) in [
        ("x", "Could not find shard x in stream s under account 123456789012."),
        (
            "shardId-000000000001",
            "Shard shardId-000000000001 in stream s under account 123456789012 does not exist",
        ),
    ] {
        let mut body = request(&consumer, latest());
        body["ShardId"] = json!(shard);
        world.refuses(body, Kind::ResourceNotFound, text).await;
    }
}

#[tokio::test]
async fn unsound_positions_are_refused() {
    let world = World::with_stream(2).await;
    let consumer = consumer(&world, "c").await;
    let now = world.context.engine.now();
    let number = |created, shard| SequenceNumber::starting(created, ShardIndex(shard)).to_string();
    let either = "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and \
                  StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no \
                  StartingSequenceNumber. Request specified";
    let used = "used in SubscribeToShard on shard shardId-000000000000 in stream s under account \
                123456789012 is invalid";
    let foreign = number(NOW.seconds() - 1, 0);
    for (from, text) in [
        (
            json!({"Type": "AT_SEQUENCE_NUMBER"}),
            format!("{either} AT_SEQUENCE_NUMBER and no StartingSequenceNumber."),
        ),
        (
            json!({"Type": "LATEST", "SequenceNumber": number(NOW.seconds(), 0)}),
            format!("{either} LATEST and also a StartingSequenceNumber."),
        ),
        (
            json!({"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": "0"}),
            format!("StartingSequenceNumber 0 {used}."),
        ),
        (
            json!({"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": "9".repeat(60)}),
            format!("StartingSequenceNumber {} {used}.", "9".repeat(60)),
        ),
        (
            json!({"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": number(NOW.seconds(), 1)}),
            "Invalid StartingSequenceNumber. It encodes shardId-000000000001, while it was used in \
             a call to a shard with shardId-000000000000"
                .to_owned(),
        ),
        (
            json!({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": foreign}),
            format!(
                "StartingSequenceNumber {foreign} {used} because it did not come from this stream."
            ),
        ),
        (
            json!({"Type": "AT_TIMESTAMP"}),
            "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current \
             request has no timestamp parameter."
                .to_owned(),
        ),
        (
            json!({"Type": "AT_TIMESTAMP", "Timestamp": now.seconds() + 1}),
            format!(
                "The timestampInMillis parameter cannot be greater than the \
                 currentTimestampInMillis. timestampInMillis: {}, currentTimestampInMillis: {now}",
                (now.seconds() + 1) * 1000
            ),
        ),
    ] {
        world.refuses(request(&consumer, from), Kind::InvalidArgument, &text).await;
    }
}

#[tokio::test]
async fn a_dry_run_is_refused_last_and_takes_no_place() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut body = request(&consumer, latest());
    body["DryRun"] = json!(true);
    let text = "The request would have succeeded, but the DryRun parameter was set.";
    world.refuses(body.clone(), Kind::DryRunOperation, text).await;
    let _subscriber = world.subscribe(&consumer, latest()).await;
    let text = "Another active subscription exists for this consumer: \
                123456789012:s:shardId-000000000000:c";
    world.refuses(body, Kind::ResourceInUse, text).await;
}

#[tokio::test]
async fn a_second_call_within_five_seconds_is_refused_and_a_later_one_takes_over() {
    let world = World::with_stream(2).await;
    let consumer = consumer(&world, "c").await;
    let held = "Another active subscription exists for this consumer: \
                123456789012:s:shardId-000000000000:c";
    let mut first = world.subscribe(&consumer, latest()).await;
    first.event().await;
    world.refuses(request(&consumer, latest()), Kind::ResourceInUse, held).await;
    let mut other_shard = request(&consumer, latest());
    other_shard["ShardId"] = json!("shardId-000000000001");
    world.try_subscribe(other_shard).await.unwrap();
    world.clock.advance_ms(limits::TAKE_OVER_AFTER_MS - 1);
    world.refuses(request(&consumer, latest()), Kind::ResourceInUse, held).await;
    world.clock.advance_ms(1);
    let mut second = world.subscribe(&consumer, latest()).await;
    let taken_over = ("ResourceInUseException".to_owned(), held.to_owned());
    assert_eq!(first.exception().await, taken_over);
    second.event().await;
    world.put("\u{1}", "x").await;
    drop(second);
    world.refuses(request(&consumer, latest()), Kind::ResourceInUse, held).await;
}

#[tokio::test]
async fn a_subscriber_that_waits_learns_at_once_that_it_was_taken_over() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut first = world.subscribe(&consumer, latest()).await;
    first.event().await;
    world.clock.advance_ms(limits::TAKE_OVER_AFTER_MS);
    first.event().await;
    let (exception, second) = tokio::join!(first.exception(), world.subscribe(&consumer, latest()));
    assert_eq!(exception.0, "ResourceInUseException");
    drop(second);
}

#[tokio::test]
async fn calls_have_their_rate() {
    let world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    let consumer = consumer(&world, "c").await;
    let mut body = request(&consumer, latest());
    body["DryRun"] = json!(true);
    let dry_run = "The request would have succeeded, but the DryRun parameter was set.";
    let text = "Rate exceeded for consumer c and shard shardId-000000000000 in stream s under \
                account 123456789012.";
    for _ in 0..2 {
        world.refuses(body.clone(), Kind::DryRunOperation, dry_run).await;
        world.refuses(body.clone(), Kind::LimitExceeded, text).await;
        world.clock.advance_ms(1000);
    }
}
