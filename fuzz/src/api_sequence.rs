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

/// The target: the bytes that a random generator would give.
pub fn run(data: &[u8]) {
    if let Err(story) = sequences::try_chosen_by(data) {
        panic!("{story}");
    }
}

/// Bytes of a random generator, a few and many.
pub fn seeds() -> Vec<Seed> {
    let random = |seed, bytes| {
        let mut input = vec![0; bytes];
        fastrand::Rng::with_seed(seed).fill(&mut input);
        input
    };
    vec![
        ("a", random(1, 200)),
        ("b", random(2, 800)),
        ("c", random(3, 1600)),
        ("d", random(4, 3200)),
        ("e", random(5, 3200)),
        ("f", random(6, 3200)),
    ]
}
