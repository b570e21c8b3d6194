//! Which rules strike a call: a pure function of the rules, the call, and random numbers.

use super::rule::{Effect, Manner, Rule, SUBSCRIBE, Stage};
use crate::aws::exception::{Exception, Kind};

/// A rule in force.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Active {
    pub(super) rule: Rule,
    /// How often it has struck.
    pub(super) struck: u64,
}

impl From<Rule> for Active {
    fn from(rule: Rule) -> Self {
        Self { rule, struck: 0 }
    }
}

/// What befalls a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strikes {
    /// Time it takes longer, in milliseconds.
    pub delay_ms: u64,
    /// Records of it that fail.
    pub partial: Option<Partial>,
    /// How it ends instead of by its own answer.
    pub end: Option<End>,
}

/// How a call ends, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// How.
    pub manner: Manner,
    /// When.
    pub stage: Stage,
}

/// Records of a call that fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Partial {
    fraction: f64,
    kind: Kind,
    seed: u64,
}

impl Partial {
    /// The exception of each record that fails.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Says for each of `count` records whether it fails: the fraction of them, rounded up.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a fraction of a few hundred is a small whole number"
    )]
    pub fn choose(&self, count: usize) -> Vec<bool> {
        let failing = (self.fraction * count as f64).ceil() as usize;
        let mut failed: Vec<_> = (0..count).map(|place| place < failing).collect();
        fastrand::Rng::with_seed(self.seed).shuffle(&mut failed);
        failed
    }
}

/// What befalls a call of `operation` about `stream`. Every rule about the call draws in order,
/// until one ends it; `note` is told the effect of each that strikes.
pub(super) fn strike(
    rules: &mut [Active],
    operation: &str,
    stream: Option<&str>,
    draw: &mut dyn FnMut() -> u64,
    note: &mut dyn FnMut(&'static str),
) -> Strikes {
    let mut strikes = Strikes::default();
    for active in rules.iter_mut().filter(|active| active.rule.concerns(operation, stream)) {
        if matches!(active.rule.effect, Effect::InStream(_)) || !active.draws(draw) {
            continue;
        }
        note(active.rule.effect.name());
        match &active.rule.effect {
            Effect::End(manner, stage) => {
                strikes.end = Some(End { manner: manner.clone(), stage: *stage });
                return strikes;
            }
            Effect::Delay(least, most) => {
                strikes.delay_ms += between(*least, *most, draw);
            }
            Effect::Partial(fraction, kind) => {
                strikes.partial = Some(Partial { fraction: *fraction, kind: *kind, seed: draw() });
            }
            Effect::InStream(_) => {}
        }
    }
    strikes
}

/// The exception that ends a subscription to `stream` before its next event, if one does.
pub(super) fn in_stream(
    rules: &mut [Active],
    stream: &str,
    draw: &mut dyn FnMut() -> u64,
) -> Option<Exception> {
    rules.iter_mut().filter(|active| active.rule.concerns(SUBSCRIBE, Some(stream))).find_map(
        |active| match &active.rule.effect {
            Effect::InStream(exception) => {
                let exception = exception.clone();
                active.draws(draw).then_some(exception)
            }
            Effect::End(..) | Effect::Delay(..) | Effect::Partial(..) => None,
        },
    )
}

impl Active {
    /// Draws whether it strikes, and counts it if it does.
    fn draws(&mut self, draw: &mut dyn FnMut() -> u64) -> bool {
        let is_spent = self.rule.count.is_some_and(|count| self.struck >= count);
        let probability = self.rule.probability;
        let strikes = !is_spent && (probability >= 1.0 || fraction(draw()) < probability);
        self.struck += u64::from(strikes);
        strikes
    }
}

/// A random number as a fraction, from 0 and below 1: its highest 53 bits, which are exact.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what the type holds")]
fn fraction(drawn: u64) -> f64 {
    (drawn >> 11) as f64 / (1_u64 << 53) as f64
}

fn between(least: u64, most: u64, draw: &mut dyn FnMut() -> u64) -> u64 {
    if least == most { least } else { least + draw() % (most - least + 1) }
}
