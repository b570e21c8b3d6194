//! What `PutRecord` and `PutRecords` share: checking records, and taking them to the engine in one
//! append, grouped by shard.

use std::sync::Arc;

use kinelog_engine::append::AppendBuilder;
use kinelog_engine::error::AppendError;
use kinelog_engine::format::record::Attributes;
use kinelog_engine::types::{
    AppendedRun, Durable, HashKey, SequenceNumber, Shard, ShardIndex, Stream, StreamStatus,
};

use super::attributes::{self, Distribution, Mode, WriteSettings};
use super::context::Call;
use super::on_demand::Policy;
use super::stream_ref::StreamRef;
use super::{failures, unconfirmed};
use crate::aws::exception::{Exception, Kind};
use crate::aws::input::{Blob, Input};
use crate::metrics::cloudwatch::{ShardMetric, StreamMetric};

/// One record of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    data: &'a Blob<'a>,
    partition_key: Option<&'a str>,
    explicit_hash_key: Option<u128>,
}

impl<'a> Entry<'a> {
    /// From the members of `PutRecord` or of an entry of `PutRecords`.
    ///
    /// # Errors
    ///
    /// `InvalidArgumentException` for an explicit hash key outside the key space, unless the stream
    /// ignores hash keys.
    pub(super) fn parse(input: &'a Input<'_>, settings: &WriteSettings) -> Result<Self, Exception> {
        let explicit_hash_key = match (settings.distribution, input.text("ExplicitHashKey")) {
            (Distribution::Auto, _) | (_, None) => None,
            (Distribution::UserPartitionKey, Some(text)) => Some(parse_hash_key(text)?),
        };
        Ok(Self {
            data: input.blob("Data").unwrap_or(&Blob::EMPTY),
            partition_key: input.text("PartitionKey"),
            explicit_hash_key,
        })
    }

    /// Bytes that count against rates and against the size of a call.
    pub(super) fn bytes(&self) -> usize {
        self.data.len() + self.partition_key.map_or(0, str::len)
    }

    fn push_to(&self, builder: &mut AppendBuilder, settings: &WriteSettings) {
        let attributes = Attributes {
            partition_key: self.partition_key.map(str::as_bytes),
            explicit_hash_key: self.explicit_hash_key,
            encrypted: settings.encryption_key.is_some(),
        };
        builder.push_made(&attributes, self.data.len(), |out| self.data.append_to(out));
    }

    fn hash_key(&self) -> HashKey {
        match self.explicit_hash_key {
            Some(key) => HashKey(key),
            None => HashKey::of_partition_key(self.partition_key.unwrap_or_default().as_bytes()),
        }
    }
}

fn parse_hash_key(text: &str) -> Result<u128, Exception> {
    text.parse().map_err(|_| {
        Exception::new(
            Kind::InvalidArgument,
            format!(
                "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. \
                 Specified value was {text}"
            ),
        )
    })
}

/// Adds the constraints of the stream that the record at `path` (with a final dot, or empty)
/// violates.
pub(super) fn check(
    input: &Input<'_>,
    settings: &WriteSettings,
    path: impl Fn() -> String,
    violations: &mut Vec<String>,
) {
    let data = input.blob("Data").map_or(0, Blob::len);
    let partition_key = input.text("PartitionKey");
    let longest = settings.record_bytes_max();
    let counted =
        unconfirmed::bytes_counted_for_record_limit(data, partition_key.map_or(0, str::len));
    if counted > longest {
        violations.push(format!(
            "Value at '{}data' failed to satisfy constraint: \
             Member must have length less than or equal to {longest}",
            path()
        ));
    }
    if partition_key.is_none() && settings.distribution == Distribution::UserPartitionKey {
        violations.push(format!(
            "Value null at '{}partitionKey' failed to satisfy constraint: Member must not be null",
            path()
        ));
    }
}

/// The stream to write to, as it is stored: one in CREATING or DELETING counts as missing.
///
/// # Errors
///
/// `ResourceNotFoundException`.
pub(super) async fn writable(
    call: &Call<'_>,
    stream: &StreamRef,
) -> Result<Arc<Stream>, Exception> {
    let found = stream.find_stored(call).await.ok_or_else(|| stream.not_found())?;
    match found.status {
        StreamStatus::Active | StreamStatus::Updating => Ok(found),
        StreamStatus::Creating | StreamStatus::Deleting => Err(stream.not_found()),
    }
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is durable and has this number.
    Stored(SequenceNumber),
    /// Its shard takes no more for now.
    Throttled(ShardIndex),
    /// It was not stored for a reason of ours; also said of a shard that has just been closed.
    Failed,
}

/// What became of the records of a call.
#[derive(Debug)]
pub(super) struct Report {
    /// One for each record, in the order of the call.
    pub(super) outcomes: Vec<Outcome>,
    /// Why the store takes no records, if it does not.
    failure: Option<AppendError>,
}

