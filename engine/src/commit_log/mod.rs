//! The commit log: one sequence of groups in preallocated, recycled files
//! (`log/0/commit-<sequence, 16 hex digits>.log`), each group one durable write.
//!
//! Sequences rise strictly. A file gets its name only when it is whole: page header and zeros (or
//! groups of an earlier use, which its new sequence makes invalid) to its end, synced. One spare
//! file is prepared ahead: a recycled one, or a new one whose blocks are reserved at once and
//! written with zeros for as long as nobody needs it, since a synced write to blocks written once
//! is faster (measured: docs/measurements.md). When a write fails its file is never written again: the group goes to
//! the next file, once; a second failure is final.

mod files;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::bugs::{self, Bug};
use crate::config::Config;
use crate::device::aligned::GroupBuffer;
use crate::device::{Device, LogDevice, LogFile};
use crate::error::DeviceError;
use crate::format::group::{self, Header, Prefix};
use crate::format::manifest::ReplayStart;
use crate::limits::PAGE_BYTES;
use crate::types::{Epoch, StoreId};
use files::Preparation;

/// Size of the first file after a start, so that a start writes little.
const FIRST_FILE_BYTES: u64 = 1 << 20;

/// Where the log of a store starts.
pub(crate) const BEGINNING: ReplayStart = ReplayStart {
    sequence: 0,
    offset: PAGE_BYTES as u64,
    group_number: 1,
    position: 0,
    previous_crc: 0,
};

/// Directory of the log below a data directory.
pub fn directory(data: &Path) -> PathBuf {
    data.join("log").join("0")
}

/// Name of the log file of this sequence.
pub fn file_name(sequence: u64) -> String {
    format!("commit-{sequence:016x}.log")
}

/// The reverse of `file_name`; `None` for any other name.
pub fn parse_file_name(name: &str) -> Option<u64> {
    let hex = name.strip_prefix("commit-")?.strip_suffix(".log")?;
    let sequence = u64::from_str_radix(hex, 16).ok()?;
    (file_name(sequence) == name).then_some(sequence)
}

/// A log file by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFileEntry {
    /// Its sequence.
    pub sequence: u64,
    /// Its path.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
}

/// The file being written.
struct Current {
    entry: LogFileEntry,
    file: Rc<dyn LogFile>,
    offset: Cell<u64>,
    /// A write failed: the file is never written again, nor recycled.
    is_poisoned: Cell<bool>,
}

impl Current {
    fn retire(&self) -> LogFileEntry {
        let bytes = if self.is_poisoned.get() { 0 } else { self.entry.bytes };
        LogFileEntry { bytes, ..self.entry.clone() }
    }
}

/// The file after the current one.
struct Spare {
    /// Ends the filling with zeros.
    stop: Rc<Cell<bool>>,
    task: JoinHandle<Result<LogFileEntry, DeviceError>>,
}

/// The write end of the log. Bound to the log thread; one group is written at a time.
pub(crate) struct CommitLog {
    log_device: Rc<dyn LogDevice>,
    preparation: Preparation,
    store: StoreId,
    epoch: Cell<Epoch>,
    file_bytes: u64,
    free_max: usize,
    current: RefCell<Option<Rc<Current>>>,
    spare: RefCell<Option<Spare>>,
    next_sequence: Cell<u64>,
    /// Files no group is added to any more; a manifest may still start its replay in them.
    retired: RefCell<Vec<LogFileEntry>>,
    /// Files nothing needs: to be recycled.
    free: RefCell<Vec<LogFileEntry>>,
    cursor: Cell<ReplayStart>,
}

impl CommitLog {
    /// A log over the files there are; `resume` makes it ready for writing.
    pub(crate) fn new(
        config: &Config,
        device: &Device,
        log_device: Rc<dyn LogDevice>,
        store: StoreId,
        old: Vec<LogFileEntry>,
    ) -> Self {
        let kept = 2 * config.checkpoint_log_bytes / config.log_file_bytes.max(1);
        Self {
            log_device,
            preparation: Preparation::new(device, directory(&config.directory), store),
            store,
            epoch: Cell::new(Epoch(0)),
            file_bytes: config.log_file_bytes.max(2 * PAGE_BYTES as u64),
            free_max: usize::try_from(kept).unwrap_or(usize::MAX).saturating_add(2),
            current: RefCell::default(),
            spare: RefCell::default(),
            next_sequence: Cell::new(0),
            retired: RefCell::new(old),
            free: RefCell::default(),
            cursor: Cell::new(BEGINNING),
        }
    }

