//! Records in the form subscribers get them, made once for all who read the same place.
//!
//! Subscribers of a shard that keep up all read what was stored last, at about the same time. The
//! first one to come encodes it as a block; the others find the block where they are, and so go on
//! in step. A feed remembers the last few blocks of one shard in one encoding, for as long as it
//! has subscribers. A reader that is slow or far behind finds nothing, and makes its own blocks.
//!
//! What is remembered is bounded for each feed. What readers still hold cannot be taken from them:
//! it is counted with what is remembered and with what is being read for new blocks, and where it is
//! much, new blocks are made small and feeds remember their last one only.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use bytes::Bytes;
use kinelog_engine::types::{Ordinal, ReadLimit, ShardIndex, StreamId, Timestamp};

use crate::aws::Encoding;
use crate::aws::event_stream::Shared;
use crate::limits;

/// Consecutive records, encoded as a list.
#[derive(Debug)]
pub(super) struct Block {
    /// The list.
    pub(super) records: Shared,
    /// How many they are.
    pub(super) count: usize,
    /// Bytes of their data and partition keys.
    pub(super) payload_bytes: usize,
    /// Arrival of the first one.
    pub(super) first_arrival: Timestamp,
    /// Arrival of the last one.
    pub(super) last_arrival: Timestamp,
    /// The place after them.
    pub(super) next: Ordinal,
    /// Arrival of the record there, if there was one when they were read.
    pub(super) next_arrival: Option<Timestamp>,
    /// False where the bytes went away while the list was made.
    pub(super) is_sound: bool,
}

/// Blocks of one shard in one encoding.
pub(super) struct Feed {
    blocks: Mutex<Blocks>,
    usage: Arc<Usage>,
}

#[derive(Default)]
struct Blocks {
    /// By where they start; one that is being made is empty.
    slots: VecDeque<(Ordinal, Slot)>,
    bytes: usize,
}

type Slot = Arc<OnceLock<Arc<Block>>>;

/// What all feeds did and hold.
#[derive(Debug, Default)]
struct Usage {
    held_bytes: AtomicUsize,
    made: AtomicU64,
    shared: AtomicU64,
}

/// Bytes of a block, counted for as long as anybody holds them.
struct Counted {
    bytes: Bytes,
    usage: Arc<Usage>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.usage.held_bytes.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// Room for a new block, counted as held until it is dropped.
pub(super) struct Room {
    /// What may be read for the block.
    pub(super) limit: ReadLimit,
    usage: Arc<Usage>,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.usage.held_bytes.fetch_sub(self.limit.bytes, Ordering::Relaxed);
    }
}

/// A shard in an encoding.
type Key = (StreamId, ShardIndex, Encoding);

/// The feeds of all shards that have subscribers.
#[derive(Default)]
pub(super) struct Feeds {
    feeds: Mutex<HashMap<Key, Weak<Feed>>>,
    usage: Arc<Usage>,
}

impl Feeds {
    /// The feed of a shard, to be held for as long as it is read.
    pub(super) fn of(&self, stream: StreamId, shard: ShardIndex, encoding: Encoding) -> Arc<Feed> {
        let key = (stream, shard, encoding);
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(&key).and_then(Weak::upgrade) {
            return feed;
        }
        feeds.retain(|_, feed| feed.strong_count() > 0);
        let feed = Arc::new(Feed { blocks: Mutex::default(), usage: Arc::clone(&self.usage) });
        feeds.insert(key, Arc::downgrade(&feed));
        feed
    }

    /// For export: bytes of all blocks anybody holds, blocks made, and blocks found made.
    pub(super) fn values(&self) -> [(&'static str, u64); 3] {
        let Usage { held_bytes, made, shared } = &*self.usage;
        [
            ("fan_out_held_bytes", held_bytes.load(Ordering::Relaxed) as u64),
            ("fan_out_blocks_made", made.load(Ordering::Relaxed)),
            ("fan_out_blocks_shared", shared.load(Ordering::Relaxed)),
        ]
    }
}

impl Feed {
    /// Room for a new block, to be kept until that is made: many readers who begin together do not
    /// all get the largest.
    pub(super) fn room(&self) -> Room {
        let bytes = if self.is_crowded() {
            limits::EVENT_BYTES_CROWDED_MAX
        } else {
            limits::EVENT_BYTES_MAX
        };
        self.usage.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        let limit = ReadLimit { records: limits::EVENT_RECORDS_MAX, bytes };
        Room { limit, usage: Arc::clone(&self.usage) }
    }

    fn is_crowded(&self) -> bool {
        self.usage.held_bytes.load(Ordering::Relaxed) >= limits::EVENTS_HELD_BYTES_MAX
    }

    /// The block that starts at `place`, if one is remembered and nothing of it is older than
    /// `horizon`.
    pub(super) fn find(&self, place: Ordinal, horizon: Timestamp) -> Option<Arc<Block>> {
        let slot = self.lock().slot(place)?;
        let found = slot.get().filter(|block| block.first_arrival >= horizon).cloned()?;
        self.usage.shared.fetch_add(1, Ordering::Relaxed);
        Some(found)
    }

