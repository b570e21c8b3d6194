//! Micro-benchmarks of the engine: `cargo bench -p kinelog-engine`. One process, from the bottom up:
//! sequence numbers, stored formats and their sums, the index of a segment, then a store in a
//! temporary directory.
//!
//! Short by default, about a minute in all; `-- --measurement-time 5 append` takes longer over a part.
//! The store stands below `KINELOG_BENCH_DIRECTORY`, else below the build's own directory: what
//! waits for a device says nothing without the device. `bench/README.md` tells how to read it.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot work ends by panicking")]

mod formats;
mod index;
mod samples;
mod store;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    formats::measure(&mut criterion);
    index::measure(&mut criterion);
    store::measure(&mut criterion);
    criterion.final_summary();
}
