//! Making log files: from nothing or from one that is no longer needed.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::{LogFileEntry, file_name};
use crate::bugs::{self, Bug};
use crate::device::{Device, File, again};
use crate::error::DeviceError;
use crate::format::page_header::{self, FileKind, PageHeader};
use crate::limits::PAGE_BYTES;
use crate::types::StoreId;

/// Zeros are written in pieces of this many bytes, so that other writes get their turn.
const ZERO_BYTES: usize = 1 << 20;

/// What it takes to make a log file.
#[derive(Clone)]
pub(super) struct Preparation {
    device: Device,
    directory: PathBuf,
    store: StoreId,
}

impl Preparation {
    pub(super) fn new(device: &Device, directory: PathBuf, store: StoreId) -> Self {
        Self { device: device.clone(), directory, store }
    }

    /// Makes the file `sequence` of `bytes` bytes; it is durable under its name when this ends.
    /// `recycled` has the same size and loses its name.
    pub(super) async fn prepare(
        &self,
        sequence: u64,
        bytes: u64,
        recycled: Option<LogFileEntry>,
    ) -> Result<Prepared, DeviceError> {
        let path = self.directory.join(file_name(sequence));
        let temporary = path.with_extension("log.tmp");
        match self.make(&temporary, &path, sequence, bytes, recycled).await {
            Ok(unwritten) => {
                Ok(Prepared { entry: LogFileEntry { sequence, path, bytes }, unwritten })
            }
            Err(error) => {
                self.remove(&temporary).await;
                Err(error)
            }
        }
    }

    async fn make(
        &self,
        temporary: &Path,
        path: &Path,
        sequence: u64,
        bytes: u64,
        recycled: Option<LogFileEntry>,
    ) -> Result<Option<Arc<dyn File>>, DeviceError> {
        let files = &self.device.files;
        let is_recycled = recycled.is_some();
        let file = if let Some(old) = recycled {
            // What it holds was written once, which makes it fast, and is invalid under the new
            // sequence, which is part of every checksum.
            files.rename(&old.path, temporary).await?;
            files.open(temporary).await?
        } else {
            let file = again::create_anew(&**files, temporary).await?;
            file.reserve(bytes).await?;
            file
        };
        file.write(0, vec![self.header(sequence, bytes)]).await?;
        if !bugs::is_on(Bug::LogHeaderNotSynced) {
            file.sync_data().await?;
        }
        files.rename(temporary, path).await?;
        if !bugs::is_on(Bug::LogNameNotSynced) {
            files.sync_dir(&self.directory).await?;
        }
        Ok((!is_recycled).then_some(file))
    }

    fn header(&self, sequence: u64, bytes: u64) -> Bytes {
        let mut fields = [0; 10];
        (fields[0], fields[1]) = (sequence, bytes);
        let header = PageHeader { kind: FileKind::Log, store: self.store, fields };
        Bytes::copy_from_slice(&page_header::encode(&header))
    }

    /// What a log that forgets to sync does.
    pub(super) async fn write_unsynced(
        &self,
        path: &Path,
        offset: u64,
        bytes: Bytes,
    ) -> Result<(), DeviceError> {
        self.device.files.open(path).await?.write(offset, vec![bytes]).await
    }

    /// Removes a file that nothing needs. A failure costs space only, until the next start.
    pub(super) async fn remove(&self, path: &Path) {
        if let Err(error) = self.device.files.remove(path).await
            && error.kind != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "an unneeded log file stays for now");
        }
    }
}

/// A log file that may be written.
pub(super) struct Prepared {
    pub(super) entry: LogFileEntry,
    /// The same file when its blocks are reserved only: writes to it are slower until they have
    /// been written once.
    unwritten: Option<Arc<dyn File>>,
}

impl Prepared {
    /// Writes zeros over blocks never written, until done or told to stop. The log may use the
    /// file as soon as this has returned, however far it came.
    ///
    /// # Errors
    ///
    /// When a write or a sync fails: then the file is not to be used. Another one of its sequence
    /// takes its place.
    pub(super) async fn fill(self, stop: &Cell<bool>) -> Result<LogFileEntry, DeviceError> {
        if let Some(file) = &self.unwritten {
            write_zeros(&**file, self.entry.bytes, stop).await?;
        }
        Ok(self.entry)
    }
}

async fn write_zeros(file: &dyn File, bytes: u64, stop: &Cell<bool>) -> Result<(), DeviceError> {
    let zeros = Bytes::from(vec![0; ZERO_BYTES]);
    let mut at = PAGE_BYTES as u64;
    while at < bytes && !stop.get() {
        let step = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(ZERO_BYTES);
        file.write(at, vec![zeros.slice(..step)]).await?;
        // Little waits in the page cache, where it would stand in the way of direct writes.
        file.sync_data().await?;
        at += step as u64;
    }
    Ok(())
}
