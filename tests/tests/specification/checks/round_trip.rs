//! Every operation, and every malformed request, against a real process.

use std::collections::{BTreeMap, BTreeSet};

use kinelog::kinesis::Operation;
use kinelog_tests::Server;
use serde_json::{Value as Json, json};

use crate::service::{Encoding, shard_id};
use crate::wire::{Caller, FORMS, Version, headers, post, whole};

const BINARY: &str = env!("CARGO_BIN_EXE_kinelog-under-test");
const FLAGS: &[&str] = &["--limits", "off", "--transition-ms", "1"];

/// Calls of one form, all about one stream; keeps what each operation answered.
struct Round {
    caller: Caller,
    stream: String,
    answers: BTreeMap<String, Json>,
}

impl Round {
    async fn call(&mut self, operation: &str, body: Json) -> Json {
        let answer = self.caller.ok(operation, &body).await;
        self.answers.insert(operation.to_owned(), answer.clone());
        answer
    }

    /// A call about the stream by its name.
    async fn named(&mut self, operation: &str, mut body: Json) -> Json {
        body["StreamName"] = json!(self.stream);
        self.call(operation, body).await
    }

    /// A call about the stream by its ARN, which this member has; then waits until it is ACTIVE.
    async fn by_arn(&mut self, member: &str, operation: &str, mut body: Json) -> Json {
        body[member] = json!(self.arn());
        let answer = self.call(operation, body).await;
        self.settle().await;
        answer
    }

    /// The same by name.
    async fn change(&mut self, operation: &str, body: Json) -> Json {
        let answer = self.named(operation, body).await;
        self.settle().await;
        answer
    }

    fn arn(&self) -> String {
        format!("arn:aws:kinesis:us-east-1:000000000000:stream/{}", self.stream)
    }