impl Report {
    /// The exception for a call that stored nothing.
    pub(super) fn exception(&self) -> Exception {
        match &self.failure {
            Some(error) => failures::internal(error),
            None => Exception::bare(Kind::InternalFailure),
        }
    }
}

/// The operation that stores records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// `PutRecord`.
    PutRecord,
    /// `PutRecords`.
    PutRecords,
}

/// Stores records; completes when they are durable. Where a shard is closed meanwhile its records
/// are routed once more, when its children are there.
pub(super) async fn put(
    call: &Call<'_>,
    stream: &Stream,
    settings: &WriteSettings,
    entries: &[Entry<'_>],
    via: Via,
) -> Report {
    let mut report = Report { outcomes: vec![Outcome::Failed; entries.len()], failure: None };
    let mut pending = spared(call, stream, settings, entries, &mut report.outcomes);
    let mut routed = None;
    loop {
        let by = routed.as_deref().unwrap_or(stream);
        pending = round(call, by, settings, entries, pending, &mut report).await;
        if pending.is_empty() {
            break;
        }
        // Whoever closes a shard holds the lock until its children can be written to.
        drop(call.context.exclusive_changes().await);
        let fresh = call.context.engine.stream_by_id(stream.id);
        let is_changed = |fresh: &Arc<Stream>| fresh.next_shard_index > by.next_shard_index;
        let Some(fresh) = fresh.filter(is_changed) else { break };
        routed = Some(fresh);
    }
    let latest = routed.as_deref().unwrap_or(stream);
    count(call, latest, entries, &report.outcomes, via);
    report
}

/// The records to store: all but those that a fault rule lets fail, which are marked.
fn spared(
    call: &Call<'_>,
    stream: &Stream,
    settings: &WriteSettings,
    entries: &[Entry<'_>],
    outcomes: &mut [Outcome],
) -> Vec<usize> {
    let Some(partial) = call.partial else { return (0..entries.len()).collect() };
    let failed = partial.choose(entries.len());
    let (failing, spared) = (0..entries.len()).partition(|&entry| failed[entry]);
    if partial.kind() == Kind::ProvisionedThroughputExceeded {
        for (place, entry) in route(call, stream, settings, entries, failing) {
            outcomes[entry] = Outcome::Throttled(stream.shards[place].index);
        }
    }
    spared
}

fn count(call: &Call<'_>, stream: &Stream, entries: &[Entry<'_>], outcomes: &[Outcome], via: Via) {
    let (mut stored, mut bytes, mut throttled) = (0, 0, 0);
    for (entry, outcome) in entries.iter().zip(outcomes) {
        match outcome {
            Outcome::Stored(_) => {
                stored += 1;
                bytes += entry.bytes();
            }
            Outcome::Throttled(_) => throttled += 1,
            Outcome::Failed => {}
        }
    }
    let tally = call.context.traffic().of(stream.id);
    tally.add(StreamMetric::IncomingRecords, stored);
    tally.add(StreamMetric::IncomingBytes, bytes);
    tally.add(StreamMetric::WriteProvisionedThroughputExceeded, throttled);
    match via {
        Via::PutRecord => {
            tally.add(StreamMetric::PutRecordBytes, bytes);
            tally.add(StreamMetric::PutRecordSuccess, stored);
        }
        Via::PutRecords => {
            let failed = outcomes.len() - stored - throttled;
            tally.add(StreamMetric::PutRecordsBytes, bytes);
            tally.add(StreamMetric::PutRecordsSuccess, usize::from(stored > 0));
            tally.add(StreamMetric::PutRecordsTotalRecords, outcomes.len());
            tally.add(StreamMetric::PutRecordsSuccessfulRecords, stored);
            tally.add(StreamMetric::PutRecordsFailedRecords, failed);
            tally.add(StreamMetric::PutRecordsThrottledRecords, throttled);
        }
    }
    if attributes::has_shard_level_metrics(stream) {
        count_by_shard(call, stream, entries, outcomes);
    }
}

fn count_by_shard(call: &Call<'_>, stream: &Stream, entries: &[Entry<'_>], outcomes: &[Outcome]) {
    let tally = |index| Some(call.context.traffic().of_shard(stream.shard(index)?.uid));
    for (entry, outcome) in entries.iter().zip(outcomes) {
        match outcome {
            Outcome::Stored(number) => {
                if let Some(tally) = tally(number.shard) {
                    tally.add(ShardMetric::IncomingRecords, 1);
                    tally.add(ShardMetric::IncomingBytes, entry.bytes());
                }
            }
            Outcome::Throttled(shard) => {
                if let Some(tally) = tally(*shard) {
                    tally.add(ShardMetric::WriteProvisionedThroughputExceeded, 1);
                }
            }
            Outcome::Failed => {}
        }
    }
}

