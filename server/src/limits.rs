//! The service's quotas and the front end's own bounds; each with its unit and its source.
//!
//! Rates are what `--limits aws` enforces; `--limits <factor>` multiplies them, `--limits off`
//! lifts them and the quotas of streams and shards. Sizes always hold.

mod front;

pub use front::*;

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
/// Source: Kinesis Data Streams API Reference, `SplitShard`.
pub const SPLIT_SHARD_PER_SECOND: u64 = 5;
/// Calls in a second for an account in a region.
///
/// Source: Kinesis Data Streams API Reference, `UpdateShardCount`.
pub const UPDATE_SHARD_COUNT_PER_SECOND: u64 = 10;
/// Changes of the number of shards by `UpdateShardCount` for one stream in any 24 hours.
///
/// Source: Kinesis Data Streams API Reference, `UpdateShardCount`.
pub const SHARD_COUNT_UPDATES_PER_DAY_MAX: usize = 10;
/// Shards `UpdateShardCount` scales to.
///
/// Source: Kinesis Data Streams API Reference, `UpdateShardCount`.
pub const SHARD_COUNT_TARGET_MAX: usize = 10_000;
/// Calls in a second for an account in a region.
///
/// Source: Kinesis Data Streams API Reference, `MergeShards`.
pub const MERGE_SHARDS_PER_SECOND: u64 = 5;
/// Calls in a second for an account in a region.
///
/// Source: Kinesis Data Streams API Reference, `ListStreams`.
pub const LIST_STREAMS_PER_SECOND: u64 = 5;
/// Calls in a second for an account in a region.
///
/// Source: Kinesis Data Streams API Reference, `DescribeLimits`.
pub const DESCRIBE_LIMITS_PER_SECOND: u64 = 1;
/// Calls in a second for an account in a region.
///
/// Source: Kinesis Data Streams API Reference, `DescribeAccountSettings`.
pub const DESCRIBE_ACCOUNT_SETTINGS_PER_SECOND: u64 = 5;
/// Calls in a second for an account in a region.
///
/// Source: Kinesis Data Streams API Reference, `UpdateStreamWarmThroughput`.
pub const UPDATE_STREAM_WARM_THROUGHPUT_PER_SECOND: u64 = 5;
/// Calls in a second for an account in a region.
///
/// Source: Kinesis Data Streams API Reference, `UpdateAccountSettings`.
pub const UPDATE_ACCOUNT_SETTINGS_PER_SECOND: u64 = 5;
/// Calls in a second for an account in a region.
///
/// Reason: the service names none; that of the other calls that change a stream.
pub const UPDATE_STREAM_MODE_PER_SECOND: u64 = 5;
/// Calls in a second for an account in a region.
///
/// Reason: the service names none; that of the other calls that change a stream.
pub const UPDATE_MAX_RECORD_SIZE_PER_SECOND: u64 = 5;
/// Calls in a second for an account in a region.
///
/// Reason: the service names none; that of the other calls that change a stream.
pub const UPDATE_STREAM_RECORD_DISTRIBUTION_STRATEGY_PER_SECOND: u64 = 5;
/// Calls in a second for one stream.
///
/// Source: Kinesis Data Streams API Reference, `ListShards`.
pub const LIST_SHARDS_PER_SECOND: u64 = 1000;

/// Calls in a second for an account in a region.
///
/// Source: Kinesis Data Streams API Reference, `RegisterStreamConsumer`.
pub const REGISTER_STREAM_CONSUMER_PER_SECOND: u64 = 5;
/// Calls in a second for one stream.
///
/// Source: Kinesis Data Streams API Reference, `DeregisterStreamConsumer`.
pub const DEREGISTER_STREAM_CONSUMER_PER_SECOND: u64 = 5;
/// Calls in a second for one stream.
///
/// Source: Kinesis Data Streams API Reference, `DescribeStreamConsumer`.
pub const DESCRIBE_STREAM_CONSUMER_PER_SECOND: u64 = 20;
/// Calls in a second for one stream.
///
/// Source: Kinesis Data Streams API Reference, `ListStreamConsumers`.
pub const LIST_STREAM_CONSUMERS_PER_SECOND: u64 = 5;
/// Calls in a second for an account in a region, of every operation that has no rate of its own.
///
/// Source: Kinesis Data Streams Developer Guide, Quotas and limits.
pub const CALLS_PER_SECOND: u64 = 5;

