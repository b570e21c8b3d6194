//! `inspect` on every kind of file the engine writes, sound and damaged.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_common;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use kinelog_engine::recovery::inspect::inspect;
use proptest::prelude::*;
use store_common::*;

fn lines(file: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    inspect(&Bytes::copy_from_slice(file), &mut |line| lines.push(line));
    lines
}

/// All files of a store with sealed segments, an active one and a log, by path.
async fn files() -> Vec<(PathBuf, Vec<u8>)> {
    let bench = Bench::new(1);
    let engine = bench.open().await;
    let stream = stream(&engine, "s", 2).await;
    for n in 0..60 {
        append(&engine, &stream.shards[0], &[payload(n, 3000), payload(n, 10)]).await.unwrap();
    }
    engine.checkpoint().await.unwrap();
    let device = bench.disk.device(bench.clock.clone());
    let mut files = Vec::new();
    for directory in ["/data", "/data/segments", "/data/log/0"] {
        for entry in device.files.list(Path::new(directory)).await.unwrap() {
            let path = Path::new(directory).join(entry.name);
            let Ok(file) = device.files.open_read(&path).await else { continue };
            let len = usize::try_from(file.bytes().await.unwrap()).unwrap();
            files.push((path, file.read(0, len).await.unwrap().to_vec()));
        }
    }
    files
}

/// The files of which the first line says `kind`.
fn of_kind<'a>(files: &'a [(PathBuf, Vec<u8>)], kind: &str) -> Vec<&'a [u8]> {
    let of_kind = |file: &&(PathBuf, Vec<u8>)| lines(&file.1)[0].starts_with(kind);
    let found: Vec<_> = files.iter().filter(of_kind).map(|(_, bytes)| &**bytes).collect();
    assert!(!found.is_empty(), "no {kind} among the files");
    found
}

#[tokio::test]
async fn every_kind_of_file_is_taken_apart() {
    let files = files().await;
    for (kind, words) in [
        ("Store", "created at"),
        ("Segment", "batch: 2 records, ordinals "),
        ("Segment", "footer: "),
        ("Log", "group 1: position 0"),
        ("Log", "batch: 2 records, ordinals "),
        ("Manifest", "generation 1, epoch "),
        ("Journal", "frame 0: "),
    ] {
        let all: Vec<_> = of_kind(&files, kind).into_iter().flat_map(lines).collect();
        assert!(all.iter().any(|line| line.contains(words)), "{words} is not in {all:#?}");
        assert!(!all.iter().any(|line| line.contains("NO ")), "{kind}: {all:#?}");
    }
}

#[tokio::test]
async fn batches_after_a_damaged_one_are_found() {
    let files = files().await;
    let sealed = |file: &&&[u8]| lines(file).iter().any(|line| line.contains("footer: "));
    let segment = *of_kind(&files, "Segment").iter().find(sealed).unwrap();
    let before = lines(segment).iter().filter(|line| line.contains("batch: 2 records")).count();
    let mut damaged = segment.to_vec();
    damaged[4096..4096 + 64].fill(0xff);
    let lines = lines(&damaged);
    assert!(lines.iter().any(|line| line.contains("4096 NO BATCH up to ")), "{lines:#?}");
    assert_eq!(lines.iter().filter(|line| line.contains("batch: 2 records")).count(), before - 1);
}

#[tokio::test]
async fn a_damaged_record_is_named() {
    let files = files().await;
    let mut damaged = of_kind(&files, "Segment")[0].to_vec();
    // In the middle of the first record's payload.
    damaged[4096 + 1500..][..8].fill(0xff);
    let lines = lines(&damaged);
    assert!(lines.iter().any(|line| line.contains("DAMAGED records: ")), "{lines:#?}");
}

#[tokio::test]
async fn groups_after_a_damaged_one_are_found() {
    let files = files().await;
    let mut damaged = of_kind(&files, "Log")[0].to_vec();
    damaged[4096..8192].fill(0xff);
    let lines = lines(&damaged);
    assert!(lines.iter().any(|line| line.contains("4096 NO GROUP up to ")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("group 2: ")), "{lines:#?}");
}

#[tokio::test]
async fn damaged_files_are_described_whatever_is_in_them() {
    let files = files().await;
    let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<[u8; 4]>());
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let file = 0..files.len();
    let outcome = runner.run(
        &(file, any::<prop::sample::Index>(), prop::collection::vec(change, 0..4)),
        |(file, end, changes)| {
            let mut bytes = files[file].1.clone();
            for (page, at, with) in changes {
                // Heads stand at the start of pages: they are hit as often as all the rest.
                let page = page.index(bytes.len() / 4096 + 1) * 4096;
                let at = page + at.index(256);
                for (old, new) in bytes.iter_mut().skip(at).zip(with) {
                    *old ^= new;
                }
            }
            bytes.truncate(end.index(2 * bytes.len() + 1));
            prop_assert!(!lines(&bytes).is_empty());
            Ok(())
        },
    );
    outcome.unwrap();
}

#[test]
fn foreign_files_are_told() {
    for file in [&b""[..], b"text", &[0; 5000]] {
        assert!(lines(file)[0].starts_with("not a sound file of Kinelog: "), "{:?}", lines(file));
    }
}