    async fn settle(&mut self) {
        loop {
            let answer = self.named("DescribeStreamSummary", json!({})).await;
            if answer["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE" {
                return;
            }
        }
    }

    async fn records(&mut self) {
        self.change("CreateStream", json!({"ShardCount": 2})).await;
        let record = json!({"PartitionKey": "a", "Data": "8J+YgA=="});
        let put = self.named("PutRecord", record.clone()).await;
        let many = self.named("PutRecords", json!({"Records": [record, record]})).await;
        assert_eq!(many["FailedRecordCount"], 0);
        let start = json!({"ShardId": put["ShardId"], "ShardIteratorType": "TRIM_HORIZON"});
        let iterator = self.named("GetShardIterator", start).await;
        let read = self.call("GetRecords", iterator).await;
        let read = read["Records"].as_array().unwrap();
        assert_eq!(read.len(), 3);
        assert!(read.iter().all(|it| it["Data"] == "8J+YgA==" && it["PartitionKey"] == "a"));
        assert_eq!(read[0]["SequenceNumber"], put["SequenceNumber"]);
        self.named("DescribeStream", json!({})).await;
        self.named("ListShards", json!({})).await;
        self.call("ListStreams", json!({})).await;
    }

    async fn metadata(&mut self) {
        self.named("AddTagsToStream", json!({"Tags": {"k": "v"}})).await;
        let tags = json!([{"Key": "k", "Value": "v"}]);
        assert_eq!(self.named("ListTagsForStream", json!({})).await["Tags"], tags);
        self.named("RemoveTagsFromStream", json!({"TagKeys": ["k"]})).await;
        let arn = self.arn();
        self.call("TagResource", json!({"ResourceARN": arn, "Tags": {"k": "v"}})).await;
        let resource = json!({"ResourceARN": arn});
        assert_eq!(self.call("ListTagsForResource", resource.clone()).await["Tags"], tags);
        self.call("UntagResource", json!({"ResourceARN": arn, "TagKeys": ["k"]})).await;
        let statement = json!({
            "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Resource": arn,
            "Action": "kinesis:GetRecords",
        });
        let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
        self.call("PutResourcePolicy", json!({"ResourceARN": arn, "Policy": policy})).await;
        let put = self.call("GetResourcePolicy", resource.clone()).await;
        assert_eq!(put["Policy"], policy);
        self.call("DeleteResourcePolicy", resource).await;
    }

    async fn settings(&mut self) {
        self.change("IncreaseStreamRetentionPeriod", json!({"RetentionPeriodHours": 48})).await;
        self.change("DecreaseStreamRetentionPeriod", json!({"RetentionPeriodHours": 24})).await;
        let metrics = json!({"ShardLevelMetrics": ["IncomingBytes"]});
        self.change("EnableEnhancedMonitoring", metrics.clone()).await;
        self.change("DisableEnhancedMonitoring", metrics).await;
        let key = json!({"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"});
        self.change("StartStreamEncryption", key.clone()).await;
        self.change("StopStreamEncryption", key).await;
        let size = json!({"MaxRecordSizeInKiB": 2048});
        self.by_arn("StreamARN", "UpdateMaxRecordSize", size).await;
        self.call("DescribeLimits", json!({})).await;
        let commitment = json!({"MinimumThroughputBillingCommitment": {"Status": "ENABLED"}});
        self.call("UpdateAccountSettings", commitment).await;
        self.call("DescribeAccountSettings", json!({})).await;
    }

    async fn fan_out(&mut self) {
        let named = json!({"StreamARN": self.arn(), "ConsumerName": "c"});
        let registered = self.call("RegisterStreamConsumer", named.clone()).await;
        let arn = &registered["Consumer"]["ConsumerARN"];
        while {
            let described = self.call("DescribeStreamConsumer", named.clone()).await;
            described["ConsumerDescription"]["ConsumerStatus"] != "ACTIVE"
        } {}
        self.call("ListStreamConsumers", json!({"StreamARN": self.arn()})).await;
        let mut seen = 0;
        for index in 0..2 {
            let body = json!({
                "ConsumerARN": arn, "ShardId": shard_id(index),
                "StartingPosition": {"Type": "TRIM_HORIZON"},
            });
            let event = self.caller.subscribe(&body).await.event().await;
            seen += event["Records"].as_array().unwrap().len();
            if !event["Records"].as_array().unwrap().is_empty() {
                self.answers.insert("SubscribeToShard".to_owned(), event);
            }
        }
        assert_eq!(seen, 3);
        self.call("DeregisterStreamConsumer", json!({"ConsumerARN": arn})).await;
    }

    async fn shards(&mut self) {
        let split = json!({"ShardToSplit": shard_id(0), "NewStartingHashKey": "9"});
        self.change("SplitShard", split).await;
        let merge = json!({"ShardToMerge": shard_id(2), "AdjacentShardToMerge": shard_id(3)});
        self.change("MergeShards", merge).await;
        let count = json!({"TargetShardCount": 3, "ScalingType": "UNIFORM_SCALING"});
        self.change("UpdateShardCount", count).await;
        let mode = json!({"StreamModeDetails": {"StreamMode": "ON_DEMAND"}});
        self.by_arn("StreamARN", "UpdateStreamMode", mode).await;
        let strategy = json!({"RecordDistributionStrategy": "AUTO"});
        self.by_arn("StreamARN", "UpdateStreamRecordDistributionStrategy", strategy).await;
        self.change("UpdateStreamWarmThroughput", json!({"WarmThroughputMiBps": 3})).await;
        self.named("DeleteStream", json!({})).await;
    }
}

/// What an answer is made of, without what it says: members with the kinds of their values, lists
/// with that of their first entry.
fn form(answer: &Json) -> Json {
    match answer {
        Json::Null | Json::Bool(_) => answer.clone(),
        Json::Number(_) => json!("number"),
        Json::String(_) => json!("text"),
        Json::Array(entries) => json!([entries.first().map(form)]),
        Json::Object(members) => {
            Json::Object(members.iter().map(|(name, value)| (name.clone(), form(value))).collect())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_1_every_operation_in_the_forms_of_the_clients() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(BINARY, &directory.path().join("data"), FLAGS);
    let mut forms = BTreeSet::new();
    for (version, encoding) in FORMS {
        let caller = Caller { address: server.address(), version, encoding };
        let stream = format!("{version:?}-{encoding:?}");
        let mut round = Round { caller, stream, answers: BTreeMap::new() };
        round.records().await;
        round.metadata().await;
        round.settings().await;
        round.fan_out().await;
        round.shards().await;
        let called: BTreeSet<_> = round.answers.keys().map(String::as_str).collect();
        let all: BTreeSet<_> = Operation::ALL.iter().map(|operation| operation.name()).collect();
        assert_eq!(called, all);
        forms.insert(form(&json!(round.answers)).to_string());
    }
    assert_eq!(forms.len(), 1, "all forms have the same answers: {forms:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_10_raw_malformed_requests() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(BINARY, &directory.path().join("data"), FLAGS);
    let (address, client) = (server.address(), server.client(1));
    let denied = "<AccessDeniedException>\n  <Message>Unable to determine service/operation name \
                  to be authorized</Message>\n</AccessDeniedException>\n";
    let wrapped = |name: &str| {
        format!(r#"{{"Output":{{"__type":"com.amazon.coral.service#{name}"}},"Version":"1.0"}}"#)
    };
    let error = |encoding: Encoding, name: &str| encoding.body(&json!({"__type": name}));
    for version in [Version::Http1, Version::Http2] {
        for (version_of_body, encoding) in FORMS {
            if version_of_body != version {
                continue;
            }
            let typed = |operation: &str| {
                let [content_type, target, ..] = headers(encoding, operation, 0);
                vec![content_type, target]
            };
            let only = |content_type: &str| vec![("Content-Type", content_type.to_owned())];
            let good = encoding.body(&json!({}));
            let deep = "[".repeat(10_000).into_bytes();
            for (headers, body, status, expected) in [
                (vec![], vec![], 400, error(Encoding::Cbor, "UnknownOperationException")),
                (only("text/plain"), b"x".to_vec(), 403, denied.into()),
                (typed("ListStreams"), vec![], 400, error(encoding, "SerializationException")),
                (typed("Nothing"), vec![], 400, error(encoding, "UnknownOperationException")),
                (typed("ListStreams"), deep, 400, error(encoding, "SerializationException")),
                (
                    typed("ListStreams"),
                    vec![0xff; 100],
                    400,
                    error(encoding, "SerializationException"),
                ),
                (typed("Nothing"), good.clone(), 400, error(encoding, "UnknownOperationException")),
                (
                    only("application/json"),
                    b"{".to_vec(),
                    400,
                    wrapped("SerializationException").into(),
                ),
                (
                    only("application/json"),
                    b"{}".to_vec(),
                    404,
                    wrapped("UnknownOperationException").into(),
                ),
                (
                    typed("ListStreams"),
                    good,
                    400,
                    encoding.body(&json!({
                        "__type": "MissingAuthenticationTokenException",
                        "message": "Missing Authentication Token",
                    })),
                ),
                (typed("ListStreams"), vec![b' '; (16 << 20) + 1], 413, vec![]),
            ] {
                let answer = post(address, version, &headers, body).await;
                assert_eq!(answer.status(), status, "{version:?} {headers:?}");
                assert_eq!(whole(answer).await, expected, "{version:?} {headers:?}");
            }
        }
        client.list_streams().send().await.unwrap();
    }
}
