//! Where reading starts: the five kinds of position that `GetShardIterator` and `SubscribeToShard`
//! take, checked in the service's order, and what they come to in the shard.

use kinelog_engine::types::{Ordinal, ParsedSequenceNumber, SequenceNumber, Shard, Timestamp};

use super::context::Call;
use super::shard_id::ShardId;
use super::stream_ref::StreamRef;
use super::{Operation, failures, reshard, shapes, unconfirmed};
use crate::aws::exception::{Exception, Kind};
use crate::aws::shape::Shape;

/// The kinds.
pub(super) const KIND: Shape = shapes::one_of(&[
    "AFTER_SEQUENCE_NUMBER",
    "LATEST",
    "AT_TIMESTAMP",
    "AT_SEQUENCE_NUMBER",
    "TRIM_HORIZON",
]);

/// A position as a request has it.
pub(super) struct Wanted<'a> {
    /// The operation, which messages name.
    pub(super) operation: Operation,
    /// The stream.
    pub(super) stream: &'a StreamRef,
    /// The shard.
    pub(super) shard: &'a Shard,
    /// One of the kinds.
    pub(super) kind: &'a str,
    /// Sequence number.
    pub(super) number: Option<&'a str>,
    /// Time, in milliseconds.
    pub(super) timestamp: Option<i64>,
}

/// A sound position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// The oldest record kept.
    TrimHorizon,
    /// The next record to come.
    Latest,
    /// The first record with this number or a greater one.
    At(SequenceNumber),
    /// The first record with a greater number than this.
    After(SequenceNumber),
    /// The first record that arrived then or later.
    Time(Timestamp),
}

impl Wanted<'_> {
    /// Checks that kind, number and time go together and fit the shard.
    ///
    /// # Errors
    ///
    /// The exception to answer.
    pub(super) fn check(&self, call: &Call<'_>) -> Result<Position, Exception> {
        if self.number.is_some() && matches!(self.kind, "TRIM_HORIZON" | "LATEST") {
            return Err(self.wrong_combination("also a"));
        }
        let number = self.number.map(|text| self.of_this_shard(text)).transpose()?;
        match (self.kind, number) {
            ("AT_TIMESTAMP", _) => self.check_time(call),
            ("AT_SEQUENCE_NUMBER", Some(number)) => Ok(Position::At(number)),
            ("AFTER_SEQUENCE_NUMBER", Some(number)) => self.check_after(number),
            ("AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER", None) => {
                Err(self.wrong_combination("no"))
            }
            ("LATEST", _) => Ok(Position::Latest),
            _ => Ok(Position::TrimHorizon),
        }
    }

    fn check_time(&self, call: &Call<'_>) -> Result<Position, Exception> {
        let Some(timestamp) = self.timestamp else {
            return Err(Exception::new(
                Kind::InvalidArgument,
                "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. \
                 Current request has no timestamp parameter.",
            ));
        };
        let at = Timestamp(u64::try_from(timestamp).unwrap_or(0));
        if at > call.now {
            return Err(Exception::new(
                Kind::InvalidArgument,
                format!(
                    "The timestampInMillis parameter cannot be greater than the \
                     currentTimestampInMillis. timestampInMillis: {timestamp}, \
                     currentTimestampInMillis: {}",
                    call.now
                ),
            ));
        }
        Ok(Position::Time(at))
    }

    fn check_after(&self, number: SequenceNumber) -> Result<Position, Exception> {
        let last = SequenceNumber::ending(0, self.shard.index, 0).counter;
        if self.shard.closed.is_some() && number.counter >= last {
            return Err(Exception::new(
                Kind::InvalidArgument,
                "Invalid SequenceNumber for ShardIteratorType AFTER_SEQUENCE_NUMBER, \
                 SequenceNumber has reached max possible value for the shard.",
            ));
        }
        Ok(Position::After(number))
    }

    fn wrong_combination(&self, given: &str) -> Exception {
        Exception::new(
            Kind::InvalidArgument,
            format!(
                "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and \
                 StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no \
                 StartingSequenceNumber. Request specified {} and {given} StartingSequenceNumber.",
                self.kind
            ),
        )
    }

    /// The number in `text` if it is one of this shard.
    fn of_this_shard(&self, text: &str) -> Result<SequenceNumber, Exception> {
        let wrong = |message: String| Exception::new(Kind::InvalidArgument, message);
        let Self { operation, stream: StreamRef { name, account, .. }, shard, .. } = self;
        let (id, operation) = (ShardId(shard.index), unconfirmed::position_used_in(*operation));
        let invalid = |reason: &str| {
            wrong(format!(
                "StartingSequenceNumber {text} used in {operation} on shard {id} in stream {name} \
                 under account {account} is invalid{reason}."
            ))
        };
        let foreign = || invalid(" because it did not come from this stream");
        let number = match SequenceNumber::parse(text) {
            Ok(ParsedSequenceNumber::V0) if self.operation == Operation::GetShardIterator => {
                return Err(Exception::bare(Kind::InternalFailure));
            }
            Err(_) | Ok(ParsedSequenceNumber::V0) => return Err(invalid("")),
            Ok(ParsedSequenceNumber::V1) => return Err(foreign()),
            Ok(ParsedSequenceNumber::V2(number)) => number,
        };
        if number.shard != shard.index {
            return Err(wrong(format!(
                "Invalid StartingSequenceNumber. It encodes {}, while it was used in a call to a \
                 shard with {id}",
                ShardId(number.shard)
            )));
        }
        if number.shard_created_seconds != shard.created_seconds {
            return Err(foreign());
        }
        Ok(number)
    }
}

impl Position {
    /// The place it comes to now.
    ///
    /// # Errors
    ///
    /// The exception to answer: the shard is gone, or cannot be searched.
    pub(super) async fn find(
        self,
        call: &Call<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Ordinal, Exception> {
        let Wanted { shard, stream: StreamRef { name, account, .. }, .. } = wanted;
        let engine = &call.context.engine;
        let first_since = async |at| {
            if reshard::is_planned(shard) {
                return Ok(Ordinal::FIRST);
            }
            let found = engine.ordinal_at(shard, at).await;
            found.map_err(|error| failures::of_read(&error, shard, name, account))
        };
        match self {
            Self::TrimHorizon => Ok(Ordinal::FIRST),
            Self::Latest if reshard::is_planned(shard) => Ok(Ordinal::FIRST),
            Self::Latest => engine
                .end(shard)
                .ok_or_else(|| failures::shard_does_not_exist(ShardId(shard.index), name, account)),
            Self::At(number) => {
                // The record of this counter has a smaller number if it came in an earlier second.
                let since = first_since(Timestamp(number.seconds.saturating_mul(1000))).await?;
                let is_smaller = number.counter < since;
                Ok(number.counter.plus(u64::from(is_smaller)).max(Ordinal::FIRST))
            }
            Self::After(number) => Ok(number.counter.plus(1)),
            Self::Time(at) => first_since(at).await,
        }
    }
}
