//! `PutRecord`: stores one record; the answer means that it is durable.

use bytes::Bytes;
use kinelog_engine::types::{ParsedSequenceNumber, SequenceNumber, Stream, Timestamp};

use super::attributes::{Distribution, WriteSettings};
use super::context::Call;
use super::put::{self, Entry, Outcome, Via};
use super::shard_id::ShardId;
use super::stream_ref::StreamRef;
use super::{failures, shapes, unconfirmed};
use crate::aws::exception::{Exception, Kind};
use crate::aws::input::Input;
use crate::aws::shape::Structure;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "PutRecordRequest",
    members: &[
        shapes::STREAM_NAME,
        shapes::DATA,
        shapes::PARTITION_KEY,
        shapes::EXPLICIT_HASH_KEY,
        shapes::optional("SequenceNumberForOrdering", shapes::SEQUENCE_NUMBER),
        shapes::STREAM_ARN,
        shapes::STREAM_ID,
        shapes::DRY_RUN,
    ],
};

/// A request that is sound for its stream.
#[derive(Debug)]
struct Request<'a> {
    settings: WriteSettings,
    entry: Entry<'a>,
}

impl<'a> Request<'a> {
    fn parse(
        call: &Call<'_>,
        input: &'a Input<'_>,
        named: &StreamRef,
        stream: &Stream,
    ) -> Result<Self, Exception> {
        let settings = WriteSettings::of(stream)?;
        let mut violations = Vec::new();
        put::check(input, &settings, String::new, &mut violations);
        if !violations.is_empty() {
            return Err(failures::validation(&violations));
        }
        let entry = Entry::parse(input, &settings)?;
        if let Some(minimum) = input.text("SequenceNumberForOrdering") {
            check_ordering(minimum, call.now, named, &settings)?;
        }
        Ok(Self { settings, entry })
    }
}

/// Numbers of a shard only grow, so a number that a record can have had is already kept.
fn check_ordering(
    minimum: &str,
    now: Timestamp,
    stream: &StreamRef,
    settings: &WriteSettings,
) -> Result<(), Exception> {
    if settings.distribution == Distribution::Auto {
        return Err(unconfirmed::ordering_with_auto_distribution());
    }
    let can_be = match SequenceNumber::parse(minimum) {
        Ok(ParsedSequenceNumber::V2(number)) => number.seconds <= now.seconds(),
        Ok(ParsedSequenceNumber::V1) => true,
        Ok(ParsedSequenceNumber::V0) | Err(_) => false,
    };
    if can_be {
        return Ok(());
    }
    let StreamRef { name, account, .. } = stream;
    Err(Exception::new(
        Kind::InvalidArgument,
        format!(
            "ExclusiveMinimumSequenceNumber {minimum} used in PutRecord on stream {name} under \
             account {account} is invalid."
        ),
    ))
}

/// The answer.
#[derive(Debug)]
struct Response {
    number: SequenceNumber,
    encrypted: bool,
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let named = StreamRef::parse(call, input)?;
    let stream = put::writable(call, &named).await?;
    let request = Request::parse(call, input, &named, &stream)?;
    if input.boolean("DryRun") == Some(true) {
        return Err(unconfirmed::dry_run());
    }
    Ok(run(call, &stream, &request).await?.write(call))
}

async fn run(
    call: &Call<'_>,
    stream: &Stream,
    request: &Request<'_>,
) -> Result<Response, Exception> {
    let entries = std::slice::from_ref(&request.entry);
    let report = put::put(call, stream, &request.settings, entries, Via::PutRecord).await;
    match report.outcomes.first() {
        Some(&Outcome::Stored(number)) => {
            Ok(Response { number, encrypted: request.settings.encryption_key.is_some() })
        }
        Some(&Outcome::Throttled(shard)) => {
            Err(failures::shard_rate(ShardId(shard), &stream.key.name, call.account))
        }
        Some(Outcome::Failed) | None => Err(report.exception()),
    }
}

impl Response {
    fn write(&self, call: &Call<'_>) -> Bytes {
        let mut writer = call.writer(192);
        writer.begin_map();
        writer.key("ShardId");
        writer.ascii(&ShardId(self.number.shard).text());
        writer.key("SequenceNumber");
        writer.ascii(&self.number.digits());
        if self.encrypted {
            writer.key("EncryptionType");
            writer.text("KMS");
        }
        writer.end_map();
        writer.finish()
    }
}
