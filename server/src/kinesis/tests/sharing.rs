//! Resource policies of streams and consumers.

use super::*;

const PUT: Operation = Operation::PutResourcePolicy;
const GET: Operation = Operation::GetResourcePolicy;
const DELETE: Operation = Operation::DeleteResourcePolicy;
const STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/s";
const CONSUMER: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1764791334";
/// As no program would write it.
const POLICY: &str = "{ \"Version\":\t\"2012-10-17\",\n\"Statement\": {\"Effect\":\"Allow\", \
    \"Principal\": {\"AWS\": \"111122223333\"}, \"Action\": \"kinesis:Get\\u002a\", \"Resource\": \
    \"arn:aws:kinesis:us-east-1:123456789012:stream/s\"} }\n";

/// A policy with these actions for this resource.
fn policy(actions: &[&str], resource: &str) -> String {
    let statement = json!({
        "Effect": "Allow",
        "Principal": "*",
        "Action": actions,
        "Resource": resource,
    });
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

fn of(arn: &str) -> Json {
    json!({"ResourceARN": arn})
}

fn put(arn: &str, policy: &str) -> Json {
    json!({"ResourceARN": arn, "Policy": policy})
}

/// With the stream `s` and its consumer `c`, which is still CREATING.
async fn with_consumer() -> World {
    let world = World::with_stream(1).await;
    let body = json!({"StreamARN": STREAM, "ConsumerName": "c"});
    let answer = world.ok(Operation::RegisterStreamConsumer, body).await;
    assert_eq!(answer["Consumer"]["ConsumerARN"], CONSUMER);
    world
}

async fn current(world: &World, arn: &str) -> String {
    world.ok(GET, of(arn)).await["Policy"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_policy_is_kept_as_it_was_written() {
    let mut world = with_consumer().await;
    world.clock.advance_ms(TRANSITION_MS);
    let for_consumer = policy(&["kinesis:SubscribeToShard"], CONSUMER);
    for (arn, policy) in [(STREAM, POLICY), (CONSUMER, &for_consumer)] {
        assert_eq!(current(&world, arn).await, "{}");
        assert_eq!(world.ok(PUT, put(arn, policy)).await, Json::Null);
    }
    world.restart().await;
    assert_eq!(current(&world, STREAM).await, POLICY);
    assert_eq!(current(&world, CONSUMER).await, for_consumer);
    let other = policy(&["kinesis:*"], STREAM);
    world.ok(PUT, put(STREAM, &other)).await;
    assert_eq!(current(&world, STREAM).await, other);
}

#[tokio::test]
async fn a_policy_can_be_deleted_once() {
    let mut world = with_consumer().await;
    world.clock.advance_ms(TRANSITION_MS);
    for (arn, actions) in [(STREAM, ["kinesis:PutRecord"]), (CONSUMER, ["kinesis:Describe*"])] {
        world.ok(PUT, put(arn, &policy(&actions, arn))).await;
        assert_eq!(world.ok(DELETE, of(arn)).await, Json::Null);
        assert_eq!(current(&world, arn).await, "{}");
        let text = format!("No resource policy found for resource ARN {arn}");
        world.refused(DELETE, of(arn), Kind::ResourceNotFound, &text).await;
    }
    world.restart().await;
    assert_eq!(current(&world, STREAM).await, "{}");
}

#[tokio::test]
async fn policies_of_nothing_are_not_found() {
    let world = World::new(Limits::OFF).await;
    let calls = |arn: &str| [(PUT, put(arn, "no policy")), (GET, of(arn)), (DELETE, of(arn))];
    let kind = Kind::ResourceNotFound;
    let queue = "arn:aws:kinesis:us-east-1:123456789012:queue/q";
    let elsewhere = STREAM.replace("us-east-1", "eu-west-1");
    let foreign = STREAM.replace("123456789012", "999999999999");
    for (arn, text) in [
        (STREAM, "Stream s under account 123456789012 not found."),
        (CONSUMER, "Stream s under account 123456789012 not found."),
        (&elsewhere, "Stream s under account 123456789012 not found."),
        (&foreign, "Stream s under account 999999999999 not found."),
        (queue, "Resource arn:aws:kinesis:us-east-1:123456789012:queue/q not found."),
    ] {
        for (operation, body) in calls(arn) {
            world.refused(operation, body, kind, text).await;
        }
    }
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    for (operation, body) in calls(CONSUMER) {
        let text = "Consumer c under stream s under account 123456789012 not found.";
        world.refused(operation, body, kind, text).await;
    }
}

#[tokio::test]
async fn the_state_comes_before_the_policy() {
    let world = World::new(Limits::OFF).await;
    world.ok(Operation::CreateStream, json!({"StreamName": "s", "ShardCount": 1})).await;
    let text = "Stream s under account 123456789012 not ACTIVE, instead in state CREATING";
    for (operation, body) in [(PUT, put(STREAM, "no policy")), (DELETE, of(STREAM))] {
        world.refused(operation, body, Kind::ResourceInUse, text).await;
    }
    assert_eq!(current(&world, STREAM).await, "{}");
    let world = with_consumer().await;
    let text = "Consumer c with creation timestamp 1764791334 under stream s and account \
                123456789012 is not in ACTIVE status.";
    for (operation, body) in [(PUT, put(CONSUMER, "no policy")), (DELETE, of(CONSUMER))] {
        world.refused(operation, body, Kind::ResourceInUse, text).await;
    }
    let body = json!({"StreamName": "s", "RetentionPeriodHours": 48});
    world.ok(Operation::IncreaseStreamRetentionPeriod, body).await;
    world.ok(PUT, put(STREAM, POLICY)).await;
}

#[tokio::test]
async fn a_policy_must_be_one() {
    let world = World::with_stream(1).await;
    for (text, reason) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{}", "missing field `Statement` at line 1 column 2"),
        (
            "{\"Version\": \"2013\", ",
            "unknown variant `2013`, expected `2008-10-17` or `2012-10-17` at line 1 column 18",
        ),
        (
            "{\"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"kinesis:PutRecord\", \"Resource\": \"x\"}]}",
            "missing field `Principal` at line 1 column 82",
        ),
    ] {
        let text_of = format!("Invalid policy: {reason}.");
        world.refused(PUT, put(STREAM, text), Kind::InvalidArgument, &text_of).await;
    }
    let long = format!("{POLICY}{}", " ".repeat(20_480));
    let text = "Invalid policy: it is longer than 20480 bytes.";
    world.refused(PUT, put(STREAM, &long), Kind::InvalidArgument, text).await;
    world.ok(PUT, put(STREAM, &long[..20_480])).await;
}

#[tokio::test]
async fn only_some_actions_can_be_shared() {
    let world = with_consumer().await;
    world.clock.advance_ms(TRANSITION_MS);
    for (arn, kind, shared, others) in [
        (
            STREAM,
            "stream",
            &[
                "kinesis:DescribeStream",
                "kinesis:DescribeStreamSummary",
                "kinesis:ListShards",
                "kinesis:GetShardIterator",
                "kinesis:GetRecords",
                "kinesis:PutRecord",
                "kinesis:PutRecords",
                "kinesis:RegisterStreamConsumer",
                "kinesis:DescribeStreamConsumer",
                "kinesis:Put*",
                "Kinesis:listshards",
                "*",
            ][..],
            &["kinesis:DeleteStream", "kinesis:SubscribeToShard", "kinesis:Update*", "s3:*", ""][..],
        ),
        (
            CONSUMER,
            "consumer",
            &["kinesis:SubscribeToShard", "kinesis:DescribeStreamConsumer", "kinesis:*"],
            &["kinesis:GetRecords", "kinesis:PutRecord", "SubscribeToShard"],
        ),
    ] {
        world.ok(PUT, put(arn, &policy(shared, arn))).await;
        for other in others {
            let text = format!("Invalid policy: the action {other} cannot be shared for a {kind}.");
            let body = put(arn, &policy(&[shared[0], other], arn));
            world.refused(PUT, body, Kind::InvalidArgument, &text).await;
        }
    }
}

#[tokio::test]
async fn a_policy_is_about_its_own_resource() {
    let world = World::with_stream(1).await;
    for other in ["*", CONSUMER, "arn:aws:kinesis:us-east-1:123456789012:stream/*"] {
        let text = format!(
            "Invalid policy: the resource {other} is not {STREAM}, to which the policy belongs."
        );
        let body = put(STREAM, &policy(&["kinesis:PutRecord"], other));
        world.refused(PUT, body, Kind::InvalidArgument, &text).await;
    }
}
