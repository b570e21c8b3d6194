//! What the store does with damage in its directory: it is told, costs what it touches, and no number
//! that may have been answered is given out again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod store_common;

use std::path::{Path, PathBuf};

use kinelog_engine::Engine;
use kinelog_engine::device::simulated::{Fault, Operation, SimulatedDisk, Survive};
use kinelog_engine::error::{OpenError, ReadError};
use kinelog_engine::recovery::verify::verify;
use kinelog_engine::types::{NewShard, Ordinal, ReadLimit, Reshard, ShardIndex, uniform_ranges};
use store_common::*;

#[tokio::test]
async fn a_damaged_newest_manifest_leaves_everything_to_the_older_one() {
    let bench = Bench::new(6);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    // Five appends fill a log file: files are recycled after the last checkpoint.
    for n in 0..40 {
        append(&engine, &created.shards[0], &[payload(n, 9000)]).await.unwrap();
        if n % 7 == 6 && n < 30 {
            engine.checkpoint().await.unwrap();
        }
    }
    drop(engine);
    for slot in 0..2 {
        let other = bench.disk.after_power_cut(1, Survive::None);
        let path = PathBuf::from(format!("/data/log/0/manifest.{slot}"));
        other.alter(&path, |bytes| bytes[4100..4120].fill(0xaa)).unwrap();
        let bench = Bench { disk: other, clock: bench.clock.clone(), config: bench.config.clone() };
        let engine = bench.open().await;
        assert_holds(&engine, "s", 0, 0..40).await;
        append(&engine, &found(&engine, "s").shards[0], &[payload(40, 10)]).await.unwrap();
        engine.checkpoint().await.unwrap();
        drop(engine);
        assert_holds(&bench.open().await, "s", 0, 0..41).await;
    }
}

#[tokio::test]
async fn both_manifests_damaged_is_told_not_papered_over() {
    let bench = Bench::new(7);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    for n in 0..40 {
        append(&engine, &created.shards[0], &[payload(n, 9000)]).await.unwrap();
        engine.checkpoint().await.unwrap();
    }
    drop(engine);
    for slot in 0..2 {
        let path = PathBuf::from(format!("/data/log/0/manifest.{slot}"));
        bench.disk.alter(&path, |bytes| bytes[4100..4120].fill(0xaa)).unwrap();
    }
    assert!(matches!(bench.try_open().await.err(), Some(OpenError::Damaged { .. })));
}

#[tokio::test]
async fn a_manifest_that_a_full_disk_cut_short_counts_for_nothing() {
    let bench = Bench::new(17);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    append(&engine, &created.shards[0], &[payload(0, 100)]).await.unwrap();
    engine.checkpoint().await.unwrap();
    // There is nothing to copy: what has no space is the second manifest.
    bench.disk.set_capacity(Some(bench.disk.used_bytes()));
    engine.close().await;
    drop(engine);
    bench.disk.set_capacity(None);
    let first = PathBuf::from("/data/log/0/manifest.0");
    bench.disk.alter(&first, |bytes| bytes[4100..4120].fill(0xaa)).unwrap();
    let engine = bench.open().await;
    assert_holds(&engine, "s", 0, 0..1).await;
    engine.close().await;
    drop(engine);
    assert_holds(&bench.open().await, "s", 0, 0..1).await;
}

#[tokio::test]
async fn what_was_given_up_stays_so_whichever_manifest_is_damaged() {
    let bench = Bench::new(18);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    let shard = &created.shards[0];
    for n in 0..20 {
        append(&engine, shard, &[payload(n, 9000)]).await.unwrap();
    }
    engine.checkpoint().await.unwrap();
    bench.clock.advance_ms(25 * 3_600_000);
    append(&engine, shard, &[payload(20, 100)]).await.unwrap();
    engine.checkpoint().await.unwrap();
    engine.run_retention().await;
    engine.checkpoint().await.unwrap();
    drop(engine);
    bench.clock.set(START);
    for slot in 0..2 {
        let disk = bench.disk.after_power_cut(1, Survive::None);
        let path = PathBuf::from(format!("/data/log/0/manifest.{slot}"));
        disk.alter(&path, |bytes| bytes[4100..4120].fill(0xaa)).unwrap();
        let bench = Bench { disk, clock: bench.clock.clone(), config: bench.config.clone() };
        let records = read_all(&bench.open().await, &created, shard).await.unwrap();
        assert_eq!(records.iter().map(|it| it.ordinal).collect::<Vec<_>>(), [Ordinal(21)]);
    }
}

