//! What the inputs of the stream operations are, written down once more from the service's model
//! and not from the server's own tables: members, which of them are required, and their constraints.

/// Kind of a member with its constraints.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// Text: shortest and longest, and its pattern.
    Text(Option<(usize, usize)>, Option<&'static Pattern>),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A number with its smallest and largest value.
    Number(Option<i64>, Option<i64>),
    /// true, false.
    Flag,
    /// A time.
    Time,
    /// Bytes up to so many.
    Bytes(usize),
    /// Fewest and most entries of this kind.
    List(&'static Self, (usize, usize)),
    /// Tags.
    Tags,
    /// A row of [`STRUCTURES`].
    Structure(&'static str),
}

impl Rule {
    /// The structure it is, or is a list of.
    pub(super) fn structure(self) -> Option<&'static str> {
        match self {
            Self::Structure(name) => Some(name),
            Self::List(of, _) => of.structure(),
            _ => None,
        }
    }
}

/// A pattern as messages print it.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) printed: &'static str,
    /// A text that fits, of so many characters if any has that length.
    pub(super) text: fn(usize) -> String,
    /// Whether only texts of one length fit.
    pub(super) is_fixed: bool,
    /// Further texts that fit.
    pub(super) more: &'static [&'static str],
    /// Texts of a legal length that do not fit.
    pub(super) others: &'static [&'static str],
}

fn padded(beginning: &str, length: usize) -> String {
    let mut text = beginning.to_owned();
    while text.len() < length {
        text.push('1');
    }
    text
}

static NAME: Pattern = Pattern {
    printed: "[a-zA-Z0-9_.-]+",
    text: |length| padded("a", length),
    is_fixed: false,
    more: &["a", "A-z_0.9"],
    others: &["a b", "a/b", "a:b", "\u{fc}", "a\n"],
};
static STREAM_ARN: Pattern = Pattern {
    printed: r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+",
    text: |length| padded("arn:aws:kinesis:us-east-1:123456789012:stream/a", length),
    is_fixed: false,
    more: &[
        "arn:aws:kinesis:us-east-1:123456789012:stream/a",
        "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/a",
    ],
    others: &[
        "s",
        "arn:aws:kinesis:us-east-1:123456789012:stream/",
        "arn:aws:kinesis:us-east-1:12345678901:stream/a",
        "arn:aws:kinesis:us-east-1:123456789012:queue/a",
        "arn:aws:kinesis:us-east-1:123456789012:stream/a b",
        "arn:aws:sqs:us-east-1:123456789012:stream/a",
        "xarn:aws:kinesis:us-east-1:123456789012:stream/a",
    ],
};
static CONSUMER_ARN: Pattern = Pattern {
    printed: r"^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+",
    text: |length| padded("arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/c:1", length),
    is_fixed: false,
    more: &[
        "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/c:1",
        "arn:aws-us-gov:kinesis:us-gov-west-1:123456789012:stream/a_.-b/consumer/A.c-d_e:1700000000",
    ],
    others: &[
        "c",
        "arn:aws:kinesis:us-east-1:123456789012:stream/a",
        "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/c",
        "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/c:",
        "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/c:x",
        "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/c d:1",
        "arn:aws:kinesis:us-east-1:123456789012:stream/a b/consumer/c:1",
        "arn:aws:kinesis:us-east-1:12345678901x:stream/a/consumer/c:1",
    ],
};
static RESOURCE_ARN: Pattern = Pattern {
    printed: r"arn:aws.*:kinesis:.*:\d{12}:.*(stream|channel|queue)/\S+",
    text: |length| padded("arn:aws:kinesis:us-east-1:123456789012:stream/a", length),
    is_fixed: false,
    more: &[
        "arn:aws:kinesis:us-east-1:123456789012:stream/a",
        "arn:aws:kinesis:us-east-1:123456789012:stream/a/consumer/c:1",
        "arn:aws:kinesis:us-east-1:123456789012:queue/q",
        "arn:aws:kinesis:us-east-1:123456789012:channel/c",
    ],
    others: &[
        "s",
        "arn:aws:kinesis:us-east-1:123456789012:stream/",
        "arn:aws:kinesis:us-east-1:123456789012:topic/a",
        "arn:aws:kinesis:us-east-1:1234:stream/a",
        "arn:aws:kinesis:us-east-1:123456789012:stream/a b",
        "arn:aws:sqs:us-east-1:123456789012:queue/a",
    ],
};
static STREAM_ID: Pattern = Pattern {
    printed: "[a-z0-9]{20}-[a-z0-9]{3}",
    text: |length| padded("abcdefghij0123456789-a0", length),
    is_fixed: true,
    more: &["abcdefghij0123456789-a0z"],
    others: &["a", "ABCDEFGHIJ0123456789-A0Z", "abcdefghij01234567890a0z"],
};
static HASH_KEY: Pattern = Pattern {
    printed: r"0|([1-9]\d{0,38})",
    text: |length| padded("1", length.min(39)),
    is_fixed: false,
    more: &["1", "0", "340282366920938463463374607431768211455"],
    others: &["", "01", "-1", "1a", " 1", "1111111111222222222233333333334444444444"],
};
const NUMBER_OF_130_DIGITS: &str = "1234567890123456789012345678901234567890123456789012345678901234567890\
    123456789012345678901234567890123456789012345678901234567890";
