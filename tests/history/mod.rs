//! What clients of one stream did and saw, and whether a store that keeps its promises can have
//! answered so.
//!
//! Plain values: nothing here knows the engine or the wire, so that a simulation and clients of a
//! real server are judged by the same rules. The promises are those of docs/durability.md. What is
//! not recorded is not judged: a history without listings says nothing about hash keys.

mod check;
mod lineage;
mod log;
mod number;
mod recorder;
mod violation;
mod walks;

use std::sync::Arc;

pub use check::{Summary, check};
pub use number::{Number, NumberError};
pub use recorder::{AttemptId, Recorder, WalkId};
pub use violation::{Kind, Violation};

/// A place in the order in which the recorder saw things begin and end.
pub type Moment = u64;

/// A shard by its number: 3 for `shardId-000000000003`.
pub type ShardId = u64;

/// Partition key and data of a record in one, different for every attempt to write one.
pub type Content = Arc<[u8]>;

/// All that is known of one stream.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Each record sent, once for each time it was sent.
    pub attempts: Vec<Attempt>,
    /// Each iterator with all that was read through it.
    pub walks: Vec<Walk>,
    /// What the store said of its shards.
    pub listings: Vec<Listing>,
    /// The retention from the beginning and each later one, in order. None: nothing may expire.
    pub retentions: Vec<Retention>,
    /// When the store was started again.
    pub restarts: Vec<Moment>,
    /// Shards the store has promised to close, by when it did.
    pub closings: Vec<(Moment, ShardId)>,
    /// What the store said it cannot give any more.
    pub damage: Vec<Damage>,
}

impl History {
    /// What was known at `end`, itself included, where the story breaks off.
    #[must_use]
    pub fn until(&self, end: Moment) -> Self {
        let attempts = self.attempts.iter().filter(|attempt| attempt.sent <= end).cloned();
        let attempts = attempts.map(|mut attempt| {
            match attempt.fate {
                Fate::Stored { at, .. } | Fate::Refused { at } if at > end => {
                    attempt.fate = Fate::Unknown;
                }
                Fate::Stored { .. } | Fate::Refused { .. } | Fate::Unknown => {}
            }
            attempt
        });
        let walks = self.walks.iter().filter(|walk| walk.opened.1 <= end).cloned();
        let walks = walks.map(|mut walk| {
            walk.steps.retain(|step| step.answered <= end);
            walk
        });
        Self {
            attempts: attempts.collect(),
            walks: walks.collect(),
            listings: self.listings.iter().filter(|it| it.answered <= end).cloned().collect(),
            retentions: self.retentions.iter().filter(|it| it.from <= end).copied().collect(),
            restarts: self.restarts.iter().filter(|it| **it <= end).copied().collect(),
            closings: self.closings.iter().filter(|it| it.0 <= end).copied().collect(),
            damage: self.damage.clone(),
        }
    }
}

/// One record on its way to the store.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What was sent.
    pub content: Content,
    /// Where its key falls, if known.
    pub hash: Option<u128>,
    /// When it was sent.
    pub sent: Moment,
    /// The lowest the store's clock has shown from then until the answer, or less, in milliseconds:
    /// the record has not arrived earlier.
    pub sent_ms: u64,
    /// What became of it.
    pub fate: Fate,
}

/// What a producer knows of a record it has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Answered with success.
    Stored {
        /// Where it is.
        shard: ShardId,
        /// Its number there.
        number: Number,
        /// When the answer came.
        at: Moment,
    },
    /// Answered with an error that says it was not stored.
    Refused {
        /// When the answer came.
        at: Moment,
    },
    /// Not answered, or with an error that leaves it open.
    Unknown,
}

/// Where an iterator begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The oldest record there is.
    Horizon,
    /// The record of this number.
    At(Number),
    /// The one after this number.
    After(Number),
    /// The first that arrived in this millisecond or later.
    AtTime(u64),
    /// What comes from now on.
    Latest,
}

/// One iterator and those that followed from it.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The shard.
    pub shard: ShardId,
    /// Where it began.
    pub start: Start,
    /// When the iterator was asked for, and when it came.
    pub opened: (Moment, Moment),
    /// Whether this reads the whole shard after everything else has happened.
    pub is_last: bool,
    /// The reads that were answered, one after the other.
    pub steps: Vec<Step>,
}

/// One answer to a reader.
#[derive(Clone, Debug)]
pub struct Step {
    /// When it was asked for.
    pub asked: Moment,
    /// When it came.
    pub answered: Moment,
    /// The highest the store's clock had shown by then, or more, in milliseconds.
    pub clock_ms: u64,
    /// What came.
    pub records: Vec<Record>,
    /// Whether the store said that there was nothing more.
    pub is_caught_up: bool,
    /// Set at the end of a closed shard: the children it named.
    pub end: Option<Vec<ShardId>>,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub number: Number,
    /// Its time of arrival, in milliseconds.
    pub arrival_ms: u64,
    /// What it holds.
    pub content: Content,
}

/// What the store said of all its shards at one time.
#[derive(Clone, Debug)]
pub struct Listing {
    /// When it was asked for.
    pub asked: Moment,
    /// When it came.
    pub answered: Moment,
    /// The shards, closed ones too.
    pub shards: Vec<Shard>,
}

/// A shard as it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which.
    pub id: ShardId,
    /// What it came from.
    pub parents: Vec<ShardId>,
    /// First and last hash key.
    pub keys: (u128, u128),
    /// Whether it takes records.
    pub is_open: bool,
}

/// How long records stay.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// When it was asked for.
    pub from: Moment,
    /// In milliseconds.
    pub ms: u64,
}

/// Records the store said it has lost: a report, which silence is not.
#[derive(Clone, Debug)]
pub struct Damage {
    /// Where.
    pub shard: ShardId,
    /// First and last number that may be gone.
    pub numbers: (Number, Number),
}
