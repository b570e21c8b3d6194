//! Fuzz targets as plain functions: each takes arbitrary bytes and panics when a promise of the
//! engine is broken. `fuzz_targets/` hands them to libFuzzer (nightly, `cargo fuzz run --features
//! libfuzzer <target>`); `src/bin/smoke.rs` runs them on the stable toolchain.
//!
//! Random bytes hardly ever carry a right checksum. So each target also runs over its input with
//! the sums put right, which reaches the checks behind them.

pub mod crash_recovery;
pub mod format_batch;
pub mod format_footer;
pub mod format_group;
pub mod format_journal;
pub mod format_manifest;
pub mod format_page_header;
pub mod format_record;
pub mod recovery_floor;
mod samples;

/// A named input to start from.
pub type Seed = (&'static str, Vec<u8>);

/// One fuzz target.
pub struct Target {
    /// Its name, also that of its folder in `corpus/`.
    pub name: &'static str,
    /// Its body.
    pub run: fn(&[u8]),
    /// Sound inputs, made with the encoders; `src/bin/seeds.rs` writes them to the corpus.
    pub seeds: fn() -> Vec<Seed>,
}

/// All targets.
pub const TARGETS: [Target; 9] = [
    Target { name: "format_record", run: format_record::run, seeds: format_record::seeds },
    Target { name: "format_batch", run: format_batch::run, seeds: format_batch::seeds },
    Target { name: "format_group", run: format_group::run, seeds: format_group::seeds },
    Target { name: "format_footer", run: format_footer::run, seeds: format_footer::seeds },
    Target {
        name: "format_page_header",
        run: format_page_header::run,
        seeds: format_page_header::seeds,
    },
    Target { name: "format_manifest", run: format_manifest::run, seeds: format_manifest::seeds },
    Target { name: "format_journal", run: format_journal::run, seeds: format_journal::seeds },
    Target { name: "recovery_floor", run: recovery_floor::run, seeds: recovery_floor::seeds },
    Target { name: "crash_recovery", run: crash_recovery::run, seeds: crash_recovery::seeds },
];

/// Writes `value` at `at`, if it fits.
fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(slot) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *slot = value.to_le_bytes();
    }
}

/// The number of 4 bytes at `at`.
fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let number = bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))?;
    usize::try_from(number).ok()
}
