//! Calls whose bodies are not what they claim to be, or ask for what cannot be.

use kinelog::kinesis::Operation;
use kinelog_tests::raw;

use super::{Bad, cbor_call, cbor_record, cbor_text, record};

pub(super) fn all() -> Vec<Bad> {
    [json(), fields(), cbor()].into_iter().flatten().collect()
}

fn put(group: &'static str, name: impl Into<String>, body: impl AsRef<[u8]>) -> Bad {
    Bad::whole(group, name, raw::call("PutRecord", body))
}

fn json() -> Vec<Bad> {
    let good = record();
    let mut all = Vec::new();
    for cut in 0..good.len() {
        all.push(put("JSON", format!("cut after {cut}"), &good[..cut]));
    }
    for (name, body) in [
        ("a byte too many", format!("{good}x")),
        ("twice", format!("{good}{good}")),
        ("a comma at the end", good.replace('}', ",}")),
        ("no quotes", good.replace('"', "")),
        ("other quotes", good.replace('"', "'")),
        ("a comment", format!("/* {good} */")),
        ("a byte order mark", format!("\u{feff}{good}")),
        ("a control byte in a text", good.replace("key", "k\x01y")),
        ("a lone surrogate", good.replace("key", r"\ud800")),
        ("an unknown escape", good.replace("key", r"\x41")),
        ("a short escape", good.replace("key", r"\u12")),
        ("in a list", format!("[{good}]")),
        ("in a text", format!("\"{}\"", good.replace('"', "\\\""))),
        ("nothing but space", " ".repeat(100)),
        ("colons for commas", good.replace(',', ":")),
        ("nested deeply", format!(r#"{{"x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000))),
        ("a long number", format!(r#"{{"x":{}}}"#, "9".repeat(1_000))),
        ("a number without digits", r#"{"x":-}"#.to_owned()),
        ("a number with zeros before it", r#"{"x":007}"#.to_owned()),
        ("no number", r#"{"x":NaN}"#.to_owned()),
        ("an endless number", r#"{"x":Infinity}"#.to_owned()),
        ("a key of no text", "{1:2}".to_owned()),
    ] {
        all.push(put("JSON", name, body));
    }
    for odd in [&b"\xff\xfe"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x80"] {
        let body = [&b"{\"StreamName\":\""[..], odd, b"\"}"].concat();
        all.push(put("JSON", format!("{odd:x?} in a text"), body));
    }
    for operation in Operation::NAMES {
        for body in ["", "[]", "null", "true", "17", "\"{}\"", "{"] {
            let bytes = raw::call(operation, body);
            all.push(Bad::whole("JSON", format!("{operation} {body}"), bytes));
        }
    }
    all
}

fn fields() -> Vec<Bad> {
    let good = record();
    let long = "x".repeat(300);
    let mut all = Vec::new();
    for (from, to) in [
        (r#""s""#, r#""""#),
        (r#""s""#, "{}"),
        (r#""s""#, "[]"),
        (r#""s""#, "null"),
        (r#""s""#, r#""s s""#),
        (r#""s""#, r#""s/../s""#),
        (r#""s""#, r#""\u0000""#),
        (r#""s""#, r#""nobody""#),
        (r#""s""#, r#""\u00e9""#),
        (r#""key""#, r#""""#),
        (r#""key""#, "{}"),
        (r#""key""#, "[\"key\"]"),
        (r#""key""#, "null"),
        (r#""YmFk""#, r#""*""#),
        (r#""YmFk""#, r#""YmF""#),
        (r#""YmFk""#, r#""YmFk====""#),
        (r#""YmFk""#, "{}"),
        (r#""YmFk""#, "null"),
        (r#""YmFk""#, "[1,2]"),
        (r#""YmFk""#, "7"),
        ("StreamName", "streamname"),
        ("PartitionKey", "Partitionkey"),
        ("Data", "data"),
        ("StreamName", "StreamARN"),
        ("StreamName", "StreamId"),
    ] {
        assert!(good.contains(from), "{from}");
        all.push(put("fields", format!("{from} becomes {to}"), good.replace(from, to)));
    }
    for (name, value) in
        [("StreamName", &long), ("PartitionKey", &long), ("ExplicitHashKey", &long)]
    {
        let body = good.replacen('{', &format!(r#"{{"{name}":"{value}","#), 1);
        let body = if name == "ExplicitHashKey" {
            body
        } else {
            body.replacen(&format!(r#","{name}":"#), r#","x":"#, 1)
        };
        all.push(put("fields", format!("{name} of 300"), body));
    }
    for hash_key in ["-1", "x", "1.5", "340282366920938463463374607431768211456", "", " 1"] {
        let body = good.replacen('{', &format!(r#"{{"ExplicitHashKey":"{hash_key}","#), 1);
        all.push(put("fields", format!("hash key {hash_key:?}"), body));
    }
    for (operation, body) in others() {
        let bytes = raw::call(operation, &body);
        let brief: String = body.chars().take(60).collect();
        all.push(Bad::whole("fields", format!("{operation} {brief}"), bytes));
    }
    all
}

/// Calls of other operations that ask for what cannot be.
const OTHERS: &[(&str, &str)] = &[
    ("PutRecords", r#"{"StreamName":"s","Records":{}}"#),
    ("PutRecords", r#"{"StreamName":"s","Records":[{"Data":"YmFk","PartitionKey":"k"},{}]}"#),
    ("PutRecords", r#"{"StreamName":"s","Records":[{"Data":"YmFk","PartitionKey":"k"},[]]}"#),
    ("PutRecords", r#"{"StreamName":"s","Records":[{"Data":"YmFk","PartitionKey":""}]}"#),
    ("GetRecords", r#"{"ShardIterator":""}"#),
    ("GetRecords", r#"{"ShardIterator":"AAAAAAAA"}"#),
    ("GetRecords", r#"{"ShardIterator":"../../etc/passwd"}"#),
    ("GetRecords", r#"{"ShardIterator":"AAAAAAAAAAE=","Limit":0}"#),
    ("GetRecords", r#"{"ShardIterator":"AAAAAAAAAAE=","Limit":10001}"#),
    (
        "GetShardIterator",
        r#"{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"X"}"#,
    ),
    (
        "GetShardIterator",
        r#"{"StreamName":"s","ShardId":"shardId-999999999999","ShardIteratorType":"LATEST"}"#,
    ),
    ("GetShardIterator", r#"{"StreamName":"s","ShardId":"-1","ShardIteratorType":"LATEST"}"#),
    (
        "GetShardIterator",
        r#"{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"AFTER_SEQUENCE_NUMBER"}"#,
    ),
    ("CreateStream", r#"{"StreamName":"t","ShardCount":0}"#),
    ("CreateStream", r#"{"StreamName":"t","ShardCount":-1}"#),
    ("CreateStream", r#"{"StreamName":"t","ShardCount":9223372036854775807}"#),
    ("CreateStream", r#"{"StreamName":"","ShardCount":1}"#),
    ("CreateStream", r#"{"StreamName":"s","ShardCount":1}"#),
    (
        "SplitShard",
        r#"{"StreamName":"s","ShardToSplit":"shardId-000000000000","NewStartingHashKey":"0"}"#,
    ),
    (
        "SplitShard",
        r#"{"StreamName":"s","ShardToSplit":"shardId-000000000000","NewStartingHashKey":"-5"}"#,
    ),
    (
        "MergeShards",
        r#"{"StreamName":"s","ShardToMerge":"shardId-000000000000","AdjacentShardToMerge":"shardId-000000000000"}"#,
    ),
    (
        "UpdateShardCount",
        r#"{"StreamName":"s","TargetShardCount":0,"ScalingType":"UNIFORM_SCALING"}"#,
    ),
    ("UpdateShardCount", r#"{"StreamName":"s","TargetShardCount":2,"ScalingType":"X"}"#),
    ("IncreaseStreamRetentionPeriod", r#"{"StreamName":"s","RetentionPeriodHours":0}"#),
    ("IncreaseStreamRetentionPeriod", r#"{"StreamName":"s","RetentionPeriodHours":8761}"#),
    ("DecreaseStreamRetentionPeriod", r#"{"StreamName":"s","RetentionPeriodHours":-24}"#),
    ("DescribeStream", r#"{"StreamName":"s","Limit":0}"#),
    ("DescribeStream", r#"{"StreamName":"nobody"}"#),
    ("DescribeStream", r#"{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/"}"#),
    ("DescribeStream", r#"{"StreamARN":"arn:aws:s3:::s"}"#),
    ("ListShards", r#"{"NextToken":"x"}"#),
    ("ListShards", r#"{"StreamName":"s","MaxResults":0}"#),
    ("ListShards", r#"{"StreamName":"s","ShardFilter":{"Type":"X"}}"#),
    ("ListStreams", r#"{"Limit":-1}"#),
    ("ListStreams", r#"{"NextToken":"x"}"#),
    ("DeleteStream", r#"{"StreamName":"nobody"}"#),
    ("AddTagsToStream", r#"{"StreamName":"s","Tags":{}}"#),
    ("AddTagsToStream", r#"{"StreamName":"s","Tags":[]}"#),
    ("AddTagsToStream", r#"{"StreamName":"s","Tags":{"":"x"}}"#),
    (
        "SubscribeToShard",
        r#"{"ConsumerARN":"x","ShardId":"shardId-000000000000","StartingPosition":{"Type":"LATEST"}}"#,
    ),
    ("RegisterStreamConsumer", r#"{"StreamARN":"x","ConsumerName":"c"}"#),
    ("PutResourcePolicy", r#"{"ResourceARN":"x","Policy":"{}"}"#),
    ("StartStreamEncryption", r#"{"StreamName":"s","EncryptionType":"X","KeyId":"k"}"#),
    ("EnableEnhancedMonitoring", r#"{"StreamName":"s","ShardLevelMetrics":["X"]}"#),
];

/// Those, and calls of `PutRecords` with too few and too many records.
fn others() -> Vec<(&'static str, String)> {
    let entry = r#"{"Data":"YmFk","PartitionKey":"k"}"#;
    let counts = [0, 501, 5_000].map(|count| vec![entry; count].join(","));
    let counts = counts
        .map(|entries| ("PutRecords", format!(r#"{{"StreamName":"s","Records":[{entries}]}}"#)));
    let others = OTHERS.iter().map(|(operation, body)| (*operation, (*body).to_owned()));
    counts.into_iter().chain(others).collect()
}

fn cbor() -> Vec<Bad> {
    let good = cbor_record();
    let bad = |name: String, body: &[u8]| Bad::whole("CBOR", name, cbor_call("PutRecord", body));
    let mut all: Vec<_> =
        (0..good.len()).map(|cut| bad(format!("cut after {cut}"), &good[..cut])).collect();
    for (name, body) in [
        ("a byte too many", [&good[..], b"\0"].concat()),
        ("in a list", [b"\x81", &good[..]].concat()),
        ("a list", b"\x80".to_vec()),
        ("a number", b"\x17".to_vec()),
        ("nothing", b"\xf6".to_vec()),
        ("undefined", b"\xf7".to_vec()),
        ("a break", b"\xff".to_vec()),
        ("a map without an end", b"\xbf".to_vec()),
        ("a map of 2^64 entries", b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()),
        (
            "a list of 2^64 entries",
            [&b"\xa1"[..], &cbor_text("x"), b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"].concat(),
        ),
        (
            "a text of 2^64 bytes",
            [&b"\xa1"[..], &cbor_text("x"), b"\x7b\xff\xff\xff\xff\xff\xff\xff\xff"].concat(),
        ),
        (
            "bytes of 2^63 bytes",
            [&b"\xa1"[..], &cbor_text("x"), b"\x5b\x80\0\0\0\0\0\0\0"].concat(),
        ),
        ("a text that is none", [&b"\xa1"[..], &cbor_text("StreamName"), b"\x62\xff\xfe"].concat()),
        ("a key of no text", b"\xa1\x01\x02".to_vec()),
        ("a reserved length", b"\xbc".to_vec()),
        ("a reserved kind", b"\xa1\x61x\xfc".to_vec()),
        ("texts in bytes", [&b"\xa1"[..], &cbor_text("Data"), b"\x5f\x61x\xff"].concat()),
        ("nested deeply", [&b"\xa1\x61x"[..], &b"\x81".repeat(10_000)].concat()),
        ("tags without an end", b"\xc1".repeat(10_000)),
        ("JSON", record().into_bytes()),
    ] {
        all.push(bad(name.to_owned(), &body));
    }
    for operation in Operation::NAMES {
        let bytes = cbor_call(operation, b"\x80");
        all.push(Bad::whole("CBOR", format!("{operation} of a list"), bytes));
    }
    all
}
