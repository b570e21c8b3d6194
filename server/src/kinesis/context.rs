//! What every operation may use: the engine, the limits in force, the clock, the account.

use kinelog_engine::Engine;

use crate::throttle::Limits;

/// How the service behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Account of callers whose access key is not itself an account: 12 digits.
    pub account: String,
    /// How long a stream stays in CREATING, UPDATING and DELETING, in milliseconds.
    pub transition_ms: u64,
    /// How strictly rates are enforced; quotas are lifted when they are off.
    pub limits: Limits,
    /// Open shards an account may have in a region; `None` takes the service's quota.
    pub shard_quota: Option<u32>,
}

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The store.
    pub engine: Engine,
    settings: Settings,
}

impl Context {
    /// Over an open store.
    pub fn new(engine: Engine, settings: Settings) -> Self {
        Self { engine, settings }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}
