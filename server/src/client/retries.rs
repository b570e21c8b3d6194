//! When to try again: pauses that grow and differ by chance, and an end to patience.

use std::time::Duration;

use tokio::time::Instant;

/// Pause after a first failure, at most.
///
/// A shard regains a tenth of its rate in it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Failures in a row of one thing that is tried again.
#[derive(Debug)]
pub struct Retries {
    patience: Duration,
    failing_since: Option<Instant>,
    failures: u32,
}

impl Retries {
    /// Gives up when nothing has succeeded for so long.
    pub const fn new(patience: Duration) -> Self {
        Self { patience, failing_since: None, failures: 0 }
    }

    /// Something succeeded: patience starts anew, and so do the pauses.
    pub const fn succeeded(&mut self) {
        self.failing_since = None;
        self.failures = 0;
    }

    /// Pause before the next attempt; nothing when patience is over.
    pub fn pause(&mut self) -> Option<Duration> {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        let longest = longest(self.failures);
        self.failures = self.failures.saturating_add(1);
        let left = self.patience.checked_sub(since.elapsed()).filter(|left| !left.is_zero())?;
        // Between half of it and all of it, so that those who failed together part.
        Some(longest.mul_f64(fastrand::f64() / 2.0 + 0.5).min(left))
    }
}

/// Doubles with each failure in a row.
fn longest(failures: u32) -> Duration {
    LONGEST_PAUSE.min(FIRST_PAUSE * (1 << failures.min(16)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_differ() {
        let pauses: Vec<_> = (0..8).map(|failures| longest(failures).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(longest(u32::MAX), LONGEST_PAUSE);
        let first = || Retries::new(Duration::from_mins(1)).pause().unwrap();
        let many: Vec<_> = (0..100).map(|_| first()).collect();
        assert!(many.iter().all(|pause| (FIRST_PAUSE / 2..=FIRST_PAUSE).contains(pause)));
        assert!(many.iter().any(|pause| *pause != many[0]));
    }

    #[test]
    fn success_starts_anew() {
        let mut retries = Retries::new(Duration::from_mins(1));
        (0..5).for_each(|_| assert!(retries.pause().is_some()));
        retries.succeeded();
        assert!(retries.pause().unwrap() <= FIRST_PAUSE);
    }

    #[test]
    fn patience_ends() {
        assert_eq!(Retries::new(Duration::ZERO).pause(), None);
        let mut retries = Retries::new(Duration::from_millis(20));
        let paused: Vec<_> = std::iter::from_fn(|| retries.pause()).take(1_000_000).collect();
        assert!(paused.len() < 1_000_000, "20 ms pass");
        assert!(paused.iter().all(|pause| *pause <= Duration::from_millis(20)));
    }
}
