//! Recovery of a whole damaged directory: opening and `verify` end without a panic whatever the
//! damage, and whatever is read afterwards is exactly what was written.

use std::path::PathBuf;

use crate::Seed;
use crate::store::{self, Files, payload};

const SECTOR_BYTES: usize = 512;
/// Bytes of one step of a plan: what to do, to which file, where (4 bytes), and how (2 bytes).
const STEP_BYTES: usize = 8;
const STEPS_MAX: usize = 16;

/// The target: a plan of damage, step by step.
pub fn run(data: &[u8]) {
    let sample = store::small();
    let mut files = sample.files.clone();
    for step in data.chunks_exact(STEP_BYTES).take(STEPS_MAX) {
        damage(&mut files, step);
    }
    drop(sample.survives(files));
}

/// One step of the plan.
fn damage(files: &mut Files, step: &[u8]) {
    let [what, file, a, b, c, d, how, more] = *step else { return };
    let Some(path) = files.keys().nth(usize::from(file) % files.len().max(1)).cloned() else {
        return;
    };
    if what % 5 == 4 {
        files.remove(&path);
        return;
    }
    let Some(bytes) = files.get_mut(&path).filter(|bytes| !bytes.is_empty()) else { return };
    let at = u32::from_le_bytes([a, b, c, d]) as usize % bytes.len();
    let len = usize::from(u16::from_le_bytes([how, more]));
    match what % 5 {
        0 => bytes[at] ^= 1 << (how & 7),
        1 => {
            let end = bytes.len().min(at + len);
            bytes[at..end].fill(0);
        }
        2 => bytes.truncate(at),
        _ => swap_sectors(bytes, at / SECTOR_BYTES, len),
    }
}

fn swap_sectors(bytes: &mut [u8], one: usize, other: usize) {
    let sectors = bytes.len() / SECTOR_BYTES;
    if sectors == 0 {
        return;
    }
    let (one, other) = (one % sectors, other % sectors);
    let (low, high) = (one.min(other) * SECTOR_BYTES, one.max(other) * SECTOR_BYTES);
    if low < high {
        let (head, tail) = bytes.split_at_mut(high);
        head[low..low + SECTOR_BYTES].swap_with_slice(&mut tail[..SECTOR_BYTES]);
    }
}

/// One plan of each kind, at records in the log and in segments, and all together.
pub fn seeds() -> Vec<Seed> {
    let flip = step(0, "/data/log", 20, 3);
    let zero = step(1, "/data/segments", 2, 700);
    let truncate = step(2, "/data/segments", 9, 0);
    let swap = step(3, "/data/log", 18, 12);
    let delete = step(4, "/data/segments", 4, 0);
    vec![
        ("nothing", Vec::new()),
        ("flip", flip.to_vec()),
        ("zero", zero.to_vec()),
        ("truncate", truncate.to_vec()),
        ("swap", swap.to_vec()),
        ("delete", delete.to_vec()),
        ("all", [flip, zero, truncate, swap, delete].concat()),
    ]
}

/// A step that hits the data of record `number` where it stands in `directory`.
fn step(what: u8, directory: &str, number: usize, how: u16) -> [u8; STEP_BYTES] {
    let data = payload(number);
    let find = |(file, (path, bytes)): (u8, (&PathBuf, &Vec<u8>))| {
        let at = bytes.windows(data.len()).position(|window| window == data)?;
        path.starts_with(directory).then_some((file, u32::try_from(at).ok()?))
    };
    let (file, at) =
        (0..).zip(&store::small().files).find_map(find).expect("the record stands there");
    let ([a, b, c, d], [how, more]) = (at.to_le_bytes(), how.to_le_bytes());
    [what, file, a, b, c, d, how, more]
}
