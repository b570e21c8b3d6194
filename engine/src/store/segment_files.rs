//! Segment files open for writing: at most so many, least recently used first out; and which of
//! them hold bytes that no sync has covered.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::device::{Device, File};
use crate::error::DeviceError;
use crate::types::SegmentId;

/// From this many dirty files on, one sync of the whole file system is cheaper.
const SINGLE_SYNCS_MAX: usize = 16;

type OpenFile = (u64, Arc<dyn File>);

/// What one checkpoint has to sync.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    files: BTreeSet<(SegmentId, PathBuf)>,
    names: bool,
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
        self.dirty.borrow_mut().files.insert((segment, path.to_owned()));
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
        if dirty.files.len() > SINGLE_SYNCS_MAX {
            files.sync_all_files(&self.directory).await?;
        } else {
            for (segment, path) in &dirty.files {
                let held = self.open.borrow().get(segment).map(|(_, file)| Arc::clone(file));
                let file = match held {
                    Some(file) => file,
                    None => files.open(path).await?,
                };
                file.sync_data().await?;
            }
        }
        if dirty.names {
            files.sync_dir(&self.directory).await?;
        }
        Ok(())
    }
}
