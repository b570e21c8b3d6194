//! The only way to the outside: files, the log device, time and randomness.
//!
//! Three implementations stand behind these traits: `posix` (helper threads), `uring` (the log
//! device on a ring), `simulated` (memory, with faults and power cuts by seed). Nothing else in the
//! workspace touches `std::fs`, the clock or entropy. One suite of tests runs on all.
//!
//! What the engine may assume of any of them: a completed `write` is seen by later reads of this
//! process; only what `sync_data`, `sync_all_files`, `sync_dir` or a durable log write has
//! completed for survives a power cut; of the rest any subset of 512-byte sectors may.

pub(crate) mod again;
pub mod aligned;
pub mod clock;
mod helpers;
pub mod mapping;
pub mod posix;
pub mod simulated;
#[cfg(test)]
mod suite;
pub mod uring;

use std::future::Future;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;

use crate::error::DeviceError;
pub use clock::{Clock, Entropy};

/// What names of files begin with that are made to try something out and removed at once; a process
/// that is killed in between leaves one behind.
pub(crate) const PROBE_PREFIX: &str = ".kinelog-probe-";

/// A boxed future that may move between threads.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;
/// A boxed future bound to its thread.
pub type LocalBoxFuture<T> = Pin<Box<dyn Future<Output = T> + 'static>>;

/// Everything the engine reaches the outside through.
#[derive(Clone)]
pub struct Device {
    /// Files other than the log's write path.
    pub files: Arc<dyn Files>,
    /// The log's write path.
    pub log: Arc<dyn LogRuntime>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Which implementation drives the log's writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogChoice {
    /// A ring where it works, else plain system calls.
    #[default]
    Auto,
    /// A ring, or an error.
    Uring,
    /// Plain system calls.
    Posix,
}

impl Device {
    /// The operating system's device for a store in `directory`, which need not exist yet. The
    /// text, where there is one, says in one line why `Auto` did not take a ring. Blocks.
    ///
    /// # Errors
    /// A ring is asked for and does not work; a thread cannot be started.
    pub fn system(
        directory: &Path,
        choice: LogChoice,
    ) -> Result<(Self, Option<String>), DeviceError> {
        let (log, reason): (Arc<dyn LogRuntime>, _) = match choice {
            LogChoice::Posix => (Arc::new(posix::PosixLog), None),
            LogChoice::Uring => (Arc::new(uring::UringLog::probe(directory)?), None),
            LogChoice::Auto => match uring::UringLog::probe(directory) {
                Ok(log) => (Arc::new(log), None),
                Err(error) => {
                    let reason = format!("io_uring does not work here ({error}); using posix");
                    (Arc::new(posix::PosixLog), Some(reason))
                }
            },
        };
        let files = Arc::new(posix::PosixFiles::new(posix::HELPER_THREADS)?);
        let (clock, entropy) = (Arc::new(clock::SystemClock), Arc::new(clock::SystemEntropy));
        Ok((Self { files, log, clock, entropy }, reason))
    }
}

