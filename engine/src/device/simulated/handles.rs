//! The device traits over a simulated disk.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;

use super::content::Content;
use super::names::Entry;
use super::{Fault, Operation, SimulatedDisk, State, SyncEffect, lock};
use crate::device::mapping::Mapping;
use crate::device::posix::{check_alignment, run_local};
use crate::device::{
    BoxFuture, DirEntry, File, Files, LocalBoxFuture, LogDevice, LogEnded, LogFile, LogMain,
    LogRuntime, start_thread,
};
use crate::error::DeviceError;

#[derive(Debug)]
pub(super) struct SimulatedFiles(pub(super) SimulatedDisk);

impl SimulatedFiles {
    fn open_with(
        &self,
        path: &Path,
        writable: bool,
    ) -> BoxFuture<Result<Arc<dyn File>, DeviceError>> {
        let (disk, owned) = (self.0.clone(), path.to_path_buf());
        self.0.simple_call(Operation::Open, path, move |state| {
            let content = state.names.file(&owned)?;
            Ok(Arc::new(SimulatedFile { disk, path: owned, content, writable }) as Arc<dyn File>)
        })
    }
}

impl Files for SimulatedFiles {
    fn create_dir_all(&self, path: &Path) -> BoxFuture<Result<(), DeviceError>> {
        let owned = path.to_path_buf();
        self.0.simple_call(Operation::CreateDirectory, path, move |state| {
            let mut missing = Vec::new();
            for above in owned.ancestors() {
                match state.names.expect_directory(above) {
                    Ok(()) => break,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(above),
                    Err(error) => return Err(error),
                }
            }
            for above in missing.into_iter().rev() {
                let set = (above.to_path_buf(), Some(Entry::Directory));
                state.names.change(&mut state.stamp, vec![set]);
            }
            Ok(())
        })
    }

    fn list(&self, dir: &Path) -> BoxFuture<Result<Vec<DirEntry>, DeviceError>> {
        let owned = dir.to_path_buf();
        self.0.simple_call(Operation::List, dir, move |state| {
            state.names.expect_directory(&owned)?;
            let below = state.names.now().iter().filter(|(path, _)| path.parent() == Some(&owned));
            let files = below.filter_map(|(path, entry)| match entry {
                Entry::File(content) => {
                    let name = path.file_name()?.to_string_lossy().into_owned();
                    Some(DirEntry { name, bytes: lock(content).now().len() as u64 })
                }
                Entry::Directory => None,
            });
            Ok(files.collect())
        })
    }

