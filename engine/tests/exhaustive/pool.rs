//! Cases on all cores, and how they ended.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Runtime};

/// How a case ended that ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Nothing is lost and nothing was worth a word.
    Harmless,
    /// Nothing is lost; verify tells of what a copy or a repair made good.
    Repaired,
    /// The last group, which nothing proves to have been durable, was cut as a torn write.
    TakenForTorn,
    /// Records are lost, or the store does not open; reads and verify say so.
    Reported,
}

const ASKED: &str = "KINELOG_EXHAUSTIVE";

/// True when all cases are asked for.
pub(crate) fn wants_all() -> bool {
    std::env::var_os(ASKED).is_some()
}

/// The longest sequences asked for, when all cases are: the value of the variable.
pub(crate) fn longest_asked() -> Option<u32> {
    std::env::var(ASKED).ok()?.parse().ok()
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs all cases and prints how many ended how; fails with what went wrong.
pub(crate) fn run<Case: Sync + std::fmt::Debug>(
    what: &str,
    cases: &[Case],
    judge: impl Fn(&Runtime, &Case) -> Result<Outcome, String> + Sync,
) -> BTreeMap<Outcome, usize> {
    let next = AtomicUsize::new(0);
    let work = || {
        let (runtime, mut ends, mut wrong) = (runtime(), BTreeMap::new(), Vec::new());
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            match judge(&runtime, case) {
                Ok(outcome) => *ends.entry(outcome).or_default() += 1,
                Err(reason) => wrong.push(format!("{case:?}: {reason}")),
            }
        }
        (ends, wrong)
    };
    let (mut ends, mut wrong) = (BTreeMap::new(), Vec::new());
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let (mine, faults): (BTreeMap<Outcome, usize>, Vec<String>) = worker.join().unwrap();
            wrong.extend(faults);
            for (outcome, count) in mine {
                *ends.entry(outcome).or_default() += count;
            }
        }
    });
    println!("{what}: {} cases, {ends:?}, {} wrong", cases.len(), wrong.len());
    wrong.sort();
    let step = wrong.len().div_ceil(24).max(1);
    let wrong: Vec<_> = wrong.into_iter().step_by(step).collect();
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
    assert!(!cases.is_empty(), "{what}: there are cases");
    ends
}
