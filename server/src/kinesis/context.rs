//! What every operation may use: the engine, the limits in force, the clock, the account.

use kinelog_engine::Engine;

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The store.
    pub engine: Engine,
}
