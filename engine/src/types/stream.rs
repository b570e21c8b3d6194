//! Streams and shards as every caller sees them: immutable snapshots behind `Arc`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{HashKey, HashKeyRange, Ordinal, ShardIndex, ShardUid, StreamId, Timestamp};

/// A stream's name inside a namespace. The engine gives the namespace no meaning; the server puts
/// account and region there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamKey {
    /// Opaque name space, compared byte for byte.
    pub namespace: String,
    /// Name, unique inside the namespace.
    pub name: String,
}

/// Life cycle of a stream; who moves it on is the caller's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamStatus {
    /// Being made.
    Creating,
    /// In use.
    Active,
    /// In use while its settings or shards change.
    Updating,
    /// Being deleted.
    Deleting,
}

/// Where and when a shard was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardEnd {
    /// Time of the close; no record of the shard is later.
    pub closed_at: Timestamp,
    /// The position after the shard's last record.
    pub end: Ordinal,
}

/// Records `from..until` of a shard that a repair found in no copy. Reads go on after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRange {
    /// The first of them.
    pub from: Ordinal,
    /// The position after the last one.
    pub until: Ordinal,
}

impl LostRange {
    /// The parts of it that are in none of `known`, which are in order and apart.
    pub fn without(self, known: &[Self]) -> Vec<Self> {
        let (mut parts, mut from) = (Vec::new(), self.from);
        for known in known.iter().filter(|known| known.until > self.from) {
            let until = known.from.min(self.until);
            if from < until {
                parts.push(Self { from, until });
            }
            from = from.max(known.until);
        }
        if from < self.until {
            parts.push(Self { from, until: self.until });
        }
        parts
    }
}

/// One shard as catalogued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Identity in the store.
    pub uid: ShardUid,
    /// Number in the stream.
    pub index: ShardIndex,
    /// Hash keys it owns.
    pub range: HashKeyRange,
    /// Creation time in whole seconds since the epoch, as its sequence numbers carry it.
    pub created_seconds: u64,
    /// Shards it came from: none, one (split) or two (merge; the one named first comes first).
    pub parents: Vec<ShardIndex>,
    /// No record of the shard arrives later than this; set when its close is planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals_until: Option<Timestamp>,
    /// Set once the shard is closed.
    pub closed: Option<ShardEnd>,
    /// What repairs have recorded as lost, in order and apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<LostRange>,
}

/// One stream as catalogued: a consistent snapshot that later changes do not touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Identity in the store.
    pub id: StreamId,
    /// Name space and name.
    pub key: StreamKey,
    /// Creation time.
    pub created_at: Timestamp,
    /// Life cycle state.
    pub status: StreamStatus,
    /// How long records stay, in hours (24 to 8760; the caller checks).
    pub retention_hours: u32,
    /// Nothing that arrived before this is ever readable again; set when retention grows, so that
    /// records already trimmed do not come back. No record arrives before it either, whatever the
    /// clock says.
    pub trimmed_before: Timestamp,
    /// All shards that have not expired, by index; open ones cover the hash key space exactly once.
    pub shards: Vec<Arc<Shard>>,
    /// Index the next new shard gets.
    pub next_shard_index: u32,
    /// A document of the caller's, stored and returned unchanged.
    pub attributes: serde_json::Value,
    /// Positions in `shards` of the open ones, ordered by range start: the routing table.
    #[serde(skip)]
    pub open: Vec<usize>,
}

impl Stream {
    /// The open shard that owns `key`; `None` only when no open shard covers it.
    pub fn route(&self, key: HashKey) -> Option<&Arc<Shard>> {
        self.route_position(key).map(|position| &self.shards[position])
    }

    /// Position in `shards` of the open shard that owns `key`; `None` as for `route`.
    pub fn route_position(&self, key: HashKey) -> Option<usize> {
        let owner_at = |place: usize| {
            let position = *self.open.get(place)?;
            self.shards[position].range.contains(key).then_some(position)
        };
        // Most streams divide the key space evenly, and then this is the owner.
        let even = ((key.0 >> 64) * self.open.len() as u128) >> 64;
        usize::try_from(even).ok().and_then(owner_at).or_else(|| {
            let after = self.open.partition_point(|&i| self.shards[i].range.start <= key.0);
            owner_at(after.checked_sub(1)?)
        })
    }

    /// The shard with this index, if it exists and has not expired.
    pub fn shard(&self, index: ShardIndex) -> Option<&Arc<Shard>> {
        let at = self.shards.binary_search_by_key(&index, |shard| shard.index).ok()?;
        Some(&self.shards[at])
    }

    /// The open shards in order of their ranges.
    pub fn open_shards(&self) -> impl Iterator<Item = &Arc<Shard>> {
        self.open.iter().map(|&i| &self.shards[i])
    }

    /// Recomputes `open` after `shards` changed.
    pub fn index_open_shards(&mut self) {
        let shards = &self.shards;
        self.open = (0..shards.len()).filter(|&i| shards[i].closed.is_none()).collect();
        self.open.sort_by_key(|&i| shards[i].range.start);
    }

    /// The oldest arrival time still readable at `now`.
    pub fn horizon(&self, now: Timestamp) -> Timestamp {
        let kept = u64::from(self.retention_hours) * 3_600_000;
        Timestamp(now.0.saturating_sub(kept)).max(self.trimmed_before)
    }
}

/// A stream to be made.
#[derive(Clone, Debug)]
pub struct NewStream {
    /// Name space and name.
    pub key: StreamKey,
    /// State it starts in.
    pub status: StreamStatus,
    /// Its shards, in order of index.
    pub shards: Vec<NewShard>,
    /// Retention in hours.
    pub retention_hours: u32,
    /// A document of the caller's.
    pub attributes: serde_json::Value,
}

