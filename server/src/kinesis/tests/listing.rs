//! `DescribeStream`, `DescribeStreamSummary`, `ListStreams` and `ListShards`.

use super::*;
use crate::limits::NEXT_TOKEN_AGE_MS_MAX;

async fn shards(world: &World, body: Json) -> Vec<String> {
    texts(&world.ok(Operation::ListShards, body).await["Shards"], "ShardId")
}

fn ids(indexes: impl IntoIterator<Item = u32>) -> Vec<String> {
    indexes.into_iter().map(|index| format!("shardId-{index:012}")).collect()
}

#[tokio::test]
async fn a_stream_is_described_in_full() {
    let world = World::new(Limits::OFF).await;
    world.create(json!({"StreamName": "s", "ShardCount": 2, "MaxRecordSizeInKiB": 2048})).await;
    let created = NOW.seconds();
    let start = |index| {
        let number = kinelog_engine::types::SequenceNumber::starting(created, ShardIndex(index));
        json!({"StartingSequenceNumber": number.to_string()})
    };
    let half = "170141183460469231731687303715884105727";
    let answer = world.ok(Operation::DescribeStream, json!({"StreamARN": arn("s")})).await;
    let mut description = answer["StreamDescription"].clone();
    assert_eq!(description["StreamCreationTimestamp"].take().as_f64(), Some(1_764_787_734.0));
    let common = json!({
        "StreamName": "s",
        "StreamARN": arn("s"),
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        "StreamCreationTimestamp": null,
        "RetentionPeriodHours": 24,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "EncryptionType": "NONE",
    });
    let mut expected = common.clone();
    expected["HasMoreShards"] = json!(false);
    expected["Shards"] = json!([
        {
            "ShardId": "shardId-000000000000",
            "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": half},
            "SequenceNumberRange": start(0),
        },
        {
            "ShardId": "shardId-000000000001",
            "HashKeyRange": {
                "StartingHashKey": "170141183460469231731687303715884105728",
                "EndingHashKey": "340282366920938463463374607431768211455",
            },
            "SequenceNumberRange": start(1),
        },
    ]);
    assert_eq!(description, expected);
    let answer = world.ok(Operation::DescribeStreamSummary, json!({"StreamName": "s"})).await;
    let mut summary = answer["StreamDescriptionSummary"].clone();
    summary["StreamCreationTimestamp"].take();
    let mut expected = common;
    for (name, count) in [
        ("OpenShardCount", 2),
        ("ConsumerCount", 0),
        ("ChannelCount", 0),
        ("QueueCount", 0),
        ("MaxRecordSizeInKiB", 2048),
    ] {
        expected[name] = json!(count);
    }
    assert_eq!(summary, expected);
}

#[tokio::test]
async fn descriptions_have_pages_of_a_hundred_shards() {
    let world = World::with_stream(230).await;
    let page = async |body: Json| {
        let answer = world.ok(Operation::DescribeStream, body).await;
        let description = &answer["StreamDescription"];
        (texts(&description["Shards"], "ShardId"), description["HasMoreShards"] == true)
    };
    let body = json!({"StreamName": "s", "Limit": 10_000});
    assert_eq!(page(body).await, (ids(0..100), true));
    let body = json!({"StreamName": "s", "ExclusiveStartShardId": "shardId-000000000129"});
    assert_eq!(page(body).await, (ids(130..230), false));
    let body = json!({"StreamName": "s", "ExclusiveStartShardId": "129", "Limit": 99});
    assert_eq!(page(body).await, (ids(130..229), true));
    let text = "Could not find shard last in stream s under account 123456789012.";
    let body = json!({"StreamName": "s", "ExclusiveStartShardId": "last"});
    world.refused(Operation::DescribeStream, body, Kind::ResourceNotFound, text).await;
}

