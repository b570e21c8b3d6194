//! What a damaged store gives: its records, what reads report, what verify finds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use kinelog_engine::Engine;
use kinelog_engine::device::Device;
use kinelog_engine::device::clock::ManualClock;
use kinelog_engine::device::simulated::SimulatedDisk;
use kinelog_engine::error::{OpenError, ReadError};
use kinelog_engine::recovery::verify::{Finding, verify};
use kinelog_engine::types::{
    Ordinal, ReadLimit, Shard, ShardIndex, ShardUid, StoredRecord, Stream, Timestamp,
};

use crate::pool::Outcome;
use crate::small_store::{At, DATA, Files, START, StoredCopy, config};

/// What a store gives.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) records: BTreeMap<At, StoredRecord>,
    pub(crate) reported: BTreeSet<At>,
    pub(crate) uids: BTreeMap<(String, ShardIndex), ShardUid>,
    /// The number the next record of each shard gets.
    pub(crate) ends: BTreeMap<(String, ShardIndex), Ordinal>,
}

/// A disk with these files, some time after they were written.
pub(crate) fn device(files: Files) -> (SimulatedDisk, Device) {
    let disk = SimulatedDisk::from_snapshot(7, files);
    let device = disk.device(Arc::new(ManualClock::new(Timestamp(START.0 + 100_000))));
    (disk, device)
}

/// Opens the store and reads all of it.
pub(crate) async fn contents(device: &Device, directory: &str) -> Result<Contents, OpenError> {
    let engine = Engine::open(config(directory), device.clone()).await?;
    let mut contents = Contents::default();
    for stream in engine.all_streams() {
        for shard in &stream.shards {
            contents.uids.insert((stream.key.name.clone(), shard.index), shard.uid);
            read(&engine, &stream, shard, &mut contents).await;
        }
    }
    Ok(contents)
}

async fn read(engine: &Engine, stream: &Stream, shard: &Shard, contents: &mut Contents) {
    let at = |ordinal| (stream.key.name.clone(), shard.index, ordinal);
    let limit = ReadLimit { records: 1000, bytes: 1 << 20 };
    let (mut next, end) = (Ordinal::FIRST, engine.end(shard).unwrap());
    contents.ends.insert((stream.key.name.clone(), shard.index), end);
    while next < end {
        match engine.read(stream, shard, next, limit).await {
            Ok(read) => {
                assert!(read.next > next, "a read gets on");
                contents.records.extend(read.records.into_iter().map(|r| (at(r.ordinal), r)));
                next = read.next;
            }
            Err(ReadError::Damaged { first, last, .. }) => {
                assert!(first == next && last >= first, "damage at {next}: {first} to {last}");
                contents.reported.extend((first.0..=last.0).map(|n| at(Ordinal(n))));
                next = last.plus(1);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// What verify finds; an error of the store as a whole is one.
pub(crate) async fn findings(files: Files) -> Result<Vec<Finding>, OpenError> {
    let (_, device) = device(files);
    Ok(verify(&device, Path::new(DATA)).await?.findings)
}

/// The sound store to compare with.
pub(crate) struct Sound {
    pub(crate) files: Files,
    pub(crate) contents: Contents,
    pub(crate) copies: Vec<StoredCopy>,
    /// Records of the last group of the log, which nothing later says was durable: damage to it
    /// looks like a write that was cut short and never answered.
    pub(crate) unproven: BTreeSet<At>,
}

impl Sound {
    pub(crate) async fn build(seed: u64) -> Self {
        Self::of(crate::small_store::build(seed).await).await
    }

    pub(crate) async fn of(files: Files) -> Self {
        let contents = contents(&device(files.clone()).1, DATA).await.unwrap();
        assert!(contents.reported.is_empty(), "the store is sound");
        assert_eq!(findings(files.clone()).await.unwrap(), []);
        let copies = crate::small_store::stored_copies(&files);
        let last = crate::small_store::last_group(&files);
        let of_last = contents.records.keys().filter(|(name, shard, ordinal)| {
            last.contains(&(contents.uids[&(name.clone(), *shard)], *ordinal))
        });
        let unproven = of_last.cloned().collect();
        Self { files, contents, copies, unproven }
    }

    /// A record that was answered and whose number the next record gets.
    pub(crate) fn reused(&self, found: &Contents) -> Option<At> {
        let mut proven = self.contents.records.keys().filter(|at| !self.unproven.contains(*at));
        let is_reused =
            |at: &&At| found.ends.get(&(at.0.clone(), at.1)).is_some_and(|end| *end <= at.2);
        proven.find(is_reused).cloned()
    }

    /// Judges the store after damage: no panic, no wrong record, no silence. Reads must report
    /// exactly what is lost, and verify must say that something is.
    pub(crate) async fn judge(&self, damaged: &Files) -> Result<Outcome, String> {
        let findings = findings(damaged.clone()).await;
        let costly = match &findings {
            Ok(findings) => findings.iter().any(|finding| !finding.harmless),
            Err(_) => true,
        };
        let found = match contents(&device(damaged.clone()).1, DATA).await {
            Ok(found) => found,
            Err(_) if costly => return Ok(Outcome::Reported),
            Err(error) => return Err(format!("does not open: {error}; verify: {findings:?}")),
        };
        let whole = &self.contents.records;
        if let Some((at, _)) = found.records.iter().find(|(at, r)| whole.get(at) != Some(r)) {
            return Err(format!("{at:?} is read wrong"));
        }
        let lost: BTreeSet<_> = whole.keys().filter(|at| !found.records.contains_key(at)).collect();
        let silent = lost.iter().filter(|at| !found.reported.contains(**at));
        let (torn, silent): (Vec<_>, Vec<_>) =
            silent.copied().partition(|at| self.unproven.contains(*at));
        if !torn.is_empty() && torn.len() == lost.len() && silent.is_empty() {
            return Ok(Outcome::TakenForTorn);
        }
        if let Some(at) = silent.first() {
            return Err(format!("{at:?} is lost and reads do not say so; verify: {findings:?}"));
        }
        if let Some(at) = found.reported.iter().find(|at| found.records.contains_key(at)) {
            return Err(format!("{at:?} is reported and read"));
        }
        if let Some(at) = self.reused(&found) {
            return Err(format!("the number of {at:?} is given out again; verify: {findings:?}"));
        }
        match (lost.is_empty(), costly, findings) {
            (false, false, findings) => Err(format!("{lost:?} are lost, verify says {findings:?}")),
            (_, true, _) => Ok(Outcome::Reported),
            (true, false, Ok(findings)) if findings.is_empty() => Ok(Outcome::Harmless),
            (true, false, _) => Ok(Outcome::Repaired),
        }
    }
}
