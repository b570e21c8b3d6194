//! Results as Markdown: a table for each group, with the columns that any of its lines has.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use crate::client::Failure;
use crate::outcome::figure;
use crate::results::{Line, Results, Role, write_file};

/// Figures that are shown, with their headings.
const COLUMNS: &[(&str, &str)] = &[
    (figure::OFFERED, "offered/s"),
    (figure::CALLS, "calls/s"),
    (figure::RECORDS, "records/s"),
    (figure::MEGABYTES, "MB/s"),
    (figure::P50, "p50 ms"),
    (figure::P99, "p99 ms"),
    (figure::P999, "p99.9 ms"),
    (figure::FAILED, "failed"),
    (figure::SERVER_CORES, "server cores"),
    (figure::GENERATOR_CORES, "generator cores"),
    (figure::CPU_PER_MILLION, "server CPU s / M records"),
    (figure::CPU_PER_GIGABYTE, "server CPU s / GB"),
    (figure::RESIDENT, "server MiB"),
    (figure::DEVICE_BYTES, "device bytes / byte"),
    (figure::MILLIS, "ms"),
    (figure::MEBIBYTES, "MiB"),
    (figure::KIBIBYTES, "KiB"),
];

/// A number with the digits that matter.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 || size == 0.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

/// Conditions, every group, notes.
pub(crate) fn all(results: &Results) -> String {
    let mut text = format!("Conditions: {}.\n", results.conditions.words());
    for group in results.groups() {
        let _infallible = write!(text, "\n### {group}\n\n{}", table(results, group));
    }
    text + &notes(results)
}

/// Every group, each line beside the one of the first target that has the same load.
pub(crate) fn comparison(results: &Results, same_load: &dyn Fn(&Line, &Line) -> bool) -> String {
    let mut text = format!("Conditions: {}.\n", results.conditions.words());
    for group in results.groups() {
        let ratio = |line: &Line, figure: &str| {
            let mut ours = results.of_group(group).filter(|it| it.key.role == Role::Ours);
            let ours = ours.find(|ours| same_load(ours, line))?.median(figure)?;
            // An endpoint that answered nothing in time has no ratio.
            Some(ours / line.median(figure)?).filter(|ratio| ratio.is_finite())
        };
        let words = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), number);
        let speed = |line: &Line| words(ratio(line, figure::RECORDS));
        let latency = |line: &Line| words(ratio(line, figure::P99).map(|ratio| 1.0 / ratio));
        let extra: &[Extra<'_>] =
            &[("records/s, ours by its", &speed), ("p99, its by ours", &latency)];
        let _infallible = write!(text, "\n### {group}\n\n{}", rows(results, group, extra));
    }
    text + &notes(results)
}

fn notes(results: &Results) -> String {
    let mut text = String::new();
    for note in &results.notes {
        let _infallible = write!(text, "\n- {note}");
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// The table of one group: medians, and the spread of the first figure.
pub(crate) fn table(results: &Results, group: &str) -> String {
    rows(results, group, &[])
}

type Extra<'f> = (&'static str, &'f dyn Fn(&Line) -> String);

fn rows(results: &Results, group: &str, extra: &[Extra<'_>]) -> String {
    let lines: Vec<_> = results.of_group(group).collect();
    let shown: Vec<_> = COLUMNS
        .iter()
        .filter(|(figure, _)| lines.iter().any(|line| line.figure(figure).is_some()))
        .collect();
    let mut text = "| |".to_owned();
    for (_, heading) in &shown {
        let _infallible = write!(text, " {heading} |");
    }
    for (heading, _) in extra {
        let _infallible = write!(text, " {heading} |");
    }
    let columns = shown.len() + 1 + extra.len();
    let _infallible = writeln!(text, "\n|{}", "---|".repeat(columns));
    for line in lines {
        let _infallible = write!(text, "| {} |", title(line));
        for (place, (figure, _)) in shown.iter().enumerate() {
            let cell = line.figure(figure).map_or_else(
                || "-".to_owned(),
                |it| match place {
                    0 if line.samples.len() > 1 => format!(
                        "{} ({} to {})",
                        number(it.median),
                        number(it.least),
                        number(it.greatest)
                    ),
                    _ => number(it.median),
                },
            );
            let _infallible = write!(text, " {cell} |");
        }
        for (_, value) in extra {
            let _infallible = write!(text, " {} |", value(line));
        }
        text.push('\n');
    }
    text
}

/// What a line is called in a table.
pub(crate) fn title(line: &Line) -> String {
    match line.key.role {
        Role::Ours | Role::Theirs => line.key.name.clone(),
        role @ (Role::NullServer | Role::StaticBody | Role::Device | Role::Loopback) => {
            format!("{}: {}", line.key.name, role.name())
        }
    }
}

/// To the standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// JSON and CSV, where they are wanted.
pub(crate) fn files(
    results: &Results,
    json: Option<&Path>,
    csv: Option<&Path>,
) -> Result<(), Failure> {
    if let Some(path) = json {
        write_file(path, results.json().to_string().as_bytes())?;
    }
    if let Some(path) = csv {
        write_file(path, results.csv().as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::Conditions;
    use crate::outcome::Sample;
    use crate::results::Key;

    fn results() -> Results {
        let mut results = Results::new(Conditions::default());
        for (role, name, value) in
            [(Role::Ours, "a", 200.0), (Role::Ours, "a", 400.0), (Role::Theirs, "b", 20.0)]
        {
            let p99 = if role == Role::Ours { 2.5 } else { 5.0 };
            let sample = Sample::from([(figure::RECORDS, value), (figure::P99, p99)]);
            results.add(Key::new("g", name, role), None, sample);
        }
        results
    }

    #[test]
    fn a_table_has_the_columns_there_are_figures_for() {
        let expected = "| | records/s | p99 ms |\n|---|---|---|\n\
                        | a | 300 (200 to 400) | 2.50 |\n| b | 20.0 | 5.00 |\n";
        assert_eq!(table(&results(), "g"), expected);
    }

    #[test]
    fn a_comparison_says_how_much_better_the_first_target_is() {
        let text = comparison(&results(), &|_, _| true);
        assert!(text.contains("| b | 20.0 | 5.00 | 15.0 | 2.00 |"), "{text}");
    }
}
