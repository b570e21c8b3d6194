//! Checks of limits, times and keys, on a clock moved by hand.

use kinelog::throttle::Limits;
use kinelog_engine::types::HashKey;
use serde_json::{Value as Json, json};

use crate::service::{Encoding, Service, shard_id};

#[test]
fn check_6_iterators_that_are_old_used_again_and_quoted() {
    let service = Service::with_stream(1);
    service.put("a", "one");
    service.put("a", "two");
    let first = service.iterator(0, "TRIM_HORIZON", &json!({}));
    let read =
        |iterator: &str| service.ok("GetRecords", &json!({"ShardIterator": iterator, "Limit": 1}));
    let data = |answer: &Json| answer["Records"][0]["Data"].as_str().unwrap().to_owned();
    let answer = read(&first);
    assert_eq!(data(&answer), "b25l");
    let second = answer["NextShardIterator"].as_str().unwrap();
    assert_eq!(data(&read(second)), "dHdv");
    // An answer was lost: the same again, also after the one that follows was used.
    assert_eq!(data(&read(&first)), "b25l");
    assert_ne!(read(&first)["NextShardIterator"], answer["NextShardIterator"]);
    assert_eq!(data(&read(&format!("\"{first}\""))), "b25l");
    service.advance_ms(300_000);
    assert_eq!(data(&read(&first)), "b25l");
    service.advance_ms(1000);
    for iterator in [first.clone(), second.to_owned(), format!("\"{first}\"")] {
        for encoding in Encoding::BOTH {
            let refused =
                service.call_in(encoding, "GetRecords", &json!({"ShardIterator": iterator}));
            let kind = &refused.body["__type"];
            assert_eq!((refused.status, kind), (400, &json!("ExpiredIteratorException")));
        }
    }
}

#[test]
fn check_7_five_hundred_records_over_the_limit() {
    let service = Service::new(Limits::AWS);
    service.create(&json!({"StreamName": "s", "ShardCount": 2}));
    // Keys alternate between the shards; only the first shard runs out of its 1,000 a second.
    let record = |place: usize, shards: usize| {
        let hash =
            if place.is_multiple_of(shards) { "0".to_owned() } else { u128::MAX.to_string() };
        json!({"Data": "", "PartitionKey": place.to_string(), "ExplicitHashKey": hash})
    };
    let put = |shards: usize| {
        let records: Vec<_> = (0..500).map(|place| record(place, shards)).collect();
        service.ok("PutRecords", &json!({"StreamName": "s", "Records": records}))
    };
    assert_eq!(put(1)["FailedRecordCount"], 0);
    // 250 of each shard: 750 are used up in the first, and 250 in the second.
    assert_eq!(put(2)["FailedRecordCount"], 0);
    let answer = put(1);
    let results = answer["Records"].as_array().unwrap();
    assert_eq!((&answer["FailedRecordCount"], results.len()), (&json!(250), 500));
    let refused = json!({
        "ErrorCode": "ProvisionedThroughputExceededException",
        "ErrorMessage":
            "Rate exceeded for shard shardId-000000000000 in stream s under account 123456789012.",
    });
    let stored = |result: &Json| {
        assert_eq!(result["ShardId"], shard_id(0));
        result["SequenceNumber"].as_str().unwrap().to_owned()
    };
    let numbers: Vec<_> = results[..250].iter().map(stored).collect();
    assert!(numbers.is_sorted(), "in the order of the call");
    assert!(results[250..].iter().all(|result| *result == refused));
    // The other shard has taken no part in it.
    let mixed = put(2);
    assert_eq!(mixed["FailedRecordCount"], 250);
    for (place, result) in mixed["Records"].as_array().unwrap().iter().enumerate() {
        assert_eq!(result.get("ErrorCode").is_some(), place % 2 == 0, "{place} {result}");
    }
    service.advance_ms(1000);
    assert_eq!(put(1)["FailedRecordCount"], 0);
}

#[test]
fn check_9_partition_keys_in_utf_16_and_emoji() {
    let service = Service::with_stream(3);
    let long = "\u{1f600}".repeat(128);
    let mixed = format!("a{}", "\u{20ac}".repeat(255));
    let keys = ["\u{fc}", "\u{1f986} duck", "\u{65e5}\u{672c}", "\0\u{7f}\u{ffff}", &long, &mixed];
    for (encoding, key) in Encoding::BOTH.into_iter().flat_map(|it| keys.map(|key| (it, key))) {
        let body = json!({"StreamName": "s", "PartitionKey": key, "Data": ""});
        let put = service.call_in(encoding, "PutRecord", &body).body;
        // By the bytes of its UTF-8, whatever the encoding of the call.
        let hash = HashKey::of_partition_key(key.as_bytes()).0;
        let expected = hash / (u128::MAX / 3);
        assert_eq!(put["ShardId"], shard_id(expected.try_into().unwrap()), "{key}");
        let start = json!({
            "StreamName": "s", "ShardId": put["ShardId"],
            "ShardIteratorType": "AT_SEQUENCE_NUMBER",
            "StartingSequenceNumber": put["SequenceNumber"],
        });
        let iterator = service.ok("GetShardIterator", &start);
        for encoding in Encoding::BOTH {
            let read = service.call_in(encoding, "GetRecords", &iterator).body;
            assert_eq!(read["Records"][0]["PartitionKey"], key);
        }
    }
    assert_eq!(
        HashKey::of_partition_key("\u{fc}".as_bytes()).0,
        255_482_112_228_542_481_294_366_945_247_899_473_731
    );
    for too_long in
        [format!("{long}a"), format!("{mixed}a"), format!("{}a", "\u{1f600}".repeat(128))]
    {
        let body = json!({"StreamName": "s", "PartitionKey": too_long, "Data": ""});
        let text = "1 validation error detected: Value at 'partitionKey' failed to satisfy \
                    constraint: Member must have length less than or equal to 256";
        service.refused("PutRecord", &body, "ValidationException", text);
    }
}
