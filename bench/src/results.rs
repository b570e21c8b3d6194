//! All that was measured, line by line and round by round: the one type that every table, plot and
//! file is made of.

use std::path::Path;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::client::Failure;
use crate::conditions::Conditions;
use crate::outcome::{Outcome, Sample};

/// What a line is to its measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// What is measured.
    Ours,
    /// The same load against the endpoint it is compared with.
    Theirs,
    /// The same requests against a server that reads them and answers a constant.
    NullServer,
    /// The same answers from a server that does nothing else.
    StaticBody,
    /// The same bytes written or read raw.
    Device,
    /// Bytes over the loopback.
    Loopback,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
            Self::NullServer => "null server",
            Self::StaticBody => "static body",
            Self::Device => "device",
            Self::Loopback => "loopback",
        }
    }
}

/// Names a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Lines of one group make one table.
    pub(crate) group: &'static str,
    pub(crate) name: String,
    pub(crate) role: Role,
}

impl Key {
    pub(crate) fn new(group: &'static str, name: impl Into<String>, role: Role) -> Self {
        Self { group, name: name.into(), role }
    }
}

/// One line over all rounds.
pub(crate) struct Line {
    pub(crate) key: Key,
    /// What a scaling measurement scales, at this line.
    pub(crate) x: Option<f64>,
    pub(crate) samples: Vec<Sample>,
    /// Latencies of all rounds, in microseconds.
    pub(crate) latency: Option<Histogram<u64>>,
}

/// Median, least and greatest over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (&least, &greatest) = (values.first()?, values.last()?);
        let upper = values[values.len() / 2];
        let lower = values[(values.len() - 1) / 2];
        Some(Self { median: f64::midpoint(lower, upper), least, greatest })
    }
}

impl Line {
    /// A figure over the rounds; nothing when no round has it.
    pub(crate) fn figure(&self, name: &str) -> Option<Spread> {
        Spread::of(self.samples.iter().filter_map(|sample| sample.get(name).copied()).collect())
    }

    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        self.figure(name).map(|spread| spread.median)
    }
}

/// All lines of a run.
pub(crate) struct Results {
    pub(crate) conditions: Conditions,
    pub(crate) lines: Vec<Line>,
    pub(crate) notes: Vec<String>,
}

impl Results {
    pub(crate) const fn new(conditions: Conditions) -> Self {
        Self { conditions, lines: Vec::new(), notes: Vec::new() }
    }

    /// Adds a round of a line.
    pub(crate) fn add(&mut self, key: Key, x: Option<f64>, sample: Sample) {
        self.line(key, x).samples.push(sample);
    }

    /// Adds a round with its latencies.
    pub(crate) fn add_outcome(&mut self, key: Key, x: Option<f64>, outcome: &Outcome) {
        self.add_with(key, x, outcome, outcome.sample());
    }

    /// Adds a round with its latencies and further figures.
    pub(crate) fn add_with(&mut self, key: Key, x: Option<f64>, outcome: &Outcome, sample: Sample) {
        let line = self.line(key, x);
        line.samples.push(sample);
        let latency = &outcome.tally.latency;
        match &mut line.latency {
            Some(all) => all.add(latency).expect("all histograms have the same bounds"),
            None => line.latency = Some(latency.clone()),
        }
    }

    /// Says something about the run, once.
    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn line(&mut self, key: Key, x: Option<f64>) -> &mut Line {
        let place = self.lines.iter().position(|line| line.key == key).unwrap_or_else(|| {
            self.lines.push(Line { key, x, samples: Vec::new(), latency: None });
            self.lines.len() - 1
        });
        &mut self.lines[place]
    }

    pub(crate) fn find(&self, group: &str, name: &str, role: Role) -> Option<&Line> {
        let is_it = |key: &Key| key.group == group && key.name == name && key.role == role;
        self.lines.iter().find(|line| is_it(&line.key))
    }

    pub(crate) fn median(&self, group: &str, name: &str, role: Role, figure: &str) -> Option<f64> {
        self.find(group, name, role)?.median(figure)
    }

