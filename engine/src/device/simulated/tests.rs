//! What a power cut and faults leave, call by call.

use std::collections::BTreeSet;
use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use super::{Fault, Operation, SimulatedDisk, Survive};
use crate::device::aligned::GroupBuffer;
use crate::device::clock::ManualClock;
use crate::device::{Device, File, Files, LocalBoxFuture, LogDevice};
use crate::types::Timestamp;

const SECTOR: usize = 512;

fn device(disk: &SimulatedDisk) -> Device {
    disk.device(Arc::new(ManualClock::new(Timestamp(0))))
}

fn files(disk: &SimulatedDisk) -> Arc<dyn Files> {
    device(disk).files
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn create(disk: &SimulatedDisk, path: &str) -> Arc<dyn File> {
    block_on(files(disk).create(Path::new(path))).unwrap()
}

fn write(file: &Arc<dyn File>, offset: usize, bytes: &[u8]) {
    let pieces = vec![Bytes::copy_from_slice(bytes)];
    block_on(file.write(offset as u64, pieces)).unwrap();
}

fn sync_root(disk: &SimulatedDisk) {
    block_on(files(disk).sync_dir(Path::new("/"))).unwrap();
}

/// A disk with one durable file of `sectors` zeroed sectors, open.
fn disk_with_file(sectors: usize) -> (SimulatedDisk, Arc<dyn File>) {
    let disk = SimulatedDisk::from_snapshot(7, [("/a".into(), vec![0; sectors * SECTOR])].into());
    let file = block_on(files(&disk).open(Path::new("/a"))).unwrap();
    (disk, file)
}

fn content(disk: &SimulatedDisk, path: &str) -> Option<Vec<u8>> {
    disk.snapshot().remove(Path::new(path))
}

/// The first byte of each sector of the file at `path`.
fn tags(disk: &SimulatedDisk, path: &str) -> Vec<u8> {
    let content = content(disk, path).unwrap();
    content.chunks(SECTOR).map(|sector| sector[0]).collect()
}

/// Every outcome that 300 seeds find.
fn outcomes<T: Ord>(
    disk: &SimulatedDisk,
    survive: Survive,
    look: impl Fn(SimulatedDisk) -> T,
) -> BTreeSet<T> {
    (0..300).map(|seed| look(disk.after_power_cut(seed, survive))).collect()
}

/// Runs a future up to its first pause.
fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> bool {
    block_on(std::future::poll_fn(|cx| {
        let pending = std::pin::Pin::new(&mut *future).poll(cx).is_pending();
        Poll::Ready(pending)
    }))
}

#[test]
fn a_cut_that_keeps_nothing_leaves_exactly_what_was_synced() {
    let disk = SimulatedDisk::new(1);
    let kept = create(&disk, "/kept");
    write(&kept, 0, b"synced");
    block_on(kept.sync_data()).unwrap();
    sync_root(&disk);
    write(&kept, 3, b"later and longer");
    create(&disk, "/unnamed");
    let found = disk.after_power_cut(1, Survive::None).snapshot();
    assert_eq!(found, [(PathBuf::from("/kept"), b"synced".to_vec())].into());
    assert_eq!(disk.after_power_cut(1, Survive::All).snapshot(), disk.snapshot());
}

#[test]
fn any_subset_of_unsynced_sectors_is_found() {
    let (disk, file) = disk_with_file(3);
    write(&file, SECTOR, &[1; 2 * SECTOR]);
    write(&file, 2 * SECTOR, &[2; SECTOR]);
    let found = outcomes(&disk, Survive::Random, |disk| tags(&disk, "/a"));
    let all = [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 0], [0, 1, 1], [0, 1, 2]];
    assert_eq!(found, all.map(Vec::from).into());
}

#[test]
fn length_and_bytes_survive_apart() {
    let (disk, file) = disk_with_file(1);
    write(&file, SECTOR, &[1; SECTOR]);
    let found = outcomes(&disk, Survive::Random, |disk| tags(&disk, "/a"));
    assert_eq!(found, [vec![0], vec![0, 0], vec![0, 1]].into());
}

#[test]
fn a_torn_cut_finds_all_changes_up_to_one_moment() {
    let (disk, file) = disk_with_file(4);
    write(&file, SECTOR, &[1; 3 * SECTOR]);
    write(&file, 0, &[2; 2 * SECTOR]);
    let found = outcomes(&disk, Survive::Torn, |disk| tags(&disk, "/a"));
    let moments =
        [[0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1], [2, 1, 1, 1], [2, 2, 1, 1]];
    assert_eq!(found, moments.map(Vec::from).into());
}

#[test]
fn a_name_is_durable_only_once_its_directory_was_synced() {
    let disk = SimulatedDisk::new(1);
    let file = create(&disk, "/new");
    write(&file, 0, b"data");
    block_on(file.sync_data()).unwrap();
    block_on(files(&disk).sync_all_files(Path::new("/"))).unwrap();
    let found = outcomes(&disk, Survive::Random, |disk| content(&disk, "/new"));
    assert_eq!(found, [None, Some(b"data".to_vec())].into());
    sync_root(&disk);
    let found = outcomes(&disk, Survive::Random, |disk| content(&disk, "/new"));
    assert_eq!(found, [Some(b"data".to_vec())].into());
}

