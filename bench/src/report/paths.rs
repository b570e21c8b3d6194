//! The paths of a record: writes, reads, pushes, each beside its floors.

use super::{Plan, add};
use crate::arguments::{Encoding, Http, Load};
use crate::client::Failure;
use crate::floors::{self, device, loopback};
use crate::outcome::{Sample, figure};
use crate::results::{Key, Results, Role};
use crate::runs::SHARES;
use crate::workloads::replay::Filled;
use crate::workloads::{delivery as delivering, fan_out as pushing, get as reading, idle};
use crate::workloads::{mixed as mixing, put as writing, rates as at_rates};

pub(super) const ROW_JSON: &str = "PutRecords 500 x 1 KiB, JSON, 64 shards";
pub(super) const ROW_CBOR: &str = "PutRecords 500 x 1 KiB, CBOR, 64 shards";
pub(super) const ROW_ONE: &str = "PutRecord 100 B, JSON, 64 connections";
pub(super) const ROW_H2: &str = "PutRecords 500 x 1 KiB, JSON, 64 shards, h2c";
pub(super) const ROW_TLS: &str = "PutRecords 500 x 1 KiB, JSON, 64 shards, TLS";
pub(super) const ROW_ALONE: &str = "PutRecord 100 B, 1 connection";
pub(super) const ROW_GET_JSON: &str = "GetRecords 10 KiB, JSON";
pub(super) const ROW_GET_CBOR: &str = "GetRecords 10 KiB, CBOR";
pub(super) const ROW_GET_SMALL: &str = "GetRecords 1 KiB, JSON";
pub(super) const ROW_REPLAY: &str = "replay of cold data, CBOR";
pub(super) const ROW_DELIVERY: &str = "1,000 records/s";
/// Group sizes the device is asked for besides those the server reached, in bytes.
const LARGE_GROUP_BYTES: usize = 4 << 20;

/// Writes, as fast as answers come.
pub(super) fn put(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    let usual = plan.load();
    let cbor = Load { encoding: Encoding::Cbor, ..usual.clone() };
    let one = Load { batch: 1, record_bytes: 100, connections: 64, ..usual.clone() };
    let two = Load { http: Http::Two, ..usual.clone() };
    let rows = [
        (ROW_JSON, &usual, false),
        (ROW_CBOR, &cbor, false),
        (ROW_ONE, &one, false),
        (ROW_H2, &two, false),
        (ROW_TLS, &usual, true),
    ];
    for (name, load, is_encrypted) in rows {
        let options: &[&str] = if is_encrypted { &["--tls", "self-signed"] } else { &[] };
        let server = plan.server(options)?;
        let outcome = writing::run(&server.load(load))?;
        let group = server.group_bytes()?;
        drop(server);
        add(results, Key::new("put", name, Role::Ours), None, &outcome)?;
        if !is_encrypted {
            let floor = floors::null_server(load)?;
            add(results, Key::new("put", name, Role::NullServer), None, &floor)?;
        }
        // The best the device does with groups as large as the log's, or larger.
        let mut best = None;
        for bytes in [group.next_multiple_of(4096), LARGE_GROUP_BYTES.max(group)] {
            let floor = device::write(&plan.given.choice.directory, bytes, load.seconds / 4.0)?;
            let speed = floor.sample()[figure::MEGABYTES];
            if best.as_ref().is_none_or(|(best, _)| speed > *best) {
                best = Some((speed, floor));
            }
        }
        if let Some((_, floor)) = best {
            add(results, Key::new("put", name, Role::Device), None, &floor)?;
        }
    }
    Ok(())
}

/// One client that waits for each answer.
pub(super) fn one_connection(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    let load = Load { batch: 1, record_bytes: 100, connections: 1, ..plan.load() };
    let server = plan.server(&[])?;
    let outcome = writing::run(&server.load(&load))?;
    add(results, Key::new("one connection", ROW_ALONE, Role::Ours), None, &outcome)?;
    let floor = floors::null_server(&load)?;
    add(results, Key::new("one connection", ROW_ALONE, Role::NullServer), None, &floor)?;
    let floor = device::write(&plan.given.choice.directory, 4096, load.seconds / 2.0)?;
    add(results, Key::new("one connection", ROW_ALONE, Role::Device), None, &floor)
}

/// The name of a line of `rates`.
pub(super) fn rate_name(share: f64) -> String {
    format!("PutRecord 100 B at {:.0} % of the highest rate", share * 100.0)
}

