//! Reading the commit-log directory: which files there are, in which order, what each holds.
//!
//! Nothing is changed here. Each file is read once, whole; a second one is held in memory to tell
//! where it takes over, which decides what is torn and what is damaged in the first.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use super::floor::{self, End, Expect, Found};
use crate::commit_log::{self, LogFileEntry};
use crate::device::Files;
use crate::error::DeviceError;
use crate::format::group;
use crate::format::manifest::ReplayStart;
use crate::format::page_header::{self, FileKind};
use crate::limits::PAGE_BYTES;
use crate::types::StoreId;

/// Offset of the first group of every log file.
pub(crate) const FIRST_OFFSET: u64 = PAGE_BYTES as u64;

/// The log files of a data directory, in order of sequence.
///
/// # Errors
///
/// When the directory cannot be read.
pub(crate) async fn list(files: &dyn Files, data: &Path) -> Result<Vec<LogFileEntry>, DeviceError> {
    let directory = commit_log::directory(data);
    let listed = files.list(&directory).await?;
    let entry = |listed: crate::device::DirEntry| {
        let sequence = commit_log::parse_file_name(&listed.name)?;
        Some(LogFileEntry { sequence, path: directory.join(&listed.name), bytes: listed.bytes })
    };
    let mut entries: Vec<_> = listed.into_iter().filter_map(entry).collect();
    entries.sort_by_key(|entry| entry.sequence);
    Ok(entries)
}

/// What one file holds.
#[derive(Debug)]
pub(crate) struct ScannedFile {
    /// The file.
    pub(crate) entry: LogFileEntry,
    /// All its bytes; a flipped bit found by the scan is repaired.
    pub(crate) bytes: Bytes,
    /// Its groups in order.
    pub(crate) groups: Vec<Found>,
    /// Stretches of the file that held acknowledged groups and are damaged.
    pub(crate) damage: Vec<Range<u64>>,
    /// Offset of a torn group nobody was told of, if there is one.
    pub(crate) torn: Option<u64>,
    /// Flipped bits repaired.
    pub(crate) repaired_bits: u64,
}

/// A walk over the files of the log from a replay start on.
pub(crate) struct LogScan<'a> {
    files: &'a dyn Files,
    store: StoreId,
    unread: VecDeque<LogFileEntry>,
    read: VecDeque<ReadFile>,
    cursor: ReplayStart,
}

struct ReadFile {
    entry: LogFileEntry,
    bytes: Bytes,
    /// Log position of the first group, if any group is sound.
    start_position: Option<u64>,
    /// Length it was made with; more than `bytes` when somebody has cut it.
    made_bytes: u64,
}

impl<'a> LogScan<'a> {
    /// Starts at `start`; `entries` are in order of sequence.
    pub(crate) fn new(
        files: &'a dyn Files,
        store: StoreId,
        start: ReplayStart,
        entries: Vec<LogFileEntry>,
    ) -> Self {
        let unread = entries.into_iter().filter(|entry| entry.sequence >= start.sequence);
        Self { files, store, unread: unread.collect(), read: VecDeque::new(), cursor: start }
    }

    /// Where the log ends, as far as it has been scanned.
    pub(crate) const fn cursor(&self) -> ReplayStart {
        self.cursor
    }

