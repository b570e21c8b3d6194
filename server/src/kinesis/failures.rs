//! Failures in the service's words, and the engine's failures as exceptions: those of the catalogue
//! and of reads here, those of appends record by record in `put`. A new failure of the engine does
//! not compile until it is mapped.

use std::fmt::Display;

use kinelog_engine::error::{CatalogError, ReadError};
use kinelog_engine::types::{SequenceNumber, Shard, StreamStatus};

use super::shard_id::ShardId;
use crate::aws::exception::{Exception, Kind};
use crate::limits::VIOLATIONS_MAX;

/// The stream does not exist.
pub(super) fn stream_not_found(stream: &str, account: &str) -> Exception {
    Exception::new(
        Kind::ResourceNotFound,
        format!("Stream {stream} under account {account} not found."),
    )
}

/// The name is taken, by a stream in any state.
pub(super) fn stream_exists(stream: &str, account: &str) -> Exception {
    Exception::new(
        Kind::ResourceInUse,
        format!("Stream {stream} under account {account} already exists."),
    )
}

/// The stream is in a state that forbids the call.
pub(super) fn stream_not_active(stream: &str, account: &str, status: StreamStatus) -> Exception {
    let status = status_name(status);
    Exception::new(
        Kind::ResourceInUse,
        format!("Stream {stream} under account {account} not ACTIVE, instead in state {status}"),
    )
}

/// The consumer is in a state that forbids a policy.
pub(super) fn no_policy_of(
    consumer: &str,
    created_seconds: u64,
    stream: &str,
    account: &str,
) -> Exception {
    Exception::new(
        Kind::ResourceInUse,
        format!(
            "Consumer {consumer} with creation timestamp {created_seconds} under stream {stream} \
             and account {account} is not in ACTIVE status."
        ),
    )
}

/// The service's word for a state.
pub(super) const fn status_name(status: StreamStatus) -> &'static str {
    match status {
        StreamStatus::Creating => "CREATING",
        StreamStatus::Active => "ACTIVE",
        StreamStatus::Updating => "UPDATING",
        StreamStatus::Deleting => "DELETING",
    }
}

/// More shards than the account may have.
pub(super) fn shard_quota(
    account: &str,
    region: &str,
    current: u64,
    limit: u32,
    additional: u64,
) -> Exception {
    Exception::new(
        Kind::LimitExceeded,
        format!(
            "This request would exceed the shard limit for the account {account} in {region}. \
             Current shard count for the account: {current}. Limit: {limit}. \
             Number of additional shards that would have resulted from this request: {additional}. \
             Refer to the AWS Service Limits page \
             (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) \
             for current limits and how to request higher limits."
        ),
    )
}

/// A split or merge that names a shard the stream does not have.
pub(super) fn shard_not_found(shard: ShardId, stream: &str, account: &str) -> Exception {
    shard_id_unparsable(&shard.to_string(), stream, account)
}

/// A split or merge of a closed shard.
pub(super) fn shard_closed(shard: ShardId, stream: &str, account: &str) -> Exception {
    Exception::new(
        Kind::InvalidArgument,
        format!(
            "Shard {shard} in stream {stream} under account {account} has already been merged or \
             split, and thus is not eligible for merging or splitting."
        ),
    )
}

/// The shards of an on-demand stream are the service's business.
pub(super) fn stream_on_demand(stream: &str, account: &str) -> Exception {
    Exception::new(
        Kind::Validation,
        format!(
            "Request is invalid. Stream {stream} under account {account} is in On-Demand mode."
        ),
    )
}

/// Too many calls about a stream.
pub(super) fn call_rate(stream: &str, account: &str) -> Exception {
    Exception::new(
        Kind::LimitExceeded,
        format!("Rate exceeded for stream {stream} under account {account}."),
    )
}

/// The words for a shard that takes or gives no more for now.
pub(super) fn shard_rate_text(shard: ShardId, stream: &str, account: &str) -> String {
    format!("Rate exceeded for shard {shard} in stream {stream} under account {account}.")
}

/// A shard takes or gives no more for now.
pub(super) fn shard_rate(shard: ShardId, stream: &str, account: &str) -> Exception {
    Exception::new(Kind::ProvisionedThroughputExceeded, shard_rate_text(shard, stream, account))
}

/// A text that is no shard id; checked before the stream is looked up.
pub(super) fn shard_id_unparsable(raw: &str, stream: &str, account: &str) -> Exception {
    Exception::new(
        Kind::ResourceNotFound,
        format!("Could not find shard {raw} in stream {stream} under account {account}."),
    )
}

