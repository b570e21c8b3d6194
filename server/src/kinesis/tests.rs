//! Operations run against a small engine in this process, on a disk in memory and a clock that is
//! moved by hand. Every row of the service's error texts that these operations can give is compared
//! by type and exact text.

mod addressing;
mod capacity;
mod constraints;
mod consumers;
mod creating;
mod deleting;
mod dry_run;
mod encrypting;
mod faults;
mod listing;
mod monitoring;
mod on_demand;
mod rates;
mod reading;
mod reshard_model;
mod resharding;
mod restored;
mod retaining;
mod sequences;
mod shard_count;
mod sharing;
mod states;
mod subscribing;
mod tagging;
mod worlds;
mod writing;

use std::sync::Arc;

use bytes::{Buf, Bytes};
use kinelog_engine::Engine;
use kinelog_engine::config::Config;
use kinelog_engine::device::clock::ManualClock;
use kinelog_engine::device::simulated::{SimulatedDisk, Survive};
use kinelog_engine::types::{ShardIndex, Stream, StreamKey, Timestamp};
use serde_json::{Value as Json, json};

use super::context::{Context, Settings};
use super::{Operation, resume_transitions};
use crate::aws::Encoding;
use crate::aws::exception::{Exception, Kind};
use crate::aws::input::Body;
use crate::aws::output::Output;
use crate::aws::sigv4::{self, Principal};
use crate::aws::value::Value;
use crate::throttle::Limits;

/// 2025-12-03 18:48:54.250 UTC.
const NOW: Timestamp = Timestamp(1_764_787_734_250);
const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-east-1";
/// Longer than any test waits: only the moved clock completes transitions.
const TRANSITION_MS: u64 = 3_600_000;

/// A service with one caller.
struct World {
    context: Context,
    clock: Arc<ManualClock>,
    disk: SimulatedDisk,
    principal: Principal,
}

impl World {
    async fn new(limits: Limits) -> Self {
        let account = ACCOUNT.to_owned();
        let settings =
            Settings { account, transition_ms: TRANSITION_MS, limits, ..Settings::default() };
        Self::with_settings(settings).await
    }

    async fn with_settings(settings: Settings) -> Self {
        let (clock, disk) = (Arc::new(ManualClock::new(NOW)), SimulatedDisk::new(1));
        let context = Self::open(&disk, &clock, settings).await;
        Self { context, clock, disk, principal: principal("AKID", REGION) }
    }

    async fn open(disk: &SimulatedDisk, clock: &Arc<ManualClock>, settings: Settings) -> Context {
        let clock = Arc::clone(clock);
        let config = Config { log_file_bytes: 1 << 20, ..Config::new("/store") };
        let engine = Engine::open(config, disk.device(clock)).await.unwrap();
        Context::new(engine, settings)
    }

    /// Without limits and with the active stream `s` of so many shards.
    async fn with_stream(shards: u32) -> Self {
        let world = Self::new(Limits::OFF).await;
        world.create(json!({"StreamName": "s", "ShardCount": shards})).await;
        world
    }

    /// Creates a stream and makes it active.
    async fn create(&self, body: Json) {
        self.run(Operation::CreateStream, body).await.unwrap();
        self.clock.advance_ms(TRANSITION_MS);
    }

    /// The same store, whose streams and consumers change their states at once.
    fn in_no_time(mut self) -> Self {
        let settings = Settings { transition_ms: 0, ..self.context.settings().clone() };
        self.context = Context::new(self.context.engine.clone(), settings);
        self
    }

    /// The same store under other limits.
    fn with_limits(mut self, limits: Limits) -> Self {
        let settings = Settings { limits, ..self.context.settings().clone() };
        self.context = Context::new(self.context.engine.clone(), settings);
        self
    }

    /// Closes the store and opens it again.
    async fn restart(&mut self) {
        self.context.engine.close().await;
        self.reopen().await;
    }

    /// Cuts the power and opens what is left. `seed` must not be 1, which the first disk has.
    async fn cut_power(&mut self, seed: u64, survive: Survive) {
        self.disk = self.disk.power_cut(seed, survive);
        self.reopen().await;
    }

    async fn reopen(&mut self) {
        let settings = self.context.settings().clone();
        self.context = Self::open(&self.disk, &self.clock, settings).await;
        resume_transitions(&self.context);
    }

    async fn run(&self, operation: Operation, body: Json) -> Result<Json, Exception> {
        self.run_as(&self.principal, operation, body).await
    }