    /// The block that starts at `place`: made by `make`, unless another reader is making it.
    pub(super) fn make(
        self: &Arc<Self>,
        place: Ordinal,
        make: impl FnOnce() -> Block,
    ) -> Arc<Block> {
        let make = || Arc::new(self.count(make()));
        if Arc::strong_count(self) == 1 {
            return make(); // Nobody to share it with.
        }
        let slot = self.lock().slot_or_new(place);
        let mut is_new = false;
        let block = slot.get_or_init(|| {
            is_new = true;
            make()
        });
        if is_new {
            let bytes_max = if self.is_crowded() { 0 } else { limits::FEED_BYTES_MAX };
            self.lock().settle(&slot, block.records.len(), bytes_max);
        } else {
            self.usage.shared.fetch_add(1, Ordering::Relaxed);
        }
        Arc::clone(block)
    }

    /// Forgets all blocks: nobody has read any for a while.
    pub(super) fn forget(&self) {
        *self.lock() = Blocks::default();
    }

    fn count(&self, block: Block) -> Block {
        self.usage.made.fetch_add(1, Ordering::Relaxed);
        self.usage.held_bytes.fetch_add(block.records.len(), Ordering::Relaxed);
        let usage = Arc::clone(&self.usage);
        let counted = |bytes| Bytes::from_owner(Counted { bytes, usage });
        Block { records: block.records.map_bytes(counted), ..block }
    }