/// One directory entry that is a plain file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// File name without directory.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// Files by path. Every call runs off the calling thread; none blocks it.
///
/// A call begins when its future is first polled. If the future is dropped after that, the call
/// may still take effect.
pub trait Files: Send + Sync {
    /// Creates a directory and its parents; fine when it exists.
    fn create_dir_all(&self, path: &Path) -> BoxFuture<Result<(), DeviceError>>;
    /// Plain files of a directory, in no order. A directory that is missing is an error.
    fn list(&self, dir: &Path) -> BoxFuture<Result<Vec<DirEntry>, DeviceError>>;
    /// Creates a new file for reading and writing; fails when it exists.
    fn create(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>>;
    /// Creates a new file as `create` does, for this user alone to read and write.
    fn create_private(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>>;
    /// Opens an existing file for reading.
    fn open_read(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>>;
    /// Renames a file, replacing the target. Durable after `sync_dir`.
    fn rename(&self, from: &Path, to: &Path) -> BoxFuture<Result<(), DeviceError>>;
    /// Removes a file. Durable after `sync_dir`.
    fn remove(&self, path: &Path) -> BoxFuture<Result<(), DeviceError>>;
    /// Makes names created, renamed or removed in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> BoxFuture<Result<(), DeviceError>>;
    /// Makes every file of the file system that holds `dir` durable (syncfs).
    fn sync_all_files(&self, dir: &Path) -> BoxFuture<Result<(), DeviceError>>;
    /// Bytes free to this user on the file system that holds `dir`.
    fn free_bytes(&self, dir: &Path) -> BoxFuture<Result<u64, DeviceError>>;
    /// Takes the exclusive lock file at `path`, creating it; `None` when another process has it.
    /// The lock ends when the guard is dropped or the process dies.
    fn lock(&self, path: &Path) -> BoxFuture<Result<Option<Box<dyn Send + Sync>>, DeviceError>>;
    /// Brings a range of the map of the file at `path` into memory; see
    /// [`mapping::Mapping::prefault`].
    fn prefault(
        &self,
        path: &Path,
        mapping: &mapping::Mapping,
        range: Range<usize>,
    ) -> BoxFuture<Result<(), DeviceError>>;
}

/// One open file. Positioned access only.
pub trait File: Send + Sync {
    /// Path it was opened by.
    fn path(&self) -> &Path;
    /// Current length in bytes.
    fn bytes(&self) -> BoxFuture<Result<u64, DeviceError>>;
    /// Reads exactly `len` bytes, fewer only where the file ends.
    fn read(&self, offset: u64, len: usize) -> BoxFuture<Result<Bytes, DeviceError>>;
    /// Writes all pieces one after the other from `offset`, growing the file as needed.
    fn write(&self, offset: u64, pieces: Vec<Bytes>) -> BoxFuture<Result<(), DeviceError>>;
    /// Makes a new file `bytes` long, its space set aside where the file system can; it reads as
    /// zeros.
    fn reserve(&self, bytes: u64) -> BoxFuture<Result<(), DeviceError>> {
        match bytes.checked_sub(1) {
            Some(last) => self.write(last, vec![Bytes::from_static(&[0])]),
            None => Box::pin(std::future::ready(Ok(()))),
        }
    }
    /// fdatasync.
    fn sync_data(&self) -> BoxFuture<Result<(), DeviceError>>;
    /// Maps the file read-only as it is now. Only for files that no longer change.
    fn map(&self) -> BoxFuture<Result<mapping::Mapping, DeviceError>>;
}

/// Starts log threads on the right kind of runtime.
pub trait LogRuntime: Send + Sync + 'static {
    /// `io_uring`, `posix` or `simulated`; for logs, health and metrics.
    fn name(&self) -> &'static str;
    /// Runs `main` to its end on this thread, inside a tokio `LocalSet` with time enabled. When it
    /// returns no write is in flight any more. Not to be called inside a runtime.
    ///
    /// # Errors
    /// The runtime, its ring or its writer thread cannot be started; `main` did not run.
    fn block_on(&self, main: LogMain) -> Result<(), DeviceError>;

    /// Starts `main` and does not wait for it: on a thread of its own, which is the answer, or, where
    /// one thread simulates all, as a task of the caller's `LocalSet`. `ended` learns what `block_on`
    /// would have answered, once no write is in flight any more; a panic drops it.
    ///
    /// # Errors
    /// The thread cannot be started.
    fn start(
        self: Arc<Self>,
        main: LogMain,
        ended: LogEnded,
    ) -> std::io::Result<Option<JoinHandle<()>>> {
        start_thread(self, main, ended).map(Some)
    }
}

fn start_thread<R: LogRuntime + ?Sized>(
    runtime: Arc<R>,
    main: LogMain,
    ended: LogEnded,
) -> std::io::Result<JoinHandle<()>> {
    let body = move || ended(runtime.block_on(main));
    std::thread::Builder::new().name("kinelog-log".to_owned()).spawn(body)
}

/// The body of a log thread.
pub type LogMain = Box<dyn FnOnce(Rc<dyn LogDevice>) -> LocalBoxFuture<()> + Send>;

/// Called when the body of a log thread has ended.
pub type LogEnded = Box<dyn FnOnce(Result<(), DeviceError>) + Send>;

/// The log's durable writes; bound to its log thread.
pub trait LogDevice {
    /// Opens an existing, fully written file of the log for direct writes.
    fn open(&self, path: PathBuf) -> LocalBoxFuture<Result<Rc<dyn LogFile>, DeviceError>>;
}

/// A file of the log, open for durable writes.
pub trait LogFile {
    /// Writes `bytes` (start, length and offset multiples of 4096) and completes once they are on
    /// the device: one write that carries `RWF_DSYNC`. Short writes are continued. After an error
    /// the range's contents are unknown.
    fn write_durable(&self, offset: u64, bytes: Bytes) -> LocalBoxFuture<Result<(), DeviceError>>;
}
