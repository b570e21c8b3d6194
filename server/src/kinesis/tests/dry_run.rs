//! `DryRun`: all checks, and nothing done.

use super::*;

const TEXT: &str = "The request would have succeeded, but the DryRun parameter was set.";

/// The operations on stream `s` with one shard, each with a sound input.
async fn calls(world: &World) -> [(Operation, Json); 4] {
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    let record = json!({"Data": "eA==", "PartitionKey": "k"});
    [
        (Operation::PutRecord, json!({"StreamName": "s", "Data": "eA==", "PartitionKey": "k"})),
        (Operation::PutRecords, json!({"StreamName": "s", "Records": [record]})),
        (
            Operation::GetShardIterator,
            json!({"StreamName": "s", "ShardId": "0", "ShardIteratorType": "LATEST"}),
        ),
        (Operation::GetRecords, json!({"ShardIterator": iterator})),
    ]
}

fn dry(body: &Json) -> Json {
    let mut body = body.clone();
    body["DryRun"] = json!(true);
    body
}

#[tokio::test]
async fn a_sound_call_is_refused_instead_of_done() {
    let world = World::with_stream(1).await;
    for (operation, body) in calls(&world).await {
        world.refused(operation, dry(&body), Kind::DryRunOperation, TEXT).await;
    }
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    assert_eq!(world.read(&iterator).await["Records"], json!([]));
    for (operation, mut body) in calls(&world).await {
        body["DryRun"] = json!(false);
        world.ok(operation, body).await;
    }
}

#[tokio::test]
async fn a_dry_call_takes_nothing_from_the_rates() {
    let world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    let calls = calls(&world).await;
    for (operation, body) in &calls {
        for _ in 0..2000 {
            let refused = world.run(*operation, dry(body)).await.unwrap_err();
            assert_eq!(refused.kind, Kind::DryRunOperation, "{operation:?}");
        }
        world.ok(*operation, body.clone()).await;
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_as_ever() {
    let world = World::with_stream(1).await;
    let missing = "Stream t under account 123456789012 not found.";
    let number = "340282366920938463463374607431768211456";
    let hash_key = format!(
        "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. \
         Specified value was {number}"
    );
    let ordering = "ExclusiveMinimumSequenceNumber 1 used in PutRecord on stream s under account \
                    123456789012 is invalid.";
    let no_key = "1 validation error detected: Value null at 'partitionKey' failed to satisfy \
                  constraint: Member must not be null";
    let no_shard =
        "Shard shardId-000000000007 in stream s under account 123456789012 does not exist";
    let with_number = "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and \
                       StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no \
                       StartingSequenceNumber. Request specified LATEST and also a \
                       StartingSequenceNumber.";
    let [put, put_all, iterator, get] = calls(&world).await;
    for ((operation, body), member, value, kind, text) in [
        (&put, "StreamName", json!("t"), Kind::ResourceNotFound, missing),
        (&put, "ExplicitHashKey", json!(number), Kind::InvalidArgument, &hash_key),
        (&put, "SequenceNumberForOrdering", json!("1"), Kind::InvalidArgument, ordering),
        (&put, "PartitionKey", json!(null), Kind::Validation, no_key),
        (&put_all, "StreamName", json!("t"), Kind::ResourceNotFound, missing),
        (&iterator, "ShardId", json!("7"), Kind::ResourceNotFound, no_shard),
        (&iterator, "StartingSequenceNumber", json!("1"), Kind::InvalidArgument, with_number),
        (&get, "ShardIterator", json!("AAAA"), Kind::InvalidArgument, "Invalid ShardIterator."),
    ] {
        let mut body = dry(body);
        body[member] = value;
        world.refused(*operation, body, kind, text).await;
    }
    world.clock.advance_ms(300_001);
    let refused = world.run(get.0, dry(&get.1)).await.unwrap_err();
    assert_eq!(refused.kind, Kind::ExpiredIterator);
}
