//! A wall clock that runs with the simulated time, and jumps.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use kinelog_engine::device::Clock;
use kinelog_engine::types::Timestamp;
use tokio::time::Instant;

/// When every simulation begins.
pub(super) const START_MS: u64 = 1_790_000_000_000;

/// The clock of one simulation.
#[derive(Debug)]
pub(super) struct JumpingClock {
    begun: Instant,
    jumped_ms: AtomicI64,
    highest: AtomicU64,
}

impl JumpingClock {
    /// To be made inside the simulation's runtime.
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), jumped_ms: AtomicI64::new(0), highest: AtomicU64::new(0) }
    }

    /// Jumps by so much, either way.
    pub(super) fn jump(&self, ms: i64) {
        self.jumped_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// The highest time it has shown.
    pub(super) fn highest(&self) -> Timestamp {
        self.now();
        Timestamp(self.highest.load(Ordering::Relaxed))
    }

    /// Milliseconds of simulated time, which no jump moves.
    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> Timestamp {
        let now = (START_MS + self.elapsed_ms())
            .saturating_add_signed(self.jumped_ms.load(Ordering::Relaxed));
        self.highest.fetch_max(now, Ordering::Relaxed);
        Timestamp(now)
    }
}
