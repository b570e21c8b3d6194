//! What may happen only so often in any 24 hours.

use kinelog_engine::types::Timestamp;
use serde::{Deserialize, Serialize};

const DAY_MS: u64 = 24 * 3_600_000;

/// When it happened in the last 24 hours, as told; older times go when the next one comes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct RollingDay(Vec<Timestamp>);

impl RollingDay {
    /// Notes that it happens now, unless it has happened `most` times already: then false.
    pub(super) fn admit(&mut self, now: Timestamp, most: usize) -> bool {
        self.0.retain(|at| now.since(*at) < DAY_MS);
        let admitted = self.0.len() < most;
        if admitted {
            self.0.push(now);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_counts_for_a_day() {
        let mut day = RollingDay::default();
        assert!(day.admit(Timestamp(0), 2));
        assert!(day.admit(Timestamp(10), 2));
        assert!(!day.admit(Timestamp(DAY_MS - 1), 2));
        assert!(day.admit(Timestamp(DAY_MS), 2));
        assert!(!day.admit(Timestamp(DAY_MS + 9), 2));
        assert!(day.admit(Timestamp(DAY_MS + 10), 2));
    }
}
