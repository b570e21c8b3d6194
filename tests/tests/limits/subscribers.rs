//! Subscribers that read nothing: what each costs, and that writers and others do not notice.

use std::time::Duration;

use kinelog::http::Bounds;
use kinelog_engine::config::Config;
use kinelog_tests::raw::{self, Connection};
use serde_json::{Value as Json, json};
use socket2::Socket;

use crate::STREAM;
use crate::service::Service;

const SHARDS: u32 = 100;

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

/// A subscription of which nothing is ever read, with as little room on the way as there can be.
fn subscribe(mut connection: Connection, consumer: &str, shard: u32) -> Connection {
    let socket = Socket::from(connection.0);
    socket.set_recv_buffer_size(1).unwrap();
    connection = Connection(socket.into());
    let shard = format!("shardId-{shard:012}");
    let start = json!({"Type": "TRIM_HORIZON"});
    let body = json!({"ConsumerARN": consumer, "ShardId": shard, "StartingPosition": start});
    connection.send(raw::call("SubscribeToShard", body.to_string()));
    connection
}

/// A hash key in the middle of what a shard owns.
fn hash_key(shard: u32) -> String {
    let width = u128::MAX / u128::from(SHARDS);
    (width * u128::from(shard) + width / 2).to_string()
}

/// Writes `size` bytes to each shard, so many times.
fn write(connection: &mut Connection, size: usize, times: usize) {
    let data = base64_simd::STANDARD.encode_to_string("x".repeat(size));
    for _ in 0..times {
        for shard in 0..SHARDS {
            let key = hash_key(shard);
            let body = json!({"StreamName": STREAM, "PartitionKey": "k", "ExplicitHashKey": key, "Data": data});
            let call = raw::call("PutRecord", body.to_string());
            // A build without optimisation may be behind for a while with a thousand subscribers.
            while connection.exchange(&call).unwrap().status != 200 {}
        }
    }
}

/// With a time that a test can wait for.
#[test]
fn slow_subscribers_are_dropped() {
    let bounds = Bounds { stalled_time_max: Duration::from_millis(200), ..Bounds::default() };
    let service = Service::with(bounds, Config::new("/store"));
    let mut good = service.connect();
    raw::create_stream(&mut good, STREAM, SHARDS);
    let consumer = register(&mut good, "c");
    let _silent: Vec<_> =
        (0..SHARDS).map(|shard| subscribe(service.connect(), &consumer, shard)).collect();
    // More than the system holds on the way to each of them.
    while service.metric("kinelog_connections ") > 1 {
        write(&mut good, 64 << 10, 1);
    }
}
