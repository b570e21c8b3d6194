//! `SubscribeToShard`: what is refused before the stream begins, what comes in it and when, and how
//! it ends.

mod ending;
mod pacing;
mod settings;
mod starting;

use std::task::{Context as TaskContext, Poll, Waker};

use super::*;
use crate::aws::event_stream::{Message, take_message};
use crate::aws::output::Events;
use crate::limits;

/// The reader of one subscription.
pub(super) struct Subscriber(Events);

impl Subscriber {
    /// The next message if it is there; waits for nothing.
    fn poll(&mut self) -> Poll<Option<Message>> {
        let pieces = self.0.poll_next(&mut TaskContext::from_waker(Waker::noop()));
        pieces.map(|pieces| pieces.map(|pieces| taken_apart(&pieces.concat())))
    }

    /// True when there is nothing to read now.
    pub(super) fn is_silent(&mut self) -> bool {
        self.poll().is_pending()
    }

    /// The next message; `None` at the end.
    pub(super) async fn message(&mut self) -> Option<Message> {
        self.0.next().await.map(|pieces| taken_apart(&pieces.concat()))
    }

    /// The next event in JSON.
    pub(super) async fn event(&mut self) -> Json {
        let message = self.message().await.unwrap();
        assert_eq!(message.header(":message-type"), Some("event"), "{message:?}");
        assert_eq!(message.header(":event-type"), Some("SubscribeToShardEvent"));
        assert_eq!(message.header(":content-type"), Some("application/x-amz-json-1.1"));
        serde_json::from_slice(&message.payload).unwrap()
    }

    /// The exception that comes next, and that nothing follows.
    async fn exception(&mut self) -> (String, String) {
        let message = self.message().await.unwrap();
        assert_eq!(message.header(":message-type"), Some("exception"), "{message:?}");
        assert_eq!(message.header(":content-type"), Some("application/x-amz-json-1.1"));
        let payload: Json = serde_json::from_slice(&message.payload).unwrap();
        assert!(self.message().await.is_none());
        let kind = message.header(":exception-type").unwrap().to_owned();
        (kind, payload["message"].as_str().unwrap().to_owned())
    }

    /// The data of so many records, in as many events as they come in.
    async fn data(&mut self, count: usize) -> Vec<String> {
        let mut found = Vec::new();
        while found.len() < count {
            found.extend(data(&self.event().await));
        }
        found
    }
}

fn taken_apart(message: &[u8]) -> Message {
    let mut bytes = Bytes::copy_from_slice(message);
    let message = take_message(&mut bytes).unwrap().unwrap();
    assert!(bytes.is_empty(), "one piece is one message");
    message
}

/// The data of an event's records.
fn data(event: &Json) -> Vec<String> {
    let decode = |text: String| {
        String::from_utf8(base64_simd::STANDARD.decode_to_vec(text).unwrap()).unwrap()
    };
    texts(&event["Records"], "Data").into_iter().map(decode).collect()
}

fn continuation(event: &Json) -> &str {
    event["ContinuationSequenceNumber"].as_str().unwrap()
}

fn is_empty(event: &Json) -> bool {
    event["Records"].as_array().unwrap().is_empty()
}

/// Registers a consumer and makes it active; its ARN.
async fn consumer(world: &World, name: &str) -> String {
    let body = json!({"StreamARN": arn("s"), "ConsumerName": name});
    let answer = world.ok(Operation::RegisterStreamConsumer, body).await;
    world.clock.advance_ms(TRANSITION_MS);
    answer["Consumer"]["ConsumerARN"].as_str().unwrap().to_owned()
}

fn request(consumer: &str, from: Json) -> Json {
    let mut body = json!({"ConsumerARN": consumer, "ShardId": "shardId-000000000000"});
    body["StartingPosition"] = from;
    body
}

fn latest() -> Json {
    json!({"Type": "LATEST"})
}

fn horizon() -> Json {
    json!({"Type": "TRIM_HORIZON"})
}

