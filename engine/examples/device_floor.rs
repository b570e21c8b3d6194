//! Measures what the device below the log can do, to decide whether a second copy costs too much.
//!
//! `cargo run --release -p kinelog-engine --example device_floor -- [directory] [rounds] [KiB]`,
//! the last to measure groups of one size only.
//!
//! Three ways to make the same bytes durable, each in groups of one size: (a) one synchronous
//! direct write per group into a log file that was written before; (b) the same, while a thread
//! copies the bytes buffered into segment-like files and syncs them; (c) synchronous direct writes
//! straight into the segment-like files, the group divided evenly among them. Rounds go through
//! all cases in turn; the table shows medians over the rounds.
#![expect(clippy::disallowed_methods, reason = "the program measures the file system itself")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kinelog_engine::device::aligned::GroupBuffer;
use kinelog_engine::device::posix::PosixLog;
use kinelog_engine::device::uring::UringLog;
use kinelog_engine::device::{LocalBoxFuture, LogDevice, LogFile, LogRuntime};

const MIB: usize = 1 << 20;
/// Bytes of the log file, and of all segment-like files of a case together.
const AREA_BYTES: usize = 256 * MIB;
/// One measurement ends after this many bytes,
const RUN_BYTES: usize = 256 * MIB;
/// or after this time.
const RUN_TIME: Duration = Duration::from_millis(1500);
/// The copy is written in pieces of at least this size,
const COPY_PIECE_BYTES: usize = MIB;
/// and synced after this many bytes and at the end.
const COPY_SYNC_BYTES: usize = 256 * MIB;
/// Bytes that may wait to be copied.
const COPY_QUEUE_BYTES: usize = 64 * MIB;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a file's blocks are before the measurement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blocks {
    /// Written with zeros once; used again by every round.
    Written,
    /// Reserved by fallocate for each round anew.
    Reserved,
}

/// One line of the table.
struct Case {
    label: &'static str,
    group_bytes: usize,
    /// Files that the synchronous writes go to.
    files: usize,
    blocks: Blocks,
    /// Files that a second copy goes to.
    copies: usize,
}

#[derive(Clone, Copy)]
struct Sample {
    p50: Duration,
    p99: Duration,
    mb_per_s: f64,
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let parent = arguments.next().map_or_else(|| PathBuf::from("."), PathBuf::from);
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let kept = tempfile::Builder::new().prefix("device-floor").tempdir_in(parent)?;
    let mut runtimes: Vec<Box<dyn LogRuntime>> = vec![Box::new(PosixLog)];
    match UringLog::probe(kept.path()) {
        Ok(ring) => runtimes.push(Box::new(ring)),
        Err(error) => writeln!(io::stdout(), "without io_uring: {error}")?,
    }
    let only: Option<usize> = arguments.next().map(|text| text.parse()).transpose()?;
    let mut cases = cases();
    cases.retain(|case| only.is_none_or(|kib| case.group_bytes == kib << 10));
    let mut samples = vec![Vec::new(); cases.len() * runtimes.len()];
    for _ in 0..rounds.max(1) {
        for (case_index, case) in cases.iter().enumerate() {
            for (index, runtime) in runtimes.iter().enumerate() {
                let sample = measure(kept.path(), runtime.as_ref(), case)?;
                samples[case_index * runtimes.len() + index].push(sample);
            }
        }
    }
    print_table(&cases, &runtimes, &samples)
}

fn cases() -> Vec<Case> {
    let log = |group_bytes, copies, label| Case {
        label,
        group_bytes,
        files: 1,
        blocks: Blocks::Written,
        copies,
    };
    let mut cases = Vec::new();
    for group_bytes in [4 << 10, 64 << 10, MIB, 4 * MIB] {
        cases.push(log(group_bytes, 0, "a log only"));
        cases.push(log(group_bytes, 1, "b log + copy to 1 file"));
        cases.push(log(group_bytes, 64, "b log + copy to 64 files"));
        for (files, blocks, label) in [
            (1, Blocks::Reserved, "c 1 file, reserved"),
            (4, Blocks::Written, "c 4 files, written"),
            (4, Blocks::Reserved, "c 4 files, reserved"),
            (64, Blocks::Written, "c 64 files, written"),
            (64, Blocks::Reserved, "c 64 files, reserved"),
        ] {
            // The smallest write is a page: small groups are not divided.
            if group_bytes / files >= 4096 {
                cases.push(Case { label, group_bytes, files, blocks, copies: 0 });
            }
        }
    }
    cases
}

