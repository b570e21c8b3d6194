//! PutRecord and PutRecords.

use kinelog_engine::types::{ParsedSequenceNumber, SequenceNumber};

use super::*;

fn number(answer: &Json) -> SequenceNumber {
    let text = answer["SequenceNumber"].as_str().unwrap();
    let Ok(ParsedSequenceNumber::V2(number)) = SequenceNumber::parse(text) else {
        panic!("{text}")
    };
    number
}

/// A body of `count` empty records with one key.
fn records(count: usize) -> Json {
    let record = json!({"Data": "", "PartitionKey": "k"});
    json!({"StreamName": "s", "Records": vec![record; count]})
}

#[tokio::test]
async fn a_record_goes_to_the_shard_of_its_hash_key() {
    let world = World::with_stream(3).await;
    // The published MD5 of "a" lies in the first third, that of "pk" too, the others further up.
    for (key, shard) in [("a", 0), ("pk", 0), ("partition-1", 1), ("\u{fc}", 2)] {
        let answer = world.put(key, "x").await;
        assert_eq!(answer["ShardId"], format!("shardId-{shard:012}"), "{key}");
        assert_eq!(number(&answer).shard, ShardIndex(shard));
        assert!(answer.get("EncryptionType").is_none());
    }
    for (hash_key, shard) in [
        ("0", 0),
        ("113427455640312821154458202477256070484", 0),
        ("113427455640312821154458202477256070485", 1),
        ("340282366920938463463374607431768211455", 2),
    ] {
        let body = json!({
            "StreamName": "s", "PartitionKey": "a", "Data": "", "ExplicitHashKey": hash_key,
        });
        let answer = world.ok(Operation::PutRecord, body).await;
        assert_eq!(answer["ShardId"], format!("shardId-{shard:012}"), "{hash_key}");
    }
}

#[tokio::test]
async fn numbers_of_a_shard_grow() {
    let world = World::with_stream(1).await;
    let first = number(&world.put("k", "1").await);
    let second = number(&world.put("k", "2").await);
    assert!(first < second);
    assert!(SequenceNumber::starting(first.shard_created_seconds, first.shard) < first);
    assert_eq!(first.seconds, (NOW.0 + TRANSITION_MS) / 1000);
}

#[tokio::test]
async fn answers_stand_in_the_order_of_the_request() {
    let world = World::with_stream(4).await;
    let keys: Vec<String> = (0..40).map(|n| format!("key-{n}")).collect();
    let entry = |key: &String| json!({"Data": base64(key.as_bytes()), "PartitionKey": key});
    let body = json!({"StreamName": "s", "Records": keys.iter().map(entry).collect::<Vec<_>>()});
    let answer = world.ok(Operation::PutRecords, body).await;
    assert_eq!(answer["FailedRecordCount"], 0);
    assert!(answer.get("EncryptionType").is_none());
    let answers = answer["Records"].as_array().unwrap();
    assert_eq!(answers.len(), keys.len());
    for shard in 0..4 {
        let id = format!("shardId-{shard:012}");
        let iterator = world.iterator(&id, "TRIM_HORIZON", json!({})).await;
        let read = world.read(&iterator).await;
        let here = |answer: &&(&Json, &String)| answer.0["ShardId"] == json!(id);
        let pairs: Vec<_> = answers.iter().zip(&keys).collect();
        let expected: Vec<_> = pairs.iter().filter(here).collect();
        let found = read["Records"].as_array().unwrap();
        assert_eq!(found.len(), expected.len());
        for (record, (answer, key)) in found.iter().zip(expected) {
            assert_eq!(record["SequenceNumber"], answer["SequenceNumber"]);
            assert_eq!(record["PartitionKey"], json!(key));
            assert_eq!(record["Data"], json!(base64(key.as_bytes())));
        }
    }
}

#[tokio::test]
async fn a_hash_key_outside_the_key_space_fails_the_whole_call() {
    let world = World::with_stream(1).await;
    let key = "340282366920938463463374607431768211456";
    let text = format!(
        "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. \
         Specified value was {key}"
    );
    let bad = json!({"Data": "", "PartitionKey": "k", "ExplicitHashKey": key});
    let mut one = bad.clone();
    one["StreamName"] = json!("s");
    world.refused(Operation::PutRecord, one, Kind::InvalidArgument, &text).await;
    let records = json!([{"Data": "", "PartitionKey": "k"}, bad]);
    let body = json!({"StreamName": "s", "Records": records});
    world.refused(Operation::PutRecords, body, Kind::InvalidArgument, &text).await;
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    assert_eq!(world.read(&iterator).await["Records"], json!([]));
}

