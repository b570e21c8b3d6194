//! `report`: everything this program can measure, in turns and several rounds, on servers it starts
//! itself. It prints the table of targets and writes Markdown, HTML, JSON and CSV.

mod cost;
mod html;
mod paths;
mod plot;
mod scaling;
mod targets;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::arguments::{self, Load};
use crate::client::Failure;
use crate::conditions::Conditions;
use crate::markdown;
use crate::outcome::Outcome;
use crate::results::{Key, Results, write_file};
use crate::runs::refuse_failures;
use crate::server::{self, Server};

/// Where and how long things are measured.
pub(crate) struct Plan {
    binary: PathBuf,
    given: arguments::Report,
}

type Part = fn(&Plan, &mut Results) -> Result<(), Failure>;

/// What is measured, in this order in every round.
const PARTS: &[(&str, Part)] = &[
    ("put", paths::put),
    ("one connection", paths::one_connection),
    ("rates", paths::rates),
    ("get", paths::get),
    ("replay", paths::replay),
    ("fan-out", paths::fan_out),
    ("delivery", paths::delivery),
    ("mixed", paths::mixed),
    ("idle connections", paths::idle_connections),
    ("scaling: shards", scaling::shards),
    ("scaling: streams", scaling::streams),
    ("scaling: connections", scaling::connections),
    ("scaling: record size", scaling::record_size),
    ("device bytes", cost::device_bytes),
    ("memory", cost::memory),
    ("start", cost::start),
];

/// What takes long and is measured in the first round only.
const ONCE: &[(&str, Part)] = &[("scaling: store size", scaling::store_size)];

/// `report`.
pub(crate) fn run(given: &arguments::Report) -> Result<(), Failure> {
    let mut given = given.clone();
    if given.quick {
        (given.seconds, given.rounds) = (0.1, 1);
        given.scale_shards = given.scale_shards.min(128);
        given.scale_connections = given.scale_connections.min(128);
        given.store_gib = given.store_gib.min(0.06);
    }
    let plan = Plan { binary: server::binary(&given.choice)?, given };
    let rounds = format!("medians of {} rounds of {} s", plan.given.rounds, plan.given.seconds);
    let durability = &plan.given.choice.durability;
    let conditions = Conditions::of(&plan.given.choice.directory, durability, rounds)?;
    let mut results = Results::new(conditions);
    let started = Instant::now();
    let hours = Duration::from_secs_f64(plan.given.hours * 3600.0);
    let mut rounds = 0;
    while rounds < plan.given.rounds.max(1) || started.elapsed() < hours {
        plan.round(rounds, started, &mut results)?;
        rounds += 1;
    }
    results.conditions.rounds = format!("medians of {rounds} rounds of {} s", plan.given.seconds);
    if plan.given.quick {
        results.note("--quick: too short to tell how fast anything is".to_owned());
    }
    write(&plan.given, &results)
}

fn write(given: &arguments::Report, results: &Results) -> Result<(), Failure> {
    let targets = targets::all(results);
    let summary = targets::markdown(&targets);
    let whole = format!("# Measurements of Kinelog\n\n{summary}\n{}", markdown::all(results));
    std::fs::DirBuilder::new().recursive(true).create(&given.out)?;
    let path = |name: &str| given.out.join(name);
    write_file(&path("report.md"), whole.as_bytes())?;
    write_file(&path("report.html"), html::page(results, &targets).as_bytes())?;
    let (json, csv) = (path("report.json"), path("report.csv"));
    markdown::files(results, Some(&json), Some(&csv))?;
    let conditions = results.conditions.words();
    let out = given.out.display();
    markdown::print(&format!(
        "{summary}\nConditions: {conditions}.\n\nEvery figure: {out}/report.html, .md, .json, .csv\n"
    ))
}

impl Plan {
    fn round(&self, round: usize, started: Instant, results: &mut Results) -> Result<(), Failure> {
        let once = if round == 0 { ONCE } else { &[] };
        for (name, part) in PARTS.iter().chain(once) {
            if self.is_wanted(name) {
                let seconds = started.elapsed().as_secs();
                eprintln!("kinelog-bench: {seconds} s: round {}: {name}", round + 1);
                part(self, results).map_err(|error| format!("{name}: {error}"))?;
            }
        }
        Ok(())
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.given.only.is_empty() || self.given.only.iter().any(|only| name.starts_with(only))
    }

    /// A server on an empty directory.
    fn server(&self, options: &[&str]) -> Result<Server, Failure> {
        Server::start(&self.binary, &self.given.choice, options)
    }

    /// A load of the usual length.
    fn load(&self) -> Load {
        let seconds = self.given.seconds;
        Load { seconds, warm_up: (seconds / 4.0).min(1.0), ..Load::default() }
    }

    /// A size, or a small one in a quick run.
    const fn size(&self, usual: usize, quick: usize) -> usize {
        if self.given.quick { quick } else { usual }
    }
}

/// Adds a round of a line, unless something failed in it.
fn add(results: &mut Results, key: Key, x: Option<f64>, outcome: &Outcome) -> Result<(), Failure> {
    refuse_failures(outcome).map_err(|error| format!("{}: {error}", key.name))?;
    results.add_outcome(key, x, outcome);
    Ok(())
}

/// The numbers up to `greatest`, and `greatest` itself.
fn steps<T: Copy + PartialOrd>(usual: &[T], greatest: T) -> Vec<T> {
    let mut steps: Vec<_> = usual.iter().copied().filter(|&step| step < greatest).collect();
    steps.push(greatest);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_step_is_what_was_asked_for() {
        assert_eq!(steps(&[1, 10, 100], 50), [1, 10, 50]);
        assert_eq!(steps(&[1, 10, 100], 100), [1, 10, 100]);
        assert_eq!(steps(&[1, 10], 1), [1]);
    }
}