    /// The next file that holds groups or damage; `None` after the last.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub(crate) async fn next(&mut self) -> Result<Option<ScannedFile>, DeviceError> {
        loop {
            // Read on until some later file says where it takes over.
            while self.read.len() < 2
                || self.read.iter().skip(1).all(|f| f.start_position.is_none())
            {
                let Some(entry) = self.unread.pop_front() else { break };
                let read = self.read_file(entry).await?;
                self.read.extend(read);
            }
            let Some(file) = self.read.pop_front() else { return Ok(None) };
            let scanned = self.scan(file);
            if !scanned.groups.is_empty() || !scanned.damage.is_empty() || scanned.torn.is_some() {
                return Ok(Some(scanned));
            }
        }
    }

    /// Reads a file; `None` for one that was being recycled and holds nothing needed.
    async fn read_file(&self, entry: LogFileEntry) -> Result<Option<ReadFile>, DeviceError> {
        let file = self.files.open_read(&entry.path).await?;
        let len = usize::try_from(entry.bytes).unwrap_or(usize::MAX);
        let bytes = file.read(0, len).await?;
        let header = page_header::decode(&bytes, FileKind::Log).ok().map(|(header, _)| header);
        if header.is_some_and(|header| header.fields[0] != entry.sequence) {
            return Ok(None);
        }
        let start_position = start_position(&bytes, self.store, entry.sequence);
        let made_bytes = header.map_or(0, |header| header.fields[1]);
        Ok(Some(ReadFile { entry, bytes, start_position, made_bytes }))
    }

    fn scan(&mut self, file: ReadFile) -> ScannedFile {
        let ReadFile { entry, bytes, made_bytes, .. } = file;
        let held_bytes = bytes.len() as u64;
        let next_start = self.read.iter().find_map(|later| later.start_position);
        let continues = entry.sequence == self.cursor.sequence;
        let offset = if continues { self.cursor.offset } else { FIRST_OFFSET };
        let mut found = ScannedFile {
            entry,
            bytes,
            groups: Vec::new(),
            damage: Vec::new(),
            torn: None,
            repaired_bits: 0,
        };
        self.scan_from(&mut found, offset, next_start);
        if held_bytes < made_bytes && next_start != Some(self.cursor.position) {
            found.damage.push(held_bytes..made_bytes);
        }
        found
    }

    fn scan_from(&mut self, found: &mut ScannedFile, from: u64, next_start: Option<u64>) {
        let mut expect = Expect {
            number: self.cursor.group_number,
            position: self.cursor.position,
            previous_crc: Some(self.cursor.previous_crc),
        };
        let (sequence, mut at) = (found.entry.sequence, from);
        let end = loop {
            let scan = floor::scan(&found.bytes, self.store, sequence, at, expect, next_start);
            expect = scan.next;
            found.groups.extend(scan.groups);
            found.repaired_bits += scan.repaired_bits;
            if let Some(bit) = scan.flipped {
                let mut repaired = found.bytes.to_vec();
                bit.repair(&mut repaired);
                found.bytes = repaired.into();
            }
            match scan.end {
                End::Clean { offset } => break offset,
                End::Torn { offset } => {
                    found.torn = Some(offset);
                    break offset;
                }
                End::Corrupt { offset, resume: Some(resume) } => {
                    // Each round starts further on, so this ends. Nothing is missing from the
                    // file when the group found stands where it was expected: then files are.
                    found.damage.push(offset..resume.max(offset + 1));
                    at = resume;
                }
                End::Corrupt { offset, resume: None } => {
                    found.damage.push(offset..found.bytes.len() as u64);
                    expect.position = next_start.unwrap_or(expect.position);
                    break offset;
                }
            }
        };
        let last = found.groups.last().map(|last| last.head.header);
        self.cursor = ReplayStart {
            sequence,
            offset: end,
            group_number: last.map_or(expect.number, |last| last.number + 1),
            position: expect.position,
            previous_crc: last.map_or(self.cursor.previous_crc, |last| last.crc),
        };
    }
}

/// Log position of the first group of a file: told by the first group that is sound, since groups
/// stand back to back.
fn start_position(file: &[u8], store: StoreId, sequence: u64) -> Option<u64> {
    let mut pages = (FIRST_OFFSET..file.len() as u64).step_by(PAGE_BYTES);
    pages.find_map(|offset| {
        let bytes = &file[usize::try_from(offset).ok()?..];
        group::claimed_position(bytes)?;
        let salt = group::salt(store, sequence, offset);
        let head = group::decode_sound_head(bytes, salt).ok()?;
        head.header.position.checked_sub(offset - FIRST_OFFSET)
    })
}
