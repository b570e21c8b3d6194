//! Subscribers that read nothing: what each costs, and that writers and others do not notice.

use std::net::SocketAddr;
use std::time::Duration;

use kinelog::http::Bounds;
use kinelog_engine::config::Config;
use kinelog_tests::raw::{self, Connection};
use kinelog_tests::{Server, process};
use serde_json::{Value as Json, json};
use socket2::{Domain, Socket, Type};

use crate::service::Service;
use crate::{BINARY, STREAM, latency};

const SHARDS: u32 = 50;
/// As many as a stream may have.
const CONSUMERS: u32 = 20;
const SUBSCRIBERS: u64 = SHARDS as u64 * CONSUMERS as u64;
/// So many come together.
const TOGETHER: usize = 10;
/// Private memory a subscriber may cost.
const SUBSCRIBER_KIB_MAX: u64 = 256;
/// Records are smaller than the smallest events there are, which so hold more than one.
const RECORD_BYTES: usize = 10 << 10;
/// Records of each shard before anybody subscribes: the largest event, from every place.
const RECORDS: usize = 130;
/// What the server may keep of them for readers, far less than there is.
const CACHE_BYTES: &str = "8388608";
/// Calls of a good client before and while subscribers hang.
const CALLS: usize = 100;
/// Records of each shard while all of them do.
const MORE_RECORDS: usize = 20;

/// Registers a consumer and waits until it is ACTIVE; its ARN.
fn register(connection: &mut Connection, name: &str) -> String {
    let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    let body = json!({"StreamARN": stream, "ConsumerName": name}).to_string();
    let arn = connection.ok("RegisterStreamConsumer", body)["Consumer"]["ConsumerARN"].clone();
    let body = json!({"ConsumerARN": arn}).to_string();
    let is_active = |answer: Json| answer["ConsumerDescription"]["ConsumerStatus"] == "ACTIVE";
    while !is_active(connection.ok("DescribeStreamConsumer", &body)) {}
    arn.as_str().unwrap().to_owned()
}

/// As many consumers as there may be.
fn consumers(connection: &mut Connection) -> Vec<String> {
    (0..CONSUMERS).map(|number| register(connection, &format!("c{number}"))).collect()
}

/// A subscription of which nothing is ever read. The system has as little room on the way as there
/// can be: what it sends at once, and so what it holds, grows with the size of a segment.
fn subscribe(address: SocketAddr, consumer: &str, shard: u32, start: &Json) -> Connection {
    const SEGMENT_BYTES: u32 = 536;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(1).unwrap();
    socket.set_tcp_mss(SEGMENT_BYTES).unwrap();
    socket.connect(&address.into()).unwrap();
    let mut connection = Connection(socket.into());
    let shard = format!("shardId-{shard:012}");
    let body = json!({"ConsumerARN": consumer, "ShardId": shard, "StartingPosition": start});
    connection.send(raw::call("SubscribeToShard", body.to_string()));
    connection
}

/// Waits for the answer to begin, which leaves it unread; false if the server has no time now.
fn is_accepted(connection: &Connection) -> bool {
    let mut status = [0; 12];
    loop {
        let count = connection.0.peek(&mut status).unwrap();
        assert_ne!(count, 0, "a subscription is answered");
        if count == status.len() {
            break;
        }
    }
    assert!([b"HTTP/1.1 200", b"HTTP/1.1 503"].contains(&&status), "{status:?}");
    status.ends_with(b"200")
}

/// A hash key in the middle of what a shard owns.
fn hash_key(shard: u32) -> String {
    let width = u128::MAX / u128::from(SHARDS);
    (width * u128::from(shard) + width / 2).to_string()
}

/// Stores a record in each shard, in one call that must succeed; their sequence numbers.
fn store_in_each(writer: &mut Connection) -> Vec<Json> {
    let data = base64_simd::STANDARD.encode_to_string("x".repeat(RECORD_BYTES));
    let record =
        |shard| json!({"PartitionKey": "k", "ExplicitHashKey": hash_key(shard), "Data": data});
    let records: Vec<_> = (0..SHARDS).map(record).collect();
    let body = json!({"StreamName": STREAM, "Records": records});
    let answer = writer.ok("PutRecords", body.to_string());
    assert_eq!(answer["FailedRecordCount"], 0);
    let stored = answer["Records"].as_array().unwrap();
    stored.iter().map(|record| record["SequenceNumber"].clone()).collect()
}

