//! Fuzz targets as plain functions: each takes arbitrary bytes and panics when a promise is broken.
//! `fuzz_targets/fuzz.rs` hands them to libFuzzer (`fuzz/run`, on the stable toolchain);
//! `src/bin/smoke.rs` runs them without it.
//!
//! Random bytes hardly ever carry a right checksum or a right signature. So targets of formats that
//! have one also run over their input with the sums put right, which reaches the checks behind them.

mod api_sequence;
mod base64;
mod catalogue;
mod choices;
mod configuration;
mod crash_recovery;
mod event_stream;
mod fault_rules;
mod format_batch;
mod format_footer;
mod format_group;
mod format_journal;
mod format_manifest;
mod format_page_header;
mod format_record;
mod http;
mod iterator;
mod next_token;
mod operation;
mod policy;
mod put_input;
mod recovery_floor;
mod samples;
mod segments;
mod sequence_number;
mod signature;
mod store;
mod stream_arn;
mod world;

use std::cell::OnceCell;

use kinelog::kinesis::Operation;
use kinelog::throttle::Limits;
use serde_json::json;

use world::World;

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
    /// How long an input takes, as a multiple of what a plain parser takes.
    pub cost: u64,
}

macro_rules! targets {
    ($($name:literal: $run:path, $seeds:path, $cost:literal;)*) => {
        /// All targets.
        pub const TARGETS: &[Target] =
            &[$(Target { name: $name, run: $run, seeds: $seeds, cost: $cost },)*];
    };
}

targets! {
    "api_sequence": api_sequence::run, api_sequence::seeds, 400;
    "arn": stream_arn::run, stream_arn::seeds, 20;
    "base64": base64::run, base64::seeds, 1;
    "catalogue": catalogue::run_catalogue, catalogue::catalogue_seeds, 40;
    "cbor_op": operation::run_cbor, operation::cbor_seeds, 1;
    "config": configuration::run, configuration::seeds, 20;
    "crash_recovery": crash_recovery::run, crash_recovery::seeds, 40;
    "event_stream": event_stream::run, event_stream::seeds, 1;
    "fault_rules": fault_rules::run, fault_rules::seeds, 2;
    "format_batch": format_batch::run, format_batch::seeds, 1;
    "format_footer": format_footer::run, format_footer::seeds, 1;
    "format_group": format_group::run, format_group::seeds, 1;
    "format_journal": format_journal::run, format_journal::seeds, 1;
    "format_manifest": format_manifest::run, format_manifest::seeds, 1;
    "format_page_header": format_page_header::run, format_page_header::seeds, 1;
    "format_record": format_record::run, format_record::seeds, 1;
    "http": http::run, http::seeds, 10;
    "index": segments::run_index, segments::index_seeds, 100;
    "iterator": iterator::run, iterator::seeds, 1;
    "json_op": operation::run_json, operation::json_seeds, 1;
    "next_token": next_token::run, next_token::seeds, 20;
    "policy": policy::run, policy::seeds, 1;
    "put_input": put_input::run, put_input::seeds, 2;
    "recovery_floor": recovery_floor::run, recovery_floor::seeds, 2;
    "segment_recovery": segments::run_recovery, segments::recovery_seeds, 40;
    "sequence_number": sequence_number::run, sequence_number::seeds, 1;
    "sigv4_canonical": signature::run_canonical, signature::canonical_seeds, 1;
    "sigv4_header": signature::run_header, signature::header_seeds, 1;
    "snapshot": catalogue::run_snapshot, catalogue::snapshot_seeds, 200;
}

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

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("the system starts a runtime").block_on(work)
}

/// Works with a service that has the streams `s`, of two shards, and `t`. Inputs share it: they only
/// look.
fn with_world(work: impl FnOnce(&World)) {
    thread_local! {
        static WORLD: OnceCell<World> = const { OnceCell::new() };
    }
    WORLD.with(|world| work(world.get_or_init(|| block_on(make_world()))));
}

async fn make_world() -> World {
    let world = World::new(Limits::OFF).await;
    for (name, shards) in [("s", 2), ("t", 1)] {
        let body = json!({"StreamName": name, "ShardCount": shards});
        world.ok(Operation::CreateStream, body).await;
    }
    world.clock.advance_ms(world::TRANSITION_MS);
    world.ok(Operation::ListStreams, json!({})).await;
    world
}
