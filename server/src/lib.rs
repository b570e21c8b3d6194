//! The Kinelog server: the Kinesis Data Streams API over the engine.
//!
//! Layers, lowest first; a module imports from the ones above it in this list only:
//! `limits`, `spare`, `aws` (protocol pieces), `client` (calls to any endpoint), `metrics`, `throttle`, `seal`,
//! `shard_iterator`, `faults`, `kinesis` (one file an operation), `tls`, `http`, `server` (assembly),
//! `commands`, `config_file`, `migration` and `arguments` (the binary), `fuzzing` (for fuzz targets).

pub mod arguments;
pub mod aws;
pub mod client;
mod commands;
mod config_file;
pub mod faults;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod http;
pub mod kinesis;
pub mod limits;
pub mod metrics;
mod migration;
pub mod seal;
pub mod server;
pub mod shard_iterator;
pub mod spare;
pub mod throttle;
pub mod tls;
