//! Rows about consumers and their subscriptions.

use super::*;

/// Registers consumer `c` of stream `s`; its ARN.
fn register(service: &Service) -> String {
    let body = json!({"StreamARN": arn("s"), "ConsumerName": "c"});
    let answer = service.ok("RegisterStreamConsumer", &body);
    answer["Consumer"]["ConsumerARN"].as_str().unwrap().to_owned()
}

fn subscription(consumer: &str) -> Json {
    json!({
        "ConsumerARN": consumer, "ShardId": shard_id(0), "StartingPosition": {"Type": "LATEST"},
    })
}

#[test]
fn e37_consumer_not_active() {
    let service = Service::with_stream(1);
    let consumer = register(&service);
    let created = service.now() / 1000;
    let to_subscribe = format!(
        "Consumer c with creation timestamp {created} under stream: s , account 123456789012 is \
         not in ACTIVE status."
    );
    let for_policies = format!(
        "Consumer c with creation timestamp {created} under stream s and account 123456789012 is \
         not in ACTIVE status."
    );
    let statement = json!({
        "Effect": "Allow", "Principal": "*", "Action": "kinesis:SubscribeToShard",
        "Resource": consumer,
    });
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let put_policy = json!({"ResourceARN": consumer, "Policy": policy});
    service.refused("SubscribeToShard", &subscription(&consumer), IN_USE, &to_subscribe);
    service.refused("PutResourcePolicy", &put_policy, IN_USE, &for_policies);
    service.advance_ms(TRANSITION_MS);
    service.ok("PutResourcePolicy", &put_policy);
    service.ok("DeregisterStreamConsumer", &json!({"ConsumerARN": consumer}));
    service.refused("SubscribeToShard", &subscription(&consumer), IN_USE, &to_subscribe);
    service.refused("PutResourcePolicy", &put_policy, IN_USE, &for_policies);
}

#[test]
fn e38_second_subscription_within_five_seconds() {
    let service = Service::with_stream(1);
    let consumer = register(&service);
    service.advance_ms(TRANSITION_MS);
    let text = "Another active subscription exists for this consumer: \
                123456789012:s:shardId-000000000000:c";
    let body = subscription(&consumer);
    let first = service.subscribe(&body);
    service.refused("SubscribeToShard", &body, IN_USE, text);
    drop(first);
    service.advance_ms(4999);
    service.refused("SubscribeToShard", &body, IN_USE, text);
    service.advance_ms(1);
    drop(service.subscribe(&body));
}

#[test]
fn e40_stream_with_consumers() {
    let service = Service::with_stream(1);
    register(&service);
    let text = "Stream s under account 123456789012 has registered consumers. Deregister them, or \
                set EnforceConsumerDeletion.";
    let body = |enforce| json!({"StreamName": "s", "EnforceConsumerDeletion": enforce});
    service.refused("DeleteStream", &json!({"StreamName": "s"}), IN_USE, text);
    service.refused("DeleteStream", &body(false), IN_USE, text);
    service.ok("DeleteStream", &body(true));
}

#[test]
fn e41_consumer_taken_missing_or_one_too_many() {
    let service = Service::new(Limits::AWS);
    service.create(&json!({"StreamName": "s", "ShardCount": 1}));
    let consumer = register(&service);
    let body = |name: &str| json!({"StreamARN": arn("s"), "ConsumerName": name});
    let text = "Consumer c under stream s under account 123456789012 already exists.";
    service.refused("RegisterStreamConsumer", &body("c"), IN_USE, text);
    let text = "Consumer d under stream s under account 123456789012 not found.";
    service.refused("DescribeStreamConsumer", &body("d"), NOT_FOUND, text);
    service.refused("DeregisterStreamConsumer", &body("d"), NOT_FOUND, text);
    let other = json!({"ConsumerARN": format!("{consumer}0")});
    let text = "Consumer c under stream s under account 123456789012 not found.";
    service.refused("DescribeStreamConsumer", &other, NOT_FOUND, text);
    for n in 1..20 {
        service.advance_ms(TRANSITION_MS);
        service.ok("RegisterStreamConsumer", &body(&n.to_string()));
    }
    service.advance_ms(TRANSITION_MS);
    let text = "Stream s under account 123456789012 cannot have more than 20 consumers.";
    service.refused("RegisterStreamConsumer", &body("d"), LIMIT, text);
}