    /// Continues at `cursor`, in a new file.
    pub(crate) fn resume(&self, cursor: ReplayStart, epoch: Epoch) {
        let newest = self.retired.borrow().iter().map(|entry| entry.sequence).max().unwrap_or(0);
        let next = newest.max(cursor.sequence) + 1;
        self.next_sequence.set(next - u64::from(bugs::is_on(Bug::LogFileReplaced)));
        self.cursor.set(cursor);
        self.epoch.set(epoch);
    }

    /// How often the store has been opened.
    pub(crate) const fn epoch(&self) -> Epoch {
        self.epoch.get()
    }

    /// Where a replay that starts after the last durable group would start.
    pub(crate) fn cursor(&self) -> ReplayStart {
        self.cursor.get()
    }

    /// Header of the next group of `bytes` bytes, `payload_bytes` of them without padding.
    pub(crate) fn next_header(&self, bytes: usize, payload_bytes: usize) -> Header {
        let cursor = self.cursor.get();
        let number = |n: usize| u32::try_from(n).expect("a group is smaller than GROUP_BYTES_MAX");
        Header {
            bytes: number(bytes),
            entries: 0,
            number: cursor.group_number,
            position: cursor.position,
            durable_position: cursor.position,
            previous_crc: cursor.previous_crc,
            epoch: self.epoch.get(),
            payload_bytes: number(payload_bytes),
            crc: 0,
        }
    }

    /// Makes sure that a group of `bytes` bytes fits the current file, going on to the next one
    /// if it does not.
    ///
    /// # Errors
    ///
    /// When no file could be prepared; nothing has changed then.
    pub(crate) async fn make_room(&self, bytes: usize) -> Result<(), DeviceError> {
        let fits =
            |current: &Rc<Current>| current.offset.get() + bytes as u64 <= current.entry.bytes;
        if self.current.borrow().as_ref().is_some_and(fits) {
            return Ok(());
        }
        self.rotate(bytes).await
    }

    /// Writes a group built with `next_header` and returns its bytes once they are durable.
    ///
    /// # Errors
    ///
    /// The second failure, after one write to one more file.
    pub(crate) async fn write(
        &self,
        header: &Header,
        prefixes: &[Prefix],
        buffer: GroupBuffer,
    ) -> Result<Bytes, DeviceError> {
        let (bytes, failed) = match self.write_once(header, prefixes, buffer).await {
            Ok(bytes) => return Ok(bytes),
            Err(failure) => failure,
        };
        tracing::error!(error = %failed, "log write failed; the group goes to the next file");
        self.rotate(bytes.len()).await?;
        let mut again = GroupBuffer::zeroed(bytes.len());
        again.as_mut_slice().copy_from_slice(&bytes);
        self.write_once(header, prefixes, again).await.map_err(|(_, error)| error)
    }

    async fn write_once(
        &self,
        header: &Header,
        prefixes: &[Prefix],
        mut buffer: GroupBuffer,
    ) -> Result<Bytes, (Bytes, DeviceError)> {
        let current = self.current.borrow().clone().expect("make_room ran before");
        let (sequence, offset) = (current.entry.sequence, current.offset.get());
        let salt = group::salt(self.store, sequence, offset);
        let sealed = group::seal(header, prefixes, salt, buffer.as_mut_slice());
        let bytes = buffer.freeze();
        let written = if bugs::is_on(Bug::LogNotSynced) {
            self.preparation.write_unsynced(&current.entry.path, offset, bytes.clone()).await
        } else {
            current.file.write_durable(offset, bytes.clone()).await
        };
        if let Err(error) = written
            && !bugs::is_on(Bug::LogWriteErrorIgnored)
            && !(bugs::is_on(Bug::FullDiskAcknowledged) && error.is_full())
        {
            current.is_poisoned.set(true);
            return Err((bytes, error));
        }
        current.offset.set(offset + bytes.len() as u64);
        self.advance(bytes.len(), sealed.crc, sequence, current.offset.get());
        Ok(bytes)
    }

