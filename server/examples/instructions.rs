//! The hot calls without HTTP, for counting instructions: `instructions CASE CALLS` prepares a store
//! and then does the same call so many times, from the bytes of its body to those of its answer.
//! `bench/instructions/run` runs it and tells how. A case that ends with `-tree` reads bodies the long
//! way (`aws::input`).

#![allow(clippy::unwrap_used, reason = "a tool that cannot work ends by panicking")]

use bytes::Buf;
use hyper::Request;
use kinelog::aws::Encoding;
use kinelog::aws::input::Body;
use kinelog::aws::output::Output;
use kinelog::aws::rope::Rope;
use kinelog::aws::sigv4::{self, Principal};
use kinelog::kinesis::Operation;
use kinelog::kinesis::context::{Context, Settings};
use kinelog::throttle::Limits;
use kinelog_engine::Engine;
use kinelog_engine::config::{Config, Durability};
use kinelog_engine::device::{Device, LogChoice};
use minicbor::Encoder;

const SHARDS: u32 = 64;
const BATCH: usize = 500;
/// Records that a read answers.
const READ: usize = 100;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(case), Some(calls)) = (arguments.next(), arguments.next()) else {
        panic!("instructions CASE CALLS");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run(&case, calls.parse().unwrap()));
}

async fn run(case: &str, calls: usize) {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { durability: Durability::None, ..Config::new(directory.path()) };
    let (device, _) = Device::system(directory.path(), LogChoice::Posix).unwrap();
    let engine = Engine::open(config, device).await.unwrap();
    let settings = Settings { limits: Limits::OFF, transition_ms: 0, ..Settings::default() };
    let (case, is_short) = case.strip_suffix("-tree").map_or((case, true), |case| (case, false));
    let context = Context::new(engine, settings);
    let bench = Bench { context, principal: principal(), is_short };
    let create = format!(r#"{{"StreamName":"s","ShardCount":{SHARDS}}}"#);
    bench.call(Operation::CreateStream, Encoding::Json, create.as_bytes()).await;

    let (operation, encoding, body) = match case {
        "put-records-json" => (Operation::PutRecords, Encoding::Json, json(BATCH, 1024)),
        "put-records-cbor" => (Operation::PutRecords, Encoding::Cbor, cbor(BATCH, 1024)),
        "put-record-json" => (Operation::PutRecord, Encoding::Json, json(1, 100)),
        "get-records-json" => (Operation::GetRecords, Encoding::Json, bench.reading().await),
        "get-records-cbor" => {
            let iterator = bench.reading().await;
            let iterator: serde_json::Value = serde_json::from_slice(&iterator).unwrap();
            let mut out = Encoder::new(Vec::new());
            let name = out.map(2).unwrap().str("ShardIterator").unwrap();
            name.str(iterator["ShardIterator"].as_str().unwrap()).unwrap();
            out.str("Limit").unwrap().u32(u32::try_from(READ).unwrap()).unwrap();
            (Operation::GetRecords, Encoding::Cbor, out.into_writer())
        }
        other => panic!("no case {other}"),
    };
    for _ in 0..calls {
        std::hint::black_box(bench.call(operation, encoding, &body).await);
    }
    bench.context.engine.close().await;
}

struct Bench {
    context: Context,
    principal: Principal,
    is_short: bool,
}

impl Bench {
    async fn call(&self, operation: Operation, encoding: Encoding, body: &[u8]) -> Rope {
        let shape = self.is_short.then(|| operation.shape());
        let body = Body::read(body, shape, encoding).unwrap();
        match operation.run(&self.context, &self.principal, encoding, body).await.unwrap() {
            Output::Whole(answer) => answer,
            Output::Events(_) | Output::Cut => panic!("an answer of another kind"),
        }
    }

    /// Fills a shard and answers the body that reads its first records.
    async fn reading(&self) -> Vec<u8> {
        let body = json(BATCH, 1024);
        for _ in 0..SHARDS {
            self.call(Operation::PutRecords, Encoding::Json, &body).await;
        }
        let from = br#"{"StreamName":"s","ShardId":"0","ShardIteratorType":"TRIM_HORIZON"}"#;
        let answer = self.call(Operation::GetShardIterator, Encoding::Json, from).await;
        let mut answer: serde_json::Value = serde_json::from_reader(answer.reader()).unwrap();
        answer["Limit"] = READ.into();
        answer.to_string().into_bytes()
    }
}

/// Repeatable bytes that look random.
struct Noise(u64);

impl Iterator for Noise {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        Some(self.0.to_be_bytes()[0])
    }
}

fn records(count: usize, bytes: usize) -> impl Iterator<Item = (String, Vec<u8>)> {
    let mut noise = Noise(7);
    (0..count).map(move |_| {
        let key = noise.by_ref().take(8).fold(0, |key: u64, byte| key << 8 | u64::from(byte));
        (format!("key-{key:016x}"), noise.by_ref().take(bytes).collect())
    })
}

fn json(count: usize, bytes: usize) -> Vec<u8> {
    let entries: Vec<_> = records(count, bytes)
        .map(|(key, data)| {
            let data = base64_simd::STANDARD.encode_to_string(data);
            format!(r#""Data":"{data}","PartitionKey":"{key}""#)
        })
        .collect();
    if let [entry] = &entries[..] {
        return format!(r#"{{"StreamName":"s",{entry}}}"#).into_bytes();
    }
    let entries = entries.join("},{");
    format!(r#"{{"StreamName":"s","Records":[{{{entries}}}]}}"#).into_bytes()
}

fn cbor(count: usize, bytes: usize) -> Vec<u8> {
    let mut out = Encoder::new(Vec::new());
    out.begin_map().unwrap().str("StreamName").unwrap().str("s").unwrap();
    out.str("Records").unwrap().begin_array().unwrap();
    for (key, data) in records(count, bytes) {
        let entry = out.begin_map().unwrap().str("Data").unwrap().bytes(&data).unwrap();
        entry.str("PartitionKey").unwrap().str(&key).unwrap().end().unwrap();
    }
    out.end().unwrap().end().unwrap();
    out.into_writer()
}

fn principal() -> Principal {
    let mut head = Request::post("/").body(()).unwrap().into_parts().0;
    let now = 1_764_787_734;
    let signer = sigv4::signing::Signer {
        credentials: sigv4::signing::Credentials {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "secret".to_owned(),
            session_token: None,
        },
        region: "us-east-1".to_owned(),
        service: "kinesis",
    };
    head.headers.insert("host", "localhost".parse().unwrap());
    signer.sign(&mut head, &sigv4::signing::hash(b""), now).unwrap();
    sigv4::authenticate(&head, now, 300).unwrap()
}
