//! The operations people need, each with its input and its answer.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Client;
use super::answers::{
    Consumer, DescribeStreamSummary, DescribedConsumer, Nothing, PutResult, PutResults, Records,
    RegisteredConsumer, Shard, ShardIterator, ShardPage, StreamDescription, StreamPage,
    StreamSummary,
};
use super::failure::Failure;

/// A stream as people name it: by its name or its ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRef(String);

impl StreamRef {
    /// From what was said.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it was said.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `input` with the stream added.
    fn with(&self, mut input: Value) -> Value {
        let key = if self.0.starts_with("arn:") { "StreamARN" } else { "StreamName" };
        input[key] = Value::from(self.as_str());
        input
    }
}

/// Where reading a shard starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// What comes from now on.
    Latest,
    /// The oldest record there is.
    Horizon,
    /// The first record of this time or later.
    At(Timestamp),
    /// The record after the one of this number.
    After(String),
}

impl Position {
    /// Its type and what belongs to it, with the name the number has in the operation.
    pub(super) fn members(&self, kind: &str, number: &str) -> Value {
        match self {
            Self::Latest => json!({ kind: "LATEST" }),
            Self::Horizon => json!({ kind: "TRIM_HORIZON" }),
            Self::At(time) => json!({ kind: "AT_TIMESTAMP", "Timestamp": seconds(*time) }),
            Self::After(after) => json!({ kind: "AFTER_SEQUENCE_NUMBER", number: after }),
        }
    }
}

/// Times in JSON are seconds with a fraction, of which milliseconds count.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of any year fit 53 bits")]
fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

/// A record on its way to a stream.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Chooses the shard.
    pub partition_key: &'a str,
    /// What it holds.
    pub data: &'a [u8],
}

#[expect(clippy::missing_errors_doc, reason = "every call fails with what `Failure` lists")]
impl Client {
    /// All streams, sorted by name.
    pub async fn list_streams(&self) -> Result<(Vec<String>, Vec<StreamSummary>), Failure> {
        let (mut names, mut summaries) = (Vec::new(), Vec::new());
        let mut input = json!({});
        loop {
            let page: StreamPage = self.call("ListStreams", &input).await?;
            names.extend(page.stream_names);
            summaries.extend(page.stream_summaries);
            match names.last() {
                Some(last) if page.has_more_streams => {
                    input = json!({ "ExclusiveStartStreamName": last });
                }
                _ => return Ok((names, summaries)),
            }
        }
    }

    /// Makes a stream, on demand where no number of shards is given.
    pub async fn create_stream(&self, name: &str, shards: Option<u32>) -> Result<(), Failure> {
        let input = match shards {
            Some(shards) => json!({ "StreamName": name, "ShardCount": shards }),
            None => {
                json!({ "StreamName": name, "StreamModeDetails": { "StreamMode": "ON_DEMAND" } })
            }
        };
        self.call("CreateStream", &input).await.map(|Nothing {}| ())
    }

    /// Deletes a stream, and its consumers where that is said.
    pub async fn delete_stream(
        &self,
        stream: &StreamRef,
        with_consumers: bool,
    ) -> Result<(), Failure> {
        let input = stream.with(json!({ "EnforceConsumerDeletion": with_consumers }));
        self.call("DeleteStream", &input).await.map(|Nothing {}| ())
    }

    /// What a stream is.
    pub async fn describe(&self, stream: &StreamRef) -> Result<StreamDescription, Failure> {
        let input = stream.with(json!({}));
        let answer: DescribeStreamSummary = self.call("DescribeStreamSummary", &input).await?;
        Ok(answer.stream_description_summary)
    }

    /// All shards of a stream, closed ones included.
    pub async fn list_shards(&self, stream: &StreamRef) -> Result<Vec<Shard>, Failure> {
        let mut shards = Vec::new();
        let mut input = stream.with(json!({}));
        loop {
            let page: ShardPage = self.call("ListShards", &input).await?;
            shards.extend(page.shards);
            let Some(token) = page.next_token else { return Ok(shards) };
            input = json!({ "NextToken": token });
        }
    }

