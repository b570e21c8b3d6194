//! Faults on purpose: what callers see of them, and what is done all the same.

use super::*;
use crate::faults::{Rule, RuleSet};

impl World {
    /// With stream `s` of two shards, and these rules.
    pub(super) async fn with_faults(rules: &[&str]) -> Self {
        let world = Self::with_stream(2).await;
        world.inject(rules);
        world
    }

    pub(super) fn inject(&self, rules: &[&str]) {
        let mut set = RuleSet::default();
        for rule in rules {
            set.add(Rule::parse(rule, Operation::NAMES).unwrap()).unwrap();
        }
        self.context.faults().replace(set);
    }

    /// Records in stream `s`.
    async fn stored(&self) -> usize {
        self.inject(&[]);
        let mut stored = 0;
        for shard in ["0", "1"] {
            let iterator = self.iterator(shard, "TRIM_HORIZON", json!({})).await;
            stored += self.read(&iterator).await["Records"].as_array().unwrap().len();
        }
        stored
    }
}

fn put() -> Json {
    json!({"StreamName": "s", "PartitionKey": "k", "Data": ""})
}

fn records(count: usize) -> Json {
    let records: Vec<_> =
        (0..count).map(|key| json!({"PartitionKey": key.to_string(), "Data": ""})).collect();
    json!({"StreamName": "s", "Records": records})
}

const ARN: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/s";

#[tokio::test]
async fn throttles_are_told_in_the_words_of_the_operation() {
    let world = World::with_stream(2).await;
    let iterator = world.iterator("1", "LATEST", json!({})).await;
    world.inject(&["*:throttle"]);
    let shard =
        |shard| format!("Rate exceeded for shard {shard} in stream s under account 123456789012.");
    let stream = "Rate exceeded for stream s under account 123456789012.".to_owned();
    let of_shard_1 = json!({"StreamName": "s", "ShardId": "1", "ShardIteratorType": "LATEST"});
    let (throughput, limit) = (Kind::ProvisionedThroughputExceeded, Kind::LimitExceeded);
    for (operation, body, kind, text) in [
        (Operation::PutRecord, put(), throughput, shard("shardId-000000000000")),
        (Operation::PutRecords, records(3), throughput, shard("shardId-000000000000")),
        (Operation::GetShardIterator, of_shard_1, throughput, shard("shardId-000000000001")),
        (
            Operation::GetRecords,
            json!({"ShardIterator": iterator}),
            throughput,
            shard("shardId-000000000001"),
        ),
        (Operation::DescribeStreamSummary, json!({"StreamARN": ARN}), limit, stream.clone()),
        (Operation::ListTagsForResource, json!({"ResourceARN": ARN}), limit, stream.clone()),
        (
            Operation::DescribeStreamConsumer,
            json!({"ConsumerARN": format!("{ARN}/consumer/c:1")}),
            limit,
            stream,
        ),
        (Operation::ListStreams, json!({}), limit, "Rate exceeded".to_owned()),
    ] {
        world.refused(operation, body, kind, &text).await;
    }
    assert_eq!(world.stored().await, 0);
}

#[tokio::test]
async fn any_exception_comes_with_the_words_there_are() {
    let world = World::with_stream(1).await;
    let iterator = world.iterator("0", "LATEST", json!({})).await;
    let expired = "Iterator expired. The iterator was created at time Wed Dec 03 19:43:53 UTC 2025 \
                   while right now it is Wed Dec 03 19:48:54 UTC 2025 which is further in the \
                   future than the tolerated delay of 300000 milliseconds.";
    let shard = "Rate exceeded for shard shardId-000000000000 in stream s under account \
                 123456789012.";
    for (rule, kind, message) in [
        ("*:error=KMSThrottling", Kind::KmsThrottling, Some("Injected by a fault rule.")),
        ("*:error=ResourceNotFound:message=gone: away", Kind::ResourceNotFound, Some("gone: away")),
        ("*:error=InternalFailure", Kind::InternalFailure, None),
        ("*:error=ServiceUnavailable", Kind::ServiceUnavailable, None),
        ("*:error=ProvisionedThroughputExceeded", Kind::ProvisionedThroughputExceeded, Some(shard)),
        ("*:error=LimitExceeded", Kind::LimitExceeded, Some("Injected by a fault rule.")),
        ("*:error=ExpiredIterator", Kind::ExpiredIterator, Some(expired)),
        ("GetRecords:expire", Kind::ExpiredIterator, Some(expired)),
    ] {
        world.inject(&[rule]);
        let body = json!({"ShardIterator": iterator});
        let refused = world.run(Operation::GetRecords, body).await.unwrap_err();
        assert_eq!((refused.kind, refused.message.as_deref()), (kind, message), "{rule}");
    }
}

