//! Rounds: the store runs under load, is stopped in one way or another at a random moment, and
//! starts again. After some rounds everything is read and judged, and a new store begins.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use kinelog_tests::history::{Recorder, check};
use rustix::process::Signal;

use crate::disk::fuse::Mounted;
use crate::disk::{Disk, Image, Kept};
use crate::faults;
use crate::load::{Cast, Load, Shared, create};
use crate::process::{Process, Program};
use crate::reader::read_all;
use crate::report::Tally;
use crate::rings::Switch;
use crate::system::{Broken, Failure, run};
use crate::volume::{FileSystem, Volume};

/// Size of a disk that is made for a store: log files of many starts have room, zeros cost nothing.
pub(crate) const DISK_BYTES: u64 = 1 << 30;
/// Longest time under load in one round.
const ROUND_MS_MAX: u64 = 700;
/// Longest time the server is given to start before it is killed again, in some rounds.
const START_MS_MAX: u64 = 60;
/// One round in so many kills the server while it starts.
const STARTS_KILLED: u8 = 6;
/// A server that was asked to end has ended by then.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// How a round ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// SIGKILL.
    Kill,
    /// SIGKILL, a little after the kernel has forbidden new rings or allowed them again.
    Forbid,
    /// SIGTERM.
    Terminate,
    /// The file system ends, and what was not synced with it.
    Crash(FileSystem),
    /// The disk loses its cache, or parts of it.
    PowerCut(FileSystem),
    /// One write or flush fails; later the disk loses its cache.
    FailedSync(FileSystem),
    /// The disk answers nothing for so long; the server goes on.
    Stall(FileSystem, Duration),
    /// The disk is full for a while; the server goes on.
    Full(FileSystem),
    /// ext4 turns read-only.
    ReadOnly,
    /// A second server is started; the first goes on.
    Second,
    /// The process stands still for so long.
    Pause(Duration),
}

/// How many rounds, and what happens in them.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) program: Program,
    pub(crate) scratch: PathBuf,
    pub(crate) stop: Stop,
    pub(crate) rounds: u64,
    pub(crate) rounds_per_store: u64,
    pub(crate) cast: Cast,
    pub(crate) seed: u64,
}

/// Where a store lives.
pub(crate) enum Ground {
    /// A directory of the system's own.
    Directory(tempfile::TempDir),
    /// A file system on a file.
    File { volume: Volume, _backing: tempfile::NamedTempFile, _at: tempfile::TempDir },
    /// A file system on a disk of ours; what is dropped first stands first.
    Disk {
        volume: Volume,
        disk: Arc<Disk>,
        formatted: Image,
        _file: Mounted,
        _at: [tempfile::TempDir; 2],
    },
}

impl Ground {
    pub(crate) fn new(stop: Stop, scratch: &Path) -> Result<Self, Failure> {
        let directory = || tempfile::Builder::new().prefix("crash-").tempdir_in(scratch);
        match stop {
            Stop::Kill | Stop::Forbid | Stop::Terminate | Stop::Second | Stop::Pause(_) => {
                Ok(Self::Directory(directory()?))
            }
            Stop::Crash(_) | Stop::ReadOnly => {
                let kind = if let Stop::Crash(kind) = stop { kind } else { FileSystem::Ext4 };
                let backing = tempfile::NamedTempFile::new_in(scratch)?;
                backing.as_file().set_len(DISK_BYTES)?;
                let at = directory()?;
                let mut volume = Volume::new(kind, backing.path(), at.path())?;
                volume.format()?;
                volume.mount()?;
                Ok(Self::File { volume, _backing: backing, _at: at })
            }
            Stop::PowerCut(kind)
            | Stop::FailedSync(kind)
            | Stop::Stall(kind, _)
            | Stop::Full(kind) => {
                let disk = Arc::new(Disk::new(DISK_BYTES));
                let (below, above) = (directory()?, directory()?);
                let file = Mounted::new(&disk, below.path())?;
                let mut volume = Volume::new(kind, &file.file(), above.path())?;
                volume.format()?;
                let formatted = disk.image();
                volume.mount()?;
                Ok(Self::Disk { volume, disk, formatted, _file: file, _at: [below, above] })
            }
        }
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        match self {
            Self::Directory(directory) => directory.path().join("data"),
            Self::File { volume, .. } | Self::Disk { volume, .. } => volume.path().join("data"),
        }
    }

    /// Makes it as empty as it was at first; nothing runs on it.
    pub(crate) async fn clear(&mut self) -> Result<(), Failure> {
        match self {
            Self::Directory(_) => run("rm", ["-rf".as_ref(), self.data().as_os_str()]).map(drop),
            Self::File { volume, .. } => {
                volume.unmount().await?;
                volume.format()?;
                volume.mount()
            }
            Self::Disk { volume, disk, formatted, .. } => {
                volume.unmount().await?;
                disk.load(formatted.clone());
                volume.mount()
            }
        }
    }
}

/// Runs all rounds.
pub(crate) async fn run_rounds(plan: &Plan) -> Result<Tally, Failure> {
    let mut rng = Rng::with_seed(plan.seed);
    let mut tally = Tally::default();
    let mut ground = Ground::new(plan.stop, &plan.scratch)?;
    let _put_back = (plan.stop == Stop::Forbid).then(Switch::take).transpose()?;
    while tally.rounds < plan.rounds {
        let rounds = plan.rounds_per_store.min(plan.rounds - tally.rounds);
        if tally.rounds > 0 {
            ground.clear().await?;
        }
        one_store(plan, &mut ground, rounds, &mut rng, &mut tally).await?;
        eprintln!("{tally}");
    }
    if let Ground::Disk { disk, .. } = &ground {
        tally.disk = disk.counts();
    }
    Ok(tally)
}

