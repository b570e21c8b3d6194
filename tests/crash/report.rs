//! What the rounds came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use kinelog_tests::history::{Kind, Summary, Violation};
use serde_json::{Value, json};

/// Sums over all stores of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: u64,
    pub(crate) starts_killed: u64,
    pub(crate) starts_without_ring: u64,
    pub(crate) images: u64,
    pub(crate) sent: usize,
    pub(crate) acknowledged: usize,
    pub(crate) refused: usize,
    pub(crate) found_unanswered: usize,
    pub(crate) read: usize,
    pub(crate) shards: usize,
    /// Ranges damaged on purpose that the server said it cannot give.
    pub(crate) damage_reported: usize,
    /// Rounds by what the power cut left of the cache.
    pub(crate) kept: BTreeMap<&'static str, u64>,
    pub(crate) longest_start: Duration,
    pub(crate) longest_stop: Duration,
    pub(crate) longest_healing: Duration,
    /// Writes and flushes the disk was asked for.
    pub(crate) disk: (u64, u64),
    violations: BTreeMap<Kind, usize>,
}

impl Tally {
    pub(crate) fn add(&mut self, summary: &Summary) {
        self.sent += summary.attempts;
        self.acknowledged += summary.acknowledged;
        self.refused += summary.refused;
        self.found_unanswered += summary.found_unanswered;
        self.read += summary.read;
        self.shards += summary.shards;
    }

    pub(crate) fn count(&mut self, violations: &[Violation]) {
        for violation in violations {
            *self.violations.entry(violation.kind()).or_default() += 1;
        }
    }

    fn of(&self, kind: Kind) -> usize {
        self.violations.get(&kind).copied().unwrap_or_default()
    }

    /// What was broken, all kinds together.
    fn others(&self) -> usize {
        self.of(Kind::Invented) + self.of(Kind::Lineage) + self.of(Kind::Incomplete)
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        json!({
            "test": name,
            "rounds": self.rounds,
            "starts_killed": self.starts_killed,
            "starts_without_ring": self.starts_without_ring,
            "images": self.images,
            "sent": self.sent,
            "acknowledged": self.acknowledged,
            "refused": self.refused,
            "found_unanswered": self.found_unanswered,
            "read": self.read,
            "shards": self.shards,
            "damage_reported": self.damage_reported,
            "cache_kept": self.kept,
            "longest_start_ms": milliseconds(self.longest_start),
            "longest_stop_ms": milliseconds(self.longest_stop),
            "longest_healing_ms": milliseconds(self.longest_healing),
            "disk_writes": self.disk.0,
            "disk_flushes": self.disk.1,
            "lost": self.of(Kind::Lost),
            "altered": self.of(Kind::Altered),
            "duplicated": self.of(Kind::Duplicated),
            "reordered": self.of(Kind::Reordered),
            "other": self.others(),
        })
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, images, acknowledged, read, found_unanswered, .. } = self;
        write!(
            f,
            "{rounds} rounds ({} starts killed), {images} images, {acknowledged} acknowledged, \
             {found_unanswered} found without an answer, {read} read of {} shards; longest start \
             {:?}; lost {}, altered {}, duplicated {}, reordered {}, other {}",
            self.starts_killed,
            self.shards,
            self.longest_start,
            self.of(Kind::Lost),
            self.of(Kind::Altered),
            self.of(Kind::Duplicated),
            self.of(Kind::Reordered),
            self.others()
        )
    }
}
