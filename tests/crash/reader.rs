//! Consumers with iterators of every kind, kept through restarts, and the last reader of all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use fastrand::Rng;
use kinelog::aws::exception::Kind;
use kinelog::client::answers::{self, Records};
use kinelog::client::failure::Failure as CallFailure;
use kinelog_tests::history::{
    Content, Damage, Number, Record, Shard, ShardId, Start, Step, WalkId,
};
use serde_json::{Value, json};

use crate::load::{STREAM, Shared, clock_ms, pause, shard_id, until_active};
use crate::system::Failure;

/// Of so many reads one is the last through its iterator, and another kind of iterator follows.
const READS_OF_A_WALK: u32 = 40;

/// Key and data of a record in one.
pub(crate) fn content(key: &str, data: &[u8]) -> Content {
    let mut content = Vec::with_capacity(key.len() + 1 + data.len());
    content.extend(key.as_bytes());
    content.push(0);
    content.extend(data);
    Arc::from(content)
}

/// Lists all shards and takes that down.
pub(crate) async fn list(shared: &Shared) -> Result<Vec<answers::Shard>, CallFailure> {
    let asked = shared.recorder.now();
    let listed = shared.client.list_shards(&shared.stream).await?;
    let plain = listed.iter().filter_map(|shard| {
        Some(Shard {
            id: shard_id(&shard.shard_id)?,
            parents: shard.parents().filter_map(shard_id).collect(),
            keys: (shard.hash_key_range.starting_hash_key, shard.hash_key_range.ending_hash_key),
            is_open: shard.is_open(),
        })
    });
    let plain = plain.collect();
    shared.recorder.listed(asked, plain);
    Ok(listed)
}

/// One iterator on its way through a shard.
struct Reading {
    walk: WalkId,
    /// Nothing at the end of a closed shard.
    iterator: Option<String>,
}

/// Numbers are kept as they were printed.
#[derive(Clone, Debug)]
struct Seen {
    number: String,
    arrival_ms: u64,
}

/// Follows all shards until told to stop.
pub(crate) async fn consume(shared: &Shared, mut rng: Rng) {
    let mut readings = BTreeMap::<String, Reading>::new();
    let mut seen = BTreeMap::<String, Seen>::new();
    while !shared.is_over() {
        if readings.is_empty() || rng.u8(..) < 16 {
            for shard in list(shared).await.unwrap_or_default() {
                let name = shard.shard_id;
                if let std::collections::btree_map::Entry::Vacant(place) =
                    readings.entry(name.clone())
                    && let Ok(reading) = open(shared, &name, Start::Horizon, None, false).await
                {
                    place.insert(reading);
                }
            }
        }
        let mut is_idle = true;
        for (name, reading) in &mut readings {
            if reading.iterator.is_none() && rng.u8(..) > 4 {
                continue;
            }
            if reading.iterator.is_none() || rng.u32(..READS_OF_A_WALK) == 0 {
                let before = seen.get(name);
                let start = another_start(before, &mut rng);
                let printed = before.map(|seen| seen.number.as_str());
                if let Ok(next) = open(shared, name, start, printed, false).await {
                    *reading = next;
                }
                continue;
            }
            match read(shared, reading, rng.u32(1..=1000)).await {
                Ok(progress) => {
                    is_idle &= progress.last.is_none();
                    seen.extend(progress.last.map(|last| (name.clone(), last)));
                }
                Err(failure) if failure.is(Kind::ExpiredIterator) => reading.iterator = None,
                Err(_) => pause().await,
            }
        }
        if is_idle {
            pause().await;
        }
    }
}

/// Where the next iterator of a shard begins, given a record that was seen.
fn another_start(seen: Option<&Seen>, rng: &mut Rng) -> Start {
    let number = seen.and_then(|seen| seen.number.parse::<Number>().ok());
    match (number, seen, rng.u8(..5)) {
        (Some(number), _, 0) => Start::At(number),
        (Some(number), _, 1) => Start::After(number),
        (_, Some(seen), 2) => Start::AtTime(seen.arrival_ms),
        (_, _, 3) => Start::Latest,
        _ => Start::Horizon,
    }
}

/// Asks for an iterator; `number` is that of `start` as it was printed.
async fn open(
    shared: &Shared,
    shard: &str,
    start: Start,
    number: Option<&str>,
    is_last: bool,
) -> Result<Reading, CallFailure> {
    let id = shard_id(shard).unwrap_or(ShardId::MAX);
    let mut input = json!({ "StreamName": STREAM, "ShardId": shard });
    input["ShardIteratorType"] = Value::from(match &start {
        Start::Horizon => "TRIM_HORIZON",
        Start::At(_) => "AT_SEQUENCE_NUMBER",
        Start::After(_) => "AFTER_SEQUENCE_NUMBER",
        Start::AtTime(_) => "AT_TIMESTAMP",
        Start::Latest => "LATEST",
    });
    match &start {
        Start::At(_) | Start::After(_) => {
            input["StartingSequenceNumber"] = number.map(Value::from).unwrap_or_default();
        }
        Start::AtTime(ms) => input["Timestamp"] = Value::from(seconds(*ms)),
        Start::Horizon | Start::Latest => {}
    }
    let asked = shared.recorder.now();
    let answer: Value = shared.client.call_once("GetShardIterator", &input).await?;
    let iterator = answer["ShardIterator"].as_str().map(str::to_owned);
    Ok(Reading { walk: shared.recorder.opened(id, start, asked, is_last), iterator })
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of any year fit 53 bits")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times are small")]
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

