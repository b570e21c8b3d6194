//! The opaque shard iterator: seal, open, expiry.
