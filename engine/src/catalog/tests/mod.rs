//! Operations, their refusals and their return after a reopen.

mod crash;
pub(crate) mod memory;
mod simulated;

use std::path::{Path, PathBuf};

use serde_json::json;

use super::*;
use crate::types::{NewShard, Ordinal, StreamStatus, Timestamp, uniform_ranges};
use memory::Memory;

const STORE: StoreId = StoreId(7);
const NOW_SECONDS: u64 = 1_700_000_000;

fn directory() -> PathBuf {
    PathBuf::from("/data")
}

async fn open(memory: &Memory, fresh: bool) -> Result<(Catalog, CatalogReport), OpenError> {
    Catalog::open(&memory.device(), &directory(), STORE, fresh).await
}

async fn fresh() -> (Memory, Catalog) {
    let memory = Memory::new();
    let (catalog, _) = open(&memory, true).await.unwrap();
    (memory, catalog)
}

fn key(name: &str) -> StreamKey {
    StreamKey { namespace: "n".to_owned(), name: name.to_owned() }
}

fn new_stream(name: &str, shards: u32) -> NewStream {
    let new_shard = |range| NewShard { range, created_seconds: NOW_SECONDS, parents: Vec::new() };
    NewStream {
        key: key(name),
        status: StreamStatus::Creating,
        shards: uniform_ranges(shards).into_iter().map(new_shard).collect(),
        retention_hours: 24,
        attributes: json!({"tags": ["x"]}),
    }
}

/// Splits shard `index` in two halves.
fn split(stream: &Stream, index: u32) -> (Reshard, Vec<ShardEnd>) {
    let range = stream.shard(ShardIndex(index)).unwrap().range;
    let middle = range.start + (range.end - range.start) / 2;
    let child = |start, end| NewShard {
        range: crate::types::HashKeyRange { start, end },
        created_seconds: NOW_SECONDS + 1,
        parents: vec![ShardIndex(index)],
    };
    let open = vec![child(range.start, middle), child(middle + 1, range.end)];
    let end = ShardEnd { closed_at: Timestamp(NOW_SECONDS * 1000), end: Ordinal(9) };
    (Reshard { close: vec![ShardIndex(index)], open }, vec![end])
}

async fn reopened(memory: &Memory) -> Catalog {
    let (catalog, report) = open(memory, false).await.unwrap();
    assert_eq!(report, CatalogReport::default());
    catalog
}

/// A catalogue whose journal has every kind of frame.
async fn busy(catalog: &Catalog) {
    let a = catalog.create(new_stream("a", 2)).await.unwrap();
    let b = catalog.create(new_stream("b", 1)).await.unwrap();
    let (reshard, ends) = split(&a, 0);
    let changes = vec![StreamChange::Status(StreamStatus::Active)];
    catalog.reshard(a.id, reshard, ends, changes).await.unwrap();
    catalog.change(b.id, vec![StreamChange::Retention(48)]).await.unwrap();
    catalog.expire_shards(a.id, vec![ShardIndex(0)]).await.unwrap();
    catalog.remove(b.id).await.unwrap();
    catalog.set_document("n".to_owned(), json!({"setting": 1})).await.unwrap();
    catalog.create(new_stream("c", 1)).await.unwrap();
}

/// All that a catalogue holds.
type Contents = (Vec<Arc<Stream>>, Option<Arc<serde_json::Value>>);

fn contents(catalog: &Catalog) -> Contents {
    (catalog.all(), catalog.document("n"))
}

#[tokio::test]
async fn every_change_is_there_after_a_reopen() {
    let (memory, catalog) = fresh().await;
    busy(&catalog).await;
    let again = reopened(&memory).await;
    assert_eq!(contents(&again), contents(&catalog));
    let a = again.stream(&key("a")).unwrap();
    assert_eq!(a.status, StreamStatus::Active);
    assert_eq!(a.open_shards().map(|s| s.index.0).collect::<Vec<_>>(), [2, 3, 1]);
    assert!(again.stream(&key("b")).is_none());
    assert!(!again.has_shard(ShardUid(1)), "expired");
    assert!(again.has_shard(ShardUid(2)));
    assert!(!again.has_shard(ShardUid(3)), "its stream was removed");
}

