//! Files in memory that count operations, fail from a chosen one on, and can be looked at as a
//! power cut would leave them. Exhaustive where the simulated device is random.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::device::clock::{ManualClock, SystemEntropy};
use crate::device::mapping::Mapping;
use crate::device::{BoxFuture, Device, DirEntry, File, Files, LogMain, LogRuntime};
use crate::error::DeviceError;
use crate::types::Timestamp;

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
}

type Inode = Arc<Mutex<Content>>;

/// What the operation of this number, and those after it, meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Everything fails from here on; a write leaves the first half of its bytes.
    Crash,
    /// This operation only fails, with nothing done.
    Once(ErrorKind),
    /// This operation only fails; a write leaves the first half of its bytes.
    OnceHalf(ErrorKind),
}

#[derive(Default)]
struct Disk {
    names: BTreeMap<PathBuf, Inode>,
    durable_names: BTreeMap<PathBuf, Inode>,
    operations: u64,
    fault: Option<(u64, Fault)>,
    free_bytes: u64,
}

impl Disk {
    /// Counts one operation; `Err(keep)` when it fails, `keep` when half of a write stays.
    fn step(&mut self) -> Result<(), (ErrorKind, bool)> {
        self.operations += 1;
        match self.fault {
            Some((at, Fault::Crash)) if self.operations >= at => {
                Err((ErrorKind::Other, self.operations == at))
            }
            Some((at, Fault::Once(kind))) if self.operations == at => Err((kind, false)),
            Some((at, Fault::OnceHalf(kind))) if self.operations == at => Err((kind, true)),
            _ => Ok(()),
        }
    }
}

/// The disk. Clones share it.
#[derive(Clone)]
pub(crate) struct Memory {
    disk: Arc<Mutex<Disk>>,
    pub(crate) clock: Arc<ManualClock>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        let disk = Disk { free_bytes: u64::MAX, ..Disk::default() };
        let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000)));
        Self { disk: Arc::new(Mutex::new(disk)), clock }
    }

    pub(crate) fn device(&self) -> Device {
        Device {
            files: Arc::new(self.clone()),
            log: Arc::new(NoLog),
            clock: self.clock.clone(),
            entropy: Arc::new(SystemEntropy),
        }
    }

    pub(crate) fn operations(&self) -> u64 {
        self.disk.lock().unwrap().operations
    }

    /// Sets a fault `after` operations from now, the next one being 1.
    pub(crate) fn fail(&self, after: u64, fault: Fault) {
        let mut disk = self.disk.lock().unwrap();
        disk.fault = Some((disk.operations + after, fault));
    }

    pub(crate) fn set_free_bytes(&self, free: u64) {
        self.disk.lock().unwrap().free_bytes = free;
    }

    /// A disk with what is here now (a killed process) or only what was synced (a power cut).
    pub(crate) fn after_crash(&self, power_cut: bool) -> Self {
        let disk = self.disk.lock().unwrap();
        let names = if power_cut { &disk.durable_names } else { &disk.names };
        let copy = Self::new();
        for (path, inode) in names {
            let content = inode.lock().unwrap();
            copy.put(path, if power_cut { &content.durable } else { &content.now }.clone());
        }
        copy
    }

    pub(crate) fn put(&self, path: &Path, bytes: Vec<u8>) {
        let inode: Inode = Arc::new(Mutex::new(Content { now: bytes.clone(), durable: bytes }));
        let mut disk = self.disk.lock().unwrap();
        disk.names.insert(path.to_owned(), inode.clone());
        disk.durable_names.insert(path.to_owned(), inode);
    }

    pub(crate) fn get(&self, path: &Path) -> Option<Vec<u8>> {
        self.disk.lock().unwrap().names.get(path).map(|inode| inode.lock().unwrap().now.clone())
    }

    pub(crate) fn delete(&self, path: &Path) {
        let mut disk = self.disk.lock().unwrap();
        disk.names.remove(path);
        disk.durable_names.remove(path);
    }

    fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        path: &Path,
        body: impl FnOnce(&mut Disk) -> Result<T, ErrorKind>,
    ) -> BoxFuture<Result<T, DeviceError>> {
        let mut disk = self.disk.lock().unwrap();
        let result = disk.step().map_err(|(kind, _)| kind).and_then(|()| body(&mut disk));
        let result = result.map_err(|kind| DeviceError::new(what, path, &Error::from(kind)));
        Box::pin(std::future::ready(result))
    }

    fn handle(&self, path: &Path, inode: &Inode) -> Arc<dyn File> {
        Arc::new(Handle { path: path.to_owned(), inode: inode.clone(), memory: self.clone() })
    }
}

impl Files for Memory {
    fn create_dir_all(&self, path: &Path) -> BoxFuture<Result<(), DeviceError>> {
        self.run("create", path, |_| Ok(()))
    }

