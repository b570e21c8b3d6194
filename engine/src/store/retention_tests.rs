//! What expires and what does not, by decision and by sweep.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::catalog::tests::memory::Memory;
use crate::device::clock::ManualClock;
use crate::types::{
    HashKeyRange, NewShard, NewStream, Reshard, ShardEnd, StoreId, StreamChange, StreamId,
    StreamKey, StreamStatus, uniform_ranges,
};

const HOUR_MS: u64 = 3_600_000;
/// Time zero of the tests.
const START: u64 = 1_000 * HOUR_MS;

fn sealed(end: u64, last_arrival: u64) -> SegmentView {
    let extent = Extent { end: Ordinal(end), last_arrival: Timestamp(last_arrival) };
    SegmentView { extent: Some(extent), sealed: true }
}

const ACTIVE: SegmentView = SegmentView { extent: None, sealed: false };
const UNKNOWN: SegmentView = SegmentView { extent: None, sealed: true };

fn view(segments: &[SegmentView], last_arrival: u64) -> ShardView {
    ShardView {
        first_kept: Ordinal::FIRST,
        end: Ordinal(100),
        last_arrival: Timestamp(last_arrival),
        segments: segments.to_vec(),
    }
}

fn first_kept(view: &ShardView, horizon: u64) -> Option<u64> {
    let expired = expired(view, Timestamp(horizon))?;
    assert!(!expired.seal);
    Some(expired.first_kept.0)
}

#[test]
fn sealed_segments_go_when_their_last_record_has_expired() {
    let view = view(&[sealed(10, 50), sealed(20, 60), sealed(30, 70), ACTIVE], 80);
    assert_eq!(first_kept(&view, 50), None, "a record at the horizon is still readable");
    assert_eq!(first_kept(&view, 51), Some(10));
    assert_eq!(first_kept(&view, 70), Some(20));
    assert_eq!(first_kept(&view, 80), Some(30), "the active segment's last record is at it");
}

#[test]
fn a_wholly_expired_active_segment_is_sealed_to_go() {
    let view = view(&[sealed(10, 50), ACTIVE], 80);
    let expired = expired(&view, Timestamp(81)).unwrap();
    assert_eq!(expired, Expired { first_kept: Ordinal(100), seal: true });
}

#[test]
fn a_segment_of_unknown_extent_goes_with_a_later_one_only() {
    assert_eq!(first_kept(&view(&[UNKNOWN, ACTIVE], 80), 70), None);
    assert_eq!(first_kept(&view(&[UNKNOWN, sealed(20, 75), ACTIVE], 80), 70), None);
    assert_eq!(first_kept(&view(&[UNKNOWN, sealed(20, 65), UNKNOWN, ACTIVE], 80), 70), Some(20));
}

#[test]
fn what_was_given_up_stays_so() {
    let mut view = view(&[sealed(10, 50), ACTIVE], 80);
    view.first_kept = Ordinal(15);
    assert_eq!(first_kept(&view, 60), Some(15), "the leftover file goes, the mark does not fall");
    assert_eq!(first_kept(&view, 10), None);
}

#[test]
fn an_empty_shard_has_nothing_to_give_up() {
    let mut view = view(&[], 0);
    view.end = Ordinal::FIRST;
    assert_eq!(expired(&view, Timestamp(10)), None);
}

#[test]
fn a_closed_shard_goes_after_its_close_and_its_last_record() {
    let closed = |at| Shard {
        uid: ShardUid(1),
        index: ShardIndex(0),
        range: HashKeyRange { start: 0, end: u128::MAX },
        created_seconds: 0,
        parents: Vec::new(),
        arrivals_until: None,
        closed: Some(ShardEnd { closed_at: Timestamp(at), end: Ordinal(5) }),
        lost: Vec::new(),
    };
    assert!(!shard_expired(&closed(50), None, Timestamp(50)));
    assert!(shard_expired(&closed(50), None, Timestamp(51)));
    assert!(!shard_expired(&closed(50), Some(Timestamp(60)), Timestamp(60)));
    assert!(shard_expired(&closed(50), Some(Timestamp(60)), Timestamp(61)));
    let open = Shard { closed: None, ..closed(0) };
    assert!(!shard_expired(&open, None, Timestamp(u64::MAX)));
}

