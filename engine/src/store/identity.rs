//! Whose directory this is: the lock, and the file `store`, which names a data directory.
//!
//! `store` gets its name last, when the directory is complete. Until then its contents stand in
//! `store.tmp`, so that a start that was cut short is told from a directory that lost its name.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::device::{Device, PROBE_PREFIX};
use crate::error::{DeviceError, FormatError, OpenError};
use crate::format::page_header::{self, FileKind, PageHeader};
use crate::limits::PAGE_BYTES;
use crate::types::StoreId;

const LOCK: &str = "LOCK";
const NAME: &str = "store";
const UNFINISHED: &str = "store.tmp";

/// Keeps other processes out while it lives.
pub(super) type Lock = Box<dyn Send + Sync>;

/// A directory that is ours.
pub(super) struct Identity {
    pub(super) store: StoreId,
    /// The directory is being made: `finish` gives it its name.
    pub(super) is_fresh: bool,
}

/// Takes the lock and reads the identity, or starts to make one in an empty directory.
///
/// # Errors
///
/// Any `OpenError`.
pub(super) async fn claim(device: &Device, data: &Path) -> Result<(Lock, Identity), OpenError> {
    create_directory(device, data).await?;
    refuse_foreign(device, data).await?;
    let lock = device.files.lock(&data.join(LOCK)).await?;
    let lock = lock.ok_or_else(|| OpenError::Locked { path: data.to_owned() })?;
    let names = list(device, data).await?;
    let identity = if names.iter().any(|name| name == NAME) {
        Identity { store: read(device, data).await?, is_fresh: false }
    } else {
        Identity { store: begin(device, data, names).await?, is_fresh: true }
    };
    Ok((lock, identity))
}

/// Creates a directory and whatever is missing above it, all durable.
pub(super) async fn create_directory(device: &Device, path: &Path) -> Result<(), DeviceError> {
    let mut missing = Vec::new();
    for ancestor in path.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
        if device.files.list(ancestor).await.is_ok() {
            break;
        }
        missing.push(ancestor);
    }
    if missing.is_empty() {
        return Ok(());
    }
    device.files.create_dir_all(path).await?;
    for created in missing {
        let parent = created.parent().filter(|parent| !parent.as_os_str().is_empty());
        device.files.sync_dir(parent.unwrap_or(Path::new("."))).await?;
    }
    Ok(())
}

async fn list(device: &Device, data: &Path) -> Result<Vec<String>, DeviceError> {
    let listed = device.files.list(data).await?;
    Ok(listed.into_iter().map(|entry| entry.name).collect())
}

async fn refuse_foreign(device: &Device, data: &Path) -> Result<(), OpenError> {
    let names = list(device, data).await?;
    if names.iter().any(|name| name == NAME) {
        return Ok(());
    }
    let is_unfinished = names.iter().any(|name| name == UNFINISHED);
    let is_ours = |name: &str| {
        name == LOCK || name.starts_with(PROBE_PREFIX) || is_unfinished && is_of_a_start(name)
    };
    match names.into_iter().find(|name| !is_ours(name)) {
        Some(file) => Err(OpenError::Foreign { path: data.to_owned(), file }),
        None => Ok(()),
    }
}

/// True for what a start that was cut short leaves behind.
fn is_of_a_start(name: &str) -> bool {
    name == UNFINISHED || name.starts_with("catalog.")
}

async fn read(device: &Device, data: &Path) -> Result<StoreId, OpenError> {
    let path = data.join(NAME);
    let page = device.files.open_read(&path).await?.read(0, PAGE_BYTES).await?;
    match page_header::decode(&page, FileKind::Store) {
        Ok((header, _)) => Ok(header.store),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// What a file that cannot be decoded means for the start.
pub(super) fn unreadable(file: PathBuf, error: &FormatError) -> OpenError {
    match *error {
        FormatError::Version { found, newest, .. } => OpenError::TooNew { file, found, newest },
        FormatError::Short { .. }
        | FormatError::Magic { .. }
        | FormatError::Checksum { .. }
        | FormatError::Field { .. } => OpenError::Damaged { file, reason: error.to_string() },
    }
}

/// Makes the directory's own name durable, which an earlier start may have made and been killed. The
/// directories above are not ours: one that cannot be synced is none that we made.
async fn sync_above(device: &Device, data: &Path) {
    for above in data.ancestors().skip(1) {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        if let Err(error) = device.files.sync_dir(above).await {
            tracing::debug!(%error, "a directory above the data directory was not synced");
        }
    }
}

/// Starts over with whatever an earlier start has left, which never took a record.
async fn begin(device: &Device, data: &Path, names: Vec<String>) -> Result<StoreId, OpenError> {
    for name in names.iter().filter(|name| is_of_a_start(name)) {
        device.files.remove(&data.join(name)).await?;
    }
    sync_above(device, data).await;
    let store = StoreId(device.entropy.next_u128());
    let mut fields = [0; 10];
    fields[0] = device.clock.now().0;
    let page = page_header::encode(&PageHeader { kind: FileKind::Store, store, fields });
    let file = device.files.create(&data.join(UNFINISHED)).await?;
    file.write(0, vec![Bytes::copy_from_slice(&page)]).await?;
    file.sync_data().await?;
    device.files.sync_dir(data).await?;
    Ok(store)
}

/// Gives a fresh directory its name; the caller syncs it. All else in it is durable.
///
/// # Errors
///
/// When the device fails.
pub(super) async fn finish(device: &Device, data: &Path) -> Result<(), DeviceError> {
    device.files.rename(&data.join(UNFINISHED), &data.join(NAME)).await
}