/// Latency at fixed rates.
pub(super) fn rates(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    let load = Load { batch: 1, record_bytes: 100, connections: 64, ..plan.load() };
    let server = plan.server(&[])?;
    let (highest, steps) = at_rates::run(&server.load(&load), SHARES)?;
    for step in &steps {
        let mut sample = step.outcome.sample();
        sample.insert(figure::OFFERED, step.offered);
        let key = Key::new("rates", rate_name(step.share), Role::Ours);
        results.add_with(key, Some(step.share), &step.outcome, sample);
    }
    add(results, Key::new("rates", "PutRecord 100 B, closed loop", Role::Ours), None, &highest)
}

/// Reads of what is in memory.
pub(super) fn get(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    let large = Load {
        record_bytes: 10 << 10,
        batch: 50,
        connections: 4,
        fill_mb: plan.size(128, 16),
        ..plan.load()
    };
    let cbor = Load { encoding: Encoding::Cbor, ..large.clone() };
    let small = Load { record_bytes: 1024, batch: 500, ..large.clone() };
    for (name, load) in [(ROW_GET_CBOR, &cbor), (ROW_GET_JSON, &large), (ROW_GET_SMALL, &small)] {
        let server = plan.server(&[])?;
        let outcome = reading::run(&server.load(load))?;
        drop(server);
        add(results, Key::new("get", name, Role::Ours), None, &outcome)?;
        let floor = floors::static_body(load, outcome.bytes_per_call())?;
        add(results, Key::new("get", name, Role::StaticBody), None, &floor)?;
    }
    let floor = loopback::run(plan.load().seconds / 2.0)?;
    add(results, Key::new("get", "plain bytes", Role::Loopback), None, &floor)
}

/// Reads of what is in no cache.
pub(super) fn replay(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    let load = Load { encoding: Encoding::Cbor, fill_mb: plan.size(1024, 32), ..plan.load() };
    let mut server = plan.server(&[])?;
    let filled = Filled::new(&server.load(&load))?;
    let (read, raw) = filled.replay(&mut server)?;
    add(results, Key::new("replay", ROW_REPLAY, Role::Ours), None, &read)?;
    add(results, Key::new("replay", ROW_REPLAY, Role::Device), None, &raw)
}

/// The name of a line of `fan-out`.
pub(super) fn fan_out_name(consumers: usize) -> String {
    format!("{consumers} consumers of 16 shards")
}

/// One consumer, and twenty.
pub(super) fn fan_out(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    // Consumers are programs of their own elsewhere: one thread of ours must not be the limit of 20.
    let threads = std::thread::available_parallelism()?.get();
    for consumers in [1, 20] {
        let fill_mb = plan.size(128, 8);
        let load = Load { consumers, threads, shards: 16, fill_mb, ..plan.load() };
        let server = plan.server(&[])?;
        let outcome = pushing::run(&server.load(&load))?;
        let key = Key::new("fan-out", fan_out_name(consumers), Role::Ours);
        results.add(key, None, outcome.sample());
    }
    Ok(())
}

/// From acknowledgement to delivery.
pub(super) fn delivery(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    let load = Load { shards: 4, connections: 4, rate: Some(1000.0), ..plan.load() };
    let server = plan.server(&[])?;
    let outcome = delivering::run(&server.load(&load))?;
    add(
        results,
        Key::new("delivery after acknowledgement", ROW_DELIVERY, Role::Ours),
        None,
        &outcome,
    )
}

/// Writes and reads at once.
pub(super) fn mixed(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    let load = Load { fill_mb: plan.size(64, 8), ..plan.load() };
    let server = plan.server(&[])?;
    let (written, read) = mixing::run(&server.load(&load))?;
    add(
        results,
        Key::new("mixed", "8 connections that write 500 x 1 KiB", Role::Ours),
        None,
        &written,
    )?;
    add(results, Key::new("mixed", "8 connections that read meanwhile", Role::Ours), None, &read)
}

/// Writes beside many connections that are silent.
pub(super) fn idle_connections(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    let idle = plan.size(1000, 100);
    let load = Load { idle, ..plan.load() };
    let server = plan.server(&[])?;
    let (outcome, each) = idle::run(&server.load(&load))?;
    let name = format!("PutRecords 500 x 1 KiB beside {idle} idle connections");
    add(results, Key::new("idle connections", name, Role::Ours), None, &outcome)?;
    let each = each.ok_or("the server's process is known, yet not its memory")?;
    let sample = Sample::from([(figure::KIBIBYTES, each / 1024.0)]);
    results.add(Key::new("memory", super::cost::PER_CONNECTION, Role::Ours), None, sample);
    Ok(())
}
