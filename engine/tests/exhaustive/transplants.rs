//! Files and frames in places that are not theirs.

use std::path::{Path, PathBuf};

use kinelog_engine::segment;
use kinelog_engine::types::{Ordinal, SegmentId, ShardUid};

use crate::judge::Sound;
use crate::pool::{self, Outcome, run, wants_all};
use crate::small_store::{DATA, Files};

/// Something done to whole files.
#[derive(Clone)]
enum Move {
    /// The file is gone.
    Missing(PathBuf),
    /// The file has another name; what had it is gone.
    Renamed(PathBuf, PathBuf),
    /// A copy of the file stands under another name as well.
    Copied(PathBuf, PathBuf),
    /// In place of the file stands the one of the same name or kind of another store.
    Foreign(PathBuf, PathBuf),
    /// Beside the files stands one of another store, under its own name.
    Added(PathBuf, Vec<u8>),
}

impl std::fmt::Debug for Move {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "missing {}", path.display()),
            Self::Renamed(from, to) => write!(f, "{} -> {}", from.display(), to.display()),
            Self::Copied(from, to) => write!(f, "{} => {}", from.display(), to.display()),
            Self::Foreign(path, of) => write!(f, "{} is {}", path.display(), of.display()),
            Self::Added(path, _) => write!(f, "added {}", path.display()),
        }
    }
}

impl Move {
    fn apply(&self, files: &Files, other: &Files) -> Files {
        let mut moved = files.clone();
        match self {
            Self::Missing(path) => drop(moved.remove(path)),
            Self::Renamed(from, to) => {
                let bytes = moved.remove(from).unwrap();
                moved.insert(to.clone(), bytes);
            }
            Self::Copied(from, to) => drop(moved.insert(to.clone(), files[from].clone())),
            Self::Foreign(path, of) => drop(moved.insert(path.clone(), other[of].clone())),
            Self::Added(path, bytes) => drop(moved.insert(path.clone(), bytes.clone())),
        }
        moved
    }
}

fn paths(files: &Files) -> Vec<PathBuf> {
    let is_lock = |path: &&PathBuf| path.ends_with("LOCK");
    files.keys().filter(|path| !is_lock(path)).cloned().collect()
}

/// Names of segments that no segment has: those of other shards, bases and ids.
fn other_names(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let Some((shard, base, id)) = segment::parse_file_name(name) else { return Vec::new() };
    let of = |shard: u64, base: u64, id: u64| {
        let name = segment::file_name(ShardUid(shard), Ordinal(base), SegmentId(id));
        segment::directory(Path::new(DATA)).join(name)
    };
    let shards = (1..=5).filter(|other| *other != shard.0).map(|other| of(other, base.0, id.0));
    let bases = [1, 2, 100].into_iter().filter(|other| *other != base.0);
    let bases = bases.map(|other| of(shard.0, other, id.0));
    shards.chain(bases).chain([of(shard.0, base.0, id.0 ^ 1)]).collect()
}

#[test]
fn transplant_files() {
    let (sound, others) = pool::runtime().block_on(async {
        let mut others = Vec::new();
        for seed in 77..85 {
            others.push(crate::small_store::build(seed).await);
        }
        (Sound::build(6).await, others)
    });
    let other = &others[0];
    let all = paths(&sound.files);
    let mut cases: Vec<_> = all.iter().cloned().map(Move::Missing).collect();
    for from in &all {
        for to in all.iter().filter(|to| *to != from) {
            cases.push(Move::Renamed(from.clone(), to.clone()));
            cases.push(Move::Copied(from.clone(), to.clone()));
        }
        for to in other_names(from) {
            cases.push(Move::Renamed(from.clone(), to.clone()));
            cases.push(Move::Copied(from.clone(), to));
        }
        cases.push(Move::Renamed(from.clone(), from.with_extension("bak")));
    }
    for path in &all {
        for of in paths(other) {
            cases.push(Move::Foreign(path.clone(), of));
        }
    }
    for other in &others {
        let added = other.iter().filter(|(path, _)| !path.ends_with("LOCK"));
        cases.extend(added.map(|(path, bytes)| Move::Added(path.clone(), bytes.clone())));
    }
    let ends = run("files moved", &cases, |runtime, case| {
        runtime.block_on(sound.judge(&case.apply(&sound.files, other)))
    });
    assert!(ends[&Outcome::Reported] > 0);
}

#[test]
fn transplant_frames() {
    let sound = pool::runtime().block_on(Sound::build(8));
    // Frames stand at multiples of 8 and are longer than 256 bytes or so: moving such pieces
    // between any two places moves whole frames and parts of them.
    let piece = 344;
    let step = if wants_all() { 8 } else { 344 };
    let mut cases = Vec::new();
    let all = paths(&sound.files);
    for from in &all {
        for to in &all {
            let used = |path: &PathBuf| {
                let bytes = &sound.files[path];
                bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
            };
            let ends = |path| used(path).saturating_sub(4096 + piece) / step;
            let (sources, targets) = (ends(from), ends(to));
            for k in 0..=sources.max(targets) {
                let place = |n: usize| 4096 + (k * 7 % (n + 1)) * step;
                cases.push((from, place(sources), to, place(targets)));
            }
        }
    }
    run("frames moved", &cases, |runtime, &(from, source, to, target)| {
        let mut moved = sound.files.clone();
        let bytes = sound.files[from][source.min(sound.files[from].len())..].to_vec();
        let room = moved.get_mut(to).unwrap();
        let len = piece.min(bytes.len()).min(room.len().saturating_sub(target));
        if len == 0 || (from == to && source == target) {
            return Ok(Outcome::Harmless);
        }
        room[target..target + len].copy_from_slice(&bytes[..len]);
        runtime.block_on(sound.judge(&moved))
    });
}