proptest! {
    #[test]
    fn no_record_inside_retention_is_given_up(
        mut arrivals in prop::collection::vec(0u64..100, 1..60),
        cuts in prop::collection::btree_set(1usize..60, 0..6),
        unknown in any::<[bool; 8]>(),
        horizon in 0u64..110,
    ) {
        arrivals.sort_unstable();
        let mut segments = Vec::new();
        for (&cut, unknown) in cuts.iter().filter(|cut| **cut < arrivals.len()).zip(unknown) {
            let known = sealed(cut as u64 + 1, arrivals[cut - 1]);
            segments.push(if unknown { UNKNOWN } else { known });
        }
        segments.push(ACTIVE);
        let end = arrivals.len() as u64 + 1;
        let mut view = view(&segments, *arrivals.last().unwrap());
        view.end = Ordinal(end);
        let kept = expired(&view, Timestamp(horizon)).map_or(1, |expired| expired.first_kept.0);
        for (ordinal, &arrival) in (1..).zip(&arrivals) {
            prop_assert!(ordinal >= kept || arrival < horizon);
        }
    }
}

/// A store of shards that keep what they are told.
#[derive(Default)]
struct Shelf {
    logs: Mutex<HashMap<ShardUid, Arc<ShardLog>>>,
    extents: Mutex<HashMap<SegmentId, Extent>>,
    asked: Mutex<u64>,
    done: Mutex<Vec<Command>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Command {
    Seal(ShardUid),
    Trim(ShardUid, Ordinal),
    Remove(Vec<ShardUid>),
}

impl Shelf {
    /// A shard with sealed segments of ten records, one an hour, and an active one.
    fn add(&self, uid: ShardUid, segments: u64) {
        let end = Ordinal(segments * 10 + 5);
        let last_arrival = Timestamp(START + segments * HOUR_MS);
        let log = ShardLog::new(uid, ShardIndex(0), StreamId(1), Ordinal::FIRST, end, last_arrival);
        for i in 0..=segments {
            let id = SegmentId(uid.0 * 1_000 + i);
            let state = if i == segments {
                SegmentState::Active {
                    readable_bytes: 0,
                    index: crate::segment::index::SparseIndex::default(),
                }
            } else {
                SegmentState::Sealed
            };
            let extent = Extent {
                end: Ordinal((i + 1) * 10 + 1),
                last_arrival: Timestamp(START + i * HOUR_MS),
            };
            self.extents.lock().unwrap().insert(id, extent);
            log.segments.write().unwrap().push(Arc::new(Segment {
                id,
                shard: uid,
                base: Ordinal(i * 10 + 1),
                path: PathBuf::new(),
                state: Mutex::new(state),
                is_foreign: false.into(),
            }));
        }
        self.logs.lock().unwrap().insert(uid, Arc::new(log));
    }

    fn take(&self) -> Vec<Command> {
        std::mem::take(&mut *self.done.lock().unwrap())
    }
}

impl Retained for Shelf {
    fn log(&self, shard: ShardUid) -> Option<Arc<ShardLog>> {
        self.logs.lock().unwrap().get(&shard).cloned()
    }

    async fn extent(&self, segment: &Arc<Segment>) -> Option<Extent> {
        *self.asked.lock().unwrap() += 1;
        self.extents.lock().unwrap().get(&segment.id).copied()
    }

    async fn seal(&self, shard: ShardUid) {
        self.done.lock().unwrap().push(Command::Seal(shard));
    }

    async fn trim(&self, shard: ShardUid, first_kept: Ordinal) {
        let log = self.log(shard).unwrap();
        log.trim(first_kept);
        log.segments.write().unwrap().retain(|segment| {
            let sealed = matches!(*segment.state.lock().unwrap(), SegmentState::Sealed);
            !sealed || self.extents.lock().unwrap()[&segment.id].end > first_kept
        });
        self.done.lock().unwrap().push(Command::Trim(shard, first_kept));
    }

    async fn remove(&self, shards: Vec<ShardUid>) {
        for shard in &shards {
            self.logs.lock().unwrap().remove(shard);
        }
        self.done.lock().unwrap().push(Command::Remove(shards));
    }
}

struct Scene {
    memory: Memory,
    catalog: Arc<Catalog>,
    clock: Arc<ManualClock>,
    shelf: Shelf,
    sweeper: Sweeper,
    stream: StreamId,
}

impl Scene {
    /// One stream of one shard with four sealed segments and an active one, kept for 24 hours.
    async fn new() -> Self {
        let memory = Memory::new();
        let opened = Catalog::open(&memory.device(), Path::new("/data"), StoreId(1), true).await;
        let catalog = Arc::new(opened.unwrap().0);
        let range = uniform_ranges(1)[0];
        let new = NewStream {
            key: StreamKey { namespace: "n".to_owned(), name: "s".to_owned() },
            status: StreamStatus::Active,
            shards: vec![NewShard { range, created_seconds: 0, parents: Vec::new() }],
            retention_hours: 24,
            attributes: serde_json::Value::Null,
        };
        let stream = catalog.create(new).await.unwrap().id;
        let clock = memory.clock.clone();
        let sweeper = Sweeper::new(catalog.clone(), clock.clone());
        let shelf = Shelf::default();
        shelf.add(ShardUid(1), 4);
        Self { memory, catalog, clock, shelf, sweeper, stream }
    }

