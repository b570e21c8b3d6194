//! Short sequences of operations: cut off at every call of the disk, and with every call failing.

use kinelog_engine::device::simulated::{Fault, Operation, Survive};

use crate::pool::{self, Outcome, run, wants_all};
use crate::world::{OPS, Op, World};

/// What is left of what was not synced.
const SURVIVALS: [Survive; 3] = [Survive::None, Survive::All, Survive::Torn];
/// Up to so many unsynced changes every subset of them is tried.
const SUBSETS_MAX: u32 = 12;

/// All sequences of `length` operations.
fn sequences(length: u32) -> Vec<Vec<Op>> {
    let all = 0..OPS.len().pow(length);
    all.map(|n| (0..length).map(|i| OPS[n / OPS.len().pow(i) % OPS.len()]).collect()).collect()
}

/// Does the operations until one is not answered.
async fn go(world: &mut World, ops: &[Op]) {
    for op in ops {
        if world.run(*op).await.is_err() {
            return;
        }
    }
}

/// Calls of the disk the sequence makes after the store is ready.
async fn calls(ops: &[Op]) -> u64 {
    let mut world = World::new(1).await;
    let before = world.disk.calls(Operation::Any);
    go(&mut world, ops).await;
    world.disk.calls(Operation::Any) - before
}

/// The power goes at the `nth` call. What is found then must hold all that was answered; and again
/// after the store has been opened, used and cut off once more.
async fn cut_at(ops: &[Op], nth: u64, survivals: &[Survive]) -> Result<(), String> {
    for (seed, survive) in (1..).zip(survivals) {
        let mut world = World::new(1).await;
        world.disk.fail_nth(Operation::Any, nth, Fault::Io);
        go(&mut world, ops).await;
        let told = |reason: String| format!("{survive:?}: {reason}");
        let found = world.disk.power_cut(seed, *survive);
        world.kill();
        world.disk = found;
        world.check_files().await.map_err(told)?;
        world.open().await.map_err(|error| told(error.to_string()))?;
        world.check(false).await.map_err(told)?;
        world.run(Op::Append).await.map_err(|error| told(error.0))?;
        let found = world.disk.power_cut(seed, Survive::None);
        world.kill();
        world.disk = found;
        world.open().await.map_err(|error| told(error.to_string()))?;
        world.check(false).await.map_err(|reason| told(format!("second cut: {reason}")))?;
    }
    Ok(())
}

/// The subsets of what is unsynced at that call, when they are few.
async fn subsets_at(ops: &[Op], nth: u64, most: u32) -> Vec<Survive> {
    let mut world = World::new(1).await;
    world.disk.fail_nth(Operation::Any, nth, Fault::Io);
    go(&mut world, ops).await;
    let at_risk = world.disk.changes_at_risk();
    let mut survivals = SURVIVALS.to_vec();
    if at_risk <= most {
        survivals.extend((0..1_u64 << at_risk).map(Survive::Chosen));
    } else {
        survivals.push(Survive::Random);
    }
    survivals
}

#[test]
fn small_sequences() {
    let longest = pool::longest_asked().unwrap_or(3);
    let subsets_max = if wants_all() { SUBSETS_MAX } else { 3 };
    let runtime = pool::runtime();
    let mut cases: Vec<(Vec<Op>, u64)> = Vec::new();
    for ops in (1..=longest).flat_map(sequences) {
        let calls = runtime.block_on(calls(&ops));
        cases.extend((1..=calls + 1).map(|nth| (ops.clone(), nth)));
    }
    println!("{} sequences with a cut", cases.len());
    // All cut points of sequences of one; of the longer ones what fits, spread over all.
    let step = if wants_all() { 1 } else { 29 };
    let cases: Vec<_> = cases
        .into_iter()
        .enumerate()
        .filter(|(i, (ops, _))| ops.len() == 1 || i % step == 0)
        .map(|(_, case)| case)
        .collect();
    run("sequences cut off", &cases, |runtime, (ops, nth)| {
        runtime.block_on(async {
            let survivals = subsets_at(ops, *nth, subsets_max).await;
            cut_at(ops, *nth, &survivals).await.map(|()| Outcome::Harmless)
        })
    });
}

/// What `fail_nth_io` runs: each operation, some before and after a reshard.
const WORKLOAD: [Op; 14] = [
    Op::Append,
    Op::Batch,
    Op::Seal,
    Op::Roll,
    Op::Split,
    Op::Batch,
    Op::Seal,
    Op::Merge,
    Op::Append,
    Op::Trim,
    Op::Batch,
    Op::Delete,
    Op::Append,
    Op::Seal,
];

/// One call fails; all operations are tried nevertheless.
async fn fail_at(nth: u64, fault: Fault, survive: Option<Survive>) -> Result<(), String> {
    let mut world = World::new(3).await;
    world.kill();
    world.disk.fail_nth(Operation::Any, nth, fault);
    if world.open().await.is_err() {
        world.open().await.map_err(|error| format!("does not open after a fault: {error}"))?;
    }
    for op in WORKLOAD {
        let answer = world.run(op).await;
        if let (Err(reason), None) = (&answer, world.engine().stopped()) {
            // Refused and not stopped: the disk seemed full, or the catalogue has stopped, and with it
            // the shards it was about to close.
            let text = &reason.0;
            let words = ["full", "stopped", "closed"];
            assert!(words.iter().any(|word| text.contains(word)), "{op:?} failed with {text}");
        }
    }
    world.check(true).await.map_err(|reason| format!("while open: {reason}"))?;
    let found = match survive {
        Some(survive) => world.disk.power_cut(nth, survive),
        None => world.disk.clone(),
    };
    world.kill();
    found.clear_faults();
    world.disk = found;
    world.check_files().await?;
    world.open().await.map_err(|error| format!("does not open again: {error}"))?;
    world.check(false).await?;
    world.run(Op::Append).await.map_err(|error| error.0)?;
    world.check(false).await
}

#[test]
fn fail_nth_io() {
    let calls = pool::runtime().block_on(async {
        let mut world = World::new(3).await;
        world.kill();
        let before = world.disk.calls(Operation::Any);
        world.open().await.unwrap();
        go(&mut world, &WORKLOAD).await;
        world.disk.calls(Operation::Any) - before
    });
    let faults = [Fault::Io, Fault::Full, Fault::LosePages];
    let cuts = [None, Some(Survive::None), Some(Survive::All), Some(Survive::Random)];
    let mut cases = Vec::new();
    for nth in 1..=calls {
        for fault in faults {
            cases.extend(cuts.map(|cut| (nth, fault, cut)));
        }
    }
    run("calls failed", &cases, |runtime, &(nth, fault, cut)| {
        runtime.block_on(fail_at(nth, fault, cut)).map(|()| Outcome::Harmless)
    });
}
