//! Every choice the service has not been seen to make, in one place, so that a later observation
//! changes one line here. Texts are what no known client reads; types are what clients act on.

use std::fmt::Display;

use kinelog_engine::types::{StreamStatus, Timestamp};

use super::shard_id::ShardId;
use super::{Operation, failures};
use crate::aws::Encoding;
use crate::aws::exception::{Exception, Kind};

/// Neither `StreamName` nor `StreamARN`.
pub(super) fn stream_not_named() -> Exception {
    Exception::new(Kind::InvalidArgument, "Either StreamName or StreamARN should be provided.")
}

/// `StreamName` and `StreamARN` name different streams.
pub(super) fn stream_names_disagree(name: &str, arn: &str) -> Exception {
    Exception::new(
        Kind::InvalidArgument,
        format!("StreamName {name} and StreamARN {arn} do not name the same stream."),
    )
}

/// `GetRecords` with a `StreamARN` of another stream than the iterator's.
pub(super) fn iterator_of_another_stream(arn: &str) -> Exception {
    Exception::new(
        Kind::InvalidArgument,
        format!("The ShardIterator does not belong to the stream {arn}."),
    )
}

/// A call that would have succeeded, made with `DryRun`.
pub(super) fn dry_run() -> Exception {
    Exception::new(
        Kind::DryRunOperation,
        "The request would have succeeded, but the DryRun parameter was set.",
    )
}

/// A `NextToken` that is none of ours, or not for this call.
pub(super) fn invalid_next_token() -> Exception {
    Exception::new(Kind::InvalidArgument, "Invalid NextToken.")
}

/// A `NextToken` past its time.
pub(super) fn expired_next_token(age_ms_max: u64) -> Exception {
    Exception::new(
        Kind::ExpiredNextToken,
        format!("NextToken expired. A NextToken can be used for {age_ms_max} milliseconds."),
    )
}

/// `NextToken` together with something the first page has decided. `ListShards` has been seen to say
/// this of all but `StreamCreationTimestamp`.
pub(super) fn next_token_with(member: &str) -> Exception {
    Exception::new(
        Kind::InvalidArgument,
        format!("NextToken and {member} cannot be provided together."),
    )
}

/// A shard filter without a field its type needs.
pub(super) fn filter_field_missing(filter: &str, field: &str) -> Exception {
    Exception::new(Kind::InvalidArgument, format!("ShardFilter of type {filter} requires {field}."))
}

/// A shard filter with a field its type does not use.
pub(super) fn filter_field_unused(filter: &str, field: &str) -> Exception {
    Exception::new(
        Kind::InvalidArgument,
        format!("ShardFilter of type {filter} cannot be used with {field}."),
    )
}

/// A shard filter about the future.
pub(super) fn filter_in_future(timestamp: i64, now: Timestamp) -> Exception {
    Exception::new(
        Kind::InvalidArgument,
        format!(
            "The Timestamp of a ShardFilter cannot be in the future. \
             Timestamp: {timestamp}, current time: {now}"
        ),
    )
}

/// `CreateStream` in mode `ON_DEMAND` with a `ShardCount`.
pub(super) fn on_demand_with_shard_count() -> Exception {
    Exception::new(
        Kind::InvalidArgument,
        "ShardCount cannot be provided for a stream in On-Demand mode.",
    )
}

/// `CreateStream` in mode `PROVISIONED` without a `ShardCount`.
pub(super) fn provisioned_without_shard_count() -> Exception {
    Exception::new(
        Kind::InvalidArgument,
        "ShardCount must be provided for a stream in Provisioned mode.",
    )
}

/// A setting that only on-demand streams have.
pub(super) fn on_demand_only(member: &str) -> Exception {
    Exception::new(
        Kind::InvalidArgument,
        format!("{member} can be provided only for a stream in On-Demand mode."),
    )
}

/// Warm throughput without the account's commitment to pay for it.
pub(super) fn warm_throughput_without_commitment() -> Exception {
    Exception::new(
        Kind::InvalidArgument,
        "WarmThroughputMiBps requires the minimum throughput billing commitment of the account.",
    )
}

/// More warm throughput than an account can have.
pub(super) fn warm_throughput_too_large(limit: u32) -> Exception {
    Exception::new(Kind::LimitExceeded, format!("WarmThroughputMiBps cannot be more than {limit}."))
}

