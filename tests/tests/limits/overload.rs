//! More calls than the server can take: it sheds some at once, in the service's words, and stores
//! exactly those it answers with success.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kinelog::http::Bounds;
use kinelog_engine::config::Config;
use kinelog_tests::raw::{self, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::service::Service;
use crate::{STREAM, store};

/// Callers at once, each with a call under way at any time.
const CALLERS: usize = 400;
/// Answers a caller waits for.
const CALLS: usize = 20;

/// What came of all calls.
#[derive(Default)]
struct Outcome {
    stored: AtomicUsize,
    shed: AtomicUsize,
    throttled: AtomicUsize,
    times: Mutex<Vec<Duration>>,
}

/// Calls without a pause, whatever is answered.
async fn insist(address: std::net::SocketAddr, call: Arc<Vec<u8>>, outcome: Arc<Outcome>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut received = Vec::new();
    for _ in 0..CALLS {
        let start = Instant::now();
        stream.write_all(&call).await.unwrap();
        let (status, body) = answer(&mut stream, &mut received).await;
        match status {
            200 => {
                outcome.stored.fetch_add(1, Ordering::Relaxed);
                outcome.times.lock().unwrap().push(start.elapsed());
            }
            503 => {
                assert_eq!(body, br#"{"__type":"ServiceUnavailable"}"#);
                outcome.shed.fetch_add(1, Ordering::Relaxed);
            }
            400 => {
                let text = String::from_utf8_lossy(&body).into_owned();
                assert!(text.contains("ProvisionedThroughputExceededException"), "{text}");
                outcome.throttled.fetch_add(1, Ordering::Relaxed);
            }
            other => panic!("{other}"),
        }
    }
}

/// Status and body of the next answer.
async fn answer(stream: &mut TcpStream, received: &mut Vec<u8>) -> (u16, Vec<u8>) {
    loop {
        let end = received.windows(4).position(|part| part == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8(received[..end].to_vec()).unwrap().to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let body = end + 4..end + 4 + length.unwrap().parse::<usize>().unwrap();
            if received.len() >= body.end {
                let answer = received[body.clone()].to_vec();
                received.drain(..body.end);
                return (head.split(' ').nth(1).unwrap().parse().unwrap(), answer);
            }
        }
        assert!(stream.read_buf(received).await.unwrap() > 0, "an answer before the close");
    }
}

fn run(service: &Service, call: &Arc<Vec<u8>>) -> Arc<Outcome> {
    let outcome = Arc::new(Outcome::default());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(async {
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(insist(service.address(), Arc::clone(call), Arc::clone(&outcome)));
        }
        while let Some(ended) = callers.join_next().await {
            ended.unwrap();
        }
    });
    outcome
}

/// A good client is served again, after so many tries.
fn recovers(service: &Service) -> usize {
    let mut good = service.connect();
    let call = raw::call("PutRecord", raw::record(STREAM, "key", "after"));
    let mut tries = 1;
    while good.exchange(&call).unwrap().status != 200 {
        tries += 1;
    }
    tries
}

fn check(name: &str, service: &Service, outcome: &Outcome) {
    let [stored, shed, throttled] = [&outcome.stored, &outcome.shed, &outcome.throttled]
        .map(|count| count.load(Ordering::Relaxed));
    let mut times = outcome.times.lock().unwrap().clone();
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    let start = Instant::now();
    let tries = recovers(service);
    eprintln!(
        "{name}: {stored} stored, {shed} shed, {throttled} throttled; p50 {:?}, p99 {:?} of what was \
         stored; a good client is served {:?} after, by try {tries}",
        at(50),
        at(99),
        start.elapsed()
    );
    assert_eq!(stored + shed + throttled, CALLERS * CALLS, "every call is answered");
    let mut reader = service.connect();
    let found = raw::records(&mut reader, STREAM, 0);
    assert_eq!(found.len(), stored + 1, "what was refused is not stored, all else is");
    assert_eq!(service.metric("kinelog_body_memory_bytes "), 0);
}

fn put(bytes: usize) -> Arc<Vec<u8>> {
    let record = raw::record(STREAM, "key", &"x".repeat(bytes));
    Arc::new(raw::call("PutRecord", record))
}

#[test]
fn a_server_that_is_behind_sheds() {
    let bounds = Bounds { lag_max: Duration::from_millis(2), ..Bounds::default() };
    let service = Service::start(bounds);
    let outcome = run(&service, &put(100));
    check("behind", &service, &outcome);
    assert!(outcome.shed.load(Ordering::Relaxed) > 0);
    assert!(outcome.stored.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_server_whose_memory_for_bodies_is_full_sheds() {
    let bounds = Bounds { body_memory_bytes_max: 1 << 20, ..Bounds::default() };
    let service = Service::start(bounds);
    let outcome = run(&service, &put(100 << 10));
    check("memory", &service, &outcome);
    assert!(outcome.shed.load(Ordering::Relaxed) > 0);
    assert!(outcome.stored.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_server_whose_queue_is_full_throttles() {
    let config =
        Config { queue_bytes_max: 256 << 10, log_file_bytes: 1 << 22, ..Config::new("/store") };
    let bounds = Bounds { lag_max: Duration::MAX, ..Bounds::default() };
    let service = Service::with(bounds, config);
    raw::create_stream(&mut service.connect(), STREAM, 1);
    let outcome = run(&service, &put(20 << 10));
    check("queue", &service, &outcome);
    assert!(outcome.stored.load(Ordering::Relaxed) > 0);
    assert!(outcome.throttled.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_server_within_its_bounds_sheds_nothing() {
    let bounds = Bounds { lag_max: Duration::MAX, ..Bounds::default() };
    let service = Service::start(bounds);
    let outcome = run(&service, &put(100));
    check("within", &service, &outcome);
    assert_eq!(outcome.stored.load(Ordering::Relaxed), CALLERS * CALLS);
    let mut good: Connection = service.connect();
    store(&mut good, "good");
}
