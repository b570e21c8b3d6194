//! The names of a simulated disk: as the process sees them, and as the device holds them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::content::Content;
use super::cut::Cut;

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Directory,
    File(Arc<Mutex<Content>>),
}

/// All names by full path.
pub(super) type Tree = BTreeMap<PathBuf, Entry>;

/// One step that survives whole or not at all.
#[derive(Debug)]
struct Change {
    stamp: u64,
    sets: Vec<(PathBuf, Option<Entry>)>,
}

/// The names now, those on the device, and what lies between, oldest first.
#[derive(Debug, Default)]
pub(super) struct Names {
    now: Tree,
    durable: Tree,
    unsynced: Vec<Change>,
}

impl Names {
    /// Names at rest.
    pub(super) fn at_rest(now: Tree) -> Self {
        Self { durable: now.clone(), now, unsynced: Vec::new() }
    }

    /// The names now.
    pub(super) const fn now(&self) -> &Tree {
        &self.now
    }

    /// The file of that name.
    pub(super) fn file(&self, path: &Path) -> io::Result<Arc<Mutex<Content>>> {
        match self.now.get(path) {
            Some(Entry::File(content)) => Ok(Arc::clone(content)),
            Some(Entry::Directory) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Fails unless `dir` is a directory; the root always is one.
    pub(super) fn expect_directory(&self, dir: &Path) -> io::Result<()> {
        match self.now.get(dir) {
            Some(Entry::Directory) => Ok(()),
            Some(Entry::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None if dir.parent().is_none() || dir == Path::new("") => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Changes names in one step.
    pub(super) fn change(&mut self, stamp: &mut u64, sets: Vec<(PathBuf, Option<Entry>)>) {
        *stamp += 1;
        for set in &sets {
            apply(&mut self.now, set);
        }
        self.unsynced.push(Change { stamp: *stamp, sets });
    }

    /// Makes changes in `dir` durable that were made up to `stamp`.
    pub(super) fn sync(&mut self, dir: &Path, stamp: u64) {
        let concerns =
            |change: &Change| change.sets.iter().any(|(path, _)| path.parent() == Some(dir));
        let mut index = 0;
        while index < self.unsynced.len() {
            let change = &self.unsynced[index];
            if change.stamp > stamp || !concerns(change) {
                index += 1;
                continue;
            }
            let change = self.unsynced.remove(index);
            for set in &change.sets {
                apply(&mut self.durable, set);
                // What an earlier change, of another directory too, said of this name is past.
                for earlier in &mut self.unsynced[..index] {
                    earlier.sets.retain(|(path, _)| *path != set.0);
                }
            }
        }
    }

    /// Stamp of the first change that a power cut may take away.
    pub(super) fn oldest_unsynced(&self) -> Option<u64> {
        self.unsynced.first().map(|change| change.stamp)
    }

    /// Every file that may be found after a power cut.
    pub(super) fn all_files(&self) -> Vec<Arc<Mutex<Content>>> {
        let pending = self.unsynced.iter().flat_map(|change| &change.sets);
        let pending = pending.filter_map(|(_, entry)| entry.as_ref());
        let entries = self.now.values().chain(self.durable.values()).chain(pending);
        let files = entries.filter_map(|entry| match entry {
            Entry::File(content) => Some(Arc::clone(content)),
            Entry::Directory => None,
        });
        files.collect()
    }

    /// The names as found after a power cut. What lies in a directory that is gone is gone.
    pub(super) fn after(&self, cut: &mut Cut) -> Tree {
        let mut found = self.durable.clone();
        for change in &self.unsynced {
            if cut.survivor(&[change.stamp]).is_some() {
                change.sets.iter().for_each(|set| apply(&mut found, set));
            }
        }
        let lost = |path: &Path| {
            let mut above = path.ancestors().skip(1).filter(|above| above.file_name().is_some());
            above.any(|above| !matches!(found.get(above), Some(Entry::Directory)))
        };
        let kept = found.iter().filter(|(path, _)| !lost(path));
        kept.map(|(path, entry)| (path.clone(), entry.clone())).collect()
    }
}

fn apply(tree: &mut Tree, (path, entry): &(PathBuf, Option<Entry>)) {
    match entry {
        Some(entry) => tree.insert(path.clone(), entry.clone()),
        None => tree.remove(path),
    };
}
