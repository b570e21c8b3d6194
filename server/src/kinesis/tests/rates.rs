//! How often each control operation may be called, and by whom: the service's table, in full.

use super::*;

/// What a rate belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// An account in a region; the refusal names the stream of the call.
    Account,
    /// One stream.
    Stream,
    /// An account in a region; the call is about no stream.
    Bare,
}

/// Operations whose rates belong to a shard.
const DATA: [Operation; 5] = [
    Operation::GetRecords,
    Operation::GetShardIterator,
    Operation::PutRecord,
    Operation::PutRecords,
    Operation::SubscribeToShard,
];

/// Each operation, its calls in a second, and an input without the stream.
const RATES: &[(Operation, u32, Of, &str)] = &[
    (Operation::AddTagsToStream, 5, Of::Account, r#"{"Tags": {"k": "v"}}"#),
    (Operation::CreateStream, 5, Of::Account, r#"{"ShardCount": 1}"#),
    (Operation::DecreaseStreamRetentionPeriod, 5, Of::Account, r#"{"RetentionPeriodHours": 24}"#),
    (Operation::DeleteResourcePolicy, 5, Of::Account, "{}"),
    (Operation::DeleteStream, 5, Of::Account, "{}"),
    (Operation::DeregisterStreamConsumer, 5, Of::Stream, r#"{"ConsumerName": "c"}"#),
    (Operation::DescribeAccountSettings, 5, Of::Bare, "{}"),
    (Operation::DescribeLimits, 1, Of::Bare, "{}"),
    (Operation::DescribeStream, 10, Of::Account, "{}"),
    (Operation::DescribeStreamConsumer, 20, Of::Stream, r#"{"ConsumerName": "c"}"#),
    (Operation::DescribeStreamSummary, 20, Of::Account, "{}"),
    (Operation::DisableEnhancedMonitoring, 5, Of::Account, r#"{"ShardLevelMetrics": ["ALL"]}"#),
    (Operation::EnableEnhancedMonitoring, 5, Of::Account, r#"{"ShardLevelMetrics": ["ALL"]}"#),
    (Operation::GetResourcePolicy, 5, Of::Account, "{}"),
    (Operation::IncreaseStreamRetentionPeriod, 5, Of::Account, r#"{"RetentionPeriodHours": 24}"#),
    (Operation::ListShards, 1000, Of::Stream, "{}"),
    (Operation::ListStreamConsumers, 5, Of::Stream, "{}"),
    (Operation::ListStreams, 5, Of::Bare, "{}"),
    (Operation::ListTagsForResource, 5, Of::Account, "{}"),
    (Operation::ListTagsForStream, 5, Of::Account, "{}"),
    (
        Operation::MergeShards,
        5,
        Of::Account,
        r#"{"ShardToMerge": "0", "AdjacentShardToMerge": "1"}"#,
    ),
    (Operation::PutResourcePolicy, 5, Of::Account, r#"{"Policy": ""}"#),
    (Operation::RegisterStreamConsumer, 5, Of::Account, r#"{"ConsumerName": "c"}"#),
    (Operation::RemoveTagsFromStream, 5, Of::Account, r#"{"TagKeys": ["k"]}"#),
    (Operation::SplitShard, 5, Of::Account, r#"{"ShardToSplit": "0", "NewStartingHashKey": "9"}"#),
    (
        Operation::StartStreamEncryption,
        5,
        Of::Account,
        r#"{"EncryptionType": "KMS", "KeyId": "alias/a"}"#,
    ),
    (
        Operation::StopStreamEncryption,
        5,
        Of::Account,
        r#"{"EncryptionType": "KMS", "KeyId": "alias/a"}"#,
    ),
    (Operation::TagResource, 5, Of::Account, r#"{"Tags": {"k": "v"}}"#),
    (Operation::UntagResource, 5, Of::Account, r#"{"TagKeys": ["k"]}"#),
    (
        Operation::UpdateAccountSettings,
        5,
        Of::Bare,
        r#"{"MinimumThroughputBillingCommitment": {"Status": "DISABLED"}}"#,
    ),
    (Operation::UpdateMaxRecordSize, 5, Of::Account, r#"{"MaxRecordSizeInKiB": 1024}"#),
    (
        Operation::UpdateShardCount,
        10,
        Of::Account,
        r#"{"TargetShardCount": 1, "ScalingType": "UNIFORM_SCALING"}"#,
    ),
    (
        Operation::UpdateStreamMode,
        5,
        Of::Account,
        r#"{"StreamModeDetails": {"StreamMode": "PROVISIONED"}}"#,
    ),
    (
        Operation::UpdateStreamRecordDistributionStrategy,
        5,
        Of::Account,
        r#"{"RecordDistributionStrategy": "AUTO"}"#,
    ),
    (Operation::UpdateStreamWarmThroughput, 5, Of::Account, r#"{"WarmThroughputMiBps": 1}"#),
];

/// An input about the stream `name`, by whatever names it.
fn about(operation: Operation, body: &str, name: &str) -> Json {
    let mut body: Json = serde_json::from_str(body).unwrap();
    let members = operation.shape().members;
    let takes = |member: &str| members.iter().any(|it| it.name == member);
    if takes("ResourceARN") {
        body["ResourceARN"] = json!(arn(name));
    } else if takes("StreamARN") {
        body["StreamARN"] = json!(arn(name));
    } else if takes("StreamName") {
        body["StreamName"] = json!(name);
    }
    body
}

/// Whether a call is let through; the streams it is about do not exist, which comes later.
async fn passes(world: &World, operation: Operation, body: Json, refusal: &str) -> bool {
    match world.run(operation, body).await {
        Err(Exception { kind: Kind::LimitExceeded, message }) => {
            assert_eq!(message.as_deref(), Some(refusal), "{operation:?}");
            false
        }
        Ok(_) | Err(_) => true,
    }
}

#[test]
fn every_control_operation_has_a_rate() {
    for operation in Operation::ALL.iter().filter(|operation| !DATA.contains(operation)) {
        assert!(RATES.iter().any(|(rated, ..)| rated == operation), "{operation:?}");
    }
}

#[tokio::test]
async fn each_operation_may_be_called_as_often_as_the_table_says() {
    for &(operation, per_second, of, body) in RATES {
        let world = World::new(Limits::AWS).await;
        let text = match of {
            Of::Account | Of::Stream => "Rate exceeded for stream s under account 123456789012.",
            Of::Bare => "Rate exceeded",
        };
        let call = || passes(&world, operation, about(operation, body, "s"), text);
        for second in 0..2 {
            for number in 0..per_second {
                assert!(call().await, "{operation:?} {second} {number}");
            }
            assert!(!call().await, "{operation:?} {second}");
            world.clock.advance_ms(1000);
        }
    }
}

#[tokio::test]
async fn a_rate_belongs_to_an_account_and_region_or_to_a_stream() {
    for &(operation, per_second, of, body) in RATES {
        let world = World::new(Limits::AWS).await;
        for _ in 0..=per_second {
            // Refused or not, each call counts that is let through.
            drop(world.run(operation, about(operation, body, "s")).await);
        }
        let text = match of {
            Of::Account | Of::Stream => "Rate exceeded for stream t under account 123456789012.",
            Of::Bare => "Rate exceeded",
        };
        let other = passes(&world, operation, about(operation, body, "t"), text).await;
        assert_eq!(other, of == Of::Stream, "{operation:?}");
        for (key, region) in [("999999999999", REGION), ("AKID", "eu-west-1")] {
            let elsewhere = principal(key, region);
            let result = world.run_as(&elsewhere, operation, about(operation, body, "s")).await;
            let is_limited = result.is_err_and(|refused| refused.kind == Kind::LimitExceeded);
            assert!(!is_limited, "{operation:?} by {key} in {region}");
        }
    }
}

#[tokio::test]
async fn without_limits_nothing_is_too_often() {
    let world = World::new(Limits::OFF).await;
    for &(operation, per_second, _, body) in RATES {
        for _ in 0..=per_second {
            assert!(passes(&world, operation, about(operation, body, "s"), "").await);
        }
    }
}