/// The shard to be read, or its stream, does not exist.
pub(super) fn shard_does_not_exist(shard: ShardId, stream: &str, account: &str) -> Exception {
    Exception::new(
        Kind::ResourceNotFound,
        format!("Shard {shard} in stream {stream} under account {account} does not exist"),
    )
}

/// The consumer may not subscribe yet, or any more.
pub(super) fn consumer_not_active(
    consumer: &str,
    created_seconds: u64,
    stream: &str,
    account: &str,
) -> Exception {
    Exception::new(
        Kind::ResourceInUse,
        format!(
            "Consumer {consumer} with creation timestamp {created_seconds} under stream: {stream} , \
             account {account} is not in ACTIVE status."
        ),
    )
}

/// The consumer reads the shard already, or another call has taken it over.
pub(super) fn subscription_held(
    account: &str,
    stream: &str,
    shard: ShardId,
    consumer: &str,
) -> Exception {
    Exception::new(
        Kind::ResourceInUse,
        format!(
            "Another active subscription exists for this consumer: \
             {account}:{stream}:{shard}:{consumer}"
        ),
    )
}

/// `ValidationException` with its violated constraints; up to `VIOLATIONS_MAX` are told and counted.
pub(super) fn validation(violations: &[String]) -> Exception {
    let told = &violations[..violations.len().min(VIOLATIONS_MAX)];
    let noun = if told.len() == 1 { "error" } else { "errors" };
    Exception::new(
        Kind::Validation,
        format!("{} validation {noun} detected: {}", told.len(), told.join("; ")),
    )
}

/// A failure of ours, with words an operator can act on.
pub(super) fn internal(reason: &dyn Display) -> Exception {
    Exception::new(Kind::InternalFailure, reason.to_string())
}

/// A failed change of metadata. `stream` and `account` are those of the call.
pub(super) fn of_catalog(error: &CatalogError, stream: &str, account: &str) -> Exception {
    match error {
        CatalogError::StreamExists(_) => stream_exists(stream, account),
        CatalogError::StreamNotFound => stream_not_found(stream, account),
        CatalogError::ShardNotOpen(_)
        | CatalogError::ArrivedLater(_)
        | CatalogError::Coverage
        | CatalogError::DiskFull { .. }
        | CatalogError::Stopped { .. } => internal(error),
    }
}

/// A failed read of `shard`.
pub(super) fn of_read(error: &ReadError, shard: &Shard, stream: &str, account: &str) -> Exception {
    match error {
        ReadError::ShardGone => shard_does_not_exist(ShardId(shard.index), stream, account),
        ReadError::Damaged { last, .. } => {
            let after = SequenceNumber {
                shard_created_seconds: shard.created_seconds,
                shard: shard.index,
                counter: *last,
                seconds: shard.created_seconds,
            };
            internal(&format_args!(
                "{error}; to read what follows, get a shard iterator of type \
                 AFTER_SEQUENCE_NUMBER with {after}"
            ))
        }
        ReadError::MapLost { .. } | ReadError::Device(_) => internal(error),
    }
}

#[cfg(test)]
mod tests {
    use kinelog_engine::types::{HashKeyRange, Ordinal, ShardIndex, ShardUid};

    use super::*;

    #[test]
    fn damage_is_told_with_the_way_around_it() {
        let shard = Shard {
            uid: ShardUid(1),
            index: ShardIndex(0),
            range: HashKeyRange { start: 0, end: u128::MAX },
            created_seconds: 1_700_000_000,
            parents: Vec::new(),
            arrivals_until: None,
            closed: None,
            lost: Vec::new(),
        };
        let (first, last) = (Ordinal(5), Ordinal(9));
        let file = "segments/1".into();
        let damaged = ReadError::Damaged { shard: shard.index, first, last, file };
        let after = SequenceNumber {
            shard_created_seconds: 1_700_000_000,
            shard: shard.index,
            counter: last,
            seconds: 1_700_000_000,
        };
        let text = format!(
            "records 5 to 9 of shard 0 are damaged in segments/1; to read what follows, get a \
             shard iterator of type AFTER_SEQUENCE_NUMBER with {after}"
        );
        let exception = of_read(&damaged, &shard, "s", "123456789012");
        assert_eq!(exception, Exception::new(Kind::InternalFailure, text));
    }

    #[test]
    fn at_most_ten_violations_are_told() {
        let told = |count: usize| {
            let violations: Vec<_> = (1..=count).map(|n| n.to_string()).collect();
            validation(&violations).message.unwrap()
        };
        assert_eq!(told(1), "1 validation error detected: 1");
        assert_eq!(told(2), "2 validation errors detected: 1; 2");
        assert!(told(11).starts_with("10 validation errors detected: 1; 2;"));
        assert!(told(11).ends_with("; 10"));
    }
}