#[tokio::test]
async fn streams_are_listed_by_name_in_pages() {
    let world = World::new(Limits::OFF).await;
    for name in ["c", "a", "B", "b"] {
        world.create(json!({"StreamName": name, "ShardCount": 1})).await;
    }
    let first = world.ok(Operation::ListStreams, json!({"Limit": 3})).await;
    assert_eq!(first["StreamNames"], json!(["B", "a", "b"]));
    assert_eq!(first["HasMoreStreams"], true);
    let summary = &first["StreamSummaries"][1];
    assert_eq!((&summary["StreamName"], &summary["StreamARN"]), (&json!("a"), &json!(arn("a"))));
    assert_eq!(summary["StreamStatus"], "ACTIVE");
    assert_eq!(summary["StreamModeDetails"]["StreamMode"], "PROVISIONED");
    assert!(summary["StreamCreationTimestamp"].is_number());
    for body in [
        json!({"NextToken": first["NextToken"]}),
        json!({"ExclusiveStartStreamName": "b"}),
        json!({"ExclusiveStartStreamName": "bb", "Limit": 1}),
    ] {
        let last = world.ok(Operation::ListStreams, body).await;
        assert_eq!(last["StreamNames"], json!(["c"]));
        assert_eq!((&last["HasMoreStreams"], last.get("NextToken")), (&json!(false), None));
    }
}

#[tokio::test]
async fn page_tokens_expire_and_are_bound() {
    let world = World::with_stream(3).await;
    world.create(json!({"StreamName": "t", "ShardCount": 1})).await;
    let streams = world.ok(Operation::ListStreams, json!({"Limit": 1})).await;
    let shards = world.ok(Operation::ListShards, json!({"StreamName": "s", "MaxResults": 1})).await;
    let (of_streams, of_shards) = (&streams["NextToken"], &shards["NextToken"]);
    let invalid = "Invalid NextToken.";
    for (operation, token) in [
        (Operation::ListStreams, of_shards),
        (Operation::ListShards, of_streams),
        (Operation::ListShards, &json!("AAAA")),
        (Operation::ListShards, &json!("not base64")),
    ] {
        let body = json!({"NextToken": token});
        world.refused(operation, body, Kind::InvalidArgument, invalid).await;
    }
    let other = principal("999999999999", REGION);
    let body = json!({"NextToken": of_streams});
    let refused = world.run_as(&other, Operation::ListStreams, body).await.unwrap_err();
    assert_eq!(refused, Exception::new(Kind::InvalidArgument, invalid));
    world.clock.advance_ms(NEXT_TOKEN_AGE_MS_MAX);
    world.ok(Operation::ListStreams, json!({"NextToken": of_streams})).await;
    world.clock.advance_ms(1);
    for (operation, token) in
        [(Operation::ListStreams, of_streams), (Operation::ListShards, of_shards)]
    {
        let refused = world.run(operation, json!({"NextToken": token})).await.unwrap_err();
        assert_eq!(refused.kind, Kind::ExpiredNextToken);
    }
}

#[tokio::test]
async fn shards_are_listed_in_pages() {
    let world = World::with_stream(1002).await;
    let first = world.ok(Operation::ListShards, json!({"StreamName": "s"})).await;
    assert_eq!(texts(&first["Shards"], "ShardId"), ids(0..1000));
    let body = json!({"NextToken": first["NextToken"], "MaxResults": 1});
    let second = world.ok(Operation::ListShards, body).await;
    assert_eq!(texts(&second["Shards"], "ShardId"), ids([1000]));
    let third = world.ok(Operation::ListShards, json!({"NextToken": second["NextToken"]})).await;
    assert_eq!(texts(&third["Shards"], "ShardId"), ids([1001]));
    assert!(third.get("NextToken").is_none());
    let body = json!({"StreamARN": arn("s"), "ExclusiveStartShardId": "999"});
    assert_eq!(shards(&world, body).await, ids([1000, 1001]));
}

#[tokio::test]
async fn a_listing_keeps_its_filter() {
    let world = World::with_stream(3).await;
    world.begin_split().await;
    let filter = json!({"Type": "AT_LATEST"});
    let body = json!({"StreamName": "s", "MaxResults": 2, "ShardFilter": filter});
    let first = world.ok(Operation::ListShards, body).await;
    assert_eq!(texts(&first["Shards"], "ShardId"), ids([0, 1]));
    world.next_second().await;
    assert_eq!(shards(&world, json!({"NextToken": first["NextToken"]})).await, ids([2]));
    let body = json!({"StreamName": "s", "ShardFilter": {"Type": "AT_LATEST"}});
    assert_eq!(shards(&world, body).await, ids([1, 2, 3, 4]));
    let body = json!({"StreamName": "s", "ShardFilter": {"Type": "AT_TRIM_HORIZON"}});
    assert_eq!(shards(&world, body).await, ids([0, 1, 2]));
    let filter = json!({"Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000002"});
    let body = json!({"StreamName": "s", "ShardFilter": filter});
    assert_eq!(shards(&world, body).await, ids([3, 4]));
}

