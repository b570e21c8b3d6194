//! Side by side: the same writes to several endpoints in turns. Besides Kinesis endpoints it speaks
//! just enough of two other stores' protocols to write the same records to them, with as many in
//! flight: Redis Streams and NATS `JetStream`.

pub(crate) mod nats;
pub(crate) mod redis;

use std::sync::Arc;

use tokio::task::LocalSet;

use crate::arguments::{self, Load};
use crate::client::Failure;
use crate::conditions::Conditions;
use crate::drive::{Work, drive};
use crate::markdown;
use crate::outcome::Outcome;
use crate::payload::Payloads;
use crate::results::{Key, Results, Role, write_file};
use crate::workloads::put;

/// A store that is no Kinesis endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Redis,
    Nats,
}

impl Store {
    /// By the scheme of an endpoint; nothing for Kinesis.
    pub(crate) fn of(endpoint: &str) -> Option<Self> {
        match endpoint.split_once("://")?.0 {
            "redis" => Some(Self::Redis),
            "nats" => Some(Self::Nats),
            _ => None,
        }
    }

    /// Writes to a stream of its own and deletes it.
    pub(crate) fn put(self, load: &Load) -> Result<Outcome, Failure> {
        let stream = format!("bench-{:08x}", fastrand::u32(..));
        let payloads = Arc::new(Payloads::new(load, std::slice::from_ref(&stream)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let control = |begins: bool| {
            LocalSet::new().block_on(&runtime, async {
                match self {
                    // A stream of Redis begins with its first record.
                    Self::Redis if begins => Ok(()),
                    Self::Redis => redis::delete(load, &stream).await,
                    Self::Nats if begins => nats::create(load, &stream).await,
                    Self::Nats => nats::delete(load, &stream).await,
                }
            })
        };
        control(true)?;
        let work = match self {
            Self::Redis => Work::Redis(payloads, stream.clone()),
            Self::Nats => Work::Nats(payloads, stream.clone()),
        };
        let outcome = drive(load, &work)?;
        control(false)?;
        Ok(outcome)
    }
}

/// The loads of the comparison.
const GROUPS: [(&str, usize, usize); 2] = [
    ("PutRecord of 100 B, 16 connections", 1, 100),
    ("PutRecords of 500 x 1 KiB, 16 connections", 500, 1024),
];

/// `NAME=URL` or `NAME=URL@PID`.
fn target(text: &str) -> Result<(String, String, Option<u32>), Failure> {
    let (name, rest) = text.split_once('=').ok_or("a target is NAME=URL or NAME=URL@PID")?;
    let (endpoint, pid) = match rest.rsplit_once('@') {
        Some((endpoint, pid)) => (endpoint, Some(pid.parse()?)),
        None => (rest, None),
    };
    Ok((name.to_owned(), endpoint.to_owned(), pid))
}

/// `peers`.
pub(crate) fn run(peers: &arguments::Peers) -> Result<(), Failure> {
    let targets = peers.targets.iter().map(|text| target(text)).collect::<Result<Vec<_>, _>>()?;
    let rounds = format!("{} rounds of {} s", peers.rounds, peers.seconds);
    let conditions = Conditions::of(&peers.device_dir, "as each name says", rounds)?;
    let mut results = Results::new(conditions);
    for _ in 0..peers.rounds.max(1) {
        for (group, batch, record_bytes) in GROUPS {
            for (place, (name, endpoint, pid)) in targets.iter().enumerate() {
                let load = Load {
                    endpoint: endpoint.clone(),
                    pid: *pid,
                    region: peers.region.clone(),
                    shards: peers.shards,
                    record_bytes,
                    batch,
                    connections: 16,
                    seconds: peers.seconds,
                    warm_up: peers.warm_up,
                    ..Load::default()
                };
                let role = if place == 0 { Role::Ours } else { Role::Theirs };
                match put::run(&load) {
                    Ok(outcome) => {
                        results.add_outcome(Key::new(group, name.as_str(), role), None, &outcome);
                    }
                    // One that cannot do it must not hide what the others can.
                    Err(error) => results.note(format!("{name}, {group}: {error}")),
                }
            }
        }
    }
    let text = markdown::comparison(&results, &|_, _| true);
    markdown::print(&text)?;
    if let Some(path) = &peers.markdown {
        write_file(path, text.as_bytes())?;
    }
    markdown::files(&results, peers.json.as_deref(), peers.csv.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_may_name_its_process() {
        let (name, endpoint, pid) = target("a=http://127.0.0.1:1@77").unwrap();
        assert_eq!((&*name, &*endpoint, pid), ("a", "http://127.0.0.1:1", Some(77)));
        assert_eq!(target("a=redis://h:1").unwrap().2, None);
        assert!(target("http://127.0.0.1:1").is_err());
    }

    #[test]
    fn other_stores_are_known_by_their_scheme() {
        assert_eq!(Store::of("redis://h"), Some(Store::Redis));
        assert_eq!(Store::of("nats://h"), Some(Store::Nats));
        assert_eq!(Store::of("https://h"), None);
    }
}
