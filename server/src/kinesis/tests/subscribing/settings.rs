//! What a stream's settings do to its subscriptions.

use super::super::monitoring::value;
use super::*;

#[tokio::test]
async fn an_event_tells_of_each_record_what_it_was_written_under() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    world.put("plain", "").await;
    let body = json!({"StreamName": "s", "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"});
    world.ok(Operation::StartStreamEncryption, body).await;
    world.clock.advance_ms(TRANSITION_MS);
    world.put("encrypted", "").await;
    let mut subscriber = world.subscribe(&consumer, horizon()).await;
    let mut shown = Vec::new();
    while shown.len() < 2 {
        let event = subscriber.event().await;
        let records = event["Records"].as_array().unwrap().iter();
        shown.extend(
            records.map(|it| (it["PartitionKey"].clone(), it.get("EncryptionType").cloned())),
        );
    }
    assert_eq!(shown, [(json!("plain"), None), (json!("encrypted"), Some(json!("KMS")))]);
}

#[tokio::test]
async fn a_shorter_retention_holds_for_a_subscription_that_is_open() {
    const HOUR_MS: u64 = 3_600_000;
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let retention = |hours: u32| json!({"StreamName": "s", "RetentionPeriodHours": hours});
    world.ok(Operation::IncreaseStreamRetentionPeriod, retention(48)).await;
    world.put("k", "old").await;
    world.clock.advance_ms(30 * HOUR_MS);
    world.put("k", "young").await;
    let mut subscriber = world.subscribe(&consumer, horizon()).await;
    world.ok(Operation::DecreaseStreamRetentionPeriod, retention(24)).await;
    assert_eq!(subscriber.data(1).await, ["young"]);
}

#[tokio::test]
async fn what_subscriptions_get_is_not_outgoing_traffic_of_the_shard() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let body = json!({"StreamName": "s", "ShardLevelMetrics": ["ALL"]});
    world.ok(Operation::EnableEnhancedMonitoring, body).await;
    world.put("k", "data").await;
    let mut subscriber = world.subscribe(&consumer, horizon()).await;
    assert_eq!(subscriber.data(1).await, ["data"]);
    for (family, shard, expected) in [
        ("shard_IncomingBytes", Some("0"), 5),
        ("shard_OutgoingBytes", Some("0"), 0),
        ("shard_OutgoingRecords", Some("0"), 0),
        ("GetRecords_Bytes", None, 0),
    ] {
        assert_eq!(value(&world, family, shard), Some(expected), "{family}");
    }
}