/// Routes and appends the records `pending`, in this order within each shard; returns those whose
/// shard turned out to be closed.
async fn round(
    call: &Call<'_>,
    stream: &Stream,
    settings: &WriteSettings,
    entries: &[Entry<'_>],
    pending: Vec<usize>,
    report: &mut Report,
) -> Vec<usize> {
    let is_on_demand = Mode::of(stream) == Mode::OnDemand;
    // Where growth is not throttled, shards follow what was written.
    let is_open = is_on_demand && call.context.settings().on_demand == Policy::Open;
    let payload_bytes = pending.iter().map(|&entry| entries[entry].bytes()).sum();
    let mut builder = AppendBuilder::with_capacity(pending.len(), payload_bytes);
    let order = route(call, stream, settings, entries, pending);
    let mut admitted = Vec::with_capacity(order.len());
    let mut runs = Vec::new();
    for same_shard in order.chunk_by(|a, b| a.0 == b.0) {
        let shard = &stream.shards[same_shard[0].0];
        let begin = admitted.len();
        if is_open {
            admitted.extend(same_shard.iter().map(|&(_, entry)| entry));
        } else {
            admit(call, shard, same_shard, entries, &mut admitted, &mut report.outcomes);
        }
        if admitted.len() > begin {
            builder.begin_run(Arc::clone(shard));
            admitted[begin..]
                .iter()
                .for_each(|&entry| entries[entry].push_to(&mut builder, settings));
            runs.push((shard, begin..admitted.len()));
        }
    }
    if runs.is_empty() {
        return Vec::new();
    }
    let results = call.context.engine.append(builder.finish()).await;
    let mut closed = Vec::new();
    for ((shard, range), result) in runs.into_iter().zip(results) {
        let run = &admitted[range];
        match result {
            Ok(durable) => {
                number(shard, run, durable, &mut report.outcomes);
                if is_on_demand {
                    let bytes = run.iter().map(|&entry| entries[entry].bytes()).sum();
                    call.context.loads().add(shard.uid, run.len(), bytes);
                }
            }
            Err(AppendError::ShardClosed(_)) => closed.extend_from_slice(run),
            Err(AppendError::Overloaded { .. }) => {
                for &entry in run {
                    report.outcomes[entry] = Outcome::Throttled(shard.index);
                }
            }
            Err(error @ (AppendError::DiskFull { .. } | AppendError::Stopped { .. })) => {
                report.failure = Some(error);
            }
        }
    }
    closed
}

/// Gives the records of one durable run their sequence numbers.
fn number(shard: &Shard, run: &[usize], durable: Durable<AppendedRun>, outcomes: &mut [Outcome]) {
    let AppendedRun { first, arrival } = durable.into_inner();
    for (&entry, place) in run.iter().zip(0..) {
        outcomes[entry] = Outcome::Stored(SequenceNumber::of_record(
            shard.created_seconds,
            shard.index,
            first.plus(place),
            arrival,
        ));
    }
}

/// Pairs of a position in `stream.shards` and a record, grouped by shard and in order within each.
fn route(
    call: &Call<'_>,
    stream: &Stream,
    settings: &WriteSettings,
    entries: &[Entry<'_>],
    pending: Vec<usize>,
) -> Vec<(usize, usize)> {
    let open = stream.open.len().max(1);
    let mut spread = match settings.distribution {
        Distribution::UserPartitionKey => 0,
        Distribution::Auto => call.context.take_spread(stream.id, pending.len()),
    };
    let mut shard_of = |entry: usize| match settings.distribution {
        Distribution::UserPartitionKey => stream.route_position(entries[entry].hash_key()),
        Distribution::Auto => {
            spread = spread.wrapping_add(1);
            stream.open.get(spread % open).copied()
        }
    };
    let mut order: Vec<(usize, usize)> =
        pending.into_iter().filter_map(|entry| Some((shard_of(entry)?, entry))).collect();
    order.sort_unstable();
    order
}

/// Asks the buckets for the records of one shard: adds those let through to `admitted` and marks the
/// others.
fn admit(
    call: &Call<'_>,
    shard: &Shard,
    same_shard: &[(usize, usize)],
    entries: &[Entry<'_>],
    admitted: &mut Vec<usize>,
    outcomes: &mut [Outcome],
) {
    let mut asked = same_shard.iter().map(|&(_, entry)| entry);
    let bytes = same_shard.iter().map(|&(_, entry)| entries[entry].bytes());
    call.context.throttle().admit_writes(shard.uid, call.now, bytes, |accepted| {
        let Some(entry) = asked.next() else { return };
        if accepted {
            admitted.push(entry);
        } else {
            outcomes[entry] = Outcome::Throttled(shard.index);
        }
    });
}
