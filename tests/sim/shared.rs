//! What all parts of one simulation share: the history, the log of events, what was counted, and
//! what was found wrong besides what the history shows.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use kinelog_engine::device::Clock;
use kinelog_engine::types::{Ordinal, Shard, Stream, Timestamp};

use super::clock::{JumpingClock, START_MS};
use super::witness::NOTHING;
use crate::history::{Content, Number, Recorder};

/// What a simulation counts, by name.
pub type Counts = BTreeMap<String, u64>;

/// Shared by the driver and all clients of one simulation. One thread has it.
pub(super) struct Shared {
    pub(super) clock: std::sync::Arc<JumpingClock>,
    pub(super) recorder: Recorder,
    pub(super) events: RefCell<Vec<String>>,
    pub(super) counts: RefCell<Counts>,
    pub(super) wrong: RefCell<Vec<String>>,
    pub(super) shards: RefCell<BTreeMap<u32, Known>>,
    next_record: RefCell<u64>,
    /// Nothing that arrived before may be read any more.
    pub(super) trimmed_before: RefCell<Timestamp>,
    /// Reads may fail, or report damage, though nothing stored is damaged.
    pub(super) reads_fail: RefCell<bool>,
    /// Something stored was damaged on purpose.
    pub(super) is_damaged: RefCell<bool>,
    /// Records reported damaged, by shard and ordinal.
    pub(super) lost: RefCell<BTreeSet<(u32, u64)>>,
    /// What the driver is doing.
    pub(super) doing: Cell<&'static str>,
}

/// A shard that was ever seen.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) shard: std::sync::Arc<Shard>,
    /// The latest arrival of any record of it.
    pub(super) last_arrival: Timestamp,
    /// No record sent now may arrive later.
    pub(super) limit: Option<Timestamp>,
    /// The earliest limit that was asked for: records sent later may arrive then.
    pub(super) earliest_limit: Timestamp,
    /// What was given up for good: nothing before it comes back.
    pub(super) given_up: Ordinal,
}

impl Shared {
    pub(super) fn new(clock: std::sync::Arc<JumpingClock>) -> Rc<Self> {
        Rc::new(Self {
            clock,
            recorder: Recorder::new(),
            events: RefCell::default(),
            counts: RefCell::default(),
            wrong: RefCell::default(),
            shards: RefCell::default(),
            next_record: RefCell::new(1),
            trimmed_before: RefCell::new(Timestamp(0)),
            reads_fail: RefCell::new(false),
            is_damaged: RefCell::new(false),
            lost: RefCell::default(),
            doing: Cell::new(NOTHING),
        })
    }

    /// Takes down what has happened; the same seed gives the same lines.
    pub(super) fn event(&self, text: impl Into<String>) {
        let text = text.into();
        let at = self.clock.elapsed_ms();
        self.events.borrow_mut().push(format!("{at:>8} {text}"));
    }

    /// Counts one of a kind.
    pub(super) fn count(&self, what: impl Into<String>) {
        self.count_many(what, 1);
    }

    /// Counts several of a kind.
    pub(super) fn count_many(&self, what: impl Into<String>, how_many: u64) {
        if how_many > 0 {
            *self.counts.borrow_mut().entry(what.into()).or_default() += how_many;
        }
    }

    /// Something that no store may do.
    pub(super) fn wrong(&self, text: impl Into<String>) {
        let text = text.into();
        self.event(format!("WRONG: {text}"));
        self.wrong.borrow_mut().push(text);
    }

    pub(super) fn next_record(&self) -> u64 {
        let mut next = self.next_record.borrow_mut();
        *next += 1;
        *next - 1
    }

    /// A record of `shard` arrived then.
    pub(super) fn arrived(&self, shard: u32, at: Timestamp) {
        if let Some(known) = self.shards.borrow_mut().get_mut(&shard) {
            known.last_arrival = known.last_arrival.max(at);
        }
    }

    /// All shards of the stream as it is now.
    pub(super) fn see(&self, stream: &Stream) {
        let mut shards = self.shards.borrow_mut();
        for shard in &stream.shards {
            let known = shards.entry(shard.index.0).or_insert_with(|| Known {
                shard: shard.clone(),
                last_arrival: Timestamp(0),
                limit: None,
                earliest_limit: Timestamp(u64::MAX),
                given_up: Ordinal(0),
            });
            known.shard = shard.clone();
        }
    }

    /// What a start has found of the ends of arrivals holds from then on, also where the change
    /// that set one had no answer.
    pub(super) fn bind(&self, stream: &Stream) {
        let mut shards = self.shards.borrow_mut();
        for shard in &stream.shards {
            if let Some(known) = shards.get_mut(&shard.index.0) {
                known.limit = shard.arrivals_until;
            }
        }
    }

    /// What came out of a shard.
    pub(super) fn children(&self, parent: u32) -> Vec<u64> {
        let shards = self.shards.borrow();
        let is_child = |known: &&Known| known.shard.parents.iter().any(|it| it.0 == parent);
        shards.values().filter(is_child).map(|known| u64::from(known.shard.index.0)).collect()
    }
}

/// The number of a record in the history: creation of its shard, then its place. Children of a
/// shard are created in a later second.
pub(super) fn number(shard: &Shard, ordinal: Ordinal) -> Number {
    const PLACE_BITS: u32 = 32;
    let second = shard.created_seconds.saturating_sub(START_MS / 1000);
    Number::from(second << PLACE_BITS | ordinal.0)
}

/// Partition key and data of the `id`th record: all bytes follow from `id`.
pub(super) fn content(id: u64, bytes: u32) -> (Vec<u8>, Vec<u8>) {
    let key = format!("key-{id}").into_bytes();
    let mut data = vec![0; bytes as usize];
    fastrand::Rng::with_seed(id).fill(&mut data);
    (key, data)
}

/// The two in one, as the history compares them.
pub(super) fn whole(key: &[u8], data: &[u8]) -> Content {
    [key, b":", data].concat().into()
}

/// The clock, as far as the history needs it.
pub(super) fn now_ms(shared: &Shared) -> u64 {
    shared.clock.now().0
}