/// Calls in a second for one consumer and shard.
///
/// Source: Kinesis Data Streams API Reference, `SubscribeToShard`.
pub const SUBSCRIBE_TO_SHARD_PER_SECOND: u64 = 1;
/// Bytes a consumer is sent of a shard in a second.
///
/// Source: Kinesis Data Streams Developer Guide, enhanced fan-out.
pub const PUSH_BYTES_PER_SECOND: u64 = 2 * MIB;

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
/// Longest partition key, in UTF-16 units.
///
/// Source: Kinesis Data Streams API Reference, `PutRecord`, `PartitionKey`.
pub const PARTITION_KEY_UNITS_MAX: usize = 256;
/// Bytes of one `GetRecords` answer, in keys and data.
///
/// Source: Kinesis Data Streams API Reference, `GetRecords`.
pub const GET_RECORDS_BYTES_MAX: usize = 10 << 20;
/// Calls of `GetRecords` that may read from the disk at once.
///
/// Reason: the engine reads with two threads, so that more only hold memory: up to
/// [`GET_RECORDS_BYTES_MAX`] each, and the answer made of it.
pub const COLD_READS_MAX: usize = 16;
/// Memory for each of them: where a process may have less than so many times this, there are fewer.
///
/// Reason: records and answer take up to 40 MiB, which leaves the rest its share.
pub const COLD_READ_MEMORY_BYTES: usize = 256 << 20;
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

/// How long a subscription lasts, in milliseconds.
///
/// Source: Kinesis Data Streams API Reference, `SubscribeToShard`.
pub const SUBSCRIPTION_MS: u64 = 300_000;
/// How long a subscription cannot be taken over, in milliseconds.
///
/// Source: Kinesis Data Streams API Reference, `SubscribeToShard`.
pub const TAKE_OVER_AFTER_MS: u64 = 5_000;
/// Longest time between two events of a subscription, in milliseconds.
///
/// Reason: the SDK for Java gives up a subscription that is silent for 10 seconds.
pub const EVENT_IDLE_MS: u64 = 4_900;
/// What may be taken off that time, by chance, in milliseconds.
///
/// Reason: subscriptions that begin together do not stay in step for ever.
pub const EVENT_IDLE_JITTER_MS: u64 = 500;
/// How often a subscriber looks for a shard that should have begun, in milliseconds.
///
/// Reason: it begins late only where the disk is in trouble.
pub const PLANNED_SHARD_LOOK_MS: u64 = 10;
/// Bytes of keys and data in one event, but for one larger record.
///
/// Reason: half a second at the rate of a subscription.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// The same while readers hold more than `EVENTS_HELD_BYTES_MAX`.
///
/// Reason: what one client can hold that does not read.
pub const EVENT_BYTES_CROWDED_MAX: usize = 16 << 10;
/// Records of one event.
///
/// Reason: with the shortest of records an event still is about 1 MiB of JSON.
pub const EVENT_RECORDS_MAX: usize = 5_000;
/// Bytes of encoded records held for and by subscribers above which new events are small.
///
/// Reason: about a hundred of the largest events; with small ones, thousands of subscribers fit.
pub const EVENTS_HELD_BYTES_MAX: usize = 128 << 20;
/// Bytes of encoded records remembered for the subscribers of one shard.
///
/// Reason: two seconds of a shard that takes all it can.
pub const FEED_BYTES_MAX: usize = 4 << 20;
/// Blocks of encoded records remembered for the subscribers of one shard.
///
/// Reason: they are looked through for the one that starts at a place.
pub const FEED_BLOCKS_MAX: usize = 128;

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
/// Shortest and longest retention of a stream, in hours.
///
/// Source: Kinesis Data Streams Developer Guide, Quotas and limits.
pub const RETENTION_HOURS: (u32, u32) = (24, 8760);
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
/// Consumers of one stream.
///
/// Source: Kinesis Data Streams API Reference, `RegisterStreamConsumer`.
pub const CONSUMERS_OF_STREAM_MAX: usize = 20;
/// Consumers of one on-demand stream of an account with the commitment.
///
/// Source: Kinesis Data Streams Developer Guide, on-demand advantage.
pub const CONSUMERS_OF_STREAM_MAX_WITH_ADVANTAGE: usize = 50;
/// Consumers of one stream that may be in CREATING at once.
///
/// Source: Kinesis Data Streams API Reference, `RegisterStreamConsumer`.
pub const CREATING_CONSUMERS_MAX: usize = 5;
/// Consumers of one stream when the service's quotas are lifted.
///
/// Reason: they share one document, which every change writes anew.
pub const CONSUMERS_MAX: usize = 500;
/// Switches of a stream between its capacity modes in any 24 hours.
///
/// Source: Kinesis Data Streams API Reference, `UpdateStreamMode`.
pub const MODE_SWITCHES_PER_DAY: usize = 2;
/// How long an account's commitment to a minimum throughput lasts at least, in milliseconds.
///
/// Source: Kinesis Data Streams Developer Guide, on-demand advantage.
pub const COMMITMENT_MS_MIN: u64 = 24 * 3_600_000;
/// Most warm throughput, in MiB a second; also the shards that on-demand streams of an account with
/// the commitment can grow to.
///
/// Source: Kinesis Data Streams API Reference, `UpdateStreamWarmThroughput`.
pub const WARM_THROUGHPUT_MIBPS_MAX: u32 = 10_240;
/// Longest resource policy, in bytes.
///
/// Reason: it is kept in memory with its stream; as long as services of AWS allow elsewhere.
pub const RESOURCE_POLICY_BYTES_MAX: usize = 20 << 10;
/// Successes of `StartStreamEncryption`, and as many of `StopStreamEncryption`, for a stream in any
/// 24 hours.
///
/// Source: Kinesis Data Streams API Reference, `StartStreamEncryption` and `StopStreamEncryption`.
pub const ENCRYPTION_CHANGES_PER_DAY: usize = 25;
/// Tags of one stream or consumer.
///
/// Source: Kinesis Data Streams API Reference, `AddTagsToStream`.
pub const TAGS_MAX: usize = 50;
/// Shards of an account and region when the service's quotas are lifted: our own bound.
///
/// Reason: a bound of our own; no real client comes near it.
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

