//! `UpdateShardCount`: what it plans, what is shown when, and what it refuses.

use super::resharding::{described, put_at};
use super::*;

fn body(target: usize) -> Json {
    json!({"StreamName": "s", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING"})
}

async fn refused(world: &World, target: usize, kind: Kind, text: &str) {
    world.refused(Operation::UpdateShardCount, body(target), kind, text).await;
}

#[tokio::test]
async fn the_answer_tells_both_numbers_and_the_stream() {
    let world = World::with_stream(2).await;
    let by_arn = json!({
        "StreamARN": arn("s"), "TargetShardCount": 3, "ScalingType": "UNIFORM_SCALING",
    });
    let expected = json!({
        "StreamName": "s", "StreamARN": arn("s"), "CurrentShardCount": 2, "TargetShardCount": 3,
    });
    assert_eq!(world.ok(Operation::UpdateShardCount, by_arn).await, expected);
    assert_eq!(described(&world).await.0, "UPDATING");
}

#[tokio::test]
async fn the_number_there_is_changes_nothing_and_does_not_count() {
    let world = World::new("1000".parse().unwrap()).await;
    world.create(json!({"StreamName": "s", "ShardCount": 2})).await;
    let before = described(&world).await;
    for _ in 0..11 {
        let answer = world.ok(Operation::UpdateShardCount, body(2)).await;
        assert_eq!(
            (&answer["CurrentShardCount"], &answer["TargetShardCount"]),
            (&2.into(), &2.into())
        );
    }
    assert_eq!(described(&world).await, before);
    world.ok(Operation::UpdateShardCount, body(1)).await;
}

/// Shard ids ever seen and open ones after going from one number to another.
async fn counts_after(from: u32, to: usize) -> (usize, u64) {
    let world = World::with_stream(from).await;
    world.ok(Operation::UpdateShardCount, body(to)).await;
    world.clock.advance_ms(2 * TRANSITION_MS);
    let (status, open, shards) = described(&world).await;
    assert_eq!(status, "ACTIVE");
    (shards.len(), open)
}

#[tokio::test]
async fn as_many_shards_are_left_behind_as_with_the_service() {
    for (from, to, ever) in
        [(2, 4, 6), (4, 5, 15), (10, 13, 37), (4, 2, 6), (5, 3, 7), (10, 3, 17), (1, 5, 18)]
    {
        assert_eq!(counts_after(from, to).await, (ever, to as u64), "{from} to {to}");
    }
}

#[tokio::test]
async fn each_step_has_a_second_of_its_own_and_takes_the_records_of_it() {
    let world = World::with_stream(1).await;
    world.ok(Operation::UpdateShardCount, body(3)).await;
    // Two splits and a merge; the last one begins in the second after it is due.
    let due = (world.context.engine.now().0 + TRANSITION_MS) / 1000;
    let created = NOW.seconds();
    let first = vec![(0, vec![], created, None)];
    world.clock.set(Timestamp((due - 1) * 1000 - 1));
    assert_eq!(described(&world).await, ("UPDATING".to_owned(), 1, first));
    assert_eq!(put_at(&world, 0).await, (0, due - 2));
    world.clock.advance_ms(1);
    let second = vec![
        (0, vec![], created, Some(due - 2)),
        (1, vec![0], due - 1, None),
        (2, vec![0], due - 1, None),
    ];
    assert_eq!(described(&world).await, ("UPDATING".to_owned(), 2, second));
    assert_eq!(put_at(&world, 0).await, (1, due - 1));
    world.next_second().await;
    assert_eq!(described(&world).await.0, "UPDATING");
    assert_eq!(described(&world).await.1, 4);
    assert_eq!(put_at(&world, 0).await, (3, due));
    world.clock.set(Timestamp(NOW.0 + 2 * TRANSITION_MS));
    let (status, open, shards) = described(&world).await;
    assert_eq!((status.as_str(), open), ("ACTIVE", 3));
    assert_eq!(shards[3], (3, vec![1], due, Some(due)));
    assert_eq!(shards[7], (7, vec![3, 4], due + 1, None));
    assert_eq!(put_at(&world, 0).await, (3, due));
    world.next_second().await;
    assert_eq!(put_at(&world, 0).await, (7, due + 1));
    assert_eq!(described(&world).await.2, shards);
}

#[tokio::test]
async fn a_change_of_the_number_goes_on_after_restarts() {
    let mut world = World::with_stream(2).await;
    world.ok(Operation::UpdateShardCount, body(3)).await;
    world.restart().await;
    world.clock.advance_ms(TRANSITION_MS);
    let step = world.context.engine.now().seconds();
    world.restart().await;
    assert_eq!(described(&world).await.1, 3);
    assert_eq!(put_at(&world, 0).await, (2, step), "a shard in between");
    world.restart().await;
    world.next_second().await;
    world.restart().await;
    assert_eq!(put_at(&world, 0).await, (6, step + 1));
    assert_eq!(described(&world).await.1, 3);
}

#[tokio::test]
async fn steps_that_were_missed_are_made_up_in_their_seconds() {
    let mut world = World::with_stream(1).await;
    world.ok(Operation::UpdateShardCount, body(3)).await;
    let due = (world.context.engine.now().0 + TRANSITION_MS) / 1000;
    world.context.engine.close().await;
    world.clock.advance_ms(10 * TRANSITION_MS);
    world.restart().await;
    let now = world.context.engine.now().seconds();
    assert_eq!(put_at(&world, 0).await, (7, now));
    let (status, open, shards) = described(&world).await;
    assert_eq!((status.as_str(), open, shards.len()), ("ACTIVE", 3, 8));
    assert_eq!(shards[1], (1, vec![0], due - 1, Some(due - 1)));
    assert_eq!(shards[7], (7, vec![3, 4], due + 1, None));
}

#[tokio::test]
async fn a_stream_is_at_most_doubled_and_at_most_halved() {
    let world = World::new("1000".parse().unwrap()).await;
    world.create(json!({"StreamName": "s", "ShardCount": 5})).await;
    let above = "UpdateShardCount cannot scale up over double your current open shard count. \
                 Current open shard count: 5 Target shard count: 11";
    refused(&world, 11, Kind::LimitExceeded, above).await;
    let below = "UpdateShardCount cannot scale down below half your current open shard count. \
                 Current open shard count: 5 Target shard count: 2";
    refused(&world, 2, Kind::LimitExceeded, below).await;
    world.ok(Operation::UpdateShardCount, body(3)).await;
    let text = "Stream s under account 123456789012 not ACTIVE, instead in state UPDATING";
    refused(&world, 3, Kind::ResourceInUse, text).await;
}

#[tokio::test]
async fn closed_shards_do_not_count() {
    let world = World::new("1000".parse().unwrap()).await;
    world.create(json!({"StreamName": "s", "ShardCount": 4})).await;
    world.ok(Operation::UpdateShardCount, body(2)).await;
    world.clock.advance_ms(TRANSITION_MS);
    let answer = world.ok(Operation::UpdateShardCount, body(1)).await;
    assert_eq!(answer["CurrentShardCount"], 2);
}

#[tokio::test]
async fn ten_thousand_shards_are_the_most() {
    let world = World::new("1000".parse().unwrap()).await;
    world.create(json!({"StreamName": "s", "ShardCount": 6000})).await;
    let text = |current: usize, target: usize| {
        format!(
            "UpdateShardCount cannot scale to more than 10000 shards, nor from more to 10000. \
             Current open shard count: {current} Target shard count: {target}"
        )
    };
    refused(&world, 10_001, Kind::LimitExceeded, &text(6000, 10_001)).await;
    world.ok(Operation::DeleteStream, json!({"StreamName": "s"})).await;
    world.clock.advance_ms(TRANSITION_MS);
    world.create(json!({"StreamName": "s", "ShardCount": 10_002})).await;
    refused(&world, 10_001, Kind::LimitExceeded, &text(10_002, 10_001)).await;
    refused(&world, 10_000, Kind::LimitExceeded, &text(10_002, 10_000)).await;
    world.ok(Operation::UpdateShardCount, body(9999)).await;
}

#[tokio::test]
async fn the_number_is_changed_ten_times_a_day() {
    let mut world = World::new("1000".parse().unwrap()).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    for round in 0..10 {
        world.ok(Operation::UpdateShardCount, body(2 - round % 2)).await;
        world.clock.advance_ms(TRANSITION_MS);
    }
    world.restart().await;
    let text = "UpdateShardCount cannot be called more than 10 times in 24 hours.";
    refused(&world, 2, Kind::LimitExceeded, text).await;
    world.clock.advance_ms(14 * TRANSITION_MS - 1);
    refused(&world, 2, Kind::LimitExceeded, text).await;
    world.clock.advance_ms(1);
    world.ok(Operation::UpdateShardCount, body(2)).await;
}

#[tokio::test]
async fn shards_in_between_are_held_to_the_quota() {
    let mut world = World::new("1000".parse().unwrap()).await;
    let settings = Settings { shard_quota: Some(7), ..world.context.settings().clone() };
    world.context = Context::new(world.context.engine.clone(), settings);
    world.create(json!({"StreamName": "s", "ShardCount": 4})).await;
    let text = "This request would exceed the shard limit for the account 123456789012 in \
                us-east-1. Current shard count for the account: 4. Limit: 7. Number of additional \
                shards that would have resulted from this request: 4. Refer to the AWS Service \
                Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) \
                for current limits and how to request higher limits.";
    refused(&world, 5, Kind::LimitExceeded, text).await;
    world.ok(Operation::UpdateShardCount, body(3)).await;
}

#[tokio::test]
async fn our_own_bound_holds_without_limits() {
    let world = World::with_stream(1).await;
    let text = "This request would exceed the shard limit for the account 123456789012 in \
                us-east-1. Current shard count for the account: 1. Limit: 100000. Number of \
                additional shards that would have resulted from this request: 2147483647. Refer to \
                the AWS Service Limits page \
                (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current \
                limits and how to request higher limits.";
    refused(&world, 2_147_483_647, Kind::LimitExceeded, text).await;
}

#[tokio::test]
async fn an_on_demand_stream_is_scaled_by_the_service_only() {
    let world = World::new(Limits::OFF).await;
    world.create(json!({"StreamName": "s"})).await;
    let text = "Request is invalid. Stream s under account 123456789012 is in On-Demand mode.";
    refused(&world, 4, Kind::Validation, text).await;
    let body = json!({
        "StreamName": "no", "TargetShardCount": 1, "ScalingType": "UNIFORM_SCALING",
    });
    let text = "Stream no under account 123456789012 not found.";
    world.refused(Operation::UpdateShardCount, body, Kind::ResourceNotFound, text).await;
}

#[tokio::test]
async fn updates_are_held_to_ten_a_second() {
    let world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    for _ in 0..10 {
        world.ok(Operation::UpdateShardCount, body(1)).await;
    }
    let text = "Rate exceeded for stream s under account 123456789012.";
    refused(&world, 1, Kind::LimitExceeded, text).await;
}
