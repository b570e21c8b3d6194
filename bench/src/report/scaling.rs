//! What a record costs as there is more of everything: shards, streams, connections, bytes of a
//! record, bytes stored.

use std::sync::Arc;

use super::{Plan, add, steps};
use crate::arguments::Load;
use crate::client::Failure;
use crate::drive::{Work, drive};
use crate::outcome::{Sample, figure};
use crate::payload::Payloads;
use crate::results::{Key, Results, Role};
use crate::setup::Session;
use crate::workloads::put;

pub(super) const SHARDS: &str = "scaling: shards";
pub(super) const STREAMS: &str = "scaling: streams";
pub(super) const CONNECTIONS: &str = "scaling: connections";
pub(super) const RECORD_SIZE: &str = "scaling: record size";
pub(super) const STORE_SIZE: &str = "scaling: store size";
pub(super) const STORE_START: &str = "start after kill -9";

/// Payload of a call whose records grow, in bytes.
const CALL_BYTES: usize = 512 << 10;
/// Payloads under way at once while records grow, in bytes: beyond what its queue holds (64 MiB) the
/// server throttles, as it should.
const IN_FLIGHT_BYTES: usize = 32 << 20;
/// Files of segments that are made in a second, at the least.
const FILES_A_SECOND: f64 = 500.0;
const GIB: f64 = 1_073_741_824.0;

/// The usual load, after so long a warm-up that every one of so many shards has its file: to make
/// them takes the first seconds of a stream.
fn settled(plan: &Plan, shards: u32) -> Load {
    let load = plan.load();
    let needed = if plan.given.quick { 0.0 } else { f64::from(shards) / FILES_A_SECOND };
    Load { warm_up: load.warm_up.max(needed), ..load }
}

/// The name of a line of [`SHARDS`].
pub(super) fn shards_name(shards: u32) -> String {
    format!("PutRecords 500 x 1 KiB, JSON, {shards} shards")
}

/// One stream of ever more shards.
pub(super) fn shards(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    for shards in steps(&[1, 16, 64, 256, 1024], plan.given.scale_shards) {
        let load = Load { shards, ..settled(plan, shards) };
        let key = Key::new(SHARDS, shards_name(shards), Role::Ours);
        write(plan, results, key, f64::from(shards), &load)?;
    }
    Ok(())
}

/// Ever more streams of 4 shards.
pub(super) fn streams(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    let greatest = u32::try_from(plan.size(1000, 20))?;
    for streams in steps(&[1, 10, 100], greatest) {
        let load = Load { streams, shards: 4, batch: 50, ..settled(plan, 4 * streams) };
        let name = format!("PutRecords 50 x 1 KiB, {streams} streams of 4 shards");
        write(plan, results, Key::new(STREAMS, name, Role::Ours), f64::from(streams), &load)?;
    }
    Ok(())
}

/// Ever more connections.
pub(super) fn connections(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    for connections in steps(&[1, 4, 16, 64, 256, 1024], plan.given.scale_connections) {
        let load = Load { batch: 1, record_bytes: 100, connections, ..plan.load() };
        let name = format!("PutRecord 100 B, {connections} connections");
        let key = Key::new(CONNECTIONS, name, Role::Ours);
        write(plan, results, key, as_f64(connections), &load)?;
    }
    Ok(())
}

/// Ever larger records, about as many bytes in a call.
pub(super) fn record_size(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    for record_bytes in [100, 1 << 10, 10 << 10, 100 << 10, 1 << 20, 10 << 20] {
        let batch = (CALL_BYTES / record_bytes).clamp(1, 500);
        let connections = (IN_FLIGHT_BYTES / (record_bytes * batch)).clamp(1, 8);
        let load = Load { record_bytes, batch, connections, ..plan.load() };
        let name = format!("{batch} x {record_bytes} B a call");
        let key = Key::new(RECORD_SIZE, name, Role::Ours);
        write(plan, results, key, as_f64(record_bytes), &load)?;
    }
    Ok(())
}

fn write(plan: &Plan, results: &mut Results, key: Key, x: f64, load: &Load) -> Result<(), Failure> {
    let server = plan.server(&[])?;
    let outcome = put::run(&server.load(load))?;
    add(results, key, Some(x), &outcome)
}

/// The name of a line of [`STORE_SIZE`].
pub(super) fn store_name(gib: f64) -> String {
    format!("{gib} GiB")
}

/// One store that grows: writes, a start after a kill, reads from its beginning at each size.
pub(super) fn store_size(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    let mut server = plan.server(&[])?;
    let mut load = server.load(&plan.load());
    let mut session = Session::open(&load)?;
    let payloads = Arc::new(Payloads::new(&load, session.streams()));
    let mut stored = 0;
    for gib in steps(&[0.03, 0.1, 1.0, 10.0], plan.given.store_gib) {
        let name = store_name(gib);
        let missing = bytes_of(gib).saturating_sub(stored);
        let fill_mb = usize::try_from(missing >> 20)?;
        stored += put::fill(&Load { fill_mb, ..load.clone() }, &payloads)?.all_bytes;
        let outcome = drive(&load, &Work::Put(Arc::clone(&payloads)))?;
        stored += outcome.all_bytes;
        let key = Key::new(STORE_SIZE, format!("writes at {name}"), Role::Ours);
        add(results, key, Some(gib), &outcome)?;

        server.kill()?;
        server.start_again()?;
        let millis = server.start_time().as_secs_f64() * 1e3;
        let sample = Sample::from([(figure::MILLIS, millis)]);
        results.add(Key::new(STORE_START, name.clone(), Role::Ours), Some(gib), sample);

        load = server.load(&load);
        session = session.again(&load)?;
        let iterators = Arc::new(session.iterators()?);
        let outcome = drive(&load, &Work::Get(iterators, Arc::clone(&payloads)))?;
        let key = Key::new(STORE_SIZE, format!("reads at {name}"), Role::Ours);
        add(results, key, Some(gib), &outcome)?;
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive size that fits on a device"
)]
const fn bytes_of(gib: f64) -> u64 {
    (gib * GIB) as u64
}

#[expect(clippy::cast_precision_loss, reason = "counts and sizes far below 2^52")]
const fn as_f64(count: usize) -> f64 {
    count as f64
}
