//! `GetRecords`: records from a shard iterator on, and the iterator to go on with.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use kinelog_engine::error::ReadError;
use kinelog_engine::types::{Marks, Ordinal, ReadLimit, ReadResult, Shard, Stream, Timestamp};

use super::context::Call;
use super::shard_id::ShardId;
use super::stream_ref::StreamRef;
use super::{attributes, failures, lifecycle, records, reshard, shapes, shards, unconfirmed};
use crate::aws::exception::{Exception, Kind};
use crate::aws::input::Input;
use crate::aws::rope::Rope;
use crate::aws::shape::Structure;
use crate::limits;
use crate::metrics::cloudwatch::{ShardMetric, StreamMetric};
use crate::shard_iterator::{ShardIterator, ShardIteratorError};

/// About how long the answer is beside its records.
const OTHER_MEMBERS_BYTES: usize = 1024;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "GetRecordsRequest",
    members: &[
        shapes::required("ShardIterator", shapes::text(1, 512)),
        shapes::optional("Limit", shapes::integer(1, 10_000)),
        shapes::STREAM_ARN,
        shapes::STREAM_ID,
        shapes::DRY_RUN,
    ],
};

/// A sound request.
#[derive(Debug)]
struct Request {
    iterator: ShardIterator,
    records_max: usize,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let text = input.text("ShardIterator").unwrap_or_default();
        let iterator =
            ShardIterator::open(text, call.context.seal_key(), &call.namespace, call.now)
                .map_err(|error| refused(error, call.now))?;
        if let Some(arn) = input.text("StreamARN") {
            let stream = StreamRef::of_arn(call, arn);
            if stream != StreamRef::named(call, &iterator.stream_name) {
                return Err(unconfirmed::iterator_of_another_stream(arn));
            }
        }
        let limit = input.integer("Limit").and_then(|limit| usize::try_from(limit).ok());
        let records_max = limit.unwrap_or(limits::GET_RECORDS_MAX).min(limits::GET_RECORDS_MAX);
        Ok(Self { iterator, records_max })
    }

    fn does_not_exist(&self, call: &Call<'_>) -> Exception {
        let shard = ShardId(self.iterator.shard);
        failures::shard_does_not_exist(shard, &self.iterator.stream_name, call.account)
    }

    async fn find(&self, call: &Call<'_>) -> Result<(Arc<Stream>, Arc<Shard>), Exception> {
        let missing = || self.does_not_exist(call);
        let stream = call.context.engine.stream_by_id(self.iterator.stream).ok_or_else(missing)?;
        let mut stream =
            lifecycle::settle_stored(call.context, stream).await.ok_or_else(missing)?;
        // What there is can be read as it is stored, whatever is planned for it.
        if stream.shard(self.iterator.shard).is_none() {
            stream = lifecycle::shown(stream, call.now);
        }
        let shard = stream
            .shard(self.iterator.shard)
            .filter(|shard| shards::is_kept(shard, stream.horizon(call.now)))
            .cloned();
        Ok((stream, shard.ok_or_else(missing)?))
    }
}

/// Why an iterator is refused, in the service's words.
pub(super) fn refused(error: ShardIteratorError, now: Timestamp) -> Exception {
    match error {
        ShardIteratorError::Invalid => {
            Exception::new(Kind::InvalidArgument, "Invalid ShardIterator.")
        }
        ShardIteratorError::Expired { issued } => Exception::new(
            Kind::ExpiredIterator,
            format!(
                "Iterator expired. The iterator was created at time {} while right now it is {} \
                 which is further in the future than the tolerated delay of {} milliseconds.",
                spelled_out(issued),
                spelled_out(now),
                limits::SHARD_ITERATOR_AGE_MS_MAX
            ),
        ),
    }
}

/// A time as `Thu Dec 10 01:59:39 UTC 2015`.
fn spelled_out(at: Timestamp) -> String {
    const LAST_SECOND_OF_9999: u64 = 253_402_300_799;
    let at = UNIX_EPOCH + Duration::from_secs(at.seconds().min(LAST_SECOND_OF_9999));
    // "Thu, 10 Dec 2015 01:59:39 GMT"
    let date = httpdate::fmt_http_date(at);
    let part = |range| date.get(range).unwrap_or_default();
    let (weekday, day, month) = (part(0..3), part(5..7), part(8..11));
    let (year, time) = (part(12..16), part(17..25));
    format!("{weekday} {month} {day} {time} UTC {year}")
}

/// The answer.
struct Response<'a> {
    stream: Arc<Stream>,
    shard: &'a Shard,
    result: ReadResult,
    next: Option<ShardIterator>,
    millis_behind: u64,
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Rope, Exception> {
    let request = Request::parse(call, input)?;
    let (stream, shard) = request.find(call).await?;
    if input.boolean("DryRun") == Some(true) {
        return Err(unconfirmed::dry_run());
    }
    // Until the answer is made, after which it counts as what it is.
    let is_warm = call.context.engine.is_warm(&shard, request.iterator.position);
    let _turn = if is_warm { None } else { call.context.cold_read().await };
    let response = run(call, &request, stream, &shard).await?;
    let answer = response.write(call);
    // After the last use of the records: see `ReadResult::is_sound`.
    if response.result.is_sound() {
        return Ok(answer);
    }
    let lost = ReadError::MapLost { shard: shard.index };
    Err(failures::of_read(&lost, &shard, &response.stream.key.name, call.account))
}

