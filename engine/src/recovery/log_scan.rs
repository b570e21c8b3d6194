//! Reading the commit-log directory: which files there are, in which order, what each holds.
//!
//! Nothing is changed here. Each file is read once, whole; a second one is held in memory to tell
//! where it takes over, which decides what is torn and what is damaged in the first.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::floor::{self, End, Expect, Found};
use crate::commit_log::{self, LogFileEntry};
use crate::device::Files;
use crate::error::DeviceError;
use crate::format::group;
use crate::format::manifest::ReplayStart;
use crate::format::page_header::{self, FileKind, PageHeader};
use crate::limits::{GROUP_BYTES_MAX, PAGE_BYTES};
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
    /// All its bytes, and zeros where it was cut; a flipped bit found by the scan is repaired.
    pub(crate) bytes: Bytes,
    /// Its groups in order.
    pub(crate) groups: Vec<Found>,
    /// What is missing of the acknowledged groups, in order.
    pub(crate) damage: Vec<Stretch>,
    /// Offset of a torn group nobody was told of, if there is one.
    pub(crate) torn: Option<u64>,
    /// Flipped bits repaired.
    pub(crate) repaired_bits: u64,
}

/// A stretch of the log that held acknowledged groups and is damaged or missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Where it is in the file; empty where whole files are missing.
    pub(crate) range: Range<u64>,
    /// Bytes of the log that are lost with it, as far as that can be told: at least, those in
    /// `range`.
    pub(crate) log_bytes: u64,
    /// Log position after it; the highest there is where that cannot be told.
    pub(crate) until: u64,
}

/// Where a group stands that is no part of the log: it was never complete, or it was to be written
/// again to the next file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The file.
    pub(crate) path: PathBuf,
    /// Where the group starts.
    pub(crate) offset: u64,
    /// Its log position.
    position: u64,
}

/// A walk over the files of the log from a replay start on.
pub(crate) struct LogScan<'a> {
    files: &'a dyn Files,
    store: StoreId,
    unread: VecDeque<LogFileEntry>,
    read: VecDeque<ReadFile>,
    cursor: ReplayStart,
    cut: Vec<Cut>,
    /// What comes next does not follow the last group: between them, groups are missing.
    is_broken: bool,
}

/// What the first sound group of a file says of the file's beginning.
#[derive(Clone, Copy)]
struct Beginning {
    /// Log position of the first group.
    position: u64,
    /// Number of the first group, when it is the sound one.
    number: Option<u64>,
}

