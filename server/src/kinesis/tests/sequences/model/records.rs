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
        ((text, Number { created_seconds, shard: at, counter }), result)
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

    pub(super) fn get_shard_iterator(&mut self, body: &Json) -> Answer {
        let now = self.now;
        let given = text(body, "StartingSequenceNumber");
        let number = self.numbers.iter().find(|(text, _)| text == given).map(|(_, it)| it.clone());
        let at = index(text(body, "ShardId")).unwrap();
        let stream = self.stream(body)?;
        if !stream.visible(now).contains(&at) {
            return Err(NOT_FOUND);
        }
        let shard = &stream.shards[at];
        let is_own = |it: &Number| (it.shard, it.created_seconds) == (at, shard.created_seconds);
        if number.as_ref().is_some_and(|number| !is_own(number)) {
            return Err(INVALID);
        }
        let counter = number.map_or(0, |number| number.counter);
        let end = shard.records.len();
        let place = |counter: u64| usize::try_from(counter).map_or(end, |place| place.min(end));
        let position = match text(body, "ShardIteratorType") {
            "TRIM_HORIZON" => 0,
            "LATEST" => end,
            "AT_SEQUENCE_NUMBER" => place(counter.saturating_sub(1)),
            "AFTER_SEQUENCE_NUMBER" if counter == shards::LAST_COUNTER => return Err(INVALID),
            "AFTER_SEQUENCE_NUMBER" => place(counter),
            _ => {
                let at = millis(&body["Timestamp"]);
                shard.records.iter().position(|it| it.arrival >= at).unwrap_or(end)
            }
        };
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
        let gone = shard.records.iter().take_while(|it| it.arrival < stream.horizon(now)).count();
        let first = iterator.position.max(gone);
        let limit = usize::try_from(body["Limit"].as_u64().unwrap_or(10_000)).unwrap();
        let items: Vec<_> = shard.records[first..].iter().take(limit).map(|it| &it.item).collect();
        let next = first + items.len();
        let behind = shard.records.get(next).map_or(0, |record| now - record.arrival);
        let mut answer = json!({"Records": items, "MillisBehindLatest": behind});
        if next == shard.records.len() && shard.closed.is_some_and(|closed| closed < now) {
            answer["ChildShards"] = stream.children(iterator.shard);
        } else {
            let next = Iterator { issued: now, position: next, ..iterator };
            answer["NextShardIterator"] = json!(self.iterator(next));
        }
        Ok(answer)
    }
}
