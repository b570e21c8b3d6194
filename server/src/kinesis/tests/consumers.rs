//! Registered consumers: their life, their names, their quotas, and what they mean for their stream.

use super::*;
use crate::limits;

const EXISTS: &str = "Consumer c under stream s under account 123456789012 already exists.";
const MISSING: &str = "Consumer c under stream s under account 123456789012 not found.";

async fn register(world: &World, name: &str) -> Json {
    let body = json!({"StreamARN": arn("s"), "ConsumerName": name});
    world.ok(Operation::RegisterStreamConsumer, body).await["Consumer"].clone()
}

async fn describe(world: &World, body: Json) -> Json {
    let answer = world.ok(Operation::DescribeStreamConsumer, body).await;
    answer["ConsumerDescription"].clone()
}

fn named(name: &str) -> Json {
    json!({"StreamARN": arn("s"), "ConsumerName": name})
}

fn by_arn(consumer: &Json) -> Json {
    json!({"ConsumerARN": consumer["ConsumerARN"]})
}

#[tokio::test]
async fn a_consumer_is_registered_described_and_deregistered() {
    let world = World::with_stream(1).await;
    let registered = register(&world, "c").await;
    let seconds = world.context.engine.now().seconds();
    let expected = json!({
        "ConsumerName": "c",
        "ConsumerARN": format!("{}/consumer/c:{seconds}", arn("s")),
        "ConsumerStatus": "CREATING",
        "ConsumerCreationTimestamp": seconds,
    });
    assert_eq!(registered, expected);
    let mut described = expected.clone();
    described["StreamARN"] = json!(arn("s"));
    let all = json!({
        "StreamARN": arn("s"), "ConsumerName": "c", "ConsumerARN": registered["ConsumerARN"],
    });
    for (after_ms, status) in [(0, "CREATING"), (TRANSITION_MS - 1, "CREATING"), (1, "ACTIVE")] {
        world.clock.advance_ms(after_ms);
        described["ConsumerStatus"] = json!(status);
        for body in [named("c"), by_arn(&registered), all.clone()] {
            assert_eq!(describe(&world, body).await, described);
        }
    }
    for after_ms in [0, TRANSITION_MS - 1] {
        world.clock.advance_ms(after_ms);
        let answer = world.ok(Operation::DeregisterStreamConsumer, by_arn(&registered)).await;
        assert_eq!(answer, Json::Null);
        assert_eq!(describe(&world, named("c")).await["ConsumerStatus"], "DELETING");
    }
    world.clock.advance_ms(1);
    for operation in [Operation::DescribeStreamConsumer, Operation::DeregisterStreamConsumer] {
        for body in [named("c"), by_arn(&registered)] {
            world.refused(operation, body, Kind::ResourceNotFound, MISSING).await;
        }
    }
}

#[tokio::test]
async fn a_name_is_taken_until_its_consumer_is_gone() {
    let world = World::with_stream(1).await;
    register(&world, "c").await;
    let refused = async |world: &World| {
        let operation = Operation::RegisterStreamConsumer;
        world.refused(operation, named("c"), Kind::ResourceInUse, EXISTS).await;
    };
    refused(&world).await;
    world.clock.advance_ms(TRANSITION_MS);
    refused(&world).await;
    world.ok(Operation::DeregisterStreamConsumer, named("c")).await;
    refused(&world).await;
    world.clock.advance_ms(TRANSITION_MS);
    register(&world, "c").await;
}

#[tokio::test]
async fn a_consumer_registered_again_has_another_arn_even_in_the_same_second() {
    let mut world = World::with_stream(1).await;
    let settings = Settings { transition_ms: 0, ..world.context.settings().clone() };
    world.context = Context::new(world.context.engine.clone(), settings);
    let first = register(&world, "c").await;
    world.ok(Operation::DeregisterStreamConsumer, by_arn(&first)).await;
    let second = register(&world, "c").await;
    assert_ne!(first["ConsumerARN"], second["ConsumerARN"]);
    world
        .refused(Operation::DescribeStreamConsumer, by_arn(&first), Kind::ResourceNotFound, MISSING)
        .await;
    assert_eq!(describe(&world, by_arn(&second)).await["ConsumerStatus"], "ACTIVE");
}

