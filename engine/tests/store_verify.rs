//! `verify` on stores the engine wrote, sound and damaged.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_common;

use std::path::{Path, PathBuf};

use kinelog_engine::device::simulated::{SimulatedDisk, Survive};
use kinelog_engine::recovery::verify::{Report, verify};
use store_common::*;

async fn report(disk: &SimulatedDisk, bench: &Bench) -> Report {
    verify(&disk.device(bench.clock.clone()), Path::new("/data")).await.unwrap()
}

/// Sealed segments, an active one, and records that only the log has.
async fn filled(seed: u64) -> Bench {
    let bench = Bench::new(seed);
    let engine = bench.open().await;
    let stream = stream(&engine, "s", 2).await;
    for n in 0..60 {
        append(&engine, &stream.shards[0], &[payload(n, 3000)]).await.unwrap();
        if n % 25 == 0 {
            append(&engine, &stream.shards[1], &[payload(n, 30)]).await.unwrap();
            engine.checkpoint().await.unwrap();
        }
    }
    bench
}

#[tokio::test]
async fn a_store_that_was_closed_is_sound() {
    let bench = filled(1).await;
    let engine = bench.open().await;
    engine.close().await;
    drop(engine);
    let report = report(&bench.disk, &bench).await;
    assert_eq!(report.findings, []);
    assert!(report.records >= 63, "{}", report.records);
}

#[tokio::test]
async fn a_store_that_lost_power_has_lost_nothing() {
    for (seed, survive) in (2..).zip([Survive::None, Survive::All, Survive::Random, Survive::Torn])
    {
        let bench = filled(seed).await;
        let disk = bench.disk.power_cut(seed, survive);
        let report = report(&disk, &bench).await;
        let lost: Vec<_> = report.findings.iter().filter(|f| !f.harmless).collect();
        assert!(lost.is_empty(), "seed {seed}: {lost:?}");
    }
}

#[tokio::test]
async fn a_missing_segment_is_told() {
    let bench = filled(7).await;
    let engine = bench.open().await;
    engine.close().await;
    drop(engine);
    let mut files = bench.disk.snapshot();
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "seg");
    let segments: Vec<_> = files.keys().filter(|path| is_segment(path)).cloned().collect();
    for segment in segments {
        let bytes = files.remove(&segment).unwrap();
        let disk = SimulatedDisk::from_snapshot(8, files.clone());
        let findings = report(&disk, &bench).await.findings;
        assert!(findings.iter().any(|finding| !finding.harmless), "{}", segment.display());
        files.insert(segment, bytes);
    }
}

#[tokio::test]
async fn damage_is_found_in_whatever_file_it_is() {
    let bench = filled(9).await;
    let engine = bench.open().await;
    engine.close().await;
    drop(engine);
    let files = bench.disk.snapshot();
    for (path, bytes) in &files {
        let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let name = path.file_name().unwrap().to_str().unwrap();
        // Log files before the last checkpoints hold nothing that is needed.
        let end = if name.starts_with("commit-") { 4096 } else { used };
        for at in (0..end).step_by((end / 16).max(1)) {
            let mut damaged = files.clone();
            damaged.get_mut(path).unwrap()[at] ^= 0x10;
            let disk = SimulatedDisk::from_snapshot(10, damaged);
            let findings = report(&disk, &bench).await.findings;
            assert!(findings.iter().any(|f| f.file == *path), "{name} at {at}: {findings:?}");
        }
    }
}
