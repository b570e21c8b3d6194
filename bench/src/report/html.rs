//! One page with everything: targets, conditions, plots, every table. It needs nothing from
//! elsewhere.

use std::fmt::Write as _;

use super::plot::{Axis, Curve, Plot, Scale, escaped};
use super::scaling;
use super::targets::Target;
use crate::markdown;
use crate::outcome::figure;
use crate::results::{Line, Results, Role};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse;font-size:13px;margin:.5em 0 1.5em}td,th{border:1px solid #ccc;padding:.25em .5em;text-align:right}\
td:first-child,th:first-child{text-align:left}.yes{background:#dff2df}.no{background:#fae3dc}\
figure{display:inline-block;width:520px;max-width:100%;margin:0 8px 1.5em 0;vertical-align:top}figcaption{font-weight:600}\
svg{width:100%;font-size:11px}svg .grid{stroke:#ddd;fill:none}ul{margin:0;padding-left:1.4em;font-size:12px}li span{color:#222}";

/// The page.
pub(super) fn page(results: &Results, targets: &[Target]) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Measurements of Kinelog</title><style>{STYLE}</style>\
         <h1>Measurements of Kinelog</h1><p>{}.</p><h2>Targets</h2>{}<h2>Plots</h2>",
        escaped(&results.conditions.words()),
        target_table(targets)
    );
    for plot in plots(results) {
        out += &plot.svg().unwrap_or_default();
    }
    out += "<h2>Every figure</h2>";
    for group in results.groups() {
        let table = from_markdown(&markdown::table(results, group));
        let _infallible = write!(out, "<h3>{}</h3>{table}", escaped(group));
    }
    for note in &results.notes {
        let _infallible = write!(out, "<p>{}</p>", escaped(note));
    }
    out + "</html>\n"
}

fn target_table(targets: &[Target]) -> String {
    let mut out = "<table><tr><th>path<th>target<th>found<th>met</tr>".to_owned();
    for target in targets {
        let verdict = target.verdict();
        let class = if verdict == "-" { "unknown" } else { verdict };
        let _infallible = write!(
            out,
            "<tr class=\"{class}\"><td>{}<td>{}<td>{}<td>{verdict}</tr>",
            escaped(target.path),
            escaped(target.wanted),
            escaped(&target.found)
        );
    }
    out + "</table>"
}

/// A table of ours: cells hold plain text.
fn from_markdown(table: &str) -> String {
    let mut out = "<table>".to_owned();
    for (place, line) in table.lines().enumerate().filter(|(place, _)| *place != 1) {
        let cell = if place == 0 { "th" } else { "td" };
        out += "<tr>";
        for text in line.trim_matches('|').split('|') {
            let _infallible = write!(out, "<{cell}>{}", escaped(text.trim()));
        }
        out += "</tr>";
    }
    out + "</table>"
}

fn plots(results: &Results) -> Vec<Plot> {
    let mut plots = vec![percentiles(results), throughput(results), latency_by_rate(results)];
    let scaled = [
        (scaling::SHARDS, "Cost and speed by shards", "shards"),
        (scaling::STREAMS, "Cost and speed by streams", "streams of 4 shards"),
        (scaling::CONNECTIONS, "Cost and speed by connections", "connections"),
        (scaling::RECORD_SIZE, "Cost and speed by size of a record", "bytes of a record"),
        (scaling::STORE_SIZE, "Cost and speed by size of the store", "GiB stored"),
    ];
    for (group, title, label) in scaled {
        plots.extend(by_size(results, group, title, label));
    }
    let start = |line: &Line| Some((line.x?, line.median(figure::MILLIS)?));
    let points = results.of_group(scaling::STORE_START).filter_map(start).collect();
    plots.push(Plot {
        title: "Start after kill -9 by size of the store",
        x: Axis::new("GiB stored", Scale::Log),
        y: Axis::new("ms to the first answer", Scale::Linear),
        curves: vec![Curve { name: "start".to_owned(), points }],
    });
    plots
}

/// Latency at every percentile, the rare ones given room.
fn percentiles(results: &Results) -> Plot {
    const MARKS: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];
    let rarity = |percentile: f64| 100.0 / (100.0 - percentile);
    let is_shown = |line: &&Line| {
        ["rates", "one connection", "delivery after acknowledgement"].contains(&line.key.group)
            && line.key.role == Role::Ours
    };
    let curve = |line: &Line| {
        let latency = line.latency.as_ref()?;
        let steps = (0..=32).map(|step| 100.0 - 100.0 / 10_f64.powf(f64::from(step) / 8.0));
        // A percentile that fewer calls than one decide says nothing.
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 calls, short times")]
        let points = steps
            .filter(|it| rarity(*it) <= latency.len() as f64)
            .map(|it| (rarity(it), latency.value_at_percentile(it) as f64 / 1e3))
            .collect();
        Some(Curve { name: line.key.name.clone(), points })
    };
    let marks = MARKS.iter().map(|it| (rarity(*it), format!("{it}"))).collect();
    Plot {
        title: "Latency percentiles",
        x: Axis { label: "percentile", scale: Scale::Log, marks: Some(marks) },
        y: Axis::new("ms", Scale::Log),
        curves: results.lines.iter().filter(is_shown).filter_map(curve).collect(),
    }
}