#[tokio::test]
async fn ordering_numbers_must_be_possible() {
    let world = World::with_stream(1).await;
    let body = |number: &str| {
        json!({
            "StreamName": "s", "PartitionKey": "k", "Data": "",
            "SequenceNumberForOrdering": number,
        })
    };
    let put = world.put("k", "1").await;
    let now = (NOW.0 + TRANSITION_MS) / 1000;
    let at = |seconds| SequenceNumber { seconds, ..number(&put) }.to_string();
    let zeros = SequenceNumber::starting(0, ShardIndex(0)).to_string();
    for number in [put["SequenceNumber"].as_str().unwrap(), &at(now), &zeros] {
        world.ok(Operation::PutRecord, body(number)).await;
    }
    for number in [at(now + 1), "0".to_owned(), "1".to_owned(), "9".repeat(56)] {
        let text = format!(
            "ExclusiveMinimumSequenceNumber {number} used in PutRecord on stream s under account \
             123456789012 is invalid."
        );
        world.refused(Operation::PutRecord, body(&number), Kind::InvalidArgument, &text).await;
    }
}

#[tokio::test]
async fn a_record_may_be_as_long_as_its_stream_allows() {
    let world = World::with_stream(1).await;
    world.put_large(&[1_048_576]).await.unwrap();
    let text = "1 validation error detected: Value at 'data' failed to satisfy constraint: \
                Member must have length less than or equal to 1048576";
    let data = base64(&vec![0; 1_048_577]);
    let body = json!({"StreamName": "s", "PartitionKey": "k", "Data": data});
    world.refused(Operation::PutRecord, body, Kind::Validation, text).await;
    let text = "2 validation errors detected: \
                Value at 'records.2.member.data' failed to satisfy constraint: \
                Member must have length less than or equal to 1048576; \
                Value at 'records.4.member.data' failed to satisfy constraint: \
                Member must have length less than or equal to 1048576";
    let refused = world.put_large(&[0, 1_048_577, 0, 1_048_577]).await.unwrap_err();
    assert_eq!(refused, Exception::new(Kind::Validation, text));
}

#[tokio::test]
async fn a_call_carries_ten_mib_of_data_and_keys() {
    let world = World::new(Limits::OFF).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1, "MaxRecordSizeInKiB": 10_240})).await;
    world.put_large(&[(10 << 20) - 2, 0]).await.unwrap();
    let refused = world.put_large(&[(10 << 20) - 1, 0]).await.unwrap_err();
    let text = "Records size exceeds 10 MB limit";
    assert_eq!(refused, Exception::new(Kind::InvalidArgument, text));
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    assert_eq!(world.read_large(&iterator).await.0, [(10 << 20) - 2, 0]);
}

#[tokio::test]
async fn a_partition_key_is_required() {
    let world = World::with_stream(1).await;
    let text = "1 validation error detected: Value null at 'partitionKey' failed to satisfy \
                constraint: Member must not be null";
    let body = json!({"StreamName": "s", "Data": ""});
    world.refused(Operation::PutRecord, body, Kind::Validation, text).await;
    let text = "1 validation error detected: Value null at 'records.1.member.partitionKey' failed \
                to satisfy constraint: Member must not be null";
    let body = json!({"StreamName": "s", "Records": [{"Data": ""}]});
    world.refused(Operation::PutRecords, body, Kind::Validation, text).await;
}

#[tokio::test]
async fn automatic_distribution_spreads_records_without_keys() {
    let world = World::new(Limits::OFF).await;
    world.create(json!({"StreamName": "s", "RecordDistributionStrategy": "AUTO"})).await;
    let body = json!({"StreamName": "s", "Records": vec![json!({"Data": "eA=="}); 8]});
    let answer = world.ok(Operation::PutRecords, body).await;
    let mut shards = texts(&answer["Records"], "ShardId");
    shards.sort_unstable();
    shards.dedup();
    assert_eq!(shards.len(), 4);
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    let read = world.read(&iterator).await;
    let records = read["Records"].as_array().unwrap();
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.get("PartitionKey").is_none()));
}

