//! Files and the log device over plain system calls on helper threads.
//!
//! Short writes are continued and interrupted calls repeated. Nothing that failed is tried again:
//! what a failed sync means is for the caller to decide.
#![expect(clippy::disallowed_methods, reason = "this is the seam all others go through")]

mod log;
mod read;
mod write;

use std::fs::{self, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::aligned::GroupBuffer;
use super::clock::SystemEntropy;
use super::helpers::Helpers;
use super::mapping::Mapping;
use super::{BoxFuture, DirEntry, Entropy, File, Files, PROBE_PREFIX};
use crate::error::DeviceError;
use crate::limits::PAGE_BYTES;
pub use log::PosixLog;
pub(super) use log::run_local;
use read::ReadBuffers;
use write::write_pieces;
pub(super) use write::{check_alignment, open_direct, write_fully};

/// Threads that read, and threads that write and sync, unless told otherwise.
pub const HELPER_THREADS: usize = 2;
/// Calls of either kind that may wait for a thread.
const QUEUE_MAX: usize = 256;
/// Writes of at least this many bytes start their way to the device at once.
const WRITEBACK_BYTES: u64 = 64 << 10;

/// Two sets of threads, so that no read waits behind a checkpoint's writes and syncs.
#[derive(Clone, Debug)]
struct Pools {
    reads: Helpers,
    writes: Helpers,
}

/// Files of the operating system.
#[derive(Debug)]
pub struct PosixFiles {
    helpers: Pools,
    buffers: ReadBuffers,
    synced: Arc<Mutex<SyncedDir>>,
}

/// The directory that `sync_all_files` was last asked for, kept open: the kernel reports write-back
/// errors to descriptors that were open when they happened.
#[derive(Debug, Default)]
struct SyncedDir(Option<(PathBuf, Arc<fs::File>)>);

impl SyncedDir {
    fn open(&mut self, dir: &Path) -> io::Result<Arc<fs::File>> {
        if let Some((_, opened)) = self.0.as_ref().filter(|(path, _)| path == dir) {
            return Ok(Arc::clone(opened));
        }
        let opened = Arc::new(fs::File::open(dir)?);
        self.0 = Some((PathBuf::from(dir), Arc::clone(&opened)));
        Ok(opened)
    }
}

impl PosixFiles {
    /// Starts `threads` threads, at least 1, for reads and as many for writes and syncs.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn new(threads: usize) -> Result<Self, DeviceError> {
        let (reads, _unjoined) = Helpers::start("file-read", threads, QUEUE_MAX)?;
        let (writes, _unjoined) = Helpers::start("file-write", threads, QUEUE_MAX)?;
        let (buffers, synced) = (ReadBuffers::default(), Arc::default());
        Ok(Self { helpers: Pools { reads, writes }, buffers, synced })
    }

    fn open_with(
        &self,
        operation: &'static str,
        path: &Path,
        options: OpenOptions,
    ) -> BoxFuture<Result<Arc<dyn File>, DeviceError>> {
        let (helpers, buffers) = (self.helpers.clone(), self.buffers.clone());
        let to_open = PathBuf::from(path);
        self.helpers.reads.run(operation, path, move || {
            let file = Arc::new(options.open(&to_open)?);
            Ok(Arc::new(PosixFile { path: to_open, file, helpers, buffers }) as Arc<dyn File>)
        })
    }

    fn on_path<T: Send + 'static>(
        &self,
        operation: &'static str,
        path: &Path,
        call: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<Result<T, DeviceError>> {
        let owned = PathBuf::from(path);
        self.helpers.writes.run(operation, path, move || call(&owned))
    }
}

impl Files for PosixFiles {
    fn create_dir_all(&self, path: &Path) -> BoxFuture<Result<(), DeviceError>> {
        self.on_path("create directory", path, |path| fs::create_dir_all(path))
    }