    /// What a sweep does `hours` (and a millisecond) after the start.
    async fn sweep_at(&mut self, hours: u64) -> Vec<Command> {
        self.clock.set(Timestamp(START + hours * HOUR_MS + 1));
        self.sweeper.sweep(&self.shelf).await;
        self.shelf.take()
    }
}

#[tokio::test]
async fn a_sweep_follows_the_clock_segment_by_segment() {
    let mut scene = Scene::new().await;
    let trim = |end| vec![Command::Trim(ShardUid(1), Ordinal(end))];
    assert_eq!(scene.sweep_at(23).await, []);
    assert_eq!(scene.sweep_at(24).await, trim(11));
    assert_eq!(scene.sweep_at(24).await, [], "it is gone");
    assert_eq!(scene.sweep_at(26).await, trim(31));
    let end = Command::Trim(ShardUid(1), Ordinal(45));
    assert_eq!(scene.sweep_at(28).await, [Command::Seal(ShardUid(1)), end]);
}

#[tokio::test]
async fn a_clock_that_goes_back_trims_nothing_and_brings_nothing_back() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.sweep_at(25).await, [Command::Trim(ShardUid(1), Ordinal(21))]);
    assert_eq!(scene.sweep_at(1).await, []);
    let log = scene.shelf.log(ShardUid(1)).unwrap();
    assert_eq!(log.first_kept(), Ordinal(21));
    assert_eq!(scene.sweep_at(25).await, []);
}

#[tokio::test]
async fn a_longer_retention_keeps_what_was_not_trimmed() {
    let mut scene = Scene::new().await;
    scene.clock.set(Timestamp(START + 25 * HOUR_MS));
    let longer = vec![StreamChange::Retention(48)];
    scene.catalog.change(scene.stream, longer).await.unwrap();
    // The first segment (arrived at 0 h) was past the old horizon; the second (1 h) is kept.
    assert_eq!(scene.sweep_at(30).await, [Command::Trim(ShardUid(1), Ordinal(11))]);
    assert_eq!(scene.sweep_at(48).await, []);
    assert_eq!(scene.sweep_at(49).await, [Command::Trim(ShardUid(1), Ordinal(21))]);
}

#[tokio::test]
async fn an_expired_closed_shard_leaves_the_catalogue_and_then_the_store() {
    let mut scene = Scene::new().await;
    let stream = scene.catalog.stream_by_id(scene.stream).unwrap();
    let whole = stream.shards[0].range;
    let child = NewShard { range: whole, created_seconds: 1, parents: vec![ShardIndex(0)] };
    let reshard = Reshard { close: vec![ShardIndex(0)], open: vec![child] };
    let closed_at = Timestamp(START + 6 * HOUR_MS);
    let ends = vec![ShardEnd { closed_at, end: Ordinal(45) }];
    scene.catalog.reshard(scene.stream, reshard, ends, Vec::new()).await.unwrap();
    let before = scene.sweep_at(29).await;
    assert!(!before.iter().any(|command| matches!(command, Command::Remove(_))));
    assert_eq!(scene.sweep_at(30).await, [Command::Remove(vec![ShardUid(1)])]);
    assert!(!scene.catalog.has_shard(ShardUid(1)));
    assert!(scene.catalog.has_shard(ShardUid(2)), "the child is open");
    assert_eq!(scene.sweep_at(500).await, []);
}

#[tokio::test]
async fn a_catalogue_that_refuses_keeps_the_data() {
    use crate::catalog::tests::memory::Fault;

    let mut scene = Scene::new().await;
    let stream = scene.catalog.stream_by_id(scene.stream).unwrap();
    let whole = stream.shards[0].range;
    let child = NewShard { range: whole, created_seconds: 1, parents: vec![ShardIndex(0)] };
    let reshard = Reshard { close: vec![ShardIndex(0)], open: vec![child] };
    let ends = vec![ShardEnd { closed_at: Timestamp(START), end: Ordinal(45) }];
    scene.catalog.reshard(scene.stream, reshard, ends, Vec::new()).await.unwrap();
    scene.memory.fail(1, Fault::Crash);
    assert_eq!(scene.sweep_at(100).await, []);
    assert!(scene.shelf.log(ShardUid(1)).is_some());
}

#[tokio::test]
async fn the_oldest_segment_is_asked_about_once() {
    let mut scene = Scene::new().await;
    for _ in 0..3 {
        scene.sweep_at(5).await;
    }
    assert_eq!(*scene.shelf.asked.lock().unwrap(), 1);
}
