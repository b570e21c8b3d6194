//! `SplitShard` and `MergeShards`: what they show when, and where records go meanwhile.

use kinelog_engine::types::SequenceNumber;

use super::*;

pub(super) const MIDDLE: u128 = 1 << 127;

pub(super) fn split_body(shard: &str, at: u128) -> Json {
    json!({"StreamName": "s", "ShardToSplit": shard, "NewStartingHashKey": at.to_string()})
}

fn merge_body(lower: &str, upper: &str) -> Json {
    json!({"StreamName": "s", "ShardToMerge": lower, "AdjacentShardToMerge": upper})
}

pub(super) fn id(index: u32) -> String {
    format!("shardId-{index:012}")
}

/// A shard as described: its index, its parents, and the seconds of its start and its end.
pub(super) type Seen = (u32, Vec<u32>, u64, Option<u64>);

fn seen(shard: &Json) -> Seen {
    let index = |text: &Json| text.as_str().unwrap()["shardId-".len()..].parse().unwrap();
    let parents = ["ParentShardId", "AdjacentParentShardId"].into_iter();
    let parents = parents.filter_map(|member| shard.get(member)).map(index).collect();
    let range = &shard["SequenceNumberRange"];
    let start = number(&range["StartingSequenceNumber"]);
    let end = range.get("EndingSequenceNumber").map(number);
    let own = index(&shard["ShardId"]);
    assert_eq!(start, SequenceNumber::starting(start.seconds, ShardIndex(own)));
    if let Some(end) = end {
        assert_eq!(end, SequenceNumber::ending(start.seconds, ShardIndex(own), end.seconds));
    }
    (own, parents, start.seconds, end.map(|end| end.seconds))
}

pub(super) fn number(text: &Json) -> SequenceNumber {
    use kinelog_engine::types::ParsedSequenceNumber;
    match SequenceNumber::parse(text.as_str().unwrap()) {
        Ok(ParsedSequenceNumber::V2(number)) => number,
        other => panic!("{other:?}"),
    }
}

/// Status, open shards and all shards; every operation that tells them must tell the same.
pub(super) async fn described(world: &World) -> (String, u64, Vec<Seen>) {
    let body = || json!({"StreamName": "s"});
    let description = world.ok(Operation::DescribeStream, body()).await;
    let description = &description["StreamDescription"];
    let summary = world.ok(Operation::DescribeStreamSummary, body()).await;
    let summary = &summary["StreamDescriptionSummary"];
    let list = world.ok(Operation::ListShards, body()).await;
    assert_eq!(description["Shards"], list["Shards"]);
    assert_eq!(description["StreamStatus"], summary["StreamStatus"]);
    let shards: Vec<_> = list["Shards"].as_array().unwrap().iter().map(seen).collect();
    let open = summary["OpenShardCount"].as_u64().unwrap();
    assert_eq!(shards.iter().filter(|shard| shard.3.is_none()).count() as u64, open);
    let body = json!({"StreamName": "s", "ShardFilter": {"Type": "AT_LATEST"}});
    let latest = world.ok(Operation::ListShards, body).await;
    assert_eq!(latest["Shards"].as_array().unwrap().len() as u64, open);
    (description["StreamStatus"].as_str().unwrap().to_owned(), open, shards)
}

/// Puts a record and tells the shard it went to and the second it got.
pub(super) async fn put_at(world: &World, hash: u128) -> (u32, u64) {
    let body = json!({
        "StreamName": "s", "Data": "", "PartitionKey": "k", "ExplicitHashKey": hash.to_string(),
    });
    let answer = world.ok(Operation::PutRecord, body).await;
    let number = number(&answer["SequenceNumber"]);
    (number.shard.0, number.seconds)
}