/// Load above which a shard of an on-demand stream is split, in thousandths of what it carries; a
/// stream has as many shards as keep them below it at its peak.
///
/// Source: Kinesis Data Streams Developer Guide, on-demand mode: 500 KB/s, and twice the peak.
pub const ON_DEMAND_LOAD_MAX: u64 = 500;
/// Load of two neighbours together up to which they merge, in the same unit.
///
/// Reason: half of the load at which a shard is split, so that they do not part again soon.
pub const ON_DEMAND_MERGED_LOAD_MAX: u64 = 250;
/// Days for which the peak of a day counts after it.
///
/// Source: Kinesis Data Streams Developer Guide, on-demand mode.
pub const ON_DEMAND_MEMORY_DAYS: u64 = 30;
/// How long writes are above what an on-demand stream has shards for until it grows, in milliseconds.
///
/// Source: Kinesis Data Streams Developer Guide, on-demand mode: 15 minutes.
pub const ON_DEMAND_LAG_MS: u64 = 15 * 60_000;
/// How long an on-demand stream must not have grown to give shards back, in milliseconds.
///
/// Reason: traffic of a day goes up and down once.
pub const ON_DEMAND_SHRINK_MS: u64 = 24 * 3_600_000;
/// Time between measurements of on-demand streams.
///
/// Reason: a peak is a minute long, as in the service's metrics.
pub const ON_DEMAND_INTERVAL: Duration = Duration::from_mins(1);
/// Time between measurements of on-demand streams that scale at once.
///
/// Reason: a step of growth begins with the next second.
pub const ON_DEMAND_INTERVAL_OPEN: Duration = Duration::from_secs(1);
/// Shards that the on-demand streams of an account in `region` can grow to.
///
/// Source: Kinesis Data Streams Developer Guide, Quotas and limits: 10 GB/s and 200 MB/s of writes.
pub fn on_demand_shards_max(region: &str) -> u32 {
    match region {
        "us-east-1" | "us-west-2" | "eu-west-1" => 10_000,
        _ => 200,
    }
}

use std::time::Duration;

/// Deepest nesting of lists and maps in a body. Own bound: no input of the API nests deeper than 5.
///
/// Reason: a bound of our own; no real client comes near it.
pub const BODY_DEPTH_MAX: usize = 32;