    fn list(&self, dir: &Path) -> BoxFuture<Result<Vec<DirEntry>, DeviceError>> {
        let owned = PathBuf::from(dir);
        self.helpers.reads.run("list", dir, move || list(&owned))
    }

    fn create(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        self.open_with("create", path, options)
    }

    fn create_private(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        self.open_with("create", path, options)
    }

    fn open(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        self.open_with("open", path, options)
    }

    fn open_read(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>> {
        let mut options = OpenOptions::new();
        options.read(true);
        self.open_with("open", path, options)
    }

    fn rename(&self, from: &Path, to: &Path) -> BoxFuture<Result<(), DeviceError>> {
        let to = PathBuf::from(to);
        self.on_path("rename", from, move |from| fs::rename(from, to))
    }

    fn remove(&self, path: &Path) -> BoxFuture<Result<(), DeviceError>> {
        self.on_path("remove", path, |path| fs::remove_file(path))
    }

    fn sync_dir(&self, dir: &Path) -> BoxFuture<Result<(), DeviceError>> {
        self.on_path("sync directory", dir, |dir| fs::File::open(dir)?.sync_all())
    }

    fn sync_all_files(&self, dir: &Path) -> BoxFuture<Result<(), DeviceError>> {
        let synced = Arc::clone(&self.synced);
        self.on_path("sync file system", dir, move |dir| {
            let directory = synced.lock().unwrap_or_else(PoisonError::into_inner).open(dir)?;
            Ok(rustix::fs::syncfs(&directory)?)
        })
    }

    fn free_bytes(&self, dir: &Path) -> BoxFuture<Result<u64, DeviceError>> {
        self.on_path("free space", dir, |dir| {
            let found = rustix::fs::statvfs(dir)?;
            Ok(found.f_bavail.saturating_mul(found.f_frsize))
        })
    }

    fn lock(&self, path: &Path) -> BoxFuture<Result<Option<Box<dyn Send + Sync>>, DeviceError>> {
        self.on_path("lock", path, |path| {
            let mut options = OpenOptions::new();
            let file = match options.write(true).create(true).truncate(false).open(path) {
                // A snapshot perhaps; or it is written by another way, by who has this locked.
                Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                    fs::File::open(path)?
                }
                opened => opened?,
            };
            match file.try_lock() {
                Ok(()) => Ok(Some(Box::new(file) as Box<dyn Send + Sync>)),
                Err(fs::TryLockError::WouldBlock) => Ok(None),
                Err(fs::TryLockError::Error(error)) => Err(error),
            }
        })
    }

    fn prefault(
        &self,
        path: &Path,
        mapping: &Mapping,
        range: Range<usize>,
    ) -> BoxFuture<Result<(), DeviceError>> {
        let mapping = mapping.clone();
        self.helpers.reads.run("read map", path, move || mapping.prefault(range))
    }
}

fn list(dir: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // Removed since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found?,
        };
        if metadata.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(DirEntry { name, bytes: metadata.len() });
        }
    }
    Ok(entries)
}

struct PosixFile {
    path: PathBuf,
    file: Arc<fs::File>,
    helpers: Pools,
    buffers: ReadBuffers,
}

impl PosixFile {
    fn reading<T: Send + 'static>(
        &self,
        operation: &'static str,
        call: impl FnOnce(&fs::File) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<Result<T, DeviceError>> {
        let file = Arc::clone(&self.file);
        self.helpers.reads.run(operation, &self.path, move || call(&file))
    }

    fn writing(
        &self,
        operation: &'static str,
        call: impl FnOnce(&fs::File) -> io::Result<()> + Send + 'static,
    ) -> BoxFuture<Result<(), DeviceError>> {
        let file = Arc::clone(&self.file);
        self.helpers.writes.run(operation, &self.path, move || call(&file))
    }
}

