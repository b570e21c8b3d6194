//! What is derived never decides what is read, and what is old is not taken for new.

use std::path::PathBuf;
use std::sync::Arc;

use kinelog_engine::Engine;
use kinelog_engine::device::clock::ManualClock;
use kinelog_engine::device::simulated::SimulatedDisk;
use kinelog_engine::format::footer::{self, INDEX_ENTRY_BYTES, IndexEntry, TRAILER_BYTES};
use kinelog_engine::segment;

use crate::judge::{Sound, contents, device};
use crate::pool::{self, Outcome, run};
use crate::small_store::{self, DATA, Files, START};

/// Where the footer of a sealed segment stands, and the segment's id.
fn footer_of(path: &std::path::Path, bytes: &[u8]) -> Option<(usize, footer::Trailer)> {
    let (_, _, id) = segment::parse_file_name(path.file_name()?.to_str()?)?;
    let trailer = footer::decode(bytes, bytes.len() as u64, id).ok()?;
    Some((usize::try_from(trailer.index_position).ok()?, trailer))
}

/// Numbers that look random, the same ones each time.
fn noise(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed | 1), |n| {
        Some(n.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f))
    })
    .map(|n| n >> 24)
    .skip(1)
}

/// An index that lies about ordinals and positions under a sum that is right.
fn forged(bytes: &[u8], at: usize, trailer: &footer::Trailer, seed: u64) -> Vec<u8> {
    let mut noise = noise(seed);
    let mut next = |most: usize| u32::try_from(noise.next().unwrap() % most as u64).unwrap();
    let entries = trailer.index_entries as usize;
    let index: Vec<_> = (0..entries)
        .map(|i| IndexEntry {
            ordinal_delta: next(4),
            position: next(bytes.len() + 100),
            ..footer::index_entry(&bytes[at..], i)
        })
        .collect();
    footer::encode(&index, trailer)
}

#[test]
fn index_is_derived() {
    let sound = pool::runtime().block_on(Sound::build(21));
    let sealed: Vec<_> = sound
        .files
        .iter()
        .filter_map(|(path, bytes)| Some((path, bytes, footer_of(path, bytes)?)))
        .collect();
    assert!(sealed.len() > 1, "there are sealed segments");
    let mut cases: Vec<(&PathBuf, Vec<u8>)> = Vec::new();
    for (path, bytes, (at, trailer)) in &sealed {
        let mut put = |footer: Vec<u8>| cases.push((path, [&bytes[..*at], &footer].concat()));
        put(Vec::new());
        for len in [1, 8, INDEX_ENTRY_BYTES, TRAILER_BYTES, bytes.len() - at, 4096] {
            put(vec![0; len]);
            put(noise(len as u64).map(|n| n.to_le_bytes()[0]).take(len).collect());
        }
        for (_, other, (from, _)) in &sealed {
            put(other[*from..].to_vec());
        }
        for seed in 0..200 {
            put(forged(bytes, *at, trailer, seed));
        }
    }
    run("indexes replaced", &cases, |runtime, (path, bytes)| {
        let mut files = sound.files.clone();
        files.insert((*path).clone(), bytes.clone());
        let found = runtime.block_on(contents(&device(files).1, DATA));
        let found = found.map_err(|error| error.to_string())?;
        if found.reported.is_empty() && found.records == sound.contents.records {
            Ok(Outcome::Repaired)
        } else {
            Err(format!("reads changed: {:?}", found.reported))
        }
    });
}

/// The files of a store at several moments of its life; the last is the sound one.
async fn moments() -> Vec<Files> {
    let disk = SimulatedDisk::new(31);
    let clock = Arc::new(ManualClock::new(START));
    let device = disk.device(clock);
    let engine = Engine::open(small_store::config(DATA), device).await.unwrap();
    let one = small_store::create(&engine, "one", 1).await;
    let mut moments = Vec::new();
    for round in 0..9 {
        small_store::append(&engine, &one.shards[0], &[(round, 300), (round + 50, 40)]).await;
        if round % 3 == 2 {
            engine.checkpoint().await.unwrap();
        }
        if round == 4 {
            let two = small_store::create(&engine, "two", 1).await;
            small_store::append(&engine, &two.shards[0], &[(77, 300)]).await;
        }
        moments.push(disk.snapshot());
    }
    drop(engine);
    moments
}

#[test]
fn rollback_detected() {
    let runtime = pool::runtime();
    let moments = runtime.block_on(moments());
    let (last, older) = moments.split_last().unwrap();
    let sound = runtime.block_on(Sound::of(last.clone()));
    let mut cases: Vec<(usize, Vec<PathBuf>)> = Vec::new();
    for (moment, files) in older.iter().enumerate() {
        let changed = files.iter().filter(|(path, bytes)| last.get(*path) != Some(bytes));
        cases.extend(changed.map(|(path, _)| (moment, vec![path.clone()])));
        let named = |names: [&str; 2]| names.map(|name| PathBuf::from(DATA).join(name)).to_vec();
        let pairs =
            [named(["catalog.0", "catalog.1"]), named(["log/0/manifest.0", "log/0/manifest.1"])];
        let are_there = |pair: &Vec<PathBuf>| {
            pair.iter().all(|path| files.contains_key(path) && last[path] != files[path])
        };
        cases.extend(pairs.into_iter().filter(are_there).map(|pair| (moment, pair)));
    }
    let ends = run("files put back", &cases, |runtime, (moment, paths)| {
        let mut files = last.clone();
        for path in paths {
            files.insert(path.clone(), older[*moment][path].clone());
        }
        runtime.block_on(sound.judge(&files))
    });
    assert!(ends[&Outcome::Reported] > 0 && ends[&Outcome::Repaired] > 0);
}
