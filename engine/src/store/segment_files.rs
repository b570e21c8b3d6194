//! Segment files open for writing: at most so many, least recently used first out; and which of
//! them hold bytes that no sync has covered.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bugs::{self, Bug};
use crate::device::{Device, File};
use crate::error::DeviceError;
use crate::types::SegmentId;

/// From this many dirty files on, one sync of the whole file system is cheaper.
const SINGLE_SYNCS_MAX: usize = 16;

type OpenFile = (u64, Arc<dyn File>);

/// What one checkpoint has to sync.
#[derive(Default)]
pub(super) struct Dirty {
    /// The files, kept open, unless they are too many: a file that was closed and opened again may
    /// not tell any more that its bytes could not be written.
    files: BTreeMap<SegmentId, Arc<dyn File>>,
    /// There were too many: the file system is synced, which tells of all failures.
    too_many: bool,
    names: bool,
}

impl Dirty {
    fn add(&mut self, segment: SegmentId, file: &Arc<dyn File>) {
        if !self.too_many {
            self.files.entry(segment).or_insert_with(|| Arc::clone(file));
            self.too_many = self.files.len() > SINGLE_SYNCS_MAX;
        }
        if self.too_many {
            self.files.clear();
        }
    }
}

/// Open segment files of the log thread.
pub(super) struct SegmentFiles {
    device: Device,
    directory: PathBuf,
    open_max: usize,
    /// With the number of its last use.
    open: RefCell<BTreeMap<SegmentId, OpenFile>>,
    by_use: RefCell<BTreeMap<u64, SegmentId>>,
    uses: Cell<u64>,
    dirty: RefCell<Dirty>,
}

impl SegmentFiles {
    pub(super) fn new(device: &Device, directory: PathBuf, open_max: usize) -> Self {
        Self {
            device: device.clone(),
            directory,
            open_max: open_max.max(1),
            open: RefCell::default(),
            by_use: RefCell::default(),
            uses: Cell::new(0),
            dirty: RefCell::default(),
        }
    }

    /// Directory of the segments.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file of `segment`, open for a write that is about to be made.
    pub(super) async fn for_write(
        &self,
        segment: SegmentId,
        path: &Path,
        exists: bool,
    ) -> Result<Arc<dyn File>, DeviceError> {
        let held = self.open.borrow().get(&segment).map(|(_, file)| Arc::clone(file));
        let file = match held {
            Some(file) => file,
            None if exists => self.device.files.open(path).await?,
            None => {
                let file = self.device.files.create(path).await?;
                self.dirty.borrow_mut().names = true;
                file
            }
        };
        self.touch(segment, &file);
        self.dirty.borrow_mut().add(segment, &file);
        Ok(file)
    }

    fn touch(&self, segment: SegmentId, file: &Arc<dyn File>) {
        let now = self.uses.replace(self.uses.get() + 1);
        let (mut open, mut by_use) = (self.open.borrow_mut(), self.by_use.borrow_mut());
        if let Some((before, _)) = open.insert(segment, (now, Arc::clone(file))) {
            by_use.remove(&before);
        }
        by_use.insert(now, segment);
        while open.len() > self.open_max
            && let Some((_, oldest)) = by_use.pop_first()
        {
            open.remove(&oldest);
        }
    }

    /// A file was replaced under its name.
    pub(super) fn renamed(&self, segment: SegmentId) {
        self.forget(segment);
        self.dirty.borrow_mut().names = true;
    }

    /// Closes the file of a segment that gets no more writes.
    pub(super) fn forget(&self, segment: SegmentId) {
        if let Some((used, _)) = self.open.borrow_mut().remove(&segment) {
            self.by_use.borrow_mut().remove(&used);
        }
    }

    /// What was written and not synced so far; the caller syncs it.
    pub(super) fn take_dirty(&self) -> Dirty {
        std::mem::take(&mut self.dirty.borrow_mut())
    }

    /// Makes all of `dirty` durable.
    ///
    /// # Errors
    ///
    /// The first failure: what is durable is then unknown.
    pub(super) async fn sync(&self, dirty: Dirty) -> Result<(), DeviceError> {
        let files = &self.device.files;
        if bugs::is_on(Bug::SegmentsNotSynced) {
            return files.sync_dir(&self.directory).await;
        }
        if dirty.too_many {
            files.sync_all_files(&self.directory).await?;
        }
        for file in dirty.files.values() {
            let synced = file.sync_data().await;
            if bugs::is_on(Bug::SegmentSyncRetried) && synced.is_err() {
                file.sync_data().await?;
            } else {
                synced?;
            }
        }
        if dirty.names && !bugs::is_on(Bug::SegmentNamesNotSynced) {
            files.sync_dir(&self.directory).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::clock::ManualClock;
    use crate::device::simulated::{Operation, SimulatedDisk};
    use crate::types::Timestamp;

    /// Writes to `count` new files, with room for one open file, and syncs them.
    async fn write_and_sync(count: u64) -> SimulatedDisk {
        let disk = SimulatedDisk::new(1);
        let device = disk.device(Arc::new(ManualClock::new(Timestamp(0))));
        device.files.create_dir_all(Path::new("/s")).await.unwrap();
        let files = SegmentFiles::new(&device, "/s".into(), 1);
        for id in 1..=count {
            let path = format!("/s/{id}");
            files.for_write(SegmentId(id), Path::new(&path), false).await.unwrap();
        }
        files.forget(SegmentId(count));
        let dirty = files.take_dirty();
        files.sync(dirty).await.unwrap();
        files.sync(files.take_dirty()).await.unwrap();
        disk
    }

    #[tokio::test]
    async fn what_was_written_is_synced_by_the_handles_it_was_written_through() {
        let disk = write_and_sync(3).await;
        assert_eq!((disk.calls(Operation::SyncData), disk.calls(Operation::Open)), (3, 0));
        assert_eq!(disk.calls(Operation::SyncDirectory), 1);
    }

    #[tokio::test]
    async fn many_files_are_synced_at_once() {
        let disk = write_and_sync(SINGLE_SYNCS_MAX as u64 + 1).await;
        let single = disk.calls(Operation::SyncData);
        assert_eq!((single, disk.calls(Operation::SyncAllFiles)), (0, 1));
        assert_eq!(disk.calls(Operation::SyncDirectory), 1);
    }
}