impl World {
    /// Calls `SubscribeToShard`; the first message is read.
    pub(super) async fn try_subscribe(&self, body: Json) -> Result<Subscriber, Exception> {
        let body = body.to_string();
        let value = crate::aws::json::parse(body.as_bytes()).unwrap();
        let (operation, encoding) = (Operation::SubscribeToShard, Encoding::Json);
        let answer = operation.run(&self.context, &self.principal, encoding, value).await?;
        let Output::Events(events) = answer else { panic!("a whole body") };
        let mut subscriber = Subscriber(events);
        let first = subscriber.message().await.unwrap();
        assert_eq!(first.header(":event-type"), Some("initial-response"));
        assert_eq!(first.payload, "{}");
        Ok(subscriber)
    }

    /// Subscribes to shard 0 from a position.
    async fn subscribe(&self, consumer: &str, from: Json) -> Subscriber {
        self.try_subscribe(request(consumer, from)).await.unwrap()
    }

    /// That `SubscribeToShard` is refused before its stream begins.
    async fn refuses(&self, body: Json, kind: Kind, text: &str) {
        let Err(refused) = self.try_subscribe(body.clone()).await else { panic!("{body}") };
        assert_eq!((refused.kind, refused.message.as_deref()), (kind, Some(text)), "{body}");
    }
}

#[tokio::test]
async fn an_idle_shard_gives_an_empty_event_at_once() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    let event = subscriber.event().await;
    let members: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["ContinuationSequenceNumber", "MillisBehindLatest", "Records"]);
    assert_eq!((&event["Records"], &event["MillisBehindLatest"]), (&json!([]), &json!(0)));
    assert!(subscriber.is_silent());
}

#[tokio::test]
async fn records_come_as_soon_as_they_are_durable_and_as_get_records_shows_them() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    assert!(is_empty(&subscriber.event().await));
    for n in 0..3 {
        let iterator = world.iterator("0", "LATEST", json!({})).await;
        world.clock.advance_ms(7);
        world.put("k", &n.to_string()).await;
        let event = subscriber.event().await;
        assert_eq!(event["Records"], world.read(&iterator).await["Records"]);
        assert_eq!(event["MillisBehindLatest"], 0);
        assert!(subscriber.is_silent());
    }
}

#[tokio::test]
async fn a_subscriber_that_waits_is_woken() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    assert!(is_empty(&subscriber.event().await));
    let (event, _) = tokio::join!(subscriber.event(), world.put("k", "x"));
    assert_eq!(data(&event), ["x"]);
}

#[tokio::test]
async fn records_of_one_call_come_in_one_event() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    subscriber.event().await;
    let entry = |n: u32| json!({"PartitionKey": "k", "Data": base64(n.to_string().as_bytes())});
    let records: Vec<_> = (1..=5).map(entry).collect();
    world.ok(Operation::PutRecords, json!({"StreamName": "s", "Records": records})).await;
    assert_eq!(data(&subscriber.event().await), ["1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn events_to_a_cbor_caller_are_in_cbor() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    world.put("k", "x").await;
    let text = |text: &str| Value::Text(text.to_owned().into());
    let body = Value::Map(vec![
        ("ConsumerARN".into(), text(&consumer)),
        ("ShardId".into(), text("0")),
        ("StartingPosition".into(), Value::Map(vec![("Type".into(), text("TRIM_HORIZON"))])),
    ]);
    let (operation, encoding) = (Operation::SubscribeToShard, Encoding::Cbor);
    let answer = operation.run(&world.context, &world.principal, encoding, body).await.unwrap();
    let Output::Events(events) = answer else { panic!("a whole body") };
    let mut subscriber = Subscriber(events);
    let first = subscriber.message().await.unwrap();
    assert_eq!(first.payload, b"\xbf\xff".as_slice());
    let message = subscriber.message().await.unwrap();
    assert_eq!(message.header(":content-type"), Some("application/x-amz-cbor-1.1"));
    let event = crate::aws::cbor::parse(&message.payload).unwrap();
    let Value::List(records) = member(&event, "Records") else { panic!("{event:?}") };
    assert_eq!(member(&records[0], "Data"), &Value::Bytes(b"x".into()));
    assert!(matches!(member(&records[0], "ApproximateArrivalTimestamp"), Value::Millis(_)));
    assert!(matches!(member(&event, "ContinuationSequenceNumber"), Value::Text(_)));
    let body = json!({"ConsumerARN": consumer});
    world.ok(Operation::DeregisterStreamConsumer, body).await;
    let message = subscriber.message().await.unwrap();
    assert_eq!(message.header(":content-type"), Some("application/x-amz-cbor-1.1"));
    let exception = crate::aws::cbor::parse(&message.payload).unwrap();
    let missing = "Consumer c under stream s under account 123456789012 not found.";
    assert_eq!(member(&exception, "message"), &text(missing));
}

#[tokio::test]
async fn consumers_that_read_the_same_share_one_encoding() {
    let world = World::with_stream(1).await;
    let mut consumers = Vec::new();
    for n in 0..20 {
        consumers.push(consumer(&world, &n.to_string()).await);
    }
    let mut subscribers = Vec::new();
    for consumer in consumers {
        let mut subscriber = world.subscribe(&consumer, latest()).await;
        assert!(is_empty(&subscriber.event().await));
        subscribers.push(subscriber);
    }
    for n in 0..10 {
        world.put("k", &n.to_string()).await;
        for subscriber in &mut subscribers {
            assert_eq!(data(&subscriber.event().await), [n.to_string()]);
        }
    }
    let values = world.context.fan_out_values();
    assert_eq!(values[1..], [("fan_out_blocks_made", 10), ("fan_out_blocks_shared", 190)]);
    drop(subscribers);
    assert_eq!(world.context.fan_out_values()[0], ("fan_out_held_bytes", 0));
}

#[tokio::test]
async fn the_largest_record_fits_one_event() {
    let world = World::new(Limits::OFF).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1, "MaxRecordSizeInKiB": 10240})).await;
    let consumer = consumer(&world, "c").await;
    world.put_large(&[(10 << 20) - 1]).await.unwrap();
    world.put("k", "small").await;
    let mut subscriber = world.subscribe(&consumer, horizon()).await;
    let message = subscriber.message().await.unwrap();
    assert!(message.payload.len() > 13 << 20 && message.payload.len() < 24 << 20);
    assert_eq!(data(&subscriber.event().await), ["small"]);
}

