//! Exhaustive damage: everything that can be wrong with a small store, one thing at a time. Each
//! case says what was done to which file; a test prints how many cases ended how.
//!
//! `KINELOG_EXHAUSTIVE=4` tries all of everything, with sequences of up to four operations, instead
//! of what fits into a minute or so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the counts are what is shown")]

mod bits;
mod derived;
mod judge;
mod pool;
mod repair;
mod sequences;
mod small_store;
mod transplants;
mod world;