/// How far one read came.
#[derive(Debug, Default)]
struct Progress {
    /// The last record, if there was one.
    last: Option<Seen>,
    /// The store said that there was nothing more.
    is_at_tip: bool,
}

/// Reads once and takes it down.
async fn read(shared: &Shared, reading: &mut Reading, limit: u32) -> Result<Progress, CallFailure> {
    let Some(iterator) = &reading.iterator else { return Ok(Progress::default()) };
    let asked = shared.recorder.now();
    let input = json!({ "ShardIterator": iterator, "Limit": limit });
    let answer: Result<Records, _> = shared.client.call_once("GetRecords", &input).await;
    let answer = answer.inspect_err(|failure| {
        if matches!(failure, CallFailure::Refused(refusal) if refusal.status >= 500) {
            shared.faults_answered.fetch_add(1, Ordering::Relaxed);
        }
    })?;
    let mut records = Vec::with_capacity(answer.records.len());
    let mut last = None;
    for record in answer.records {
        let (Ok(number), Some(arrival), Some(key)) = (
            record.sequence_number.parse(),
            record.approximate_arrival_timestamp,
            record.partition_key,
        ) else {
            shared.is_strange(format!("record {} lacks something", record.sequence_number));
            continue;
        };
        let arrival_ms = milliseconds(arrival);
        records.push(Record { number, arrival_ms, content: content(&key, &record.data) });
        last = Some(Seen { number: record.sequence_number, arrival_ms });
    }
    let is_end = answer.next_shard_iterator.is_none();
    let children =
        || answer.child_shards.iter().filter_map(|child| shard_id(&child.shard_id)).collect();
    let is_at_tip = answer.millis_behind_latest == Some(0);
    let step = Step {
        asked,
        answered: 0,
        clock_ms: clock_ms(),
        records,
        is_caught_up: is_at_tip,
        end: is_end.then(children),
    };
    reading.iterator = answer.next_shard_iterator;
    shared.recorder.read(reading.walk, step);
    Ok(Progress { last, is_at_tip })
}

/// Reads every shard once from its beginning; every read has to be answered.
pub(crate) async fn read_once(shared: &Shared) -> Result<(), Failure> {
    for shard in list(shared).await? {
        let mut reading = open(shared, &shard.shard_id, Start::Horizon, None, false).await?;
        read(shared, &mut reading, 1000).await?;
    }
    Ok(())
}

/// Reads every shard to its end, after everything else has happened; also those that a change of
/// shards still makes meanwhile.
pub(crate) async fn read_all(shared: &Shared) -> Result<(), Failure> {
    // A change of shards that was promised is carried out by then.
    until_active(shared).await?;
    let mut done = BTreeSet::new();
    loop {
        let shards = list(shared).await?;
        let names = shards.into_iter().map(|shard| shard.shard_id);
        let new: Vec<_> = names.filter(|name| !done.contains(name)).collect();
        if new.is_empty() {
            return Ok(());
        }
        for shard in new {
            let mut reading = open(shared, &shard, Start::Horizon, None, true).await?;
            // An open shard has no end, only a tip.
            while reading.iterator.is_some() && !read(shared, &mut reading, 10_000).await?.is_at_tip
            {
            }
            done.insert(shard);
        }
    }
}

/// Reads a shard until it has ended, which a shard that was split does within a second or so.
pub(crate) async fn read_to_end(shared: &Shared, shard: &str) -> Result<(), Failure> {
    let mut reading = open(shared, shard, Start::Horizon, None, false).await?;
    while reading.iterator.is_some() {
        if read(shared, &mut reading, 1000).await?.is_at_tip {
            pause().await;
        }
    }
    Ok(())
}

/// Bits of a sequence number below the place of its record in the shard: a number that only names
/// a place has any time there.
const TIME_BITS: u32 = 80;
/// Where an answer says that reading may go on.
const WAY_AROUND: &str = "AFTER_SEQUENCE_NUMBER with ";

/// Reads every shard to its end, around what the server says is lost, and takes that down.
pub(crate) async fn read_what_is_left(shared: &Shared) -> Result<(), Failure> {
    for shard in list(shared).await? {
        let name = &shard.shard_id;
        let id = shard_id(name).unwrap_or(ShardId::MAX);
        let mut reading = open(shared, name, Start::Horizon, None, true).await?;
        let mut last = Number::from(0);
        let mut is_at_tip = false;
        while reading.iterator.is_some() && !is_at_tip {
            let failure = match read(shared, &mut reading, 1000).await {
                Ok(progress) => {
                    is_at_tip = progress.is_at_tip;
                    let number = progress.last.and_then(|seen| seen.number.parse().ok());
                    last = number.unwrap_or(last);
                    continue;
                }
                Err(failure) => failure,
            };
            let words = failure.to_string();
            if words.contains("read again") {
                continue;
            }
            let Some((_, after)) = words.split_once(WAY_AROUND) else {
                return Err(failure.into());
            };
            let until: Number = after.parse()?;
            let numbers = (last, until.highest_of(TIME_BITS));
            shared.recorder.damaged(Damage { shard: id, numbers });
            let next = open(shared, name, Start::After(until), Some(after), false).await?;
            (reading.iterator, last) = (next.iterator, until);
        }
    }
    Ok(())
}