    /// Groups in the order of their first lines.
    pub(crate) fn groups(&self) -> Vec<&'static str> {
        let mut groups = Vec::new();
        for line in &self.lines {
            if !groups.contains(&line.key.group) {
                groups.push(line.key.group);
            }
        }
        groups
    }

    pub(crate) fn of_group(&self, group: &str) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.key.group == group)
    }

    /// Everything, for programs.
    pub(crate) fn json(&self) -> Value {
        let lines: Vec<_> = self.lines.iter().map(line_json).collect();
        json!({ "conditions": self.conditions.json(), "notes": self.notes, "lines": lines })
    }

    /// A row for each figure of each line, with every round.
    pub(crate) fn csv(&self) -> String {
        let mut text = "group,name,role,x,figure,median,min,max,rounds\n".to_owned();
        for line in &self.lines {
            let x = line.x.map(|x| x.to_string()).unwrap_or_default();
            for (figure, spread) in figures(line) {
                let rounds: Vec<_> = line
                    .samples
                    .iter()
                    .filter_map(|sample| sample.get(figure))
                    .map(f64::to_string)
                    .collect();
                let row = [
                    quoted(line.key.group),
                    quoted(&line.key.name),
                    quoted(line.key.role.name()),
                    x.clone(),
                    figure.to_owned(),
                    spread.median.to_string(),
                    spread.least.to_string(),
                    spread.greatest.to_string(),
                    rounds.join(" "),
                ];
                text += &row.join(",");
                text.push('\n');
            }
        }
        text
    }
}

fn figures(line: &Line) -> Vec<(&'static str, Spread)> {
    let mut names: Vec<_> = line.samples.iter().flat_map(|sample| sample.keys().copied()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter_map(|name| Some((name, line.figure(name)?))).collect()
}

fn line_json(line: &Line) -> Value {
    let figures: Map<_, _> = figures(line)
        .into_iter()
        .map(|(name, spread)| {
            let rounds: Vec<_> = line.samples.iter().map(|sample| sample.get(name)).collect();
            let value = json!({
                "median": spread.median, "min": spread.least, "max": spread.greatest,
                "rounds": rounds,
            });
            (name.to_owned(), value)
        })
        .collect();
    json!({
        "group": line.key.group, "name": line.key.name, "role": line.key.role.name(),
        "x": line.x, "figures": figures,
    })
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Writes a result file.
#[expect(clippy::disallowed_methods, reason = "a result file is no part of a store")]
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let mut results = Results::new(Conditions::default());
        for value in [3.0, 1.0, 8.0] {
            results.add(Key::new("g", "a \"b\"", Role::Ours), None, Sample::from([("ms", value)]));
        }
        results
    }

    #[test]
    fn the_median_counts_and_the_spread_is_kept() {
        let results = results();
        let spread = results.lines[0].figure("ms").unwrap();
        assert_eq!(spread, Spread { median: 3.0, least: 1.0, greatest: 8.0 });
        let even = Spread { median: 3.0, least: 2.0, greatest: 4.0 };
        assert_eq!(Spread::of(vec![4.0, 2.0]), Some(even));
        assert_eq!(results.lines[0].figure("unknown"), None);
    }

    #[test]
    fn rounds_of_a_line_meet_in_it_and_roles_are_kept_apart() {
        let mut results = results();
        results.add(Key::new("g", "a \"b\"", Role::Device), None, Sample::from([("ms", 9.0)]));
        assert_eq!(results.lines.len(), 2);
        assert_eq!(results.median("g", "a \"b\"", Role::Ours, "ms"), Some(3.0));
        assert_eq!(results.median("g", "a \"b\"", Role::Device, "ms"), Some(9.0));
    }

    #[test]
    fn files_hold_every_round() {
        let results = results();
        assert_eq!(
            results.csv().lines().nth(1).unwrap(),
            "\"g\",\"a \"\"b\"\"\",\"ours\",,ms,3,1,8,3 1 8"
        );
        let rounds = &results.json()["lines"][0]["figures"]["ms"]["rounds"];
        assert_eq!(*rounds, json!([3.0, 1.0, 8.0]));
    }
}
