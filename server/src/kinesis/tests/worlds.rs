//! Accounts and regions: worlds of their own in one process, of which nothing shows in another.

use super::*;

/// Callers that have nothing in common, with what their ARNs begin with.
fn callers() -> [(Principal, &'static str); 5] {
    [
        (principal("AKID", "us-east-1"), "arn:aws:kinesis:us-east-1:123456789012"),
        (principal("AKID", "eu-west-1"), "arn:aws:kinesis:eu-west-1:123456789012"),
        (principal("999999999999", "us-east-1"), "arn:aws:kinesis:us-east-1:999999999999"),
        (principal("AKID", "cn-north-1"), "arn:aws-cn:kinesis:cn-north-1:123456789012"),
        (
            principal("999999999999", "us-gov-west-1"),
            "arn:aws-us-gov:kinesis:us-gov-west-1:999999999999",
        ),
    ]
}

impl World {
    async fn ok_as(&self, caller: &Principal, operation: Operation, body: Json) -> Json {
        self.run_as(caller, operation, body).await.unwrap()
    }

    /// The iterator of the caller's stream `s` from its beginning.
    async fn iterator_as(&self, caller: &Principal) -> Json {
        let body = json!({"StreamName": "s", "ShardId": "0", "ShardIteratorType": "TRIM_HORIZON"});
        let answer = self.ok_as(caller, Operation::GetShardIterator, body).await;
        json!({"ShardIterator": answer["ShardIterator"]})
    }
}

#[tokio::test]
async fn streams_of_one_name_live_side_by_side() {
    let world = World::new(Limits::OFF).await;
    for (number, (caller, _)) in callers().iter().enumerate() {
        let body = json!({"StreamName": "s", "ShardCount": number + 1});
        world.ok_as(caller, Operation::CreateStream, body).await;
    }
    world.clock.advance_ms(TRANSITION_MS);
    for (number, (caller, arn)) in callers().iter().enumerate() {
        let data = base64(number.to_string().as_bytes());
        let body = json!({"StreamName": "s", "PartitionKey": "k", "ExplicitHashKey": "0",
            "Data": data});
        world.ok_as(caller, Operation::PutRecord, body).await;
        let body = json!({"StreamARN": format!("{arn}:stream/s")});
        let summary = world.ok_as(caller, Operation::DescribeStreamSummary, body).await;
        let summary = &summary["StreamDescriptionSummary"];
        assert_eq!(summary["StreamARN"], format!("{arn}:stream/s"));
        assert_eq!(summary["OpenShardCount"], number + 1);
        let streams = world.ok_as(caller, Operation::ListStreams, json!({})).await;
        assert_eq!(streams["StreamNames"], json!(["s"]));
    }
    for (number, (caller, _)) in callers().iter().enumerate() {
        let iterator = world.iterator_as(caller).await;
        let read = world.ok_as(caller, Operation::GetRecords, iterator).await;
        let data = base64(number.to_string().as_bytes());
        assert_eq!(texts(&read["Records"], "Data"), [data]);
    }
    let [(first, _), others @ ..] = callers();
    world.ok_as(&first, Operation::DeleteStream, json!({"StreamName": "s"})).await;
    world.clock.advance_ms(TRANSITION_MS);
    let streams = world.ok_as(&first, Operation::ListStreams, json!({})).await;
    assert_eq!(streams["StreamNames"], json!([]));
    for (other, _) in others {
        let streams = world.ok_as(&other, Operation::ListStreams, json!({})).await;
        assert_eq!(streams["StreamNames"], json!(["s"]));
    }
}

#[tokio::test]
async fn nothing_of_another_world_can_be_reached() {
    let world = World::new(Limits::OFF).await;
    let [(owner, arn), others @ ..] = callers();
    world.ok_as(&owner, Operation::CreateStream, json!({"StreamName": "s", "ShardCount": 2})).await;
    world.clock.advance_ms(TRANSITION_MS);
    let stream = format!("{arn}:stream/s");
    let body = json!({"StreamARN": stream, "ConsumerName": "c"});
    let answer = world.ok_as(&owner, Operation::RegisterStreamConsumer, body).await;
    let consumer = answer["Consumer"]["ConsumerARN"].as_str().unwrap();
    world.clock.advance_ms(TRANSITION_MS);
    let iterator = world.iterator_as(&owner).await;
    let list = json!({"StreamName": "s", "MaxResults": 1});
    let token = world.ok_as(&owner, Operation::ListShards, list).await["NextToken"].clone();
    for (other, _) in others {
        for (operation, body, kind) in [
            (Operation::PutRecord, put_to(&stream), Kind::ResourceNotFound),
            (Operation::DeleteStream, json!({"StreamARN": stream}), Kind::ResourceNotFound),
            (
                Operation::ListTagsForResource,
                json!({"ResourceARN": stream}),
                Kind::ResourceNotFound,
            ),
            (
                Operation::TagResource,
                json!({"ResourceARN": consumer, "Tags": {"k": "v"}}),
                Kind::ResourceNotFound,
            ),
            (
                Operation::DescribeStreamConsumer,
                json!({"ConsumerARN": consumer}),
                Kind::ResourceNotFound,
            ),
            (
                Operation::DeregisterStreamConsumer,
                json!({"ConsumerARN": consumer}),
                Kind::ResourceNotFound,
            ),
            (
                Operation::SubscribeToShard,
                json!({"ConsumerARN": consumer, "ShardId": "shardId-000000000000",
                    "StartingPosition": {"Type": "LATEST"}}),
                Kind::ResourceNotFound,
            ),
            (Operation::GetRecords, iterator.clone(), Kind::InvalidArgument),
            (Operation::ListShards, json!({"NextToken": token}), Kind::InvalidArgument),
        ] {
            let refused = world.run_as(&other, operation, body).await.unwrap_err();
            assert_eq!(refused.kind, kind, "{operation:?} {refused}");
        }
    }
    world.ok_as(&owner, Operation::GetRecords, iterator).await;
    world.ok_as(&owner, Operation::ListShards, json!({"NextToken": token})).await;
    world.ok_as(&owner, Operation::DescribeStreamConsumer, json!({"ConsumerARN": consumer})).await;
}

fn put_to(arn: &str) -> Json {
    json!({"StreamARN": arn, "PartitionKey": "k", "Data": ""})
}

#[tokio::test]
async fn the_partition_of_an_arn_must_be_that_of_its_region() {
    let world = World::with_stream(1).await;
    let wrong = arn("s").replace("arn:aws:", "arn:aws-cn:");
    let text = "Stream s under account 123456789012 not found.";
    let body = json!({"StreamARN": wrong});
    world.refused(Operation::DescribeStream, body, Kind::ResourceNotFound, text).await;
}

#[tokio::test]
async fn quotas_count_what_is_in_one_world() {
    let mut world = World::new("1000".parse().unwrap()).await;
    let settings = Settings { shard_quota: Some(2), ..world.context.settings().clone() };
    world.context = Context::new(world.context.engine.clone(), settings);
    let create = |name: String, shards: u32| json!({"StreamName": name, "ShardCount": shards});
    for (caller, _) in callers() {
        world.ok_as(&caller, Operation::CreateStream, create("s".to_owned(), 2)).await;
        let more = world.run_as(&caller, Operation::CreateStream, create("t".to_owned(), 1)).await;
        assert_eq!(more.unwrap_err().kind, Kind::LimitExceeded);
        let limits = world.ok_as(&caller, Operation::DescribeLimits, json!({})).await;
        assert_eq!(limits["ShardLimit"], 2);
    }
    let settings = Settings { shard_quota: None, ..world.context.settings().clone() };
    world.context = Context::new(world.context.engine.clone(), settings);
    world.clock.advance_ms(TRANSITION_MS);
    for (caller, _) in callers() {
        for number in 0..5 {
            let body = create(format!("creating-{number}"), 1);
            world.ok_as(&caller, Operation::CreateStream, body).await;
        }
        let sixth = create("creating-5".to_owned(), 1);
        let refused = world.run_as(&caller, Operation::CreateStream, sixth).await.unwrap_err();
        assert_eq!(refused.kind, Kind::LimitExceeded);
    }
}

#[tokio::test]
async fn rates_of_shards_are_those_of_one_stream() {
    let world = World::new(Limits::AWS).await;
    let [(one, _), (other, _), ..] = callers();
    for caller in [&one, &other] {
        let body = json!({"StreamName": "s", "ShardCount": 1});
        world.ok_as(caller, Operation::CreateStream, body).await;
    }
    world.clock.advance_ms(TRANSITION_MS);
    let iterators = [world.iterator_as(&one).await, world.iterator_as(&other).await];
    for (caller, iterator) in [&one, &other].into_iter().zip(iterators) {
        for _ in 0..5 {
            world.ok_as(caller, Operation::GetRecords, iterator.clone()).await;
        }
        let refused = world.run_as(caller, Operation::GetRecords, iterator).await.unwrap_err();
        assert_eq!(refused.kind, Kind::ProvisionedThroughputExceeded);
    }
}