struct ReadFile {
    entry: LogFileEntry,
    bytes: Bytes,
    /// Where its groups begin, if any is sound.
    beginning: Option<Beginning>,
    held_bytes: u64,
    /// Length it was made with; more than it holds when somebody has cut it.
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
        Self {
            files,
            store,
            unread: unread.collect(),
            read: VecDeque::new(),
            cursor: start,
            cut: Vec::new(),
            is_broken: false,
        }
    }

    /// Where the log ends, as far as it has been scanned.
    pub(crate) const fn cursor(&self) -> ReplayStart {
        self.cursor
    }

    /// What stands where the log ends, as far as it has been scanned. Later groups hide what is cut
    /// off further ahead.
    pub(crate) fn cut(&self) -> impl Iterator<Item = &Cut> {
        self.cut.iter().filter(|cut| cut.position == self.cursor.position)
    }

    /// The next file that holds groups or damage; `None` after the last.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub(crate) async fn next(&mut self) -> Result<Option<ScannedFile>, DeviceError> {
        loop {
            // Read on until some later file says where it takes over.
            while self.read.len() < 2 || self.read.iter().skip(1).all(|f| f.beginning.is_none()) {
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

    /// Reads a file; `None` for one whose header names another sequence and that has no group of this
    /// one: it was being recycled, or is another file under this name. With a group it is this file,
    /// whose header was lost: groups name the sequence in their sums.
    async fn read_file(&self, entry: LogFileEntry) -> Result<Option<ReadFile>, DeviceError> {
        let file = self.files.open_read(&entry.path).await?;
        let len = usize::try_from(entry.bytes).unwrap_or(usize::MAX);
        let bytes = file.read(0, len).await?;
        let header = page_header::decode(&bytes, FileKind::Log).ok().map(|(header, _)| header);
        let is_ours = |header: &PageHeader| header.fields[0] == entry.sequence;
        let made_bytes = header.filter(is_ours).map_or(0, |header| header.fields[1]);
        let held_bytes = bytes.len() as u64;
        let bytes = lengthened(bytes, made_bytes);
        let beginning = beginning(&bytes, self.store, entry.sequence);
        if beginning.is_none() && header.is_some_and(|header| !is_ours(&header)) {
            return Ok(None);
        }
        Ok(Some(ReadFile { entry, bytes, beginning, held_bytes, made_bytes }))
    }

    fn scan(&mut self, file: ReadFile) -> ScannedFile {
        let ReadFile { entry, bytes, held_bytes, made_bytes, .. } = file;
        let next = self.read.iter().find_map(|later| later.beginning);
        let next_start = next.map(|next| next.position);
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
        self.scan_from(&mut found, offset, next);
        self.note_cut(&found);
        let is_continued = next_start == Some(self.cursor.position);
        if held_bytes < made_bytes && !is_continued {
            let range = held_bytes..made_bytes;
            let log_bytes = made_bytes - held_bytes;
            found.damage.push(Stretch { range, log_bytes, until: u64::MAX });
        }
        if next.is_none()
            && let Some(log_bytes) = self.missing_after(found.entry.sequence, held_bytes)
        {
            let range = held_bytes..held_bytes;
            found.damage.push(Stretch { range, log_bytes, until: u64::MAX });
        }
        found
    }

    fn note_cut(&mut self, found: &ScannedFile) {
        let ReplayStart { offset, position, .. } = self.cursor;
        let start = usize::try_from(offset).ok().and_then(|start| found.bytes.get(start..));
        if start.and_then(group::claimed_position) == Some(position) {
            self.cut.push(Cut { path: found.entry.path.clone(), offset, position });
        }
    }

    /// Bytes that may have been in files that are missing between the file `sequence` and the next
    /// one there is. Files are made in turn, the next one while the one before is in use: what is
    /// missing had been in use.
    fn missing_after(&self, sequence: u64, file_bytes: u64) -> Option<u64> {
        let read = self.read.front().map(|file| &file.entry);
        let next = read.or(self.unread.front())?;
        let missing = next.sequence.checked_sub(sequence + 1).filter(|missing| *missing > 0)?;
        Some(missing.saturating_mul(next.bytes.max(file_bytes)))
    }

    fn scan_from(&mut self, found: &mut ScannedFile, from: u64, next: Option<Beginning>) {
        let next_start = next.map(|next| next.position);
        let mut expect = Expect {
            number: self.cursor.group_number,
            position: self.cursor.position,
            previous_crc: (!self.is_broken).then_some(self.cursor.previous_crc),
        };
        let (sequence, mut at) = (found.entry.sequence, from);
        self.is_broken = false;
        let end = loop {
            let due = expect.position;
            let scan = floor::scan(&found.bytes, self.store, sequence, at, expect, next_start);
            let due = scan.groups.last().map_or(due, end_position);
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
                    let log_bytes = expect.position.saturating_sub(due);
                    let until = expect.position;
                    found.damage.push(Stretch { range: offset..resume, log_bytes, until });
                    at = resume;
                }
                End::Corrupt { offset, resume: None } => {
                    let until = next_start.unwrap_or(u64::MAX);
                    let log_bytes = until.saturating_sub(due);
                    let range = offset..found.bytes.len() as u64;
                    found.damage.push(Stretch { range, log_bytes, until });
                    expect.position = next_start.unwrap_or(expect.position);
                    self.is_broken = true;
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
        if let Some(number) = next.and_then(|next| next.number).filter(|_| self.is_broken) {
            self.cursor.group_number = number;
        }
    }
}

/// The bytes of a file, with zeros in place of what was cut off: a group that has lost its end
/// still has its batches before.
fn lengthened(bytes: Bytes, made_bytes: u64) -> Bytes {
    let most = bytes.len().saturating_add(GROUP_BYTES_MAX);
    let made = usize::try_from(made_bytes).unwrap_or(most).min(most);
    if made <= bytes.len() {
        return bytes;
    }
    let mut whole = bytes.to_vec();
    whole.resize(made, 0);
    whole.into()
}

/// True when the log is whole from `start` on though the file that it names is missing: nothing
/// that is needed stood there, since the next file goes on at the same position.
///
/// # Errors
///
/// When a file cannot be read.
pub(crate) async fn goes_on_at(
    files: &dyn Files,
    store: StoreId,
    start: &ReplayStart,
    entries: &[LogFileEntry],
) -> Result<bool, DeviceError> {
    for entry in entries.iter().filter(|entry| entry.sequence > start.sequence) {
        let len = usize::try_from(entry.bytes).unwrap_or(usize::MAX);
        let bytes = files.open_read(&entry.path).await?.read(0, len).await?;
        if let Some(found) = beginning(&bytes, store, entry.sequence) {
            return Ok(found.position == start.position);
        }
    }
    Ok(false)
}

/// The log position after a group.
fn end_position(found: &Found) -> u64 {
    found.head.header.position.saturating_add(u64::from(found.head.header.bytes))
}

/// Where the groups of a file begin: told by the first one that is sound, since groups stand back
/// to back. The very first one is enough, a flipped bit or not: it may be the only one.
fn beginning(file: &[u8], store: StoreId, sequence: u64) -> Option<Beginning> {
    let mut pages = (FIRST_OFFSET..file.len() as u64).step_by(PAGE_BYTES);
    pages.find_map(|offset| {
        let bytes = &file[usize::try_from(offset).ok()?..];
        let salt = group::salt(store, sequence, offset);
        let is_first = offset == FIRST_OFFSET;
        let head = if is_first {
            group::decode_head(bytes, salt).ok()?
        } else {
            group::claimed_position(bytes)?;
            group::decode_sound_head(bytes, salt).ok()?
        };
        let position = head.header.position.checked_sub(offset - FIRST_OFFSET)?;
        Some(Beginning { position, number: is_first.then_some(head.header.number) })
    })
}
