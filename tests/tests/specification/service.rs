//! A service in this process: the real front end and the real engine, on a disk in memory and a
//! clock that is moved by hand.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use kinelog::faults::RuleSet;
use kinelog::http::{self, Bounds};
use kinelog::kinesis::context;
use kinelog::server::{self, AdminListen, Server};
use kinelog::throttle::Limits;
use kinelog_engine::Engine;
use kinelog_engine::config::{Config, Durability};
use kinelog_engine::device::clock::{Clock, ManualClock};
use kinelog_engine::device::simulated::SimulatedDisk;
use kinelog_engine::types::Timestamp;
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

use crate::{cbor, wire};

/// 2025-12-03 18:48:54.250 UTC.
pub(crate) const NOW: Timestamp = Timestamp(1_764_787_734_250);
pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "us-east-1";
/// Longer than any test waits: only the moved clock completes transitions.
pub(crate) const TRANSITION_MS: u64 = 3_600_000;

/// Encoding of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Cbor,
}

impl Encoding {
    pub(crate) const BOTH: [Self; 2] = [Self::Json, Self::Cbor];

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => "application/x-amz-cbor-1.1",
        }
    }

    pub(crate) fn body(self, body: &Json) -> Vec<u8> {
        match self {
            Self::Json => body.to_string().into_bytes(),
            Self::Cbor => cbor::encode(body),
        }
    }
}

impl Encoding {
    /// What a body says; null where it is empty.
    pub(crate) fn read(self, body: &[u8]) -> Json {
        match self {
            _ if body.is_empty() => Json::Null,
            Self::Json => serde_json::from_slice(body).unwrap(),
            Self::Cbor => cbor::decode(body),
        }
    }
}

/// What the service answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Null where the body is empty.
    pub(crate) body: Json,
}

pub(crate) struct Service {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) engine: Engine,
    server: Server,
    // Last, so that what it runs ends after the server.
    runtime: Runtime,
}

impl Service {
    /// Without streams.
    pub(crate) fn new(limits: Limits) -> Self {
        Self::with(context::Settings { limits, ..settings() })
    }

    /// Without limits and with the active stream `s` of so many shards.
    pub(crate) fn with_stream(shards: u32) -> Self {
        let service = Self::new(Limits::OFF);
        service.create(&json!({"StreamName": "s", "ShardCount": shards}));
        service
    }

    pub(crate) fn with(kinesis: context::Settings) -> Self {
        let (clock, disk) = (Arc::new(ManualClock::new(NOW)), SimulatedDisk::new(1));
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let config = Config { log_file_bytes: 1 << 22, ..Config::new("/store") };
        let device = disk.device(Arc::clone(&clock) as Arc<dyn Clock>);
        let (engine, server) = runtime.block_on(async {
            let engine = Engine::open(config, device).await.unwrap();
            let http = http::Settings {
                listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
                threads: 1,
                clock_skew_seconds: 300,
                stop_grace: Duration::ZERO,
                bounds: Bounds::default(),
                tls: None,
            };
            let settings = server::Settings {
                http,
                kinesis,
                durability: Durability::Fsync,
                streams: Vec::new(),
                region: REGION.to_owned(),
                faults: RuleSet::default(),
                admin: AdminListen::Off,
            };
            (engine.clone(), server::start(settings, engine).await.unwrap())
        });
        Self { clock, engine, server, runtime }
    }

    pub(crate) fn advance_ms(&self, ms: u64) {
        self.clock.advance_ms(ms);
    }