    /// An iterator; nothing where the shard has ended.
    pub async fn shard_iterator(
        &self,
        stream: &StreamRef,
        shard: &str,
        position: &Position,
    ) -> Result<Option<String>, Failure> {
        let mut input = position.members("ShardIteratorType", "StartingSequenceNumber");
        input["ShardId"] = Value::from(shard);
        let input = stream.with(input);
        let answer: ShardIterator = self.call("GetShardIterator", &input).await?;
        Ok(answer.shard_iterator)
    }

    /// Reads once.
    pub async fn get_records(&self, iterator: &str) -> Result<Records, Failure> {
        self.call_once("GetRecords", &json!({ "ShardIterator": iterator })).await
    }

    /// Puts once; tells of each record in order what became of it.
    pub async fn put_records(
        &self,
        stream: &StreamRef,
        entries: &[Entry<'_>],
    ) -> Result<Vec<PutResult>, Failure> {
        const OPERATION: &str = "PutRecords";
        let encoded = entries.iter().map(|entry| {
            let data = base64_simd::STANDARD.encode_to_string(entry.data);
            json!({ "PartitionKey": entry.partition_key, "Data": data })
        });
        let input = stream.with(json!({ "Records": encoded.collect::<Vec<_>>() }));
        let PutResults { records } = self.call_once(OPERATION, &input).await?;
        if records.len() == entries.len() {
            return Ok(records);
        }
        let reason = format!("{} records were sent and {} answered", entries.len(), records.len());
        Err(self.strange(OPERATION, reason))
    }

    /// Registers a consumer of a stream.
    pub async fn register_consumer(
        &self,
        stream_arn: &str,
        name: &str,
    ) -> Result<Consumer, Failure> {
        let input = json!({ "StreamARN": stream_arn, "ConsumerName": name });
        let answer: RegisteredConsumer = self.call("RegisterStreamConsumer", &input).await?;
        Ok(answer.consumer)
    }

    /// What a consumer is.
    pub async fn describe_consumer(
        &self,
        stream_arn: &str,
        name: &str,
    ) -> Result<Consumer, Failure> {
        let input = json!({ "StreamARN": stream_arn, "ConsumerName": name });
        let answer: DescribedConsumer = self.call("DescribeStreamConsumer", &input).await?;
        Ok(answer.consumer_description)
    }

    /// Gives a consumer up.
    pub async fn deregister_consumer(&self, consumer_arn: &str) -> Result<(), Failure> {
        let input = json!({ "ConsumerARN": consumer_arn });
        self.call("DeregisterStreamConsumer", &input).await.map(|Nothing {}| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_named_by_name_or_arn() {
        let named = |text: &str| StreamRef::new(text).with(json!({ "Limit": 1 }));
        assert_eq!(named("clicks"), json!({ "StreamName": "clicks", "Limit": 1 }));
        let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks";
        assert_eq!(named(arn), json!({ "StreamARN": arn, "Limit": 1 }));
    }

    #[test]
    fn positions_are_told_as_each_operation_wants_them() {
        let time = Timestamp::from_millisecond(1_733_245_678_123).unwrap();
        let after = || Position::After("49".to_owned());
        for (position, expected) in [
            (Position::Latest, r#"{"Type":"LATEST"}"#),
            (Position::Horizon, r#"{"Type":"TRIM_HORIZON"}"#),
            (Position::At(time), r#"{"Timestamp":1733245678.123,"Type":"AT_TIMESTAMP"}"#),
            (after(), r#"{"SequenceNumber":"49","Type":"AFTER_SEQUENCE_NUMBER"}"#),
        ] {
            assert_eq!(position.members("Type", "SequenceNumber").to_string(), expected);
        }
        let iterator = after().members("ShardIteratorType", "StartingSequenceNumber");
        let expected = json!({
            "ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": "49"
        });
        assert_eq!(iterator, expected);
    }
}
