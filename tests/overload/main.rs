//! `overload`: what a server does when it is offered more than it can take. Its capacity is measured
//! first, by callers that wait for their answers; then a multiple of it is offered, due by the clock
//! whatever is answered; then one good client waits to be served again. Prints what was accepted and
//! shed, how long the accepted waited, and the server's memory.
#![expect(clippy::print_stdout, reason = "the report is what it is for")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use kinelog_tests::raw::{self, Connection};
use kinelog_tests::{Server, process};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const STREAM: &str = "overload";
const SHARDS: u32 = 4;

#[derive(Debug, Parser)]
struct Arguments {
    /// The server's binary.
    #[arg(long, default_value = "target/release/kinelog")]
    server: PathBuf,
    /// Parent of the data directory.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Seconds of each stretch.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Callers at once while the capacity is measured.
    #[arg(long, default_value_t = 32)]
    callers: u32,
    /// Connections over which the load comes.
    #[arg(long, default_value_t = 1_000)]
    connections: u32,
    /// How often the capacity is offered.
    #[arg(long, default_value_t = 3.0)]
    times: f64,
    /// Records of a call, 1 KiB each.
    #[arg(long, default_value_t = 50)]
    records: usize,
}

/// Whatever ends a run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What callers were answered.
#[derive(Default)]
struct Tally {
    accepted: Vec<Duration>,
    /// 503, or a call of which every record was throttled.
    shed: Vec<Duration>,
    /// Calls whose answers had not come at the end.
    unanswered: usize,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.accepted.extend(other.accepted);
        self.shed.extend(other.shed);
        self.unanswered += other.unanswered;
    }

    fn report(mut self, name: &str, seconds: f64) {
        let [accepted, shed] = [&mut self.accepted, &mut self.shed].map(|times| {
            times.sort_unstable();
            let at = |percent| times.get(times.len() * percent / 100).copied().unwrap_or_default();
            let rate = per_second(times.len(), seconds);
            format!("{rate:.0} a second, p50 {:?}, p99 {:?}", at(50), at(99))
        });
        println!("{name}: accepted {accepted}; shed {shed}; {} unanswered", self.unanswered);
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^52")]
fn per_second(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
}

/// One connection's calls until `end`; with `every` they are due at these times, from `start` on.
async fn call_until(
    address: SocketAddr,
    call: Arc<Vec<u8>>,
    (start, end): (Instant, Instant),
    every: Option<Duration>,
) -> Result<Tally, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    let (mut tally, mut received, mut due) = (Tally::default(), Vec::new(), start);
    while due < end {
        tokio::time::sleep_until(due.into()).await;
        let sent = Instant::now();
        let answer = async {
            stream.write_all(&call).await?;
            is_accepted(&mut stream, &mut received).await
        };
        let Ok(is_accepted) = tokio::time::timeout_at(end.into(), answer).await else {
            tally.unanswered += 1;
            return Ok(tally);
        };
        let times = if is_accepted? { &mut tally.accepted } else { &mut tally.shed };
        times.push(sent.elapsed());
        due = every.map_or_else(Instant::now, |every| due + every);
    }
    Ok(tally)
}

/// Whether the next answer says that everything was stored; an error when it is none of those that a
/// server past its capacity gives.
async fn is_accepted(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<bool, Failure> {
    loop {
        if let Some(end) = received.windows(4).position(|part| part == b"\r\n\r\n") {
            let head = str::from_utf8(&received[..end])?.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let whole = end + 4 + length.ok_or("an answer without a length")?.parse::<usize>()?;
            if received.len() >= whole {
                let body = String::from_utf8(received[end + 4..whole].to_vec())?;
                received.drain(..whole);
                return match head.split(' ').nth(1) {
                    Some("200") => Ok(body.contains(r#""FailedRecordCount":0"#)),
                    Some("503") => Ok(false),
                    _ => Err(format!("{head}\n{body}").into()),
                };
            }
        }
        if stream.read_buf(received).await? == 0 {
            return Err("closed before the answer".into());
        }
    }
}

/// All connections, each with its share of `rate`, or as fast as they are answered.
async fn offer(
    address: SocketAddr,
    call: &Arc<Vec<u8>>,
    connections: u32,
    seconds: u64,
    rate: Option<f64>,
) -> Result<Tally, Failure> {
    let start = Instant::now() + Duration::from_millis(100);
    let end = start + Duration::from_secs(seconds);
    let every = rate.map(|rate| Duration::from_secs_f64(f64::from(connections) / rate));
    let mut callers = JoinSet::new();
    for number in 0..connections {
        let first = start + every.unwrap_or_default() * number / connections;
        callers.spawn(call_until(address, Arc::clone(call), (first, end), every));
    }
    let mut tally = Tally::default();
    while let Some(caller) = callers.join_next().await {
        tally.add(caller??);
    }
    Ok(tally)
}

fn call(records: usize) -> Arc<Vec<u8>> {
    let data = base64_simd::STANDARD.encode_to_string("x".repeat(1_024));
    let record = |number| json!({"PartitionKey": format!("key {number}"), "Data": data});
    let records: Vec<_> = (0..records).map(record).collect();
    let body = json!({"StreamName": STREAM, "Records": records}).to_string();
    Arc::new(raw::call("PutRecords", body))
}

/// Time until a good client is served, from now on.
fn recovery(address: SocketAddr) -> Duration {
    let (mut good, start) = (Connection::open(address), Instant::now());
    let call = raw::call("PutRecord", raw::record(STREAM, "key", "after"));
    while good.exchange(&call).is_none_or(|answer| answer.status != 200) {}
    start.elapsed()
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let directory = tempfile::tempdir_in(&arguments.directory)?;
    let binary = arguments.server.to_str().ok_or("the path of the server is not UTF-8")?;
    let flags = ["--limits", "off", "--transition-ms", "1"];
    let server = Server::start(binary, &directory.path().join("data"), &flags);
    let address = server.address();
    raw::create_stream(&mut Connection::open(address), STREAM, SHARDS);
    let (call, seconds) = (call(arguments.records), arguments.seconds);
    let memory = |when| println!("memory {when}: {} MiB", process::resident_kib(server.id()) >> 10);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let capacity = offer(address, &call, arguments.callers, seconds, None);
    let capacity = runtime.block_on(capacity)?;
    #[expect(clippy::cast_precision_loss, reason = "seconds of a run stay far below 2^52")]
    let length = seconds as f64;
    let rate = per_second(capacity.accepted.len(), length) * arguments.times;
    capacity.report("capacity", length);
    memory("before");
    println!("offered: {rate:.0} a second");
    let tally =
        runtime.block_on(offer(address, &call, arguments.connections, seconds, Some(rate)))?;
    println!("served again after {:?}", recovery(address));
    tally.report("overload", length);
    println!("memory at most: {} MiB", process::peak_kib(server.id()) >> 10);
    memory("after");
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            println!("FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}