#[tokio::test]
async fn ids_are_never_reused() {
    let (memory, catalog) = fresh().await;
    let first = catalog.create(new_stream("a", 3)).await.unwrap();
    catalog.remove(first.id).await.unwrap();
    // The snapshot a healing open writes must remember them, too.
    for heal in [false, true] {
        if heal {
            memory.delete(&directory().join("catalog.1"));
        }
        let (catalog, _) = open(&memory, false).await.unwrap();
        let next = catalog.create(new_stream("a", 1)).await.unwrap();
        assert!(next.id > first.id);
        assert!(next.shards[0].uid.0 > 3);
        catalog.remove(next.id).await.unwrap();
    }
    let (catalog, _) = open(&memory, false).await.unwrap();
    let last = catalog.create(new_stream("a", 1)).await.unwrap();
    assert_eq!((last.id, last.shards[0].uid), (StreamId(4), ShardUid(6)));
}

#[test]
fn a_uid_in_use_is_not_given_out_again_wherever_it_stands() {
    let mut state = State::default();
    let made = |state: &State, name| match Entry::create(state, new_stream(name, 2), Timestamp(1)) {
        Ok(Entry::Stream(stream)) => stream,
        other => panic!("{other:?}"),
    };
    let mut stream = made(&state, "a");
    for (shard, uid) in Arc::make_mut(&mut stream).shards.iter_mut().zip([9, 1]) {
        Arc::make_mut(shard).uid = ShardUid(uid);
    }
    state.publish(&Entry::Stream(stream.clone()), Some(stream));
    let uids: Vec<_> = made(&state, "b").shards.iter().map(|shard| shard.uid.0).collect();
    assert_eq!(uids, [10, 11]);
}

#[test]
fn two_shards_never_have_one_uid() {
    let mut state = State::default();
    let made = Entry::create(&state, new_stream("a", 2), Timestamp(1)).unwrap();
    let Entry::Stream(stream) = &made else { panic!("{made:?}") };
    let with_uids = |name: &str, uids: [u64; 2]| {
        let mut other = Stream { id: StreamId(9), ..Stream::clone(stream) };
        other.key.name = name.to_owned();
        for (shard, uid) in other.shards.iter_mut().zip(uids) {
            Arc::make_mut(shard).uid = ShardUid(uid);
        }
        Entry::Stream(Arc::new(other))
    };
    assert!(with_uids("b", [7, 7]).outcome(&state).is_err());
    state.publish(&made, Some(Arc::clone(stream)));
    assert!(with_uids("b", [7, 2]).outcome(&state).is_err(), "the first stream has it");
    assert!(with_uids("b", [7, 8]).outcome(&state).is_ok());
    let (open, settings) = (stream.shards.clone(), entry::Settings::default());
    let reshard = Entry::Reshard { stream: stream.id, close: Vec::new(), open, settings };
    assert!(reshard.outcome(&state).is_err());
}

#[tokio::test]
async fn streams_are_listed_by_name_within_their_namespace() {
    let (_memory, catalog) = fresh().await;
    for name in ["b", "d", "a", "c"] {
        catalog.create(new_stream(name, 1)).await.unwrap();
    }
    let mut other = new_stream("a", 1);
    other.key.namespace = "m".to_owned();
    catalog.create(other).await.unwrap();
    let names = |after, limit| -> Vec<String> {
        catalog.streams("n", after, limit).iter().map(|s| s.key.name.clone()).collect()
    };
    assert_eq!(names(None, 10), ["a", "b", "c", "d"]);
    assert_eq!(names(Some("a"), 2), ["b", "c"]);
    assert_eq!(names(Some("bb"), 10), ["c", "d"]);
    assert!(names(Some("d"), 10).is_empty());
    assert!(catalog.streams("none", None, 10).is_empty());
    assert_eq!(catalog.all().len(), 5);
}

