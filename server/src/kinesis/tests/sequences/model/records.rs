//! Records on their way in and out.

use kinelog_engine::types::HashKey;

use super::shards::{Shard, id, index, number};
use super::*;

pub(super) struct Record {
    pub(super) arrival: u64,
    /// As `GetRecords` gives it.
    item: Json,
}

/// What a sequence number stands for.
#[derive(Clone)]
pub(super) struct Number {
    pub(super) created_seconds: u64,
    pub(super) shard: usize,
    pub(super) counter: u64,
    pub(super) seconds: u64,
}

/// A shard iterator.
#[derive(Clone)]
pub(super) struct Iterator {
    issued: u64,
    stream: u64,
    shard: usize,
    /// Index of the next record.
    position: usize,
}

impl Stream {
    /// Stores a record; its number, and what the answer says of it.
    fn store(&mut self, entry: &Json, now: u64, actual: &Json) -> ((String, Number), Json) {
        let key = entry["PartitionKey"].as_str();
        let at = if self.auto {
            index(text(actual, "ShardId")).unwrap()
        } else {
            let hash = match entry["ExplicitHashKey"].as_str() {
                Some(key) => key.parse().unwrap(),
                None => HashKey::of_partition_key(key.unwrap_or_default().as_bytes()).0,
            };
            let holds = |(start, end): (u128, u128)| (start..=end).contains(&hash);
            self.shards.iter().position(|it| it.takes_records(now) && holds(it.range)).unwrap()
        };
        let encrypted = self.encrypts();
        let shard = &mut self.shards[at];
        assert!(shard.takes_records(now), "{at} takes no records");
        let counter = u64::try_from(shard.records.len()).unwrap() + 1;
        let text = number(shard, at, counter, now / 1000);
        let mut item = json!({
            "SequenceNumber": text, "ApproximateArrivalTimestamp": seconds(now),
            "Data": entry["Data"],
        });
        if let Some(key) = key {
            item["PartitionKey"] = json!(key);
        }
        if encrypted {
            item["EncryptionType"] = json!("KMS");
        }
        shard.records.push(Record { arrival: now, item });
        let result = json!({"ShardId": id(at), "SequenceNumber": text});
        let created_seconds = shard.created_seconds;
        let seconds = now / 1000;
        ((text, Number { created_seconds, shard: at, counter, seconds }), result)
    }
}

impl Stream {
    /// Index of the first record of shard `at` to be read from a position of this kind.
    fn position(
        &self,
        at: usize,
        now: u64,
        kind: &str,
        number: Option<&Number>,
        time: &Json,
    ) -> Result<usize, &'static str> {
        if !self.visible(now).contains(&at) {
            return Err(NOT_FOUND);
        }
        let shard = &self.shards[at];
        let is_own = |it: &Number| (it.shard, it.created_seconds) == (at, shard.created_seconds);
        if number.is_some_and(|number| !is_own(number)) {
            return Err(INVALID);
        }
        if kind == "AFTER_SEQUENCE_NUMBER" && number.unwrap().counter == shards::LAST_COUNTER {
            return Err(INVALID);
        }
        let given = number.map_or((0, 0), |number| (number.counter, number.seconds));
        let is_first = |(counter, record): (u64, &Record)| match kind {
            "TRIM_HORIZON" => true,
            "LATEST" => false,
            "AT_SEQUENCE_NUMBER" => (counter, record.arrival / 1000) >= given,
            "AFTER_SEQUENCE_NUMBER" => (counter, record.arrival / 1000) > given,
            _ => record.arrival >= millis(time),
        };
        // Nothing that is still to come stands at or after the last number of a shard.
        let is_last = given.0 == shards::LAST_COUNTER;
        let end = if is_last { usize::MAX } else { shard.records.len() };
        Ok((1..).zip(&shard.records).position(is_first).unwrap_or(end))
    }

    /// Index of the first record of shard `at` that can still be read.
    fn first_kept(&self, at: usize, now: u64) -> usize {
        let is_gone = |record: &&Record| record.arrival < self.horizon(now);
        self.shards[at].records.iter().take_while(is_gone).count()
    }
}

