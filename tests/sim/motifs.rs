//! Stories made of rare situations: short rows of steps that bring two or three things together
//! which stories drawn step by step hardly ever do.

use fastrand::Rng;
use kinelog_engine::device::simulated::{Fault, Operation, Survive};

use super::story::{self, End, From, Step};

/// One rare situation.
pub(super) fn draw(random: &mut Rng) -> Vec<Step> {
    const MOTIFS: &[fn(&mut Rng) -> Vec<Step>] = &[
        killed_in_a_write,
        manifest_in_doubt,
        checkpoints_then_a_cut,
        log_refuses_twice,
        catalogue_syncs_fail,
        writes_while_followed,
        closed_shard_after_a_start,
        damage_after_checkpoints,
        damage_to_the_log,
        damage_to_a_long_segment,
        copied_and_replayed,
        expired_and_cut,
    ];
    MOTIFS[random.usize(..MOTIFS.len())](random)
}

/// Appends of 1 to `calls` calls.
fn send(random: &mut Rng, calls: u32, bytes: u32, wait: bool) -> Step {
    Step::Send {
        calls: random.u32(1..=calls),
        shard: random.u32(..64),
        runs: random.u32(1..=3),
        records: random.u32(1..=4),
        bytes,
        wait,
    }
}

fn read(random: &mut Rng) -> Step {
    Step::Read { shard: random.u32(..64), from: story::from(random), records: random.u32(1..=60) }
}

fn lose(nth: u64) -> Step {
    Step::Fail { operation: Operation::SyncData, nth, fault: Fault::LosePages }
}

fn cut(random: &mut Rng) -> Step {
    Step::Restart(End::Cut(story::survive(random)))
}

fn change(random: &mut Rng) -> Step {
    match random.u32(..3) {
        0 => Step::Retain { hours: 24 + random.u32(..100) },
        1 => Step::Merge { shard: random.u32(..64) },
        _ => Step::Split { shard: random.u32(..64), limit: None },
    }
}

/// The next group is on its way to the device for a while.
fn write_stalls(random: &mut Rng) -> Vec<Step> {
    vec![
        send(random, 2, 60, true),
        Step::Fail { operation: Operation::LogWrite, nth: 1, fault: Fault::Stall },
        send(random, 3, 700, false),
        Step::Pass(1),
    ]
}

/// What a killed process had on its way is found by starts of which the first one fails.
fn killed_in_a_write(random: &mut Rng) -> Vec<Step> {
    let fault = if random.u32(..4) == 0 { Fault::PowerOff } else { Fault::LosePages };
    let mut steps = write_stalls(random);
    steps.extend([
        Step::FailStart { operation: Operation::SyncData, nth: random.u64(1..=4), fault },
        Step::Restart(End::Kill),
        Step::Restart(End::Cut(Survive::None)),
    ]);
    steps
}

/// A manifest whose sync failed, or that a killed process did not come to sync, and a power cut
/// while the next one is written. With many shards neither fits one sector.
fn manifest_in_doubt(random: &mut Rng) -> Vec<Step> {
    let send =
        |calls, bytes| Step::Send { calls, shard: 0, runs: 1, records: 4, bytes, wait: true };
    let mut steps = vec![send(14, 60)];
    for _ in 0..random.u32(1..=3) {
        // More than a log file, so that the one before is let go.
        steps.extend([send(1, 9_000), Step::Checkpoint]);
    }
    let fault = if random.bool() { Fault::LosePages } else { Fault::PowerOff };
    let cut = End::Cut(if random.bool() { Survive::Random } else { Survive::Torn });
    for (fault, end) in [(fault, End::Kill), (Fault::PowerOff, cut)] {
        // Segments are synced before it, one or, after a start, two.
        let nth = random.u64(2..=3);
        steps.extend([
            send(1, 9_000),
            Step::Pass(1),
            Step::Crash { nth: 1_000, end },
            Step::Fail { operation: Operation::SyncData, nth, fault },
            Step::Checkpoint,
        ]);
    }
    steps
}

/// Several checkpoints of one process, each of which lets the log before it go.
fn checkpoints_then_a_cut(random: &mut Rng) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..random.u32(2..=4) {
        steps.extend([send(random, 6, 9_000, true), Step::Checkpoint]);
    }
    if random.bool() {
        steps.insert(2, lose(random.u64(1..=4)));
    }
    steps.extend([cut(random), read(random)]);
    steps
}