    async fn run_as(
        &self,
        principal: &Principal,
        operation: Operation,
        body: Json,
    ) -> Result<Json, Exception> {
        let body = body.to_string();
        let shape = Some(operation.shape());
        let body = Body::read(body.as_bytes(), shape, Encoding::Json).unwrap();
        let answer = operation.run(&self.context, principal, Encoding::Json, body).await?;
        let answer = whole(answer);
        if answer.is_empty() {
            return Ok(Json::Null);
        }
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    /// Runs with a CBOR body as parsed, so that large data is not spelled out in between.
    async fn run_cbor(&self, operation: Operation, body: Value<'_>) -> Result<Bytes, Exception> {
        operation.run(&self.context, &self.principal, Encoding::Cbor, body).await.map(whole)
    }

    /// Puts records of so many bytes each in one call, all with the key `k`.
    async fn put_large(&self, sizes: &[usize]) -> Result<Bytes, Exception> {
        let records = sizes.iter().map(|&bytes| {
            Value::Map(vec![
                ("Data".into(), Value::Bytes(vec![0; bytes].into())),
                ("PartitionKey".into(), Value::Text("k".into())),
            ])
        });
        let records = Value::List(records.collect());
        let stream = Value::Text("s".into());
        let body = Value::Map(vec![("StreamName".into(), stream), ("Records".into(), records)]);
        self.run_cbor(Operation::PutRecords, body).await
    }

    /// Lengths of the records read, and the next iterator.
    async fn read_large(&self, iterator: &str) -> (Vec<usize>, String) {
        let body = Value::Map(vec![("ShardIterator".into(), Value::Text(iterator.into()))]);
        let answer = self.run_cbor(Operation::GetRecords, body).await.unwrap();
        let answer = crate::aws::cbor::parse(&answer).unwrap();
        let Value::List(records) = member(&answer, "Records") else { panic!() };
        let bytes = |record| {
            let Value::Bytes(data) = member(record, "Data") else { panic!() };
            data.len()
        };
        let Value::Text(next) = member(&answer, "NextShardIterator") else { panic!() };
        (records.iter().map(bytes).collect(), next.clone().into_owned())
    }

    /// Runs what must succeed.
    async fn ok(&self, operation: Operation, body: Json) -> Json {
        self.run(operation, body).await.unwrap()
    }

    /// Runs what must be refused, with this type and text.
    async fn refused(&self, operation: Operation, body: Json, kind: Kind, message: &str) {
        let refused = self.run(operation, body.clone()).await.expect_err(&body.to_string());
        assert_eq!((refused.kind, refused.message.as_deref()), (kind, Some(message)), "{body}");
    }

    async fn put(&self, key: &str, data: &str) -> Json {
        let body = json!({"StreamName": "s", "PartitionKey": key, "Data": base64(data.as_bytes())});
        self.ok(Operation::PutRecord, body).await
    }

    /// An iterator of stream `s`; `more` adds members.
    async fn iterator(&self, shard: &str, kind: &str, more: Json) -> String {
        let mut body = json!({"StreamName": "s", "ShardId": shard, "ShardIteratorType": kind});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let answer = self.ok(Operation::GetShardIterator, body).await;
        answer["ShardIterator"].as_str().unwrap().to_owned()
    }

    async fn read(&self, iterator: &str) -> Json {
        self.ok(Operation::GetRecords, json!({"ShardIterator": iterator})).await
    }

    fn stream(&self) -> Arc<Stream> {
        let namespace = format!("{ACCOUNT}/{REGION}");
        self.context.engine.stream(&StreamKey { namespace, name: "s".to_owned() }).unwrap()
    }

    /// Splits shard 0 of stream `s` in two; when it returns the children take the records.
    async fn split(&self) {
        self.begin_split().await;
        self.next_second().await;
    }

    /// Splits shard 0 of stream `s` in two; when it returns this is about to be shown.
    async fn begin_split(&self) {
        let middle = (self.stream().shard(ShardIndex(0)).unwrap().range.end >> 1) + 1;
        let body = json!({
            "StreamName": "s", "ShardToSplit": "0", "NewStartingHashKey": middle.to_string(),
        });
        self.ok(Operation::SplitShard, body).await;
        self.clock.advance_ms(TRANSITION_MS - 1);
    }

    /// Moves the clock to the beginning of the next second, when planned shards begin.
    async fn next_second(&self) {
        self.clock.set(Timestamp((self.context.engine.now().seconds() + 1) * 1000));
        self.run(Operation::DescribeStreamSummary, json!({"StreamName": "s"})).await.unwrap();
    }
}

/// The body of an answer that has one.
fn whole(output: Output) -> Bytes {
    match output {
        Output::Whole(mut body) => body.copy_to_bytes(body.remaining()),
        Output::Events(_) | Output::Cut => panic!("no whole body"),
    }
}

/// A caller as the front end lets it through.
fn principal(access_key: &str, region: &str) -> Principal {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={access_key}/20251203/{region}/kinesis/aws4_request, \
         SignedHeaders=host, Signature=00"
    );
    let head = hyper::Request::post("/")
        .header("authorization", authorization)
        .header("x-amz-date", "20251203T184854Z")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    sigv4::authenticate(&head, NOW.seconds(), 300).unwrap()
}

fn member<'v, 'a>(map: &'v Value<'a>, name: &str) -> &'v Value<'a> {
    let Value::Map(members) = map else { panic!("{map:?}") };
    &members.iter().find(|(member, _)| member == name).unwrap().1
}

fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// Texts of a list in an answer, by member of its entries.
fn texts(list: &Json, member: &str) -> Vec<String> {
    let entries = list.as_array().unwrap().iter();
    entries.map(|entry| entry[member].as_str().unwrap().to_owned()).collect()
}

fn arn(name: &str) -> String {
    format!("arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}")
}
