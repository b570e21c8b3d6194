//! Which stream a call is about.

use super::*;

/// Operations that are about a stream, with an input that names none.
const NAMED: &[(Operation, &str)] = &[
    (Operation::AddTagsToStream, r#"{"Tags": {"k": "v"}}"#),
    (Operation::DecreaseStreamRetentionPeriod, r#"{"RetentionPeriodHours": 24}"#),
    (Operation::DeleteStream, "{}"),
    (Operation::DeregisterStreamConsumer, r#"{"ConsumerName": "c"}"#),
    (Operation::DescribeStream, "{}"),
    (Operation::DescribeStreamConsumer, r#"{"ConsumerName": "c"}"#),
    (Operation::DescribeStreamSummary, "{}"),
    (Operation::DisableEnhancedMonitoring, r#"{"ShardLevelMetrics": ["ALL"]}"#),
    (Operation::EnableEnhancedMonitoring, r#"{"ShardLevelMetrics": ["ALL"]}"#),
    (Operation::GetShardIterator, r#"{"ShardId": "0", "ShardIteratorType": "LATEST"}"#),
    (Operation::IncreaseStreamRetentionPeriod, r#"{"RetentionPeriodHours": 24}"#),
    (Operation::ListShards, "{}"),
    (Operation::ListStreamConsumers, "{}"),
    (Operation::ListTagsForStream, "{}"),
    (Operation::MergeShards, r#"{"ShardToMerge": "0", "AdjacentShardToMerge": "1"}"#),
    (Operation::PutRecord, r#"{"Data": "", "PartitionKey": "k"}"#),
    (Operation::PutRecords, r#"{"Records": [{"Data": "", "PartitionKey": "k"}]}"#),
    (Operation::RegisterStreamConsumer, r#"{"ConsumerName": "c"}"#),
    (Operation::RemoveTagsFromStream, r#"{"TagKeys": ["k"]}"#),
    (Operation::SplitShard, r#"{"ShardToSplit": "0", "NewStartingHashKey": "9"}"#),
    (Operation::StartStreamEncryption, r#"{"EncryptionType": "KMS", "KeyId": "alias/a"}"#),
    (Operation::StopStreamEncryption, r#"{"EncryptionType": "KMS", "KeyId": "alias/a"}"#),
    (Operation::UpdateMaxRecordSize, r#"{"MaxRecordSizeInKiB": 1024}"#),
    (Operation::UpdateShardCount, r#"{"TargetShardCount": 1, "ScalingType": "UNIFORM_SCALING"}"#),
    (Operation::UpdateStreamMode, r#"{"StreamModeDetails": {"StreamMode": "PROVISIONED"}}"#),
    (
        Operation::UpdateStreamRecordDistributionStrategy,
        r#"{"RecordDistributionStrategy": "AUTO"}"#,
    ),
    (Operation::UpdateStreamWarmThroughput, r#"{"WarmThroughputMiBps": 1}"#),
];

/// Whether the input of `operation` can, or must, name its stream by `member`.
fn takes(operation: Operation, member: &str) -> bool {
    operation.shape().members.iter().any(|it| it.name == member)
}

/// What `operation` says of the missing stream `name`.
fn missing(operation: Operation, name: &str, account: &str) -> String {
    if operation == Operation::GetShardIterator {
        format!(
            "Shard shardId-000000000000 in stream {name} under account {account} does not exist"
        )
    } else {
        format!("Stream {name} under account {account} not found.")
    }
}

fn with(body: &str, members: &Json) -> Json {
    let mut body: Json = serde_json::from_str(body).unwrap();
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body
}

#[test]
fn targets_name_operations() {
    for operation in Operation::ALL {
        let target = format!("Kinesis_20131202.{}", operation.name());
        assert_eq!(Operation::of_target(&target), Some(*operation));
    }
    for target in ["", "PutRecord", "Kinesis_20131202.putRecord", "DynamoDB_20120810.PutRecord"] {
        assert_eq!(Operation::of_target(target), None, "{target}");
    }
}

#[test]
fn every_operation_about_a_stream_is_looked_at() {
    for operation in Operation::ALL {
        let is_about_a_stream = takes(*operation, "StreamName") || takes(*operation, "StreamARN");
        let is_looked_at = NAMED.iter().any(|(named, _)| named == operation)
            || matches!(operation, Operation::CreateStream | Operation::GetRecords);
        assert!(is_looked_at || !is_about_a_stream, "{operation:?}");
    }
}

#[tokio::test]
async fn a_missing_stream_is_told_by_name() {
    let world = World::new(Limits::OFF).await;
    for &(operation, body) in NAMED {
        let text = missing(operation, "no-such", ACCOUNT);
        for (member, value) in [("StreamName", "no-such"), ("StreamARN", &arn("no-such"))] {
            if takes(operation, member) {
                let body = with(body, &json!({member: value}));
                world.refused(operation, body, Kind::ResourceNotFound, &text).await;
            }
        }
    }
}

#[tokio::test]
async fn a_stream_must_be_named() {
    let world = World::new(Limits::OFF).await;
    let null = "1 validation error detected: Value null at 'streamARN' failed to satisfy \
                constraint: Member must not be null";
    for &(operation, body) in NAMED {
        let by_arn_only =
            operation.shape().members.iter().any(|it| it.name == "StreamARN" && it.required);
        let (kind, text) = if by_arn_only {
            (Kind::Validation, null)
        } else if operation == Operation::ListShards {
            (Kind::InvalidArgument, "Either NextToken or StreamName should be provided.")
        } else if takes(operation, "ConsumerARN") {
            let text = "Either ConsumerARN, or StreamARN and ConsumerName, should be provided.";
            (Kind::InvalidArgument, text)
        } else {
            (Kind::InvalidArgument, "Either StreamName or StreamARN should be provided.")
        };
        world.refused(operation, with(body, &json!({})), kind, text).await;
    }
}

#[tokio::test]
async fn name_and_arn_must_agree() {
    let world = World::with_stream(1).await;
    let body = json!({"StreamName": "s", "StreamARN": arn("s")});
    world.ok(Operation::DescribeStreamSummary, body).await;
    let text = format!("StreamName s and StreamARN {} do not name the same stream.", arn("t"));
    let both = json!({"StreamName": "s", "StreamARN": arn("t")});
    let takes_both =
        |it: &&(Operation, &str)| takes(it.0, "StreamName") && takes(it.0, "StreamARN");
    for &(operation, body) in NAMED.iter().filter(takes_both) {
        world.refused(operation, with(body, &both), Kind::InvalidArgument, &text).await;
    }
}

#[tokio::test]
async fn an_arn_of_another_account_or_region_finds_nothing() {
    let world = World::with_stream(1).await;
    for (arn, account) in [
        ("arn:aws:kinesis:us-east-1:999999999999:stream/s", "999999999999"),
        ("arn:aws:kinesis:us-east-2:123456789012:stream/s", ACCOUNT),
    ] {
        for &(operation, body) in NAMED {
            let (text, body) =
                (missing(operation, "s", account), with(body, &json!({"StreamARN": arn})));
            world.refused(operation, body, Kind::ResourceNotFound, &text).await;
        }
    }
}

#[tokio::test]
async fn accounts_and_regions_do_not_see_each_other() {
    let world = World::with_stream(1).await;
    let body = || json!({"StreamName": "s"});
    for (key, region, account) in
        [("999999999999", REGION, "999999999999"), ("AKID", "eu-west-1", ACCOUNT)]
    {
        let other = principal(key, region);
        let refused = world.run_as(&other, Operation::DescribeStream, body()).await.unwrap_err();
        let text = format!("Stream s under account {account} not found.");
        assert_eq!(refused, Exception::new(Kind::ResourceNotFound, text));
    }
    let same = principal(ACCOUNT, REGION);
    world.run_as(&same, Operation::DescribeStream, body()).await.unwrap();
}

#[tokio::test]
async fn a_stream_id_is_ignored() {
    let world = World::with_stream(1).await;
    let id = "abcdefghij0123456789-a0z";
    let body = json!({"StreamName": "s", "StreamId": id});
    let answer = world.ok(Operation::DescribeStreamSummary, body).await;
    assert!(answer["StreamDescriptionSummary"].get("StreamId").is_none());
}
