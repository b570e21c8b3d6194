//! The log device without a ring: one writer thread does blocking synchronous writes, so that the
//! log thread can build the next group meanwhile.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags};
use tokio::task::LocalSet;

use super::{check_alignment, open_direct, write_fully};
use crate::device::helpers::Helpers;
use crate::device::{LocalBoxFuture, LogDevice, LogFile, LogMain, LogRuntime};
use crate::error::DeviceError;

/// Writes that may wait for the writer thread; the engine keeps one or two in flight.
const QUEUE_MAX: usize = 16;

/// Log threads on a plain tokio runtime, each with a writer thread beside it.
#[derive(Clone, Copy, Debug, Default)]
pub struct PosixLog;

impl LogRuntime for PosixLog {
    fn name(&self) -> &'static str {
        "posix"
    }

    fn block_on(&self, main: LogMain) -> Result<(), DeviceError> {
        let (helpers, threads) = Helpers::start("log-writer", 1, QUEUE_MAX)?;
        let device = Rc::new(PosixLogDevice { helpers: helpers.clone() });
        let result = run_local(main, device);
        // The directory's lock may be given up next: no write may land after that.
        helpers.finish(threads);
        result
    }
}

/// Runs a log thread's body on a plain tokio runtime of this thread.
pub(in crate::device) fn run_local(
    main: LogMain,
    device: Rc<dyn LogDevice>,
) -> Result<(), DeviceError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| DeviceError::new("start", "log runtime", &error))?;
    LocalSet::new().block_on(&runtime, async move { main(device).await });
    Ok(())
}

struct PosixLogDevice {
    helpers: Helpers,
}

impl LogDevice for PosixLogDevice {
    fn open(&self, path: PathBuf) -> LocalBoxFuture<Result<Rc<dyn LogFile>, DeviceError>> {
        let helpers = self.helpers.clone();
        let opened = {
            let path = path.clone();
            self.helpers.run("open", &path.clone(), move || open_direct(&path))
        };
        Box::pin(async move {
            let file = Arc::new(DurableFile { file: opened.await?, flag_refused: false.into() });
            Ok(Rc::new(PosixLogFile { path, file, helpers }) as Rc<dyn LogFile>)
        })
    }
}

struct PosixLogFile {
    path: PathBuf,
    file: Arc<DurableFile>,
    helpers: Helpers,
}

impl LogFile for PosixLogFile {
    fn write_durable(&self, offset: u64, bytes: Bytes) -> LocalBoxFuture<Result<(), DeviceError>> {
        let file = Arc::clone(&self.file);
        let write = self.helpers.run("write", &self.path, move || {
            check_alignment(offset, &bytes)?;
            file.write(offset, &bytes)
        });
        Box::pin(async move { write.await.map_err(|error| error.at(offset)) })
    }
}

/// A file whose writes are durable when they return.
struct DurableFile {
    file: File,
    /// The kernel does not know `RWF_DSYNC`: each write is followed by a sync instead.
    flag_refused: AtomicBool,
}

impl DurableFile {
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if !self.flag_refused.load(Ordering::Relaxed) {
            let written = write_fully(bytes, offset, |rest, at| {
                self.write_once(rest, at, ReadWriteFlags::DSYNC)
            });
            match written {
                Err(error) if is_unknown_flag(&error) => {
                    self.flag_refused.store(true, Ordering::Relaxed);
                }
                done => return done,
            }
        }
        write_fully(bytes, offset, |rest, at| self.write_once(rest, at, ReadWriteFlags::empty()))?;
        self.file.sync_data()
    }

    fn write_once(&self, bytes: &[u8], at: u64, flags: ReadWriteFlags) -> io::Result<usize> {
        Ok(rustix::io::pwritev2(&self.file, &[IoSlice::new(bytes)], at, flags)?)
    }
}

fn is_unknown_flag(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|code| code == Errno::OPNOTSUPP || code == Errno::NOSYS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::aligned::GroupBuffer;

    #[test]
    fn a_kernel_without_the_flag_gets_a_sync_after_each_write() {
        for flag_refused in [false, true] {
            let named = tempfile::NamedTempFile::new().unwrap();
            named.as_file().set_len(8192).unwrap();
            let file = open_direct(named.path()).unwrap();
            let file = DurableFile { file, flag_refused: flag_refused.into() };
            let mut group = GroupBuffer::zeroed(4096);
            group.as_mut_slice().fill(3);
            file.write(4096, group.as_slice()).unwrap();
            let mut found = Vec::new();
            io::Read::read_to_end(&mut named.as_file(), &mut found).unwrap();
            assert_eq!(found, [[0; 4096], [3; 4096]].concat());
        }
        let refused = [Errno::OPNOTSUPP, Errno::NOSYS].map(io::Error::from);
        assert!(refused.iter().all(is_unknown_flag));
        assert!(![Errno::IO, Errno::INVAL].map(io::Error::from).iter().any(is_unknown_flag));
    }
}