#[tokio::test]
async fn an_event_has_so_many_records_and_bytes() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    for _ in 0..11 {
        world.put_large(&[1; 500]).await.unwrap();
    }
    let mut subscriber = world.subscribe(&consumer, horizon()).await;
    assert_eq!(data(&subscriber.event().await).len(), limits::EVENT_RECORDS_MAX);
    assert_eq!(data(&subscriber.event().await).len(), 500);
    world.put_large(&[300 << 10; 7]).await.unwrap();
    for count in [3, 3, 1] {
        assert_eq!(data(&subscriber.event().await).len(), count);
    }
}

#[tokio::test]
async fn records_behind_the_tip_tell_how_far_they_are_behind() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    for _ in 0..3 {
        world.put_large(&[700 << 10]).await.unwrap();
        world.clock.advance_ms(1000);
    }
    let mut subscriber = world.subscribe(&consumer, horizon()).await;
    for behind_ms in [2000, 1000, 0] {
        assert_eq!(subscriber.event().await["MillisBehindLatest"], behind_ms);
    }
}

#[tokio::test]
async fn what_is_sent_is_counted_by_consumer() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    world.put("key", "data").await;
    let mut subscriber = world.subscribe(&consumer, horizon()).await;
    subscriber.event().await;
    world.clock.advance_ms(limits::TAKE_OVER_AFTER_MS);
    subscriber.event().await;
    drop(subscriber);
    let _next = world.subscribe(&consumer, latest()).await;
    let refused = world.try_subscribe(request(&consumer, latest())).await;
    assert!(refused.is_err());
    let measured = || crate::kinesis::measured_streams(&world.context);
    let families = world.context.traffic().collect(measured);
    let text = prometheus::TextEncoder::new().encode_to_string(&families).unwrap();
    let owner = format!("account=\"{ACCOUNT}\",region=\"{REGION}\",StreamName=\"s\"");
    for (name, value) in [
        ("SubscribeToShard_Open", 1),
        ("SubscribeToShard_Success", 2),
        ("SubscribeToShard_RateExceeded", 1),
        ("SubscribeToShardEvent_Success", 2),
        ("SubscribeToShardEvent_Records", 1),
        ("SubscribeToShardEvent_Bytes", 7),
        ("SubscribeToShardEvent_MillisBehindLatest", 0),
    ] {
        let line = format!("aws_kinesis_{name}{{{owner},ConsumerName=\"c\"}} {value}");
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
}
