//! One set of checks for every implementation of the device traits.

use std::cell::RefCell;
use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;

use bytes::Bytes;

use super::aligned::GroupBuffer;
use super::clock::ManualClock;
use super::posix::{PosixFiles, PosixLog};
use super::simulated::SimulatedDisk;
use super::uring::UringLog;
use super::{Device, DirEntry, File, Files, LogChoice, LogDevice, LogRuntime};
use crate::limits::PAGE_BYTES;
use crate::types::Timestamp;

/// What is under test, and a fresh directory on it.
struct Subject {
    files: Arc<dyn Files>,
    log: Arc<dyn LogRuntime>,
    dir: PathBuf,
    /// Removes the real directory at the end.
    _kept: Option<tempfile::TempDir>,
}

impl Subject {
    fn on_disk(log: Arc<dyn LogRuntime>) -> Self {
        let kept = tempfile::tempdir().unwrap();
        let files = Arc::new(PosixFiles::new(2).unwrap());
        Self { files, log, dir: kept.path().to_path_buf(), _kept: Some(kept) }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the macro calls all makers alike")]
    fn posix() -> Option<Self> {
        Some(Self::on_disk(Arc::new(PosixLog)))
    }

    fn uring() -> Option<Self> {
        let kept = tempfile::tempdir().unwrap();
        match UringLog::probe(kept.path()) {
            Ok(log) => Some(Self::on_disk(Arc::new(log))),
            Err(reason) => {
                println!("skipped: {reason}");
                None
            }
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the macro calls all makers alike")]
    fn simulated() -> Option<Self> {
        let device = SimulatedDisk::new(1).device(Arc::new(ManualClock::new(Timestamp(0))));
        let dir = PathBuf::from("/data");
        block_on(device.files.create_dir_all(&dir)).unwrap();
        Some(Self { files: device.files, log: device.log, dir, _kept: None })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn create(&self, name: &str, content: &[u8]) -> Arc<dyn File> {
        let file = block_on(self.files.create(&self.path(name))).unwrap();
        block_on(file.write(0, vec![Bytes::copy_from_slice(content)])).unwrap();
        file
    }

    fn content(&self, name: &str) -> Bytes {
        let file = block_on(self.files.open_read(&self.path(name))).unwrap();
        block_on(file.read(0, usize::MAX)).unwrap()
    }

    /// Runs `body` on the log's runtime and returns what it returns.
    fn on_log<T, Run, Body>(&self, body: Body) -> T
    where
        T: Send + 'static,
        Run: Future<Output = T> + 'static,
        Body: FnOnce(Rc<dyn LogDevice>) -> Run + Send + 'static,
    {
        let (answer, answered) = mpsc::channel();
        let main = move |device| -> super::LocalBoxFuture<()> {
            Box::pin(async move { answer.send(body(device).await).unwrap() })
        };
        self.log.block_on(Box::new(main)).unwrap();
        answered.recv().unwrap()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// Aligned bytes that differ from page to page.
fn pages(tag: u8, bytes: usize) -> Bytes {
    let mut buffer = GroupBuffer::zeroed(bytes);
    for (page, number) in buffer.as_mut_slice().chunks_mut(PAGE_BYTES).zip(0_u64..) {
        page.fill(tag);
        page[..8].copy_from_slice(&number.to_le_bytes());
    }
    buffer.freeze()
}

#[test]
fn a_probe_leaves_no_file_and_needs_no_directory_of_its_own() {
    let kept = tempfile::tempdir().unwrap();
    let missing = kept.path().join("not/there/yet");
    let (device, reason) = Device::system(&missing, LogChoice::Auto).unwrap();
    assert_eq!(reason.is_some(), device.log.name() == "posix");
    assert_eq!(block_on(device.files.list(kept.path())).unwrap(), []);
    let (device, reason) = Device::system(&missing, LogChoice::Posix).unwrap();
    assert_eq!((device.log.name(), reason), ("posix", None));
}

/// Makes each check a test of every implementation.
macro_rules! suite {
    ($($check:ident),+ $(,)?) => {
        mod posix { $(#[test] fn $check() { if let Some(on) = super::Subject::posix() { super::$check(&on) } })+ }
        mod uring { $(#[test] fn $check() { if let Some(on) = super::Subject::uring() { super::$check(&on) } })+ }
        mod simulated { $(#[test] fn $check() { if let Some(on) = super::Subject::simulated() { super::$check(&on) } })+ }
    };
}

suite![
    a_created_file_is_listed_with_its_length,
    create_refuses_an_existing_name,
    a_private_file_is_written_and_read_like_any_other,
    open_and_list_refuse_what_is_missing,
    a_file_opened_for_reading_refuses_writes,
    rename_replaces_its_target,
    a_removed_file_serves_those_who_hold_it,
    reads_end_where_the_file_ends,
    pieces_are_written_in_order_and_gaps_read_as_zeros,
    syncs_and_free_space_answer,
    a_map_shows_the_file_and_outlives_its_name,
    the_lock_is_exclusive_until_dropped,
    groups_of_every_size_read_back,
    unaligned_log_writes_are_refused,
    log_writes_in_flight_together_all_land,
    no_write_is_in_flight_after_block_on_returned,
    timers_and_local_tasks_run_on_the_log_runtime,
    a_log_write_completes_while_other_tasks_never_pause,
];

fn a_created_file_is_listed_with_its_length(on: &Subject) {
    on.create("a", b"12345");
    block_on(on.files.create_dir_all(&on.path("directory/below"))).unwrap();
    block_on(on.files.create_dir_all(&on.path("directory"))).unwrap();
    let listed = block_on(on.files.list(&on.dir)).unwrap();
    assert_eq!(listed, [DirEntry { name: "a".into(), bytes: 5 }]);
    assert_eq!(block_on(on.files.list(&on.path("directory"))).unwrap(), []);
}

fn create_refuses_an_existing_name(on: &Subject) {
    on.create("a", b"kept");
    for created in [on.files.create(&on.path("a")), on.files.create_private(&on.path("a"))] {
        let refused = block_on(created).err().unwrap();
        assert_eq!(refused.kind, ErrorKind::AlreadyExists);
        assert_eq!(refused.path, on.path("a"));
    }
    assert_eq!(on.content("a"), &b"kept"[..]);
}

fn a_private_file_is_written_and_read_like_any_other(on: &Subject) {
    let file = block_on(on.files.create_private(&on.path("a"))).unwrap();
    block_on(file.write(0, vec![Bytes::from_static(b"secret")])).unwrap();
    assert_eq!(on.content("a"), &b"secret"[..]);
}

fn open_and_list_refuse_what_is_missing(on: &Subject) {
    let missing = on.path("missing");
    let kind = |error: Option<crate::error::DeviceError>| error.map(|error| error.kind);
    let not_found = Some(ErrorKind::NotFound);
    assert_eq!(kind(block_on(on.files.open(&missing)).err()), not_found);
    assert_eq!(kind(block_on(on.files.open_read(&missing)).err()), not_found);
    assert_eq!(kind(block_on(on.files.list(&missing)).err()), not_found);
    assert_eq!(kind(block_on(on.files.remove(&missing)).err()), not_found);
    assert_eq!(kind(block_on(on.files.rename(&missing, &on.path("b"))).err()), not_found);
    assert_eq!(kind(block_on(on.files.create(&missing.join("below"))).err()), not_found);
    let opened = on.on_log(move |device| async move { device.open(missing).await.err() });
    assert_eq!(kind(opened), not_found);
}

fn a_file_opened_for_reading_refuses_writes(on: &Subject) {
    on.create("a", b"kept");
    let file = block_on(on.files.open_read(&on.path("a"))).unwrap();
    block_on(file.write(0, vec![Bytes::from_static(b"lost")])).unwrap_err();
    assert_eq!(on.content("a"), &b"kept"[..]);
}

fn rename_replaces_its_target(on: &Subject) {
    on.create("new", b"new");
    on.create("old", b"old one");
    block_on(on.files.rename(&on.path("new"), &on.path("old"))).unwrap();
    let listed = block_on(on.files.list(&on.dir)).unwrap();
    assert_eq!(listed, [DirEntry { name: "old".into(), bytes: 3 }]);
    assert_eq!(on.content("old"), &b"new"[..]);
}

fn a_removed_file_serves_those_who_hold_it(on: &Subject) {
    let file = on.create("a", b"still here");
    block_on(on.files.remove(&on.path("a"))).unwrap();
    assert_eq!(block_on(on.files.list(&on.dir)).unwrap(), []);
    assert_eq!(block_on(file.read(6, 4)).unwrap(), &b"here"[..]);
}

fn reads_end_where_the_file_ends(on: &Subject) {
    let file = on.create("a", b"0123456789");
    assert_eq!(block_on(file.bytes()).unwrap(), 10);
    assert_eq!(block_on(file.read(2, 3)).unwrap(), &b"234"[..]);
    assert_eq!(block_on(file.read(7, 100)).unwrap(), &b"789"[..]);
    assert_eq!(block_on(file.read(10, 1)).unwrap(), Bytes::new());
    assert_eq!(block_on(file.read(u64::MAX, usize::MAX)).unwrap(), Bytes::new());
}

fn pieces_are_written_in_order_and_gaps_read_as_zeros(on: &Subject) {
    let file = on.create("a", b"");
    let pieces = [&b"one"[..], b"", b"two"].map(Bytes::from_static).to_vec();
    block_on(file.write(5, pieces)).unwrap();
    assert_eq!(on.content("a"), &b"\0\0\0\0\0onetwo"[..]);
    block_on(file.write(6, vec![Bytes::from_static(b"!")])).unwrap();
    assert_eq!(on.content("a"), &b"\0\0\0\0\0o!etwo"[..]);
    block_on(file.write(0, Vec::new())).unwrap();
    let many = (0..=255).cycle().take(2500).map(|tag| Bytes::from(vec![tag])).collect::<Vec<_>>();
    block_on(file.write(0, many.clone())).unwrap();
    assert_eq!(on.content("a"), many.concat());
}

fn syncs_and_free_space_answer(on: &Subject) {
    let file = on.create("a", b"data");
    block_on(file.sync_data()).unwrap();
    block_on(on.files.sync_dir(&on.dir)).unwrap();
    block_on(on.files.sync_all_files(&on.dir)).unwrap();
    block_on(on.files.sync_all_files(&on.dir)).unwrap();
    assert!(block_on(on.files.free_bytes(&on.dir)).unwrap() > 0);
    let missing = block_on(on.files.sync_dir(&on.path("missing"))).unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
}

fn a_map_shows_the_file_and_outlives_its_name(on: &Subject) {
    let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let file = on.create("a", &content);
    let mapping = block_on(file.map()).unwrap();
    drop(file);
    block_on(on.files.remove(&on.path("a"))).unwrap();
    block_on(on.files.prefault(&on.path("a"), &mapping, 10..100_000)).unwrap();
    assert_eq!(mapping.bytes(), &content);
    let past_the_end = block_on(on.files.prefault(&on.path("a"), &mapping, 10..100_001));
    assert_eq!(past_the_end.unwrap_err().kind, ErrorKind::UnexpectedEof);
}

fn the_lock_is_exclusive_until_dropped(on: &Subject) {
    let lock = || block_on(on.files.lock(&on.path("lock"))).unwrap();
    let held = lock().expect("nobody has it");
    assert!(lock().is_none());
    drop(held);
    assert!(lock().is_some());
}

/// Writes each piece at its offset, one after the other.
fn write_log(on: &Subject, name: &str, writes: Vec<(u64, Bytes)>) -> Vec<Option<ErrorKind>> {
    let path = on.path(name);
    on.on_log(move |device| async move {
        let file = device.open(path).await.unwrap();
        let mut results = Vec::new();
        for (offset, bytes) in writes {
            results.push(file.write_durable(offset, bytes).await.err().map(|error| error.kind));
        }
        results
    })
}

fn groups_of_every_size_read_back(on: &Subject) {
    on.create("log", &vec![0; 6 << 20]);
    let sizes = [4 << 10, 8 << 10, 64 << 10, 1 << 20, 4 << 20];
    let (mut offset, mut expected, mut writes) = (0, Vec::new(), Vec::new());
    for (tag, bytes) in (1..).zip(sizes) {
        let group = pages(tag, bytes);
        expected.extend_from_slice(&group);
        writes.push((offset, group));
        offset += bytes as u64;
    }
    assert_eq!(write_log(on, "log", writes), [None; 5]);
    let content = on.content("log");
    assert_eq!(content.len(), 6 << 20, "the length does not change");
    assert!(content[..expected.len()] == expected);
    assert!(content[expected.len()..].iter().all(|byte| *byte == 0));
}

fn unaligned_log_writes_are_refused(on: &Subject) {
    on.create("log", &[7; 16384]);
    let group = pages(1, 8192);
    let writes = vec![
        (0, group.slice(..512)),
        (0, group.slice(512..4608)),
        (512, group.slice(..4096)),
        (4096, group.slice(..4096)),
    ];
    let refused = Some(ErrorKind::InvalidInput);
    assert_eq!(write_log(on, "log", writes), [refused, refused, refused, None]);
    let content = on.content("log");
    assert!(content[..4096].iter().chain(&content[8192..]).all(|byte| *byte == 7));
    assert_eq!(content[4096..8192], group[..4096]);
}

fn log_writes_in_flight_together_all_land(on: &Subject) {
    on.create("log", &vec![0; 64 << 10]);
    let path = on.path("log");
    on.on_log(move |device| async move {
        let file = device.open(path).await.unwrap();
        let writes: Vec<_> = (0..16_u8)
            .map(|tag| file.write_durable(u64::from(tag) * 4096, pages(tag, 4096)))
            .map(tokio::task::spawn_local)
            .collect();
        for write in writes {
            write.await.unwrap().unwrap();
        }
    });
    let expected: Vec<u8> = (0..16_u8).flat_map(|tag| pages(tag, 4096)).collect();
    assert!(on.content("log") == expected);
}

fn no_write_is_in_flight_after_block_on_returned(on: &Subject) {
    on.create("log", &vec![0; 1 << 20]);
    let path = on.path("log");
    on.on_log(move |device| async move {
        let file = device.open(path).await.unwrap();
        let mut write = file.write_durable(0, pages(9, 1 << 20));
        drop(file);
        std::future::poll_fn(|cx| {
            let _polled_once = write.as_mut().poll(cx);
            std::task::Poll::Ready(())
        })
        .await;
    });
    // Its outcome is unknown to the caller; that it is over is what counts. A ring that ends cancels
    // what is in flight, so a part of the write may have landed (io_uring_prep_cancel(3)).
    let after = on.content("log");
    let whole = pages(9, 1 << 20);
    let mut sectors = after.chunks(512).zip(whole.chunks(512));
    assert!(after.len() == whole.len());
    assert!(sectors.all(|(found, written)| found == written || found == [0; 512]));
    assert!(on.content("log") == after);
}

fn timers_and_local_tasks_run_on_the_log_runtime(on: &Subject) {
    let seen = on.on_log(|_device| async {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let task = tokio::task::spawn_local({
            let seen = Rc::clone(&seen);
            async move {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                seen.borrow_mut().push("task");
            }
        });
        task.await.unwrap();
        seen.borrow_mut().push("main");
        seen.take()
    });
    assert_eq!(seen, ["task", "main"]);
}

/// A ring whose entries are handed to the kernel only when its thread would go to sleep never
/// starts this write.
fn a_log_write_completes_while_other_tasks_never_pause(on: &Subject) {
    const YIELDS_MAX: u32 = 2_000_000;
    on.create("log", &[0; 4096]);
    let path: PathBuf = Path::new(&on.dir).join("log");
    let completed = on.on_log(move |device| async move {
        let file = device.open(path).await.unwrap();
        let write = tokio::task::spawn_local(file.write_durable(0, pages(1, 4096)));
        let mut yields = 0;
        while !write.is_finished() && yields < YIELDS_MAX {
            tokio::task::yield_now().await;
            yields += 1;
        }
        write.is_finished()
    });
    assert!(completed);
}
