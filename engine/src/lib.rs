//! The durable log engine of Kinelog: streams, shards, records, bytes.
//!
//! The engine knows nothing of HTTP, JSON or the wire names of AWS. Callers reach it through
//! [`Engine`] only: append, read, follow, metadata changes and retention.
//!
//! Layers, lowest first; a module imports from the ones above it in this list only:
//! `limits`, `sync`, `bugs`, `config`, `types`, `error`, `metrics`, `device`, `format`, `append`, `recovery::floor`,
//! `segment`, `catalog`, `shard`, `commit_log`, `recovery`, `store`, and this file.

pub mod append;
pub mod bugs;
pub mod catalog;
pub mod commit_log;
pub mod config;
pub mod device;
mod engine;
pub mod error;
pub mod format;
pub mod limits;
pub mod metrics;
pub mod recovery;
pub mod segment;
pub mod shard;
pub mod store;
mod sync;
pub mod types;

pub use engine::Engine;
