//! Bounds of time, number and memory against clients that are slow, many or gone: each holds, and a
//! good client is served meanwhile.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod crowds;
mod overload;
mod service;
mod slow;
mod subscribers;
mod system;

use std::time::{Duration, Instant};

use kinelog_tests::raw::{self, Connection};

const BINARY: &str = env!("CARGO_BIN_EXE_kinelog-under-test");
const STREAM: &str = "s";

/// Stores a record as a good client does.
#[track_caller]
fn store(connection: &mut Connection, data: &str) {
    connection.ok("PutRecord", raw::record(STREAM, "key", data));
}

/// The 50th and the 99th of 100 times of a good client, one call after the other.
fn latency(connection: &mut Connection, calls: usize) -> (Duration, Duration) {
    let mut times: Vec<_> = (0..calls)
        .map(|_| {
            let start = Instant::now();
            store(connection, "good");
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[calls / 2], times[calls * 99 / 100])
}
