//! Line plots as SVG, small and without any help.

use std::fmt::Write as _;

use crate::markdown::number;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
/// Told apart also by those who do not see all colours.
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];

/// How values lie on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    /// Powers of ten at equal distances; values must be above zero.
    Log,
}

/// An axis: what it shows, and how.
pub(super) struct Axis {
    pub(super) label: &'static str,
    pub(super) scale: Scale,
    /// Marks with their texts; nothing for round values.
    pub(super) marks: Option<Vec<(f64, String)>>,
}

impl Axis {
    pub(super) const fn new(label: &'static str, scale: Scale) -> Self {
        Self { label, scale, marks: None }
    }
}

/// Points with a name.
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// A plot.
pub(super) struct Plot {
    pub(super) title: &'static str,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) curves: Vec<Curve>,
}

impl Plot {
    /// The plot; nothing when there is nothing to show.
    pub(super) fn svg(&self) -> Option<String> {
        let points = || self.curves.iter().flat_map(|curve| curve.points.iter());
        let x = Range::of(self.x.scale, points().map(|point| point.0), false)?;
        let y = Range::of(self.y.scale, points().map(|point| point.1), true)?;
        let place_x = |value: f64| LEFT + x.share(value) * (WIDTH - LEFT - RIGHT);
        let place_y = |value: f64| HEIGHT - BOTTOM - y.share(value) * (HEIGHT - TOP - BOTTOM);
        let mut out = format!(
            "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">",
            escaped(self.title)
        );
        for (value, words) in self.y.marks.clone().unwrap_or_else(|| y.marks()) {
            let (at, end) = (place_y(value), WIDTH - RIGHT);
            let _infallible = write!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{end}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{words}</text>",
                LEFT - 6.0,
                at + 4.0
            );
        }
        let marks = self.x.marks.clone().unwrap_or_else(|| x.marks());
        for (value, words) in marks.into_iter().filter(|(value, _)| x.share(*value) <= 1.0) {
            let (at, foot) = (place_x(value), HEIGHT - BOTTOM);
            let _infallible = write!(
                out,
                "<path class=\"grid\" d=\"M{at:.1} {TOP}V{foot}\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{words}</text>",
                foot + 16.0
            );
        }
        for (curve, colour) in self.curves.iter().zip(COLOURS.iter().cycle()) {
            let mut path = String::new();
            for (place, point) in curve.points.iter().enumerate() {
                let step = if place == 0 { 'M' } else { 'L' };
                let (x, y) = (place_x(point.0), place_y(point.1));
                let _infallible = write!(path, "{step}{x:.1} {y:.1}");
                let _infallible = write!(
                    out,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>"
                );
            }
            let _infallible = write!(
                out,
                "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\" d=\"{path}\"/>"
            );
        }
        let _infallible = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text><text transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text></svg>{}</figure>",
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 8.0,
            escaped(self.x.label),
            f64::midpoint(TOP, HEIGHT - BOTTOM),
            escaped(self.y.label),
            self.legend()
        );
        Some(out)
    }

    fn legend(&self) -> String {
        let names = self.curves.iter().zip(COLOURS.iter().cycle()).map(|(curve, colour)| {
            format!("<li style=\"color:{colour}\"><span>{}</span></li>", escaped(&curve.name))
        });
        format!("<ul>{}</ul>", names.collect::<String>())
    }
}

/// What an axis spans: from mark to mark.
struct Range {
    scale: Scale,
    least: f64,
    greatest: f64,
    /// Distance of two marks on a linear scale.
    step: f64,
}

impl Range {
    /// Around all values; from zero on if `from_zero` and the scale has a zero.
    fn of(scale: Scale, values: impl Iterator<Item = f64>, from_zero: bool) -> Option<Self> {
        let is_placed = |value: &f64| value.is_finite() && (scale == Scale::Linear || *value > 0.0);
        let values: Vec<_> = values.filter(is_placed).collect();
        let least = values.iter().copied().reduce(f64::min)?;
        let greatest = values.iter().copied().reduce(f64::max)?;
        let (least, greatest, step) = match scale {
            Scale::Linear => {
                let least = if from_zero { least.min(0.0) } else { least };
                // One value alone still needs room.
                let greatest = if greatest > least { greatest } else { least + 1.0 };
                let step = round_step((greatest - least) / 4.0);
                ((least / step).floor() * step, (greatest / step).ceil() * step, step)
            }
            Scale::Log => {
                (10_f64.powf(least.log10().floor()), 10_f64.powf(greatest.log10().ceil()), 0.0)
            }
        };
        let greatest = if greatest > least { greatest } else { least * 10.0 };
        Some(Self { scale, least, greatest, step })
    }

