//! `PutRecords`: stores up to 500 records; each succeeds or fails by itself, and success means that
//! it is durable.

use bytes::Bytes;
use kinelog_engine::types::Stream;

use super::attributes::WriteSettings;
use super::context::Call;
use super::put::{self, Entry, Outcome, Report, Via};
use super::shard_id::ShardId;
use super::stream_ref::StreamRef;
use super::{failures, shapes, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::{Field, Input};
use crate::aws::shape::{Shape, Structure};
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "PutRecordsRequest",
    members: &[
        shapes::sensitive(shapes::required(
            "Records",
            Shape::List { of: &RECORD, length: Some((1, limits::PUT_RECORDS_MAX)) },
        )),
        shapes::STREAM_NAME,
        shapes::STREAM_ARN,
        shapes::STREAM_ID,
        shapes::DRY_RUN,
    ],
};

static RECORD: Shape = Shape::Structure(&Structure {
    name: "PutRecordsRequestEntry",
    members: &[shapes::DATA, shapes::EXPLICIT_HASH_KEY, shapes::PARTITION_KEY],
});

/// A request that is sound for its stream.
#[derive(Debug)]
struct Request<'a> {
    settings: WriteSettings,
    entries: Vec<Entry<'a>>,
}

impl<'a> Request<'a> {
    fn parse(input: &'a Input<'_>, stream: &Stream) -> Result<Self, Exception> {
        let settings = WriteSettings::of(stream)?;
        let mut violations = Vec::new();
        for (record, number) in records(input).zip(1..) {
            let path = || format!("records.{number}.member.");
            put::check(record, &settings, path, &mut violations);
        }
        if !violations.is_empty() {
            return Err(failures::validation(&violations));
        }
        let entries = records(input)
            .map(|record| Entry::parse(record, &settings))
            .collect::<Result<Vec<_>, _>>()?;
        if entries.iter().map(Entry::bytes).sum::<usize>() > limits::PUT_RECORDS_BYTES_MAX {
            return Err(unconfirmed::records_too_large());
        }
        Ok(Self { settings, entries })
    }
}

fn records<'i, 'a>(input: &'i Input<'a>) -> impl Iterator<Item = &'i Input<'a>> {
    let records = input.list("Records").unwrap_or_default();
    records
        .iter()
        .filter_map(|field| if let Field::Structure(record) = field { Some(record) } else { None })
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let named = StreamRef::parse(call, input)?;
    let stream = put::writable(call, &named).await?;
    let request = Request::parse(input, &stream)?;
    if input.boolean("DryRun") == Some(true) {
        return Err(unconfirmed::dry_run());
    }
    let Request { settings, entries } = &request;
    let report = put::put(call, &stream, settings, entries, Via::PutRecords).await;
    // A full disk fails all records alike: then the reason is the answer.
    if report.outcomes.iter().all(|outcome| *outcome == Outcome::Failed) {
        return Err(report.exception());
    }
    Ok(write(call, &stream, settings, &report))
}

fn write(call: &Call<'_>, stream: &Stream, settings: &WriteSettings, report: &Report) -> Bytes {
    let is_stored = |outcome: &&Outcome| matches!(outcome, Outcome::Stored(_));
    let stored = report.outcomes.iter().filter(is_stored).count();
    let failed = report.outcomes.len() - stored;
    let mut writer = call.writer(128 + 128 * report.outcomes.len());
    writer.begin_map();
    writer.key("FailedRecordCount");
    writer.integer(i64::try_from(failed).unwrap_or(i64::MAX));
    writer.key("Records");
    writer.begin_list();
    for outcome in &report.outcomes {
        writer.begin_map();
        match *outcome {
            Outcome::Stored(number) => {
                writer.key("SequenceNumber");
                writer.ascii(&number.digits());
                writer.key("ShardId");
                writer.ascii(&ShardId(number.shard).text());
            }
            Outcome::Throttled(shard) => {
                let name = &stream.key.name;
                writer.key("ErrorCode");
                writer.text("ProvisionedThroughputExceededException");
                writer.key("ErrorMessage");
                writer.text(&failures::shard_rate_text(ShardId(shard), name, call.account));
            }
            Outcome::Failed => {
                writer.key("ErrorCode");
                writer.text("InternalFailure");
                writer.key("ErrorMessage");
                writer.text(unconfirmed::INTERNAL_RECORD_FAILURE);
            }
        }
        writer.end_map();
    }
    writer.end_list();
    if settings.encryption_key.is_some() {
        writer.key("EncryptionType");
        writer.text("KMS");
    }
    writer.end_map();
    writer.finish()
}
