//! How far a worker is behind: the time from something being ready to its turn.
//!
//! A worker's tasks take turns. So a task that does nothing but look at the time, begun with a request,
//! tells how long the queue was; one is under way at a time, and none while there are no requests.
//! What two looks in a row agree upon counts: a single stall of the machine is no overload.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::limits;

/// What one worker knows of itself.
#[derive(Debug)]
pub(super) struct Lag {
    /// What the last look told.
    last: Cell<Duration>,
    /// The smaller of that and the one before.
    steady: Cell<Duration>,
    looked_at: Cell<Instant>,
    /// When the look under way began.
    looking_since: Cell<Option<Instant>>,
    /// Requests since it was last not behind.
    behind: Cell<u32>,
}

impl Lag {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            last: Cell::default(),
            steady: Cell::default(),
            looked_at: Cell::new(Instant::now()),
            looking_since: Cell::new(None),
            behind: Cell::new(0),
        })
    }

    /// True when a request that begins `now` is to be shed: the worker is further behind than
    /// `lag_max`. A few are served all the same, so that work is done however many insist.
    pub(super) fn must_shed(self: &Rc<Self>, now: Instant, lag_max: Duration) -> bool {
        if self.at_request(now) <= lag_max {
            self.behind.set(0);
            return false;
        }
        let number = self.behind.get().wrapping_add(1);
        self.behind.set(number);
        !number.is_multiple_of(limits::LAG_SERVED_ONE_IN)
    }

    /// How far the worker is behind when a request begins `now`; may begin another look.
    fn at_request(self: &Rc<Self>, now: Instant) -> Duration {
        if let Some(since) = self.looking_since.get() {
            let so_far = now.saturating_duration_since(since);
            return self.steady.get().max(self.last.get().min(so_far));
        }
        let age = now.saturating_duration_since(self.looked_at.get());
        if age >= limits::LAG_AGE_MAX {
            self.note(Duration::ZERO);
        }
        if age >= limits::LAG_LOOK_INTERVAL {
            self.look(now);
        }
        self.steady.get()
    }

    fn note(&self, look: Duration) {
        let before = self.last.replace(look);
        self.steady.set(before.min(look));
    }

    fn look(self: &Rc<Self>, now: Instant) {
        self.looking_since.set(Some(now));
        let lag = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let turn = Instant::now();
            lag.note(turn.saturating_duration_since(now));
            lag.looked_at.set(turn);
            lag.looking_since.set(None);
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// One that has found twice what is given, lastly now.
    fn behind(before: Duration, last: Duration) -> (Rc<Lag>, Instant) {
        let lag = Lag::new();
        lag.note(before);
        lag.note(last);
        let at = lag.looked_at.get();
        (lag, at)
    }

    #[tokio::test]
    async fn a_look_takes_its_turn() {
        LocalSet::new()
            .run_until(async {
                let (lag, at) = behind(SECOND, SECOND);
                let begun = at + limits::LAG_LOOK_INTERVAL;
                assert_eq!(lag.at_request(at), SECOND);
                assert_eq!(lag.looking_since.get(), None, "it is too soon for another");
                assert_eq!(lag.at_request(begun), SECOND);
                assert_eq!(lag.looking_since.get(), Some(begun));
                while lag.looking_since.get().is_some() {
                    tokio::task::yield_now().await;
                }
                assert!(lag.looked_at.get() > at && lag.last.get() < SECOND);
            })
            .await;
    }

    #[tokio::test]
    async fn two_looks_in_a_row_count_and_a_look_under_way_is_one() {
        LocalSet::new()
            .run_until(async {
                let (lag, at) = behind(Duration::ZERO, 9 * SECOND);
                assert_eq!(lag.at_request(at), Duration::ZERO, "one stall");
                let begun = at + limits::LAG_LOOK_INTERVAL;
                assert_eq!(lag.at_request(begun), Duration::ZERO);
                assert_eq!(lag.at_request(begun + SECOND), SECOND);
                assert_eq!(lag.at_request(begun + 20 * SECOND), 9 * SECOND);
            })
            .await;
    }

    #[tokio::test]
    async fn all_but_a_few_are_shed_beyond_the_bound_and_none_at_it() {
        LocalSet::new()
            .run_until(async {
                let (lag, at) = behind(SECOND, SECOND);
                let shed = |lag_max| (0..80).filter(|_| lag.must_shed(at, lag_max)).count();
                assert_eq!(shed(SECOND), 0);
                assert_eq!(shed(Duration::from_millis(999)), 70);
            })
            .await;
    }

    #[tokio::test]
    async fn what_was_long_ago_does_not_count() {
        LocalSet::new()
            .run_until(async {
                let (lag, at) = behind(SECOND, SECOND);
                assert_eq!(lag.at_request(at + limits::LAG_AGE_MAX), Duration::ZERO);
            })
            .await;
    }
}
