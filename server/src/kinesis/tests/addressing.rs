//! Which stream a call is about.

use super::*;

const NAMED: [(Operation, &str); 14] = [
    (Operation::AddTagsToStream, r#"{"Tags": {"k": "v"}}"#),
    (Operation::DecreaseStreamRetentionPeriod, r#"{"RetentionPeriodHours": 24}"#),
    (Operation::DeleteStream, "{}"),
    (Operation::DescribeStream, "{}"),
    (Operation::DescribeStreamSummary, "{}"),
    (Operation::DisableEnhancedMonitoring, r#"{"ShardLevelMetrics": ["ALL"]}"#),
    (Operation::EnableEnhancedMonitoring, r#"{"ShardLevelMetrics": ["ALL"]}"#),
    (Operation::IncreaseStreamRetentionPeriod, r#"{"RetentionPeriodHours": 24}"#),
    (Operation::ListTagsForStream, "{}"),
    (Operation::PutRecord, r#"{"Data": "", "PartitionKey": "k"}"#),
    (Operation::PutRecords, r#"{"Records": [{"Data": "", "PartitionKey": "k"}]}"#),
    (Operation::RemoveTagsFromStream, r#"{"TagKeys": ["k"]}"#),
    (Operation::StartStreamEncryption, r#"{"EncryptionType": "KMS", "KeyId": "alias/a"}"#),
    (Operation::StopStreamEncryption, r#"{"EncryptionType": "KMS", "KeyId": "alias/a"}"#),
];

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

#[tokio::test]
async fn a_missing_stream_is_told_by_name() {
    let world = World::new(Limits::OFF).await;
    let text = "Stream no-such under account 123456789012 not found.";
    for (operation, body) in NAMED {
        for stream in [json!({"StreamName": "no-such"}), json!({"StreamARN": arn("no-such")})] {
            world.refused(operation, with(body, &stream), Kind::ResourceNotFound, text).await;
        }
    }
    let body = json!({"StreamName": "no-such"});
    world.refused(Operation::ListShards, body, Kind::ResourceNotFound, text).await;
}

#[tokio::test]
async fn a_stream_must_be_named() {
    let world = World::new(Limits::OFF).await;
    for (operation, body) in NAMED {
        let text = "Either StreamName or StreamARN should be provided.";
        world.refused(operation, with(body, &json!({})), Kind::InvalidArgument, text).await;
    }
}

#[tokio::test]
async fn name_and_arn_must_agree() {
    let world = World::with_stream(1).await;
    let body = json!({"StreamName": "s", "StreamARN": arn("s")});
    world.ok(Operation::DescribeStreamSummary, body).await;
    let body = json!({"StreamName": "s", "StreamARN": arn("t")});
    let text = format!("StreamName s and StreamARN {} do not name the same stream.", arn("t"));
    world.refused(Operation::DescribeStreamSummary, body, Kind::InvalidArgument, &text).await;
}

#[tokio::test]
async fn an_arn_of_another_account_or_region_finds_nothing() {
    let world = World::with_stream(1).await;
    for (arn, account) in [
        ("arn:aws:kinesis:us-east-1:999999999999:stream/s", "999999999999"),
        ("arn:aws:kinesis:us-east-2:123456789012:stream/s", ACCOUNT),
    ] {
        let text = format!("Stream s under account {account} not found.");
        let body = json!({"StreamARN": arn});
        world.refused(Operation::DescribeStream, body, Kind::ResourceNotFound, &text).await;
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