#[tokio::test]
async fn a_split_is_shown_when_it_is_due_and_counts_from_the_next_second_on() {
    let world = World::with_stream(1).await;
    let created = NOW.seconds();
    assert_eq!(world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await, Json::Null);
    let before = vec![(0, vec![], created, None)];
    assert_eq!(described(&world).await, ("UPDATING".to_owned(), 1, before.clone()));
    world.clock.advance_ms(TRANSITION_MS - 1);
    assert_eq!(described(&world).await, ("UPDATING".to_owned(), 1, before));
    assert_eq!(put_at(&world, MIDDLE).await.0, 0);

    world.clock.advance_ms(1);
    let closed = world.context.engine.now().seconds();
    let after = vec![
        (0, vec![], created, Some(closed)),
        (1, vec![0], closed + 1, None),
        (2, vec![0], closed + 1, None),
    ];
    assert_eq!(described(&world).await, ("ACTIVE".to_owned(), 2, after.clone()));
    assert_eq!(put_at(&world, MIDDLE).await, (0, closed), "the parent still takes records");
    world.clock.set(Timestamp(closed * 1000 + 999));
    assert_eq!(put_at(&world, 0).await, (0, closed));
    assert_eq!(described(&world).await.2, after);

    world.clock.advance_ms(1);
    assert_eq!(put_at(&world, MIDDLE - 1).await, (1, closed + 1));
    assert_eq!(put_at(&world, MIDDLE).await, (2, closed + 1));
    assert_eq!(described(&world).await, ("ACTIVE".to_owned(), 2, after));
    assert_eq!(world.stream().status, kinelog_engine::types::StreamStatus::Active);
}

#[tokio::test]
async fn a_merge_ends_both_parents_in_the_same_second() {
    let world = World::with_stream(3).await;
    world.ok(Operation::MergeShards, merge_body("1", "2")).await;
    assert_eq!(described(&world).await.1, 3);
    world.clock.advance_ms(TRANSITION_MS);
    let (created, closed) = (NOW.seconds(), world.context.engine.now().seconds());
    let after = vec![
        (0, vec![], created, None),
        (1, vec![], created, Some(closed)),
        (2, vec![], created, Some(closed)),
        (3, vec![1, 2], closed + 1, None),
    ];
    assert_eq!(described(&world).await, ("ACTIVE".to_owned(), 2, after.clone()));
    assert_eq!(put_at(&world, u128::MAX).await, (2, closed));
    world.next_second().await;
    assert_eq!(put_at(&world, u128::MAX).await, (3, closed + 1));
    assert_eq!(put_at(&world, MIDDLE).await, (3, closed + 1));
    assert_eq!(put_at(&world, 0).await, (0, closed + 1));
    assert_eq!(described(&world).await.2, after);
    let list = world.ok(Operation::ListShards, json!({"StreamName": "s"})).await;
    let range = &list["Shards"][3]["HashKeyRange"];
    let (start, end) = (&range["StartingHashKey"], &range["EndingHashKey"]);
    assert_eq!(start, "113427455640312821154458202477256070485");
    assert_eq!(end, "340282366920938463463374607431768211455");
}

