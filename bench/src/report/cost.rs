//! What the server costs: bytes to the device, memory, time to start.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::json;
use tokio::task::LocalSet;

use super::Plan;
use crate::arguments::Load;
use crate::client::{Client, Failure};
use crate::outcome::{Sample, figure};
use crate::payload::Payloads;
use crate::results::{Key, Results, Role};
use crate::setup::Session;
use crate::signer::Signer;
use crate::workloads::fan_out::{Events, subscribing};
use crate::workloads::put;

pub(super) const IDLE: &str = "idle, empty store";
pub(super) const PER_SHARD: &str = "each idle shard";
pub(super) const PER_CONNECTION: &str = "each idle connection";
pub(super) const PER_SUBSCRIBER: &str = "each idle subscription";
pub(super) const EMPTY_START: &str = "empty store";
pub(super) const TWO_COPIES: &str = "PutRecords 500 x 1 KiB, through the commit log";

const KIB: f64 = 1024.0;

/// Bytes to the device for each byte of payload, once everything is in its segment, in a store that has
/// taken as much before: its log files are there and are used again.
pub(super) fn device_bytes(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    let load = Load { fill_mb: plan.size(1024, 32), ..plan.load() };
    let server = plan.server(&[])?;
    let load = server.load(&load);
    let session = Session::open(&load)?;
    let payloads = Arc::new(Payloads::new(&load, session.streams()));
    put::fill(&load, &payloads)?;
    let before = server.settled_usage()?;
    let written = put::fill(&load, &payloads)?.all_bytes;
    let used = server.settled_usage()?.since(before);
    #[expect(clippy::cast_precision_loss, reason = "bytes of a run stay far below 2^52")]
    let ratio = used.device_bytes as f64 / written as f64;
    let sample = Sample::from([(figure::DEVICE_BYTES, ratio)]);
    results.add(Key::new("device bytes", TWO_COPIES, Role::Ours), None, sample);
    Ok(())
}

/// Resident memory at rest, and what shards and subscriptions add to it.
pub(super) fn memory(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    let server = plan.server(&[])?;
    let idle = resident(&server)?;
    let sample = Sample::from([(figure::MEBIBYTES, idle / KIB / KIB)]);
    results.add(Key::new("memory", IDLE, Role::Ours), None, sample);
    let shards = u32::try_from(plan.size(1000, 100))?;
    let session = Session::open(&server.load(&Load { shards, ..plan.load() }))?;
    let each = (resident(&server)? - idle) / f64::from(shards) / KIB;
    add(results, PER_SHARD, each);
    drop(session);
    drop(server);

    let server = plan.server(&[])?;
    let shards = u32::try_from(plan.size(50, 5))?;
    let load = server.load(&Load { shards, ..plan.load() });
    let mut session = Session::open(&load)?;
    let (consumers, names) = (session.consumers(20)?, session.shards()?);
    let before = resident(&server)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let open = local.block_on(&runtime, subscribe(&load, &consumers, &names))?;
    let count = u32::try_from(open.len())?;
    add(results, PER_SUBSCRIBER, (resident(&server)? - before) / f64::from(count) / KIB);
    Ok(())
}

fn add(results: &mut Results, name: &str, kibibytes: f64) {
    let sample = Sample::from([(figure::KIBIBYTES, kibibytes)]);
    results.add(Key::new("memory", name, Role::Ours), None, sample);
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory stay far below 2^52")]
fn resident(server: &crate::server::Server) -> Result<f64, Failure> {
    Ok(server.settled_usage()?.resident_bytes as f64)
}

/// Every consumer on every shard, each after its first event.
async fn subscribe(
    load: &Load,
    consumers: &[String],
    shards: &[String],
) -> Result<Vec<(Client, Events)>, Failure> {
    let mut open = Vec::new();
    for consumer in consumers {
        let signer = Rc::new(RefCell::new(Signer::new(&load.region)));
        let first = Client::connect(&subscribing(load), &signer).await?;
        for shard in shards {
            let mut client = first.another().await?;
            let input = json!({
                "ConsumerARN": consumer, "ShardId": shard,
                "StartingPosition": {"Type": "LATEST"},
            });
            let mut events = Events::open(&mut client, input.to_string().into()).await?;
            events.next().await?.ok_or("a subscription ended at once")?;
            open.push((client, events));
        }
    }
    Ok(open)
}

/// From the start of the process to its first answer.
pub(super) fn start(plan: &Plan, results: &mut Results) -> Result<(), Failure> {
    for _ in 0..plan.size(5, 2) {
        let server = plan.server(&[])?;
        let sample = Sample::from([(figure::MILLIS, server.start_time().as_secs_f64() * 1e3)]);
        results.add(Key::new("start", EMPTY_START, Role::Ours), None, sample);
    }
    Ok(())
}