/// More switches of a stream's mode than allowed in 24 hours.
pub(super) fn too_many_mode_switches(stream: &str, account: &str, limit: usize) -> Exception {
    Exception::new(
        Kind::LimitExceeded,
        format!(
            "The mode of stream {stream} under account {account} cannot be switched more than \
             {limit} times in 24 hours."
        ),
    )
}

/// More streams in CREATING than allowed.
pub(super) fn too_many_creating(account: &str, limit: usize) -> Exception {
    Exception::new(
        Kind::LimitExceeded,
        format!("Account {account} cannot have more than {limit} streams in state CREATING."),
    )
}

/// More on-demand streams than allowed.
pub(super) fn too_many_on_demand(account: &str, limit: usize) -> Exception {
    Exception::new(
        Kind::LimitExceeded,
        format!("Account {account} cannot have more than {limit} streams in On-Demand mode."),
    )
}

/// The fewest shards that `UpdateShardCount` takes a stream with `current` ones to: half as many,
/// rounded up.
pub(super) const fn least_shard_count(current: usize) -> usize {
    current.div_ceil(2)
}

/// `UpdateShardCount` to more than double.
pub(super) fn scaling_above_double(current: usize, target: usize) -> Exception {
    Exception::new(
        Kind::LimitExceeded,
        format!(
            "UpdateShardCount cannot scale up over double your current open shard count. Current \
             open shard count: {current} Target shard count: {target}"
        ),
    )
}

/// `UpdateShardCount` to less than half.
pub(super) fn scaling_below_half(current: usize, target: usize) -> Exception {
    Exception::new(
        Kind::LimitExceeded,
        format!(
            "UpdateShardCount cannot scale down below half your current open shard count. Current \
             open shard count: {current} Target shard count: {target}"
        ),
    )
}

/// `UpdateShardCount` to more shards than it scales to, or from more to as many.
pub(super) fn scaling_above_most(current: usize, target: usize, most: usize) -> Exception {
    Exception::new(
        Kind::LimitExceeded,
        format!(
            "UpdateShardCount cannot scale to more than {most} shards, nor from more to {most}. \
             Current open shard count: {current} Target shard count: {target}"
        ),
    )
}

/// `UpdateShardCount` once more in 24 hours. Only what changes the number is counted.
pub(super) fn too_many_shard_count_updates(most: usize) -> Exception {
    Exception::new(
        Kind::LimitExceeded,
        format!("UpdateShardCount cannot be called more than {most} times in 24 hours."),
    )
}

/// `SequenceNumberForOrdering` where the service chooses the shard.
pub(super) fn ordering_with_auto_distribution() -> Exception {
    Exception::new(
        Kind::InvalidArgument,
        "SequenceNumberForOrdering cannot be used with the record distribution strategy AUTO.",
    )
}

/// The whole payload of `PutRecords` is too large.
///
/// The service said `5 MB` while that was the limit.
pub(super) fn records_too_large() -> Exception {
    Exception::new(Kind::InvalidArgument, "Records size exceeds 10 MB limit")
}

/// The message of a record that failed for a reason of ours.
pub(super) const INTERNAL_RECORD_FAILURE: &str = "Internal Service Failure";

/// How much of a record counts against the stream's longest record, given both lengths: the data.
pub(super) const fn bytes_counted_for_record_limit(data: usize, _partition_key: usize) -> usize {
    data
}

/// Too many calls where no stream is named.
pub(super) fn bare_rate_exceeded() -> Exception {
    Exception::new(Kind::LimitExceeded, "Rate exceeded")
}

/// Neither `ConsumerARN` nor both `StreamARN` and `ConsumerName`.
pub(super) fn consumer_not_named() -> Exception {
    Exception::new(
        Kind::InvalidArgument,
        "Either ConsumerARN, or StreamARN and ConsumerName, should be provided.",
    )
}

/// `ConsumerARN` is not that of `StreamARN` and `ConsumerName`.
pub(super) fn consumer_names_disagree(arn: &str) -> Exception {
    Exception::new(
        Kind::InvalidArgument,
        format!("StreamARN and ConsumerName do not name the consumer {arn}."),
    )
}

/// Whether tags and policies of a stream, and of its consumers, can change in this state.
pub(super) const fn takes_tags_and_policies(status: StreamStatus) -> bool {
    matches!(status, StreamStatus::Active | StreamStatus::Updating)
}