#[tokio::test]
async fn records_beyond_the_rate_of_a_shard_fail_one_by_one() {
    let world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    for _ in 0..2 {
        let answer = world.ok(Operation::PutRecords, records(500)).await;
        assert_eq!(answer["FailedRecordCount"], 0);
    }
    world.clock.advance_ms(2);
    let answer = world.ok(Operation::PutRecords, records(4)).await;
    assert_eq!(answer["FailedRecordCount"], 2);
    let text =
        "Rate exceeded for shard shardId-000000000000 in stream s under account 123456789012.";
    let failed =
        json!({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": text});
    assert_eq!((&answer["Records"][2], &answer["Records"][3]), (&failed, &failed));
    assert!(answer["Records"][1]["SequenceNumber"].is_string());
    let answer = world.ok(Operation::PutRecords, records(3)).await;
    assert_eq!(answer["FailedRecordCount"], 3, "a call without any success is still an answer");
    let body = json!({"StreamName": "s", "Data": "", "PartitionKey": "k"});
    let kind = Kind::ProvisionedThroughputExceeded;
    world.refused(Operation::PutRecord, body.clone(), kind, text).await;
    world.clock.advance_ms(1);
    world.ok(Operation::PutRecord, body).await;
}

#[tokio::test]
async fn records_go_to_the_children_after_a_split() {
    let world = World::with_stream(1).await;
    world.put("k", "to the parent").await;
    world.split().await;
    let answer = world.put("k", "to a child").await;
    assert_ne!(answer["ShardId"], "shardId-000000000000");
    assert_eq!(number(&answer).shard_created_seconds, (NOW.0 + 2 * TRANSITION_MS) / 1000 + 1);
}

/// Puts two records for the lower half of the key space as if `stale` was what is stored; returns
/// the shards they went to.
async fn put_by(world: &World, stale: &Stream) -> Vec<ShardIndex> {
    use crate::aws::input;
    use crate::kinesis::attributes::WriteSettings;
    use crate::kinesis::context::Call;
    use crate::kinesis::put::{self, Entry, Outcome, Via};

    let body = json!({"Data": "", "PartitionKey": "a", "StreamName": "s"}).to_string();
    let value = crate::aws::json::parse(body.as_bytes()).unwrap();
    let input = input::read(value, &super::super::put_record::SHAPE, Encoding::Json).unwrap();
    let settings = WriteSettings::default();
    let low = Entry::parse(&input, &settings).unwrap();
    let call = Call::new(&world.context, &world.principal, Encoding::Json);
    let report = put::put(&call, stale, &settings, &[low, low], Via::PutRecords).await;
    let shard = |outcome: &Outcome| match outcome {
        Outcome::Stored(number) => number.shard,
        Outcome::Throttled(_) | Outcome::Failed => panic!("{report:?}"),
    };
    report.outcomes.iter().map(shard).collect()
}

#[tokio::test]
async fn records_routed_by_an_old_map_are_routed_again() {
    let world = World::with_stream(2).await;
    let stale = world.stream();
    world.split().await;
    assert_eq!(put_by(&world, &stale).await, [ShardIndex(2), ShardIndex(2)]);
}

#[tokio::test]
async fn records_that_meet_a_reshard_wait_for_the_children() {
    for yields in 0..30 {
        let world = World::with_stream(2).await;
        world.begin_split().await;
        let stale = world.stream();
        world.disk.set_pauses_max(100);
        let late = async {
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            put_by(&world, &stale).await
        };
        let (shards, ()) = tokio::join!(late, world.next_second());
        assert!([0, 2].contains(&shards[0].0) && shards[0] == shards[1], "{shards:?}");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_reads_go_on() {
    let mut world = World::with_stream(1).await;
    world.put("k", "before").await;
    // Below the space that is kept free.
    world.disk.set_capacity(Some(64 << 20));
    world.restart().await;
    let body = json!({"StreamName": "s", "Data": "", "PartitionKey": "k"});
    for (operation, body) in [(Operation::PutRecord, body), (Operation::PutRecords, records(2))] {
        let refused = world.run(operation, body).await.unwrap_err();
        assert_eq!(refused.kind, Kind::InternalFailure);
        let message = refused.message.unwrap();
        assert!(message.starts_with("the disk is nearly full: "), "{message}");
    }
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    assert_eq!(world.read(&iterator).await["Records"].as_array().unwrap().len(), 1);
}
