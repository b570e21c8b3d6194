//! The whole store against the whole of its promises: damage, time, size and the first second.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod bench;
mod flipped_bits;
mod reshard;
mod retention;
mod start;
