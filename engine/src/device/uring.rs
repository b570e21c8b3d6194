//! The log device on a ring, by tokio-uring.
//!
//! The crate has no writes with sync flags, but takes any submission entry through its one-shot
//! operations; a group is one write entry that carries `RWF_DSYNC`. An entry owns its buffer and
//! its file until the kernel has answered, also when the future that waits for it is dropped.
//!
//! The crate hands entries to the kernel when its queue is full, or when its thread is about to
//! sleep; a log thread that always has work never sleeps. So the queue has room for one entry, and
//! every write is followed by an entry that does nothing: pushing it out of the queue's way sends
//! the write off at once.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;
use io_uring::{cqueue, opcode, types};
use rustix::io::ReadWriteFlags;
use tokio_uring::{OneshotOutputTransform, Runtime, UnsubmittedOneshot};

use super::aligned::GroupBuffer;
use super::posix::{check_alignment, open_direct};
use super::{Entropy, LocalBoxFuture, LogDevice, LogFile, LogMain, LogRuntime, PROBE_PREFIX};
use crate::device::clock::SystemEntropy;
use crate::error::DeviceError;
use crate::limits::PAGE_BYTES;

/// Entries that wait in the ring for the kernel; see above.
const SUBMISSIONS: u32 = 1;
/// Answers the kernel can leave before it has to keep them elsewhere; far above what is in flight.
const COMPLETIONS: u32 = 256;
/// Most bytes of one entry; the kernel writes no more in one call (`MAX_RW_COUNT`).
const WRITE_BYTES_MAX: usize = 1 << 30;

/// Log threads on a tokio runtime with a ring each. There is one only where a ring really works.
#[derive(Debug)]
pub struct UringLog(());

impl UringLog {
    /// Finds out whether a ring can be made and does a durable direct write to a file in
    /// `directory`, or in the nearest directory above it that exists. Leaves no file. Blocks.
    ///
    /// # Errors
    /// What the kernel refused; container engines often forbid rings.
    pub fn probe(directory: &Path) -> Result<Self, DeviceError> {
        let existing = directory.ancestors().find(|above| above.is_dir());
        let directory = existing.unwrap_or(Path::new(".")).to_path_buf();
        let failed = |error| DeviceError::new("write through a ring in", &directory, &error);
        // On a thread of its own, because the caller may be inside a runtime already.
        let probe = {
            let directory = directory.clone();
            std::thread::Builder::new().spawn(move || try_write(&directory)).map_err(failed)?
        };
        let panicked = |_| Err(io::Error::other("the ring's driver panicked"));
        probe.join().unwrap_or_else(panicked).map_err(failed)?;
        Ok(Self(()))
    }
}

#[expect(clippy::disallowed_methods, reason = "part of the seam all others go through")]
fn try_write(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!("{PROBE_PREFIX}{:016x}", SystemEntropy.next_u64()));
    let created = File::create_new(&path)?;
    let opened = open_direct(&path);
    std::fs::remove_file(&path)?;
    let (file, page) = (Rc::new(opened?), GroupBuffer::zeroed(PAGE_BYTES).freeze());
    new_runtime()?.block_on(write_durable(file, 0, page.clone()))?;
    if created.metadata()?.len() == page.len() as u64 {
        return Ok(());
    }
    Err(io::Error::other("a write was reported but is not in the file"))
}

fn new_runtime() -> io::Result<Runtime> {
    let mut ring = tokio_uring::uring_builder();
    ring.setup_cqsize(COMPLETIONS);
    Runtime::new(tokio_uring::builder().entries(SUBMISSIONS).uring_builder(&ring))
}

impl LogRuntime for UringLog {
    fn name(&self) -> &'static str {
        "io_uring"
    }

    fn block_on(&self, main: LogMain) -> Result<(), DeviceError> {
        let runtime =
            new_runtime().map_err(|error| DeviceError::new("start", "log runtime", &error))?;
        runtime.block_on(async move { main(Rc::new(UringLogDevice)).await });
        // Dropping it waits for the answers to all entries.
        drop(runtime);
        Ok(())
    }
}

struct UringLogDevice;

impl LogDevice for UringLogDevice {
    fn open(&self, path: PathBuf) -> LocalBoxFuture<Result<Rc<dyn LogFile>, DeviceError>> {
        Box::pin(async move {
            let to_open = path.clone();
            let opened = tokio::task::spawn_blocking(move || open_direct(&to_open)).await;
            match opened.unwrap_or_else(|error| Err(io::Error::other(error))) {
                Ok(file) => Ok(Rc::new(UringLogFile { path, file: Rc::new(file) }) as _),
                Err(error) => Err(DeviceError::new("open", path, &error)),
            }
        })
    }
}

struct UringLogFile {
    path: PathBuf,
    file: Rc<File>,
}

impl LogFile for UringLogFile {
    fn write_durable(&self, offset: u64, bytes: Bytes) -> LocalBoxFuture<Result<(), DeviceError>> {
        let (file, path) = (Rc::clone(&self.file), self.path.clone());
        Box::pin(async move {
            let written = write_durable(file, offset, bytes).await;
            written.map_err(|error| DeviceError::new("write", path, &error).at(offset))
        })
    }
}

async fn write_durable(file: Rc<File>, mut offset: u64, mut bytes: Bytes) -> io::Result<()> {
    check_alignment(offset, &bytes)?;
    while !bytes.is_empty() {
        match write_once(Rc::clone(&file), offset, bytes.clone()).await {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = bytes.slice(written..);
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// One write entry; answers how many bytes of it are on the device.
async fn write_once(file: Rc<File>, offset: u64, bytes: Bytes) -> io::Result<usize> {
    let length = bytes.len().min(WRITE_BYTES_MAX);
    let length = u32::try_from(length).expect("the bound of one entry is below 4 GiB");
    // The pointer stays good: the operation owns `bytes`, whose memory never moves, until the
    // kernel has answered.
    let entry = opcode::Write::new(types::Fd(file.as_raw_fd()), bytes.as_ptr(), length)
        .offset(offset)
        .rw_flags(ReadWriteFlags::DSYNC.bits().cast_signed())
        .build();
    let write = UnsubmittedOneshot::new((file, bytes), Answer::new(), entry).submit();
    let pusher = opcode::Nop::new().build();
    drop(UnsubmittedOneshot::new((), Answer::new(), pusher).submit());
    write.await
}

/// Turns the kernel's answer into a result, and lets go of what the entry owned.
struct Answer<D>(std::marker::PhantomData<D>);

impl<D> Answer<D> {
    const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<D: 'static> OneshotOutputTransform for Answer<D> {
    type Output = io::Result<usize>;
    type StoredData = D;

    fn transform_oneshot_output(self, _owned: D, answer: cqueue::Entry) -> io::Result<usize> {
        let result = answer.result();
        usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(result.saturating_neg()))
    }
}