static SEQUENCE_NUMBER: Pattern = Pattern {
    printed: r"0|([1-9]\d{0,128})",
    text: |length| padded("1", length.min(129)),
    is_fixed: false,
    more: &["1", "0"],
    others: &["", "00", "-1", "1.0", "LATEST", NUMBER_OF_130_DIGITS],
};

static METRIC: Rule = Rule::Word(&[
    "IncomingBytes",
    "IncomingRecords",
    "OutgoingBytes",
    "OutgoingRecords",
    "WriteProvisionedThroughputExceeded",
    "ReadProvisionedThroughputExceeded",
    "IteratorAgeMilliseconds",
    "ALL",
]);
static TAG_KEY: Rule = Rule::Text(Some(TAG_KEY_LENGTH), None);
static PUT_RECORDS_ENTRY: Rule = Rule::Structure("PutRecordsRequestEntry");

/// Fewest and most tags, and lengths of their keys and values.
pub(super) const TAGS_LENGTH: (usize, usize) = (1, 200);
pub(super) const TAG_KEY_LENGTH: (usize, usize) = (1, 128);
pub(super) const TAG_VALUE_LENGTH: (usize, usize) = (0, 256);

/// Members of the inputs; `*` marks the required ones.
pub(super) const INPUTS: &[(&str, &str)] = &[
    ("AddTagsToStream", "StreamName Tags* StreamARN StreamId"),
    (
        "CreateStream",
        "StreamName* ShardCount StreamModeDetails Tags WarmThroughputMiBps MaxRecordSizeInKiB \
         RecordDistributionStrategy",
    ),
    ("DecreaseStreamRetentionPeriod", "StreamName RetentionPeriodHours* StreamARN StreamId"),
    ("DeleteResourcePolicy", "ResourceARN* StreamId"),
    ("DeleteStream", "StreamName EnforceConsumerDeletion StreamARN StreamId"),
    ("DeregisterStreamConsumer", "StreamARN ConsumerName ConsumerARN StreamId"),
    ("DescribeAccountSettings", ""),
    ("DescribeLimits", ""),
    ("DescribeStream", "StreamName Limit ExclusiveStartShardId StreamARN StreamId"),
    ("DescribeStreamConsumer", "StreamARN ConsumerName ConsumerARN StreamId"),
    ("DescribeStreamSummary", "StreamName StreamARN StreamId"),
    ("DisableEnhancedMonitoring", "StreamName ShardLevelMetrics* StreamARN StreamId"),
    ("EnableEnhancedMonitoring", "StreamName ShardLevelMetrics* StreamARN StreamId"),
    ("GetRecords", "ShardIterator* Limit StreamARN StreamId DryRun"),
    ("GetResourcePolicy", "ResourceARN* StreamId"),
    (
        "GetShardIterator",
        "StreamName ShardId* ShardIteratorType* StartingSequenceNumber Timestamp StreamARN \
         StreamId DryRun",
    ),
    ("IncreaseStreamRetentionPeriod", "StreamName RetentionPeriodHours* StreamARN StreamId"),
    (
        "ListShards",
        "StreamName NextToken ExclusiveStartShardId MaxResults StreamCreationTimestamp \
         ShardFilter StreamARN StreamId",
    ),
    ("ListStreamConsumers", "StreamARN* NextToken MaxResults StreamCreationTimestamp StreamId"),
    ("ListStreams", "Limit ExclusiveStartStreamName NextToken"),
    ("ListTagsForResource", "ResourceARN* StreamId"),
    ("ListTagsForStream", "StreamName ExclusiveStartTagKey Limit StreamARN StreamId"),
    ("MergeShards", "StreamName ShardToMerge* AdjacentShardToMerge* StreamARN StreamId"),
    (
        "PutRecord",
        "StreamName Data* PartitionKey ExplicitHashKey SequenceNumberForOrdering StreamARN \
         StreamId DryRun",
    ),
    ("PutRecords", "Records* StreamName StreamARN StreamId DryRun"),
    ("PutResourcePolicy", "ResourceARN* StreamId Policy*"),
    ("RegisterStreamConsumer", "StreamARN* ConsumerName* StreamId Tags"),
    ("RemoveTagsFromStream", "StreamName TagKeys* StreamARN StreamId"),
    ("SplitShard", "StreamName ShardToSplit* NewStartingHashKey* StreamARN StreamId"),
    ("StartStreamEncryption", "StreamName EncryptionType* KeyId* StreamARN StreamId"),
    ("StopStreamEncryption", "StreamName EncryptionType* KeyId* StreamARN StreamId"),
    ("SubscribeToShard", "ConsumerARN* StreamId ShardId* StartingPosition* DryRun"),
    ("TagResource", "Tags* ResourceARN* StreamId"),
    ("UntagResource", "TagKeys* ResourceARN* StreamId"),
    ("UpdateAccountSettings", "MinimumThroughputBillingCommitment*"),
    ("UpdateMaxRecordSize", "StreamARN StreamId MaxRecordSizeInKiB*"),
    ("UpdateShardCount", "StreamName TargetShardCount* ScalingType* StreamARN StreamId"),
    ("UpdateStreamMode", "StreamARN* StreamId StreamModeDetails* WarmThroughputMiBps"),
    ("UpdateStreamRecordDistributionStrategy", "StreamARN* StreamId RecordDistributionStrategy*"),
    ("UpdateStreamWarmThroughput", "StreamARN StreamName StreamId WarmThroughputMiBps*"),
];

