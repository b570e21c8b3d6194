//! Damage to what is stored, and what it takes to judge a store that has it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kinelog_engine::device::simulated::{Fault, Operation};

use super::options::Rot;
use super::world::World;

/// Bytes before the zeros of a file that hold what was written last.
const PAGE_BYTES: usize = 4_096;
/// Two flipped bits so close may stand in one head, or in both copies of a page header.
const ONE_PLACE_BYTES: usize = 4_096;
/// Bytes at either end of a file that rare stories damage more often: headers, footers, heads.
const EDGE_BYTES: usize = 256;

impl World {
    /// Damages something stored; what is hit has a copy, or is a record.
    pub(super) fn damage(&mut self, wanted: Option<&str>, file: u64, place: u64, how: u32) {
        let files: BTreeMap<PathBuf, Vec<u8>> = self.disk.snapshot();
        let candidates: Vec<_> = files
            .iter()
            .filter(|(path, bytes)| !bytes.is_empty() && !self.damaged.contains(&kind_of(path)))
            .filter(|(path, _)| wanted.is_none_or(|wanted| kind_of(path) == wanted))
            .collect();
        if candidates.is_empty() {
            return;
        }
        let (path, bytes) = candidates[usize::try_from(file).unwrap_or(0) % candidates.len()];
        let kind = kind_of(path);
        let is_log = kind == "log";
        // What is damaged in the log must have been acknowledged, and something after it be.
        if kind == "LOCK" || is_log && (self.engine.is_none() || self.is_unvouched) {
            return;
        }
        *self.shared.is_damaged.borrow_mut() = true;
        match self.options.rot {
            Rot::Misdirected => {
                if self.damaged.is_empty() {
                    let operation =
                        if how.is_multiple_of(2) { Operation::Write } else { Operation::LogWrite };
                    self.disk.fail_nth(operation, place % 8 + 1, Fault::Misdirected);
                    self.shared.event(format!("a coming {operation:?} is misdirected"));
                    self.is_unvouched = true;
                    self.damaged.extend(
                        ["any", "seg", "log", "manifest", "catalog", "store"].map(String::from),
                    );
                }
                return;
            }
            Rot::Bits => {
                let at = self.place(usize::try_from(place).unwrap_or(0), bytes);
                drop(self.disk.flip_bit(path, at, (how % 8) as u8));
                self.shared.event(format!("bit {} of byte {at}", how % 8));
                if kind == "seg" || is_log {
                    self.flips.push((path.clone(), at));
                }
            }
            Rot::None | Rot::Reads | Rot::Sectors => {
                let sectors = bytes.len().div_ceil(512);
                let at = self.place(usize::try_from(place).unwrap_or(0), bytes) / 512;
                drop(match how % 3 {
                    0 => self.disk.spoil_sector(path, at, true),
                    1 => self.disk.spoil_sector(path, at, false),
                    _ => self.disk.swap_sectors(path, at, (how / 3) as usize % sectors),
                });
                self.is_unvouched |= is_log;
            }
        }
        self.shared.count(format!("damage: {:?} in {kind}", self.options.rot));
        self.see_damage();
        self.shared.event(format!("{} is damaged", path.display()));
        if kind != "seg" {
            self.damaged.push(kind);
        }
    }

    /// Most records that the flipped bits may have cost: one each. Two in one place are more than
    /// is made good, and take along all that it told of: `None`, as long as it is reported.
    pub(super) fn flips_cost_max(&self) -> Option<usize> {
        let are_close = |(i, (path, at)): (usize, &(PathBuf, usize))| {
            let mut later = self.flips[i + 1..].iter();
            later.any(|it| it.0 == *path && it.1.abs_diff(*at) < ONE_PLACE_BYTES)
        };
        let is_crowded = self.flips.iter().enumerate().any(are_close);
        (!is_crowded).then_some(self.flips.len())
    }

    /// The byte of a file that a number means; in rare stories often one near an end of it, or of
    /// what it holds before its zeros.
    fn place(&self, any: usize, bytes: &[u8]) -> usize {
        let (edge, within) = (EDGE_BYTES.min(bytes.len()), any / 4);
        match any % 4 {
            _ if !self.options.is_rare => any % bytes.len(),
            0 => within % edge,
            1 => bytes.len() - 1 - within % edge,
            2 => {
                let last = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
                last - within % PAGE_BYTES.min(last + 1)
            }
            _ => within % bytes.len(),
        }
    }

    /// After damage to the log: something must follow it, or it is the torn end of a write.
    pub(super) async fn vouch(&mut self) {
        if !self.is_unvouched {
            return;
        }
        let count = |world: &Self| {
            world.shared.counts.borrow().get("records acknowledged").copied().unwrap_or(0)
        };
        // A misdirected write is one of the next few.
        let rounds = if self.options.rot == Rot::Misdirected { 12 } else { 2 };
        for round in 0..rounds {
            let Some(engine) = self.engine.clone() else { return };
            let before = count(self);
            self.send(&engine, (1, round, 1), 1, 100);
            drop(engine);
            self.wait_for_appends().await;
            if count(self) == before {
                return;
            }
        }
        let met = self.disk.faults_met().keys().any(|(_, fault)| *fault == Fault::Misdirected);
        self.is_unvouched = self.options.rot == Rot::Misdirected && !met;
    }
}

/// What a file is: all of one kind lose at most what one of them does.
fn kind_of(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let kinds =
        [(".seg", "seg"), (".log", "log"), ("manifest.", "manifest"), ("catalog.", "catalog")];
    let kind =
        kinds.iter().find(|(part, _)| name.contains(part)).map(|(_, kind)| (*kind).to_owned());
    kind.unwrap_or(name)
}