#[tokio::test]
async fn an_invalid_call_is_told_so_and_not_struck() {
    let world = World::with_faults(&["*:throttle"]).await;
    let refused = world.run(Operation::PutRecord, json!({"StreamName": ""})).await.unwrap_err();
    assert_eq!(refused.kind, Kind::Validation);
    assert_eq!(world.context.faults().shown()[0].struck, 0);
}

#[tokio::test]
async fn an_answer_may_be_lost_after_the_work_is_done() {
    let world = World::with_faults(&["PutRecord:error=InternalFailure:after"]).await;
    let refused = world.run(Operation::PutRecord, put()).await.unwrap_err();
    assert_eq!(refused, Exception::bare(Kind::InternalFailure));
    assert_eq!(world.stored().await, 1);
    world.inject(&["PutRecord:error=InternalFailure"]);
    world.run(Operation::PutRecord, put()).await.unwrap_err();
    assert_eq!(world.stored().await, 1);
}

#[tokio::test]
async fn a_fraction_of_the_records_is_refused_and_the_others_are_stored() {
    let world = World::with_faults(&["PutRecords:stream=s:partial=0.3"]).await;
    let answer = world.ok(Operation::PutRecords, records(10)).await;
    assert_eq!(answer["FailedRecordCount"], 3);
    let results = answer["Records"].as_array().unwrap();
    let failed: Vec<_> = results.iter().filter(|result| result["ErrorCode"].is_string()).collect();
    assert_eq!((results.len(), failed.len()), (10, 3));
    let routes = |key: &str| {
        let hash = kinelog_engine::types::HashKey::of_partition_key(key.as_bytes());
        world.stream().route(hash).unwrap().index.0
    };
    for (key, result) in results.iter().enumerate().filter(|(_, it)| it["ErrorCode"].is_string()) {
        let shard = routes(&key.to_string());
        let text = format!(
            "Rate exceeded for shard shardId-{shard:012} in stream s under account 123456789012."
        );
        let code = "ProvisionedThroughputExceededException";
        assert_eq!(*result, json!({"ErrorCode": code, "ErrorMessage": text}));
    }
    assert_eq!(world.stored().await, 7);
}

#[tokio::test]
async fn records_may_fail_for_reasons_of_the_service() {
    let world = World::with_faults(&["PutRecords:partial=0.5:error=InternalFailure"]).await;
    let answer = world.ok(Operation::PutRecords, records(4)).await;
    assert_eq!(answer["FailedRecordCount"], 2);
    let failed =
        json!({"ErrorCode": "InternalFailure", "ErrorMessage": "Internal Service Failure"});
    let results = answer["Records"].as_array().unwrap();
    assert_eq!(results.iter().filter(|result| **result == failed).count(), 2);
    assert_eq!(world.stored().await, 2);
}

#[tokio::test]
async fn a_call_is_delayed_and_then_done() {
    let world = World::with_faults(&["PutRecord:latency=30"]).await;
    let started = tokio::time::Instant::now();
    world.ok(Operation::PutRecord, put()).await;
    assert!(started.elapsed() >= std::time::Duration::from_millis(30));
    assert_eq!(world.stored().await, 1);
}

#[tokio::test]
async fn a_connection_is_cut_before_the_work_or_after_it() {
    let world = World::with_stream(2).await;
    for (rule, stored) in [("PutRecord:cut", 0), ("PutRecord:cut:after", 1)] {
        world.inject(&[rule]);
        let body = put().to_string();
        let body = crate::aws::json::parse(body.as_bytes()).unwrap();
        let call = Operation::PutRecord.run(&world.context, &world.principal, Encoding::Json, body);
        assert!(matches!(call.await, Ok(Output::Cut)), "{rule}");
        assert_eq!(world.stored().await, stored, "{rule}");
    }
}

#[tokio::test]
async fn other_streams_and_operations_are_spared() {
    let world = World::with_faults(&["PutRecord:stream=t:throttle", "GetRecords:throttle"]).await;
    world.ok(Operation::PutRecord, put()).await;
    world.ok(Operation::PutRecords, records(1)).await;
    assert_eq!(world.stored().await, 2);
}

#[tokio::test]
async fn one_seed_of_the_device_strikes_alike() {
    let struck = async || {
        let world = World::with_faults(&["PutRecord:p=0.5:throttle"]).await;
        let mut struck = Vec::new();
        for _ in 0..64 {
            struck.push(world.run(Operation::PutRecord, put()).await.is_err());
        }
        struck
    };
    let first = struck().await;
    assert_eq!(first, struck().await);
    assert!(first.contains(&true) && first.contains(&false));
}