#[tokio::test]
async fn a_missing_log_file_is_told_not_papered_over() {
    let bench = Bench::new(13);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    append(&engine, &created.shards[0], &[payload(0, 100)]).await.unwrap();
    engine.checkpoint().await.unwrap();
    append(&engine, &created.shards[0], &[payload(1, 100)]).await.unwrap();
    drop(engine);
    let missing = log_files(&bench).remove(0);
    bench.disk.device(bench.clock.clone()).files.remove(&missing).await.unwrap();
    let opened = bench.try_open().await.err();
    assert!(matches!(&opened, Some(OpenError::Damaged { file, .. }) if *file == missing));
}

#[tokio::test]
async fn a_log_file_that_somebody_cut_is_told_and_gives_out_no_ordinal_again() {
    let mut bench = Bench::new(16);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    for n in 0..3 {
        append(&engine, &created.shards[0], &[payload(n, 100)]).await.unwrap();
    }
    drop(engine);
    let mut files = bench.disk.snapshot();
    files.get_mut(&log_files(&bench)[0]).unwrap().truncate(3 * 4096);
    bench.disk = SimulatedDisk::from_snapshot(16, files);
    let engine = bench.open().await;
    assert!(engine.metrics().damaged_ranges.get() > 0);
    let run = append(&engine, &created.shards[0], &[payload(3, 100)]).await.unwrap();
    assert!(run.first > Ordinal(3), "ordinals that were answered are not reused");
}

#[tokio::test]
async fn a_log_file_whose_new_header_was_written_elsewhere_keeps_its_groups() {
    let bench = Bench::new(17);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    // Five appends fill a log file: after two checkpoints the next ones are made of those before.
    for n in 0..40 {
        append(&engine, &created.shards[0], &[payload(n, 9000)]).await.unwrap();
        if n == 10 || n == 20 {
            engine.checkpoint().await.unwrap();
        }
    }
    drop(engine);
    let device = bench.disk.device(bench.clock.clone());
    let before = page_of(&bench, &log_files(&bench)[0]);
    for file in &log_files(&bench)[1..] {
        let opened = device.files.open(file).await.unwrap();
        opened.write(0, vec![before.clone().into()]).await.unwrap();
    }
    assert_holds(&bench.open().await, "s", 0, 0..40).await;
}

/// The first page of a file.
fn page_of(bench: &Bench, file: &PathBuf) -> Vec<u8> {
    bench.disk.snapshot()[file][..4096].to_vec()
}

/// The log files in order of sequence.
fn log_files(bench: &Bench) -> Vec<PathBuf> {
    files_of(bench, "log")
}

/// The segment files in order of shard and base.
fn segment_files(bench: &Bench) -> Vec<PathBuf> {
    files_of(bench, "seg")
}

fn files_of(bench: &Bench, kind: &str) -> Vec<PathBuf> {
    let is_one = |path: &PathBuf| path.extension().is_some_and(|extension| extension == kind);
    bench.disk.snapshot().into_keys().filter(is_one).collect()
}

#[tokio::test]
async fn a_damaged_group_in_the_middle_of_the_log_is_reported_and_the_rest_is_kept() {
    let bench = Bench::new(8);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 2).await;
    for n in 0..10 {
        append(&engine, &created.shards[0], &[payload(n, 100)]).await.unwrap();
    }
    drop(engine);
    // One page for each group, after the page header: the group of record 4, of ordinal 5.
    bench.disk.spoil_sector(&log_files(&bench)[0], 5 * 8, false).unwrap();
    let engine = bench.open().await;
    assert!(engine.metrics().damaged_ranges.get() > 0);
    let stream = found(&engine, "s");
    let limit = ReadLimit { records: 100, bytes: 1 << 20 };
    let shard = &stream.shards[0];
    let before = engine.read(&stream, shard, Ordinal(1), limit).await.unwrap();
    assert_eq!(before.records.iter().map(number).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let damaged = engine.read(&stream, shard, Ordinal(5), limit).await;
    let Err(ReadError::Damaged { first, last, .. }) = damaged else { panic!("{damaged:?}") };
    assert_eq!((first, last), (Ordinal(5), Ordinal(5)));
    let after = engine.read(&stream, shard, Ordinal(6), limit).await.unwrap();
    assert_eq!(after.records.iter().map(number).collect::<Vec<_>>(), [5, 6, 7, 8, 9]);
    let run = append(&engine, shard, &[payload(10, 100)]).await.unwrap();
    assert_eq!(run.first, Ordinal(11), "later batches prove that nothing else is lost");
    let run = append(&engine, &stream.shards[1], &[payload(10, 100)]).await.unwrap();
    assert!(run.first > Ordinal(1), "ordinals that may have been answered are not reused");
    drop(engine);
    let engine = bench.open().await;
    let after = engine.read(&stream, shard, Ordinal(6), limit).await.unwrap();
    assert_eq!(after.records.iter().map(number).collect::<Vec<_>>(), [5, 6, 7, 8, 9, 10]);
}