    fn advance(&self, bytes: usize, crc: u32, sequence: u64, offset: u64) {
        let cursor = self.cursor.get();
        self.cursor.set(ReplayStart {
            sequence,
            offset,
            group_number: cursor.group_number + 1,
            position: cursor.position + bytes as u64,
            previous_crc: crc,
        });
    }

    /// Counts a group that is not written at all (durability `none`).
    pub(crate) fn skip(&self, bytes: usize) {
        let cursor = self.cursor.get();
        let position = cursor.position + bytes as u64;
        self.cursor.set(ReplayStart { position, ..cursor });
    }

    /// Goes on to a new file with room for a group of `bytes` bytes.
    async fn rotate(&self, bytes: usize) -> Result<(), DeviceError> {
        let needed = (bytes + PAGE_BYTES) as u64;
        let is_first = self.current.borrow().is_none();
        let usual = if is_first { self.file_bytes.min(FIRST_FILE_BYTES) } else { self.file_bytes };
        let entry = match self.take_spare().await {
            Some(entry) if entry.bytes >= needed => entry,
            too_small => {
                // It stays under its name: a number that is missing tells of a lost file.
                self.retired.borrow_mut().extend(too_small);
                let bytes = usual.max(needed.next_multiple_of(PAGE_BYTES as u64));
                let (sequence, recycled) = self.next_file(bytes);
                let prepared = self.preparation.prepare(sequence, bytes, recycled).await?;
                // Only the small first file is worth waiting for.
                let entry = prepared.fill(&Cell::new(bytes > FIRST_FILE_BYTES)).await?;
                self.next_sequence.set(sequence + 1);
                entry
            }
        };
        let opened = self.log_device.open(entry.path.clone()).await;
        let file = match opened {
            Ok(file) => file,
            Err(error) => {
                self.retired.borrow_mut().push(entry);
                return Err(error);
            }
        };
        let offset = Cell::new(PAGE_BYTES as u64);
        let next = Rc::new(Current { entry, file, offset, is_poisoned: Cell::new(false) });
        let before = self.current.borrow_mut().replace(next);
        self.retired.borrow_mut().extend(before.map(|current| current.retire()));
        *self.spare.borrow_mut() = Some(self.start_spare());
        Ok(())
    }

    fn start_spare(&self) -> Spare {
        let (sequence, recycled) = self.next_file(self.file_bytes);
        let (preparation, bytes) = (self.preparation.clone(), self.file_bytes);
        let stop = Rc::new(Cell::new(false));
        let told = Rc::clone(&stop);
        let task = tokio::task::spawn_local(async move {
            preparation.prepare(sequence, bytes, recycled).await?.fill(&told).await
        });
        Spare { stop, task }
    }

    async fn take_spare(&self) -> Option<LogFileEntry> {
        let spare = self.spare.borrow_mut().take()?;
        spare.stop.set(true);
        match spare.task.await.ok()? {
            Ok(entry) => {
                self.next_sequence.set(entry.sequence + 1);
                Some(entry)
            }
            Err(error) => {
                tracing::warn!(%error, "the next log file could not be prepared ahead");
                None
            }
        }
    }

    /// Sequence of the next file, taken once it is made (a log that has lost nothing has its first
    /// one), and a free file of this size if there is one.
    fn next_file(&self, bytes: u64) -> (u64, Option<LogFileEntry>) {
        let sequence = self.next_sequence.get();
        let mut free = self.free.borrow_mut();
        let recycled = free.iter().position(|entry| entry.bytes == bytes);
        (sequence, recycled.map(|i| free.swap_remove(i)))
    }

    /// No manifest starts its replay before the file `sequence` any more: older files are recycled
    /// and those beyond need are removed.
    pub(crate) async fn release_before(&self, sequence: u64) {
        let surplus = {
            let mut free = self.free.borrow_mut();
            free.extend(self.retired.borrow_mut().extract_if(.., |file| file.sequence < sequence));
            let (kept, mut surplus): (Vec<_>, Vec<_>) =
                free.drain(..).partition(|file| file.bytes == self.file_bytes);
            *free = kept;
            let keep = free.len().min(self.free_max);
            surplus.extend(free.drain(keep..));
            surplus
        };
        for entry in surplus {
            self.preparation.remove(&entry.path).await;
        }
    }

    /// Waits for work in the background to end.
    pub(crate) async fn finish(&self) {
        drop(self.take_spare().await);
    }
}
