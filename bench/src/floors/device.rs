//! The floor of the device: durable writes through `io_uring` of one size, one after the other, into
//! a file written before, and reads of whole files past the page cache.

use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio_uring::buf::BoundedBuf;

use crate::client::Failure;
use crate::latency::{Call, Tally};
use crate::outcome::Outcome;

/// Length of the file written round and round, in bytes.
const FILE_BYTES: usize = 64 << 20;
const ALIGNMENT: usize = 4096;
/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// Durable writes of `bytes` each, one after the other, into a file written before.
pub(crate) fn write(directory: &Path, bytes: usize, seconds: f64) -> Result<Outcome, Failure> {
    let path = directory.join(format!("kinelog-bench-{:08x}.raw", fastrand::u32(..)));
    let outcome = tokio_uring::start(write_round_and_round(path.clone(), bytes, seconds));
    tokio_uring::start(async { tokio_uring::fs::remove_file(&path).await })?;
    outcome
}

const O_DIRECT: i32 = rustix::fs::OFlags::DIRECT.bits().cast_signed();
const O_DSYNC: i32 = rustix::fs::OFlags::DSYNC.bits().cast_signed();

#[expect(clippy::disallowed_methods, reason = "the floor stands outside the engine's seam")]
fn open_direct(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).custom_flags(O_DIRECT | O_DSYNC).open(path)
}

#[expect(clippy::disallowed_methods, reason = "the floor stands outside the engine's seam")]
fn open_for_reading(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().read(true).custom_flags(O_DIRECT).open(path)
}

async fn write_round_and_round(
    path: PathBuf,
    bytes: usize,
    seconds: f64,
) -> Result<Outcome, Failure> {
    prepare(&path).await?;
    let file = tokio_uring::fs::File::from_std(open_direct(&path)?);
    let mut tally = Tally::new();
    let mut buffer = aligned(bytes);
    let start = start_of(&buffer);
    let (started, mut offset) = (Instant::now(), 0);
    while started.elapsed().as_secs_f64() < seconds {
        let before = Instant::now();
        let slice = buffer.slice(start..start + bytes);
        let (written, slice) = file.write_at(slice, offset as u64).submit().await;
        buffer = slice.into_inner();
        if written? != bytes {
            return Err("the device took less than a whole group".into());
        }
        tally.count(call(bytes), before.elapsed());
        offset = if offset + 2 * bytes <= FILE_BYTES { offset + bytes } else { 0 };
    }
    let outcome = finish(tally, started);
    file.close().await?;
    Ok(outcome)
}

fn call(bytes: usize) -> Call {
    Call { success: true, bytes: bytes as u64, ..Call::default() }
}

fn finish(tally: Tally, started: Instant) -> Outcome {
    let mut outcome = Outcome::new();
    outcome.seconds = started.elapsed().as_secs_f64();
    outcome.all_seconds = outcome.seconds;
    outcome.tally = tally;
    outcome
}

/// Reads files from end to end, one after the other, past the page cache.
pub(crate) fn read(files: &[PathBuf]) -> Result<Outcome, Failure> {
    tokio_uring::start(async {
        let mut tally = Tally::new();
        let mut buffer = aligned(READ_BYTES);
        let started = Instant::now();
        for path in files {
            let file = tokio_uring::fs::File::from_std(open_for_reading(path)?);
            let mut offset = 0;
            loop {
                let (start, before) = (start_of(&buffer), Instant::now());
                let slice = buffer.slice(start..start + READ_BYTES);
                let (read, slice) = file.read_at(slice, offset).await;
                buffer = slice.into_inner();
                let read = read?;
                tally.count(call(read), before.elapsed());
                offset += read as u64;
                if read < READ_BYTES {
                    break;
                }
            }
            file.close().await?;
        }
        Ok(finish(tally, started))
    })
}

/// A buffer that holds `bytes` from a multiple of the alignment on.
fn aligned(bytes: usize) -> Vec<u8> {
    vec![0xa5; bytes + ALIGNMENT]
}

fn start_of(buffer: &[u8]) -> usize {
    let address = buffer.as_ptr().addr();
    address.next_multiple_of(ALIGNMENT) - address
}

/// A file whose blocks were all written once, as the log's are.
async fn prepare(path: &Path) -> Result<(), Failure> {
    const PIECE: usize = 1 << 20;
    let file = tokio_uring::fs::File::create(path).await?;
    let mut piece = vec![0_u8; PIECE];
    for offset in (0..FILE_BYTES).step_by(PIECE) {
        let (written, returned) = file.write_all_at(piece, offset as u64).await;
        written?;
        piece = returned;
    }
    file.sync_all().await?;
    file.close().await?;
    Ok(())
}
