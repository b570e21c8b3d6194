//! Sequences of API calls, pauses, restarts and power cuts, chosen by the input, against the model of
//! the service that the server's own tests have.

use kinelog::kinesis::Operation;
use kinelog::throttle::Limits;
use kinelog_engine::types::Timestamp;
use serde_json::{Value as Json, json};

use crate::Seed;
use crate::world::{ACCOUNT, NOW, REGION, TRANSITION_MS, World, arn};

/// Where the sequences look for it.
mod subscribing {
    pub(super) use crate::world::Subscriber;
}

#[path = "../../server/src/kinesis/tests/sequences/mod.rs"]
#[allow(
    clippy::wildcard_imports,
    clippy::pedantic,
    dead_code,
    reason = "these are tests of another crate, which has its own lints"
)]
mod sequences;

/// The target: the seeds of the steps, four bytes each.
pub fn run(data: &[u8]) {
    if let Err(story) = sequences::try_chosen_by(data) {
        panic!("{story}");
    }
}

/// Sequences of a few steps and of many.
pub fn seeds() -> Vec<Seed> {
    let random = |seed, steps: usize| {
        let mut input = vec![0; steps * 4];
        fastrand::Rng::with_seed(seed).fill(&mut input);
        input
    };
    let seeds = [("a", 4), ("b", 8), ("c", 12), ("d", 20), ("e", 30), ("f", 40)];
    (0..).zip(seeds).map(|(seed, (name, steps))| (name, random(seed, steps))).collect()
}
