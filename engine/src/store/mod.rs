//! One open data directory: the log thread that owns all shards, checkpoints, retention.

mod retention;
