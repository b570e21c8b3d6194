//! `fanout-soak`: many consumers follow every shard of a stream by enhanced fan-out while a producer
//! writes and shards split and merge. At the end each consumer must have seen every acknowledged
//! record once and in order per shard, and the server's memory must be flat; how long a record took
//! from its acknowledgement to a consumer is told.
#![expect(clippy::print_stdout, reason = "the report is what it is for")]

mod consumer;
mod ledger;
mod producer;
mod resharder;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use kinelog_tests::Server;
use tokio::task::JoinSet;
use tokio::time::Instant;

use ledger::Ledger;

/// Name of the stream.
const STREAM: &str = "soak";
/// The server's cache of new records: small, so that it is full before memory is compared.
const CACHE_BYTES: &str = "8388608";
/// Memory may differ between the second and the last third of a run by a tenth and so many KiB:
/// allocators keep what they once had.
const MEMORY_SLACK_KIB: u64 = 8 << 10;

#[derive(Debug, Parser)]
struct Arguments {
    /// The server's binary.
    #[arg(long, default_value = "target/release/kinelog")]
    server: PathBuf,
    /// Parent of the data directory.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Seconds the producer writes.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Consumers, each subscribed to every shard.
    #[arg(long, default_value_t = 20)]
    consumers: usize,
    /// Shards at the start.
    #[arg(long, default_value_t = 16)]
    shards: i32,
    /// Calls of `PutRecords` a second, each with 5 records for one shard.
    #[arg(long, default_value_t = 40)]
    calls: u32,
    /// Seconds between two splits or merges.
    #[arg(long, default_value_t = 5)]
    reshard_every: u64,
}

/// What all tasks share.
struct Soak {
    client: aws_sdk_kinesis::Client,
    ledger: Ledger,
    /// True once nothing more is written.
    is_over: AtomicBool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = runtime.map_err(Failure::from).and_then(|it| it.block_on(run(&arguments)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            println!("FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whatever ends a run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let directory = tempfile::tempdir_in(&arguments.directory)?;
    let binary = arguments.server.to_str().ok_or("the path of the server is not UTF-8")?;
    let server = Server::start(binary, directory.path(), &["--cache-bytes", CACHE_BYTES]);
    let soak = Arc::new(Soak {
        client: server.client(10),
        ledger: Ledger::default(),
        is_over: AtomicBool::new(false),
    });
    let consumers = set_up(&soak.client, arguments).await?;
    let mut following = JoinSet::new();
    for (number, arn) in consumers.into_iter().enumerate() {
        let soak = Arc::clone(&soak);
        following.spawn(async move { consumer::follow(&soak, &arn, number).await });
    }
    let memory = write(arguments, &soak, server.id()).await?;
    let mut seen = Vec::new();
    while let Some(ended) = following.join_next().await {
        seen.push(ended??);
    }
    report(arguments, &soak, &memory, &seen)
}

/// The stream, and the ARNs of its consumers.
async fn set_up(
    client: &aws_sdk_kinesis::Client,
    arguments: &Arguments,
) -> Result<Vec<String>, Failure> {
    client.create_stream().stream_name(STREAM).shard_count(arguments.shards).send().await?;
    resharder::active(client).await?;
    let summary = client.describe_stream_summary().stream_name(STREAM).send().await?;
    let summary = summary.stream_description_summary().ok_or("no summary")?;
    let stream = summary.stream_arn().to_owned();
    let mut arns = Vec::new();
    for number in 0..arguments.consumers {
        let name = format!("consumer-{number}");
        let registration = client.register_stream_consumer().stream_arn(&stream);
        let registered = registration.consumer_name(&name).send().await?;
        let arn = registered.consumer().ok_or("no consumer")?.consumer_arn().to_owned();
        consumer::wait_until_active(client, &arn).await?;
        arns.push(arn);
    }
    Ok(arns)
}

/// Writes and reshards for as long as asked; the server's memory each second, in KiB.
async fn write(arguments: &Arguments, soak: &Arc<Soak>, server: u32) -> Result<Vec<u64>, Failure> {
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let (producer, resharder) = (Arc::clone(soak), Arc::clone(soak));
    let every = Duration::from_secs(arguments.reshard_every);
    let (calls, shards) = (arguments.calls, arguments.shards);
    let mut work = JoinSet::new();
    work.spawn(async move { producer::run(&producer, calls, end).await });
    work.spawn(async move { resharder::run(&resharder.client, shards, every, end).await });
    let mut memory = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            ended = work.join_next() => match ended {
                Some(ended) => ended??,
                None => break,
            },
            _ = tick.tick() => memory.push(resident_kib(server)?),
        }
    }
    soak.ledger.close(&soak.client).await?;
    soak.is_over.store(true, Ordering::Release);
    Ok(memory)
}

#[expect(clippy::disallowed_methods, reason = "what the kernel tells of another process")]
fn resident_kib(process: u32) -> Result<u64, Failure> {
    let status = std::fs::read(Path::new("/proc").join(process.to_string()).join("status"))?;
    let status = String::from_utf8_lossy(&status).into_owned();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
    Ok(number.parse()?)
}

fn report(
    arguments: &Arguments,
    soak: &Soak,
    memory: &[u64],
    seen: &[consumer::Seen],
) -> Result<(), Failure> {
    let written = soak.ledger.written();
    println!(
        "{} consumers, {} shards at first and {} in all, {written} records in {} s",
        seen.len(),
        arguments.shards,
        soak.ledger.shards(),
        arguments.seconds
    );
    for (number, one) in seen.iter().enumerate() {
        soak.ledger.check(one).map_err(|difference| format!("consumer {number}: {difference}"))?;
    }
    println!("every consumer saw every record once, in order per shard");
    let mut delays: Vec<_> = seen.iter().flat_map(|one| one.delays.iter().copied()).collect();
    delays.sort_unstable();
    let at = |percent: usize| {
        let position = (delays.len() * percent / 100).min(delays.len().saturating_sub(1));
        delays.get(position).copied().unwrap_or_default()
    };
    println!(
        "from acknowledgement to consumer: p50 {:?}, p90 {:?}, p99 {:?}, longest {:?} ({} deliveries)",
        at(50),
        at(90),
        at(99),
        at(100),
        delays.len()
    );
    let third = memory.len() / 3;
    let most = |part: &[u64]| part.iter().copied().max().unwrap_or_default();
    let (before, after) = (most(&memory[third..2 * third]), most(&memory[2 * third..]));
    println!(
        "memory of the server: {before} KiB at most in the second third, {after} in the last third"
    );
    if after > before + before / 10 + MEMORY_SLACK_KIB {
        return Err("memory grew".into());
    }
    Ok(())
}
