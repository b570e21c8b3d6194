//! The bytes of one simulated file: as the process sees them, and as the device holds them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::cut::Cut;

/// What a device writes whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;
/// Most versions of one unsynced sector that are remembered; of more, the oldest is forgotten.
const VERSIONS_MAX: usize = 4;

/// A sector's bytes after one write, zero past the end of the file.
#[derive(Clone, Debug)]
struct Version {
    stamp: u64,
    bytes: [u8; SECTOR_BYTES],
}

/// One file's bytes. Stamps order all changes of a disk; see [`super::State`].
#[derive(Debug, Default)]
pub(super) struct Content {
    /// What reads return.
    now: Vec<u8>,
    /// What no power cut takes away.
    durable: Vec<u8>,
    /// Sectors written and not yet synced, each with its versions, oldest first.
    unsynced: BTreeMap<usize, Vec<Version>>,
    /// Lengths reached and not yet synced, oldest first.
    unsynced_lengths: Vec<(u64, usize)>,
    /// What the device cannot give any more.
    unreadable: Vec<Range<usize>>,
}

impl Content {
    /// A file at rest: everything is durable.
    pub(super) fn at_rest(bytes: Vec<u8>) -> Self {
        Self { durable: bytes.clone(), now: bytes, ..Self::default() }
    }

    /// What reads return.
    pub(super) fn now(&self) -> &[u8] {
        &self.now
    }

    /// From now on no read of any byte of `range` succeeds.
    pub(super) fn make_unreadable(&mut self, range: Range<usize>) {
        self.unreadable.push(range);
    }

    /// True when the device can give every byte of `range`.
    pub(super) fn is_readable(&self, range: &Range<usize>) -> bool {
        self.unreadable.iter().all(|bad| bad.end <= range.start || range.end <= bad.start)
    }

    /// Stamp of the first change that a power cut may take away.
    pub(super) fn oldest_unsynced(&self) -> Option<u64> {
        let in_sectors = self.unsynced.values().flatten().map(|version| version.stamp);
        in_sectors.chain(self.unsynced_lengths.iter().map(|(stamp, _)| *stamp)).min()
    }

    /// Writes `bytes` at `offset`, unsynced. Each sector takes the next stamp.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8], stamp: &mut u64) {
        let end = offset + bytes.len();
        if bytes.is_empty() {
            return;
        }
        // After a sync that lost pages the device may be behind what is seen, and a write inside
        // the file still make it longer there.
        let lengths = self.unsynced_lengths.iter().map(|(_, length)| *length);
        if end > lengths.fold(self.durable.len(), usize::max) {
            self.now.resize(end.max(self.now.len()), 0);
            *stamp += 1;
            self.unsynced_lengths.push((*stamp, end));
        }
        self.now[offset..end].copy_from_slice(bytes);
        for sector in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            *stamp += 1;
            let mut version = Version { stamp: *stamp, bytes: [0; SECTOR_BYTES] };
            let held = &self.now[extent(sector, self.now.len())];
            version.bytes[..held.len()].copy_from_slice(held);
            let versions = self.unsynced.entry(sector).or_default();
            if versions.len() == VERSIONS_MAX {
                versions.remove(0);
            }
            versions.push(version);
        }
    }

    /// Makes durable what was written up to `stamp`.
    pub(super) fn sync(&mut self, stamp: u64) {
        self.settle(0..self.now.len(), stamp, true);
    }

    /// Makes `range` durable as written up to `stamp`, and a length that covers it.
    pub(super) fn sync_range(&mut self, range: Range<usize>, stamp: u64) {
        if self.durable.len() < range.end {
            self.durable.resize(range.end.min(self.now.len()), 0);
        }
        self.settle(range, stamp, false);
    }

    fn settle(&mut self, range: Range<usize>, stamp: u64, lengths: bool) {
        if lengths {
            let reached = self.unsynced_lengths.iter().rfind(|(at, _)| *at <= stamp);
            if let Some((_, length)) = reached.filter(|(_, length)| *length > self.durable.len()) {
                self.durable.resize(*length, 0);
            }
            self.unsynced_lengths.retain(|(at, _)| *at > stamp);
        }
        let sectors = range.start / SECTOR_BYTES..range.end.div_ceil(SECTOR_BYTES);
        for (sector, versions) in self.unsynced.range_mut(sectors) {
            if let Some(version) = versions.iter().rfind(|version| version.stamp <= stamp) {
                put(&mut self.durable, *sector, &version.bytes);
            }
            versions.retain(|version| version.stamp > stamp);
        }
        self.unsynced.retain(|_, versions| !versions.is_empty());
    }

    /// A sync that failed: unsynced bytes stay visible but will never reach the device.
    pub(super) fn lose_unsynced(&mut self) {
        self.unsynced.clear();
        self.unsynced_lengths.clear();
    }

    /// Changes the bytes at rest and in sight alike.
    pub(super) fn alter(&mut self, change: &mut dyn FnMut(&mut [u8])) {
        change(&mut self.now);
        change(&mut self.durable);
    }

    /// The bytes as found after a power cut.
    pub(super) fn after(&self, cut: &mut Cut) -> Vec<u8> {
        let mut found = self.durable.clone();
        let lengths: Vec<u64> = self.unsynced_lengths.iter().map(|(stamp, _)| *stamp).collect();
        if let Some(index) = cut.survivor(&lengths) {
            let length = self.unsynced_lengths[index].1;
            found.resize(length.max(found.len()), 0);
        }
        for (sector, versions) in &self.unsynced {
            let stamps: Vec<u64> = versions.iter().map(|version| version.stamp).collect();
            if let Some(index) = cut.survivor(&stamps) {
                put(&mut found, *sector, &versions[index].bytes);
            }
        }
        found
    }
}

/// Where a sector lies in a file of `length` bytes; empty past its end.
fn extent(sector: usize, length: usize) -> Range<usize> {
    let start = (sector * SECTOR_BYTES).min(length);
    start..(start + SECTOR_BYTES).min(length)
}

/// Stores a sector as far as the file reaches.
fn put(bytes: &mut [u8], sector: usize, content: &[u8; SECTOR_BYTES]) {
    let extent = extent(sector, bytes.len());
    let length = extent.len();
    bytes[extent].copy_from_slice(&content[..length]);
}