impl Model {
    pub(super) fn put(&mut self, body: &Json, actual: &Json) -> Answer {
        let now = self.now;
        let stream = self.stream(body)?;
        if matches!(stream.state, State::Creating | State::Deleting) {
            return Err(NOT_FOUND);
        }
        let single = [body.clone()];
        let entries = body["Records"].as_array().map_or(&single[..], Vec::as_slice);
        let beyond = |entry: &Json| {
            let key = text(entry, "ExplicitHashKey");
            !key.is_empty() && key.parse::<u128>().is_err()
        };
        if !stream.auto && entries.iter().any(beyond) {
            return Err(INVALID);
        }
        let mut results = Vec::new();
        let mut numbers = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            let actual = actual["Records"].get(place).unwrap_or(actual);
            let (number, result) = stream.store(entry, now, actual);
            numbers.push(number);
            results.push(result);
        }
        let mut answer = if body["Records"].is_array() {
            json!({"FailedRecordCount": 0, "Records": results})
        } else {
            results.swap_remove(0)
        };
        if stream.encrypts() {
            answer["EncryptionType"] = json!("KMS");
        }
        self.numbers.extend(numbers);
        Ok(answer)
    }

    /// What a number that was given out stands for.
    fn number(&self, number: &Json) -> Option<Number> {
        let found = self.numbers.iter().find(|(text, _)| number == text);
        found.map(|(_, number)| number.clone())
    }

    pub(super) fn get_shard_iterator(&mut self, body: &Json) -> Answer {
        let now = self.now;
        let number = self.number(&body["StartingSequenceNumber"]);
        let at = index(text(body, "ShardId")).unwrap();
        let stream = self.stream(body)?;
        let kind = text(body, "ShardIteratorType");
        let position = stream.position(at, now, kind, number.as_ref(), &body["Timestamp"])?;
        let iterator = Iterator { issued: now, stream: stream.id, shard: at, position };
        Ok(json!({"ShardIterator": self.iterator(iterator)}))
    }

    fn iterator(&mut self, iterator: Iterator) -> String {
        self.iterators.push(iterator);
        format!("iterator {}", self.iterators.len() - 1)
    }

    pub(super) fn get_records(&mut self, body: &Json) -> Answer {
        let now = self.now;
        let handed_out = text(body, "ShardIterator").strip_prefix("iterator ");
        let handed_out = handed_out.and_then(|place| place.parse::<usize>().ok()).ok_or(INVALID)?;
        let iterator = self.iterators[handed_out].clone();
        if now - iterator.issued > TOKEN_MS {
            return Err("ExpiredIteratorException");
        }
        let stream = self.streams.values().find(|it| it.id == iterator.stream).ok_or(NOT_FOUND)?;
        if !stream.visible(now).contains(&iterator.shard) {
            return Err(NOT_FOUND);
        }
        let shard: &Shard = &stream.shards[iterator.shard];
        let first = iterator.position.max(stream.first_kept(iterator.shard, now));
        let first = first.min(shard.records.len());
        let limit = usize::try_from(body["Limit"].as_u64().unwrap_or(10_000)).unwrap();
        let items: Vec<_> = shard.records[first..].iter().take(limit).map(|it| &it.item).collect();
        let next = first + items.len();
        let behind = shard.records.get(next).map_or(0, |record| now - record.arrival);
        let mut answer = json!({"Records": items, "MillisBehindLatest": behind});
        if next == shard.records.len() && shard.closed.is_some_and(|closed| closed < now) {
            answer["ChildShards"] = stream.children(iterator.shard);
        } else {
            let position = next.max(iterator.position);
            let next = Iterator { issued: now, position, ..iterator };
            answer["NextShardIterator"] = json!(self.iterator(next));
        }
        Ok(answer)
    }

    /// The records a subscription begins with, and the children where these are the last ones.
    pub(super) fn subscribe(&mut self, body: &Json) -> Answer {
        let (now, from) = (self.now, &body["StartingPosition"]);
        let number = self.number(&from["SequenceNumber"]);
        let at = index(text(body, "ShardId")).unwrap();
        let stream = self.stream(body)?;
        if stream.consumer(body)?.state != State::Active {
            return Err(IN_USE);
        }
        let kind = text(from, "Type");
        let position = stream.position(at, now, kind, number.as_ref(), &from["Timestamp"])?;
        let place = format!("{} {} {at}", stream.id, text(body, "ConsumerARN"));
        let records = &stream.shards[at].records;
        let first = position.max(stream.first_kept(at, now)).min(records.len());
        let kept = &records[first..];
        let items: Vec<_> = kept.iter().map(|record| &record.item).collect();
        let mut answer = json!({"Records": items});
        if stream.shards[at].closed.is_some_and(|closed| closed < now) {
            answer["ChildShards"] = stream.children(at);
        }
        if self.subscribed.get(&place).is_some_and(|began| now - began < HELD_MS) {
            return Err(IN_USE);
        }
        self.subscribed.insert(place, now);
        Ok(answer)
    }
}
