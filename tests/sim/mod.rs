//! Deterministic simulation: the real engine over a simulated disk, clock and scheduler, all from
//! one seed, judged by the history of its clients.
//!
//! A seed draws [`Options`] (limits, faults and their rates) and a [`Story`] of steps. One thread
//! runs producers, readers and the log thread as tasks; time is simulated, so a wait costs nothing.
//! The same seed gives the same events and the same bytes on the disk. What a store promises is
//! checked by `history`, over what producers and readers saw; what it must still know after a start
//! (settings, shards, what was given up) by `world` and `steps`.
//!
//! Without damage on purpose the disk is one that keeps what it has synced, and then nothing may be
//! lost or reported damaged. With it, a record may be missing only where the store says so.

mod clients;
mod clock;
mod damage;
mod motifs;
mod options;
mod run;
mod shared;
mod shrink;
pub mod situations;
mod steps;
mod story;
mod witness;
mod world;

pub use options::{Options, Rot};
pub use run::{Outcome, cores, run, run_all};
pub use shared::Counts;
pub use shrink::{shortest, shrink};
pub use story::{End, From, Step, Story};
