//! Rows about streams as a whole.

use super::*;

#[test]
fn e1_stream_missing() {
    let service = Service::new(Limits::OFF);
    let text = "Stream s under account 123456789012 not found.";
    let mut asked = 0;
    for operation in kinelog::kinesis::Operation::ALL {
        let name = operation.name();
        if let Some(body) = about_stream(name) {
            service.refused(name, &body, NOT_FOUND, text);
            asked += 1;
        }
    }
    assert_eq!(asked, 32);
}

/// A sound call about the missing stream `s`; none where the row does not hold.
fn about_stream(operation: &str) -> Option<Json> {
    let arn = arn("s");
    Some(match operation {
        "CreateStream"
        | "DescribeAccountSettings"
        | "DescribeLimits"
        | "GetRecords"
        | "GetShardIterator"
        | "ListStreams"
        | "SubscribeToShard"
        | "UpdateAccountSettings" => return None,
        "AddTagsToStream" => json!({"StreamName": "s", "Tags": {"k": "v"}}),
        "RemoveTagsFromStream" => json!({"StreamName": "s", "TagKeys": ["k"]}),
        "IncreaseStreamRetentionPeriod" | "DecreaseStreamRetentionPeriod" => {
            json!({"StreamName": "s", "RetentionPeriodHours": 24})
        }
        "EnableEnhancedMonitoring" | "DisableEnhancedMonitoring" => {
            json!({"StreamName": "s", "ShardLevelMetrics": ["ALL"]})
        }
        "StartStreamEncryption" | "StopStreamEncryption" => {
            json!({"StreamName": "s", "EncryptionType": "KMS", "KeyId": "alias/k"})
        }
        "MergeShards" => {
            json!({"StreamName": "s", "ShardToMerge": "0", "AdjacentShardToMerge": "1"})
        }
        "SplitShard" => json!({"StreamName": "s", "ShardToSplit": "0", "NewStartingHashKey": "9"}),
        "UpdateShardCount" => {
            json!({"StreamName": "s", "TargetShardCount": 1, "ScalingType": "UNIFORM_SCALING"})
        }
        "UpdateStreamMode" => {
            json!({"StreamARN": arn, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}})
        }
        "UpdateMaxRecordSize" => json!({"StreamARN": arn, "MaxRecordSizeInKiB": 1024}),
        "UpdateStreamWarmThroughput" => json!({"StreamName": "s", "WarmThroughputMiBps": 1}),
        "UpdateStreamRecordDistributionStrategy" => {
            json!({"StreamARN": arn, "RecordDistributionStrategy": "AUTO"})
        }
        "PutRecord" => json!({"StreamName": "s", "Data": "", "PartitionKey": "k"}),
        "PutRecords" => {
            json!({"StreamName": "s", "Records": [{"Data": "", "PartitionKey": "k"}]})
        }
        "RegisterStreamConsumer" | "DescribeStreamConsumer" | "DeregisterStreamConsumer" => {
            json!({"StreamARN": arn, "ConsumerName": "c"})
        }
        "ListStreamConsumers" => json!({"StreamARN": arn}),
        "TagResource" => json!({"ResourceARN": arn, "Tags": {"k": "v"}}),
        "UntagResource" => json!({"ResourceARN": arn, "TagKeys": ["k"]}),
        "PutResourcePolicy" => json!({"ResourceARN": arn, "Policy": policy("s")}),
        "ListTagsForResource" | "GetResourcePolicy" | "DeleteResourcePolicy" => {
            json!({"ResourceARN": arn})
        }
        _ => json!({"StreamName": "s"}),
    })
}

#[test]
fn e2_name_taken() {
    let service = Service::new(Limits::OFF);
    let body = json!({"StreamName": "s", "ShardCount": 1});
    service.ok("CreateStream", &body);
    let text = "Stream s under account 123456789012 already exists.";
    service.refused("CreateStream", &body, IN_USE, text);
    service.advance_ms(TRANSITION_MS);
    service.refused("CreateStream", &body, IN_USE, text);
}

