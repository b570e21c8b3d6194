//! Rows about records on their way in.

use super::*;

const MIB: usize = 1 << 20;

/// So many small records for stream `s`, all with the key `k`.
fn records(count: usize) -> Json {
    json!({"StreamName": "s", "Records": vec![json!({"Data": "", "PartitionKey": "k"}); count]})
}

#[test]
fn e6_shard_rate() {
    let service = Service::new(Limits::AWS);
    service.create(&json!({"StreamName": "s", "ShardCount": 1}));
    for _ in 0..2 {
        assert_eq!(service.ok("PutRecords", &records(500))["FailedRecordCount"], 0);
    }
    let text =
        "Rate exceeded for shard shardId-000000000000 in stream s under account 123456789012.";
    let body = json!({"StreamName": "s", "Data": "", "PartitionKey": "k"});
    service.refused("PutRecord", &body, THROUGHPUT, text);
    let failed = service.ok("PutRecords", &records(1));
    let expected = json!([{"ErrorCode": THROUGHPUT, "ErrorMessage": text}]);
    assert_eq!(failed, json!({"FailedRecordCount": 1, "Records": expected}));
    let body = json!({"StreamName": "s", "ShardId": "0", "ShardIteratorType": "LATEST"});
    for _ in 0..5 {
        service.ok("GetShardIterator", &body);
    }
    service.refused("GetShardIterator", &body, THROUGHPUT, text);
    service.advance_ms(1000);
    let iterator = service.iterator(0, "LATEST", &json!({}));
    let body = json!({"ShardIterator": iterator});
    for _ in 0..5 {
        service.ok("GetRecords", &body);
    }
    service.refused("GetRecords", &body, THROUGHPUT, text);
}

#[test]
fn e13_explicit_hash_key_out_of_bounds() {
    let service = Service::with_stream(1);
    let key = "340282366920938463463374607431768211456";
    let text = format!(
        "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. \
         Specified value was {key}"
    );
    let body = json!({"StreamName": "s", "Data": "", "PartitionKey": "k", "ExplicitHashKey": key});
    service.refused("PutRecord", &body, INVALID, &text);
    let mut body = records(3);
    body["Records"][1]["ExplicitHashKey"] = json!(key);
    service.refused("PutRecords", &body, INVALID, &text);
    let iterator = service.iterator(0, "TRIM_HORIZON", &json!({}));
    let read = service.ok("GetRecords", &json!({"ShardIterator": iterator}));
    assert_eq!(read["Records"], json!([]), "nothing is written");
}

#[test]
fn e14_sequence_number_for_ordering_invalid() {
    let service = Service::with_stream(1);
    let stored = service.put("k", "");
    let body = |number: &str| {
        json!({
            "StreamName": "s", "Data": "", "PartitionKey": "k",
            "SequenceNumberForOrdering": number,
        })
    };
    let leading_3 = format!("3{}", &stored[1..]);
    let version_0 = (0x1_u128 << 124).to_string();
    for number in ["1", &leading_3, &version_0, &"9".repeat(129)] {
        let text = format!(
            "ExclusiveMinimumSequenceNumber {number} used in PutRecord on stream s under account \
             123456789012 is invalid."
        );
        service.refused("PutRecord", &body(number), INVALID, &text);
    }
    for number in [&number(0, 0, 0, 0), &number(1, 9, 7, 1), &stored] {
        service.ok("PutRecord", &body(number));
    }
}

#[test]
fn e35_payload_of_a_call() {
    let service = Service::with_stream(1);
    let data = |bytes| base64_simd::STANDARD.encode_to_string(vec![0; bytes]);
    let body = |last_key: &str| {
        let mut records = vec![json!({"Data": data(MIB), "PartitionKey": "k"}); 9];
        records.push(json!({"Data": data(MIB - 12), "PartitionKey": last_key}));
        json!({"StreamName": "s", "Records": records})
    };
    service.ok("PutRecords", &body("123"));
    service.refused("PutRecords", &body("1234"), INVALID, "Records size exceeds 10 MB limit");
}

#[test]
fn e36_record_over_the_size_of_the_stream() {
    let service = Service::with_stream(1);
    let data = base64_simd::STANDARD.encode_to_string(vec![0; MIB + 1]);
    let text = |place: &str| {
        format!(
            "1 validation error detected: Value at '{place}' failed to satisfy constraint: \
             Member must have length less than or equal to 1048576"
        )
    };
    let body = json!({"StreamName": "s", "Data": data, "PartitionKey": "k"});
    service.refused("PutRecord", &body, VALIDATION, &text("data"));
    let mut body = records(2);
    body["Records"][1]["Data"] = json!(data);
    service.refused("PutRecords", &body, VALIDATION, &text("records.2.member.data"));
    service.create(&json!({"StreamName": "t", "ShardCount": 1, "MaxRecordSizeInKiB": 1025}));
    service.ok("PutRecord", &json!({"StreamName": "t", "Data": data, "PartitionKey": "k"}));
}
