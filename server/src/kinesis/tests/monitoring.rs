//! Enhanced monitoring switched on and off, and what is then measured.

use super::*;
use crate::kinesis::measured_streams;

const ON: Operation = Operation::EnableEnhancedMonitoring;
const OFF: Operation = Operation::DisableEnhancedMonitoring;
const ALL: [&str; 7] = [
    "IncomingBytes",
    "IncomingRecords",
    "IteratorAgeMilliseconds",
    "OutgoingBytes",
    "OutgoingRecords",
    "ReadProvisionedThroughputExceeded",
    "WriteProvisionedThroughputExceeded",
];

fn body(metrics: &[&str]) -> Json {
    json!({"StreamName": "s", "ShardLevelMetrics": metrics})
}

/// Changes the metrics and lets the update end; checks what was before and is after it.
async fn change(
    world: &World,
    operation: Operation,
    metrics: &[&str],
    before: &[&str],
    after: &[&str],
) {
    let answer = world.ok(operation, body(metrics)).await;
    let expected = json!({
        "StreamName": "s",
        "CurrentShardLevelMetrics": before,
        "DesiredShardLevelMetrics": after,
        "StreamARN": arn("s"),
    });
    assert_eq!(answer, expected);
    world.clock.advance_ms(TRANSITION_MS);
    let described = world.ok(Operation::DescribeStream, json!({"StreamName": "s"})).await;
    let expected = json!([{"ShardLevelMetrics": after}]);
    assert_eq!(described["StreamDescription"]["EnhancedMonitoring"], expected);
}

/// The value of a metric of stream `s`, or of one of its shards.
pub(super) fn value(world: &World, family: &str, shard: Option<&str>) -> Option<u64> {
    let families = world.context.traffic().collect(|| measured_streams(&world.context));
    let text = prometheus::TextEncoder::new().encode_to_string(&families).unwrap();
    let shard = shard.map(|id| format!(",ShardId=\"shardId-00000000000{id}\"")).unwrap_or_default();
    let owner = format!("account=\"{ACCOUNT}\",region=\"{REGION}\",StreamName=\"s\"");
    let line = format!("aws_kinesis_{family}{{{owner}{shard}}} ");
    text.lines().find_map(|found| found.strip_prefix(&line)).map(|value| value.parse().unwrap())
}

#[tokio::test]
async fn metrics_are_switched_on_and_off() {
    let mut world = World::with_stream(1).await;
    change(
        &world,
        ON,
        &["OutgoingBytes", "IncomingBytes"],
        &[],
        &["IncomingBytes", "OutgoingBytes"],
    )
    .await;
    change(
        &world,
        ON,
        &["IncomingBytes"],
        &["IncomingBytes", "OutgoingBytes"],
        &["IncomingBytes", "OutgoingBytes"],
    )
    .await;
    change(&world, ON, &["ALL"], &["IncomingBytes", "OutgoingBytes"], &ALL).await;
    world.restart().await;
    change(&world, OFF, &[ALL[0], ALL[1], ALL[2], ALL[5], ALL[6]], &ALL, &ALL[3..5]).await;
    change(&world, OFF, &["IncomingBytes"], &ALL[3..5], &ALL[3..5]).await;
    change(&world, OFF, &["ALL"], &ALL[3..5], &[]).await;
    change(&world, OFF, &["ALL", "IncomingBytes"], &[], &[]).await;
}

#[tokio::test]
async fn a_stream_by_arn_is_told_by_both_names() {
    let world = World::with_stream(1).await;
    let body = json!({"StreamARN": arn("s"), "ShardLevelMetrics": ["ALL"]});
    for operation in [ON, OFF] {
        let answer = world.ok(operation, body.clone()).await;
        assert_eq!((&answer["StreamName"], &answer["StreamARN"]), (&json!("s"), &json!(arn("s"))));
        world.clock.advance_ms(TRANSITION_MS);
    }
}

