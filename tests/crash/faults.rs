//! Faults that a running server has to live with: a disk that stalls, is full, turns read-only or
//! fails one write or flush.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::Signal;

use crate::disk::{Disk, Fault};
use crate::load::{Shared, pause};
use crate::process::{Process, Program};
use crate::reader;
use crate::report::Tally;
use crate::system::{Failure, run};

/// Writes or flushes that may still pass before one fails.
const FAULT_AFTER_MAX: u64 = 40;
/// A cause that has ended is over for clients by then.
const HEALED_TIME_MAX: Duration = Duration::from_secs(2);
/// Answers that were on their way when something happened have arrived by then.
const SETTLED: Duration = Duration::from_millis(300);

/// Fails one write or flush of the disk under load, and goes on for a while.
pub(crate) async fn fail_once(
    disk: &Disk,
    server: &mut Process,
    rng: &mut Rng,
) -> Result<(), Failure> {
    let before = disk.faults_met();
    let after = rng.u64(..FAULT_AFTER_MAX);
    disk.fail(if rng.bool() { Fault::Write(after) } else { Fault::Flush(after) });
    while disk.faults_met() == before {
        is_alive(server)?;
        pause().await;
    }
    tokio::time::sleep(Duration::from_millis(rng.u64(..400))).await;
    is_alive(server)
}

/// The disk answers nothing for a while, and the server answers no write meanwhile.
pub(crate) async fn stall(
    disk: &Disk,
    shared: &Shared,
    time: Duration,
    tally: &mut Tally,
) -> Result<(), Failure> {
    disk.stall();
    tokio::time::sleep(SETTLED).await;
    let acknowledged = shared.recorder.acknowledged();
    tokio::time::sleep(time).await;
    let early = shared.recorder.acknowledged() - acknowledged;
    disk.release();
    if early > 0 {
        return Err(format!("{early} records were acknowledged while the disk stood still").into());
    }
    healed(shared, tally).await
}

/// The process stands still for a while, and goes on as if nothing had been.
pub(crate) async fn pause_process(
    server: &Process,
    shared: &Shared,
    time: Duration,
    tally: &mut Tally,
) -> Result<(), Failure> {
    server.signal(Signal::STOP)?;
    tokio::time::sleep(time).await;
    server.signal(Signal::CONT)?;
    healed(shared, tally).await
}

/// The disk is full for a while: writes are refused, reads go on.
pub(crate) async fn fill(at: &Path, shared: &Shared, tally: &mut Tally) -> Result<(), Failure> {
    let filler = at.join("filler");
    let output = format!("of={}", filler.display());
    let arguments = ["if=/dev/zero", &output, "bs=64k", "oflag=direct"].map(AsRef::as_ref);
    if run("dd", arguments).is_ok() {
        return Err("the disk cannot be filled".into());
    }
    let refused = shared.faults_answered.load(Ordering::Relaxed);
    while shared.faults_answered.load(Ordering::Relaxed) == refused {
        pause().await;
    }
    reader::read_once(shared).await?;
    run("rm", [filler.as_os_str()])?;
    healed(shared, tally).await
}

/// The file system has met an error of its own and takes no writes any more; reads go on.
pub(crate) async fn turn_read_only(device: &str, shared: &Shared) -> Result<(), Failure> {
    let name = device.rsplit('/').next().unwrap_or_default();
    let trigger = format!("echo crash-loop > /sys/fs/ext4/{name}/trigger_fs_error");
    run("sh", ["-c".as_ref(), trigger.as_ref()])?;
    tokio::time::sleep(SETTLED).await;
    let acknowledged = shared.recorder.acknowledged();
    reader::read_once(shared).await?;
    let early = shared.recorder.acknowledged() - acknowledged;
    if early > 0 {
        return Err(format!("{early} records were acknowledged by a read-only disk").into());
    }
    Ok(())
}

/// A second server on the same directory does not start.
pub(crate) fn second_process(program: &Program, data: &Path) -> Result<(), Failure> {
    let mut second = Process::spawn(program, data, 0)?;
    match second.listening() {
        Ok(_) => Err("a second server has started on the same directory".into()),
        Err(_) if second.log().contains("in use by another process") => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// Waits until a record is acknowledged again, which must not take long.
pub(crate) async fn healed(shared: &Shared, tally: &mut Tally) -> Result<(), Failure> {
    let begin = Instant::now();
    let acknowledged = shared.recorder.acknowledged();
    while shared.recorder.acknowledged() == acknowledged {
        pause().await;
    }
    let took = begin.elapsed();
    tally.longest_healing = tally.longest_healing.max(took);
    if took > HEALED_TIME_MAX {
        return Err(format!("writes were accepted again only after {took:?}").into());
    }
    Ok(())
}

fn is_alive(server: &mut Process) -> Result<(), Failure> {
    match server.ended()? {
        Some(status) => Err(format!("the server ended: {status}\n{}", server.log()).into()),
        None => Ok(()),
    }
}
