//! Encryption switched on and off, and what records show of it.

use super::*;

const START: Operation = Operation::StartStreamEncryption;
const STOP: Operation = Operation::StopStreamEncryption;
const KEY: &str = "alias/aws/kinesis";

fn body(key: &str) -> Json {
    json!({"StreamName": "s", "EncryptionType": "KMS", "KeyId": key})
}

/// Changes the encryption and lets the update end.
async fn change(world: &World, operation: Operation, key: &str) {
    assert_eq!(world.ok(operation, body(key)).await, Json::Null);
    world.clock.advance_ms(TRANSITION_MS);
}

/// Status, type and key, which both descriptions must show alike.
async fn described(world: &World) -> (String, String, Option<String>) {
    let mut shown = Vec::new();
    for (operation, member) in [
        (Operation::DescribeStream, "StreamDescription"),
        (Operation::DescribeStreamSummary, "StreamDescriptionSummary"),
    ] {
        let answer = world.ok(operation, json!({"StreamName": "s"})).await;
        let description = &answer[member];
        let text = |name: &str| description[name].as_str().map(ToOwned::to_owned);
        let shown_here =
            (text("StreamStatus").unwrap(), text("EncryptionType").unwrap(), text("KeyId"));
        shown.push(shown_here);
    }
    assert_eq!(shown[0], shown[1]);
    shown.swap_remove(0)
}

fn state(status: &str, kind: &str, key: Option<&str>) -> (String, String, Option<String>) {
    (status.to_owned(), kind.to_owned(), key.map(ToOwned::to_owned))
}

#[tokio::test]
async fn a_stream_is_encrypted_from_when_it_is_active_again() {
    let mut world = World::with_stream(1).await;
    assert_eq!(described(&world).await, state("ACTIVE", "NONE", None));
    world.ok(START, body(KEY)).await;
    assert_eq!(described(&world).await, state("UPDATING", "NONE", None));
    assert!(world.put("k", "").await.get("EncryptionType").is_none());
    world.restart().await;
    world.clock.advance_ms(TRANSITION_MS);
    assert_eq!(described(&world).await, state("ACTIVE", "KMS", Some(KEY)));
    assert_eq!(world.put("k", "").await["EncryptionType"], "KMS");
    world.ok(STOP, body(KEY)).await;
    assert_eq!(described(&world).await, state("UPDATING", "KMS", Some(KEY)));
    assert_eq!(world.put("k", "").await["EncryptionType"], "KMS");
    world.clock.advance_ms(TRANSITION_MS);
    assert_eq!(described(&world).await, state("ACTIVE", "NONE", None));
    assert!(world.put("k", "").await.get("EncryptionType").is_none());
}

#[tokio::test]
async fn a_key_is_told_as_it_was_given_and_can_be_changed() {
    let world = World::with_stream(1).await;
    for key in [
        KEY,
        "12345678-1234-1234-1234-1234567890AB",
        "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-1234567890ab",
        "arn:aws:kms:us-east-1:123456789012:alias/MyAliasName",
        "alias/MyAliasName",
    ] {
        change(&world, START, key).await;
        assert_eq!(described(&world).await, state("ACTIVE", "KMS", Some(key)));
    }
}

#[tokio::test]
async fn each_record_keeps_what_it_was_written_under() {
    let mut world = World::with_stream(1).await;
    let put_two = async |world: &World, key: &str| {
        world.put(key, "one").await;
        let record = json!({"Data": base64(b"two"), "PartitionKey": key});
        let body = json!({"StreamName": "s", "Records": [record]});
        world.ok(Operation::PutRecords, body).await
    };
    let plain = put_two(&world, "before").await;
    change(&world, START, KEY).await;
    let encrypted = put_two(&world, "while").await;
    change(&world, STOP, KEY).await;
    put_two(&world, "after").await;
    assert!(plain.get("EncryptionType").is_none());
    assert_eq!(encrypted["EncryptionType"], "KMS");
    assert!(encrypted["Records"][0].get("EncryptionType").is_none());
    world.restart().await;
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    let read = world.read(&iterator).await;
    let shown: Vec<_> = read["Records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| (record["PartitionKey"].as_str().unwrap(), record.get("EncryptionType")))
        .collect();
    let kms = json!("KMS");
    assert_eq!(
        shown,
        [
            ("before", None),
            ("before", None),
            ("while", Some(&kms)),
            ("while", Some(&kms)),
            ("after", None),
            ("after", None),
        ]
    );
    assert_eq!(texts(&read["Records"], "Data")[2..4], [base64(b"one"), base64(b"two")]);
}

#[tokio::test]
async fn the_type_must_be_kms_and_the_key_one_that_can_be() {
    let world = World::with_stream(1).await;
    for operation in [START, STOP] {
        let none = json!({"StreamName": "s", "EncryptionType": "NONE", "KeyId": KEY});
        let text = "EncryptionType must be KMS.";
        world.refused(operation, none, Kind::InvalidArgument, text).await;
        let text = "Invalid keyId n/a";
        world.refused(operation, body("n/a"), Kind::KmsNotFound, text).await;
        let other = json!({"StreamName": "s", "EncryptionType": "AES"});
        let text = "2 validation errors detected: Value 'AES' at 'encryptionType' failed to \
                    satisfy constraint: Member must satisfy enum value set: [NONE, KMS]; Value \
                    null at 'keyId' failed to satisfy constraint: Member must not be null";
        world.refused(operation, other, Kind::Validation, text).await;
    }
    assert_eq!(described(&world).await, state("ACTIVE", "NONE", None));
}

#[tokio::test]
async fn encryption_changes_an_active_stream() {
    let world = World::new(Limits::OFF).await;
    for operation in [START, STOP] {
        let text = "Stream s under account 123456789012 not found.";
        world.refused(operation, body("n/a"), Kind::ResourceNotFound, text).await;
    }
    world.ok(Operation::CreateStream, json!({"StreamName": "s", "ShardCount": 1})).await;
    let text = "Stream s under account 123456789012 not ACTIVE, instead in state CREATING";
    for operation in [START, STOP] {
        world.refused(operation, body("n/a"), Kind::ResourceInUse, text).await;
    }
    world.clock.advance_ms(TRANSITION_MS);
    world.ok(START, body(KEY)).await;
    let text = "Stream s under account 123456789012 not ACTIVE, instead in state UPDATING";
    for operation in [START, STOP] {
        world.refused(operation, body(KEY), Kind::ResourceInUse, text).await;
    }
}

#[tokio::test]
async fn each_way_succeeds_25_times_a_day() {
    let mut world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    let settings = Settings { transition_ms: 1000, ..world.context.settings().clone() };
    world.context = Context::new(world.context.engine.clone(), settings);
    let first = world.context.engine.now();
    for _ in 0..25 {
        for operation in [START, STOP] {
            world.ok(operation, body(KEY)).await;
            world.clock.advance_ms(1000);
        }
    }
    world.restart().await;
    for operation in [START, STOP] {
        let text = format!(
            "{} for stream s under account 123456789012 cannot succeed more than 25 times in 24 \
             hours.",
            operation.name()
        );
        world.refused(operation, body(KEY), Kind::LimitExceeded, &text).await;
    }
    let day_ms = 24 * 3_600_000;
    world.clock.advance_ms(first.0 + day_ms - world.context.engine.now().0 - 1);
    assert_eq!(world.run(START, body(KEY)).await.unwrap_err().kind, Kind::LimitExceeded);
    world.clock.advance_ms(1);
    world.ok(START, body(KEY)).await;
}