    /// Milliseconds since the epoch.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now().0
    }

    /// Creates a stream and makes it active.
    pub(crate) fn create(&self, body: &Json) {
        self.ok("CreateStream", body);
        self.advance_ms(TRANSITION_MS);
    }

    /// Posts whole bytes; the answer as it came.
    pub(crate) fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> (u16, Vec<u8>) {
        read_answer(&mut self.send(headers, body))
    }

    /// Posts whole bytes; what is answered can be read from the connection.
    fn send(&self, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
        let mut head =
            format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}", body.len());
        for (name, value) in headers {
            head = [&head, "\r\n", name, ": ", value].concat();
        }
        let mut connection = TcpStream::connect(self.server.addresses()[0]).unwrap();
        connection.write_all(&[head.as_bytes(), b"\r\n\r\n", body].concat()).unwrap();
        connection
    }

    /// Sends a call of an operation in this encoding.
    fn send_call(&self, encoding: Encoding, operation: &str, body: &Json) -> TcpStream {
        let headers = wire::headers(encoding, operation, self.now() / 1000);
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.send(&headers, &encoding.body(body))
    }

    /// Subscribes to a shard; the connection, once the head of the answer has come.
    pub(crate) fn subscribe(&self, body: &Json) -> TcpStream {
        let mut connection = self.send_call(Encoding::Json, "SubscribeToShard", body);
        let (status, head) = read_head(&mut connection);
        assert_eq!(status, 200, "{head}");
        assert!(head.contains("content-type: application/vnd.amazon.eventstream"), "{head}");
        connection
    }

    /// Calls an operation in this encoding.
    pub(crate) fn call_in(&self, encoding: Encoding, operation: &str, body: &Json) -> Answer {
        let (status, bytes) = read_answer(&mut self.send_call(encoding, operation, body));
        Answer { status, body: encoding.read(&bytes) }
    }

    pub(crate) fn call(&self, operation: &str, body: &Json) -> Answer {
        self.call_in(Encoding::Json, operation, body)
    }

    /// Calls what must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, operation: &str, body: &Json) -> Json {
        let Answer { status, body: answer } = self.call(operation, body);
        assert_eq!(status, 200, "{operation} {}: {answer}", brief(body));
        answer
    }

    /// Calls what must be refused in both encodings, with just this type and text.
    #[track_caller]
    pub(crate) fn refused(&self, operation: &str, body: &Json, kind: &str, message: &str) {
        let expected = Answer { status: 400, body: json!({"__type": kind, "message": message}) };
        for encoding in Encoding::BOTH {
            let answer = self.call_in(encoding, operation, body);
            assert_eq!(answer, expected, "{encoding:?} {operation} {}", brief(body));
        }
    }

    /// Puts a record into stream `s`; returns its sequence number.
    #[track_caller]
    pub(crate) fn put(&self, key: &str, data: &str) -> String {
        let data = base64_simd::STANDARD.encode_to_string(data);
        let body = json!({"StreamName": "s", "PartitionKey": key, "Data": data});
        self.ok("PutRecord", &body)["SequenceNumber"].as_str().unwrap().to_owned()
    }

    /// A shard iterator of stream `s`; `more` adds members.
    #[track_caller]
    pub(crate) fn iterator(&self, shard: u32, kind: &str, more: &Json) -> String {
        let mut body =
            json!({"StreamName": "s", "ShardId": shard_id(shard), "ShardIteratorType": kind});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ok("GetShardIterator", &body)["ShardIterator"].as_str().unwrap().to_owned()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.runtime.block_on(self.engine.close());
    }
}

/// Settings with the quotas and limits of the service, in a way that suits the clock.
pub(crate) fn settings() -> context::Settings {
    let account = ACCOUNT.to_owned();
    context::Settings { account, transition_ms: TRANSITION_MS, ..context::Settings::default() }
}

/// Status and head of an answer, in lower case.
fn read_head(connection: &mut TcpStream) -> (u16, String) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head)
}

/// Status and body of an answer with a length.
fn read_answer(connection: &mut TcpStream) -> (u16, Vec<u8>) {
    let (status, head) = read_head(connection);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    connection.read_exact(&mut body).unwrap();
    (status, body)
}

/// The beginning of a body, for messages.
fn brief(body: &Json) -> String {
    body.to_string().chars().take(300).collect()
}

pub(crate) fn shard_id(index: u32) -> String {
    format!("shardId-{index:012}")
}

/// The ARN of a stream.
pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}")
}

/// A resource policy for a stream.
pub(crate) fn policy(name: &str) -> String {
    let statement = json!({
        "Sid": "read", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
        "Action": ["kinesis:GetRecords", "kinesis:GetShardIterator"], "Resource": arn(name),
    });
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}