#[tokio::test]
async fn a_taken_key_is_refused() {
    let (_memory, catalog) = fresh().await;
    catalog.create(new_stream("a", 1)).await.unwrap();
    let refusal = catalog.create(new_stream("a", 1)).await.unwrap_err();
    assert!(matches!(refusal, CatalogError::StreamExists(taken) if taken == key("a")));
}

#[tokio::test]
async fn unknown_streams_are_refused() {
    let (_memory, catalog) = fresh().await;
    let id = StreamId(9);
    let none = Reshard { close: Vec::new(), open: Vec::new() };
    for result in [
        catalog.change(id, Vec::new()).await,
        catalog.reshard(id, none, Vec::new(), Vec::new()).await,
        catalog.expire_shards(id, Vec::new()).await,
        catalog.remove(id).await,
    ] {
        assert!(matches!(result, Err(CatalogError::StreamNotFound)));
    }
}

#[tokio::test]
async fn shards_that_leave_holes_or_overlap_are_refused() {
    let (_memory, catalog) = fresh().await;
    let edits: [fn(&mut Vec<NewShard>); 6] = [
        |shards| shards.clear(),
        |shards| shards[0].range.start = 1,
        |shards| shards[2].range.end -= 1,
        |shards| shards[1].range.start += 1,
        |shards| shards[1].range.start -= 1,
        |shards| shards.push(shards[2].clone()),
    ];
    for (case, edit) in edits.into_iter().enumerate() {
        let mut new = new_stream("a", 3);
        edit(&mut new.shards);
        let result = catalog.create(new).await;
        assert!(matches!(result, Err(CatalogError::Coverage)), "case {case}");
    }
    let stream = catalog.create(new_stream("a", 3)).await.unwrap();
    let (mut reshard, ends) = split(&stream, 1);
    reshard.open.pop();
    let result = catalog.reshard(stream.id, reshard, ends, Vec::new()).await;
    assert!(matches!(result, Err(CatalogError::Coverage)));
    assert_eq!(catalog.stream_by_id(stream.id).unwrap(), stream, "nothing changed");
}

#[tokio::test]
async fn only_open_shards_are_closed() {
    let (_memory, catalog) = fresh().await;
    let stream = catalog.create(new_stream("a", 2)).await.unwrap();
    let (reshard, ends) = split(&stream, 0);
    let mut twice = reshard.clone();
    twice.close.push(ShardIndex(0));
    let result =
        catalog.reshard(stream.id, twice, [ends.clone(), ends.clone()].concat(), Vec::new()).await;
    assert!(matches!(result, Err(CatalogError::ShardNotOpen(ShardIndex(0)))));
    catalog.reshard(stream.id, reshard.clone(), ends.clone(), Vec::new()).await.unwrap();
    let result = catalog.reshard(stream.id, reshard.clone(), ends.clone(), Vec::new()).await;
    assert!(matches!(result, Err(CatalogError::ShardNotOpen(ShardIndex(0)))));
    let unknown = Reshard { close: vec![ShardIndex(70)], ..reshard };
    let result = catalog.reshard(stream.id, unknown, ends, Vec::new()).await;
    assert!(matches!(result, Err(CatalogError::ShardNotOpen(ShardIndex(70)))));
}

#[tokio::test]
async fn open_shards_do_not_expire() {
    let (_memory, catalog) = fresh().await;
    let stream = catalog.create(new_stream("a", 2)).await.unwrap();
    let all = vec![ShardIndex(0), ShardIndex(1), ShardIndex(5)];
    assert_eq!(catalog.expire_shards(stream.id, all).await.unwrap(), stream);
}

