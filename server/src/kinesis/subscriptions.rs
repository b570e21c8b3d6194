//! Who reads which shard: at most one subscription for a consumer and a shard.
//!
//! A subscription holds its place alone for `TAKE_OVER_AFTER_MS`, whether its client still reads or
//! not; after that the next call takes it over, and the one before ends. What has ended and is old
//! is forgotten.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kinelog_engine::types::{ShardIndex, StreamId, Timestamp};
use tokio::sync::oneshot;

use crate::aws::exception::Exception;
use crate::limits::TAKE_OVER_AFTER_MS;

/// The table looks for places to forget when it has grown to this many, then at twice what is left.
const SWEEP_AT_LEAST: usize = 1024;

/// A consumer and a shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The stream.
    pub(super) stream: StreamId,
    /// The shard.
    pub(super) shard: ShardIndex,
    /// The consumer's name.
    pub(super) consumer: String,
    /// The second of its registration.
    pub(super) created_seconds: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, shard, consumer, created_seconds } = self;
        write!(f, "{stream}/{shard}/{consumer}:{created_seconds}")
    }
}

/// Ends a subscription with the exception it is to end with.
pub(super) type Ended = oneshot::Receiver<Exception>;

struct Holder {
    began: Timestamp,
    end: oneshot::Sender<Exception>,
}

impl Holder {
    /// True while nobody may take over. A clock that was set counts as time that has passed.
    const fn is_fresh(&self, now: Timestamp) -> bool {
        self.began.0.abs_diff(now.0) < TAKE_OVER_AFTER_MS
    }
}

/// All places held.
#[derive(Default)]
pub(super) struct Subscriptions {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    holders: HashMap<Place, Holder>,
    sweep_at: usize,
}

impl Subscriptions {
    /// True when a subscription that begins now would be refused.
    pub(super) fn is_held(&self, place: &Place, now: Timestamp) -> bool {
        self.lock().holders.get(place).is_some_and(|holder| holder.is_fresh(now))
    }

    /// Takes a place, and ends whoever held it with `taken_over`; `None` where that one is too fresh.
    pub(super) fn begin(
        &self,
        place: Place,
        now: Timestamp,
        taken_over: Exception,
    ) -> Option<Ended> {
        let mut table = self.lock();
        if table.holders.get(&place).is_some_and(|holder| holder.is_fresh(now)) {
            return None;
        }
        table.sweep(now);
        let (end, ended) = oneshot::channel();
        if let Some(last) = table.holders.insert(place, Holder { began: now, end }) {
            finish(last, taken_over);
        }
        Some(ended)
    }

    /// Ends all subscriptions of a consumer.
    pub(super) fn end_consumer(&self, stream: StreamId, name: &str, reason: &Exception) {
        self.end(reason, |place| place.stream == stream && place.consumer == name);
    }

    /// Ends all subscriptions of a stream.
    pub(super) fn end_stream(&self, stream: StreamId, reason: &Exception) {
        self.end(reason, |place| place.stream == stream);
    }

    fn end(&self, reason: &Exception, which: impl Fn(&Place) -> bool) {
        let mut table = self.lock();
        for (_, holder) in table.holders.extract_if(|place, _| which(place)) {
            finish(holder, reason.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn sweep(&mut self, now: Timestamp) {
        if self.holders.len() >= self.sweep_at {
            self.holders.retain(|_, holder| !holder.end.is_closed() || holder.is_fresh(now));
            self.sweep_at = (self.holders.len() * 2).max(SWEEP_AT_LEAST);
        }
    }
}

fn finish(holder: Holder, reason: Exception) {
    // Where nobody listens any more, the client has left by itself.
    drop(holder.end.send(reason));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::exception::Kind;

    const STREAM: StreamId = StreamId(1);

    fn place(shard: u32, consumer: &str) -> Place {
        let (stream, shard) = (STREAM, ShardIndex(shard));
        Place { stream, shard, consumer: consumer.to_owned(), created_seconds: 1 }
    }

    fn begin(subscriptions: &Subscriptions, place: Place, at: u64) -> Option<Ended> {
        let taken_over = Exception::bare(Kind::ResourceInUse);
        subscriptions.begin(place, Timestamp(at), taken_over)
    }

    #[test]
    fn a_place_is_taken_over_after_five_seconds_only() {
        let subscriptions = Subscriptions::default();
        let at = place(1, "c");
        let mut first = begin(&subscriptions, at.clone(), 10_000).unwrap();
        for now in [10_000, 14_999, 9_999] {
            assert!(subscriptions.is_held(&at, Timestamp(now)));
            assert!(begin(&subscriptions, at.clone(), now).is_none());
        }
        assert!(first.try_recv().is_err(), "a refused call ends nobody");
        assert!(!subscriptions.is_held(&at, Timestamp(15_000)));
        let _second = begin(&subscriptions, at, 15_000).unwrap();
        assert_eq!(first.try_recv().unwrap().kind, Kind::ResourceInUse);
    }

    #[test]
    fn a_place_is_held_also_when_its_client_has_left() {
        let subscriptions = Subscriptions::default();
        drop(begin(&subscriptions, place(1, "c"), 0).unwrap());
        assert!(begin(&subscriptions, place(1, "c"), 4_999).is_none());
        assert!(begin(&subscriptions, place(1, "c"), 5_000).is_some());
    }

    #[test]
    fn a_clock_set_back_blocks_nobody() {
        let subscriptions = Subscriptions::default();
        let _first = begin(&subscriptions, place(1, "c"), 100_000).unwrap();
        assert!(begin(&subscriptions, place(1, "c"), 90_000).is_some());
    }

    #[test]
    fn other_shards_consumers_and_registrations_are_other_places() {
        let subscriptions = Subscriptions::default();
        let again = Place { created_seconds: 2, ..place(1, "c") };
        let places = [place(1, "c"), place(2, "c"), place(1, "d"), again];
        let held: Vec<_> = places.map(|place| begin(&subscriptions, place, 0).unwrap()).into();
        assert_eq!(held.len(), 4);
    }

    #[test]
    fn a_consumer_or_a_stream_that_goes_ends_its_subscriptions() {
        let subscriptions = Subscriptions::default();
        let mut one = begin(&subscriptions, place(1, "c"), 0).unwrap();
        let mut two = begin(&subscriptions, place(1, "d"), 0).unwrap();
        let reason = Exception::bare(Kind::ResourceNotFound);
        subscriptions.end_consumer(StreamId(2), "c", &reason);
        assert!(one.try_recv().is_err());
        subscriptions.end_consumer(STREAM, "c", &reason);
        assert_eq!(one.try_recv().unwrap(), reason);
        assert!(two.try_recv().is_err());
        subscriptions.end_stream(STREAM, &reason);
        assert_eq!(two.try_recv().unwrap(), reason);
    }

    #[test]
    fn places_that_are_left_and_old_are_forgotten() {
        let subscriptions = Subscriptions::default();
        let live = begin(&subscriptions, place(0, "live"), 0).unwrap();
        for n in 1..5_000 {
            drop(begin(&subscriptions, place(n, "c"), u64::from(n) * TAKE_OVER_AFTER_MS).unwrap());
        }
        let table = subscriptions.lock();
        assert!(table.holders.len() <= SWEEP_AT_LEAST);
        assert!(table.holders.contains_key(&place(0, "live")));
        drop(live);
    }
}