#[tokio::test]
async fn monitoring_changes_an_active_stream_through_updating() {
    let world = World::new(Limits::OFF).await;
    for operation in [ON, OFF] {
        let text = "Stream s under account 123456789012 not found.";
        world.refused(operation, body(&["ALL"]), Kind::ResourceNotFound, text).await;
    }
    world.ok(Operation::CreateStream, json!({"StreamName": "s", "ShardCount": 1})).await;
    let text = "Stream s under account 123456789012 not ACTIVE, instead in state CREATING";
    for operation in [ON, OFF] {
        world.refused(operation, body(&["ALL"]), Kind::ResourceInUse, text).await;
    }
    world.clock.advance_ms(TRANSITION_MS);
    world.ok(ON, body(&["ALL"])).await;
    let text = "Stream s under account 123456789012 not ACTIVE, instead in state UPDATING";
    world.refused(OFF, body(&["ALL"]), Kind::ResourceInUse, text).await;
}

#[tokio::test]
async fn streams_are_measured_always_and_shards_where_enabled() {
    let world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 2})).await;
    world.put("a", "12345").await;
    world.clock.advance_ms(1000);
    assert_eq!(value(&world, "IncomingBytes", None), Some(6));
    assert_eq!(value(&world, "PutRecord_Success", None), Some(1));
    assert_eq!(value(&world, "shard_IncomingBytes", Some("0")), None);
    world.ok(ON, body(&["ALL"])).await;
    // The hash of "a" lies in the first shard, that of "b" in the second.
    let record = |key: &str| json!({"PartitionKey": key, "Data": base64(b"123")});
    let mut records = vec![record("a"); 400];
    records.extend(vec![record("b"); 2]);
    for (call, throttled) in [(0, 0), (1, 0), (2, 200)] {
        let body = json!({"StreamName": "s", "Records": records});
        let answer = world.ok(Operation::PutRecords, body).await;
        assert_eq!(answer["FailedRecordCount"], throttled, "{call}");
    }
    for (family, shard, expected) in [
        ("shard_IncomingRecords", Some("0"), 1000),
        ("shard_IncomingBytes", Some("0"), 4000),
        ("shard_WriteProvisionedThroughputExceeded", Some("0"), 200),
        ("shard_IncomingRecords", Some("1"), 6),
        ("shard_IncomingBytes", Some("1"), 24),
        ("shard_WriteProvisionedThroughputExceeded", Some("1"), 0),
        ("IncomingRecords", None, 1007),
        ("IncomingBytes", None, 4030),
        ("PutRecord_Bytes", None, 6),
        ("PutRecords_Bytes", None, 4024),
        ("PutRecords_Success", None, 3),
        ("PutRecords_TotalRecords", None, 1206),
        ("PutRecords_SuccessfulRecords", None, 1006),
        ("PutRecords_ThrottledRecords", None, 200),
        ("PutRecords_FailedRecords", None, 0),
        ("WriteProvisionedThroughputExceeded", None, 200),
    ] {
        assert_eq!(value(&world, family, shard), Some(expected), "{family} {shard:?}");
    }
}

#[tokio::test]
async fn reads_are_measured_with_the_age_of_what_they_gave() {
    let world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    world.ok(ON, body(&["ALL"])).await;
    for data in ["1", "22", "333"] {
        world.put("k", data).await;
        world.clock.advance_ms(1000);
    }
    let ages = |world: &World| {
        let shard = value(world, "shard_IteratorAgeMilliseconds", Some("0"));
        assert_eq!(shard, value(world, "GetRecords_IteratorAgeMilliseconds", None));
        shard
    };
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    let limited = json!({"ShardIterator": iterator, "Limit": 2});
    world.ok(Operation::GetRecords, limited).await;
    assert_eq!(ages(&world), Some(2000), "two of three records, the last one 2 s old");
    world.read(&iterator).await;
    assert_eq!(ages(&world), Some(0), "caught up");
    for _ in 0..3 {
        world.read(&iterator).await;
    }
    let text =
        "Rate exceeded for shard shardId-000000000000 in stream s under account 123456789012.";
    let refused = json!({"ShardIterator": iterator});
    let kind = Kind::ProvisionedThroughputExceeded;
    world.refused(Operation::GetRecords, refused, kind, text).await;
    for (family, shard, expected) in [
        ("shard_OutgoingRecords", Some("0"), 14),
        ("shard_OutgoingBytes", Some("0"), 41),
        ("shard_ReadProvisionedThroughputExceeded", Some("0"), 1),
        ("GetRecords_Records", None, 14),
        ("GetRecords_Bytes", None, 41),
        ("GetRecords_Success", None, 5),
        ("ReadProvisionedThroughputExceeded", None, 1),
    ] {
        assert_eq!(value(&world, family, shard), Some(expected), "{family}");
    }
}
