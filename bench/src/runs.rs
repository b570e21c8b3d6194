//! The commands that run one workload: rounds, floors and the endpoint it is compared with in turns,
//! one table at the end.

use crate::arguments::{Load, Own, Run};
use crate::client::Failure;
use crate::conditions::Conditions;
use crate::floors::{self, device, loopback};
use crate::markdown;
use crate::outcome::{Outcome, Sample, figure};
use crate::results::{Key, Line, Results, Role};
use crate::server::{self, Server};
use crate::workloads::replay::Filled;
use crate::workloads::{delivery, fan_out, get, idle, mixed, put, rates};

/// Group sizes of the raw device writes, in bytes.
const GROUP_BYTES: &[usize] = &[4 << 10, 64 << 10, 1 << 20, 4 << 20];
/// Shares of the highest rate.
pub(crate) const SHARES: &[f64] = &[0.1, 0.25, 0.5, 0.75, 0.9];

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    Put,
    Get,
    Mixed,
    FanOut,
    Delivery,
    Idle,
    Rates,
    Floor,
}

impl Workload {
    const fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Mixed => "mixed",
            Self::FanOut => "fan-out",
            Self::Delivery => "delivery after acknowledgement",
            Self::Idle => "idle connections",
            Self::Rates => "rates",
            Self::Floor => "floor",
        }
    }
}

/// Runs a workload.
pub(crate) fn run(workload: Workload, run: &Run) -> Result<(), Failure> {
    let mut results = begin(run, "as the endpoint is set")?;
    for _ in 0..run.rounds.max(1) {
        let mut sides = vec![(Role::Ours, run.label.as_str(), run.load.clone())];
        if let Some(endpoint) = &run.compare {
            let load = Load { endpoint: endpoint.clone(), pid: None, ..run.load.clone() };
            sides.push((Role::Theirs, run.compare_label.as_str(), load));
        }
        let mut bytes_per_call = 0;
        for (role, label, load) in &sides {
            let verify = run.verify && *role == Role::Ours;
            let key = |part: &str| Key::new(workload.name(), format!("{label}{part}"), *role);
            let bytes = measure(workload, load, verify, &key, &mut results)?;
            bytes_per_call = bytes_per_call.max(bytes);
        }
        if run.floors || workload == Workload::Floor {
            add_floors(workload, run, bytes_per_call, &mut results)?;
        }
    }
    finish(workload.name(), run, &results)
}

/// `replay`.
pub(crate) fn replay(own: &Own) -> Result<(), Failure> {
    let mut results = begin(&own.run, &own.choice.durability)?;
    let binary = server::binary(&own.choice)?;
    for _ in 0..own.run.rounds.max(1) {
        let mut server = Server::start(&binary, &own.choice, &[])?;
        let filled = Filled::new(&server.load(&own.run.load))?;
        let (read, raw) = filled.replay(&mut server)?;
        results.add_outcome(Key::new("replay", "replay", Role::Ours), None, &read);
        results.add_outcome(Key::new("replay", "replay", Role::Device), None, &raw);
    }
    finish("replay", &own.run, &results)
}

fn begin(run: &Run, durability: &str) -> Result<Results, Failure> {
    let rounds = format!("{} rounds of {} s", run.rounds.max(1), run.load.seconds);
    Ok(Results::new(Conditions::of(&run.device_dir, durability, rounds)?))
}

fn finish(what: &str, run: &Run, results: &Results) -> Result<(), Failure> {
    let same_load = |ours: &Line, line: &Line| {
        let part = line.key.name.strip_prefix(&run.compare_label);
        ours.key.name == line.key.name || part == ours.key.name.strip_prefix(&run.label)
    };
    let text = match run.compare {
        Some(_) => markdown::comparison(results, &same_load),
        None => markdown::all(results),
    };
    markdown::print(&format!("{what}: {}\n\n{text}", run.load.words()))?;
    markdown::files(results, run.json.as_deref(), run.csv.as_deref())
}

/// One round; tells the payload of one call, in bytes.
fn measure(
    workload: Workload,
    load: &Load,
    verify: bool,
    key: &dyn Fn(&str) -> Key,
    results: &mut Results,
) -> Result<usize, Failure> {
    let outcome = match workload {
        Workload::Put if verify => {
            let (outcome, read) = put::verified(load)?;
            results.note(format!("verified: {read} records read back, every byte compared"));
            outcome
        }
        Workload::Put => put::run(load)?,
        Workload::Get => get::run(load)?,
        Workload::FanOut => fan_out::run(load)?,
        Workload::Delivery => delivery::run(load)?,
        Workload::Mixed => {
            let (written, read) = mixed::run(load)?;
            results.add_outcome(key(", reading"), None, &read);
            written
        }
        Workload::Idle => {
            let (outcome, each) = idle::run(load)?;
            if let Some(bytes) = each {
                let sample = Sample::from([(figure::KIBIBYTES, bytes / 1024.0)]);
                results.add(key(", memory of one idle connection"), None, sample);
            }
            outcome
        }
        Workload::Rates => {
            let (highest, steps) = rates::run(load, SHARES)?;
            for step in steps {
                let mut sample = step.outcome.sample();
                sample.insert(figure::OFFERED, step.offered);
                let key = key(&format!(", {:.0} %", step.share * 100.0));
                results.add_with(key, Some(step.share), &step.outcome, sample);
            }
            highest
        }
        Workload::Floor => return Ok(0),
    };
    results.add_outcome(key(""), None, &outcome);
    refuse_failures(&outcome)?;
    Ok(outcome.bytes_per_call())
}

/// A figure with failed calls in it would be another load's figure.
pub(crate) fn refuse_failures(outcome: &Outcome) -> Result<(), Failure> {
    match outcome.failed() {
        0 => Ok(()),
        failed => Err(format!("{failed} calls or records failed").into()),
    }
}

fn add_floors(
    workload: Workload,
    run: &Run,
    bytes_per_call: usize,
    results: &mut Results,
) -> Result<(), Failure> {
    let key = |name: &str, role| Key::new(workload.name(), name, role);
    let load = &run.load;
    if workload == Workload::Get {
        let floor = floors::static_body(load, bytes_per_call)?;
        results.add_outcome(key("floor", Role::StaticBody), None, &floor);
    } else {
        let floor = floors::null_server(load)?;
        results.add_outcome(key("floor", Role::NullServer), None, &floor);
        for &bytes in GROUP_BYTES {
            let floor = device::write(&run.device_dir, bytes, load.seconds)?;
            let name = format!("floor, {} KiB a write", bytes >> 10);
            results.add_outcome(key(&name, Role::Device), None, &floor);
        }
    }
    let floor = loopback::run(load.seconds.min(1.0))?;
    results.add_outcome(key("floor", Role::Loopback), None, &floor);
    Ok(())
}
