//! One flipped bit anywhere: repaired, or reported by reads and by `verify`; never passed on, never
//! silent, and never at the cost of another record.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use kinelog_engine::device::simulated::{SimulatedDisk, Survive};
use kinelog_engine::recovery::verify::{Finding, verify};
use kinelog_engine::types::{Ordinal, StoredRecord};

use crate::bench::{Bench, append, create, key, read};

type Files = BTreeMap<PathBuf, Vec<u8>>;
/// Records by stream, place of the shard in it, and ordinal.
type Records = BTreeMap<(&'static str, usize, Ordinal), StoredRecord>;

const STREAMS: [(&str, usize); 2] = [("one", 1), ("two", 2)];

/// A store after a power cut: sealed and active segments, a log beyond the last of two
/// checkpoints.
async fn store() -> Files {
    let bench = Bench::new(SimulatedDisk::new(1));
    let engine = bench.open().await;
    let one = create(&engine, "one", 1).await;
    let two = create(&engine, "two", 2).await;
    let mut number = 0;
    for round in 0..3 {
        for _ in 0..2 {
            append(&engine, &one.shards[0], &[(number, 300), (number + 1, 30)]).await;
            append(&engine, &two.shards[round % 2], &[(number + 2, 200)]).await;
            number += 3;
        }
        if round < 2 {
            engine.checkpoint().await.unwrap();
        }
    }
    drop(engine);
    bench.disk.power_cut(1, Survive::None).snapshot()
}

/// All records and all that is reported as damaged.
async fn contents(files: Files) -> (Records, Vec<(&'static str, usize, u64)>) {
    let bench = Bench::new(SimulatedDisk::from_snapshot(2, files));
    let engine = bench.open().await;
    let (mut records, mut damaged) = (Records::new(), Vec::new());
    for (name, shards) in STREAMS {
        let stream = engine.stream(&key(name)).unwrap();
        assert_eq!(stream.shards.len(), shards);
        for (place, shard) in stream.shards.iter().enumerate() {
            let found = read(&engine, &stream, shard).await;
            records.extend(found.records.into_iter().map(|(at, r)| ((name, place, at), r)));
            for (range, _) in found.damaged {
                damaged.extend(range.map(|at| (name, place, at)));
            }
        }
    }
    (records, damaged)
}

async fn findings(files: Files) -> Vec<Finding> {
    let bench = Bench::new(SimulatedDisk::from_snapshot(3, files));
    let device = bench.disk.device(bench.clock.clone());
    verify(&device, Path::new("/data")).await.unwrap().findings
}

/// One bit of one byte, and what is wrong with how the store takes it.
async fn judge(files: &Files, whole: &Records, path: &Path, at: usize) -> Result<(), String> {
    let mut flipped = files.clone();
    flipped.get_mut(path).unwrap()[at] ^= 1 << (at % 8);
    let findings = findings(flipped.clone()).await;
    let costly = findings.iter().any(|finding| !finding.harmless && finding.file == path);
    let (records, damaged) = contents(flipped).await;
    if let Some(wrong) = records.iter().find(|(at, record)| whole.get(at) != Some(record)) {
        return Err(format!("{:?} is read wrong", wrong.0));
    }
    let lost: Vec<_> = whole.keys().filter(|at| !records.contains_key(at)).collect();
    let told: Vec<_> = lost.iter().map(|(name, place, at)| (*name, *place, at.0)).collect();
    if told != damaged {
        return Err(format!("{told:?} are lost, {damaged:?} are reported"));
    }
    match lost[..] {
        [] if findings.iter().any(|finding| !finding.harmless) => {
            Err(format!("nothing is lost, verify says {findings:?}"))
        }
        [one] if !costly => Err(format!("{one:?} is lost, verify says {findings:?}")),
        [one] if !is_at(&files[path], &whole[one], at) => {
            Err(format!("{one:?} is lost, which is not there"))
        }
        [] | [_] => Ok(()),
        _ => Err(format!("one bit costs {lost:?}")),
    }
}

/// True when the stored record covers that byte: its data, or its head and key before.
fn is_at(file: &[u8], record: &StoredRecord, at: usize) -> bool {
    let head = 32;
    let len = record.data.len();
    let places = file.windows(len).enumerate().filter(|(_, bytes)| *bytes == record.data);
    places.map(|(start, _)| start).any(|start| (start - head..start + len + 8).contains(&at))
}

/// Every byte; of long stretches of zeros, which are all alike, one in 64, unless the environment
/// asks for them all (which takes minutes).
fn places(files: &Files) -> Vec<(&Path, usize)> {
    let wants_all = std::env::var_os("KINELOG_TEST_EVERY_BYTE").is_some();
    let is_alike = |bytes: &[u8], at: usize| {
        let around = &bytes[at.saturating_sub(4)..bytes.len().min(at + 5)];
        !at.is_multiple_of(64) && around.iter().all(|&byte| byte == 0)
    };
    let mut places = Vec::new();
    for (path, bytes) in files {
        let wanted = (0..bytes.len()).filter(|&at| wants_all || !is_alike(bytes, at));
        places.extend(wanted.map(|at| (path.as_path(), at)));
    }
    places
}

#[test]
fn a_flipped_bit_in_any_byte_is_repaired_or_reported_and_costs_no_other_record() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let files = runtime().block_on(store());
    let (whole, damaged) = runtime().block_on(contents(files.clone()));
    assert_eq!((whole.len(), damaged.len()), (18, 0));
    let count = |part| files.keys().filter(|path| path.to_str().unwrap().contains(part)).count();
    assert_eq!((count(".seg"), count("manifest."), count("catalog.")), (4, 2, 2), "one is sealed");
    assert_eq!(runtime().block_on(findings(files.clone())), []);
    let places = places(&files);
    let next = AtomicUsize::new(0);
    let work = || {
        let (runtime, mut wrong) = (runtime(), Vec::new());
        while let Some(&(path, at)) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(reason) = runtime.block_on(judge(&files, &whole, path, at)) {
                wrong.push(format!("{} at {at}: {reason}", path.display()));
            }
        }
        wrong
    };
    let wrong: Vec<_> = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), places.len(), wrong.join("\n"));
}
