//! The targets: for each path what was wanted, what was found, and whether that is enough.

use std::fmt::Write as _;

use super::cost;
use super::paths;
use super::scaling;
use crate::markdown::number;
use crate::outcome::figure;
use crate::results::{Results, Role};

/// One row of the table.
pub(crate) struct Target {
    pub(crate) path: &'static str,
    pub(crate) wanted: &'static str,
    pub(crate) found: String,
    /// Nothing when it was not measured.
    pub(crate) is_met: Option<bool>,
}

/// All rows, in the order of the paths.
pub(crate) fn all(results: &Results) -> Vec<Target> {
    let find = Finder { results };
    let mut rows = find.writes();
    rows.extend(find.latencies());
    rows.extend(find.reads());
    rows.extend(find.costs());
    rows
}

/// As a table.
pub(crate) fn markdown(targets: &[Target]) -> String {
    let mut text = "| path | target | found | met |\n|---|---|---|---|\n".to_owned();
    for target in targets {
        let Target { path, wanted, found, .. } = target;
        let _infallible = writeln!(text, "| {path} | {wanted} | {found} | {} |", target.verdict());
    }
    text
}

impl Target {
    pub(crate) const fn verdict(&self) -> &'static str {
        match self.is_met {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        }
    }

    fn new(path: &'static str, wanted: &'static str, found: Option<(String, bool)>) -> Self {
        match found {
            Some((found, is_met)) => Self { path, wanted, found, is_met: Some(is_met) },
            None => Self { path, wanted, found: "not measured".to_owned(), is_met: None },
        }
    }
}

struct Finder<'r> {
    results: &'r Results,
}

