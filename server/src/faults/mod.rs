//! Faults on purpose, for people who test what their applications do about them.
//!
//! A [`Rule`] names calls and what befalls them; [`Faults`] holds the rules in force and says, call
//! by call, what strikes. Which call is struck is decided by a pure function of the rules and of
//! random numbers (`decision`), so one seed gives the same faults again. Without rules a call costs
//! one relaxed load. What a fault looks like on the wire is for the operations to say.

mod decision;
mod form;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGauge, Opts};
use serde::Serialize;

use crate::aws::exception::{Exception, Kind};
use decision::Active;
pub use decision::{End, Partial, Strikes};
pub use form::RuleSet;
pub use rule::{Effect, Manner, Rule, Stage};

/// The rules in force, and what they have done.
#[derive(Debug)]
pub struct Faults {
    on: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rules: Vec<Active>,
    random: Rng,
    /// Faults so far, by operation and effect.
    struck: BTreeMap<(&'static str, &'static str), u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self::new(0)
    }
}

/// A rule as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The rule as text.
    pub rule: String,
    /// How often it has struck.
    pub struck: u64,
}

impl Faults {
    /// No rules. Random numbers come by `seed` until a set of rules brings its own.
    pub fn new(seed: u64) -> Self {
        let random = Rng::with_seed(seed);
        let state = State { rules: Vec::new(), random, struck: BTreeMap::new() };
        Self { on: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// True when there are rules.
    pub fn are_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Puts `set` in the place of all rules before.
    pub fn replace(&self, set: RuleSet) {
        let mut state = self.lock();
        self.on.store(!set.rules.is_empty(), Ordering::Relaxed);
        if let Some(seed) = set.seed {
            state.random.seed(seed);
        }
        state.rules = set.rules.into_iter().map(Active::from).collect();
        for Active { rule, .. } in &state.rules {
            tracing::warn!(%rule, "faults are injected on purpose");
        }
        if state.rules.is_empty() {
            tracing::info!("no faults are injected");
        }
    }

    /// What befalls a call of `operation` about `stream`, where it names one.
    pub fn strike(&self, operation: &'static str, stream: Option<&str>) -> Strikes {
        let mut state = self.lock();
        let State { rules, random, struck } = &mut *state;
        let mut note = |effect| *struck.entry((operation, effect)).or_default() += 1;
        decision::strike(rules, operation, stream, &mut || random.u64(..), &mut note)
    }

    /// The exception that ends a subscription to `stream` instead of its next event, if one does.
    pub fn in_stream(&self, stream: &str) -> Option<Exception> {
        if !self.are_on() {
            return None;
        }
        let mut state = self.lock();
        let State { rules, random, struck } = &mut *state;
        let exception = decision::in_stream(rules, stream, &mut || random.u64(..))?;
        *struck.entry((rule::SUBSCRIBE, rule::IN_STREAM)).or_default() += 1;
        Some(worded(exception))
    }

    /// The rules in force.
    pub fn shown(&self) -> Vec<Shown> {
        let show = |active: &Active| Shown { rule: active.rule.to_string(), struck: active.struck };
        self.lock().rules.iter().map(show).collect()
    }

    /// For export.
    pub fn collect(&self) -> Vec<MetricFamily> {
        let total = Opts::new("kinelog_injected_faults_total", "Faults injected on purpose.");
        let rules = Opts::new("kinelog_fault_rules", "Rules of injected faults in force.");
        let total = IntCounterVec::new(total, &["operation", "effect"]);
        let (Ok(total), Ok(rules)) = (total, IntGauge::with_opts(rules)) else {
            return Vec::new();
        };
        let state = self.lock();
        rules.set(i64::try_from(state.rules.len()).unwrap_or(i64::MAX));
        for ((operation, effect), count) in &state.struck {
            total.with_label_values(&[*operation, *effect]).inc_by(*count);
        }
        // A family without a line is no family to the text format.
        let total = total.collect().into_iter().filter(|total| !total.get_metric().is_empty());
        rules.collect().into_iter().chain(total).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An exception with words, where the rule gives none and the service would.
pub fn worded(exception: Exception) -> Exception {
    let is_bare = matches!(
        exception.kind,
        Kind::InternalFailure | Kind::ServiceUnavailable | Kind::UnknownOperation
    );
    if is_bare || exception.message.is_some() {
        return exception;
    }
    Exception::new(exception.kind, "Injected by a fault rule.")
}