    fn list(&self, dir: &Path) -> BoxFuture<Result<Vec<DirEntry>, DeviceError>> {
        self.run("list", dir, |disk| {
            let inside = disk.names.iter().filter(|(path, _)| path.parent() == Some(dir));
            Ok(inside
                .map(|(path, inode)| DirEntry {
                    name: path.file_name().unwrap().to_str().unwrap().to_owned(),
                    bytes: inode.lock().unwrap().now.len() as u64,
                })
                .collect())
        })
    }

    fn create(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>> {
        self.run("create", path, |disk| {
            if disk.names.contains_key(path) {
                return Err(ErrorKind::AlreadyExists);
            }
            let inode = Inode::default();
            disk.names.insert(path.to_owned(), inode.clone());
            Ok(self.handle(path, &inode))
        })
    }

    fn create_private(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>> {
        self.create(path)
    }

    fn open(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>> {
        self.run("open", path, |disk| {
            disk.names.get(path).map(|inode| self.handle(path, inode)).ok_or(ErrorKind::NotFound)
        })
    }

    fn open_read(&self, path: &Path) -> BoxFuture<Result<Arc<dyn File>, DeviceError>> {
        self.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> BoxFuture<Result<(), DeviceError>> {
        self.run("rename", from, |disk| {
            let inode = disk.names.remove(from).ok_or(ErrorKind::NotFound)?;
            disk.names.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> BoxFuture<Result<(), DeviceError>> {
        self.run("remove", path, |disk| {
            disk.names.remove(path).map(|_| ()).ok_or(ErrorKind::NotFound)
        })
    }

    fn sync_dir(&self, dir: &Path) -> BoxFuture<Result<(), DeviceError>> {
        self.run("sync", dir, |disk| {
            disk.durable_names = disk.names.clone();
            Ok(())
        })
    }

    fn sync_all_files(&self, dir: &Path) -> BoxFuture<Result<(), DeviceError>> {
        self.run("sync", dir, |_| Err(ErrorKind::Unsupported))
    }

    fn free_bytes(&self, dir: &Path) -> BoxFuture<Result<u64, DeviceError>> {
        self.run("stat", dir, |disk| Ok(disk.free_bytes))
    }

    fn prefault(
        &self,
        _path: &Path,
        _mapping: &Mapping,
        _range: std::ops::Range<usize>,
    ) -> BoxFuture<Result<(), DeviceError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn lock(&self, path: &Path) -> BoxFuture<Result<Option<Box<dyn Send + Sync>>, DeviceError>> {
        self.run("lock", path, |_| Ok(Some(Box::new(()) as Box<dyn Send + Sync>)))
    }
}

struct Handle {
    path: PathBuf,
    inode: Inode,
    memory: Memory,
}

impl File for Handle {
    fn path(&self) -> &Path {
        &self.path
    }

    fn bytes(&self) -> BoxFuture<Result<u64, DeviceError>> {
        self.memory.run("stat", &self.path, |_| Ok(self.inode.lock().unwrap().now.len() as u64))
    }

    fn read(&self, offset: u64, len: usize) -> BoxFuture<Result<Bytes, DeviceError>> {
        self.memory.run("read", &self.path, |_| {
            let content = self.inode.lock().unwrap();
            let start = content.now.len().min(usize::try_from(offset).unwrap());
            let end = content.now.len().min(start.saturating_add(len));
            Ok(Bytes::copy_from_slice(&content.now[start..end]))
        })
    }

    fn write(&self, offset: u64, pieces: Vec<Bytes>) -> BoxFuture<Result<(), DeviceError>> {
        let mut bytes = pieces.concat();
        let result = self.memory.disk.lock().unwrap().step();
        if let Err((_, half)) = result {
            bytes.truncate(if half { bytes.len() / 2 } else { 0 });
        }
        if !bytes.is_empty() {
            let mut content = self.inode.lock().unwrap();
            let start = usize::try_from(offset).unwrap();
            let end = start + bytes.len();
            if content.now.len() < end {
                content.now.resize(end, 0);
            }
            content.now[start..end].copy_from_slice(&bytes);
        }
        let result =
            result.map_err(|(kind, _)| DeviceError::new("write", &self.path, &Error::from(kind)));
        Box::pin(std::future::ready(result))
    }

    fn sync_data(&self) -> BoxFuture<Result<(), DeviceError>> {
        self.memory.run("sync", &self.path, |_| {
            let mut content = self.inode.lock().unwrap();
            content.durable = content.now.clone();
            Ok(())
        })
    }

    fn map(&self) -> BoxFuture<Result<Mapping, DeviceError>> {
        self.memory.run("map", &self.path, |_| Err(ErrorKind::Unsupported))
    }
}

struct NoLog;

impl LogRuntime for NoLog {
    fn name(&self) -> &'static str {
        "none"
    }

    fn block_on(&self, _main: LogMain) -> Result<(), DeviceError> {
        Err(DeviceError::new("start", "", &Error::from(ErrorKind::Unsupported)))
    }
}
