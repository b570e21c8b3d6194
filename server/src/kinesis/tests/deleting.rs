//! `DeleteStream` while the shards of the stream change.

use kinelog_engine::types::{StreamChange, StreamStatus};

use super::resharding::{MIDDLE, described, id, put_at, split_body};
use super::*;

#[tokio::test]
async fn a_stream_being_resharded_can_be_deleted() {
    let world = World::with_stream(1).await;
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    world.clock.advance_ms(TRANSITION_MS);
    let shards = described(&world).await.2.len();
    world.ok(Operation::DeleteStream, json!({"StreamName": "s"})).await;
    world.clock.advance_ms(TRANSITION_MS - 1);
    let answer = world.ok(Operation::DescribeStream, json!({"StreamName": "s"})).await;
    let description = &answer["StreamDescription"];
    assert_eq!(description["StreamStatus"], "DELETING");
    assert_eq!(description["Shards"].as_array().unwrap().len(), shards);
    world.clock.advance_ms(1);
    assert_eq!(world.ok(Operation::ListStreams, json!({})).await["StreamNames"], json!([]));
}

#[tokio::test]
async fn a_stream_being_deleted_has_the_shards_it_was_shown_with() {
    let world = World::with_stream(1).await;
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    world.clock.advance_ms(TRANSITION_MS);
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    assert_eq!(put_at(&world, 0).await.0, 0, "the parent still takes records");
    world.ok(Operation::DeleteStream, json!({"StreamName": "s"})).await;
    let read = world.read(&iterator).await;
    assert_eq!(read["Records"].as_array().unwrap().len(), 1);
    world.next_second().await;
    let read = world.read(read["NextShardIterator"].as_str().unwrap()).await;
    let children = read["ChildShards"].as_array().unwrap().iter();
    assert_eq!(children.map(|it| &it["ShardId"]).collect::<Vec<_>>(), [&id(1), &id(2)]);
    assert_eq!(world.stream().status, StreamStatus::Deleting);
    world.clock.advance_ms(TRANSITION_MS);
    assert_eq!(world.ok(Operation::ListStreams, json!({})).await["StreamNames"], json!([]));
}

/// Takes from the stored plan what its first step does: the times of it stay.
async fn spoil_plan(world: &World) {
    let stream = world.stream();
    let mut document = stream.attributes.clone();
    document["reshard"][0].as_object_mut().unwrap().remove("swaps").unwrap();
    let change = vec![StreamChange::Attributes(document)];
    world.context.engine.change_stream(stream.id, change).await.unwrap();
}

#[tokio::test]
async fn a_step_that_cannot_be_carried_out_does_not_keep_what_is_deleted() {
    let world = World::with_stream(1).await;
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    world.clock.advance_ms(TRANSITION_MS);
    world.ok(Operation::DeleteStream, json!({"StreamName": "s"})).await;
    spoil_plan(&world).await;
    world.clock.advance_ms(TRANSITION_MS);
    assert_eq!(world.ok(Operation::ListStreams, json!({})).await["StreamNames"], json!([]));
}

#[tokio::test]
async fn a_clock_set_back_does_not_keep_what_is_deleted() {
    let mut world = World::with_stream(1).await;
    let settings = Settings { transition_ms: 50, ..world.context.settings().clone() };
    world.context = Context::new(world.context.engine.clone(), settings);
    let closed = world.context.engine.now().seconds() * 1000;
    world.clock.set(Timestamp(closed + 940));
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    world.clock.advance_ms(50);
    world.ok(Operation::DeleteStream, json!({"StreamName": "s"})).await;
    assert_eq!(world.stream().shards.len(), 1, "the step comes before the end");
    world.clock.set(Timestamp(closed - 3_600_000));
    while !world.context.engine.all_streams().is_empty() {
        tokio::task::yield_now().await;
    }
}