#[tokio::test]
async fn a_flipped_bit_in_the_head_of_the_only_group_of_a_log_file_costs_no_record() {
    for (byte, bit) in [(0, 0), (4, 6), (94, 0), (95, 7)] {
        let bench = Bench::new(20);
        let engine = bench.open().await;
        let created = stream(&engine, "s", 1).await;
        // A file holds 60 KiB of groups.
        for n in 0..3 {
            append(&engine, &created.shards[0], &[payload(n, 40_000)]).await.unwrap();
        }
        drop(engine);
        bench.disk.flip_bit(&log_files(&bench)[1], 4096 + byte, bit).unwrap();
        let engine = bench.open().await;
        assert_eq!(engine.metrics().damaged_ranges.get(), 0, "bit {bit} of {byte}");
        assert_holds(&engine, "s", 0, 0..3).await;
    }
}

#[tokio::test]
async fn a_lost_end_of_a_shard_is_reported_until_its_retention_is_over() {
    let bench = Bench::new(18);
    let mut engine = bench.open().await;
    let created = stream(&engine, "s", 2).await;
    for shard in &created.shards {
        append(&engine, shard, &[payload(0, 100)]).await.unwrap();
    }
    let open = uniform_ranges(2).into_iter().map(|range| NewShard {
        range,
        created_seconds: START.seconds() + 1,
        parents: vec![ShardIndex(0), ShardIndex(1)],
    });
    let reshard = Reshard { close: vec![ShardIndex(0), ShardIndex(1)], open: open.collect() };
    engine.reshard(created.id, reshard, START, vec![]).await.unwrap();
    drop(engine);
    // The group of the first shard, of which nothing was copied.
    bench.disk.spoil_sector(&log_files(&bench)[0], 8, false).unwrap();
    let read = async |engine: &Engine| {
        let (stream, limit) = (found(engine, "s"), ReadLimit { records: 100, bytes: 1 << 20 });
        engine.read(&stream, &stream.shards[0], Ordinal(1), limit).await
    };
    for _ in 0..2 {
        engine = bench.open().await;
        let damaged = read(&engine).await;
        let Err(ReadError::Damaged { first, last, .. }) = damaged else { panic!("{damaged:?}") };
        assert_eq!((first, last), (Ordinal(1), Ordinal(1)));
        // The next start finds this in a manifest, not in the log.
        engine.close().await;
    }
    bench.clock.advance_ms(24 * 3_600_000 + 1);
    let expired = read(&bench.open().await).await.unwrap();
    assert!(expired.at_end && expired.next == Ordinal(2), "{expired:?}");
}

