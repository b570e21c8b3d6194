//! What AWS is known to do, but for its limits, sharing nothing with the server but the layout of
//! numbers and the hash of keys. Calls and answers are JSON; what is opaque (iterators, page tokens)
//! is a word here, which the test pairs with what the service gave. Of a refusal the type is told; texts have tests of their own.

mod metadata;
mod records;
mod shards;

use std::collections::BTreeMap;

use kinelog_engine::types::SequenceNumber;
use serde_json::{Map, Value as Json, json};

use super::super::{ACCOUNT, REGION, TRANSITION_MS};

/// An answer, or the type of a refusal.
pub(super) type Answer = Result<Json, &'static str>;

const IN_USE: &str = "ResourceInUseException";
const INVALID: &str = "InvalidArgumentException";
const NOT_FOUND: &str = "ResourceNotFoundException";
const VALIDATION: &str = "ValidationException";

const HOUR_MS: u64 = 3_600_000;
/// How long an iterator and a page token can be used.
const TOKEN_MS: u64 = 300_000;
/// How long a subscription keeps others away.
const HELD_MS: u64 = 5000;

#[derive(Default)]
pub(super) struct Model {
    /// Milliseconds since the epoch.
    pub(super) now: u64,
    streams: BTreeMap<String, Stream>,
    streams_made: u64,
    iterators: Vec<records::Iterator>,
    pages: Vec<Page>,
    /// Sequence numbers given out so far, and what they stand for.
    numbers: Vec<(String, records::Number)>,
    /// When consumers last subscribed to shards.
    subscribed: BTreeMap<String, u64>,
    /// Beginning and end of the account's commitment.
    commitment: Option<(u64, Option<u64>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Creating,
    Active,
    Updating,
    Deleting,
}

struct Stream {
    /// Tells a stream from one that has its name later.
    id: u64,
    created: u64,
    state: State,
    /// When it leaves its state.
    due: u64,
    on_demand: bool,
    auto: bool,
    record_kib: u64,
    retention_hours: u64,
    /// What arrived before is gone, whatever the retention.
    trimmed: u64,
    warm_mibps: Option<u64>,
    key: Option<String>,
    /// The key once the stream has left UPDATING.
    next_key: Option<String>,
    metrics: Vec<&'static str>,
    carried: Carried,
    consumers: BTreeMap<String, Consumer>,
    shards: Vec<shards::Shard>,
    /// What happens to its shards when it leaves UPDATING.
    reshard: Option<shards::Reshard>,
}

/// What streams and consumers can carry.
#[derive(Clone, Default)]
struct Carried {
    tags: BTreeMap<String, String>,
    policy: Option<String>,
}

#[derive(Clone)]
struct Consumer {
    created_seconds: u64,
    state: State,
    due: u64,
    carried: Carried,
}

/// Where a listing goes on.
struct Page {
    operation: &'static str,
    issued: u64,
    stream: u64,
    after: String,
    /// The shards of one moment, where a filter asks for one.
    moment: Option<Vec<usize>>,
    filter: Json,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Updating => "UPDATING",
            Self::Deleting => "DELETING",
        }
    }
}

fn text<'b>(body: &'b Json, name: &str) -> &'b str {
    body[name].as_str().unwrap_or_default()
}

/// Seconds as answers have them.
pub(super) fn seconds(millis: u64) -> Json {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    json!(text.parse::<f64>().unwrap())
}

/// What a request tells in seconds, in milliseconds.
fn millis(seconds: &Json) -> u64 {
    format!("{:.0}", seconds.as_f64().unwrap() * 1000.0).parse().unwrap()
}

fn arn(name: &str) -> String {
    format!("arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}")
}

/// The stream a request is about.
fn named(body: &Json) -> String {
    let given = ["StreamName", "StreamARN", "ConsumerARN", "ResourceARN"];
    let given = given.iter().map(|name| text(body, name)).find(|text| !text.is_empty());
    let name = given.unwrap_or_default();
    let name = name.rsplit_once(":stream/").map_or(name, |(_, name)| name);
    name.split('/').next().unwrap().to_owned()
}