impl Finder<'_> {
    fn median(&self, group: &str, name: &str, role: Role, figure: &str) -> Option<f64> {
        self.results.median(group, name, role, figure)
    }

    fn ours(&self, group: &str, name: &str, figure: &str) -> Option<f64> {
        self.median(group, name, Role::Ours, figure)
    }

    fn writes(&self) -> Vec<Target> {
        let row = |path, wanted, name, least| {
            Target::new(path, wanted, self.of_the_slower_floor(name, least))
        };
        vec![
            row(
                "durable PutRecords, 500 x 1 KiB JSON, 64 shards",
                "70 % of the slower of null server and device floor",
                paths::ROW_JSON,
                0.7,
            ),
            row("the same in CBOR", "85 %", paths::ROW_CBOR, 0.85),
            Target::new(
                "the same with 1,024 and most shards",
                "80 % and 60 % of the 64-shard figure",
                self.many_shards(),
            ),
            Target::new(
                "durable PutRecord, 100 B, 64 connections",
                "50 % of the null server's requests/s",
                self.requests(),
            ),
        ]
    }

    fn of_the_slower_floor(&self, name: &str, least: f64) -> Option<(String, bool)> {
        let speed = |role| self.median("put", name, role, figure::MEGABYTES);
        let (ours, null) = (speed(Role::Ours)?, speed(Role::NullServer)?);
        let device = speed(Role::Device)?;
        let share = ours / null.min(device);
        let found = format!(
            "{} % ({} MB/s; null server {}, device {})",
            number(share * 100.0),
            number(ours),
            number(null),
            number(device)
        );
        Some((found, share >= least))
    }

    fn many_shards(&self) -> Option<(String, bool)> {
        let few = self.ours(scaling::SHARDS, &scaling::shards_name(64), figure::MEGABYTES)?;
        let lines = self.results.of_group(scaling::SHARDS);
        let many: Vec<_> = lines
            .filter_map(|line| Some((line.x?, line.median(figure::MEGABYTES)? / few)))
            .filter(|(shards, _)| *shards > 64.0)
            .collect();
        let (_, share_of_most) = many.last()?;
        let words: Vec<_> = many
            .iter()
            .map(|(shards, share)| format!("{} % at {shards}", number(share * 100.0)))
            .collect();
        let is_met = many.iter().filter(|(shards, _)| *shards <= 1024.0).all(|(_, it)| *it >= 0.8);
        Some((words.join(", "), is_met && *share_of_most >= 0.6))
    }

    fn requests(&self) -> Option<(String, bool)> {
        let calls = |role| self.median("put", paths::ROW_ONE, role, figure::CALLS);
        let (ours, null) = (calls(Role::Ours)?, calls(Role::NullServer)?);
        let share = ours / null;
        let found =
            format!("{} % ({}/s of {}/s)", number(share * 100.0), number(ours), number(null));
        Some((found, share >= 0.5))
    }

    fn latencies(&self) -> Vec<Target> {
        vec![
            Target::new(
                "one client, one connection, durable PutRecord p50",
                "device flush + 150 us",
                self.alone(),
            ),
            Target::new(
                "p99 at half of the maximum rate",
                "3 x p50, or the device's own p99",
                self.half_rate(),
            ),
            Target::new(
                "delivery after acknowledgement, p99 at 1,000 records/s",
                "under 2 ms",
                self.delivery(),
            ),
        ]
    }

    fn alone(&self) -> Option<(String, bool)> {
        let p50 = |role| self.median("one connection", paths::ROW_ALONE, role, figure::P50);
        let (ours, device) = (p50(Role::Ours)?, p50(Role::Device)?);
        let over = (ours - device) * 1e3;
        let found = format!(
            "flush + {} us ({} ms; flush {} ms)",
            number(over),
            number(ours),
            number(device)
        );
        Some((found, over <= 150.0))
    }

    fn half_rate(&self) -> Option<(String, bool)> {
        let at = |figure| self.ours("rates", &paths::rate_name(0.5), figure);
        let (p50, p99) = (at(figure::P50)?, at(figure::P99)?);
        let device = self.results.conditions.flush_p99_ms;
        let found = format!(
            "{} x p50 (p50 {} ms, p99 {} ms; device p99 {} ms)",
            number(p99 / p50),
            number(p50),
            number(p99),
            number(device)
        );
        Some((found, p99 <= (3.0 * p50).max(device)))
    }

    fn delivery(&self) -> Option<(String, bool)> {
        let group = "delivery after acknowledgement";
        let at = |figure| self.ours(group, paths::ROW_DELIVERY, figure);
        let (p50, p99) = (at(figure::P50)?, at(figure::P99)?);
        Some((format!("{} ms (p50 {} ms)", number(p99), number(p50)), p99 < 2.0))
    }

    fn reads(&self) -> Vec<Target> {
        vec![
            Target::new(
                "GetRecords CBOR, 10 KiB records, warm",
                "80 % of the static-body server's bytes/s",
                self.get(paths::ROW_GET_CBOR, 0.8),
            ),
            Target::new("the same in JSON", "50 %", self.get(paths::ROW_GET_JSON, 0.5)),
            Target::new(
                "replay of cold data",
                "80 % of the device's sequential read",
                self.replay(),
            ),
            Target::new(
                "fan-out, 20 consumers of one shard set",
                "5 x one consumer's bytes/s at under 2 x its CPU",
                self.fan_out(),
            ),
        ]
    }

    fn get(&self, name: &str, least: f64) -> Option<(String, bool)> {
        self.share("get", name, Role::StaticBody, least)
    }

    fn replay(&self) -> Option<(String, bool)> {
        self.share("replay", paths::ROW_REPLAY, Role::Device, 0.8)
    }

    fn share(&self, group: &str, name: &str, floor: Role, least: f64) -> Option<(String, bool)> {
        let speed = |role| self.median(group, name, role, figure::MEGABYTES);
        let (ours, floor) = (speed(Role::Ours)?, speed(floor)?);
        let share = ours / floor;
        let found =
            format!("{} % ({} of {} MB/s)", number(share * 100.0), number(ours), number(floor));
        Some((found, share >= least))
    }

    fn fan_out(&self) -> Option<(String, bool)> {
        let at = |consumers, figure| self.ours("fan-out", &paths::fan_out_name(consumers), figure);
        let bytes = at(20, figure::MEGABYTES)? / at(1, figure::MEGABYTES)?;
        let cores = at(20, figure::SERVER_CORES)? / at(1, figure::SERVER_CORES)?;
        let found = format!("{} x its bytes/s at {} x its CPU", number(bytes), number(cores));
        Some((found, bytes >= 5.0 && cores < 2.0))
    }

    fn costs(&self) -> Vec<Target> {
        vec![
            Target::new(
                "bytes to the device per byte accepted",
                "2.1 through the commit log",
                self.device_bytes(),
            ),
            Target::new(
                "resident memory",
                "10 MiB idle, 4 KiB per idle shard, 16 KiB per idle connection",
                self.memory(),
            ),
            Target::new(
                "start to first answer",
                "10 ms empty; 1 s for 50 GB after kill -9",
                self.start(),
            ),
        ]
    }

    fn device_bytes(&self) -> Option<(String, bool)> {
        let ratio = self.ours("device bytes", cost::TWO_COPIES, figure::DEVICE_BYTES)?;
        Some((number(ratio), ratio <= 2.1))
    }

    fn memory(&self) -> Option<(String, bool)> {
        let idle = self.ours("memory", cost::IDLE, figure::MEBIBYTES)?;
        let shard = self.ours("memory", cost::PER_SHARD, figure::KIBIBYTES)?;
        let connection = self.ours("memory", cost::PER_CONNECTION, figure::KIBIBYTES)?;
        let found =
            format!("{} MiB, {} KiB, {} KiB", number(idle), number(shard), number(connection));
        Some((found, idle <= 10.0 && shard <= 4.0 && connection <= 16.0))
    }

    fn start(&self) -> Option<(String, bool)> {
        let empty = self.ours("start", cost::EMPTY_START, figure::MILLIS)?;
        let mut found = format!("{} ms empty", number(empty));
        let mut is_met = empty <= 10.0;
        let sizes = self.results.of_group(scaling::STORE_START);
        if let Some(last) = sizes.last() {
            let millis = last.median(figure::MILLIS)?;
            let _infallible = write!(found, "; {} ms for {}", number(millis), last.key.name);
            is_met &= millis <= 1000.0;
        }
        Some((found, is_met))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::Conditions;
    use crate::outcome::Sample;
    use crate::results::Key;

    fn results(ours: f64) -> Results {
        let mut results = Results::new(Conditions::default());
        for (role, speed) in
            [(Role::Ours, ours), (Role::NullServer, 2000.0), (Role::Device, 1000.0)]
        {
            let sample = Sample::from([(figure::MEGABYTES, speed)]);
            results.add(Key::new("put", paths::ROW_JSON, role), None, sample);
        }
        results
    }

    #[test]
    fn a_write_is_held_against_the_slower_floor() {
        for (ours, is_met) in [(700.0, true), (690.0, false)] {
            let target = all(&results(ours)).remove(0);
            assert_eq!(target.is_met, Some(is_met), "{}", target.found);
        }
    }

    #[test]
    fn what_was_not_measured_is_said_to_be_so() {
        let targets = all(&results(700.0));
        assert_eq!(targets.iter().filter(|target| target.is_met.is_some()).count(), 1);
        assert!(markdown(&targets).contains("| not measured | - |"));
    }
}
