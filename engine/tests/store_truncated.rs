//! Files of a running store that somebody else cuts while they are mapped: no signal, an error for
//! what is gone, and everything else as before.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "the test does what only somebody else does")]

mod store_common;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use kinelog_engine::Engine;
use kinelog_engine::device::{Device, LogChoice};
use kinelog_engine::error::ReadError;
use kinelog_engine::types::{Ordinal, ReadLimit, ReadResult, Stream};
use store_common::{append, number, payload, small, stream};

const RECORDS: u64 = 120;
const RECORD_BYTES: usize = 2000;
/// What is left of a file: two batches and a part of a third.
const KEPT_BYTES: u64 = 4096 + 5000;

/// A store on a real file system, two shards with some sealed segments each.
struct Store {
    engine: Engine,
    stream: Arc<Stream>,
    directory: tempfile::TempDir,
}

impl Store {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (device, _) = Device::system(directory.path(), LogChoice::Posix).unwrap();
        let engine = Engine::open(small(directory.path().join("data")), device).await.unwrap();
        let stream = stream(&engine, "s", 2).await;
        for number in 0..RECORDS {
            for shard in &stream.shards {
                append(&engine, shard, &[payload(number, RECORD_BYTES)]).await.unwrap();
            }
        }
        engine.checkpoint().await.unwrap();
        Self { engine, stream, directory }
    }

    async fn read(&self, shard: usize, from: u64) -> Result<ReadResult, ReadError> {
        let limit = ReadLimit { records: 10, bytes: 1 << 20 };
        self.engine.read(&self.stream, &self.stream.shards[shard], Ordinal(from), limit).await
    }

    /// Cuts the file that holds the first records of the first shard: names are in that order.
    fn cut_first_segment(&self) {
        let segments = self.directory.path().join("data/segments").read_dir().unwrap();
        let first: PathBuf = segments.map(|entry| entry.unwrap().path()).min().unwrap();
        File::options().write(true).open(first).unwrap().set_len(KEPT_BYTES).unwrap();
    }
}

#[tokio::test]
async fn a_mapped_file_that_is_cut_costs_what_it_held_and_nothing_else() {
    let store = Store::new().await;
    let held = store.read(0, 1).await.unwrap();
    let other = store.read(1, 1).await.unwrap();
    assert_eq!((held.records.len(), other.records.len()), (10, 10));
    assert!(held.is_sound() && other.is_sound());
    let last = held.records.last().unwrap();
    assert_eq!(number(last), 9);

    store.cut_first_segment();
    // What was in hand is gone without a signal, and says so.
    assert_eq!(last.data[..20], [0; 20]);
    assert!(!held.is_sound() && other.is_sound());

    // Somebody who reads now is told at worst once, and then what is left.
    let again = match store.read(0, 1).await {
        Err(ReadError::MapLost { .. }) => store.read(0, 1).await,
        read => read,
    };
    let again = again.unwrap();
    assert!(again.is_sound());
    let kept: Vec<_> = again.records.iter().map(number).collect();
    assert_eq!(kept, [0, 1]);
    let error = store.read(0, 3).await.unwrap_err();
    let ReadError::Damaged { first, last, .. } = error else { panic!("{error}") };
    assert_eq!(first, Ordinal(3));
    let behind = store.read(0, last.0 + 1).await.unwrap();
    assert_eq!(number(&behind.records[0]), last.0);

    // Writes and other shards go on.
    append(&store.engine, &store.stream.shards[0], &[payload(RECORDS, 100)]).await.unwrap();
    let tip = store.read(0, RECORDS + 1).await.unwrap();
    assert_eq!(number(&tip.records[0]), RECORDS);
    assert!(store.engine.metrics().lost_maps.get() > 0);
}