/// A `ResourceARN` of a kind that does not exist here.
pub(super) fn resource_not_found(arn: &str) -> Exception {
    Exception::new(Kind::ResourceNotFound, format!("Resource {arn} not found."))
}

/// The consumer does not exist, or is another one of the same name.
pub(super) fn consumer_not_found(consumer: &str, stream: &str, account: &str) -> Exception {
    Exception::new(
        Kind::ResourceNotFound,
        format!("Consumer {consumer} under stream {stream} under account {account} not found."),
    )
}

/// The stream has a consumer of this name, in any state.
pub(super) fn consumer_exists(consumer: &str, stream: &str, account: &str) -> Exception {
    Exception::new(
        Kind::ResourceInUse,
        format!(
            "Consumer {consumer} under stream {stream} under account {account} already exists."
        ),
    )
}

/// More consumers of a stream than allowed.
pub(super) fn too_many_consumers(stream: &str, account: &str, limit: usize) -> Exception {
    Exception::new(
        Kind::LimitExceeded,
        format!("Stream {stream} under account {account} cannot have more than {limit} consumers."),
    )
}

/// More consumers of a stream in CREATING than allowed.
pub(super) fn too_many_consumers_creating(stream: &str, account: &str, limit: usize) -> Exception {
    Exception::new(
        Kind::LimitExceeded,
        format!(
            "Stream {stream} under account {account} cannot have more than {limit} consumers in \
             state CREATING."
        ),
    )
}

/// What ends a subscription that another call has taken over: the words of a call that comes too
/// early. One comes too early also where the client of the other has left.
pub(super) fn subscription_taken_over(
    account: &str,
    stream: &str,
    shard: ShardId,
    consumer: &str,
) -> Exception {
    failures::subscription_held(account, stream, shard, consumer)
}

/// The operation that messages about a position name, whichever it came with.
pub(super) const fn position_used_in(operation: Operation) -> &'static str {
    operation.name()
}

/// The encoding of a subscription's messages, given that of the request.
pub(super) const fn event_encoding(request: Encoding) -> Encoding {
    request
}

/// Too many calls of a consumer for a shard.
pub(super) fn subscription_rate(
    consumer: &str,
    shard: ShardId,
    stream: &str,
    account: &str,
) -> Exception {
    Exception::new(
        Kind::LimitExceeded,
        format!(
            "Rate exceeded for consumer {consumer} and shard {shard} in stream {stream} under \
             account {account}."
        ),
    )
}

/// `DeleteStream` of a stream with consumers, in any state, and without `EnforceConsumerDeletion`.
pub(super) fn stream_has_consumers(stream: &str, account: &str) -> Exception {
    Exception::new(
        Kind::ResourceInUse,
        format!(
            "Stream {stream} under account {account} has registered consumers. Deregister them, or \
             set EnforceConsumerDeletion."
        ),
    )
}

/// `StartStreamEncryption` or `StopStreamEncryption` with `EncryptionType` `NONE`.
pub(super) fn encryption_type_none() -> Exception {
    Exception::new(Kind::InvalidArgument, "EncryptionType must be KMS.")
}

/// A `KeyId` that no key can have.
pub(super) fn key_not_found(key: &str) -> Exception {
    Exception::new(Kind::KmsNotFound, format!("Invalid keyId {key}"))
}

/// More successes of `StartStreamEncryption` or `StopStreamEncryption` than allowed in 24 hours.
pub(super) fn too_many_encryption_changes(
    operation: &str,
    stream: &str,
    account: &str,
    limit: usize,
) -> Exception {
    Exception::new(
        Kind::LimitExceeded,
        format!(
            "{operation} for stream {stream} under account {account} cannot succeed more than \
             {limit} times in 24 hours."
        ),
    )
}

/// A resource policy that is no policy, or says what cannot be said for this resource.
pub(super) fn invalid_policy(reason: &dyn Display) -> Exception {
    Exception::new(Kind::InvalidArgument, format!("Invalid policy: {reason}."))
}

/// `DeleteResourcePolicy` without a policy.
pub(super) fn no_resource_policy(arn: &str) -> Exception {
    Exception::new(
        Kind::ResourceNotFound,
        format!("No resource policy found for resource ARN {arn}"),
    )
}