fn measure(dir: &Path, runtime: &dyn LogRuntime, case: &Case) -> Result<Sample, Failure> {
    let file_bytes = AREA_BYTES / case.files;
    let paths = prepare(dir, case, file_bytes)?;
    let copier = (case.copies > 0).then(|| Copier::start(dir, case)).transpose()?;
    let piece_bytes = case.group_bytes / case.files;
    let mut buffer = GroupBuffer::zeroed(piece_bytes);
    buffer.as_mut_slice().iter_mut().zip((0..=250).cycle()).for_each(|(byte, tag)| *byte = tag);
    let piece = buffer.freeze();
    let (answer, answered) = sync_channel(1);
    let queue = copier.as_ref().map(|copier| copier.queue.clone());
    let started = Instant::now();
    let main = move |device: Rc<dyn LogDevice>| -> LocalBoxFuture<()> {
        Box::pin(async move {
            let run = write_groups(device, paths, file_bytes, piece, queue).await;
            answer.send(run).expect("the receiver lives on this very stack");
        })
    };
    runtime.block_on(Box::new(main))?;
    let mut latencies = answered.recv()??;
    // What is copied counts once it is synced.
    copier.map_or(Ok(()), Copier::finish)?;
    let elapsed = started.elapsed();
    latencies.sort_unstable();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    let bytes = latencies.len() * case.group_bytes;
    #[expect(clippy::cast_precision_loss, reason = "the table shows whole MB/s")]
    let mb_per_s = bytes as f64 / 1e6 / elapsed.as_secs_f64();
    Ok(Sample { p50: at(50), p99: at(99), mb_per_s })
}

/// The files a case writes to.
fn prepare(dir: &Path, case: &Case, file_bytes: usize) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for index in 0..case.files {
        let reserved = case.blocks == Blocks::Reserved;
        let kind = if reserved { "reserved" } else { "written" };
        let path = dir.join(format!("{kind}-{}-{index}", case.files));
        if reserved {
            let file = File::create(&path)?;
            let nothing = rustix::fs::FallocateFlags::empty();
            rustix::fs::fallocate(&file, nothing, 0, file_bytes as u64)?;
            file.sync_all()?;
        } else if !path.exists() {
            let mut file = File::create(&path)?;
            for _ in 0..file_bytes / MIB {
                file.write_all(&vec![0; MIB])?;
            }
            file.sync_all()?;
        }
        paths.push(path);
    }
    Ok(paths)
}

/// Writes groups one after the other, the pieces of a group at once; how long each group took.
async fn write_groups(
    device: Rc<dyn LogDevice>,
    paths: Vec<PathBuf>,
    file_bytes: usize,
    piece: Bytes,
    copies: Option<SyncSender<Bytes>>,
) -> Result<Vec<Duration>, Failure> {
    let mut files: Vec<Rc<dyn LogFile>> = Vec::new();
    for path in paths {
        files.push(device.open(path).await?);
    }
    let run_started = Instant::now();
    let (mut latencies, mut offset, mut written) = (Vec::new(), 0, 0);
    while written < RUN_BYTES && run_started.elapsed() < RUN_TIME {
        let started = Instant::now();
        if let [file] = &files[..] {
            file.write_durable(offset as u64, piece.clone()).await?;
        } else {
            let mut writes = tokio::task::JoinSet::new();
            for file in &files {
                writes.spawn_local(file.write_durable(offset as u64, piece.clone()));
            }
            while let Some(done) = writes.join_next().await {
                done??;
            }
        }
        latencies.push(started.elapsed());
        if let Some(copies) = &copies {
            copies.send(piece.clone())?;
        }
        written += piece.len() * files.len();
        // Less than once around: blocks that were only reserved are written once each.
        offset = (offset + piece.len()) % file_bytes;
    }
    Ok(latencies)
}