#[tokio::test]
async fn a_consumer_outlives_a_restart() {
    let mut world = World::with_stream(1).await;
    let registered = register(&world, "c").await;
    world.restart().await;
    assert_eq!(describe(&world, by_arn(&registered)).await["ConsumerStatus"], "CREATING");
    world.clock.advance_ms(TRANSITION_MS);
    assert_eq!(describe(&world, by_arn(&registered)).await["ConsumerStatus"], "ACTIVE");
}

#[tokio::test]
async fn what_names_no_consumer_or_two_is_refused() {
    let world = World::with_stream(1).await;
    world.create(json!({"StreamName": "t", "ShardCount": 1})).await;
    let consumer = register(&world, "c").await;
    let text = "Either ConsumerARN, or StreamARN and ConsumerName, should be provided.";
    let huge = format!("{}/consumer/c:{}", arn("s"), "9".repeat(30));
    for operation in [Operation::DescribeStreamConsumer, Operation::DeregisterStreamConsumer] {
        for body in [
            json!({}),
            json!({"StreamARN": arn("s")}),
            json!({"ConsumerName": "c"}),
            json!({"ConsumerARN": huge}),
        ] {
            world.refused(operation, body, Kind::InvalidArgument, text).await;
        }
        let arn_text = consumer["ConsumerARN"].as_str().unwrap();
        let text = format!("StreamARN and ConsumerName do not name the consumer {arn_text}.");
        for (stream, name) in [("t", "c"), ("s", "d")] {
            let body = json!({
                "StreamARN": arn(stream), "ConsumerName": name, "ConsumerARN": arn_text,
            });
            world.refused(operation, body, Kind::InvalidArgument, &text).await;
        }
        let text = "Stream nowhere under account 123456789012 not found.";
        let body = json!({"StreamARN": arn("nowhere"), "ConsumerName": "c"});
        world.refused(operation, body, Kind::ResourceNotFound, text).await;
        let body = json!({"ConsumerARN": "arn:aws:kinesis:us-east-1:1:stream/s"});
        let text = "1 validation error detected: Value 'arn:aws:kinesis:us-east-1:1:stream/s' at \
                    'consumerARN' failed to satisfy constraint: Member must satisfy regular \
                    expression pattern: ^(arn):aws.*:kinesis:.*:\\d{12}:.*stream\\/\
                    [a-zA-Z0-9_.-]+\\/consumer\\/[a-zA-Z0-9_.-]+:[0-9]+";
        world.refused(operation, body, Kind::Validation, text).await;
    }
    assert_eq!(describe(&world, named("c")).await["ConsumerStatus"], "CREATING");
}

#[tokio::test]
async fn consumers_are_listed_by_name_in_pages() {
    let world = World::with_stream(1).await;
    world.create(json!({"StreamName": "t", "ShardCount": 1})).await;
    for name in ["b", "C", "a"] {
        register(&world, name).await;
    }
    world.clock.advance_ms(TRANSITION_MS);
    world.ok(Operation::DeregisterStreamConsumer, named("b")).await;
    let all = world.ok(Operation::ListStreamConsumers, json!({"StreamARN": arn("s")})).await;
    assert_eq!(texts(&all["Consumers"], "ConsumerName"), ["C", "a", "b"]);
    assert_eq!(texts(&all["Consumers"], "ConsumerStatus"), ["ACTIVE", "ACTIVE", "DELETING"]);
    assert!(all.get("NextToken").is_none());
    let mut one = describe(&world, named("a")).await;
    one.as_object_mut().unwrap().remove("StreamARN");
    assert_eq!(all["Consumers"][1], one);
    let body = json!({"StreamARN": arn("s"), "MaxResults": 2});
    let first = world.ok(Operation::ListStreamConsumers, body).await;
    assert_eq!(texts(&first["Consumers"], "ConsumerName"), ["C", "a"]);
    let token = &first["NextToken"];
    let body = json!({"StreamARN": arn("s"), "NextToken": token});
    let last = world.ok(Operation::ListStreamConsumers, body).await;
    assert_eq!(texts(&last["Consumers"], "ConsumerName"), ["b"]);
    assert!(last.get("NextToken").is_none());
    let refused = async |body, text| {
        world.refused(Operation::ListStreamConsumers, body, Kind::InvalidArgument, text).await;
    };
    refused(json!({"StreamARN": arn("t"), "NextToken": token}), "Invalid NextToken.").await;
    refused(json!({"StreamARN": arn("s"), "NextToken": "x"}), "Invalid NextToken.").await;
    let text = "NextToken and StreamCreationTimestamp cannot be provided together.";
    let body = json!({"StreamARN": arn("s"), "NextToken": token, "StreamCreationTimestamp": 1});
    refused(body, text).await;
}