#[tokio::test]
async fn a_closed_shard_shows_its_end_and_its_children_their_parent() {
    let world = World::with_stream(1).await;
    world.split().await;
    let answer = world.ok(Operation::ListShards, json!({"StreamName": "s"})).await;
    let [parent, low, high] = answer["Shards"].as_array().unwrap().as_slice() else { panic!() };
    let seconds = (NOW.0 + 2 * TRANSITION_MS) / 1000;
    let end = kinelog_engine::types::SequenceNumber::ending(NOW.seconds(), ShardIndex(0), seconds);
    let range = &parent["SequenceNumberRange"];
    assert_eq!(range["EndingSequenceNumber"], json!(end.to_string()));
    assert!(parent.get("ParentShardId").is_none());
    for child in [low, high] {
        assert_eq!(child["ParentShardId"], "shardId-000000000000");
        assert!(child.get("AdjacentParentShardId").is_none());
        assert!(child["SequenceNumberRange"].get("EndingSequenceNumber").is_none());
    }
}

#[tokio::test]
async fn list_shards_takes_a_stream_or_a_token() {
    let world = World::with_stream(2).await;
    let refused = async |body: Json, text: &str| {
        world.refused(Operation::ListShards, body, Kind::InvalidArgument, text).await;
    };
    refused(json!({}), "Either NextToken or StreamName should be provided.").await;
    for (member, value) in [
        ("StreamName", json!("s")),
        ("StreamARN", json!(arn("s"))),
        ("ExclusiveStartShardId", json!("0")),
        ("StreamCreationTimestamp", json!(1)),
        ("ShardFilter", json!({"Type": "AT_LATEST"})),
    ] {
        let text = format!("NextToken and {member} cannot be provided together.");
        refused(json!({"NextToken": "x", member: value}), &text).await;
    }
}

#[tokio::test]
async fn a_stream_made_at_another_time_is_another_stream() {
    let world = World::with_stream(1).await;
    let body = |seconds: u64| json!({"StreamName": "s", "StreamCreationTimestamp": seconds});
    assert_eq!(shards(&world, body(NOW.seconds())).await.len(), 1);
    let text = "Stream s under account 123456789012 not found.";
    let other = body(NOW.seconds() + 1);
    world.refused(Operation::ListShards, other, Kind::ResourceNotFound, text).await;
}

#[tokio::test]
async fn filter_fields_must_fit_their_type() {
    let world = World::with_stream(1).await;
    let future = (NOW.0 + TRANSITION_MS) / 1000 + 1;
    for (filter, text) in [
        (json!({"Type": "AFTER_SHARD_ID"}), "ShardFilter of type AFTER_SHARD_ID requires ShardId."),
        (json!({"Type": "AT_TIMESTAMP"}), "ShardFilter of type AT_TIMESTAMP requires Timestamp."),
        (
            json!({"Type": "AT_LATEST", "ShardId": "0"}),
            "ShardFilter of type AT_LATEST cannot be used with ShardId.",
        ),
        (
            json!({"Type": "FROM_TRIM_HORIZON", "Timestamp": 1}),
            "ShardFilter of type FROM_TRIM_HORIZON cannot be used with Timestamp.",
        ),
        (
            json!({"Type": "FROM_TIMESTAMP", "Timestamp": future}),
            "The Timestamp of a ShardFilter cannot be in the future. Timestamp: 1764791335000, \
             current time: 1764791334250",
        ),
    ] {
        let body = json!({"StreamName": "s", "ShardFilter": filter});
        world.refused(Operation::ListShards, body, Kind::InvalidArgument, text).await;
    }
}

#[tokio::test]
async fn a_stream_that_is_gone_takes_no_place_on_a_page() {
    let world = World::with_stream(1).await;
    world.create(json!({"StreamName": "t", "ShardCount": 1})).await;
    world.ok(Operation::DeleteStream, json!({"StreamName": "s"})).await;
    world.clock.advance_ms(TRANSITION_MS);
    let listed = world.ok(Operation::ListStreams, json!({"Limit": 1})).await;
    assert_eq!((&listed["StreamNames"], &listed["HasMoreStreams"]), (&json!(["t"]), &json!(false)));
}
