//! Takes down what clients do while they do it, from any number of threads.
//!
//! The moment of a request is taken before it is sent and that of an answer after it has come, so
//! that what the recorder puts in order did happen in that order.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    Attempt, Content, Damage, Fate, History, Listing, Moment, Number, Retention, Shard, ShardId,
    Start, Step, Walk,
};

/// An attempt of this recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptId(usize);

/// A walk of this recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkId(usize);

/// A history that grows.
#[derive(Debug, Default)]
pub struct Recorder {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: Moment,
    acknowledged: usize,
    history: History,
}

impl State {
    fn tick(&mut self) -> Moment {
        self.now += 1;
        self.now
    }
}

impl Recorder {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on where `history` breaks off, after `end`.
    pub fn continuing(history: History, end: Moment) -> Self {
        let is_stored = |attempt: &&Attempt| matches!(attempt.fate, Fate::Stored { .. });
        let acknowledged = history.attempts.iter().filter(is_stored).count();
        Self { state: Mutex::new(State { now: end, acknowledged, history }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A moment after all before and ahead of all to come.
    pub fn now(&self) -> Moment {
        self.state().tick()
    }

    /// A record is about to be sent; what becomes of it is unknown until it is said.
    pub fn sending(&self, content: Content, hash: Option<u128>, clock_ms: u64) -> AttemptId {
        let mut state = self.state();
        let sent = state.tick();
        let attempt = Attempt { content, hash, sent, sent_ms: clock_ms, fate: Fate::Unknown };
        state.history.attempts.push(attempt);
        AttemptId(state.history.attempts.len() - 1)
    }

    /// The store's clock has gone back to `clock_ms`: what has no answer yet may arrive then.
    pub fn clock_went_back(&self, clock_ms: u64) {
        for attempt in &mut self.state().history.attempts {
            if attempt.fate == Fate::Unknown {
                attempt.sent_ms = attempt.sent_ms.min(clock_ms);
            }
        }
    }

    /// The answer says that it is stored.
    pub fn stored(&self, attempt: AttemptId, shard: ShardId, number: Number) {
        let mut state = self.state();
        let at = state.tick();
        state.acknowledged += 1;
        state.history.attempts[attempt.0].fate = Fate::Stored { shard, number, at };
    }

    /// The answer says that it is not and will not be.
    pub fn refused(&self, attempt: AttemptId) {
        let mut state = self.state();
        let at = state.tick();
        state.history.attempts[attempt.0].fate = Fate::Refused { at };
    }

    /// An iterator has come that was asked for at `asked`.
    pub fn opened(&self, shard: ShardId, start: Start, asked: Moment, is_last: bool) -> WalkId {
        let mut state = self.state();
        let opened = (asked, state.tick());
        state.history.walks.push(Walk { shard, start, opened, is_last, steps: Vec::new() });
        WalkId(state.history.walks.len() - 1)
    }

    /// A read has been answered; its `answered` is set here.
    pub fn read(&self, walk: WalkId, step: Step) {
        let mut state = self.state();
        let answered = state.tick();
        state.history.walks[walk.0].steps.push(Step { answered, ..step });
    }

    /// All shards have been listed, as asked for at `asked`.
    pub fn listed(&self, asked: Moment, shards: Vec<Shard>) {
        let mut state = self.state();
        let answered = state.tick();
        state.history.listings.push(Listing { asked, answered, shards });
    }

    /// A split or merge of this shard was answered with success.
    pub fn closing(&self, shard: ShardId) {
        let mut state = self.state();
        let at = state.tick();
        state.history.closings.push((at, shard));
    }

    /// The retention is about to be this.
    pub fn retaining(&self, ms: u64) {
        let mut state = self.state();
        let from = state.tick();
        state.history.retentions.push(Retention { from, ms });
    }

    /// The store was started again.
    pub fn restarted(&self) {
        let mut state = self.state();
        let at = state.tick();
        state.history.restarts.push(at);
    }

    /// The store said that these are lost.
    pub fn damaged(&self, damage: Damage) {
        self.state().history.damage.push(damage);
    }

    /// Records answered with success so far.
    pub fn acknowledged(&self) -> usize {
        self.state().acknowledged
    }

    /// Reports of lost records so far.
    pub fn damage_reported(&self) -> usize {
        self.state().history.damage.len()
    }

    /// What was taken down so far.
    pub fn history(&self) -> History {
        self.state().history.clone()
    }

    /// The same, where nothing is to come any more.
    pub fn into_history(self) -> History {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).history
    }
}