#[test]
fn an_unsynced_rename_finds_the_target_old_or_new_and_never_missing() {
    let files_at_rest = [("/old".into(), b"old".to_vec()), ("/new".into(), b"new".to_vec())];
    let disk = SimulatedDisk::from_snapshot(1, files_at_rest.into());
    block_on(files(&disk).rename(Path::new("/new"), Path::new("/old"))).unwrap();
    let look = |disk: SimulatedDisk| (content(&disk, "/old"), content(&disk, "/new"));
    let (old, new) = (b"old".to_vec(), b"new".to_vec());
    let before = (Some(old), Some(new.clone()));
    let after = (Some(new), None);
    assert_eq!(outcomes(&disk, Survive::Random, look), [before, after.clone()].into());
    sync_root(&disk);
    assert_eq!(outcomes(&disk, Survive::Random, look), [after].into());
}

#[test]
fn a_removed_file_may_come_back_until_its_directory_was_synced() {
    let (disk, _file) = disk_with_file(1);
    block_on(files(&disk).remove(Path::new("/a"))).unwrap();
    let is_there = |disk: SimulatedDisk| content(&disk, "/a").is_some();
    assert_eq!(outcomes(&disk, Survive::Random, is_there), [false, true].into());
    sync_root(&disk);
    assert_eq!(outcomes(&disk, Survive::Random, is_there), [false].into());
}

#[test]
fn what_lies_in_a_lost_directory_is_lost() {
    let disk = SimulatedDisk::new(1);
    let dir = Path::new("/data");
    block_on(files(&disk).create_dir_all(dir)).unwrap();
    create(&disk, "/data/a");
    block_on(files(&disk).sync_dir(dir)).unwrap();
    let is_there = |disk: SimulatedDisk| content(&disk, "/data/a").is_some();
    assert_eq!(outcomes(&disk, Survive::None, is_there), [false].into());
    sync_root(&disk);
    assert_eq!(outcomes(&disk, Survive::None, is_there), [true].into());
}

#[test]
fn handles_of_before_a_power_cut_fail_and_new_ones_work() {
    let (disk, file) = disk_with_file(1);
    let held = block_on(files(&disk).lock(Path::new("/lock"))).unwrap();
    let found = disk.power_cut(1, Survive::All);
    block_on(file.read(0, 1)).unwrap_err();
    block_on(file.write(0, vec![Bytes::from_static(b"x")])).unwrap_err();
    block_on(file.sync_data()).unwrap_err();
    block_on(files(&disk).list(Path::new("/"))).unwrap_err();
    let again = block_on(files(&found).open(Path::new("/a"))).unwrap();
    write(&again, 0, b"x");
    assert!(block_on(files(&found).lock(Path::new("/lock"))).unwrap().is_some());
    drop(held);
}

#[test]
fn a_sync_covers_only_what_was_written_before_it_began() {
    let (disk, file) = disk_with_file(2);
    write(&file, 0, &[1; SECTOR]);
    disk.set_pauses_max(1000);
    let mut sync = file.sync_data();
    assert!(poll_once(&mut sync), "the seed makes it pause");
    disk.set_pauses_max(0);
    write(&file, 0, &[2; 2 * SECTOR]);
    block_on(sync).unwrap();
    assert_eq!(tags(&disk.after_power_cut(1, Survive::None), "/a"), [1, 0]);
    assert_eq!(tags(&disk.after_power_cut(1, Survive::All), "/a"), [2, 2]);
}

#[test]
fn a_failed_sync_loses_pages_that_stay_visible_and_the_next_sync_is_fine() {
    let (disk, file) = disk_with_file(1);
    write(&file, 0, &[1; SECTOR]);
    disk.fail_sync_once_losing_pages();
    block_on(file.sync_data()).unwrap_err();
    block_on(file.sync_data()).unwrap();
    assert_eq!(block_on(file.read(0, 1)).unwrap(), &[1][..]);
    assert_eq!(tags(&disk.after_power_cut(1, Survive::All), "/a"), [0]);
}

#[test]
fn the_nth_call_fails_and_no_other() {
    let (disk, file) = disk_with_file(1);
    disk.fail_nth(Operation::Read, 2, Fault::Io);
    disk.fail_nth(Operation::Any, 4, Fault::Full);
    let failed: Vec<_> = (0..5)
        .map(|_| block_on(file.read(0, 1)).err().map(|error| (error.operation, error.is_full())))
        .collect();
    assert_eq!(failed, [None, Some(("read", false)), None, Some(("read", true)), None]);
    assert_eq!(disk.calls(Operation::Read), 5);
}

