//! Putting and reading records.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::operation::put_record::PutRecordOutput;
use aws_sdk_kinesis::operation::put_record::builders::PutRecordFluentBuilder;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{ChildShard, Record, ShardIteratorType};

use crate::calls::{Clients, PAUSE, span};

/// A record of `put_until`.
pub(crate) struct Landed {
    pub(crate) shard: String,
    pub(crate) data: String,
}

pub(crate) fn data_of(landed: &[Landed]) -> Vec<String> {
    landed.iter().map(|it| it.data.clone()).collect()
}

pub(crate) fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(|it| String::from_utf8_lossy(it.data.as_ref()).into_owned()).collect()
}

pub(crate) fn child_ids(children: &[ChildShard]) -> Vec<String> {
    children.iter().map(|child| child.shard_id.clone()).collect()
}

pub(crate) fn child_spans(children: &[ChildShard]) -> Vec<(u128, u128)> {
    children.iter().map(|child| span(child.hash_key_range.as_ref())).collect()
}

impl Clients {
    /// A `PutRecord` with key `a`, not yet sent.
    pub(crate) fn record(&self, stream: &str, data: &[u8]) -> PutRecordFluentBuilder {
        let call = self.kinesis.put_record().stream_name(stream).partition_key("a");
        call.data(Blob::new(data))
    }

    pub(crate) async fn put(&self, stream: &str, data: &str) -> PutRecordOutput {
        self.record(stream, data.as_bytes()).send().await.unwrap()
    }

    pub(crate) async fn put_at(&self, key: u128, stream: &str, data: &str) -> PutRecordOutput {
        let call = self.record(stream, data.as_bytes()).explicit_hash_key(key.to_string());
        call.send().await.unwrap()
    }

    /// Puts `word 1`, `word 2`, ... until one lands in the shard.
    pub(crate) async fn put_until(&self, stream: &str, shard: &str, word: &str) -> Vec<Landed> {
        let mut all = Vec::new();
        for number in 1.. {
            let data = format!("{word} {number}");
            let landed = self.put_at(0, stream, &data).await.shard_id;
            all.push(Landed { shard: landed, data });
            if all[number - 1].shard == shard {
                break;
            }
        }
        all
    }

    pub(crate) async fn iterator(
        &self,
        stream: &str,
        shard: &str,
        kind: ShardIteratorType,
    ) -> String {
        let call = self.kinesis.get_shard_iterator().stream_name(stream).shard_id(shard);
        call.shard_iterator_type(kind).send().await.unwrap().shard_iterator.unwrap()
    }

    pub(crate) async fn iterator_from(
        &self,
        stream: &str,
        shard: &str,
        kind: ShardIteratorType,
        number: &str,
    ) -> String {
        let call = self.kinesis.get_shard_iterator().stream_name(stream).shard_id(shard);
        let call = call.shard_iterator_type(kind).starting_sequence_number(number);
        call.send().await.unwrap().shard_iterator.unwrap()
    }

    pub(crate) async fn horizon(&self, stream: &str, shard: &str) -> String {
        self.iterator(stream, shard, ShardIteratorType::TrimHorizon).await
    }

    /// Records up to the tip.
    pub(crate) async fn read(&self, at: String) -> Vec<Record> {
        read_by(&self.kinesis, at).await
    }

    /// Records up to the end, and the children told there.
    pub(crate) async fn drain(&self, mut at: String) -> (Vec<Record>, Vec<ChildShard>) {
        let mut records = Vec::new();
        loop {
            let answer = self.kinesis.get_records().shard_iterator(at).send().await.unwrap();
            records.extend(answer.records);
            let Some(next) = answer.next_shard_iterator else {
                return (records, answer.child_shards.unwrap());
            };
            assert_eq!(answer.child_shards, None);
            at = next;
            tokio::time::sleep(2 * PAUSE).await;
        }
    }

    pub(crate) async fn read_one(&self, at: &str) -> GetRecordsOutput {
        self.kinesis.get_records().shard_iterator(at).limit(1).send().await.unwrap()
    }
}

/// Records up to the tip.
pub(crate) async fn read_by(client: &Client, mut at: String) -> Vec<Record> {
    let mut records = Vec::new();
    loop {
        let answer = client.get_records().shard_iterator(at).send().await.unwrap();
        assert_eq!(answer.child_shards, None);
        let at_tip = answer.records.is_empty() && answer.millis_behind_latest == Some(0);
        records.extend(answer.records);
        if at_tip {
            return records;
        }
        at = answer.next_shard_iterator.unwrap();
    }
}