#[tokio::test]
async fn a_longer_retention_does_not_bring_records_back() {
    const HOUR_MS: u64 = 3_600_000;
    let (memory, catalog) = fresh().await;
    let id = catalog.create(new_stream("a", 1)).await.unwrap().id;
    let now = NOW_SECONDS * 1000;
    let set = |hours| catalog.change(id, vec![StreamChange::Retention(hours)]);
    let longer = set(48).await.unwrap();
    assert_eq!(longer.trimmed_before, Timestamp(now - 24 * HOUR_MS));
    let shorter = set(24).await.unwrap();
    assert_eq!(shorter.trimmed_before, longer.trimmed_before);
    memory.clock.set(Timestamp(now - 100 * HOUR_MS));
    let backwards = set(72).await.unwrap();
    assert_eq!(backwards.trimmed_before, longer.trimmed_before, "the clock went back");
    let several = vec![StreamChange::Retention(24), StreamChange::Retention(96)];
    memory.clock.set(Timestamp(now));
    let both = catalog.change(id, several).await.unwrap();
    assert_eq!(both.trimmed_before, Timestamp(now - 24 * HOUR_MS), "the shorter one was in force");
}

#[tokio::test]
async fn attributes_come_back_unchanged_even_when_null() {
    let (memory, catalog) = fresh().await;
    let id = catalog.create(new_stream("a", 1)).await.unwrap().id;
    for document in [json!({"a": [1, "\u{fc}", null]}), json!(null)] {
        catalog.change(id, vec![StreamChange::Attributes(document.clone())]).await.unwrap();
        assert_eq!(reopened(&memory).await.stream_by_id(id).unwrap().attributes, document);
    }
}

#[tokio::test]
async fn a_document_belongs_to_its_namespace_and_is_replaced_as_a_whole() {
    let (memory, catalog) = fresh().await;
    for document in [json!({"a": 1, "b": 2}), json!(null), json!({"c": 3})] {
        catalog.set_document("m".to_owned(), document.clone()).await.unwrap();
        let again = reopened(&memory).await;
        assert_eq!(again.document("m").as_deref(), Some(&document));
        assert_eq!(again.document("n"), None);
    }
}

#[tokio::test]
async fn a_catalogue_from_before_there_were_documents_is_read() {
    use super::entry::Start;

    let start = br#"{"streams":0,"last_stream":4,"last_shard":9}"#;
    let old: Start = serde_json::from_slice(start).unwrap();
    assert_eq!(old, Start { streams: 0, documents: 0, last_stream: 4, last_shard: 9 });
    let state = journal::replay(&[start.to_vec()]).unwrap();
    assert_eq!((state.last_stream(), state.document("n")), (4, None));
}

#[tokio::test]
async fn a_status_change_of_ten_thousand_shards_is_a_small_frame() {
    let (memory, catalog) = fresh().await;
    let stream = catalog.create(new_stream("a", 10_000)).await.unwrap();
    let file = directory().join("catalog.0");
    let before = memory.get(&file).unwrap().len();
    catalog.change(stream.id, vec![StreamChange::Status(StreamStatus::Active)]).await.unwrap();
    assert!(memory.get(&file).unwrap().len() - before < 200);
    assert_eq!(reopened(&memory).await.all(), catalog.all());
}

#[tokio::test]
async fn a_missing_catalogue_is_made_only_in_a_fresh_store() {
    let memory = Memory::new();
    assert!(matches!(open(&memory, false).await, Err(OpenError::Damaged { .. })));
    open(&memory, true).await.unwrap();
    assert!(reopened(&memory).await.all().is_empty());
}

#[tokio::test]
async fn a_change_goes_on_when_its_caller_does_not_wait() {
    let (memory, catalog) = fresh().await;
    let mut change = Box::pin(catalog.create(new_stream("a", 1)));
    std::future::poll_fn(|context| {
        assert!(change.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    drop(change);
    catalog.create(new_stream("b", 1)).await.unwrap();
    assert_eq!(reopened(&memory).await.all().len(), 2);
}

#[tokio::test]
async fn the_file_of_another_store_is_refused() {
    let (memory, _catalog) = fresh().await;
    let other = Catalog::open(&memory.device(), Path::new("/data"), StoreId(8), false).await;
    assert!(matches!(other, Err(OpenError::Damaged { .. })));
}
