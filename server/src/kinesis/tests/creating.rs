//! `CreateStream`.

use super::*;

async fn refused(world: &World, body: Json, kind: Kind, message: &str) {
    world.refused(Operation::CreateStream, body, kind, message).await;
}

async fn summary(world: &World) -> Json {
    let body = json!({"StreamName": "s"});
    let mut answer = world.ok(Operation::DescribeStreamSummary, body).await;
    answer["StreamDescriptionSummary"].take()
}

#[tokio::test]
async fn a_name_is_taken_in_every_state() {
    let world = World::new(Limits::OFF).await;
    let body = || json!({"StreamName": "s", "ShardCount": 1});
    let text = "Stream s under account 123456789012 already exists.";
    world.ok(Operation::CreateStream, body()).await;
    refused(&world, body(), Kind::ResourceInUse, text).await;
    world.clock.advance_ms(TRANSITION_MS);
    refused(&world, body(), Kind::ResourceInUse, text).await;
    world.ok(Operation::DeleteStream, json!({"StreamName": "s"})).await;
    refused(&world, body(), Kind::ResourceInUse, text).await;
    world.clock.advance_ms(TRANSITION_MS);
    world.ok(Operation::CreateStream, body()).await;
}

#[tokio::test]
async fn the_shard_quota_counts_open_shards() {
    let world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 3})).await;
    let text = "This request would exceed the shard limit for the account 123456789012 in \
                us-east-1. Current shard count for the account: 3. Limit: 20000. Number of \
                additional shards that would have resulted from this request: 19998. Refer to the \
                AWS Service Limits page \
                (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current \
                limits and how to request higher limits.";
    let body = json!({"StreamName": "t", "ShardCount": 19_998});
    refused(&world, body, Kind::LimitExceeded, text).await;
    world.split().await;
    let text = text.replace("account: 3.", "account: 4.").replace("19998", "2147483647");
    let body = json!({"StreamName": "t", "ShardCount": i32::MAX});
    refused(&world, body, Kind::LimitExceeded, &text).await;
}

#[tokio::test]
async fn five_streams_can_be_in_the_making() {
    let world = World::new("1000".parse().unwrap()).await;
    for name in ["a", "b", "c", "d", "e"] {
        world.ok(Operation::CreateStream, json!({"StreamName": name, "ShardCount": 1})).await;
    }
    let text = "Account 123456789012 cannot have more than 5 streams in state CREATING.";
    let body = json!({"StreamName": "s", "ShardCount": 1});
    refused(&world, body.clone(), Kind::LimitExceeded, text).await;
    world.clock.advance_ms(TRANSITION_MS);
    world.ok(Operation::CreateStream, body).await;
}

#[tokio::test]
async fn the_mode_follows_from_the_shard_count() {
    for (body, mode, shards) in [
        (json!({"StreamName": "s", "ShardCount": 2}), "PROVISIONED", 2),
        (json!({"StreamName": "s"}), "ON_DEMAND", 4),
        (
            json!({"StreamName": "s", "ShardCount": 3, "StreamModeDetails": {"StreamMode": "PROVISIONED"}}),
            "PROVISIONED",
            3,
        ),
        (
            json!({"StreamName": "s", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}}),
            "ON_DEMAND",
            4,
        ),
    ] {
        let world = World::new(Limits::OFF).await;
        world.create(body).await;
        let summary = summary(&world).await;
        assert_eq!(summary["StreamModeDetails"]["StreamMode"], mode);
        assert_eq!(summary["OpenShardCount"], shards);
    }
}

#[tokio::test]
async fn mode_and_settings_must_fit() {
    let world = World::new(Limits::OFF).await;
    let mode = |mode: &str| json!({"StreamMode": mode});
    for (body, text) in [
        (
            json!({"StreamName": "s", "ShardCount": 1, "StreamModeDetails": mode("ON_DEMAND")}),
            "ShardCount cannot be provided for a stream in On-Demand mode.",
        ),
        (
            json!({"StreamName": "s", "StreamModeDetails": mode("PROVISIONED")}),
            "ShardCount must be provided for a stream in Provisioned mode.",
        ),
        (
            json!({"StreamName": "s", "ShardCount": 1, "RecordDistributionStrategy": "AUTO"}),
            "RecordDistributionStrategy AUTO can be provided only for a stream in On-Demand mode.",
        ),
        (
            json!({"StreamName": "s", "ShardCount": 1, "WarmThroughputMiBps": 1}),
            "WarmThroughputMiBps can be provided only for a stream in On-Demand mode.",
        ),
        (
            json!({"StreamName": "s", "WarmThroughputMiBps": 1}),
            "WarmThroughputMiBps requires the minimum throughput billing commitment of the account.",
        ),
    ] {
        refused(&world, body, Kind::InvalidArgument, text).await;
    }
}

