//! `verify`: reads a whole data directory, changes nothing, and tells exactly what is damaged.

use std::path::{Path, PathBuf};

use crate::device::Device;
use crate::error::OpenError;

/// One thing found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// Offset in it.
    pub offset: u64,
    /// What is wrong and what it costs, in one sentence.
    pub message: String,
    /// True when nothing is lost: a copy, a rebuild or a one-bit repair serves.
    pub harmless: bool,
}

/// What `verify` read and found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Records checked.
    pub records: u64,
    /// Findings in order of file and offset.
    pub findings: Vec<Finding>,
}

/// Verifies the store in `directory`, which no process may have open.
///
/// # Errors
///
/// `Locked`, `Foreign`, `TooNew`, `Device`. Damage is a finding, not an error.
pub async fn verify(device: &Device, directory: &Path) -> Result<Report, OpenError> {
    let _ = (device, directory);
    todo!()
}