#[test]
fn e3_shard_quota() {
    let quota = context::Settings { shard_quota: Some(5), ..settings() };
    let service = Service::with(quota);
    service.create(&json!({"StreamName": "s", "ShardCount": 3}));
    let text = |current: u32, additional: u32| {
        format!(
            "This request would exceed the shard limit for the account 123456789012 in us-east-1. \
             Current shard count for the account: {current}. Limit: 5. Number of additional \
             shards that would have resulted from this request: {additional}. Refer to the AWS \
             Service Limits page \
             (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current \
             limits and how to request higher limits."
        )
    };
    let body = json!({"StreamName": "t", "ShardCount": 3});
    service.refused("CreateStream", &body, LIMIT, &text(3, 3));
    service.advance_ms(1000);
    let body = json!({"StreamName": "t", "ShardCount": 1000});
    service.refused("CreateStream", &body, LIMIT, &text(3, 1000));
    let body = json!({"StreamName": "s", "TargetShardCount": 6, "ScalingType": "UNIFORM_SCALING"});
    service.refused("UpdateShardCount", &body, LIMIT, &text(3, 3));
    service.create(&json!({"StreamName": "t", "ShardCount": 2}));
    let body = json!({"StreamName": "s", "ShardToSplit": "0", "NewStartingHashKey": "9"});
    service.refused("SplitShard", &body, LIMIT, &text(5, 1));
}

#[test]
fn e4_stream_not_active() {
    let service = Service::new(Limits::OFF);
    let text = |state: &str| {
        format!("Stream s under account 123456789012 not ACTIVE, instead in state {state}")
    };
    let refuse_all = |operations: &[&str], state: &str| {
        for name in operations {
            service.refused(name, &about_stream(name).unwrap(), IN_USE, &text(state));
        }
    };
    let body = json!({"StreamName": "s"});
    service.ok("CreateStream", &json!({"StreamName": "s", "ShardCount": 1}));
    refuse_all(NEED_ACTIVE, "CREATING");
    refuse_all(NEED_ACTIVE_OR_UPDATING, "CREATING");
    service.advance_ms(TRANSITION_MS);
    let split = json!({"StreamName": "s", "ShardToSplit": "0", "NewStartingHashKey": "9"});
    service.ok("SplitShard", &split);
    refuse_all(NEED_ACTIVE, "UPDATING");
    service.ok("ListShards", &body);
    service.advance_ms(TRANSITION_MS);
    service.ok("DeleteStream", &body);
    refuse_all(NEED_ACTIVE, "DELETING");
    refuse_all(NEED_ACTIVE_OR_UPDATING, "DELETING");
    service.refused("DeleteStream", &body, IN_USE, &text("DELETING"));
}

const NEED_ACTIVE: &[&str] = &[
    "DecreaseStreamRetentionPeriod",
    "DisableEnhancedMonitoring",
    "EnableEnhancedMonitoring",
    "IncreaseStreamRetentionPeriod",
    "MergeShards",
    "SplitShard",
    "StartStreamEncryption",
    "StopStreamEncryption",
    "UpdateMaxRecordSize",
    "UpdateShardCount",
    "UpdateStreamMode",
    "UpdateStreamRecordDistributionStrategy",
    "UpdateStreamWarmThroughput",
];

const NEED_ACTIVE_OR_UPDATING: &[&str] = &[
    "AddTagsToStream",
    "ListShards",
    "PutResourcePolicy",
    "RegisterStreamConsumer",
    "RemoveTagsFromStream",
    "TagResource",
    "UntagResource",
];

#[test]
fn e5_calls_beyond_their_rate() {
    let service = Service::new(Limits::AWS);
    let body = json!({"StreamName": "s"});
    for _ in 0..10 {
        assert_eq!(service.call("DescribeStream", &body).body["__type"], NOT_FOUND);
    }
    let text = "Rate exceeded for stream s under account 123456789012.";
    service.refused("DescribeStream", &body, LIMIT, text);
    for _ in 0..5 {
        service.ok("ListStreams", &json!({}));
    }
    service.refused("ListStreams", &json!({}), LIMIT, "Rate exceeded");
    service.advance_ms(1000);
    service.ok("ListStreams", &json!({}));
}

#[test]
fn e42_failure_of_the_service() {
    let service = Service::with_stream(1);
    // A number of version 0.
    let body = json!({
        "StreamName": "s", "ShardId": shard_id(0), "ShardIteratorType": "AT_SEQUENCE_NUMBER",
        "StartingSequenceNumber": "5",
    });
    for encoding in Encoding::BOTH {
        let answer = service.call_in(encoding, "GetShardIterator", &body);
        assert_eq!(answer, Answer { status: 500, body: json!({"__type": "InternalFailure"}) });
    }
}