/// Most values (scalars, lists and maps) in one body. Own bound on memory per request, since a value
/// takes more room parsed than written; the largest legal `PutRecords` has about 2,000.
///
/// Reason: a bound of our own; no real client comes near it.
pub const BODY_VALUES_MAX: usize = 65_536;

/// Most digits of one number in a body. Own bound: no member of the API needs more than 10.
///
/// Reason: a bound of our own; no real client comes near it.
pub const BODY_NUMBER_DIGITS_MAX: usize = 40;

/// Most entries of one `ValidationException` message.
///
/// Source: observed of the service.
pub const VIOLATIONS_MAX: usize = 10;

/// Streams with a tally of their own; further ones share one.
///
/// Reason: sixteen lines each in an answer that is read every few seconds.
pub const STREAMS_MEASURED_MAX: usize = 1_000;

/// Shards with a tally of their own, in streams that have metrics of their shards enabled; further
/// ones share one.
///
/// Reason: seven lines each in the same answer.
pub const SHARDS_MEASURED_MAX: usize = 2_000;

/// Time our own client gives a connection to come about.
///
/// Reason: a lost packet of the handshake is sent again after 1 and 3 seconds.
pub const CLIENT_CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Time our own client gives a whole answer.
///
/// Reason: the longest answer, 14 MB, over a slow line.
pub const CLIENT_ANSWER_TIME_MAX: Duration = Duration::from_mins(1);

/// Longest answer our own client reads, in bytes.
///
/// Reason: four times the longest of `GetRecords`, 10 MiB in base64 and its keys.
pub const CLIENT_ANSWER_BYTES_MAX: usize = 64 << 20;

/// Time our own client waits for the next event of a subscription.
///
/// Reason: an event comes every 5 seconds, also where nothing happens; five of them may be lost.
pub const CLIENT_EVENT_TIME_MAX: Duration = Duration::from_secs(30);

/// Time our own client keeps a connection it does not use.
///
/// Reason: shorter than endpoints do, so that no call meets a connection that is being closed.
pub const CLIENT_IDLE_TIME_MAX: Duration = Duration::from_secs(20);

/// Longest certificate or key file that is read, in bytes.
///
/// Reason: a chain of ten certificates with large keys has 30 KiB.
pub const TLS_FILE_BYTES_MAX: usize = 1 << 20;

/// Time a certificate of the server's own is valid for.
///
/// Reason: whoever trusts it does so by hand and should not have to again; ten years.
pub const TLS_VALID: Duration = Duration::from_hours(24 * 3_650);

/// Time a certificate of the server's own is valid for before it was made.
///
/// Reason: clocks of clients may be behind.
pub const TLS_VALID_BEFORE: Duration = Duration::from_hours(24);

/// Time before its end at which a certificate of the server's own is made anew at a start.
///
/// Reason: a server seldom runs for longer without a start.
pub const TLS_RENEW_BEFORE: Duration = Duration::from_hours(24 * 90);

/// Time for which our own client tries again what fails, in seconds, unless told otherwise.
///
/// Reason: a server is restarted, and a burst is over, within a minute.
pub const CLIENT_PATIENCE_SECONDS: u32 = 60;

/// Calls that `kinelog put` has in flight at once.
///
/// Reason: hides the time of a call to a distant region at the rate of dozens of shards.
pub const CLIENT_LANES: usize = 8;

/// Bytes of records that `kinelog put` holds at once: a full call for most lanes.
///
/// Reason: more only waits longer.
pub const CLIENT_PUT_BYTES_MAX: usize = 64 << 20;

/// Consumers with counters of their own; further ones share one set.
///
/// Reason: as for streams.
pub const CONSUMERS_MEASURED_MAX: usize = 1_000;

/// Fault rules in force at once.
///
/// Reason: every call goes through all of them; no test needs more.
pub const FAULT_RULES_MAX: usize = 100;

/// Longest time a fault rule adds to a call, in milliseconds.
///
/// Reason: longer than any client waits for an answer.
pub const FAULT_LATENCY_MS_MAX: u64 = 600_000;

/// Longest set of fault rules that is read, in bytes.
///
/// Reason: all rules there may be, at 600 bytes each.
pub const FAULT_RULES_BYTES_MAX: usize = 64 << 10;
