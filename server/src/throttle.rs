//! Per-shard token buckets.