async fn run<'a>(
    call: &Call<'_>,
    request: &Request,
    stream: Arc<Stream>,
    shard: &'a Shard,
) -> Result<Response<'a>, Exception> {
    let throttle = call.context.throttle();
    let name = &stream.key.name;
    if !throttle.admit_read(shard.uid, call.now) {
        count_refused(call, &stream, shard);
        return Err(failures::shard_rate(ShardId(shard.index), name, call.account));
    }
    let position = match shard.closed {
        // A number may name a place no record has; in a closed shard none will ever have it.
        Some(closed) => request.iterator.position.min(closed.end),
        None => request.iterator.position,
    };
    let limit = ReadLimit { records: request.records_max, bytes: limits::GET_RECORDS_BYTES_MAX };
    let read = if reshard::is_planned(shard) {
        Ok(nothing_yet(position))
    } else {
        call.context.engine.read(&stream, shard, position, limit).await
    };
    let result = read.map_err(|error| failures::of_read(&error, shard, name, call.account))?;
    let bytes = result.records.iter().map(records::payload_bytes).sum();
    count_read(call, &stream, shard, &result, bytes);
    throttle.charge_read(shard.uid, call.context.engine.now(), bytes);
    let next = (!result.at_end).then(|| ShardIterator {
        issued: call.now,
        position: result.next,
        serial: call.context.iterator_serial(),
        ..request.iterator.clone()
    });
    // The shard may have been closed since the stream was looked up: then it has children now.
    let stream = if result.at_end && shard.closed.is_none() {
        call.context.engine.stream_by_id(stream.id).unwrap_or(stream)
    } else {
        stream
    };
    let millis_behind = result.next_arrival.map_or(0, |arrival| call.now.since(arrival));
    Ok(Response { stream, shard, result, next, millis_behind })
}

/// What there is to read in a shard that does not take records yet.
fn nothing_yet(position: Ordinal) -> ReadResult {
    let (records, marks) = (Vec::new(), Marks::default());
    ReadResult { records, next: position, next_arrival: None, at_end: false, marks }
}

fn count_refused(call: &Call<'_>, stream: &Stream, shard: &Shard) {
    let traffic = call.context.traffic();
    traffic.of(stream.id).add(StreamMetric::ReadProvisionedThroughputExceeded, 1);
    if attributes::has_shard_level_metrics(stream) {
        traffic.of_shard(shard.uid).add(ShardMetric::ReadProvisionedThroughputExceeded, 1);
    }
}

fn count_read(call: &Call<'_>, stream: &Stream, shard: &Shard, result: &ReadResult, bytes: usize) {
    let traffic = call.context.traffic();
    let records = result.records.len();
    let has_caught_up = result.next_arrival.is_none();
    let age = match result.records.last() {
        Some(last) if !has_caught_up => call.now.since(last.arrival),
        Some(_) | None => 0,
    };
    let tally = traffic.of(stream.id);
    tally.add(StreamMetric::GetRecordsSuccess, 1);
    tally.add(StreamMetric::GetRecordsRecords, records);
    tally.add(StreamMetric::GetRecordsBytes, bytes);
    tally.set(StreamMetric::GetRecordsIteratorAge, age);
    if attributes::has_shard_level_metrics(stream) {
        let tally = traffic.of_shard(shard.uid);
        tally.add(ShardMetric::OutgoingRecords, records);
        tally.add(ShardMetric::OutgoingBytes, bytes);
        tally.set(ShardMetric::IteratorAgeMilliseconds, age);
    }
}

impl Response<'_> {
    fn write(&self, call: &Call<'_>) -> Rope {
        let records = &self.result.records;
        let bytes = records::encoded_bytes(call.encoding, records);
        let mut sheets = call.sheets(bytes + OTHER_MEMBERS_BYTES);
        let writer = sheets.writer(OTHER_MEMBERS_BYTES);
        writer.begin_map();
        writer.key("Records");
        records::write_list(&mut sheets, self.shard, records);
        let writer = sheets.writer(OTHER_MEMBERS_BYTES);
        match &self.next {
            Some(next) => {
                writer.key("NextShardIterator");
                writer.text(&next.seal(call.context.seal_key(), &call.namespace));
            }
            None => shards::write_children(writer, &self.stream, self.shard),
        }
        writer.key("MillisBehindLatest");
        writer.integer(i64::try_from(self.millis_behind).unwrap_or(i64::MAX));
        writer.end_map();
        sheets.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_spelled_out_with_two_digit_days() {
        assert_eq!(spelled_out(Timestamp(1_449_712_779_999)), "Thu Dec 10 01:59:39 UTC 2015");
        assert_eq!(spelled_out(Timestamp(951_782_400_000)), "Tue Feb 29 00:00:00 UTC 2000");
        assert_eq!(spelled_out(Timestamp(1_446_336_000_000)), "Sun Nov 01 00:00:00 UTC 2015");
    }
}