    fn lock(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Blocks {
    fn slot(&self, place: Ordinal) -> Option<Slot> {
        // The newest are looked for most.
        let found = self.slots.iter().rev().find(|(start, _)| *start == place);
        found.map(|(_, slot)| Arc::clone(slot))
    }

    fn slot_or_new(&mut self, place: Ordinal) -> Slot {
        self.slot(place).unwrap_or_else(|| {
            let slot = Slot::default();
            self.slots.push_back((place, Arc::clone(&slot)));
            slot
        })
    }

    /// Counts a block that was made, if its slot is still here, and makes room: all but the last one
    /// keep within `bytes_max`.
    fn settle(&mut self, made: &Slot, bytes: usize, bytes_max: usize) {
        if self.slots.iter().any(|(_, slot)| Arc::ptr_eq(slot, made)) {
            self.bytes += bytes;
        }
        while (self.bytes > bytes_max || self.slots.len() > limits::FEED_BLOCKS_MAX)
            && self.slots.len() > 1
            && let Some((_, oldest)) = self.slots.pop_front()
        {
            self.bytes -= oldest.get().map_or(0, |block| block.records.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(next: u64, bytes: usize) -> Block {
        Block {
            records: Shared::new(vec![b' '; bytes].into()),
            count: 1,
            payload_bytes: bytes,
            first_arrival: Timestamp(next),
            last_arrival: Timestamp(next),
            next: Ordinal(next),
            next_arrival: None,
            is_sound: true,
        }
    }

    fn held(feeds: &Feeds) -> u64 {
        feeds.values()[0].1
    }

    fn feed(feeds: &Feeds) -> Arc<Feed> {
        feeds.of(StreamId(1), ShardIndex(1), Encoding::Json)
    }

    fn two_readers(feeds: &Feeds) -> [Arc<Feed>; 2] {
        [(); 2].map(|()| feed(feeds))
    }

    #[test]
    fn a_block_is_made_once_for_all_readers() {
        let feeds = Feeds::default();
        let [one, two] = two_readers(&feeds);
        assert!(one.find(Ordinal(1), Timestamp(0)).is_none());
        let made = one.make(Ordinal(1), || block(5, 10));
        let found = two.find(Ordinal(1), Timestamp(0)).unwrap();
        let again = two.make(Ordinal(1), || unreachable!("it is there"));
        assert!(Arc::ptr_eq(&made, &found) && Arc::ptr_eq(&made, &again));
        assert_eq!(feeds.values()[1..].iter().map(|(_, value)| *value).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn readers_that_make_one_block_at_the_same_time_make_it_once() {
        let feeds = Feeds::default();
        let readers = [(); 8].map(|()| feed(&feeds));
        std::thread::scope(|scope| {
            for feed in &readers {
                scope.spawn(|| feed.make(Ordinal(1), || block(5, 10)));
            }
        });
        assert_eq!(feeds.values()[1].1, 1);
    }

    #[test]
    fn other_shards_and_encodings_have_feeds_of_their_own() {
        let feeds = Feeds::default();
        let [one, _two] = two_readers(&feeds);
        one.make(Ordinal(1), || block(5, 10));
        for (stream, shard, encoding) in
            [(2, 1, Encoding::Json), (1, 2, Encoding::Json), (1, 1, Encoding::Cbor)]
        {
            let other = feeds.of(StreamId(stream), ShardIndex(shard), encoding);
            assert!(other.find(Ordinal(1), Timestamp(0)).is_none());
        }
    }

    #[test]
    fn records_past_retention_are_not_found() {
        let feeds = Feeds::default();
        let [one, two] = two_readers(&feeds);
        one.make(Ordinal(1), || block(5, 10));
        assert!(two.find(Ordinal(1), Timestamp(5)).is_some());
        assert!(two.find(Ordinal(1), Timestamp(6)).is_none());
    }

    #[test]
    fn a_feed_remembers_so_many_bytes_and_blocks() {
        let feeds = Feeds::default();
        let [one, _two] = two_readers(&feeds);
        for place in 1..=5 {
            one.make(Ordinal(place), || block(place + 1, limits::FEED_BYTES_MAX / 3));
        }
        let remembered = |place| one.find(Ordinal(place), Timestamp(0)).is_some();
        assert_eq!([1, 2, 3, 4, 5].map(remembered), [false, false, true, true, true]);
        one.make(Ordinal(6), || block(7, limits::FEED_BYTES_MAX * 2));
        assert_eq!([4, 5, 6].map(remembered), [false, false, true], "the last one always stays");
        for place in 7..=7 + limits::FEED_BLOCKS_MAX as u64 {
            one.make(Ordinal(place), || block(place + 1, 1));
        }
        assert_eq!([6, 7, 8].map(remembered), [false, false, true]);
    }

    #[test]
    fn what_is_held_is_counted_until_the_last_holder_lets_go() {
        let feeds = Feeds::default();
        let [one, two] = two_readers(&feeds);
        let held_by_reader = one.make(Ordinal(1), || block(5, 10));
        one.make(Ordinal(5), || block(6, 7));
        assert_eq!(held(&feeds), 17);
        one.forget();
        assert_eq!(held(&feeds), 10);
        drop(held_by_reader);
        assert_eq!(held(&feeds), 0);
        one.make(Ordinal(6), || block(7, 3));
        drop([one, two]);
        assert_eq!(held(&feeds), 0, "a feed goes with its last reader");
    }

    #[test]
    fn a_single_reader_leaves_nothing_behind() {
        let feeds = Feeds::default();
        let feed = feed(&feeds);
        feed.make(Ordinal(1), || block(5, 10));
        assert_eq!((held(&feeds), feed.lock().slots.len()), (0, 0));
    }

    #[test]
    fn new_blocks_are_small_while_much_is_held() {
        let feeds = Feeds::default();
        let feed = feed(&feeds);
        let less = feed.make(Ordinal(1), || block(5, limits::EVENTS_HELD_BYTES_MAX - 1));
        assert_eq!(feed.room().limit.bytes, limits::EVENT_BYTES_MAX);
        let much = feed.make(Ordinal(5), || block(6, 1));
        assert_eq!(feed.room().limit.bytes, limits::EVENT_BYTES_CROWDED_MAX);
        let more = feed.make(Ordinal(6), || block(7, 1));
        assert_eq!(feed.room().limit.bytes, limits::EVENT_BYTES_CROWDED_MAX);
        drop((much, more));
        assert_eq!(feed.room().limit.bytes, limits::EVENT_BYTES_MAX);
        drop(less);
    }

    #[test]
    fn readers_who_begin_together_are_counted_before_they_hold_anything() {
        let feeds = Feeds::default();
        let feed = feed(&feeds);
        let reading = limits::EVENTS_HELD_BYTES_MAX / limits::EVENT_BYTES_MAX;
        let rooms: Vec<_> = (0..reading).map(|_| feed.room()).collect();
        assert!(rooms.iter().all(|room| room.limit.bytes == limits::EVENT_BYTES_MAX));
        assert_eq!(feed.room().limit.bytes, limits::EVENT_BYTES_CROWDED_MAX);
        drop(rooms);
        assert_eq!(held(&feeds), 0);
        assert_eq!(feed.room().limit.bytes, limits::EVENT_BYTES_MAX);
    }

    #[test]
    fn feeds_remember_their_last_block_only_while_much_is_held() {
        let feeds = Feeds::default();
        let [one, _two] = two_readers(&feeds);
        one.make(Ordinal(1), || block(2, 10));
        let much = feeds.of(StreamId(2), ShardIndex(1), Encoding::Json);
        let much = much.make(Ordinal(1), || block(5, limits::EVENTS_HELD_BYTES_MAX));
        one.make(Ordinal(2), || block(3, 10));
        one.make(Ordinal(3), || block(4, 10));
        let remembered = |place| one.find(Ordinal(place), Timestamp(0)).is_some();
        assert_eq!([1, 2, 3].map(remembered), [false, false, true]);
        drop(much);
        one.make(Ordinal(4), || block(5, 10));
        assert_eq!([3, 4].map(remembered), [true, true]);
    }
}