    /// Place of a value between the least (0) and the greatest (1).
    fn share(&self, value: f64) -> f64 {
        let (value, least, greatest) = match self.scale {
            Scale::Linear => (value, self.least, self.greatest),
            Scale::Log => {
                (value.max(self.least).log10(), self.least.log10(), self.greatest.log10())
            }
        };
        (value - least) / (greatest - least)
    }

    /// Round values, with their texts.
    fn marks(&self) -> Vec<(f64, String)> {
        let next = |value: &f64| match self.scale {
            Scale::Linear => Some(value + self.step),
            Scale::Log => Some(value * 10.0),
        };
        let values = std::iter::successors(Some(self.least), next);
        let inside = values.take_while(|value| self.share(*value) < 1.001);
        inside.map(|value| (value, short(value))).collect()
    }
}

/// The least of 1, 2, 5 and their like that is no shorter than `length`.
fn round_step(length: f64) -> f64 {
    let power = 10_f64.powf(length.max(1e-9).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= length).unwrap_or(10.0 * power)
}

/// A value of an axis in few characters.
fn short(value: f64) -> String {
    for (size, letter) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if value.abs() >= size * 0.9995 {
            let digits = number(value / size);
            let digits = if digits.contains('.') {
                digits.trim_end_matches('0').trim_end_matches('.')
            } else {
                &digits
            };
            return format!("{digits}{letter}");
        }
    }
    let digits = format!("{value:.3}");
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Text that is not markup.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: Vec<(f64, f64)>) -> Plot {
        Plot {
            title: "a < b",
            x: Axis::new("x", Scale::Log),
            y: Axis::new("y", Scale::Linear),
            curves: vec![Curve { name: "c".to_owned(), points }],
        }
    }

    #[test]
    fn points_lie_between_the_axes_in_their_order() {
        let svg = plot(vec![(1.0, 0.0), (100.0, 60.0)]).svg().unwrap();
        let (left, right) = ("70.0 276.0", "624.0 12.0");
        assert!(svg.contains(&format!("d=\"M{left}L{right}\"")), "{svg}");
        assert!(svg.contains("a &lt; b"));
    }

    #[test]
    fn a_log_axis_has_a_mark_at_every_power_of_ten() {
        let range = Range::of(Scale::Log, [0.2, 150.0].into_iter(), true).unwrap();
        let words: Vec<_> = range.marks().into_iter().map(|(_, words)| words).collect();
        assert_eq!(words, ["0.1", "1", "10", "100", "1k"]);
    }

    #[test]
    fn a_linear_axis_has_round_marks_and_ends_at_one() {
        let range = Range::of(Scale::Linear, [3.0, 5010.0].into_iter(), true).unwrap();
        let words: Vec<_> = range.marks().into_iter().map(|(_, words)| words).collect();
        assert_eq!(words, ["0", "2k", "4k", "6k"]);
    }

    #[test]
    fn one_value_alone_has_room_and_few_marks() {
        for scale in [Scale::Linear, Scale::Log] {
            let range = Range::of(scale, [5e6].into_iter(), false).unwrap();
            assert!(range.greatest > range.least);
            assert!((2..=6).contains(&range.marks().len()));
        }
        assert!(Range::of(Scale::Log, [10.0].into_iter(), false).unwrap().greatest > 10.0);
    }

    #[test]
    fn nothing_makes_no_plot() {
        assert_eq!(plot(Vec::new()).svg(), None);
        assert!(plot(vec![(5.0, 5.0)]).svg().is_some());
    }

    #[test]
    fn numbers_of_an_axis_are_short() {
        assert_eq!(
            [short(0.25), short(40.0), short(1500.0), short(2e6)],
            ["0.25", "40", "1.5k", "2M"]
        );
    }
}