fn warm_throughput(target: u64, open_shards: usize) -> Json {
    json!({"TargetMiBps": target, "CurrentMiBps": target.min(open_shards.try_into().unwrap())})
}

/// A page of a sorted list, and whether more follows.
fn page<T>(all: Vec<T>, limit: &Json, most: u64) -> (Vec<T>, bool) {
    let limit = usize::try_from(limit.as_u64().unwrap_or(most).min(most)).unwrap();
    let has_more = all.len() > limit;
    (all.into_iter().take(limit).collect(), has_more)
}

impl Model {
    /// Without streams; it knows one number, which is that of a stream made at its first moment.
    pub(super) fn new(now: u64) -> Self {
        let shard = &shards::uniform(1, now / 1000)[0];
        let seconds = now / 1000;
        let number = records::Number { created_seconds: seconds, shard: 0, counter: 0, seconds };
        let numbers = vec![(shards::number(shard, 0, 0, seconds), number)];
        Self { now, numbers, ..Self::default() }
    }

    /// The answer to a call. `actual` is what the service answered, for what is its choice: the
    /// shard of a record under AUTO distribution.
    pub(super) fn call(&mut self, operation: &str, body: &Json, actual: &Json) -> Answer {
        self.settle();
        match operation {
            "CreateStream" => self.create_stream(body),
            "DeleteStream" => self.delete_stream(body),
            "DescribeStream" => self.describe_stream(body),
            "DescribeStreamSummary" => self.describe_stream_summary(body),
            "ListStreams" => self.list_streams(body),
            "ListShards" => self.list_shards(body),
            "PutRecord" | "PutRecords" => self.put(body, actual),
            "GetShardIterator" => self.get_shard_iterator(body),
            "GetRecords" => self.get_records(body),
            "SubscribeToShard" => self.subscribe(body),
            _ => self.call_about_resource(operation, body),
        }
    }

    /// Page tokens handed out so far.
    pub(super) fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Shard iterators handed out so far.
    pub(super) fn iterators(&self) -> usize {
        self.iterators.len()
    }

    /// Sequence numbers handed out so far, in their order.
    pub(super) fn numbers(&self) -> impl ExactSizeIterator<Item = &String> {
        self.numbers.iter().map(|(text, _)| text)
    }

    /// Shards the stream ever had.
    pub(super) fn shards(&self, name: &str) -> usize {
        self.streams.get(name).map_or(0, |stream| stream.shards.len())
    }

    /// Open shards of the stream.
    pub(super) fn open_shards(&self, name: &str) -> u64 {
        self.streams[name].open().count().try_into().unwrap()
    }

    /// When the last stream leaves the state it is in.
    pub(super) fn settled_at(&self) -> u64 {
        let unsettled = self.streams.values().filter(|it| it.state != State::Active);
        unsettled.map(|it| it.due).max().unwrap_or(self.now)
    }

    /// What is not kept over a restart is forgotten.
    pub(super) fn restart(&mut self) {
        self.subscribed.clear();
    }

    /// A number has been given out that goes on after the record of this counter.
    pub(super) fn learn(&mut self, text: &str, number: SequenceNumber) {
        let SequenceNumber { shard_created_seconds: created_seconds, seconds, .. } = number;
        let (shard, counter) = (number.shard.0 as usize, number.counter.0);
        let number = records::Number { created_seconds, shard, counter, seconds };
        self.numbers.push((text.to_owned(), number));
    }

    /// Brings everything into the state it is due to be in.
    fn settle(&mut self) {
        let now = self.now;
        self.streams.retain(|_, it| it.state != State::Deleting || it.due > now);
        for stream in self.streams.values_mut() {
            stream.finish_reshard(now);
            if stream.state != State::Active && stream.due <= now {
                stream.state = State::Active;
                stream.key.clone_from(&stream.next_key);
            }
            stream.consumers.retain(|_, it| it.state != State::Deleting || it.due > now);
            for consumer in stream.consumers.values_mut() {
                if consumer.state == State::Creating && consumer.due <= now {
                    consumer.state = State::Active;
                }
            }
        }
    }