/// A group is refused by its file and by the next one.
fn log_refuses_twice(random: &mut Rng) -> Vec<Step> {
    let nth = random.u64(1..=3);
    let fail = |nth, fault| Step::Fail { operation: Operation::LogWrite, nth, fault };
    let fault = if random.bool() { Fault::Io } else { Fault::Full };
    vec![
        send(random, 2, 700, true),
        fail(nth, fault),
        fail(nth + 1, Fault::Io),
        send(random, 6, 700, true),
        send(random, 3, 700, true),
        read(random),
    ]
}

/// Both mirrors of the catalogue lose a change, one after the other.
fn catalogue_syncs_fail(random: &mut Rng) -> Vec<Step> {
    let mut steps = vec![lose(1)];
    if random.bool() {
        steps.push(lose(3));
    }
    steps.extend([change(random), cut(random)]);
    steps
}

/// Readers wait at the end while writes come, and the power goes.
fn writes_while_followed(random: &mut Rng) -> Vec<Step> {
    let follow = |shard, from| Step::Follow { shard, from };
    let mut steps =
        vec![follow(0, From::Latest), follow(1, From::Horizon), follow(2, From::Latest)];
    if random.bool() {
        steps.extend(write_stalls(random));
        steps.push(cut(random));
    } else {
        steps.push(send(random, 2, 60, true));
        steps.push(Step::Crash { nth: random.u64(1..=8), end: story::crash(random) });
        steps.push(send(random, 6, 700, false));
    }
    steps.extend([follow(0, From::Latest), send(random, 6, 60, true)]);
    steps
}

/// A shard that was closed is written to after the next start.
fn closed_shard_after_a_start(random: &mut Rng) -> Vec<Step> {
    vec![
        send(random, 3, 60, true),
        Step::Split { shard: random.u32(..64), limit: random.bool().then(|| random.u64(..2_000)) },
        Step::Restart(story::end(random)),
        Step::SendClosed { shard: random.u32(..64) },
        read(random),
    ]
}

fn damage(random: &mut Rng, kind: &'static str) -> Step {
    let (file, place, how) = (random.u64(..), random.u64(..), random.u32(..));
    Step::Damage { kind: Some(kind), file, place, how }
}

/// Something is damaged that a checkpoint has just written, and the store starts from it.
fn damage_after_checkpoints(random: &mut Rng) -> Vec<Step> {
    let mut steps = vec![change(random)];
    for _ in 0..2 {
        steps.extend([send(random, 6, 9_000, true), Step::Checkpoint]);
    }
    let kind = *random.choice(&["manifest", "catalog", "store", "seg"]).unwrap_or(&"seg");
    steps.extend([damage(random, kind), Step::Restart(story::end(random)), read(random)]);
    steps
}

/// The log is damaged where some shards have their last records, and the process is killed.
fn damage_to_the_log(random: &mut Rng) -> Vec<Step> {
    vec![
        Step::Checkpoint,
        send(random, 6, 60, true),
        send(random, 6, 60, true),
        damage(random, "log"),
        Step::Restart(End::Kill),
        send(random, 6, 60, true),
        send(random, 6, 60, true),
        Step::Restart(End::Kill),
    ]
}

/// A segment long enough for an index is sealed, damaged and read at several places.
fn damage_to_a_long_segment(random: &mut Rng) -> Vec<Step> {
    let mut steps: Vec<_> = (0..3).map(|_| send(random, 6, 9_000, true)).collect();
    steps.extend([Step::Pass(6_000), Step::Checkpoint]);
    steps.extend([damage(random, "seg"), damage(random, "seg")]);
    steps.push(Step::Restart(story::end(random)));
    steps.extend((0..4).map(|_| read(random)));
    steps
}

/// A checkpoint copies what comes while it is made, and a start finds it in the log as well.
fn copied_and_replayed(random: &mut Rng) -> Vec<Step> {
    let wait = random.bool();
    vec![
        send(random, 6, 700, false),
        Step::Checkpoint,
        send(random, 3, 60, wait),
        Step::Restart(if random.bool() { End::Kill } else { End::Cut(Survive::Random) }),
        read(random),
        send(random, 3, 60, true),
        read(random),
    ]
}

/// Retention gives up what the log still holds.
fn expired_and_cut(random: &mut Rng) -> Vec<Step> {
    let wait = random.bool();
    vec![
        send(random, 6, 3_000, true),
        Step::Jump(25 * 3_600_000),
        send(random, 2, 60, wait),
        Step::Sweep,
        Step::Restart(if random.bool() { End::Kill } else { End::Cut(Survive::Random) }),
        Step::Jump(-3_600_000),
        read(random),
    ]
}