/// A server whose subscribers all hang, each with an event of its own.
struct Crowd {
    server: Server,
    writer: Connection,
    silent: Vec<Connection>,
    /// Private memory before they came, and the most since.
    before_kib: u64,
    most_kib: u64,
    _directory: tempfile::TempDir,
}

impl Crowd {
    /// Writes more than the server remembers, then lets them come while it goes on writing.
    fn gather() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let flags = ["--limits", "off", "--transition-ms", "1", "--cache-bytes", CACHE_BYTES];
        let server = Server::start(BINARY, &directory.path().join("data"), &flags);
        let mut writer = Connection::open(server.address());
        raw::create_stream(&mut writer, STREAM, SHARDS);
        let places: Vec<_> = (0..RECORDS).map(|_| store_in_each(&mut writer)).collect();
        let consumers = consumers(&mut writer);
        let calm = latency(&mut writer, CALLS);
        let before_kib = process::private_kib(server.id());
        let silent = Vec::new();
        let mut crowd =
            Self { server, writer, silent, before_kib, most_kib: 0, _directory: directory };
        for (consumer, numbers) in consumers.iter().zip(&places) {
            crowd.add(consumer, numbers);
            crowd.write();
        }
        for _ in 0..MORE_RECORDS {
            crowd.write();
        }
        let hanging = latency(&mut crowd.writer, CALLS);
        eprintln!("a writer's p50 and p99: {calm:?} before, {hanging:?} while they hang");
        crowd
    }

    /// One more of each shard, which begins with the record of this number. They come in groups,
    /// and again where the server was behind.
    fn add(&mut self, consumer: &str, numbers: &[Json]) {
        let mut places: Vec<_> = (0..SHARDS).zip(numbers).collect();
        while !places.is_empty() {
            let address = self.server.address();
            let come = |(shard, number)| {
                let start = json!({"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": number});
                ((shard, number), subscribe(address, consumer, shard, &start))
            };
            let together = places.len().min(TOGETHER);
            let come: Vec<_> = places.drain(..together).map(come).collect();
            for (place, connection) in come {
                if is_accepted(&connection) {
                    self.silent.push(connection);
                } else {
                    places.push(place);
                }
            }
        }
    }

    fn write(&mut self) {
        store_in_each(&mut self.writer);
        self.most_kib = self.most_kib.max(process::private_kib(self.server.id()));
    }

    /// Goes on writing until all of them have been dropped.
    fn outlast(&mut self) {
        let open = process::descriptors(self.server.id());
        // The store opens and closes files of its own meanwhile.
        while process::descriptors(self.server.id()) + self.silent.len() * 9 / 10 > open {
            self.write();
        }
        for connection in &mut self.silent {
            connection.rest();
        }
        self.write();
    }

    fn assert_costs_little(&self) {
        let Self { before_kib, most_kib, .. } = self;
        let each = (most_kib - before_kib) / SUBSCRIBERS;
        eprintln!(
            "{SUBSCRIBERS} subscribers: {before_kib} KiB became {most_kib} KiB, {each} KiB each"
        );
        assert!(each <= SUBSCRIBER_KIB_MAX, "{each} KiB each");
    }
}

/// With `KINELOG_TEST_PATIENTLY=1` it also waits for the time that clients have, five minutes.
#[test]
fn slow_subscribers() {
    let mut crowd = Crowd::gather();
    if std::env::var_os("KINELOG_TEST_PATIENTLY").is_some() {
        crowd.outlast();
    }
    crowd.assert_costs_little();
}

/// With a time that a test can wait for.
#[test]
fn slow_subscribers_are_dropped() {
    let bounds = Bounds {
        stalled_time_max: Duration::from_millis(200),
        lag_max: Duration::MAX,
        ..Bounds::default()
    };
    let service = Service::with(bounds, Config::new("/store"));
    let mut writer = service.connect();
    raw::create_stream(&mut writer, STREAM, SHARDS);
    let consumers = consumers(&mut writer);
    let oldest = json!({"Type": "TRIM_HORIZON"});
    let place = |consumer| (0..SHARDS).map(move |shard| (consumer, shard));
    let _silent: Vec<_> = consumers
        .iter()
        .flat_map(place)
        .map(|(consumer, shard)| subscribe(service.address(), consumer, shard, &oldest))
        .collect();
    // More than the system holds on the way to each of them.
    while service.metric("kinelog_connections ") > 1 {
        store_in_each(&mut writer);
    }
}