/// A new store with its stream: its server, on this port, and what all clients share.
pub(crate) async fn begin(
    program: &Program,
    data: &Path,
) -> Result<(Process, u16, Arc<Shared>), Failure> {
    let mut server = Process::spawn(program, data, 0)?;
    let (port, _) = server.listening()?;
    let shared = Arc::new(Shared::new(port, Recorder::new(), None)?);
    create(&shared).await?;
    Ok((server, port, shared))
}

/// One store from its first record to its last reader.
async fn one_store(
    plan: &Plan,
    ground: &mut Ground,
    rounds: u64,
    rng: &mut Rng,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let data = ground.data();
    let (mut server, port, shared) = begin(&plan.program, &data).await?;
    let load = Load::start(Arc::clone(&shared), plan.cast, rng);
    for _ in 0..rounds {
        tokio::time::sleep(Duration::from_millis(rng.u64(10..ROUND_MS_MAX))).await;
        tally.rounds += 1;
        if disturb(plan, ground, &server, &shared, tally).await? {
            continue;
        }
        stop(plan.stop, ground, &mut server, &shared, rng, tally).await?;
        server = Process::spawn(&plan.program, &data, port)?;
        while rng.u8(..STARTS_KILLED) == 0 {
            tokio::time::sleep(Duration::from_millis(rng.u64(..START_MS_MAX))).await;
            server.kill()?;
            tally.starts_killed += 1;
            server = Process::spawn(&plan.program, &data, port)?;
        }
        let (_, took) = server.listening()?;
        if plan.stop == Stop::Forbid {
            Switch::check(&server, tally)?;
        }
        tally.longest_start = tally.longest_start.max(took);
        shared.recorder.restarted();
    }
    let shared = load.stop().await?;
    let strange = shared.strange();
    if !strange.is_empty() {
        return Err(format!("the server answered strangely: {}", strange.join("; ")).into());
    }
    let read = read_all(&shared).await;
    read.map_err(|failure| format!("the last reader: {failure}\n{}", server.log()))?;
    server.kill()?;
    judge(&shared, tally)
}

/// Checks the history of a store that was read to its end.
pub(crate) fn judge(shared: &Shared, tally: &mut Tally) -> Result<(), Failure> {
    match check(&shared.recorder.history()) {
        Ok(summary) => {
            tally.add(&summary);
            Ok(())
        }
        Err(violations) => {
            tally.count(&violations);
            let shown: Vec<_> = violations.iter().take(20).map(ToString::to_string).collect();
            let shown = shown.join("\n");
            let words = format!("{} violations:\n{shown}\n{tally}", violations.len());
            Err(Broken(words).into())
        }
    }
}

/// What happens to a server that goes on; whether this was all that happens to it.
async fn disturb(
    plan: &Plan,
    ground: &Ground,
    server: &Process,
    shared: &Shared,
    tally: &mut Tally,
) -> Result<bool, Failure> {
    match (plan.stop, ground) {
        (Stop::Stall(_, time), Ground::Disk { disk, .. }) => {
            faults::stall(disk, shared, time, tally).await?;
        }
        (Stop::Full(_), Ground::Disk { volume, .. }) => {
            faults::fill(volume.path(), shared, tally).await?;
        }
        (Stop::Pause(time), _) => faults::pause_process(server, shared, time, tally).await?,
        (Stop::Second, _) => faults::second_process(&plan.program, &ground.data())?,
        (Stop::Forbid, _) => {
            Switch::turn()?;
            faults::healed(shared, tally).await?;
            return Ok(false);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Stops the server and brings its ground back to where it may start again.
async fn stop(
    stop: Stop,
    ground: &mut Ground,
    server: &mut Process,
    shared: &Shared,
    rng: &mut Rng,
    tally: &mut Tally,
) -> Result<(), Failure> {
    if let Some(status) = server.ended()? {
        return Err(format!("the server ended by itself: {status}\n{}", server.log()).into());
    }
    match ground {
        Ground::Directory(_) if stop == Stop::Terminate => {
            let begin = Instant::now();
            server.signal(Signal::TERM)?;
            let status = tokio::task::block_in_place(|| server.wait())?;
            let took = begin.elapsed();
            if !status.success() || took > STOP_TIME_MAX {
                return Err(format!("SIGTERM: {status} after {took:?}\n{}", server.log()).into());
            }
            tally.longest_stop = tally.longest_stop.max(took);
        }
        Ground::Directory(_) => {
            server.kill()?;
        }
        Ground::File { volume, .. } => {
            if stop == Stop::ReadOnly {
                faults::turn_read_only(volume.device(), shared).await?;
            } else {
                volume.shut_down()?;
            }
            server.kill()?;
            volume.unmount().await?;
            volume.mount()?;
        }
        Ground::Disk { volume, disk, .. } => {
            let mut kept = Kept::ALL[rng.usize(..Kept::ALL.len())];
            if let Stop::FailedSync(_) = stop {
                faults::fail_once(disk, server, rng).await?;
                kept = Kept::None;
            }
            disk.switch_off();
            server.kill()?;
            volume.unmount().await?;
            disk.switch_on(kept, rng);
            *tally.kept.entry(kept.name()).or_default() += 1;
            volume.mount()?;
        }
    }
    Ok(())
}
