//! What the commands do: open the device and the store and serve until told to stop, verify,
//! repair, or inspect; and, a module each, those that call an endpoint as any client does.

mod connection;
mod figures;
pub(crate) mod put;
pub(crate) mod streams;
pub(crate) mod tail;
mod terminal;

mod certificate;
mod repair;
mod resources;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use kinelog_engine::Engine;
use kinelog_engine::config::Config;
use kinelog_engine::device::clock::{FastClock, SystemClock, SystemEntropy};
use kinelog_engine::device::posix::{self, HELPER_THREADS, PosixFiles, PosixLog};
use kinelog_engine::device::uring::UringLog;
use kinelog_engine::device::{Device, Files, LogRuntime};
use kinelog_engine::error::{DeviceError, OpenError};
use kinelog_engine::recovery::verify::{Finding, Report};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) use certificate::{Certificate, TlsChoice};
pub(crate) use repair::repair;
pub(crate) use resources::Memory;

use crate::server;

/// Why a command failed, as one sentence that says what to do.
pub(crate) type Sentence = String;

/// How the log is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Io {
    /// By a ring where the kernel allows it, else by threads.
    Auto,
    /// By a ring.
    Uring,
    /// By threads.
    Posix,
}

/// What the store and the front end are given of the system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System {
    /// How the log is written.
    pub(crate) io: Io,
    /// Another clock than the system's, for tests.
    pub(crate) clock: Option<FastClock>,
    /// Memory.
    pub(crate) memory: Memory,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn serve(
    mut store: Config,
    tls: Option<TlsChoice>,
    mut settings: server::Settings,
    system: System,
) -> Result<ExitCode, Sentence> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let mut stop = StopSignals::listen()?;
        let mut device = device(system.io, &store.directory)?;
        if let Some(clock) = system.clock {
            tracing::warn!(
                rate = clock.rate,
                "THE CLOCK RUNS FAST: for tests, not for data to last"
            );
            device.clock = Arc::new(clock);
        }
        resources::share(&mut store, &mut settings, system.memory, &*device.files).await;
        let opened = Engine::open(store.clone(), device.clone()).await;
        let engine = opened.map_err(|error| sentence(&error, &store.directory))?;
        if let Some(choice) = tls {
            let tls = certificate::prepare(choice, &device, &store.directory).await?;
            settings.http.tls = Some(tls);
        }
        report_open(&store, &settings, &engine);
        let started = server::start(settings, engine.clone()).await;
        let running = started.map_err(|error| error.to_string())?;
        for address in running.addresses() {
            tracing::info!("listening on {address}");
        }
        if let Some(address) = running.admin_address() {
            tracing::info!("health and metrics on {address}");
        }
        measure_flush(&store, &engine);
        let reason = stop.received().await;
        tracing::info!(reason, "stopping");
        // Off this thread: tasks of the store in this runtime may be what a request waits for.
        if tokio::task::spawn_blocking(|| running.stop()).await.is_err() {
            tracing::error!("the front end did not stop in order");
        }
        engine.close().await;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// Verifies a data directory and prints what was found.
