//! `crash-loop`: the real server under load, killed, cut off and crashed at random moments; what its
//! clients were told is judged by the history checker, and every broken promise ends the run.
//!
//! What only sends signals needs nothing. The others need root, loop devices, the programs of both
//! file systems and most of them /dev/fuse. Where something is missing the run says so and counts
//! as skipped.
#![expect(clippy::print_stdout, reason = "the report is what it is for")]

mod backup;
mod cut_points;
mod damage;
mod disk;
mod faults;
mod load;
mod process;
mod reader;
mod report;
mod rings;
mod rounds;
mod starts;
mod system;
mod volume;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use damage::Harm;
use load::Cast;
use process::Program;
use report::Tally;
use rounds::{Plan, Stop};
use system::{Broken, Failure};
use volume::FileSystem;

#[derive(Debug, Parser)]
struct Arguments {
    /// What happens to the server.
    #[arg(value_enum)]
    mode: Mode,
    /// The server's binary.
    #[arg(long, default_value = "target/release/kinelog")]
    server: PathBuf,
    /// Parent of everything that is made.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    scratch: PathBuf,
    /// How often the server is stopped.
    #[arg(long, default_value_t = 20)]
    rounds: u64,
    /// Rounds after which everything is read and a new store begins.
    #[arg(long, default_value_t = 10)]
    rounds_per_store: u64,
    /// Images tried by `power_cut_every_write`.
    #[arg(long, default_value_t = 100)]
    images: u64,
    /// Acknowledged records in the run that it records.
    #[arg(long, default_value_t = 400)]
    acks: usize,
    /// File system, where there is a choice.
    #[arg(long, value_enum, default_value = "xfs")]
    file_system: FileSystem,
    /// How the server writes its log: uring or posix.
    #[arg(long, default_value = "uring")]
    io: String,
    /// Milliseconds between two splits or merges; 0 for none.
    #[arg(long, default_value_t = 700)]
    reshard_every_ms: u64,
    /// How long `disk_stall` and `sigstop` last, in milliseconds.
    #[arg(long, default_value_t = 1500)]
    stall_ms: u64,
    /// Further option of the server, such as `--server-option=--durability=none`.
    #[arg(long, value_name = "OPTION")]
    server_option: Vec<String>,
    /// Succeeds only if a broken promise is found: for servers that keep none.
    #[arg(long)]
    must_find: bool,
    /// Where random moments begin; the moments of the system's own are not repeated.
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Mode {
    /// SIGKILL.
    #[value(name = "kill9_loop")]
    Kill9Loop,
    /// SIGTERM: exit code 0 within 5 s.
    SigtermLoop,
    /// SIGSTOP and, later, SIGCONT.
    Sigstop,
    /// SIGKILL, by turns with and without leave of the kernel to have a ring; the leave comes and goes
    /// while the server runs.
    UringForbidden,
    /// The file system is shut down: what was not synced is gone.
    OsCrashLoop,
    /// The disk loses, tears and reorders what was not flushed.
    PowerCutLoop,
    /// A recorded run, cut after every write of the disk.
    PowerCutEveryWrite,
    /// One write or flush of the disk fails; later it loses its cache.
    SyncFailureThenCut,
    /// The disk answers nothing for a while.
    DiskStall,
    /// The disk is filled and freed.
    Enospc,
    /// The file system (ext4) turns read-only.
    ReadOnlyRemount,
    /// A second server is started on the same directory.
    SecondProcess,
    /// A copy is taken, the store goes on, and the copy is restored.
    BackupRestore,
    /// Starts after a kill: much in the log, many shards.
    StartTimes,
    /// A file is cut while the server has it mapped.
    SigbusTruncated,
    /// A file has got a hole.
    SigbusHole,
    /// The disk cannot give a page of a file.
    SigbusEio,
    /// The same for pages of records and of an index.
    ReadError,
}

impl Arguments {
    fn plan(&self) -> Plan {
        let options = ["--limits", "off", "--transition-ms", "20", "--reserve-bytes", "8388608"];
        let options = options.into_iter().chain(["--threads", "2", "--io", &self.io]);
        let options = options.chain(self.server_option.iter().map(String::as_str));
        let binary = self.server.clone();
        let stall = Duration::from_millis(self.stall_ms);
        Plan {
            program: Program { binary, options: options.map(str::to_owned).collect() },
            scratch: self.scratch.clone(),
            stop: match self.mode {
                Mode::Kill9Loop | Mode::StartTimes => Stop::Kill,
                Mode::UringForbidden => Stop::Forbid,
                Mode::SigtermLoop => Stop::Terminate,
                Mode::Sigstop => Stop::Pause(stall),
                Mode::SecondProcess => Stop::Second,
                Mode::OsCrashLoop | Mode::BackupRestore => Stop::Crash(self.file_system),
                Mode::SyncFailureThenCut => Stop::FailedSync(self.file_system),
                Mode::DiskStall => Stop::Stall(self.file_system, stall),
                Mode::Enospc => Stop::Full(self.file_system),
                Mode::ReadOnlyRemount => Stop::ReadOnly,
                Mode::PowerCutLoop
                | Mode::PowerCutEveryWrite
                | Mode::SigbusTruncated
                | Mode::SigbusHole
                | Mode::SigbusEio
                | Mode::ReadError => Stop::PowerCut(self.file_system),
            },
            rounds: self.rounds,
            rounds_per_store: self.rounds_per_store,
            cast: Cast { writers: 8, consumers: 2, reshard_every_ms: self.reshard_every_ms },
            seed: self.seed.unwrap_or_else(|| fastrand::u64(..)),
        }
    }