    fn create(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>> {
        let (disk, owned) = (self.0.clone(), path.to_path_buf());
        self.0.simple_call(Operation::Create, path, move |state| {
            let content = new_file(state, &owned)?;
            let file = SimulatedFile { disk, path: owned, content, writable: true };
            Ok(Arc::new(file) as Arc<dyn File>)
        })
    }

    fn create_private(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>> {
        self.create(path) // There are no other users.
    }

    fn open(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>> {
        self.open_with(path, true)
    }

    fn open_read(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>> {
        self.open_with(path, false)
    }

    fn rename(&self, from: &Path, to: &Path) -> BoxFuture<Result<(), DeviceError>> {
        let (source, target) = (from.to_path_buf(), to.to_path_buf());
        self.0.simple_call(Operation::Rename, from, move |state| {
            let content = state.names.file(&source)?;
            state.names.expect_directory(target.parent().unwrap_or(Path::new("")))?;
            if source != target {
                let sets = vec![(source, None), (target, Some(Entry::File(content)))];
                state.names.change(&mut state.stamp, sets);
            }
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> BoxFuture<Result<(), DeviceError>> {
        let owned = path.to_path_buf();
        self.0.simple_call(Operation::Remove, path, move |state| {
            state.names.file(&owned)?;
            state.names.change(&mut state.stamp, vec![(owned, None)]);
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> BoxFuture<Result<(), DeviceError>> {
        let owned = dir.to_path_buf();
        self.0.sync_call(Operation::SyncDirectory, dir, move |state, effect| {
            state.names.expect_directory(&owned)?;
            if let SyncEffect::Keep { stamp } = effect {
                state.names.sync(&owned, stamp);
            }
            Ok(())
        })
    }

    fn sync_all_files(&self, dir: &Path) -> BoxFuture<Result<(), DeviceError>> {
        let owned = dir.to_path_buf();
        self.0.sync_call(Operation::SyncAllFiles, dir, move |state, effect| {
            state.names.expect_directory(&owned)?;
            for file in state.names.all_files() {
                effect.apply(&mut lock(&file));
            }
            Ok(())
        })
    }

    fn free_bytes(&self, dir: &Path) -> BoxFuture<Result<u64, DeviceError>> {
        self.0.simple_call(Operation::FreeBytes, dir, |state| Ok(state.free_bytes()))
    }

    fn lock(&self, path: &Path) -> BoxFuture<Result<Option<Box<dyn Send + Sync>>, DeviceError>> {
        let (disk, owned) = (self.0.clone(), path.to_path_buf());
        self.0.simple_call(Operation::Lock, path, move |state| {
            if !state.names.now().contains_key(&owned) {
                new_file(state, &owned)?;
            }
            let free = state.locked.insert(owned.clone());
            Ok(free.then(|| Box::new(Lock { disk, path: owned }) as Box<dyn Send + Sync>))
        })
    }

    fn prefault(
        &self,
        path: &Path,
        mapping: &Mapping,
        range: Range<usize>,
    ) -> BoxFuture<Result<(), DeviceError>> {
        let (mapping, owned) = (mapping.clone(), path.to_path_buf());
        self.0.simple_call(Operation::Prefault, path, move |state| {
            // A file that has been removed is in memory.
            if let Ok(content) = state.names.file(&owned) {
                expect_readable(&lock(&content), &range)?;
            }
            mapping.prefault(range)
        })
    }
}

/// # Errors
/// As a disk that has lost some of these bytes.
fn expect_readable(content: &Content, range: &Range<usize>) -> io::Result<()> {
    if content.is_readable(range) { Ok(()) } else { Err(Fault::Io.error()) }
}

fn new_file(state: &mut State, path: &Path) -> io::Result<Arc<Mutex<Content>>> {
    state.names.expect_directory(path.parent().unwrap_or(Path::new("")))?;
    if state.names.now().contains_key(path) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let content = Arc::new(Mutex::new(Content::default()));
    let set = (path.to_path_buf(), Some(Entry::File(Arc::clone(&content))));
    state.names.change(&mut state.stamp, vec![set]);
    Ok(content)
}

struct Lock {
    disk: SimulatedDisk,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.disk.lock().locked.remove(&self.path);
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    path: PathBuf,
    content: Arc<Mutex<Content>>,
    writable: bool,
}

impl SimulatedFile {
    fn on_content<T: Send + 'static>(
        &self,
        operation: Operation,
        action: impl FnOnce(&Content) -> T + Send + 'static,
    ) -> BoxFuture<Result<T, DeviceError>> {
        let content = Arc::clone(&self.content);
        self.disk.simple_call(operation, &self.path, move |_| Ok(action(&lock(&content))))
    }
}

impl SimulatedFile {
    /// A call that hands out bytes, in which a fault may flip a bit.
    fn bytes_call(
        &self,
        operation: Operation,
        action: impl FnOnce(&Content) -> io::Result<Vec<u8>> + Send + 'static,
    ) -> BoxFuture<Result<Bytes, DeviceError>> {
        let content = Arc::clone(&self.content);
        let begin = |_: &mut State, fault: Option<Fault>| {
            let error = fault.filter(|fault| fault.is_error());
            error.map_or(Ok(fault == Some(Fault::FlippedRead)), |error| Err(error.error()))
        };
        self.disk.call(operation, &self.path, begin, move |state, is_flipped| {
            let mut bytes = action(&lock(&content))?;
            if is_flipped && !bytes.is_empty() {
                let at = state.random.usize(..bytes.len());
                bytes[at] ^= 1 << state.random.u8(..8);
            }
            Ok(Bytes::from(bytes))
        })
    }
}

impl File for SimulatedFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn bytes(&self) -> BoxFuture<Result<u64, DeviceError>> {
        self.on_content(Operation::Measure, |content| content.now().len() as u64)
    }

    fn read(&self, offset: u64, len: usize) -> BoxFuture<Result<Bytes, DeviceError>> {
        let read = self.bytes_call(Operation::Read, move |content| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.now().len());
            let end = start.saturating_add(len).min(content.now().len());
            expect_readable(content, &(start..end))?;
            Ok(content.now()[start..end].to_vec())
        });
        Box::pin(async move { read.await.map_err(|error| error.at(offset)) })
    }

    fn write(&self, offset: u64, pieces: Vec<Bytes>) -> BoxFuture<Result<(), DeviceError>> {
        let (content, writable) = (Arc::clone(&self.content), self.writable);
        let begin = |_: &mut State, fault: Option<Fault>| Ok(fault);
        let write = self.disk.call(Operation::Write, &self.path, begin, move |state, fault| {
            if !writable {
                return Err(rustix::io::Errno::BADF.into());
            }
            state.write(&content, offset, &pieces.concat(), fault).map(drop)
        });
        Box::pin(async move { write.await.map_err(|error| error.at(offset)) })
    }

    fn sync_data(&self) -> BoxFuture<Result<(), DeviceError>> {
        let content = Arc::clone(&self.content);
        self.disk.sync_call(Operation::SyncData, &self.path, move |_, effect| {
            effect.apply(&mut lock(&content));
            Ok(())
        })
    }

    fn map(&self) -> BoxFuture<Result<Mapping, DeviceError>> {
        let map = self.bytes_call(Operation::Map, |content| Ok(content.now().to_vec()));
        Box::pin(async move { map.await.map(Mapping::from) })
    }
}

pub(super) struct SimulatedLog {
    pub(super) disk: SimulatedDisk,
    /// Log threads are tasks of whoever starts them.
    pub(super) as_tasks: bool,
}

impl LogRuntime for SimulatedLog {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn block_on(&self, main: LogMain) -> Result<(), DeviceError> {
        run_local(main, Rc::new(SimulatedLogDevice(self.disk.clone())))
    }

    fn start(
        self: Arc<Self>,
        main: LogMain,
        ended: LogEnded,
    ) -> io::Result<Option<JoinHandle<()>>> {
        if !self.as_tasks {
            return start_thread(self, main, ended).map(Some);
        }
        let device = Rc::new(SimulatedLogDevice(self.disk.clone()));
        tokio::task::spawn_local(async move {
            main(device).await;
            ended(Ok(()));
        });
        Ok(None)
    }
}

struct SimulatedLogDevice(SimulatedDisk);

impl LogDevice for SimulatedLogDevice {
    fn open(&self, path: PathBuf) -> LocalBoxFuture<Result<Rc<dyn LogFile>, DeviceError>> {
        let (disk, owned) = (self.0.clone(), path.clone());
        let find = move |state: &mut State| state.names.file(&owned);
        let found = disk.simple_call(Operation::Open, &path, find);
        Box::pin(async move {
            let content = found.await?;
            Ok(Rc::new(SimulatedLogFile { disk, path, content }) as Rc<dyn LogFile>)
        })
    }
}

struct SimulatedLogFile {
    disk: SimulatedDisk,
    path: PathBuf,
    content: Arc<Mutex<Content>>,
}

impl LogFile for SimulatedLogFile {
    /// The bytes are on their way at once and durable at the end: a power cut between finds any
    /// part of them.
    fn write_durable(&self, offset: u64, bytes: Bytes) -> LocalBoxFuture<Result<(), DeviceError>> {
        let (content, written) = (Arc::clone(&self.content), Arc::clone(&self.content));
        let begin = move |state: &mut State, fault: Option<Fault>| {
            check_alignment(offset, &bytes)?;
            let start = state.write(&content, offset, &bytes, fault)?;
            Ok((start..start.saturating_add(bytes.len()), state.stamp))
        };
        let finish = move |_: &mut State, (range, stamp): (Range<usize>, u64)| {
            lock(&written).sync_range(range, stamp);
            Ok(())
        };
        let write = self.disk.call(Operation::LogWrite, &self.path, begin, finish);
        Box::pin(async move { write.await.map_err(|error| error.at(offset)) })
    }
}
