//! Retention periods and what they leave readable.

use super::*;

const HOUR_MS: u64 = 3_600_000;
const UP: Operation = Operation::IncreaseStreamRetentionPeriod;
const DOWN: Operation = Operation::DecreaseStreamRetentionPeriod;

fn body(hours: i64) -> Json {
    json!({"StreamName": "s", "RetentionPeriodHours": hours})
}

async fn refused(world: &World, operation: Operation, hours: i64, text: &str) {
    world.refused(operation, body(hours), Kind::InvalidArgument, text).await;
}

async fn described(world: &World) -> (String, Json) {
    let mut answer = world.ok(Operation::DescribeStream, json!({"StreamName": "s"})).await;
    let mut description = answer["StreamDescription"].take();
    let status = description["StreamStatus"].as_str().unwrap().to_owned();
    (status, description["RetentionPeriodHours"].take())
}

async fn readable(world: &World) -> Vec<String> {
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    texts(&world.read(&iterator).await["Records"], "PartitionKey")
}

/// Sets the retention and lets the update end.
async fn set(world: &World, operation: Operation, hours: i64) {
    assert_eq!(world.ok(operation, body(hours)).await, Json::Null);
    world.clock.advance_ms(TRANSITION_MS);
}

#[tokio::test]
async fn retention_changes_through_updating() {
    let mut world = World::with_stream(1).await;
    assert_eq!(described(&world).await, ("ACTIVE".to_owned(), json!(24)));
    assert_eq!(world.ok(UP, body(8760)).await, Json::Null);
    assert_eq!(described(&world).await, ("UPDATING".to_owned(), json!(8760)));
    let text = "Stream s under account 123456789012 not ACTIVE, instead in state UPDATING";
    world.refused(DOWN, body(24), Kind::ResourceInUse, text).await;
    world.clock.advance_ms(TRANSITION_MS);
    world.restart().await;
    assert_eq!(described(&world).await, ("ACTIVE".to_owned(), json!(8760)));
    set(&world, DOWN, 25).await;
    assert_eq!(described(&world).await, ("ACTIVE".to_owned(), json!(25)));
}

#[tokio::test]
async fn the_same_retention_succeeds_both_ways_and_changes_nothing() {
    let world = World::with_stream(1).await;
    for operation in [UP, DOWN] {
        assert_eq!(world.ok(operation, body(24)).await, Json::Null);
        assert_eq!(described(&world).await, ("ACTIVE".to_owned(), json!(24)));
    }
}

#[tokio::test]
async fn retention_has_bounds() {
    let world = World::with_stream(1).await;
    for operation in [UP, DOWN] {
        for hours in [23, 0, -1] {
            let text = format!(
                "Minimum allowed retention period is 24 hours. \
                 Requested retention period ({hours} hours) is too short."
            );
            refused(&world, operation, hours, &text).await;
        }
        for hours in [8761, 2_147_483_647] {
            let text = format!(
                "Maximum allowed retention period is 8760 hours. \
                 Requested retention period ({hours} hours) is too long."
            );
            refused(&world, operation, hours, &text).await;
        }
    }
}

#[tokio::test]
async fn each_operation_has_its_direction() {
    let world = World::with_stream(1).await;
    let text = "Requested retention period (25 hours) for stream s can not be longer than existing \
                retention period (24 hours). Use IncreaseRetentionPeriod API.";
    refused(&world, DOWN, 25, text).await;
    set(&world, UP, 48).await;
    let text = "Requested retention period (47 hours) for stream s can not be shorter than \
                existing retention period (48 hours). Use DecreaseRetentionPeriod API.";
    refused(&world, UP, 47, text).await;
}

#[tokio::test]
async fn hours_are_required() {
    let world = World::with_stream(1).await;
    let text = "1 validation error detected: Value null at 'retentionPeriodHours' failed to \
                satisfy constraint: Member must not be null";
    for operation in [UP, DOWN] {
        world.refused(operation, json!({"StreamName": "s"}), Kind::Validation, text).await;
    }
}

#[tokio::test]
async fn a_stream_comes_before_its_state_and_the_state_before_the_hours() {
    let world = World::new(Limits::OFF).await;
    for operation in [UP, DOWN] {
        let text = "Stream s under account 123456789012 not found.";
        world.refused(operation, body(1), Kind::ResourceNotFound, text).await;
    }
    world.ok(Operation::CreateStream, json!({"StreamName": "s", "ShardCount": 1})).await;
    for operation in [UP, DOWN] {
        let text = "Stream s under account 123456789012 not ACTIVE, instead in state CREATING";
        world.refused(operation, body(1), Kind::ResourceInUse, text).await;
    }
}

#[tokio::test]
async fn a_shorter_retention_takes_older_records_at_once_and_a_longer_one_never_brings_them_back() {
    let world = World::with_stream(1).await;
    set(&world, UP, 72).await;
    world.put("old", "").await;
    world.clock.advance_ms(30 * HOUR_MS);
    world.put("young", "").await;
    assert_eq!(readable(&world).await, ["old", "young"]);
    world.ok(DOWN, body(24)).await;
    assert_eq!(readable(&world).await, ["young"], "while the stream is still UPDATING");
    world.clock.advance_ms(TRANSITION_MS);
    world.ok(UP, body(72)).await;
    assert_eq!(readable(&world).await, ["young"]);
    world.clock.advance_ms(40 * HOUR_MS);
    assert_eq!(readable(&world).await, ["young"], "kept by the longer retention");
}

#[tokio::test]
async fn an_iterator_before_the_horizon_goes_on_at_the_horizon() {
    let world = World::with_stream(1).await;
    set(&world, UP, 48).await;
    world.put("old", "").await;
    world.clock.advance_ms(30 * HOUR_MS);
    world.put("young", "").await;
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    world.ok(DOWN, body(24)).await;
    let read = world.read(&iterator).await;
    assert_eq!(texts(&read["Records"], "PartitionKey"), ["young"]);
}

#[tokio::test]
async fn a_shorter_retention_lets_closed_shards_expire() {
    let world = World::with_stream(1).await;
    set(&world, UP, 48).await;
    world.split().await;
    world.clock.advance_ms(30 * HOUR_MS);
    let shards = async || {
        let answer = world.ok(Operation::ListShards, json!({"StreamName": "s"})).await;
        answer["Shards"].as_array().unwrap().len()
    };
    assert_eq!(shards().await, 3);
    set(&world, DOWN, 24).await;
    assert_eq!(shards().await, 2);
}
