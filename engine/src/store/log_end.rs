//! The end of the log as a start has found it, made the end for good: what is there does not go any
//! more, and what is not does not come back.

use std::path::PathBuf;

use bytes::Bytes;

use crate::bugs::{self, Bug};
use crate::device::{Files, again};
use crate::error::DeviceError;
use crate::limits::PAGE_BYTES;
use crate::recovery::log_scan::{Cut, ScannedFile};

/// The last group of the log.
pub(super) struct LastGroup {
    path: PathBuf,
    offset: u64,
    bytes: usize,
}

impl LastGroup {
    /// The last one of this file, if it has any.
    pub(super) fn of(file: &ScannedFile) -> Option<Self> {
        let last = file.groups.last()?;
        let (path, bytes) = (file.entry.path.clone(), last.head.header.bytes as usize);
        Some(Self { path, offset: last.offset, bytes })
    }
}

/// Makes the last group of the log durable before anybody reads it, and what is cut off invalid.
///
/// All groups but the last are durable, since a later one was written. The last may stand in the
/// system's or the device's cache only, left there by a process that was killed, or by a start that
/// could not sync it: then a sync that succeeds now says nothing. What is written again is there for
/// certain. Of what is cut off, one file may hold a whole copy that the next file's torn one hides:
/// it would show when the power takes that one away.
///
/// # Errors
///
/// When the device fails.
pub(super) async fn settle(
    files: &dyn Files,
    last: Option<LastGroup>,
    cut: impl Iterator<Item = &Cut>,
) -> Result<(), DeviceError> {
    if let Some(last) = last.filter(|_| !bugs::is_on(Bug::ReplayNotSynced)) {
        let file = files.open(&last.path).await?;
        if !bugs::is_on(Bug::ReplayNotWritten) {
            let group = again::read_alike(&*file, last.offset, last.bytes).await?;
            file.write(last.offset, vec![group]).await?;
        }
        file.sync_data().await?;
    }
    for cut in cut.filter(|_| !bugs::is_on(Bug::CutComesBack)) {
        let file = files.open(&cut.path).await?;
        file.write(cut.offset, vec![Bytes::from_static(&[0; PAGE_BYTES])]).await?;
        file.sync_data().await?;
    }
    Ok(())
}