#[tokio::test]
async fn a_listing_of_consumers_is_of_the_stream_created_then() {
    let world = World::with_stream(1).await;
    let list = |created| {
        let body = json!({"StreamARN": arn("s"), "StreamCreationTimestamp": created});
        world.run(Operation::ListStreamConsumers, body)
    };
    assert_eq!(list(NOW.seconds()).await.unwrap()["Consumers"], json!([]));
    let text = "Stream s under account 123456789012 not found.";
    let refused = list(NOW.seconds() + 1).await.unwrap_err();
    assert_eq!(refused, Exception::new(Kind::ResourceNotFound, text));
}

#[tokio::test]
async fn a_stream_has_twenty_consumers_of_which_five_are_in_the_making() {
    let world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    let operation = Operation::RegisterStreamConsumer;
    for lot in 0..4 {
        for n in 0..5 {
            world.clock.advance_ms(1000);
            register(&world, &format!("c{lot}{n}")).await;
        }
        world.clock.advance_ms(1000);
        if lot < 3 {
            let text = "Stream s under account 123456789012 cannot have more than 5 consumers in \
                        state CREATING.";
            world.refused(operation, named("more"), Kind::LimitExceeded, text).await;
        }
        world.clock.advance_ms(TRANSITION_MS);
    }
    let text = "Stream s under account 123456789012 cannot have more than 20 consumers.";
    world.refused(operation, named("more"), Kind::LimitExceeded, text).await;
    world.ok(Operation::DeregisterStreamConsumer, named("c00")).await;
    world.refused(operation, named("more"), Kind::LimitExceeded, text).await;
    world.clock.advance_ms(TRANSITION_MS);
    register(&world, "more").await;
}

#[tokio::test]
async fn quotas_of_consumers_are_lifted_with_the_limits() {
    let world = World::with_stream(1).await;
    for n in 0..limits::CONSUMERS_MAX {
        register(&world, &n.to_string()).await;
    }
    let text = "Stream s under account 123456789012 cannot have more than 500 consumers.";
    let operation = Operation::RegisterStreamConsumer;
    world.refused(operation, named("more"), Kind::LimitExceeded, text).await;
}

#[tokio::test]
async fn calls_about_consumers_have_their_rates() {
    let world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    register(&world, "c").await;
    world.clock.advance_ms(1000);
    let listing = json!({"StreamARN": arn("s")});
    for (operation, per_second, body) in [
        (Operation::RegisterStreamConsumer, 5, named("c")),
        (Operation::DeregisterStreamConsumer, 5, named("c")),
        (Operation::DescribeStreamConsumer, 20, named("c")),
        (Operation::ListStreamConsumers, 5, listing),
    ] {
        for _ in 0..per_second {
            let answer = world.run(operation, body.clone()).await;
            let kind = answer.err().map(|exception| exception.kind);
            assert!(matches!(kind, None | Some(Kind::ResourceInUse)), "{operation:?}: {kind:?}");
        }
        let text = "Rate exceeded for stream s under account 123456789012.";
        world.refused(operation, body, Kind::LimitExceeded, text).await;
    }
}

