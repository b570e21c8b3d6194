//! The service's quotas and the front end's own bounds; each with its unit and its source.
//!
//! Rates are what `--limits aws` enforces; `--limits <factor>` multiplies them, `--limits off`
//! lifts them and the quotas of streams and shards. Sizes always hold.

const MIB: u64 = 1 << 20;

/// Bytes a shard takes in a second: data and partition keys.
///
/// Source: Kinesis Data Streams Developer Guide, Quotas and limits.
pub const WRITE_BYTES_PER_SECOND: u64 = MIB;
/// Bytes of write credit a shard can save up, so that one largest record passes.
///
/// Source: AWS Big Data Blog, October 2025, on records of 10 MiB.
pub const WRITE_BYTES_TANK: u64 = 10 * MIB;
/// Records a shard takes in a second, and the most it takes at once.
///
/// Source: Kinesis Data Streams Developer Guide, Quotas and limits.
pub const WRITE_RECORDS_PER_SECOND: u64 = 1000;
/// Bytes a shard gives in a second to all callers of `GetRecords` together.
///
/// Source: Kinesis Data Streams API Reference, `GetRecords`.
pub const READ_BYTES_PER_SECOND: u64 = 2 * MIB;
/// Calls of `GetRecords` a shard answers in a second.
///
/// Source: Kinesis Data Streams API Reference, `GetRecords`.
pub const READ_CALLS_PER_SECOND: u64 = 5;
/// Calls of `GetShardIterator` a shard answers in a second.
///
/// Source: Kinesis Data Streams API Reference, `GetShardIterator`.
pub const ITERATOR_CALLS_PER_SECOND: u64 = 5;

/// Calls in a second for an account in a region.
///
/// Source: Kinesis Data Streams API Reference, `CreateStream`.
pub const CREATE_STREAM_PER_SECOND: u64 = 5;
/// Calls in a second for an account in a region.
///
/// Source: Kinesis Data Streams API Reference, `DeleteStream`.
pub const DELETE_STREAM_PER_SECOND: u64 = 5;
/// Calls in a second for an account in a region.
///
/// Source: Kinesis Data Streams API Reference, `DescribeStream`.
pub const DESCRIBE_STREAM_PER_SECOND: u64 = 10;
/// Calls in a second for an account in a region.
///
/// Source: Kinesis Data Streams API Reference, `DescribeStreamSummary`.
pub const DESCRIBE_STREAM_SUMMARY_PER_SECOND: u64 = 20;
/// Calls in a second for an account in a region.
///
/// Source: Kinesis Data Streams API Reference, `ListStreams`.
pub const LIST_STREAMS_PER_SECOND: u64 = 5;
/// Calls in a second for one stream.
///
/// Source: Kinesis Data Streams API Reference, `ListShards`.
pub const LIST_SHARDS_PER_SECOND: u64 = 1000;

/// Payload of one `PutRecords` call, in bytes of data and partition keys.
///
/// Source: Kinesis Data Streams API Reference, `PutRecords`.
pub const PUT_RECORDS_BYTES_MAX: usize = 10 << 20;
/// Records of one `PutRecords` call.
///
/// Source: Kinesis Data Streams API Reference, `PutRecords`.
pub const PUT_RECORDS_MAX: usize = 500;
/// Longest data of a record in any stream, in bytes.
///
/// Source: Kinesis Data Streams API Reference, `UpdateMaxRecordSize`.
pub const RECORD_DATA_BYTES_MAX: usize = 10 << 20;
/// Longest record of a new stream, in KiB.
///
/// Source: Kinesis Data Streams API Reference, `CreateStream`, `MaxRecordSizeInKiB`.
pub const RECORD_KIB_DEFAULT: u32 = 1024;
/// Smallest and largest setting for the longest record of a stream, in KiB.
///
/// Source: Kinesis Data Streams API Reference, `MaxRecordSizeInKiB`.
pub const RECORD_KIB: (i64, i64) = (1024, 10_240);
/// Bytes of one `GetRecords` answer, in keys and data.
///
/// Source: Kinesis Data Streams API Reference, `GetRecords`.
pub const GET_RECORDS_BYTES_MAX: usize = 10 << 20;
/// Records of one `GetRecords` answer.
///
/// Source: Kinesis Data Streams API Reference, `GetRecords`.
pub const GET_RECORDS_MAX: usize = 10_000;

/// How long a shard iterator can be used, in milliseconds.
///
/// Source: Kinesis Data Streams API Reference, `GetShardIterator`.
pub const SHARD_ITERATOR_AGE_MS_MAX: u64 = 300_000;
/// How long a `NextToken` can be used, in milliseconds.
///
/// Source: Kinesis Data Streams API Reference, `ListShards`, `NextToken`.
pub const NEXT_TOKEN_AGE_MS_MAX: u64 = 300_000;

/// Entries on one page of `DescribeStream` and of `ListStreams`.
///
/// Source: Kinesis Data Streams API Reference, `DescribeStream` and `ListStreams`, `Limit`.
pub const PAGE_ENTRIES_MAX: usize = 100;
/// Shards on one page of `ListShards`.
///
/// Source: Kinesis Data Streams API Reference, `ListShards`, `MaxResults`.
pub const LIST_SHARDS_PAGE_MAX: usize = 1000;

/// Retention of a new stream, in hours.
///
/// Source: Kinesis Data Streams API Reference, `CreateStream`.
pub const RETENTION_HOURS_DEFAULT: u32 = 24;
/// Shards an on-demand stream starts with.
///
/// Source: Kinesis Data Streams Developer Guide, on-demand mode.
pub const ON_DEMAND_SHARDS: u32 = 4;
/// Streams of an account and region that may be in CREATING at once.
///
/// Source: Kinesis Data Streams API Reference, `CreateStream`.
pub const CREATING_STREAMS_MAX: usize = 5;
/// On-demand streams of an account and region.
///
/// Source: Kinesis Data Streams Developer Guide, Quotas and limits.
pub const ON_DEMAND_STREAMS_MAX: usize = 50;
/// Tags of one stream.
///
/// Source: Kinesis Data Streams API Reference, `AddTagsToStream`.
pub const TAGS_MAX: usize = 50;
/// Shards of an account and region when the service's quotas are lifted: our own bound.
pub const SHARDS_MAX: u32 = 100_000;

/// Open shards an account may have in `region`.
///
/// Source: Kinesis Data Streams Developer Guide, Quotas and limits.
pub fn shard_quota(region: &str) -> u32 {
    match region {
        "us-east-1" | "us-west-2" | "eu-west-1" => 20_000,
        _ => 6_000,
    }
}

/// Deepest nesting of lists and maps in a body. Own bound: no input of the API nests deeper than 5.
pub const BODY_DEPTH_MAX: usize = 32;

/// Most values (scalars, lists and maps) in one body. Own bound on memory per request, since a value
/// takes more room parsed than written; the largest legal `PutRecords` has about 2,000.
pub const BODY_VALUES_MAX: usize = 65_536;

/// Most digits of one number in a body. Own bound: no member of the API needs more than 10.
pub const BODY_NUMBER_DIGITS_MAX: usize = 40;

/// Most entries of one `ValidationException` message. Observed of the service.
pub const VIOLATIONS_MAX: usize = 10;