#[tokio::test]
async fn tags_are_checked_at_creation() {
    let world = World::new(Limits::OFF).await;
    let body = |tags: Json| json!({"StreamName": "s", "ShardCount": 1, "Tags": tags});
    let text = "Some tags contain invalid characters. Valid characters: Unicode letters, digits, \
                white space, _ . / = + - % @.";
    refused(&world, body(json!({"a": "\u{1}"})), Kind::InvalidArgument, text).await;
    let text = "Failed to add tags to stream s under account 123456789012 because some tags \
                contained illegal characters. The allowed characters are Unicode letters, \
                white-spaces, '_',',','/','=','+','-','@'.";
    refused(&world, body(json!({"a%": "b"})), Kind::InvalidArgument, text).await;
    let many = |count: u32| -> Json {
        (0..count).map(|n| (n.to_string(), json!("v"))).collect::<serde_json::Map<_, _>>().into()
    };
    let text = "Failed to add tags to stream s under account 123456789012 because a given stream \
                cannot have more than 50 tags associated with it.";
    refused(&world, body(many(51)), Kind::InvalidArgument, text).await;
    world.ok(Operation::CreateStream, body(many(50))).await;
}

#[tokio::test]
async fn constraints_are_told_together() {
    let world = World::new(Limits::OFF).await;
    let body = json!({
        "StreamName": "a b", "ShardCount": 0, "MaxRecordSizeInKiB": 10_241,
        "StreamModeDetails": {}, "RecordDistributionStrategy": "MINE",
    });
    let refused = world.run(Operation::CreateStream, body).await.unwrap_err();
    let message = refused.message.unwrap();
    assert_eq!(refused.kind, Kind::Validation);
    let (count, entries) = message.split_once(": ").unwrap();
    assert_eq!(count, "5 validation errors detected");
    let mut entries: Vec<_> = entries.split("; ").collect();
    entries.sort_unstable();
    assert_eq!(
        entries,
        [
            "Value '0' at 'shardCount' failed to satisfy constraint: Member must have value greater than or equal to 1",
            "Value '10241' at 'maxRecordSizeInKiB' failed to satisfy constraint: Member must have value less than or equal to 10240",
            "Value 'MINE' at 'recordDistributionStrategy' failed to satisfy constraint: Member must satisfy enum value set: [AUTO, USER_PARTITION_KEY]",
            "Value 'a b' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
            "Value null at 'streamModeDetails.streamMode' failed to satisfy constraint: Member must not be null",
        ]
    );
}

#[tokio::test]
async fn an_operator_ensures_streams_without_quotas() {
    let world = World::new(Limits::AWS).await;
    let ensure = |shards| super::super::ensure_stream(&world.context, REGION, "s", shards);
    assert_eq!(ensure(Some(2)).await, Ok(true));
    assert_eq!(ensure(Some(9)).await, Ok(false));
    world.clock.advance_ms(TRANSITION_MS);
    assert_eq!(ensure(None).await, Ok(false));
    assert_eq!(summary(&world).await["OpenShardCount"], 2);
    let refused = super::super::ensure_stream(&world.context, REGION, &"n".repeat(129), None).await;
    assert_eq!(refused.unwrap_err().kind, Kind::Validation);
    for name in ["a", "b", "c", "d", "e", "f"] {
        let made = super::super::ensure_stream(&world.context, REGION, name, Some(1)).await;
        assert_eq!(made, Ok(true), "{name}");
    }
}

#[tokio::test]
async fn calls_beyond_their_rate_are_refused() {
    let world = World::new(Limits::AWS).await;
    let body = || json!({"StreamName": "s"});
    for _ in 0..5 {
        world.run(Operation::DeleteStream, body()).await.unwrap_err();
    }
    let text = "Rate exceeded for stream s under account 123456789012.";
    world.refused(Operation::DeleteStream, body(), Kind::LimitExceeded, text).await;
    for _ in 0..5 {
        world.ok(Operation::ListStreams, json!({})).await;
    }
    let bare = "Rate exceeded";
    world.refused(Operation::ListStreams, json!({}), Kind::LimitExceeded, bare).await;
    world.clock.advance_ms(200);
    world.ok(Operation::ListStreams, json!({})).await;
}
