//! Time and randomness, as values handed in.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::types::Timestamp;

/// The wall clock. It may jump either way.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// A source of unpredictable numbers.
pub trait Entropy: Send + Sync {
    /// 64 random bits.
    fn next_u64(&self) -> u64;
    /// 128 random bits.
    fn next_u128(&self) -> u128 {
        u128::from(self.next_u64()) << 64 | u128::from(self.next_u64())
    }
}

/// The system's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam all others go through")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// The system's clock, running fast from a moment on; for tests of what takes days.
///
/// A clock of the same moment and rate goes on where it was after a restart, and never stands behind
/// the system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastClock {
    /// Until here it is the system's.
    pub since: Timestamp,
    /// Milliseconds for each of the system's.
    pub rate: u32,
}

impl FastClock {
    fn at(self, system: Timestamp) -> Timestamp {
        let fast = system.0.saturating_sub(self.since.0).saturating_mul(self.rate.into());
        if system.0 < self.since.0 { system } else { Timestamp(self.since.0.saturating_add(fast)) }
    }
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        self.at(SystemClock.now())
    }
}

/// A clock that stands still until it is moved; for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Starts at `now`.
    pub const fn new(now: Timestamp) -> Self {
        Self(AtomicU64::new(now.0))
    }

    /// Jumps to `now`, forwards or backwards.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Moves forward.
    pub fn advance_ms(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// The kernel's random numbers.
#[derive(Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn next_u64(&self) -> u64 {
        getrandom::u64().expect("the kernel hands out random numbers once it has booted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_is_the_systems_until_its_moment_and_fast_from_there() {
        let clock = FastClock { since: Timestamp(1_000), rate: 60 };
        for (system, fast) in [(0, 0), (999, 999), (1_000, 1_000), (1_001, 1_060), (2_000, 61_000)]
        {
            assert_eq!(clock.at(Timestamp(system)), Timestamp(fast));
        }
        assert_eq!(clock.at(Timestamp(u64::MAX)), Timestamp(u64::MAX));
    }
}
