//! The locks and atomics through which the log thread and readers share state: in segments, in shards
//! and in the queue. They are the system's. They have a module of their own so that `engine/shuttle`
//! can build the engine over others, which change threads at each of them, in an order drawn at random.

pub(crate) use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic};
