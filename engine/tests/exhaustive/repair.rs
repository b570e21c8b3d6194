//! `repair` over the same damage: a clean store of everything that some copy proves.

use std::collections::BTreeSet;
use std::path::Path;

use kinelog_engine::recovery::repair::{self, Purpose, Repair};
use kinelog_engine::recovery::verify::verify;
use kinelog_engine::types::{Ordinal, ShardUid};
use tokio::runtime::Runtime;

use crate::bits::{self, Damage};
use crate::judge::{Contents, Sound, contents, device};
use crate::pool::{self, Outcome, run, wants_all};
use crate::small_store::{At, DATA, Files};

const SAVED: &str = "/saved";

impl Sound {
    /// Records of which a copy is untouched by the damage.
    fn proven(&self, damaged: &Files) -> BTreeSet<(ShardUid, Ordinal)> {
        let is_whole = |path: &Path, range: &std::ops::Range<usize>| {
            let found = damaged.get(path).and_then(|bytes| bytes.get(range.clone()));
            found == Some(&self.files[path][range.clone()])
        };
        let whole = self
            .copies
            .iter()
            .filter(|copy| copy.needs.iter().all(|(path, range)| is_whole(path, range)));
        whole.map(|copy| copy.at).collect()
    }

    /// Repairs the store and judges what comes of it.
    async fn judge_repair(&self, damaged: &Files) -> Result<Outcome, String> {
        let (disk, device) = device(damaged.clone());
        let findings = verify(&device, Path::new(DATA)).await.map(|report| report.findings);
        let repair = repair::plan(&device, Path::new(DATA), Purpose::Repair)
            .await
            .map_err(|e| e.to_string())?;
        let written = repair.write(&device, Path::new(DATA), Path::new(SAVED)).await;
        written.map_err(|error| error.to_string())?;
        let mut after = disk.snapshot();
        after.retain(|path, _| path.starts_with(DATA) && !path.ends_with("LOCK"));
        let mut before = damaged.clone();
        before.retain(|path, _| !path.ends_with("LOCK"));
        if after != before {
            return Err("the old store was changed".to_owned());
        }
        let told = verify(&device, Path::new(SAVED)).await.map_err(|error| error.to_string())?;
        if !told.findings.is_empty() {
            return Err(format!("the new store is not clean: {:?}", told.findings));
        }
        let found = contents(&device, SAVED).await.map_err(|error| error.to_string())?;
        let lost = self.judge_kept(damaged, &repair, &found)?;
        if let Some(at) = self.reused(&found) {
            return Err(format!("the number of {at:?} is given out again"));
        }
        let is_silent = findings.is_ok_and(|findings| findings.is_empty());
        if is_silent && !(repair.lost.is_empty() && repair.saved.is_empty()) {
            return Err(format!("verify is silent on {:?}, {:?}", repair.lost, repair.saved));
        }
        Ok(match (lost, repair.is_lossless(), is_silent) {
            (true, true, _) => Outcome::TakenForTorn,
            (_, false, _) => Outcome::Reported,
            (false, true, true) => Outcome::Harmless,
            (false, true, false) => Outcome::Repaired,
        })
    }

    /// True when records are lost, all of them told of or never proven.
    fn judge_kept(
        &self,
        damaged: &Files,
        repair: &Repair,
        found: &Contents,
    ) -> Result<bool, String> {
        let whole = &self.contents.records;
        if let Some((at, _)) = found.records.iter().find(|(at, r)| whole.get(at) != Some(r)) {
            return Err(format!("{at:?} is kept wrong"));
        }
        if let Some(at) = found.reported.first() {
            return Err(format!("{at:?} is still reported as damaged"));
        }
        let told = |at: &At| {
            repair.lost.iter().any(|lost| {
                (&lost.shard.stream.name, lost.shard.index) == (&at.0, at.1)
                    && (lost.first..=lost.last).contains(&at.2)
            })
        };
        if let Some(at) = found.records.keys().find(|at| told(at)) {
            return Err(format!("{at:?} is kept and told to be lost"));
        }
        let proven = self.proven(damaged);
        let lost: Vec<_> = whole.keys().filter(|at| !found.records.contains_key(at)).collect();
        for at in &lost {
            let uid = self.contents.uids[&(at.0.clone(), at.1)];
            if self.unproven.contains(*at) {
                continue;
            }
            // Without its entry in the catalogue a shard is none, as the notes say.
            let is_known = found.uids.contains_key(&(at.0.clone(), at.1));
            if proven.contains(&(uid, at.2)) && (is_known || repair.notes.is_empty()) {
                return Err(format!("{at:?} is lost though a copy of it is whole"));
            }
            if !told(at) && repair.notes.is_empty() {
                return Err(format!("{at:?} is lost and not told"));
            }
        }
        Ok(!lost.is_empty())
    }
}

fn repair_all(runtime: &Runtime, sound: &Sound, damage: &Damage) -> Result<Outcome, String> {
    let Some(damaged) = damage.apply(&sound.files) else { return Ok(Outcome::Harmless) };
    runtime.block_on(sound.judge_repair(&damaged))
}

