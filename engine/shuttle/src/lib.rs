//! The whole engine over locks and atomics of `shuttle`: threads change there and nowhere else, in an
//! order drawn at random, so that one seed is one schedule. The files are the engine's own.

/// Stands where the engine has the locks and atomics of the system.
mod sync {
    pub(crate) use shuttle::sync::{
        Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic,
    };
}

#[path = "../../src/append.rs"]
pub mod append;
#[path = "../../src/bugs.rs"]
pub mod bugs;
#[path = "../../src/catalog/mod.rs"]
pub mod catalog;
#[path = "../../src/commit_log/mod.rs"]
pub mod commit_log;
#[path = "../../src/config.rs"]
pub mod config;
#[path = "../../src/device/mod.rs"]
pub mod device;
#[path = "../../src/engine.rs"]
mod engine;
#[path = "../../src/error.rs"]
pub mod error;
#[path = "../../src/format/mod.rs"]
pub mod format;
#[path = "../../src/limits.rs"]
pub mod limits;
#[path = "../../src/metrics.rs"]
pub mod metrics;
#[path = "../../src/recovery/mod.rs"]
pub mod recovery;
#[path = "../../src/segment/mod.rs"]
pub mod segment;
#[path = "../../src/shard/mod.rs"]
pub mod shard;
#[path = "../../src/store/mod.rs"]
pub mod store;
#[path = "../../src/types/mod.rs"]
pub mod types;

pub use engine::Engine;
