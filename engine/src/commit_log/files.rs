//! Making log files: from nothing or from one that is no longer needed.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{LogFileEntry, file_name};
use crate::device::{Device, File};
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
        self,
        sequence: u64,
        bytes: u64,
        recycled: Option<LogFileEntry>,
    ) -> Result<LogFileEntry, DeviceError> {
        let path = self.directory.join(file_name(sequence));
        let temporary = path.with_extension("log.tmp");
        let result = self.make(&temporary, &path, sequence, bytes, recycled).await;
        if result.is_err() {
            self.remove(&temporary).await;
        }
        result.map(|()| LogFileEntry { sequence, path, bytes })
    }

    async fn make(
        &self,
        temporary: &Path,
        path: &Path,
        sequence: u64,
        bytes: u64,
        recycled: Option<LogFileEntry>,
    ) -> Result<(), DeviceError> {
        let files = &self.device.files;
        let header = self.header(sequence, bytes);
        let file = if let Some(old) = recycled {
            // What it holds was written once, which makes it fast, and is invalid under the new
            // sequence, which is part of every checksum.
            files.rename(&old.path, temporary).await?;
            let file = files.open(temporary).await?;
            file.write(0, vec![header]).await?;
            file
        } else {
            let file = files.create(temporary).await?;
            file.write(0, vec![header]).await?;
            write_zeros(&*file, PAGE_BYTES as u64, bytes).await?;
            file
        };
        file.sync_data().await?;
        files.rename(temporary, path).await?;
        files.sync_dir(&self.directory).await
    }

    fn header(&self, sequence: u64, bytes: u64) -> Bytes {
        let mut fields = [0; 10];
        (fields[0], fields[1]) = (sequence, bytes);
        let header = PageHeader { kind: FileKind::Log, store: self.store, fields };
        Bytes::copy_from_slice(&page_header::encode(&header))
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

async fn write_zeros(file: &dyn File, from: u64, to: u64) -> Result<(), DeviceError> {
    let zeros = Bytes::from(vec![0; ZERO_BYTES]);
    let mut at = from;
    while at < to {
        let step = usize::try_from(to - at).unwrap_or(usize::MAX).min(ZERO_BYTES);
        file.write(at, vec![zeros.slice(..step)]).await?;
        at += step as u64;
    }
    Ok(())
}