#[test]
fn verify_and_repair() {
    let sound = pool::runtime().block_on(Sound::build(11));
    let step = |in_ci: usize| if wants_all() { 1 } else { in_ci };
    let files = &sound.files;
    let tables = [
        ("bits flipped, then repaired", bits::flips(files, if wants_all() { 17 } else { 1999 })),
        ("files cut short, then repaired", bits::cuts(files, step(127))),
        ("sectors zeroed, then repaired", bits::zeros(files)),
        ("sectors swapped, then repaired", bits::swaps(files, step(5))),
    ];
    for (what, cases) in tables {
        let ends = run(what, &cases, |runtime, damage| repair_all(runtime, &sound, damage));
        assert!(ends[&Outcome::Reported] > 0 && ends[&Outcome::Repaired] > 0, "{what}");
    }
    let missing: Vec<_> = files.keys().filter(|path| !path.ends_with("LOCK")).collect();
    run("files missing, then repaired", &missing, |runtime, path| {
        let mut damaged = files.clone();
        damaged.remove(*path);
        runtime.block_on(sound.judge_repair(&damaged))
    });
}

/// The same sector of both copies of the metadata.
#[test]
fn metadata_that_is_damaged_twice_is_repaired_as_far_as_it_goes() {
    let sound = pool::runtime().block_on(Sound::build(13));
    let pairs = [["catalog.0", "catalog.1"], ["log/0/manifest.0", "log/0/manifest.1"]];
    let pairs = pairs.map(|pair| pair.map(|name| Path::new(DATA).join(name)));
    let mut cases = Vec::new();
    for pair in &pairs {
        let sectors = |path| sound.files[path].len().div_ceil(bits::SECTOR);
        let most = sectors(&pair[0]).min(sectors(&pair[1]));
        cases.extend((0..most).map(|sector| (pair, sector)));
    }
    let ends = run("metadata damaged twice, then repaired", &cases, |runtime, (pair, sector)| {
        let mut damaged = sound.files.clone();
        for path in *pair {
            damaged = Damage::Zero(path.clone(), *sector).apply(&damaged).unwrap_or(damaged);
        }
        runtime.block_on(sound.judge_repair(&damaged))
    });
    assert!(ends[&Outcome::Repaired] > 0);
    let runtime = pool::runtime();
    let gone = |paths: &[std::path::PathBuf]| {
        let mut damaged = sound.files.clone();
        damaged.retain(|path, _| !paths.contains(path));
        runtime.block_on(sound.judge_repair(&damaged))
    };
    assert_eq!(gone(&pairs[1]), Ok(Outcome::Repaired), "segments and log tell what manifests do");
    assert!(gone(&pairs[0]).is_err(), "nothing names a stream");
}

#[test]
fn a_repaired_store_goes_on() {
    pool::runtime().block_on(async {
        let sound = Sound::build(12).await;
        let mut damaged = sound.files.clone();
        let is_segment = |path: &&std::path::PathBuf| path.extension().is_some_and(|e| e == "seg");
        let first = sound.files.keys().find(is_segment).unwrap();
        damaged.remove(first);
        let (_, device) = device(damaged);
        let repair = repair::plan(&device, Path::new(DATA), Purpose::Repair).await.unwrap();
        repair.write(&device, Path::new(DATA), Path::new(SAVED)).await.unwrap();
        let config = crate::small_store::config(SAVED);
        let engine = kinelog_engine::Engine::open(config, device.clone()).await.unwrap();
        let stream = engine.stream(&crate::small_store::key("one")).unwrap();
        let end = engine.end(&stream.shards[0]).unwrap();
        let recorded = sound.contents.records.keys().filter(|at| at.0 == "one").count() as u64;
        assert_eq!(end, Ordinal(recorded + 1), "no number is given out twice");
        crate::small_store::append(&engine, &stream.shards[0], &[(9, 40)]).await;
        engine.close().await;
        drop(engine);
        let again = repair.write(&device, Path::new(DATA), Path::new(SAVED)).await;
        assert!(again.is_err(), "a place that is taken is refused");
        let inside = Path::new(DATA).join("new");
        assert!(repair.write(&device, Path::new(DATA), &inside).await.is_err());
        let found = contents(&device, SAVED).await.unwrap();
        assert!(found.reported.is_empty());
        assert!(found.records.keys().any(|at| at.2 == end));
        assert_eq!(verify(&device, Path::new(SAVED)).await.unwrap().findings, []);
        // What one repair has told of, the next one keeps and does not tell again.
        let next = repair::plan(&device, Path::new(SAVED), Purpose::Repair).await.unwrap();
        assert!(!repair.is_lossless() && next.is_lossless());
        let again = Path::new("/again");
        next.write(&device, Path::new(SAVED), again).await.unwrap();
        assert_eq!(verify(&device, again).await.unwrap().findings, []);
        let kept = contents(&device, "/again").await.unwrap();
        assert_eq!((kept.records, kept.ends), (found.records, found.ends));
    });
}
