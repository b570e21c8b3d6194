//! What a stream shows and takes in each state.

use super::*;

async fn status(world: &World) -> String {
    let answer = world.ok(Operation::DescribeStream, json!({"StreamName": "s"})).await;
    answer["StreamDescription"]["StreamStatus"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_stream_in_the_making_shows_no_shards_and_takes_no_records() {
    let world = World::new(Limits::OFF).await;
    world.ok(Operation::CreateStream, json!({"StreamName": "s", "ShardCount": 1})).await;
    let answer = world.ok(Operation::DescribeStream, json!({"StreamName": "s"})).await;
    let description = &answer["StreamDescription"];
    assert_eq!(description["StreamStatus"], "CREATING");
    assert_eq!(
        (&description["Shards"], &description["HasMoreShards"]),
        (&json!([]), &json!(false))
    );
    let answer = world.ok(Operation::DescribeStreamSummary, json!({"StreamName": "s"})).await;
    assert_eq!(answer["StreamDescriptionSummary"]["OpenShardCount"], 0);
    let not_found = "Stream s under account 123456789012 not found.";
    let body = json!({"StreamName": "s", "Data": "", "PartitionKey": "k"});
    world.refused(Operation::PutRecord, body, Kind::ResourceNotFound, not_found).await;
    let body = json!({"StreamName": "s", "ShardId": "0", "ShardIteratorType": "LATEST"});
    let text = "Shard shardId-000000000000 in stream s under account 123456789012 does not exist";
    world.refused(Operation::GetShardIterator, body, Kind::ResourceNotFound, text).await;
    let text = "Stream s under account 123456789012 not ACTIVE, instead in state CREATING";
    let body = json!({"StreamName": "s"});
    world.refused(Operation::ListShards, body, Kind::ResourceInUse, text).await;
}

#[tokio::test]
async fn a_stream_becomes_active_when_it_is_due() {
    let world = World::new(Limits::OFF).await;
    world.ok(Operation::CreateStream, json!({"StreamName": "s", "ShardCount": 1})).await;
    world.clock.advance_ms(TRANSITION_MS - 1);
    assert_eq!(status(&world).await, "CREATING");
    world.clock.advance_ms(1);
    assert_eq!(status(&world).await, "ACTIVE");
}

#[tokio::test]
async fn a_timer_completes_what_nobody_looks_at() {
    let mut world = World::new(Limits::OFF).await;
    let settings = Settings { transition_ms: 0, ..world.context.settings().clone() };
    world.context = Context::new(world.context.engine.clone(), settings);
    world.ok(Operation::CreateStream, json!({"StreamName": "s", "ShardCount": 1})).await;
    while world.stream().status != kinelog_engine::types::StreamStatus::Active {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_deleted_stream_is_gone_when_it_is_due() {
    let world = World::with_stream(1).await;
    let body = || json!({"StreamName": "s"});
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    world.put("k", "still readable").await;
    assert_eq!(world.ok(Operation::DeleteStream, body()).await, Json::Null);
    assert_eq!(status(&world).await, "DELETING");
    let text = "Stream s under account 123456789012 not ACTIVE, instead in state DELETING";
    world.refused(Operation::DeleteStream, body(), Kind::ResourceInUse, text).await;
    world.refused(Operation::ListShards, body(), Kind::ResourceInUse, text).await;
    let not_found = "Stream s under account 123456789012 not found.";
    let put = json!({"StreamName": "s", "Data": "", "PartitionKey": "k"});
    world.refused(Operation::PutRecord, put, Kind::ResourceNotFound, not_found).await;
    assert_eq!(world.read(&iterator).await["Records"].as_array().unwrap().len(), 1);
    world.clock.advance_ms(TRANSITION_MS);
    world.refused(Operation::DescribeStream, body(), Kind::ResourceNotFound, not_found).await;
    assert_eq!(world.ok(Operation::ListStreams, json!({})).await["StreamNames"], json!([]));
}

#[tokio::test]
async fn a_stream_in_the_making_can_be_deleted() {
    let world = World::new(Limits::OFF).await;
    world.ok(Operation::CreateStream, json!({"StreamName": "s", "ShardCount": 1})).await;
    world.clock.advance_ms(TRANSITION_MS / 2);
    world.ok(Operation::DeleteStream, json!({"StreamName": "s"})).await;
    world.clock.advance_ms(TRANSITION_MS / 2);
    assert_eq!(status(&world).await, "DELETING", "not made active by its first transition");
}

#[tokio::test]
async fn transitions_go_on_after_a_restart() {
    let mut world = World::new(Limits::OFF).await;
    world.ok(Operation::CreateStream, json!({"StreamName": "s", "ShardCount": 1})).await;
    world.restart().await;
    assert_eq!(status(&world).await, "CREATING");
    world.clock.advance_ms(TRANSITION_MS);
    assert_eq!(status(&world).await, "ACTIVE");
    world.ok(Operation::DeleteStream, json!({"StreamName": "s"})).await;
    world.clock.advance_ms(TRANSITION_MS);
    world.restart().await;
    assert_eq!(world.ok(Operation::ListStreams, json!({})).await["StreamNames"], json!([]));
}

#[tokio::test]
async fn an_iterator_of_a_stream_made_again_is_of_no_use() {
    let world = World::with_stream(1).await;
    let iterator = world.iterator("0", "LATEST", json!({})).await;
    world.context.engine.remove_stream(world.stream().id).await.unwrap();
    let again = json!({"StreamName": "s", "ShardCount": 1});
    world.ok(Operation::CreateStream, again).await;
    let text = "Shard shardId-000000000000 in stream s under account 123456789012 does not exist";
    let body = json!({"ShardIterator": iterator});
    world.refused(Operation::GetRecords, body, Kind::ResourceNotFound, text).await;
}
