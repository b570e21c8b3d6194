//! Buckets at, below and above their limits.
