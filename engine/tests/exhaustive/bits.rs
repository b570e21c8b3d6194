//! Damage within one file: bits, bytes, sectors, ends.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::judge::Sound;
use crate::pool::{self, Outcome, run, wants_all};
use crate::small_store::Files;

pub(crate) const SECTOR: usize = 512;

/// Something done to one file.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Flip(PathBuf, usize, u8),
    Set(PathBuf, usize, u8),
    Cut(PathBuf, usize),
    Zero(PathBuf, usize),
    Swap(PathBuf, usize, usize),
}

impl Damage {
    /// `None` when it changes nothing.
    pub(crate) fn apply(&self, files: &Files) -> Option<Files> {
        let mut damaged = files.clone();
        match self {
            Self::Flip(path, at, bit) => damaged.get_mut(path)?[*at] ^= 1 << bit,
            Self::Set(path, at, value) => damaged.get_mut(path)?[*at] = *value,
            Self::Cut(path, len) => damaged.get_mut(path)?.truncate(*len),
            Self::Zero(path, sector) => sector_of(damaged.get_mut(path)?, *sector).fill(0),
            Self::Swap(path, one, other) => {
                let bytes = damaged.get_mut(path)?;
                let (low, high) = (one.min(other) * SECTOR, one.max(other) * SECTOR);
                let (head, tail) = bytes.split_at_mut(high);
                head[low..low + SECTOR].swap_with_slice(&mut tail[..SECTOR]);
            }
        }
        (damaged != *files).then_some(damaged)
    }
}

fn sector_of(bytes: &mut [u8], sector: usize) -> &mut [u8] {
    let end = bytes.len().min((sector + 1) * SECTOR);
    &mut bytes[sector * SECTOR..end]
}

/// Every `step`th bit.
pub(crate) fn flips(files: &Files, step: usize) -> Vec<Damage> {
    let all = files.iter().flat_map(|(path, bytes)| {
        (0..bytes.len())
            .flat_map(move |at| (0..8).map(move |bit| Damage::Flip(path.clone(), at, bit)))
    });
    all.step_by(step).collect()
}

/// Every `step`th byte as 00 and as FF.
fn bytes(files: &Files, step: usize) -> Vec<Damage> {
    let all = files.iter().flat_map(|(path, bytes)| {
        (0..bytes.len()).flat_map(move |at| [0, 0xff].map(|v| Damage::Set(path.clone(), at, v)))
    });
    all.step_by(step).collect()
}

/// Every `step`th length a file may be cut to.
pub(crate) fn cuts(files: &Files, step: usize) -> Vec<Damage> {
    let all = files
        .iter()
        .flat_map(|(path, bytes)| (0..bytes.len()).map(move |len| Damage::Cut(path.clone(), len)));
    all.step_by(step).collect()
}

/// Every sector as zeros.
pub(crate) fn zeros(files: &Files) -> Vec<Damage> {
    let all = files.iter().flat_map(|(path, bytes)| {
        (0..bytes.len().div_ceil(SECTOR)).map(move |sector| Damage::Zero(path.clone(), sector))
    });
    all.collect()
}

/// Every two whole sectors of a file, the one in place of the other.
pub(crate) fn swaps(files: &Files, step: usize) -> Vec<Damage> {
    let all = files.iter().flat_map(|(path, bytes)| {
        let sectors = bytes.len() / SECTOR;
        let pairs = (0..sectors).flat_map(move |a| (a + 1..sectors).map(move |b| (a, b)));
        pairs.map(move |(a, b)| Damage::Swap(path.clone(), a, b))
    });
    all.step_by(step).collect()
}

/// How many cases of each kind of file.
fn judge_all(what: &str, sound: &Sound, cases: &[Damage]) -> BTreeMap<Outcome, usize> {
    run(what, cases, |runtime, damage| {
        let Some(damaged) = damage.apply(&sound.files) else { return Ok(Outcome::Harmless) };
        runtime.block_on(sound.judge(&damaged))
    })
}

fn step(in_ci: usize) -> usize {
    if wants_all() { 1 } else { in_ci }
}

/// One bit in how many is flipped: as `KINELOG_EXHAUSTIVE_BITS` says.
fn bit_step() -> usize {
    let asked = std::env::var("KINELOG_EXHAUSTIVE_BITS").ok();
    asked.and_then(|step| step.parse().ok()).unwrap_or_else(|| step(137))
}

#[test]
fn bitrot_every_bit() {
    let sound = pool::runtime().block_on(Sound::build(1));
    let ends = judge_all("bits flipped", &sound, &flips(&sound.files, bit_step()));
    assert!(ends[&Outcome::Repaired] > 0 && ends[&Outcome::Reported] > 0);
}

#[test]
fn every_byte_is_set_to_zeros_and_to_ones() {
    let sound = pool::runtime().block_on(Sound::build(2));
    judge_all("bytes set to 00 and FF", &sound, &bytes(&sound.files, step(61)));
}

#[test]
fn every_file_is_cut_short_at_every_length() {
    let sound = pool::runtime().block_on(Sound::build(3));
    judge_all("files cut short", &sound, &cuts(&sound.files, step(31)));
}

#[test]
fn every_sector_is_zeroed() {
    let sound = pool::runtime().block_on(Sound::build(4));
    judge_all("sectors zeroed", &sound, &zeros(&sound.files));
}

#[test]
fn every_sector_is_swapped_with_every_other() {
    let sound = pool::runtime().block_on(Sound::build(5));
    judge_all("sectors swapped", &sound, &swaps(&sound.files, step(3)));
}