/// A shard to be made.
#[derive(Clone, Debug)]
pub struct NewShard {
    /// Hash keys it owns.
    pub range: HashKeyRange,
    /// Creation time in whole seconds since the epoch.
    pub created_seconds: u64,
    /// Shards it comes from.
    pub parents: Vec<ShardIndex>,
}

/// Closing of some shards and opening of others in one step.
#[derive(Clone, Debug)]
pub struct Reshard {
    /// Open shards to close.
    pub close: Vec<ShardIndex>,
    /// Shards to open; they take the next indexes in this order.
    pub open: Vec<NewShard>,
}

/// One change of a stream's metadata.
#[derive(Clone, Debug)]
pub enum StreamChange {
    /// Moves the life cycle on.
    Status(StreamStatus),
    /// Sets retention, in hours.
    Retention(u32),
    /// Replaces the caller's document.
    Attributes(serde_json::Value),
    /// Lets no record of these open shards arrive after a time to come: later ones are still taken
    /// and arrive at that time. Together with a reshard it is about shards that this one opens.
    ArrivalsUntil(Vec<ShardIndex>, Timestamp),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::uniform_ranges;

    const HOUR_MS: u64 = 3_600_000;

    fn stream(ranges: &[HashKeyRange]) -> Stream {
        let shard = |(index, range): (u32, &HashKeyRange)| {
            Arc::new(Shard {
                uid: ShardUid(u64::from(index) + 10),
                index: ShardIndex(index),
                range: *range,
                created_seconds: 0,
                parents: Vec::new(),
                arrivals_until: None,
                closed: None,
                lost: Vec::new(),
            })
        };
        let mut stream = Stream {
            id: StreamId(1),
            key: StreamKey { namespace: String::new(), name: String::new() },
            created_at: Timestamp(0),
            status: StreamStatus::Active,
            retention_hours: 24,
            trimmed_before: Timestamp(0),
            shards: (0..).zip(ranges).map(shard).collect(),
            next_shard_index: 0,
            attributes: serde_json::Value::Null,
            open: Vec::new(),
        };
        stream.index_open_shards();
        stream
    }

    #[test]
    fn a_key_goes_to_the_open_shard_that_owns_it() {
        let mut ranges = uniform_ranges(4);
        ranges.reverse();
        let stream = stream(&ranges);
        for range in ranges {
            for key in [range.start, range.start + 1, range.end] {
                assert_eq!(stream.route(HashKey(key)).unwrap().range, range);
            }
        }
    }

    #[test]
    fn a_key_no_open_shard_owns_goes_nowhere() {
        let mut stream = stream(&uniform_ranges(3));
        let closed = stream.shards[1].range;
        let end = ShardEnd { closed_at: Timestamp(0), end: Ordinal::FIRST };
        Arc::make_mut(&mut stream.shards[1]).closed = Some(end);
        stream.index_open_shards();
        assert_eq!(stream.open_shards().count(), 2);
        assert!(stream.route(HashKey(closed.start)).is_none());
        assert!(stream.route(HashKey(closed.end)).is_none());
        assert!(stream.route(HashKey(closed.end + 1)).is_some());
    }

    #[test]
    fn shards_are_found_by_index_also_after_some_expired() {
        let mut stream = stream(&uniform_ranges(3));
        stream.shards.remove(1);
        assert_eq!(stream.shard(ShardIndex(2)).unwrap().uid, ShardUid(12));
        assert!(stream.shard(ShardIndex(1)).is_none());
    }

    #[test]
    fn what_is_known_to_be_lost_is_taken_out_of_a_range() {
        let range = |from, until| LostRange { from: Ordinal(from), until: Ordinal(until) };
        let known = [range(1, 3), range(5, 7), range(9, 20)];
        assert_eq!(range(1, 20).without(&known), [range(3, 5), range(7, 9)]);
        assert_eq!(range(2, 6).without(&known), [range(3, 5)]);
        assert_eq!(range(6, 25).without(&known), [range(7, 9), range(20, 25)]);
        assert_eq!(range(5, 7).without(&known), []);
        assert_eq!(range(3, 5).without(&[]), [range(3, 5)]);
    }

    #[test]
    fn the_horizon_never_falls_below_what_was_trimmed() {
        let mut stream = stream(&uniform_ranges(1));
        let now = Timestamp(100 * HOUR_MS);
        assert_eq!(stream.horizon(now), Timestamp(76 * HOUR_MS));
        assert_eq!(stream.horizon(Timestamp(HOUR_MS)), Timestamp(0));
        stream.trimmed_before = Timestamp(80 * HOUR_MS);
        assert_eq!(stream.horizon(now), Timestamp(80 * HOUR_MS));
    }

    proptest! {
        #[test]
        fn uneven_shards_own_their_keys_too(
            starts in prop::collection::btree_set(any::<u128>(), 0..40),
            key: u128,
        ) {
            let starts: Vec<_> = std::iter::once(0).chain(starts.into_iter().filter(|s| *s > 0)).collect();
            let ends = starts[1..].iter().map(|start| start - 1).chain([u128::MAX]);
            let ranges: Vec<_> = starts
                .iter()
                .zip(ends)
                .map(|(&start, end)| HashKeyRange { start, end })
                .collect();
            let stream = stream(&ranges);
            let near = starts.iter().flat_map(|start| [*start, start.wrapping_sub(1)]);
            for key in near.chain([key]).map(HashKey) {
                let owner = ranges.iter().position(|range| range.contains(key));
                prop_assert_eq!(stream.route_position(key), owner);
            }
        }
    }
}