    fn stream(&mut self, body: &Json) -> Result<&mut Stream, &'static str> {
        self.streams.get_mut(&named(body)).ok_or(NOT_FOUND)
    }

    /// The stream, if it is in one of these states.
    fn stream_in(&mut self, states: &[State], body: &Json) -> Result<&mut Stream, &'static str> {
        let stream = self.stream(body)?;
        if states.contains(&stream.state) { Ok(stream) } else { Err(IN_USE) }
    }

    fn create_stream(&mut self, body: &Json) -> Answer {
        let (name, now) = (text(body, "StreamName"), self.now);
        let count = body["ShardCount"].as_u64();
        let mode = body["StreamModeDetails"]["StreamMode"].as_str();
        let on_demand = mode == Some("ON_DEMAND") || (mode.is_none() && count.is_none());
        let auto = text(body, "RecordDistributionStrategy") == "AUTO";
        if on_demand == count.is_some() || (auto && !on_demand) {
            return Err(INVALID);
        }
        if self.streams.contains_key(name) {
            return Err(IN_USE);
        }
        let mut carried = Carried::default();
        carried.add_tags(&body["Tags"]);
        self.streams_made += 1;
        let stream = Stream {
            id: self.streams_made,
            created: now,
            state: State::Creating,
            due: now + TRANSITION_MS,
            on_demand,
            auto,
            record_kib: body["MaxRecordSizeInKiB"].as_u64().unwrap_or(1024),
            retention_hours: 24,
            trimmed: 0,
            warm_mibps: None,
            key: None,
            next_key: None,
            metrics: Vec::new(),
            carried,
            consumers: BTreeMap::new(),
            shards: shards::uniform(count.unwrap_or(4), now / 1000),
            reshard: None,
        };
        self.streams.insert(name.to_owned(), stream);
        Ok(Json::Null)
    }

    fn delete_stream(&mut self, body: &Json) -> Answer {
        let now = self.now;
        let stream = self.stream_in(&[State::Creating, State::Active, State::Updating], body)?;
        if !stream.consumers.is_empty() && body["EnforceConsumerDeletion"] != json!(true) {
            return Err(IN_USE);
        }
        (stream.state, stream.due) = (State::Deleting, now + TRANSITION_MS);
        for consumer in stream.consumers.values_mut() {
            (consumer.state, consumer.due) = (State::Deleting, now + TRANSITION_MS);
        }
        Ok(Json::Null)
    }

    fn describe_stream(&mut self, body: &Json) -> Answer {
        let (name, now) = (named(body), self.now);
        let stream = self.stream(body)?;
        let mut described = stream.identity(&name);
        described.extend(stream.settings());
        let after = shards::index(text(body, "ExclusiveStartShardId"));
        let visible = stream.visible(now).into_iter();
        let visible = visible.filter(|index| after.is_none_or(|after| *index > after));
        let (shown, has_more) = page(visible.collect(), &body["Limit"], 100);
        let shown = shown.iter().map(|index| stream.describe_shard(*index));
        let (items, numbers): (Vec<_>, Vec<_>) = shown.unzip();
        described.insert("Shards".into(), json!(items));
        described.insert("HasMoreShards".into(), json!(has_more));
        self.numbers.extend(numbers.into_iter().flatten());
        Ok(json!({"StreamDescription": described}))
    }

    fn describe_stream_summary(&mut self, body: &Json) -> Answer {
        let (name, committed) = (named(body), self.is_committed());
        let stream = self.stream(body)?;
        let made = stream.state != State::Creating;
        let open = if made { stream.open().count() } else { 0 };
        let mut described = stream.identity(&name);
        described.extend(stream.settings());
        let counted = json!({
            "OpenShardCount": open, "ConsumerCount": stream.consumers.len(), "ChannelCount": 0,
            "QueueCount": 0, "MaxRecordSizeInKiB": stream.record_kib,
        });
        described.extend(counted.as_object().unwrap().clone());
        if stream.on_demand {
            let strategy = if stream.auto { "AUTO" } else { "USER_PARTITION_KEY" };
            described.insert("RecordDistributionStrategy".into(), json!(strategy));
        }
        if let Some(warm) = stream.warm_mibps.filter(|_| committed) {
            described.insert("WarmThroughput".into(), warm_throughput(warm, open));
        }
        Ok(json!({"StreamDescriptionSummary": described}))
    }

    fn list_streams(&mut self, body: &Json) -> Answer {
        let token = self.redeem("ListStreams", body)?;
        let after = token.map(|page| page.after.clone());
        let after = after.unwrap_or_else(|| text(body, "ExclusiveStartStreamName").to_owned());
        let all: Vec<_> = self.streams.iter().filter(|(name, _)| **name > after).collect();
        let (shown, has_more) = page(all, &body["Limit"], 100);
        let names: Vec<_> = shown.iter().map(|(name, _)| (*name).clone()).collect();
        let summaries: Vec<_> = shown.iter().map(|(name, it)| it.identity(name)).collect();
        let mut answer =
            json!({"StreamNames": names, "HasMoreStreams": has_more, "StreamSummaries": summaries});
        if let Some(last) = names.last().filter(|_| has_more) {
            answer["NextToken"] = self.issue("ListStreams", 0, last, None, &Json::Null);
        }
        Ok(answer)
    }

    /// A new page token.
    fn issue(
        &mut self,
        operation: &'static str,
        stream: u64,
        after: &str,
        moment: Option<Vec<usize>>,
        filter: &Json,
    ) -> Json {
        let (after, filter, issued) = (after.to_owned(), filter.clone(), self.now);
        self.pages.push(Page { operation, issued, stream, after, moment, filter });
        json!(format!("page {}", self.pages.len() - 1))
    }

    /// The page of the token in a request, if it has one.
    fn redeem(&self, operation: &str, body: &Json) -> Result<Option<&Page>, &'static str> {
        let Some(token) = body["NextToken"].as_str() else { return Ok(None) };
        let index = token.strip_prefix("page ").and_then(|index| index.parse::<usize>().ok());
        let page = index.and_then(|index| self.pages.get(index));
        match page.filter(|page| page.operation == operation) {
            Some(page) if self.now - page.issued > TOKEN_MS => Err("ExpiredNextTokenException"),
            Some(page) => Ok(Some(page)),
            None => Err(INVALID),
        }
    }
}

impl Stream {
    fn identity(&self, name: &str) -> Map<String, Json> {
        let mode = if self.on_demand { "ON_DEMAND" } else { "PROVISIONED" };
        let identity = json!({
            "StreamName": name, "StreamARN": arn(name), "StreamStatus": self.state.name(),
            "StreamModeDetails": {"StreamMode": mode},
            "StreamCreationTimestamp": seconds(self.created / 1000 * 1000),
        });
        identity.as_object().unwrap().clone()
    }

    fn settings(&self) -> Map<String, Json> {
        let mut settings = json!({
            "RetentionPeriodHours": self.retention_hours,
            "EnhancedMonitoring": [{"ShardLevelMetrics": self.metrics}],
            "EncryptionType": if self.key.is_some() { "KMS" } else { "NONE" },
        });
        if let Some(key) = &self.key {
            settings["KeyId"] = json!(key);
        }
        settings.as_object().unwrap().clone()
    }

    /// The oldest arrival that can still be read.
    fn horizon(&self, now: u64) -> u64 {
        now.saturating_sub(self.retention_hours * HOUR_MS).max(self.trimmed)
    }
}