#[tokio::test]
async fn a_record_damaged_in_the_log_is_reported_and_its_neighbours_are_read() {
    let bench = Bench::new(12);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    append(&engine, &created.shards[0], &[payload(0, 100), payload(1, 100)]).await.unwrap();
    append(&engine, &created.shards[0], &[payload(2, 100)]).await.unwrap();
    drop(engine);
    let wanted = payload(0, 100);
    let log = log_files(&bench)[0].clone();
    let at = bench.disk.snapshot()[&log].windows(100).position(|bytes| bytes == wanted).unwrap();
    bench.disk.flip_bit(&log, at + 50, 3).unwrap();
    let engine = bench.open().await;
    let (stream, limit) = (found(&engine, "s"), ReadLimit { records: 100, bytes: 1 << 20 });
    let damaged = engine.read(&stream, &stream.shards[0], Ordinal(1), limit).await;
    let Err(ReadError::Damaged { first, last, .. }) = damaged else { panic!("{damaged:?}") };
    assert_eq!((first, last), (Ordinal(1), Ordinal(1)));
    let after = engine.read(&stream, &stream.shards[0], Ordinal(2), limit).await.unwrap();
    assert_eq!(after.records.iter().map(number).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn bits_that_flip_in_reads_of_the_log_again_and_again_cost_no_record() {
    for seed in 0..40 {
        let bench = Bench::new(seed);
        let engine = bench.open().await;
        let created = stream(&engine, "s", 1).await;
        append(&engine, &created.shards[0], &[payload(0, 50_000)]).await.unwrap();
        append(&engine, &created.shards[0], &[payload(1, 100)]).await.unwrap();
        drop(engine);
        // Identity and two mirrors of the catalogue are read before; then two log files.
        for nth in 4..9 {
            bench.disk.fail_nth(Operation::Read, nth, Fault::FlippedRead);
        }
        let engine = bench.open().await;
        engine.checkpoint().await.unwrap();
        assert_holds(&engine, "s", 0, 0..2).await;
    }
}

#[tokio::test]
async fn a_bit_that_flips_while_a_segment_moves_to_a_new_file_costs_no_record() {
    for seed in 0..40 {
        let bench = Bench::new(seed);
        let engine = bench.open().await;
        let created = stream(&engine, "s", 1).await;
        append(&engine, &created.shards[0], &[payload(0, 20_000)]).await.unwrap();
        engine.checkpoint().await.unwrap();
        drop(engine);
        // What a checkpoint that never came to its manifest has left.
        let segment = segment_files(&bench).remove(0);
        let file = bench.disk.device(bench.clock.clone()).files.open(&segment).await.unwrap();
        file.write(file.bytes().await.unwrap(), vec![vec![1; 9000].into()]).await.unwrap();
        let engine = bench.open().await;
        append(&engine, &created.shards[0], &[payload(1, 100)]).await.unwrap();
        bench.disk.fail_nth(Operation::Read, 2, Fault::FlippedRead);
        engine.checkpoint().await.unwrap();
        assert_eq!(bench.disk.faults_met()[&(Operation::Read, Fault::FlippedRead)], 1);
        assert_holds(&engine, "s", 0, 0..2).await;
    }
}

#[tokio::test]
async fn a_segment_without_a_sound_batch_takes_no_other_along() {
    let bench = Bench::new(15);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    let shard = &created.shards[0];
    append(&engine, shard, &[payload(0, 100)]).await.unwrap();
    engine.close().await;
    drop(engine);
    // A start makes a new segment, and the next start must seal it by what it finds there.
    let engine = bench.open().await;
    append(&engine, shard, &[payload(1, 100)]).await.unwrap();
    engine.close().await;
    drop(engine);
    let files = bench.disk.snapshot().into_keys();
    let newest = files.filter(|path| path.extension().is_some_and(|it| it == "seg")).max();
    bench.disk.alter(&newest.unwrap(), |bytes| bytes[4096..].fill(0xa5)).unwrap();
    let engine = bench.open().await;
    append(&engine, shard, &[payload(2, 100)]).await.unwrap();
    engine.checkpoint().await.unwrap();
    engine.run_retention().await;
    let limit = ReadLimit { records: 10, bytes: 10_000 };
    let read = engine.read(&created, shard, Ordinal::FIRST, limit).await.unwrap();
    assert_eq!(read.records.iter().map(number).collect::<Vec<_>>(), [0]);
    let found = engine.ordinal_at(shard, bench.clock_now()).await.unwrap();
    assert_eq!(found, Ordinal::FIRST, "all arrived in one millisecond");
    let error = engine.read(&created, shard, read.next, limit).await.err();
    assert!(matches!(error, Some(ReadError::Damaged { .. })), "{error:?}");
}

/// A store that was ended with two batches in its segment.
async fn with_two_batches(seed: u64) -> (Bench, PathBuf) {
    with_batches(seed, &[5000, 5000]).await
}

/// A store that was ended with records of so many bytes in its segment, each in its own batch.
async fn with_batches(seed: u64, sizes: &[usize]) -> (Bench, PathBuf) {
    let bench = Bench::new(seed);
    let engine = bench.open().await;
    let created = stream(&engine, "s", 1).await;
    for (n, bytes) in (0..).zip(sizes) {
        append(&engine, &created.shards[0], &[payload(n, *bytes)]).await.unwrap();
    }
    engine.checkpoint().await.unwrap();
    drop(engine);
    let segment = segment_files(&bench).remove(0);
    (bench, segment)
}

/// Goes on in a new segment; the next checkpoint seals the one before, by what it finds there.
async fn open_and_append(bench: &Bench) -> Engine {
    let engine = bench.open().await;
    append(&engine, &found(&engine, "s").shards[0], &[payload(2, 10)]).await.unwrap();
    engine
}

/// What `verify` finds to be lost.
async fn lost(bench: &Bench) -> Vec<String> {
    let report = verify(&bench.disk.device(bench.clock.clone()), Path::new("/data")).await.unwrap();
    let lost = report.findings.into_iter().filter(|finding| !finding.harmless);
    lost.map(|finding| finding.message).collect()
}

#[tokio::test]
async fn a_footer_agrees_with_a_batch_whose_header_had_a_flipped_bit() {
    for bit in 0..64 {
        let (bench, segment) = with_two_batches(16).await;
        bench.disk.flip_bit(&segment, 4096 + bit / 8, u8::try_from(bit % 8).unwrap()).unwrap();
        let engine = open_and_append(&bench).await;
        engine.checkpoint().await.unwrap();
        drop(engine);
        assert_eq!(lost(&bench).await, [""; 0], "bit {bit}");
    }
}

#[tokio::test]
async fn a_footer_leaves_out_no_batch_that_could_not_be_read_for_a_moment() {
    let (bench, _) = with_two_batches(17).await;
    let engine = open_and_append(&bench).await;
    // A read, and the attempt after it.
    for nth in 1..=2 {
        bench.disk.fail_nth(Operation::Read, nth, Fault::Io);
    }
    engine.checkpoint().await.unwrap();
    assert_eq!(bench.disk.faults_met()[&(Operation::Read, Fault::Io)], 2);
    drop(engine);
    assert_eq!(lost(&bench).await, [""; 0]);
}

/// The numbers of all records that are left, past every damage.
async fn read_around(engine: &Engine) -> Vec<u64> {
    let created = found(engine, "s");
    let (mut numbers, mut next) = (Vec::new(), Ordinal::FIRST);
    loop {
        let limit = ReadLimit { records: 10, bytes: 100_000 };
        match engine.read(&created, &created.shards[0], next, limit).await {
            Ok(read) if read.records.is_empty() => return numbers,
            Ok(read) => {
                numbers.extend(read.records.iter().map(number));
                next = read.next;
            }
            Err(ReadError::Damaged { last, .. }) => next = last.plus(1),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_segment_whose_last_page_cannot_be_read_costs_what_stands_there() {
    // The file ends at many places of a page, a batch or its footer in the last whole one.
    for size in (20..4200).step_by(24) {
        for is_sealed in [false, true] {
            let (bench, segment) = with_batches(18, &[5000, size]).await;
            if is_sealed {
                open_and_append(&bench).await.checkpoint().await.unwrap();
            }
            let stored = bench.disk.snapshot()[&segment].clone();
            let bad = (stored.len() / 4096 - 1) * 4096;
            bench.disk.make_unreadable(&segment, bad..bad + 4096).unwrap();
            let engine = open_and_append(&bench).await;
            engine.checkpoint().await.unwrap();
            let left = read_around(&engine).await;
            for (n, size) in [(0, 5000), (1, size)] {
                let digits = payload(n, 20);
                let at = stored.windows(20).position(|bytes| bytes == digits).unwrap();
                // Headers and names take less than 200 bytes.
                let is_hit = at < bad + 4096 && bad < at + size;
                let is_far = at > bad + 4096 + 200 || bad > at + size + 200;
                assert!(!(is_hit && left.contains(&n)), "record {n}, {size}: {left:?}");
                assert!(!is_far || left.contains(&n), "record {n}, {size}: {left:?}");
            }
            assert!(left.ends_with(&[2, 2][..=usize::from(is_sealed)]), "{size}: {left:?}");
        }
    }
}