impl File for PosixFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn bytes(&self) -> BoxFuture<Result<u64, DeviceError>> {
        self.reading("measure", |file| Ok(file.metadata()?.len()))
    }

    fn read(&self, offset: u64, len: usize) -> BoxFuture<Result<Bytes, DeviceError>> {
        let buffers = self.buffers.clone();
        let read = self.reading("read", move |file| buffers.read(file, offset, len));
        Box::pin(async move { read.await.map_err(|error| error.at(offset)) })
    }

    fn write(&self, offset: u64, pieces: Vec<Bytes>) -> BoxFuture<Result<(), DeviceError>> {
        let write = self.writing("write", move |file| {
            let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
            write_pieces(&pieces, offset, |slices, at| Ok(rustix::io::pwritev(file, slices, at)?))?;
            start_writeback(file, offset, bytes);
            Ok(())
        });
        Box::pin(async move { write.await.map_err(|error| error.at(offset)) })
    }

    fn reserve(&self, bytes: u64) -> BoxFuture<Result<(), DeviceError>> {
        self.writing("reserve", move |file| reserve(file, bytes))
    }

    fn sync_data(&self) -> BoxFuture<Result<(), DeviceError>> {
        self.writing("sync", fs::File::sync_data)
    }

    fn map(&self) -> BoxFuture<Result<Mapping, DeviceError>> {
        self.reading("map", Mapping::of)
    }
}

/// Large pieces start on their way to the device at once, so that the sync of a checkpoint finds
/// little left to do and log writes do not queue behind it. Dirty pages are never dropped by this
/// advice (Linux, mm/fadvise.c); a refusal changes nothing but the timing.
fn start_writeback(file: &fs::File, offset: u64, bytes: u64) {
    if let Some(length) = NonZeroU64::new(bytes).filter(|length| length.get() >= WRITEBACK_BYTES) {
        let advice = rustix::fs::Advice::DontNeed;
        rustix::fs::fadvise(file, offset, Some(length), advice).ok();
    }
}

/// Median time of a few durable direct writes of 4 KiB to a file in `directory`, one after the
/// other, into blocks written before. Leaves no file. Blocks.
///
/// # Errors
///
/// What the system refused.
pub fn measure_flush(directory: &Path) -> Result<Duration, DeviceError> {
    const ROUNDS: u32 = 9;
    let path = directory.join(format!("{PROBE_PREFIX}{:016x}", SystemEntropy.next_u64()));
    let measure = || -> io::Result<Duration> {
        let page = GroupBuffer::zeroed(PAGE_BYTES).freeze();
        fs::write(&path, &page)?;
        let opened = open_direct(&path);
        fs::remove_file(&path)?;
        let file = opened?;
        let mut times = Vec::new();
        for _ in 0..=ROUNDS {
            let start = Instant::now();
            let slices = [io::IoSlice::new(&page)];
            rustix::io::pwritev2(&file, &slices, 0, rustix::io::ReadWriteFlags::DSYNC)?;
            times.push(start.elapsed());
        }
        times.remove(0); // The first one also makes the file itself durable.
        times.sort();
        Ok(times[times.len() / 2])
    };
    measure().map_err(|error| DeviceError::new("measure a flush in", directory, &error))
}

/// Some file systems have no fallocate: there the space is taken as it is written.
fn reserve(file: &fs::File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(bytes),
        outcome => Ok(outcome?),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_private_file_is_for_this_user_alone() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let files = PosixFiles::new(1).unwrap();
        let path = dir.path().join("key");
        runtime.block_on(files.create_private(&path)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_read_does_not_wait_behind_writes_that_hang() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let files = PosixFiles::new(1).unwrap();
        let (gate, closed) = std::sync::mpsc::channel::<()>();
        let hanging = files.on_path("hang", dir.path(), move |_| {
            let _opened = closed.recv();
            Ok(())
        });
        runtime.block_on(async {
            let hanging = tokio::spawn(hanging);
            tokio::task::yield_now().await;
            let listed = files.list(dir.path()).await.unwrap();
            assert!(listed.is_empty());
            assert!(!hanging.is_finished());
            drop(gate);
            hanging.await.unwrap().unwrap();
        });
    }
}