#[tokio::test]
async fn a_stream_that_is_not_there_takes_no_consumers() {
    let world = World::with_stream(1).await;
    let operation = Operation::RegisterStreamConsumer;
    let text = "Stream t under account 123456789012 not found.";
    let body = json!({"StreamARN": arn("t"), "ConsumerName": "c"});
    world.refused(operation, body.clone(), Kind::ResourceNotFound, text).await;
    world.ok(Operation::CreateStream, json!({"StreamName": "t", "ShardCount": 1})).await;
    let text = "Stream t under account 123456789012 not ACTIVE, instead in state CREATING";
    world.refused(operation, body, Kind::ResourceInUse, text).await;
    world.ok(Operation::DeleteStream, json!({"StreamName": "s"})).await;
    let text = "Stream s under account 123456789012 not ACTIVE, instead in state DELETING";
    world.refused(operation, named("c"), Kind::ResourceInUse, text).await;
}

#[tokio::test]
async fn tags_of_a_consumer_keep_the_rules() {
    let world = World::with_stream(1).await;
    let operation = Operation::RegisterStreamConsumer;
    let mut body = named("c");
    body["Tags"] = json!({"team": "a*b"});
    let text = "Some tags contain invalid characters. Valid characters: Unicode letters, digits, \
                white space, _ . / = + - % @.";
    world.refused(operation, body.clone(), Kind::InvalidArgument, text).await;
    body["Tags"] = json!({"team": "a"});
    world.ok(operation, body).await;
    let attributes = crate::kinesis::attributes::Attributes::of(&world.stream()).unwrap();
    assert_eq!(attributes.consumers["c"].tags["team"], "a");
}

#[tokio::test]
async fn a_stream_with_consumers_is_deleted_only_with_them() {
    let world = World::with_stream(1).await;
    let consumer = register(&world, "c").await;
    let summary = async || {
        let answer = world.ok(Operation::DescribeStreamSummary, json!({"StreamName": "s"})).await;
        answer["StreamDescriptionSummary"]["ConsumerCount"].clone()
    };
    assert_eq!(summary().await, 1);
    let text = "Stream s under account 123456789012 has registered consumers. Deregister them, or \
                set EnforceConsumerDeletion.";
    for body in
        [json!({"StreamName": "s"}), json!({"StreamName": "s", "EnforceConsumerDeletion": false})]
    {
        world.refused(Operation::DeleteStream, body, Kind::ResourceInUse, text).await;
    }
    let body = json!({"StreamName": "s", "EnforceConsumerDeletion": true});
    world.ok(Operation::DeleteStream, body).await;
    assert_eq!(describe(&world, by_arn(&consumer)).await["ConsumerStatus"], "DELETING");
    world.clock.advance_ms(TRANSITION_MS);
    let text = "Stream s under account 123456789012 not found.";
    let operation = Operation::DescribeStreamConsumer;
    world.refused(operation, by_arn(&consumer), Kind::ResourceNotFound, text).await;
}

#[tokio::test]
async fn a_stream_whose_consumers_are_gone_is_deleted_as_any_other() {
    let world = World::with_stream(1).await;
    register(&world, "c").await;
    world.ok(Operation::DeregisterStreamConsumer, named("c")).await;
    let body = json!({"StreamName": "s"});
    let refused = world.run(Operation::DeleteStream, body.clone()).await.unwrap_err();
    assert_eq!(refused.kind, Kind::ResourceInUse);
    world.clock.advance_ms(TRANSITION_MS);
    world.ok(Operation::DeleteStream, body).await;
}

#[tokio::test]
async fn a_consumer_that_is_gone_does_not_come_back_with_the_end_of_its_stream() {
    let world = World::with_stream(1).await;
    let consumer = || json!({"StreamARN": arn("s"), "ConsumerName": "c"});
    world.ok(Operation::RegisterStreamConsumer, consumer()).await;
    world.ok(Operation::DeregisterStreamConsumer, consumer()).await;
    world.clock.advance_ms(TRANSITION_MS);
    world.ok(Operation::DeleteStream, json!({"StreamName": "s"})).await;
    let listed = world.ok(Operation::ListStreamConsumers, json!({"StreamARN": arn("s")})).await;
    assert_eq!(listed, json!({"Consumers": []}));
}