#[test]
fn a_failed_write_leaves_a_part_of_its_bytes() {
    let left: BTreeSet<usize> = (0..100)
        .map(|seed| {
            let disk = SimulatedDisk::new(seed);
            let file = create(&disk, "/a");
            disk.fail_nth(Operation::Write, 1, Fault::Io);
            block_on(file.write(0, vec![Bytes::from_static(&[1; 3])])).unwrap_err();
            content(&disk, "/a").unwrap().len()
        })
        .collect();
    assert_eq!(left, [0, 1, 2, 3].into());
}

#[test]
fn a_full_disk_refuses_growth_until_space_is_freed() {
    let (disk, file) = disk_with_file(2);
    disk.set_capacity(Some(1500));
    let free = || block_on(files(&disk).free_bytes(Path::new("/"))).unwrap();
    assert_eq!(free(), 476);
    let other = create(&disk, "/b");
    let grow = || block_on(other.write(0, vec![Bytes::from(vec![1; 600])]));
    assert!(grow().unwrap_err().is_full());
    write(&file, 0, &[1; SECTOR]);
    block_on(files(&disk).remove(Path::new("/a"))).unwrap();
    grow().unwrap();
    assert_eq!(free(), 900);
}

#[test]
fn damage_at_rest_reaches_the_page_cache_and_the_device() {
    let (disk, _file) = disk_with_file(3);
    let path = Path::new("/a");
    disk.flip_bit(path, SECTOR, 1).unwrap();
    assert_eq!(tags(&disk, "/a"), [0, 2, 0]);
    disk.swap_sectors(path, 1, 2).unwrap();
    assert_eq!(tags(&disk.after_power_cut(1, Survive::None), "/a"), [0, 0, 2]);
    disk.spoil_sector(path, 2, true).unwrap();
    assert_eq!(content(&disk, "/a").unwrap(), [0; 3 * SECTOR]);
    disk.spoil_sector(path, 0, false).unwrap();
    assert_ne!(content(&disk, "/a").unwrap()[..SECTOR], [0; SECTOR]);
    let missing = disk.flip_bit(Path::new("/b"), 0, 0).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

/// Runs a log thread's body over the log file "/a".
fn on_log(disk: &SimulatedDisk, body: fn(SimulatedDisk, Rc<dyn LogDevice>) -> LocalBoxFuture<()>) {
    let moved = disk.clone();
    device(disk).log.block_on(Box::new(move |log| body(moved, log))).unwrap();
}

fn group(tag: u8, bytes: usize) -> Bytes {
    let mut buffer = GroupBuffer::zeroed(bytes);
    buffer.as_mut_slice().fill(tag);
    buffer.freeze()
}

#[test]
fn a_completed_log_write_survives_every_cut() {
    let (disk, file) = disk_with_file(24);
    write(&file, 4096, &[9; 4096]);
    on_log(&disk, |_, log| {
        Box::pin(async move {
            let file = log.open("/a".into()).await.unwrap();
            file.write_durable(4096, group(1, 4096)).await.unwrap();
        })
    });
    let expected = [[0; 8], [1; 8], [0; 8]].concat();
    for survive in [Survive::None, Survive::Random, Survive::Torn, Survive::All] {
        let found = outcomes(&disk, survive, |disk| tags(&disk, "/a"));
        assert_eq!(found, [expected.clone()].into());
    }
}

#[test]
fn a_log_write_in_flight_at_a_cut_is_found_in_part_and_fails() {
    let (disk, _file) = disk_with_file(8);
    disk.set_pauses_max(1000);
    on_log(&disk, |disk, log| {
        Box::pin(async move {
            let file = log.open("/a".into()).await.unwrap();
            let mut write = file.write_durable(0, group(1, 4096));
            let pending = std::future::poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await;
            assert!(pending.is_pending(), "the seed makes it pause");
            let found = outcomes(&disk, Survive::Random, |disk| tags(&disk, "/a"));
            assert!(found.len() > 20);
            let torn = outcomes(&disk, Survive::Torn, |disk| {
                tags(&disk, "/a").iter().map(|tag| usize::from(*tag)).sum::<usize>()
            });
            assert_eq!(torn, (0..=8).collect());
            let _found = disk.power_cut(1, Survive::None);
            write.await.unwrap_err();
        })
    });
}

#[test]
fn one_seed_gives_one_run() {
    let run = |seed| {
        let disk = SimulatedDisk::new(seed);
        disk.set_pauses_max(5);
        disk.fail_nth(Operation::Write, 3, Fault::Io);
        let device = device(&disk);
        block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for tag in 1..=6_u8 {
                let files = Arc::clone(&device.files);
                tasks.spawn(async move {
                    let file = files.create(Path::new(&format!("/{tag}"))).await.unwrap();
                    let _may_fail = file.write(0, vec![Bytes::from(vec![tag; 2000])]).await;
                    file.sync_data().await.unwrap();
                });
            }
            tasks.join_all().await;
        });
        let found = disk.after_power_cut(seed, Survive::Random).snapshot();
        (disk.snapshot(), found, device.entropy.next_u128())
    };
    for seed in 0..20 {
        assert!(run(seed) == run(seed), "seed {seed}");
    }
    assert!(run(1) != run(2));
}
