//! Latency at fixed rates (open loop), in shares of the highest rate a closed loop reaches.

use super::put;
use crate::arguments::Load;
use crate::client::Failure;
use crate::outcome::Outcome;

/// One rate.
pub(crate) struct Step {
    /// Share of the highest rate.
    pub(crate) share: f64,
    /// Calls due a second.
    pub(crate) offered: f64,
    pub(crate) outcome: Outcome,
}

/// The highest rate, and each share of it.
pub(crate) fn run(load: &Load, shares: &[f64]) -> Result<(Outcome, Vec<Step>), Failure> {
    let highest = put::run(&Load { rate: None, ..load.clone() })?;
    let mut steps = Vec::new();
    for &share in shares {
        let offered = highest.calls_per_second() * share;
        let outcome = put::run(&Load { rate: Some(offered), ..load.clone() })?;
        steps.push(Step { share, offered, outcome });
    }
    Ok((highest, steps))
}
