//! `soak`: a server under a mixed load for as long as asked, on a clock that runs fast. Records are
//! written and read, shards split and merge, retention expires what is older than a day of that clock,
//! and the server is stopped and killed in turn. Every acknowledged record must be read once and in
//! order, and memory, descriptors, maps and disk must be flat; their course is told.
#![expect(clippy::print_stdout, reason = "the report is what it is for")]

mod call;
mod load;
mod readings;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use clap::Parser;
use kinelog_tests::{Server, raw};

use load::Ledger;
use readings::{Readings, Series};

/// Name of the stream.
const STREAM: &str = "soak";

#[derive(Debug, Parser)]
struct Arguments {
    /// The server's binary.
    #[arg(long, default_value = "target/release/kinelog")]
    server: PathBuf,
    /// Parent of the data directory.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Seconds of load.
    #[arg(long, default_value_t = 3_600)]
    seconds: u64,
    /// How fast the server's clock runs; a day passes in 86,400 seconds by this.
    #[arg(long, default_value_t = 1_440)]
    clock_rate: u32,
    /// Shards at the start; their number goes up to twice as many and back.
    #[arg(long, default_value_t = 8)]
    shards: usize,
    /// Calls of `PutRecords` a second.
    #[arg(long, default_value_t = 100)]
    calls: u32,
    /// Seconds between two changes of the shards.
    #[arg(long, default_value_t = 5)]
    reshard_every: u64,
    /// Seconds between two restarts, by SIGTERM and by SIGKILL in turn.
    #[arg(long, default_value_t = 300)]
    restart_every: u64,
}

/// Whatever ends a run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What all threads share.
struct Soak {
    address: std::net::SocketAddr,
    ledger: Mutex<Ledger>,
    /// True once nothing more is written.
    is_over: AtomicBool,
    reshards: AtomicUsize,
    restarts: AtomicUsize,
}

impl Soak {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
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

/// Lets time pass: the pace of a load, not the order of events.
fn pause(time: Duration) {
    let (_nobody, silence) = mpsc::channel::<()>();
    assert!(silence.recv_timeout(time).is_err(), "nobody says a word");
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let directory = tempfile::tempdir_in(&arguments.directory)?;
    let data = directory.path().join("data");
    let binary = arguments.server.to_str().ok_or("the path of the server is not UTF-8")?;
    let clock = format!("{}@{}", arguments.clock_rate, raw::now_seconds());
    let flags = ["--limits", "off", "--transition-ms", "1000", "--cache-bytes", "8388608"];
    let clock = ["--clock-rate", &clock, "--clock-skew-seconds", "4000000000"];
    let mut server = Server::start(binary, &data, &[&flags[..], &clock].concat());
    let soak = Soak {
        address: server.address(),
        ledger: Mutex::default(),
        is_over: AtomicBool::new(false),
        reshards: AtomicUsize::new(0),
        restarts: AtomicUsize::new(0),
    };
    load::create(&soak, arguments.shards)?;
    let (soak, mut series) = (&soak, Series::default());
    std::thread::scope(|scope| -> Result<(), Failure> {
        let writer = scope.spawn(|| load::write(soak, arguments.calls));
        let reader = scope.spawn(|| load::read(soak));
        let every = Duration::from_secs(arguments.reshard_every);
        let resharder = scope.spawn(move || load::reshard(soak, arguments.shards, every));
        let watched = watch(arguments, &mut server, soak, &data, &mut series);
        soak.is_over.store(true, Ordering::Release);
        let ends = [writer, resharder, reader].map(std::thread::ScopedJoinHandle::join);
        watched?;
        for end in ends {
            end.map_err(|_| "a part of the load has panicked")??;
        }
        Ok(())
    })?;
    report(arguments, soak, &series)
}

/// Reads the course of the server each second and restarts it, for as long as asked.
fn watch(
    arguments: &Arguments,
    server: &mut Server,
    soak: &Soak,
    data: &std::path::Path,
    series: &mut Series,
) -> Result<(), Failure> {
    let start = Instant::now();
    let mut next = arguments.restart_every;
    loop {
        let elapsed = start.elapsed().as_secs();
        if elapsed >= arguments.seconds {
            return Ok(());
        }
        if elapsed >= next {
            next += arguments.restart_every;
            let restarts = soak.restarts.fetch_add(1, Ordering::Relaxed);
            if restarts.is_multiple_of(2) {
                server.terminate();
            } else {
                server.kill();
            }
            server.start_again();
        }
        series.push(start.elapsed(), Readings::take(server.id(), data)?);
        pause(Duration::from_secs(1));
    }
}

fn report(arguments: &Arguments, soak: &Soak, series: &Series) -> Result<(), Failure> {
    let ledger = soak.ledger.lock().map_err(|_| "the ledger is lost")?;
    let days = arguments.seconds * u64::from(arguments.clock_rate) / 86_400;
    println!(
        "{} s, {days} days of the server's clock: {} records written and read back in order, in {} \
         shards; {} reshards, {} restarts",
        arguments.seconds,
        ledger.check()?,
        ledger.shards(),
        soak.reshards.load(Ordering::Relaxed),
        soak.restarts.load(Ordering::Relaxed),
    );
    series.report()
}