pub(crate) fn verify(directory: &Path) -> Result<ExitCode, Sentence> {
    let report = runtime()?.block_on(async {
        let device = device(Io::Posix, directory)?;
        let report = kinelog_engine::recovery::verify::verify(&device, directory).await;
        report.map_err(|error| sentence(&error, directory))
    })?;
    print(&describe(&report));
    let sound = report.findings.iter().all(|finding| finding.harmless);
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints for the user. A reader that went away is no failure of ours.
pub(crate) fn print(text: &str) {
    if let Err(error) = std::io::stdout().write_all(text.as_bytes()) {
        tracing::debug!(%error, "output not read");
    }
}

/// Says something to the user. One who does not listen is no failure of ours.
pub(crate) fn say(text: &str) {
    if let Err(error) = writeln!(std::io::stderr(), "kinelog: {text}") {
        tracing::debug!(%error, "message not read");
    }
}

fn describe(report: &Report) -> String {
    let lines = report.findings.iter().map(describe_finding);
    let summary = format!(
        "{} files, {} bytes and {} records read; {} findings\n",
        report.files,
        report.bytes,
        report.records,
        report.findings.len(),
    );
    lines.chain([summary]).collect()
}

fn describe_finding(finding: &Finding) -> String {
    let Finding { file, offset, message, harmless } = finding;
    let weight = if *harmless { "harmless" } else { "damage" };
    format!("{weight}: {} at byte {offset}: {message}\n", file.display())
}

/// Most say what to do by themselves; what the system says does not.
fn sentence(error: &OpenError, directory: &Path) -> Sentence {
    if let OpenError::Device(error) = error {
        format!("{error}; check {} and its permissions", directory.display())
    } else {
        error.to_string()
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Sentence> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the system refuses an event loop: {error}; raise its limits"))
}

/// Runs a command that calls an endpoint. What still waits for standard input or output when it is
/// done is left behind.
pub(crate) fn run_client(
    command: impl Future<Output = Result<ExitCode, Sentence>>,
) -> Result<ExitCode, Sentence> {
    let runtime = runtime()?;
    let end = runtime.block_on(command);
    runtime.shutdown_background();
    end
}

/// The real device, with the log written as asked for.
fn device(choice: Io, directory: &Path) -> Result<Device, Sentence> {
    let files = PosixFiles::new(HELPER_THREADS).map_err(|error| error.to_string())?;
    Ok(Device {
        files: Arc::new(files),
        log: log_runtime(choice, directory)?,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    })
}

fn log_runtime(choice: Io, directory: &Path) -> Result<Arc<dyn LogRuntime>, Sentence> {
    if choice == Io::Posix {
        return Ok(Arc::new(PosixLog));
    }
    match UringLog::probe(directory) {
        Ok(ring) => Ok(Arc::new(ring)),
        Err(error) if choice == Io::Auto => {
            tracing::info!(%error, "io_uring cannot be used, the log is written by threads");
            Ok(Arc::new(PosixLog))
        }
        Err(error) => Err(format!("io_uring cannot be used: {error}; use --io auto or posix")),
    }
}

fn report_open(store: &Config, settings: &server::Settings, engine: &Engine) {
    let streams = engine.all_streams();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        data_dir = %store.directory.display(),
        durability = server::durability_name(settings.durability),
        io = engine.log_device(),
        limits = %settings.kinesis.limits,
        recovery_ms = engine.metrics().recovery_ms.get(),
        replayed_groups = engine.metrics().replayed_groups.get(),
        replayed_bytes = engine.metrics().replayed_bytes.get(),
        streams = streams.len(),
        shards = streams.iter().map(|stream| stream.shards.len()).sum::<usize>(),
        "store open",
    );
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Log lines go to standard error; output of commands alone to standard output.
pub(crate) fn start_log(format: LogFormat) {
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}

/// Measures the device beside the server's first requests, which do not wait for it.
fn measure_flush(store: &Config, engine: &Engine) {
    let (directory, engine) = (store.directory.clone(), engine.clone());
    tokio::task::spawn_blocking(move || match posix::measure_flush(&directory) {
        Ok(flush) => {
            let micros = u64::try_from(flush.as_micros()).unwrap_or(u64::MAX);
            engine.metrics().flush_micros.set(micros);
            tracing::info!("a durable write of 4 KiB takes {micros} us on this device");
        }
        Err(error) => tracing::warn!(%error, "the flush time of the device is unknown"),
    });
}

/// Prints the operations and their input.
pub(crate) fn api_table() -> ExitCode {
    print(&format!("{:#}\n", crate::kinesis::api_table()));
    ExitCode::SUCCESS
}

/// Prints what stored files hold.
pub(crate) fn inspect(paths: &[PathBuf]) -> Result<ExitCode, Sentence> {
    let files = PosixFiles::new(HELPER_THREADS).map_err(|error| error.to_string())?;
    runtime()?.block_on(async {
        for path in paths {
            let bytes = read(&files, path).await.map_err(|error| {
                format!("{error}; check {} and its permissions", path.display())
            })?;
            print(&format!("{}\n", path.display()));
            kinelog_engine::recovery::inspect::inspect(&bytes, &mut |line| print(&(line + "\n")));
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn read(files: &PosixFiles, path: &Path) -> Result<Bytes, DeviceError> {
    let file = files.open_read(path).await?;
    let bytes = usize::try_from(file.bytes().await?).unwrap_or(usize::MAX);
    file.read(0, bytes).await
}

/// SIGTERM and SIGINT.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> Result<Self, Sentence> {
        let listen = |kind| {
            signal(kind).map_err(|error| format!("signals cannot be caught: {error}; start again"))
        };
        let terminate = listen(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn received(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
