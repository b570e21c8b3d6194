//! `verify`: reads a whole data directory, changes nothing, and tells exactly what is damaged.
//!
//! Every stored byte passes a check: page headers (both copies and the zeros around them), the
//! catalogue's mirrors, both manifests, the log from the older manifest's replay start on, and
//! all segments down to the record. Then the parts are held against each other: ordinals must run
//! without gaps through the segments of a shard and on through the log to where it was closed, but
//! for what a repair has recorded as lost; arrivals must not fall, nor leave the time of the shard;
//! open shards must cover the hash keys exactly once, and children fit their parents.

mod coverage;
mod lineage;
mod log;
mod metadata;
mod segments;

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::device::{Device, DirEntry};
use crate::error::OpenError;

/// The lock of a data directory.
const LOCK: &str = "LOCK";

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
    let names = device.files.list(directory).await?;
    if !metadata::is_store(&names) {
        let file = names.into_iter().next().map(|entry| entry.name).unwrap_or_default();
        return Err(OpenError::Foreign { path: directory.to_owned(), file });
    }
    let lock = device.files.lock(&directory.join(LOCK)).await?;
    let _lock = lock.ok_or_else(|| OpenError::Locked { path: directory.to_owned() })?;
    let mut verifier = Verifier { device, directory, report: Report::default() };
    if let Some(known) = metadata::check(&mut verifier, &names).await? {
        let mut copies = log::check(&mut verifier, &known).await?;
        let spans = segments::check(&mut verifier, &known, &mut copies).await?;
        log::tell_lost(&mut verifier, &known, &copies);
        coverage::check(&mut verifier, &known, &spans, &copies);
    }
    let mut report = verifier.report;
    report.findings.sort_by(|a, b| (&a.file, a.offset).cmp(&(&b.file, b.offset)));
    Ok(report)
}

/// What the parts of the check share.
struct Verifier<'a> {
    device: &'a Device,
    directory: &'a Path,
    report: Report,
}

impl Verifier<'_> {
    /// Something wrong that costs nothing.
    fn harmless(&mut self, file: &Path, offset: u64, message: impl Into<String>) {
        self.find(file, offset, message.into(), true);
    }

    /// Something lost, or in doubt.
    fn damage(&mut self, file: &Path, offset: u64, message: impl Into<String>) {
        self.find(file, offset, message.into(), false);
    }

    fn find(&mut self, file: &Path, offset: u64, message: String, harmless: bool) {
        let file = file.to_owned();
        self.report.findings.push(Finding { file, offset, message, harmless });
    }

    /// The plain files of a directory below the data directory, by name; none when it is missing.
    async fn list(&self, directory: &Path) -> Result<Vec<DirEntry>, OpenError> {
        match self.device.files.list(directory).await {
            Ok(mut entries) => {
                entries.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(entries)
            }
            Err(error) if error.kind == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// A whole file; a finding when it cannot be read.
    async fn read(&mut self, path: &Path) -> Option<Bytes> {
        self.read_up_to(path, u64::MAX).await
    }

    /// The first `limit` bytes of a file; a finding when they cannot be read.
    async fn read_up_to(&mut self, path: &Path, limit: u64) -> Option<Bytes> {
        let read = async {
            let file = self.device.files.open_read(path).await?;
            let len = file.bytes().await?.min(limit);
            file.read(0, usize::try_from(len).unwrap_or(usize::MAX)).await
        };
        match read.await {
            Ok(bytes) => {
                self.report.files += 1;
                self.report.bytes += bytes.len() as u64;
                Some(bytes)
            }
            Err(error) => {
                self.damage(path, error.offset.unwrap_or(0), format!("cannot be read: {error}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