    fn name(&self) -> String {
        let mode =
            self.mode.to_possible_value().map_or_else(String::new, |it| it.get_name().into());
        if self.needs_nothing() {
            return format!("{mode} {}", self.io);
        }
        format!("{mode} {} {}", self.file_system.name(), self.io)
    }

    fn needs_nothing(&self) -> bool {
        let by_signals = [
            Mode::Kill9Loop,
            Mode::UringForbidden,
            Mode::SigtermLoop,
            Mode::Sigstop,
            Mode::SecondProcess,
            Mode::StartTimes,
        ];
        by_signals.contains(&self.mode)
    }

    /// What happens to files, if anything.
    fn harms(&self) -> Option<&'static [Harm]> {
        const TRUNCATED: &[Harm] = &[Harm::Cut];
        const HOLE: &[Harm] = &[Harm::Hole];
        const EIO: &[Harm] = &[Harm::Unreadable];
        const READ_ERROR: &[Harm] = &[Harm::Unreadable, Harm::UnreadableIndex];
        [
            (Mode::SigbusTruncated, TRUNCATED),
            (Mode::SigbusHole, HOLE),
            (Mode::SigbusEio, EIO),
            (Mode::ReadError, READ_ERROR),
        ]
        .into_iter()
        .find_map(|(mode, harms)| (mode == self.mode).then_some(harms))
    }
}

async fn run(arguments: &Arguments) -> Result<Tally, Failure> {
    let plan = arguments.plan();
    eprintln!("{}, seed {}", arguments.name(), plan.seed);
    if arguments.mode == Mode::PowerCutEveryWrite {
        return cut_points::run_cut_points(&plan, arguments.acks, arguments.images).await;
    }
    if arguments.mode == Mode::BackupRestore {
        return backup::run_backups(&plan).await;
    }
    if arguments.mode == Mode::StartTimes {
        return starts::run_starts(&plan).await;
    }
    if let Some(harms) = arguments.harms() {
        return damage::run_damage(&plan, harms).await;
    }
    rounds::run_rounds(&plan).await
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if arguments.mode == Mode::ReadOnlyRemount {
        arguments.file_system = FileSystem::Ext4;
    }
    if arguments.mode == Mode::UringForbidden {
        "auto".clone_into(&mut arguments.io);
    }
    let name = arguments.name();
    let missing = if arguments.mode == Mode::UringForbidden {
        rings::missing()
    } else {
        volume::missing().filter(|_| !arguments.needs_nothing())
    };
    if let Some(missing) = missing {
        println!("{name}: SKIPPED, {missing}");
        return ExitCode::SUCCESS;
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let outcome = match runtime.worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime.block_on(run(&arguments)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Err(failure) if arguments.must_find && failure.is::<Broken>() => {
            println!("{name}: found, as it had to be: {failure}");
            ExitCode::SUCCESS
        }
        Ok(tally) if !arguments.must_find => {
            println!("{name}: {tally}\n{}", tally.json(&name));
            ExitCode::SUCCESS
        }
        Ok(tally) => {
            eprintln!("{name}: FAILED: nothing was found: {tally}");
            ExitCode::FAILURE
        }
        Err(failure) => {
            eprintln!("{name}: FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}