/// The same for what is nested.
pub(super) const STRUCTURES: &[(&str, &str)] = &[
    ("MinimumThroughputBillingCommitment", "Status*"),
    ("PutRecordsRequestEntry", "Data* ExplicitHashKey PartitionKey"),
    ("ShardFilter", "Type* ShardId Timestamp"),
    ("StartingPosition", "Type* SequenceNumber Timestamp"),
    ("StreamModeDetails", "StreamMode*"),
];

/// Members whose values messages never print.
pub(super) const UNPRINTED: &[&str] = &["Data", "PartitionKey", "Records"];

/// The constraints of `member` in the input or structure `owner`.
pub(super) fn rule(owner: &str, member: &str) -> Rule {
    let name = Rule::Text(Some((1, 128)), Some(&NAME));
    let arn = |pattern| Rule::Text(Some((1, 2048)), Some(pattern));
    match (owner, member) {
        ("ListTagsForStream", "Limit") => Rule::Number(Some(1), Some(50)),
        (_, "Limit" | "MaxResults") => Rule::Number(Some(1), Some(10_000)),
        ("ShardFilter", "Type") => Rule::Word(&[
            "AFTER_SHARD_ID",
            "AT_TRIM_HORIZON",
            "FROM_TRIM_HORIZON",
            "AT_LATEST",
            "AT_TIMESTAMP",
            "FROM_TIMESTAMP",
        ]),
        (_, "Type" | "ShardIteratorType") => Rule::Word(&[
            "AFTER_SEQUENCE_NUMBER",
            "LATEST",
            "AT_TIMESTAMP",
            "AT_SEQUENCE_NUMBER",
            "TRIM_HORIZON",
        ]),
        (
            _,
            "StreamName"
            | "ConsumerName"
            | "ShardId"
            | "ShardToSplit"
            | "ShardToMerge"
            | "AdjacentShardToMerge"
            | "ExclusiveStartShardId"
            | "ExclusiveStartStreamName",
        ) => name,
        (_, "StreamARN") => arn(&STREAM_ARN),
        (_, "ConsumerARN") => arn(&CONSUMER_ARN),
        (_, "ResourceARN") => arn(&RESOURCE_ARN),
        (_, "StreamId") => Rule::Text(Some((1, 24)), Some(&STREAM_ID)),
        (_, "Data") => Rule::Bytes(10_485_760),
        (_, "PartitionKey") => Rule::Text(Some((1, 256)), None),
        (_, "ExplicitHashKey" | "NewStartingHashKey") => Rule::Text(None, Some(&HASH_KEY)),
        (_, "StartingSequenceNumber" | "SequenceNumber" | "SequenceNumberForOrdering") => {
            Rule::Text(None, Some(&SEQUENCE_NUMBER))
        }
        (_, "Records") => Rule::List(&PUT_RECORDS_ENTRY, (1, 500)),
        (_, "ShardIterator") => Rule::Text(Some((1, 512)), None),
        (_, "NextToken") => Rule::Text(Some((1, 1_048_576)), None),
        (_, "ShardCount" | "TargetShardCount") => Rule::Number(Some(1), None),
        (_, "RetentionPeriodHours") => Rule::Number(None, None),
        (_, "MaxRecordSizeInKiB") => Rule::Number(Some(1024), Some(10_240)),
        (_, "WarmThroughputMiBps") => Rule::Number(Some(0), None),
        (_, "Tags") => Rule::Tags,
        (_, "TagKeys") => Rule::List(&TAG_KEY, (1, 50)),
        (_, "ExclusiveStartTagKey") => TAG_KEY,
        (_, "ShardLevelMetrics") => Rule::List(&METRIC, (1, 7)),
        (_, "KeyId") => Rule::Text(Some((1, 2048)), None),
        (_, "EncryptionType") => Rule::Word(&["NONE", "KMS"]),
        (_, "StreamMode") => Rule::Word(&["PROVISIONED", "ON_DEMAND"]),
        (_, "RecordDistributionStrategy") => Rule::Word(&["AUTO", "USER_PARTITION_KEY"]),
        (_, "ScalingType") => Rule::Word(&["UNIFORM_SCALING"]),
        (_, "Status") => Rule::Word(&["ENABLED", "DISABLED"]),
        (_, "Policy") => Rule::Text(None, None),
        (_, "DryRun" | "EnforceConsumerDeletion") => Rule::Flag,
        (_, "Timestamp" | "StreamCreationTimestamp") => Rule::Time,
        (_, "MinimumThroughputBillingCommitment") => {
            Rule::Structure("MinimumThroughputBillingCommitment")
        }
        (_, "ShardFilter") => Rule::Structure("ShardFilter"),
        (_, "StartingPosition") => Rule::Structure("StartingPosition"),
        (_, "StreamModeDetails") => Rule::Structure("StreamModeDetails"),
        _ => panic!("{owner}.{member} is in no catalogue"),
    }
}

/// Members of a row, in its order, and whether each is required.
pub(super) fn members(row: &'static str) -> impl Iterator<Item = (&'static str, bool)> {
    row.split_whitespace().map(|member| match member.strip_suffix('*') {
        Some(member) => (member, true),
        None => (member, false),
    })
}

/// The row of an operation or structure.
pub(super) fn row(rows: &'static [(&str, &str)], name: &str) -> &'static str {
    let found = rows.iter().find(|(owner, _)| *owner == name);
    found.unwrap_or_else(|| panic!("{name} is in no catalogue")).1
}
