//! Answers of the operations, as far as they are used here. What endpoints leave out has a default.

use serde::{Deserialize, Deserializer};

/// The answer of an operation that answers nothing of use.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Nothing {}

/// A page of `ListStreams`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamPage {
    /// Names, sorted.
    pub stream_names: Vec<String>,
    /// The same streams with their states; older endpoints do not tell.
    #[serde(default)]
    pub stream_summaries: Vec<StreamSummary>,
    /// Whether there are more.
    pub has_more_streams: bool,
}

/// One entry of `ListStreams`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamSummary {
    /// Its name.
    pub stream_name: String,
    /// Its state, such as `ACTIVE`.
    pub stream_status: String,
    /// Its capacity mode.
    pub stream_mode_details: Option<ModeDetails>,
    /// When it was made, in seconds.
    pub stream_creation_timestamp: Option<f64>,
}

/// How a stream's capacity is chosen.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModeDetails {
    /// `PROVISIONED` or `ON_DEMAND`.
    pub stream_mode: String,
}

/// The answer of `DescribeStreamSummary`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeStreamSummary {
    pub(super) stream_description_summary: StreamDescription,
}

/// A stream.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamDescription {
    /// Its name.
    pub stream_name: String,
    /// Its ARN.
    #[serde(rename = "StreamARN")]
    pub stream_arn: String,
    /// Its state, such as `ACTIVE`.
    pub stream_status: String,
    /// Its capacity mode.
    pub stream_mode_details: Option<ModeDetails>,
    /// How long records stay.
    pub retention_period_hours: u32,
    /// When it was made, in seconds.
    pub stream_creation_timestamp: Option<f64>,
    /// Shards that take records.
    pub open_shard_count: u32,
    /// Registered consumers.
    pub consumer_count: Option<u32>,
    /// `NONE` or `KMS`.
    pub encryption_type: Option<String>,
}

impl StreamDescription {
    /// True if it can be used only later.
    pub fn is_being_made(&self) -> bool {
        self.stream_status == "CREATING"
    }
}

/// A page of `ListShards`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ShardPage {
    pub(super) shards: Vec<Shard>,
    pub(super) next_token: Option<String>,
}

/// A shard.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Shard {
    /// Its id.
    pub shard_id: String,
    /// What it came from.
    pub parent_shard_id: Option<String>,
    /// What else it came from, after a merge.
    pub adjacent_parent_shard_id: Option<String>,
    /// Its share of all hash keys.
    pub hash_key_range: HashKeyRange,
    /// Its first and, once closed, last number.
    pub sequence_number_range: SequenceNumberRange,
}

impl Shard {
    /// What it came from.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        [&self.parent_shard_id, &self.adjacent_parent_shard_id]
            .into_iter()
            .flatten()
            .map(|id| &**id)
    }

    /// True if it takes records.
    pub const fn is_open(&self) -> bool {
        self.sequence_number_range.ending_sequence_number.is_none()
    }
}

/// First and last hash key.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HashKeyRange {
    /// First.
    #[serde(deserialize_with = "digits")]
    pub starting_hash_key: u128,
    /// Last.
    #[serde(deserialize_with = "digits")]
    pub ending_hash_key: u128,
}

fn digits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| serde::de::Error::custom(format!("{text} is no hash key")))
}

/// First and last number of a shard.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SequenceNumberRange {
    /// First.
    pub starting_sequence_number: String,
    /// Last, of a closed shard.
    pub ending_sequence_number: Option<String>,
}

/// The answer of `GetShardIterator`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ShardIterator {
    pub(super) shard_iterator: Option<String>,
}

/// The answer of `GetRecords`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Records {
    /// In order.
    pub records: Vec<Record>,
    /// Where to go on; nothing at the end of a closed shard.
    pub next_shard_iterator: Option<String>,
    /// How far behind the tip of the shard this is.
    pub millis_behind_latest: Option<u64>,
    /// What the shard became, told at its end.
    #[serde(default, deserialize_with = "null_is_none")]
    pub child_shards: Vec<ChildShard>,
}

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Record {
    /// Its number.
    pub sequence_number: String,
    /// When it was taken, in seconds.
    pub approximate_arrival_timestamp: Option<f64>,
    /// Its key, if it was put with one.
    pub partition_key: Option<String>,
    /// What it holds.
    #[serde(deserialize_with = "base64")]
    pub data: Vec<u8>,
}

/// What a closed shard became.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ChildShard {
    /// Its id.
    pub shard_id: String,
    /// What it came from.
    #[serde(default, deserialize_with = "null_is_none")]
    pub parent_shards: Vec<String>,
}

/// The answer of `PutRecords`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutResults {
    pub(super) records: Vec<PutResult>,
}

/// What became of one record.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutResult {
    /// Its number, if it was stored.
    pub sequence_number: Option<String>,
    /// Why it was not.
    pub error_code: Option<String>,
    /// The same in words.
    pub error_message: Option<String>,
}

/// The answer of `RegisterStreamConsumer`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RegisteredConsumer {
    pub(super) consumer: Consumer,
}

/// The answer of `DescribeStreamConsumer`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribedConsumer {
    pub(super) consumer_description: Consumer,
}

/// A consumer with enhanced fan-out.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Consumer {
    /// Its ARN.
    #[serde(rename = "ConsumerARN")]
    pub consumer_arn: String,
    /// Its state, such as `ACTIVE`.
    pub consumer_status: String,
}

/// An event of a subscription.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    /// In order; often none.
    #[serde(default)]
    pub records: Vec<Record>,
    /// Number to go on after; nothing at the end of a closed shard.
    pub continuation_sequence_number: Option<String>,
    /// What the shard became, told at its end.
    #[serde(default, deserialize_with = "null_is_none")]
    pub child_shards: Vec<ChildShard>,
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    base64_simd::STANDARD.decode_to_vec(text.as_bytes()).map_err(serde::de::Error::custom)
}

fn null_is_none<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_with_what_endpoints_leave_out() {
        let text = r#"{"Records":[{"SequenceNumber":"49","Data":"aGk=","Other":1}],
                       "ChildShards":null,"NextShardIterator":"AAA"}"#;
        let answer: Records = serde_json::from_str(text).unwrap();
        let record = Record {
            sequence_number: "49".to_owned(),
            approximate_arrival_timestamp: None,
            partition_key: None,
            data: b"hi".to_vec(),
        };
        assert_eq!(answer.records, [record]);
        assert!(answer.child_shards.is_empty() && answer.millis_behind_latest.is_none());
        assert!(serde_json::from_str::<Records>(&text.replace("aGk=", "aGk")).is_err());
    }

    #[test]
    fn shards_tell_their_parents_and_whether_they_are_open() {
        let text = r#"{"ShardId":"shardId-000000000003","ParentShardId":"shardId-000000000001",
            "AdjacentParentShardId":"shardId-000000000002","HashKeyRange":{"StartingHashKey":"0",
            "EndingHashKey":"340282366920938463463374607431768211455"},
            "SequenceNumberRange":{"StartingSequenceNumber":"49"}}"#;
        let shard: Shard = serde_json::from_str(text).unwrap();
        let parents: Vec<_> = shard.parents().collect();
        assert_eq!(parents, ["shardId-000000000001", "shardId-000000000002"]);
        assert!(shard.is_open());
        assert_eq!(shard.hash_key_range.ending_hash_key, u128::MAX);
        assert!(serde_json::from_str::<Shard>(&text.replace("\"0\"", "\"-1\"")).is_err());
    }
}