/// The thread that makes the second copy.
struct Copier {
    queue: SyncSender<Bytes>,
    thread: JoinHandle<io::Result<()>>,
}

impl Copier {
    fn start(dir: &Path, case: &Case) -> io::Result<Self> {
        let mut files = Vec::new();
        for index in 0..case.copies {
            let path = dir.join(format!("segment-{index}"));
            // A segment is new: removed and made again, so that its blocks are too.
            if path.exists() {
                fs::remove_file(&path)?;
            }
            files.push(OpenOptions::new().write(true).create_new(true).open(path)?);
        }
        let (queue, groups) = sync_channel(COPY_QUEUE_BYTES / case.group_bytes);
        let thread = std::thread::spawn(move || copy(&groups, &files));
        Ok(Self { queue, thread })
    }

    fn finish(self) -> Result<(), Failure> {
        drop(self.queue);
        let ended = self.thread.join();
        Ok(ended.map_err(|_| io::Error::other("the copying thread panicked"))??)
    }
}

/// Each file gets one piece in turn.
fn copy(groups: &Receiver<Bytes>, files: &[File]) -> io::Result<()> {
    let sync_all = || files.iter().try_for_each(File::sync_data);
    let (mut waiting, mut waiting_bytes) = (Vec::<Bytes>::new(), 0);
    let (mut pieces, mut unsynced_bytes) = (0, 0);
    let mut flush = |waiting: &mut Vec<Bytes>, bytes: usize| -> io::Result<()> {
        let (file, row) = (&files[pieces % files.len()], pieces / files.len());
        let at = (row * COPY_PIECE_BYTES.max(bytes)) as u64;
        let slices: Vec<_> = waiting.iter().map(|group| IoSlice::new(group)).collect();
        let written = rustix::io::pwritev(file, &slices, at)?;
        if written < bytes {
            file.write_all_at(&waiting.concat()[written..], at + written as u64)?;
        }
        waiting.clear();
        pieces += 1;
        unsynced_bytes += bytes;
        if unsynced_bytes < COPY_SYNC_BYTES {
            return Ok(());
        }
        unsynced_bytes = 0;
        sync_all()
    };
    for group in groups {
        waiting_bytes += group.len();
        waiting.push(group);
        if waiting_bytes >= COPY_PIECE_BYTES {
            flush(&mut waiting, waiting_bytes)?;
            waiting_bytes = 0;
        }
    }
    flush(&mut waiting, waiting_bytes)?;
    sync_all()
}

fn print_table(
    cases: &[Case],
    runtimes: &[Box<dyn LogRuntime>],
    samples: &[Vec<Sample>],
) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "| group | way | device | p50 us | p99 us | MB/s |")?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for (case_index, case) in cases.iter().enumerate() {
        for (index, runtime) in runtimes.iter().enumerate() {
            let of_case = &samples[case_index * runtimes.len() + index];
            let median = |key: fn(&Sample) -> f64| {
                let mut values: Vec<f64> = of_case.iter().map(key).collect();
                values.sort_by(f64::total_cmp);
                values[values.len() / 2]
            };
            let p50 = median(|sample| sample.p50.as_secs_f64() * 1e6);
            let p99 = median(|sample| sample.p99.as_secs_f64() * 1e6);
            let mb_per_s = median(|sample| sample.mb_per_s);
            let (kib, label, name) = (case.group_bytes >> 10, case.label, runtime.name());
            writeln!(
                out,
                "| {kib} KiB | {label} | {name} | {p50:.0} | {p99:.0} | {mb_per_s:.0} |"
            )?;
        }
    }
    Ok(())
}
