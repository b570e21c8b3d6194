//! `GetShardIterator`: a reading position of one of five kinds.

use std::sync::Arc;

use bytes::Bytes;
use kinelog_engine::types::{
    Ordinal, ParsedSequenceNumber, SequenceNumber, Shard, Stream, StreamStatus, Timestamp,
};

use super::context::Call;
use super::shard_id::ShardId;
use super::stream_ref::StreamRef;
use super::{failures, reshard, shapes, shards, unconfirmed};
use crate::aws::exception::{Exception, Kind};
use crate::aws::input::Input;
use crate::aws::shape::{Shape, Structure};
use crate::shard_iterator::ShardIterator;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "GetShardIteratorRequest",
    members: &[
        shapes::STREAM_NAME,
        shapes::required("ShardId", shapes::NAME),
        shapes::required(
            "ShardIteratorType",
            shapes::one_of(&[
                "AFTER_SEQUENCE_NUMBER",
                "LATEST",
                "AT_TIMESTAMP",
                "AT_SEQUENCE_NUMBER",
                "TRIM_HORIZON",
            ]),
        ),
        shapes::optional("StartingSequenceNumber", shapes::SEQUENCE_NUMBER),
        shapes::optional("Timestamp", Shape::Timestamp),
        shapes::STREAM_ARN,
        shapes::STREAM_ID,
        shapes::DRY_RUN,
    ],
};

/// Where reading is to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// At the oldest record kept.
    TrimHorizon,
    /// At the next record to come.
    Latest,
    /// At this place.
    At(Ordinal),
    /// At the first record that arrived then or later.
    Time(Timestamp),
}

/// The shard a request names: parsed before anything is looked up.
struct Target {
    stream: StreamRef,
    shard: ShardId,
}

impl Target {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let stream = StreamRef::parse(call, input)?;
        let shard = shards::parse_id(&stream, input.text("ShardId").unwrap_or_default())?;
        Ok(Self { stream, shard })
    }

    fn does_not_exist(&self) -> Exception {
        failures::shard_does_not_exist(self.shard, &self.stream.name, &self.stream.account)
    }

    async fn find(&self, call: &Call<'_>) -> Result<(Arc<Stream>, Arc<Shard>), Exception> {
        let stream = self.stream.find(call).await.ok_or_else(|| self.does_not_exist())?;
        let shard = stream
            .shard(self.shard.0)
            .filter(|_| stream.status != StreamStatus::Creating)
            .filter(|shard| shards::is_kept(shard, stream.horizon(call.now)))
            .cloned();
        Ok((stream, shard.ok_or_else(|| self.does_not_exist())?))
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let target = Target::parse(call, input)?;
    let (stream, shard) = target.find(call).await?;
    let start = start(call, input, &target, &shard)?;
    if input.boolean("DryRun") == Some(true) {
        return Err(unconfirmed::dry_run());
    }
    let StreamRef { name, account, .. } = &target.stream;
    if !call.context.throttle().admit_iterator(shard.uid, call.now) {
        return Err(failures::shard_rate(target.shard, name, account));
    }
    let engine = &call.context.engine;
    let position = match start {
        Start::TrimHorizon => Ordinal::FIRST,
        Start::At(ordinal) => ordinal,
        Start::Latest | Start::Time(_) if reshard::is_planned(&shard) => Ordinal::FIRST,
        Start::Latest => engine.end(&shard).ok_or_else(|| target.does_not_exist())?,
        Start::Time(at) => match engine.ordinal_at(&shard, at).await {
            Ok(ordinal) => ordinal,
            Err(error) => return Err(failures::of_read(&error, &shard, name, account)),
        },
    };
    let iterator = ShardIterator {
        issued: call.now,
        stream: stream.id,
        stream_name: stream.key.name.clone(),
        shard: shard.index,
        position,
    };
    Ok(write(call, &iterator))
}

fn write(call: &Call<'_>, iterator: &ShardIterator) -> Bytes {
    let mut writer = call.writer(512);
    writer.begin_map();
    writer.key("ShardIterator");
    writer.text(&iterator.seal(call.context.seal_key(), &call.namespace));
    writer.end_map();
    writer.finish()
}

/// The start that type, number and time ask for, checked in the service's order.
fn start(
    call: &Call<'_>,
    input: &Input<'_>,
    target: &Target,
    shard: &Shard,
) -> Result<Start, Exception> {
    let kind = input.text("ShardIteratorType").unwrap_or_default();
    let number = input.text("StartingSequenceNumber");
    if number.is_some() && matches!(kind, "TRIM_HORIZON" | "LATEST") {
        return Err(wrong_combination(kind, "also a"));
    }
    let number = number.map(|text| of_this_shard(text, target, shard)).transpose()?;
    match (kind, number) {
        ("AT_TIMESTAMP", _) => start_at_time(call, input),
        ("AT_SEQUENCE_NUMBER", Some(number)) => Ok(Start::At(number.counter.max(Ordinal::FIRST))),
        ("AFTER_SEQUENCE_NUMBER", Some(number)) => start_after(number, shard),
        ("AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER", None) => {
            Err(wrong_combination(kind, "no"))
        }
        ("LATEST", _) => Ok(Start::Latest),
        _ => Ok(Start::TrimHorizon),
    }
}

fn start_at_time(call: &Call<'_>, input: &Input<'_>) -> Result<Start, Exception> {
    let Some(timestamp) = input.timestamp("Timestamp") else {
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
    Ok(Start::Time(at))
}

fn start_after(number: SequenceNumber, shard: &Shard) -> Result<Start, Exception> {
    let last = SequenceNumber::ending(0, shard.index, 0).counter;
    if shard.closed.is_some() && number.counter >= last {
        return Err(Exception::new(
            Kind::InvalidArgument,
            "Invalid SequenceNumber for ShardIteratorType AFTER_SEQUENCE_NUMBER, \
             SequenceNumber has reached max possible value for the shard.",
        ));
    }
    Ok(Start::At(number.counter.plus(1)))
}

fn wrong_combination(kind: &str, given: &str) -> Exception {
    Exception::new(
        Kind::InvalidArgument,
        format!(
            "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and \
             StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. \
             Request specified {kind} and {given} StartingSequenceNumber."
        ),
    )
}

/// The number in `text` if it is one of this shard.
fn of_this_shard(text: &str, target: &Target, shard: &Shard) -> Result<SequenceNumber, Exception> {
    let wrong = |message: String| Exception::new(Kind::InvalidArgument, message);
    let Target { stream: StreamRef { name, account, .. }, shard: id } = target;
    let invalid = |reason: &str| {
        wrong(format!(
            "StartingSequenceNumber {text} used in GetShardIterator on shard {id} in stream {name} \
             under account {account} is invalid{reason}."
        ))
    };
    let foreign = || invalid(" because it did not come from this stream");
    let number = match SequenceNumber::parse(text) {
        Err(_) => return Err(invalid("")),
        Ok(ParsedSequenceNumber::V0) => return Err(Exception::bare(Kind::InternalFailure)),
        Ok(ParsedSequenceNumber::V1) => return Err(foreign()),
        Ok(ParsedSequenceNumber::V2(number)) => number,
    };
    if number.shard != shard.index {
        return Err(wrong(format!(
            "Invalid StartingSequenceNumber. It encodes {}, while it was used in a call to a shard \
             with {id}",
            ShardId(number.shard)
        )));
    }
    if number.shard_created_seconds != shard.created_seconds {
        return Err(foreign());
    }
    Ok(number)
}