fn rate_curve(results: &Results, name: &str, wanted: &str) -> Curve {
    let point = |line: &Line| Some((line.median(figure::OFFERED)?, line.median(wanted)?));
    Curve { name: name.to_owned(), points: results.of_group("rates").filter_map(point).collect() }
}

fn throughput(results: &Results) -> Plot {
    let ideal = rate_curve(results, "offered", figure::OFFERED);
    Plot {
        title: "Throughput by offered rate, PutRecord of 100 B",
        x: Axis::new("calls offered a second", Scale::Linear),
        y: Axis::new("calls answered a second", Scale::Linear),
        curves: vec![rate_curve(results, "answered", figure::CALLS), ideal],
    }
}

fn latency_by_rate(results: &Results) -> Plot {
    let curves = [("p50", figure::P50), ("p99", figure::P99), ("p99.9", figure::P999)];
    Plot {
        title: "Latency by offered rate, PutRecord of 100 B",
        x: Axis::new("calls offered a second", Scale::Linear),
        y: Axis::new("ms", Scale::Log),
        curves: curves.map(|(name, figure)| rate_curve(results, name, figure)).into(),
    }
}

/// Speed, and what it costs, side by side.
fn by_size(
    results: &Results,
    group: &'static str,
    title: &'static str,
    label: &'static str,
) -> [Plot; 2] {
    let kinds = |figure: &'static str| {
        let point = move |line: &Line| Some((line.x?, line.median(figure)?));
        let of_kind = |kind: &'static str, name: &str| Curve {
            name: name.to_owned(),
            points: results
                .of_group(group)
                .filter(|line| line.key.name.starts_with(kind))
                .filter_map(point)
                .collect(),
        };
        if group == scaling::STORE_SIZE {
            vec![of_kind("writes", "writes"), of_kind("reads", "reads")]
        } else {
            vec![of_kind("", "writes")]
        }
    };
    // Calls of one small record are told by the record, all others by the byte.
    let (speed, speed_label, cost, cost_label) = if group == scaling::CONNECTIONS {
        (figure::RECORDS, "records/s", figure::CPU_PER_MILLION, "server CPU s / million records")
    } else {
        (figure::MEGABYTES, "MB/s", figure::CPU_PER_GIGABYTE, "server CPU s / GB")
    };
    let plot = |figure, y| Plot {
        title,
        x: Axis::new(label, Scale::Log),
        y: Axis::new(y, Scale::Linear),
        curves: kinds(figure),
    };
    [plot(speed, speed_label), plot(cost, cost_label)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::Conditions;
    use crate::outcome::Sample;
    use crate::report::targets;
    use crate::results::Key;

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_shows_what_there_is() {
        let mut results = Results::new(Conditions::default());
        for shards in [1.0, 64.0] {
            let sample = Sample::from([(figure::MEGABYTES, 5.0), (figure::CPU_PER_GIGABYTE, 2.0)]);
            let key = Key::new(scaling::SHARDS, format!("{shards} <shards>"), Role::Ours);
            results.add(key, Some(shards), sample);
        }
        let page = page(&results, &targets::all(&results));
        for outside in ["http://", "https://", "src=", "@import", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("<svg").count(), 2);
        assert!(page.contains("64 &lt;shards&gt;"));
    }
}