#[tokio::test]
async fn a_shard_that_is_to_begin_can_be_read_already() {
    let world = World::with_stream(1).await;
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    let text = "Shard shardId-000000000002 in stream s under account 123456789012 does not exist";
    let body = json!({"StreamName": "s", "ShardId": "2", "ShardIteratorType": "LATEST"});
    world.refused(Operation::GetShardIterator, body, Kind::ResourceNotFound, text).await;
    world.clock.advance_ms(TRANSITION_MS);
    let begins = world.context.engine.now().seconds() + 1;
    let start = SequenceNumber::starting(begins, ShardIndex(2)).to_string();
    let at_start = json!({"StartingSequenceNumber": start});
    let mut iterators = Vec::new();
    for (kind, more) in [
        ("TRIM_HORIZON", json!({})),
        ("LATEST", json!({})),
        ("AT_TIMESTAMP", json!({"Timestamp": begins - 1})),
        ("AT_SEQUENCE_NUMBER", at_start.clone()),
        ("AFTER_SEQUENCE_NUMBER", at_start),
    ] {
        let read = world.read(&world.iterator("2", kind, more).await).await;
        assert_eq!((&read["Records"], &read["MillisBehindLatest"]), (&json!([]), &json!(0)));
        assert!(read.get("ChildShards").is_none());
        iterators.push(read["NextShardIterator"].as_str().unwrap().to_owned());
    }
    world.next_second().await;
    put_at(&world, MIDDLE).await;
    for iterator in iterators {
        assert_eq!(world.read(&iterator).await["Records"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_parent_is_read_to_its_end_which_comes_when_its_children_begin() {
    let world = World::with_stream(2).await;
    world.ok(Operation::MergeShards, merge_body("0", "1")).await;
    world.clock.advance_ms(TRANSITION_MS);
    let closed = world.context.engine.now().seconds();
    let latest = world.iterator("0", "LATEST", json!({})).await;
    let end = SequenceNumber::ending(NOW.seconds(), ShardIndex(0), closed).to_string();
    let end = json!({"StartingSequenceNumber": end});
    let at_end = world.iterator("0", "AT_SEQUENCE_NUMBER", end.clone()).await;
    put_at(&world, 0).await;
    let read = world.read(&latest).await;
    assert_eq!(read["Records"].as_array().unwrap().len(), 1);
    assert!(read.get("ChildShards").is_none());
    let next = read["NextShardIterator"].as_str().unwrap().to_owned();
    let nothing = world.read(&at_end).await;
    assert_eq!(nothing["Records"], json!([]));
    let at_end = nothing["NextShardIterator"].as_str().unwrap().to_owned();
    world.next_second().await;
    let children = json!([{
        "ShardId": id(2),
        "ParentShards": [id(0), id(1)],
        "HashKeyRange": {
            "StartingHashKey": "0",
            "EndingHashKey": "340282366920938463463374607431768211455",
        },
    }]);
    let upper = world.iterator("1", "TRIM_HORIZON", json!({})).await;
    let fresh = world.iterator("0", "LATEST", json!({})).await;
    for iterator in [next, at_end, upper, fresh] {
        let read = world.read(&iterator).await;
        assert_eq!((&read["Records"], &read["ChildShards"]), (&json!([]), &children));
        assert!(read.get("NextShardIterator").is_none());
    }
    let read = world.read(&latest).await;
    assert_eq!(read["Records"].as_array().unwrap().len(), 1, "the last answer has records, too");
    assert_eq!(read["ChildShards"], children);
}

#[tokio::test]
async fn a_shard_can_be_split_as_soon_as_the_stream_is_active_again() {
    let world = World::with_stream(1).await;
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    world.clock.advance_ms(TRANSITION_MS);
    let closed = world.context.engine.now().seconds();
    world.ok(Operation::SplitShard, split_body("2", MIDDLE + (MIDDLE >> 1))).await;
    let (status, open, shards) = described(&world).await;
    assert_eq!((status.as_str(), open), ("UPDATING", 2), "what was shown stays");
    assert_eq!(shards[0].3, Some(closed));
    assert_eq!(put_at(&world, MIDDLE).await, (0, closed));
    world.next_second().await;
    assert_eq!(put_at(&world, MIDDLE).await, (2, closed + 1));
    assert_eq!(described(&world).await.0, "UPDATING");
    world.clock.advance_ms(TRANSITION_MS);
    world.next_second().await;
    let second = closed + TRANSITION_MS / 1000;
    assert_eq!(
        described(&world).await.2[2..],
        [
            (2, vec![0], closed + 1, Some(second)),
            (3, vec![2], second + 1, None),
            (4, vec![2], second + 1, None),
        ]
    );
    assert_eq!(put_at(&world, MIDDLE).await.0, 3);
}

#[tokio::test]
async fn a_child_lives_a_second_at_least() {
    let mut world = World::with_stream(1).await;
    let settings = Settings { transition_ms: 0, ..world.context.settings().clone() };
    world.context = Context::new(world.context.engine.clone(), settings);
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    let closed = world.context.engine.now().seconds();
    world.ok(Operation::MergeShards, merge_body("1", "2")).await;
    assert_eq!(described(&world).await.0, "UPDATING", "one step at a time is shown ahead");
    world.next_second().await;
    let (status, open, shards) = described(&world).await;
    assert_eq!((status.as_str(), open), ("ACTIVE", 1));
    assert_eq!(
        shards[1..],
        [
            (1, vec![0], closed + 1, Some(closed + 1)),
            (2, vec![0], closed + 1, Some(closed + 1)),
            (3, vec![1, 2], closed + 2, None),
        ]
    );
    assert_eq!(put_at(&world, MIDDLE).await, (2, closed + 1));
    world.next_second().await;
    assert_eq!(put_at(&world, MIDDLE).await, (3, closed + 2));
}

#[tokio::test]
async fn a_reshard_goes_on_after_a_restart_at_any_time() {
    for restarts in 0..8 {
        let mut world = World::with_stream(1).await;
        let restart = async |world: &mut World, phase: u32| {
            if restarts & (1 << phase) != 0 {
                world.restart().await;
            }
        };
        world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
        restart(&mut world, 0).await;
        assert_eq!(described(&world).await.0, "UPDATING");
        world.clock.advance_ms(TRANSITION_MS);
        restart(&mut world, 1).await;
        let closed = world.context.engine.now().seconds();
        assert_eq!(described(&world).await.1, 2);
        assert_eq!(put_at(&world, MIDDLE).await, (0, closed));
        world.clock.advance_ms(5000);
        restart(&mut world, 2).await;
        assert_eq!(put_at(&world, MIDDLE).await, (2, closed + 5));
        let expected = vec![
            (0, vec![], NOW.seconds(), Some(closed)),
            (1, vec![0], closed + 1, None),
            (2, vec![0], closed + 1, None),
        ];
        assert_eq!(described(&world).await, ("ACTIVE".to_owned(), 2, expected));
    }
}

#[tokio::test]
async fn a_timer_carries_out_what_nobody_looks_at() {
    let mut world = World::with_stream(1).await;
    let settings = Settings { transition_ms: 0, ..world.context.settings().clone() };
    world.context = Context::new(world.context.engine.clone(), settings);
    let closed = world.context.engine.now().seconds();
    world.clock.set(Timestamp(closed * 1000 + 999));
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    world.clock.advance_ms(1);
    while world.stream().shards.len() == 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.stream().status, kinelog_engine::types::StreamStatus::Active);
}

#[tokio::test]
async fn a_late_writer_does_not_write_past_the_end_of_the_parent() {
    let world = World::with_stream(1).await;
    let stale = world.stream();
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    world.clock.advance_ms(TRANSITION_MS);
    let closed = world.context.engine.now().seconds();
    // The clock passes the end, and nobody has carried out the step.
    world.clock.advance_ms(60_000);
    let mut builder = kinelog_engine::append::AppendBuilder::with_capacity(1, 1);
    builder.begin_run(Arc::clone(&stale.shards[0]));
    builder.push(&kinelog_engine::format::record::RecordRef {
        partition_key: Some(b"k"),
        explicit_hash_key: None,
        data: b"late",
        encrypted: false,
    });
    let results = world.context.engine.append(builder.finish()).await;
    let run = results.into_iter().next().unwrap().unwrap().into_inner();
    assert_eq!(run.arrival, Timestamp(closed * 1000 + 999));
}

#[tokio::test]
async fn the_end_of_a_parent_is_not_before_a_record_from_before_the_clock_was_set_back() {
    let world = World::with_stream(1).await;
    world.clock.advance_ms(2 * TRANSITION_MS);
    let (_, latest) = put_at(&world, 0).await;
    world.clock.set(Timestamp(latest * 1000 - 2 * TRANSITION_MS));
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    world.clock.set(Timestamp(latest * 1000));
    assert_eq!(described(&world).await.2[0].3, Some(latest));
    assert_eq!(described(&world).await.0, "ACTIVE");
}

#[tokio::test]
async fn a_parent_ends_after_it_began_though_the_clock_was_set_back() {
    let world = World::with_stream(1).await;
    assert_eq!(described(&world).await.0, "ACTIVE");
    world.clock.set(Timestamp(NOW.0 - 3 * TRANSITION_MS));
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    let created = NOW.seconds();
    world.clock.set(Timestamp(NOW.0 - 2 * TRANSITION_MS));
    assert_eq!(put_at(&world, MIDDLE).await, (0, created), "nothing arrives before it began");
    world.clock.set(Timestamp((created + 1) * 1000));
    let after = vec![
        (0, vec![], created, Some(created)),
        (1, vec![0], created + 1, None),
        (2, vec![0], created + 1, None),
    ];
    assert_eq!(described(&world).await, ("ACTIVE".to_owned(), 2, after));
}

#[tokio::test]
async fn a_split_that_cannot_be_stored_changes_nothing() {
    let world = World::with_stream(1).await;
    let before = described(&world).await;
    world.disk.set_capacity(Some(0));
    let refused = world.run(Operation::SplitShard, split_body("0", MIDDLE)).await.unwrap_err();
    assert_eq!(refused.kind, Kind::InternalFailure);
    world.disk.set_capacity(None);
    assert_eq!(described(&world).await, before);
    world.clock.advance_ms(2 * TRANSITION_MS);
    let now = world.context.engine.now().seconds();
    assert_eq!(put_at(&world, MIDDLE).await, (0, now));
}

#[tokio::test]
async fn a_step_that_cannot_be_stored_is_carried_out_later() {
    let world = World::with_stream(1).await;
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    world.clock.advance_ms(TRANSITION_MS);
    let shown = described(&world).await;
    world.disk.set_capacity(Some(0));
    world.clock.advance_ms(5000);
    assert_eq!(described(&world).await, shown);
    let child = world.iterator("1", "LATEST", json!({})).await;
    assert_eq!(world.read(&child).await["Records"], json!([]));
    world.disk.set_capacity(None);
    assert_eq!(described(&world).await, shown);
    assert_eq!(put_at(&world, MIDDLE).await.0, 2);
}

#[tokio::test]
async fn split_is_checked_in_order() {
    let world = World::with_stream(2).await;
    let refused = async |body: Json, kind: Kind, text: &str| {
        world.refused(Operation::SplitShard, body, kind, text).await;
    };
    let body = |stream: &str, shard: &str, at: &str| json!({"StreamName": stream, "ShardToSplit": shard, "NewStartingHashKey": at});
    let text = "Could not find shard shardId-x in stream no under account 123456789012.";
    refused(body("no", "shardId-x", "0"), Kind::ResourceNotFound, text).await;
    let text = "Stream no under account 123456789012 not found.";
    refused(body("no", "7", "0"), Kind::ResourceNotFound, text).await;
    let text = "Could not find shard shardId-000000000007 in stream s under account 123456789012.";
    refused(body("s", "x-7", "0"), Kind::ResourceNotFound, text).await;
    let end = "340282366920938463463374607431768211455";
    let start = "170141183460469231731687303715884105728";
    let out = |at: &str, shard: u32, start: &str, end: &str| {
        format!(
            "NewStartingHashKey {at} used in SplitShard() on shard {} in stream s under account \
             123456789012 is not both greater than one plus the shard's StartingHashKey {start} \
             and less than the shard's EndingHashKey {end}.",
            id(shard)
        )
    };
    let too_large = "9".repeat(39);
    for at in ["0", start, "170141183460469231731687303715884105729", end, &too_large] {
        let text = out(at, 1, start, end);
        refused(body("s", "1", at), Kind::InvalidArgument, &text).await;
    }
    let text = out("1", 0, "0", "170141183460469231731687303715884105727");
    refused(body("s", "0", "1"), Kind::InvalidArgument, &text).await;
    world.ok(Operation::SplitShard, body("s", "0", "2")).await;
    let text = "Stream s under account 123456789012 not ACTIVE, instead in state UPDATING";
    refused(body("s", "7", "2"), Kind::ResourceInUse, text).await;
    world.clock.advance_ms(TRANSITION_MS);
    let text = "Shard shardId-000000000000 in stream s under account 123456789012 has already been \
                merged or split, and thus is not eligible for merging or splitting.";
    refused(body("s", "0", "0"), Kind::InvalidArgument, text).await;
    world.next_second().await;
    refused(body("s", "0", "0"), Kind::InvalidArgument, text).await;
    let list = world.ok(Operation::ListShards, json!({"StreamName": "s"})).await;
    let range = |shard: usize| list["Shards"][shard]["HashKeyRange"].clone();
    assert_eq!(range(2), json!({"StartingHashKey": "0", "EndingHashKey": "1"}));
    assert_eq!(range(3)["StartingHashKey"], "2");
}

#[tokio::test]
async fn merge_is_checked_in_order() {
    let world = World::with_stream(4).await;
    let refused = async |body: Json, kind: Kind, text: &str| {
        world.refused(Operation::MergeShards, body, kind, text).await;
    };
    let body = |stream: &str, lower: &str, upper: &str| json!({"StreamName": stream, "ShardToMerge": lower, "AdjacentShardToMerge": upper});
    let missing = |shard: &str, stream: &str| {
        format!("Could not find shard {shard} in stream {stream} under account 123456789012.")
    };
    refused(body("no", "x", "y"), Kind::ResourceNotFound, &missing("x", "no")).await;
    refused(body("no", "0", "y"), Kind::ResourceNotFound, &missing("y", "no")).await;
    let text = "Stream no under account 123456789012 not found.";
    refused(body("no", "0", "1"), Kind::ResourceNotFound, text).await;
    refused(body("s", "8", "9"), Kind::ResourceNotFound, &missing(&id(8), "s")).await;
    refused(body("s", "0", "9"), Kind::ResourceNotFound, &missing(&id(9), "s")).await;
    for (lower, upper) in [("0", "2"), ("1", "0"), ("2", "2"), ("3", "0")] {
        let text = format!(
            "Shards shardId-00000000000{lower} and shardId-00000000000{upper} in stream s under \
             account 123456789012 are not an adjacent pair of shards eligible for merging"
        );
        refused(body("s", lower, upper), Kind::InvalidArgument, &text).await;
    }
    world.ok(Operation::MergeShards, body("s", "1", "2")).await;
    let text = "Stream s under account 123456789012 not ACTIVE, instead in state UPDATING";
    refused(body("s", "8", "9"), Kind::ResourceInUse, text).await;
    world.clock.advance_ms(TRANSITION_MS);
    let closed = |shard: u32| {
        format!(
            "Shard {} in stream s under account 123456789012 has already been merged or split, \
             and thus is not eligible for merging or splitting.",
            id(shard)
        )
    };
    refused(body("s", "1", "3"), Kind::InvalidArgument, &closed(1)).await;
    refused(body("s", "0", "2"), Kind::InvalidArgument, &closed(2)).await;
    refused(body("s", "1", "9"), Kind::ResourceNotFound, &missing(&id(9), "s")).await;
}

#[tokio::test]
async fn shards_of_an_on_demand_stream_are_left_to_the_service() {
    let world = World::new(Limits::OFF).await;
    world.create(json!({"StreamName": "s"})).await;
    let text = "Request is invalid. Stream s under account 123456789012 is in On-Demand mode.";
    for (operation, body) in [
        (Operation::SplitShard, split_body("9", 0)),
        (Operation::MergeShards, merge_body("9", "9")),
    ] {
        world.refused(operation, body, Kind::Validation, text).await;
    }
}

#[tokio::test]
async fn a_split_is_held_to_the_shard_quota_and_a_merge_gives_room() {
    let mut world = World::new("1000".parse().unwrap()).await;
    let settings = Settings { shard_quota: Some(3), ..world.context.settings().clone() };
    world.context = Context::new(world.context.engine.clone(), settings);
    world.create(json!({"StreamName": "s", "ShardCount": 2})).await;
    world.ok(Operation::SplitShard, split_body("0", 1 << 126)).await;
    world.clock.advance_ms(TRANSITION_MS);
    let text = "This request would exceed the shard limit for the account 123456789012 in \
                us-east-1. Current shard count for the account: 3. Limit: 3. Number of additional \
                shards that would have resulted from this request: 1. Refer to the AWS Service \
                Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) \
                for current limits and how to request higher limits.";
    // Also before a closed shard or a bad key is told.
    for body in [split_body("1", 0), split_body("0", 0)] {
        world.refused(Operation::SplitShard, body, Kind::LimitExceeded, text).await;
    }
    let create = json!({"StreamName": "t", "ShardCount": 1});
    world.refused(Operation::CreateStream, create.clone(), Kind::LimitExceeded, text).await;
    world.ok(Operation::MergeShards, merge_body("2", "3")).await;
    world.refused(Operation::CreateStream, create.clone(), Kind::LimitExceeded, text).await;
    world.clock.advance_ms(TRANSITION_MS);
    world.ok(Operation::CreateStream, create).await;
}

#[tokio::test]
async fn splits_and_merges_are_held_to_five_a_second_each() {
    let world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    let text = "Rate exceeded for stream s under account 123456789012.";
    for (operation, body) in [
        (Operation::SplitShard, split_body("9", 0)),
        (Operation::MergeShards, merge_body("9", "9")),
    ] {
        for _ in 0..5 {
            let refused = world.run(operation, body.clone()).await.unwrap_err();
            assert_eq!(refused.kind, Kind::ResourceNotFound);
        }
        world.refused(operation, body, Kind::LimitExceeded, text).await;
    }
}

#[tokio::test]
async fn streams_are_resharded_by_arn_too() {
    let world = World::with_stream(2).await;
    let body = json!({"StreamARN": arn("s"), "ShardToMerge": "0", "AdjacentShardToMerge": "1"});
    world.ok(Operation::MergeShards, body).await;
    world.clock.advance_ms(TRANSITION_MS);
    let at = MIDDLE.to_string();
    let body = json!({"StreamARN": arn("s"), "ShardToSplit": "2", "NewStartingHashKey": at});
    world.ok(Operation::SplitShard, body).await;
}

#[tokio::test]
async fn another_change_may_begin_before_the_children_do() {
    let world = World::with_stream(1).await;
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    world.clock.advance_ms(TRANSITION_MS);
    let closed = world.context.engine.now().seconds();
    let body = json!({"StreamARN": arn("s"), "MaxRecordSizeInKiB": 2048});
    world.ok(Operation::UpdateMaxRecordSize, body).await;
    let (status, open, shards) = described(&world).await;
    assert_eq!((status.as_str(), open, shards.len()), ("UPDATING", 2, 3));
    world.next_second().await;
    assert_eq!(put_at(&world, MIDDLE).await, (2, closed + 1));
    assert_eq!(described(&world).await, ("UPDATING".to_owned(), 2, shards.clone()));
    world.clock.advance_ms(TRANSITION_MS);
    assert_eq!(described(&world).await, ("ACTIVE".to_owned(), 2, shards));
}

#[tokio::test]
async fn a_shard_that_has_expired_is_none_of_the_stream() {
    let world = World::with_stream(1).await;
    world.split().await;
    world.clock.advance_ms(24 * 3_600_000);
    let text = "Could not find shard shardId-000000000000 in stream s under account 123456789012.";
    let body = split_body("0", MIDDLE);
    world.refused(Operation::SplitShard, body, Kind::ResourceNotFound, text).await;
    let body = merge_body("0", "1");
    world.refused(Operation::MergeShards, body, Kind::ResourceNotFound, text).await;
}
