//! Simulations of one kind each, where the swarm of `sim.rs` is a bit of everything: what a promise is
//! about happens often, and the faults of the program that would break it are found by it.

use std::ops::Range;
use std::sync::Mutex;

use kinelog_engine::bugs::Bug;
use kinelog_engine::device::simulated::Survive;
use kinelog_tests::sim::{
    Counts, End, From, Options, Rot, Step, Story, cores, run, run_all, shortest,
};

/// Seeds of each kind, none of them of the swarm.
const SEEDS: Range<u64> = 5_000..5_060;
/// The same of each way in which the clock jumps: only limits are drawn.
const JUMP_SEEDS: Range<u64> = 5_000..5_015;
/// Seeds in which a fault of the program must be found.
const BUG_SEEDS: Range<u64> = 5_000..5_300;

/// How likely each kind of step is, as in `story`.
type Weights = [u32; 16];

const fn weights(named: &[(Kind, u32)]) -> Weights {
    let mut weights = [0; 16];
    let mut at = 0;
    while at < named.len() {
        weights[named[at].0 as usize] = named[at].1;
        at += 1;
    }
    weights
}

/// Kinds of steps, in the order of their weights.
#[derive(Clone, Copy)]
enum Kind {
    Send,
    Read,
    Follow,
    Split,
    Merge,
    Retain,
    Sweep,
    Pass,
    Jump,
    Checkpoint,
    Restart,
    Fail,
    Crash,
}

/// A sound disk that never fails by itself, and these steps.
fn only(seed: u64, weights: &Weights) -> (Options, Story) {
    let drawn = Options::of(seed);
    let options = Options { rot: Rot::None, rates: vec![], weights: weights.to_vec(), ..drawn };
    let story = Story::of(&options);
    (options, story)
}

/// Nothing is wrong in any story, and all of `met` was met.
fn hold(seeds: Range<u64>, of: impl Fn(u64) -> (Options, Story) + Sync, met: &[&str]) {
    let (counts, failed) = (Mutex::new(Counts::new()), Mutex::new(Vec::new()));
    run_all(seeds, cores(), of, |options, story, outcome| {
        let mut counts = counts.lock().expect("no holder panics");
        for (name, times) in outcome.counts {
            *counts.entry(name).or_default() += times;
        }
        drop(counts);
        if !outcome.wrong.is_empty() {
            failed.lock().expect("no holder panics").push(shortest(options, story));
        }
    });
    let failed = failed.into_inner().expect("no holder panicked");
    assert!(failed.is_empty(), "{} stories fail; the first:\n{}", failed.len(), failed[0]);
    let counts = counts.into_inner().expect("no holder panicked");
    let missed: Vec<_> = met.iter().filter(|point| !counts.contains_key(**point)).collect();
    assert!(missed.is_empty(), "never met: {missed:?}");
}

/// With each of these faults of the program something is wrong in one of the stories.
fn find(of: impl Fn(u64) -> (Options, Story) + Sync, bugs: &[Bug]) {
    let is_found = |bug| {
        BUG_SEEDS.into_iter().any(|seed| {
            let (options, story) = of(seed);
            !run(&Options { bug: Some(bug), ..options }, &story).wrong.is_empty()
        })
    };
    let missed: Vec<_> = bugs.iter().filter(|bug| !is_found(**bug)).collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}

const READERS: &[&str] = &[
    "records acknowledged",
    "reader: after a record",
    "reader: at a record",
    "reader: at a time",
    "reader: from the latest",
    "reader: from the oldest record",
    "reader: woken",
];

#[test]
fn history_single() {
    use Kind::{Checkpoint, Follow, Pass, Read, Send};
    let weights = weights(&[(Send, 30), (Read, 20), (Follow, 5), (Pass, 8), (Checkpoint, 8)]);
    let of = |seed| {
        let (options, story) = only(seed, &weights);
        (Options { shards: 1, ..options }, story)
    };
    hold(SEEDS, of, READERS);
    find(of, &[Bug::SeamSkipped, Bug::SearchTooFar, Bug::BatchMisplaced, Bug::StoredYetRefused]);
}

#[test]
fn history_reshard() {
    use Kind::{Checkpoint, Follow, Merge, Pass, Read, Send, Split};
    let weights = weights(&[
        (Send, 30),
        (Read, 20),
        (Follow, 5),
        (Split, 10),
        (Merge, 8),
        (Pass, 8),
        (Checkpoint, 4),
    ]);
    let of = |seed| only(seed, &weights);
    hold(SEEDS, of, &[READERS, &["reshard: done", "read: end of a shard"]].concat());
    find(of, &[Bug::ParentStaysOpen, Bug::ParentEndsEarly, Bug::EndTooHigh, Bug::EndTooLow]);
}

/// Everything a sound disk may do, and every way to stop.
#[test]
fn history_faults() {
    let of = |seed| {
        let options = Options { rot: Rot::None, ..Options::of(seed) };
        let story = Story::of(&options);
        (options, story)
    };
    let stops = ["reshard: done", "crash: inside a call", "crash: during a start", "end: Kill"];
    hold(SEEDS, of, &[READERS, &stops].concat());
    find(of, &[Bug::LogNotSynced, Bug::AnsweredBeforeWritten, Bug::ReplaySkipsGroup]);
}

/// Changes of shards under stops, also in the middle of one.
#[test]
fn lineage() {
    use Kind::{Crash, Merge, Read, Restart, Send, Split};
    let weights =
        weights(&[(Send, 20), (Read, 5), (Split, 12), (Merge, 12), (Restart, 8), (Crash, 12)]);
    let of = |seed| only(seed, &weights);
    hold(
        SEEDS,
        of,
        &["reshard: done", "crash: inside a call", "end: Cut(Torn)", "read: end of a shard"],
    );
    find(of, &[Bug::ReshardNotWritten, Bug::ParentStaysOpen, Bug::CatalogNotSynced]);
}

/// What was answered with success of settings and shards is there after every stop. Tags, policies and
/// consumers are as well in `server/src/kinesis/tests/sequences`.
#[test]
fn control_plane_durable() {
    use Kind::{Crash, Fail, Merge, Restart, Retain, Send, Split};
    let weights = weights(&[
        (Send, 8),
        (Split, 8),
        (Merge, 8),
        (Retain, 16),
        (Restart, 8),
        (Fail, 6),
        (Crash, 10),
    ]);
    let of = |seed| only(seed, &weights);
    hold(SEEDS, of, &["change: done", "reshard: done", "crash: inside a call", "end: Cut(None)"]);
    find(of, &[Bug::ChangeNotWritten, Bug::ReshardNotWritten, Bug::CatalogNotSynced]);
}

/// By a clock that jumps by up to 200 hours, either way.
#[test]
fn retention_never_early() {
    use Kind::{Checkpoint, Jump, Read, Restart, Retain, Send, Sweep};
    let weights = weights(&[
        (Send, 20),
        (Read, 10),
        (Retain, 4),
        (Sweep, 12),
        (Jump, 14),
        (Checkpoint, 6),
        (Restart, 6),
    ]);
    let of = |seed| only(seed, &weights);
    hold(
        SEEDS,
        of,
        &["records acknowledged", "clock: ahead", "clock: back", "store: expired_segments"],
    );
    find(of, &[Bug::RetentionEarly, Bug::TrimForgotten, Bug::ExpiredComesBack]);
}

const HOUR_MS: i64 = 3_600_000;
const YEAR_MS: i64 = 8_766 * HOUR_MS;
/// The clock of a simulation begins in 2026.
const BEGIN_MS: i64 = 1_790_000_000_000;

/// Work between two jumps of the clock: records, readers of every kind, a sweep, a stop.
fn work(end: End) -> Vec<Step> {
    let send =
        |records| Step::Send { calls: 3, shard: 0, runs: 2, records, bytes: 300, wait: true };
    let read = |from| Step::Read { shard: 0, from, records: 7 };
    vec![
        Step::Follow { shard: 1, from: From::Latest },
        send(2),
        read(From::Horizon),
        read(From::AtTime(500, 0)),
        Step::Split { shard: 0, limit: None },
        Step::Pass(1_100),
        send(1),
        Step::Checkpoint,
        Step::Sweep,
        read(From::At(300)),
        Step::Restart(end),
        read(From::After(700)),
        send(2),
    ]
}

/// The same work again and again, with jumps by so many milliseconds between.
fn jumping(seed: u64, jumps: &[i64]) -> (Options, Story) {
    let drawn = Options::of(seed);
    let options = Options { rot: Rot::None, rates: vec![], shards: 2, ..drawn };
    let ends = [End::Kill, End::Cut(Survive::Random), End::Close, End::Cut(Survive::None)];
    let mut steps = work(End::Drop);
    for (jump, end) in jumps.iter().zip(ends.into_iter().cycle()) {
        steps.push(Step::Jump(*jump));
        steps.extend(work(end));
    }
    (options, Story(steps))
}

/// The times at which numbers of other widths end, and clocks that stand or run back.
#[test]
fn clock_jumps() {
    const STANDING: &[i64] = &[-1_100; 6];
    let seconds_of_32_bits = (1 << 32) * 1_000 - BEGIN_MS;
    let nanoseconds_of_63_bits = i64::MAX / 1_000_000 - BEGIN_MS;
    for jumps in [
        &[-10 * YEAR_MS, 10 * YEAR_MS][..],
        &[10 * YEAR_MS, -10 * YEAR_MS, 5 * YEAR_MS],
        STANDING,
        &[-HOUR_MS; 6],
        &[-BEGIN_MS - HOUR_MS, HOUR_MS, BEGIN_MS],
        &[seconds_of_32_bits - 5_000, 5_000, -HOUR_MS],
        &[nanoseconds_of_63_bits - 5_000, 5_000, -HOUR_MS],
    ] {
        let of = |seed| jumping(seed, jumps);
        hold(JUMP_SEEDS, of, &[READERS, &["reshard: done", "end: Kill"]].concat());
    }
    find(|seed| jumping(seed, &[-HOUR_MS; 3]), &[Bug::ArrivalFalls, Bug::LastArrivalForgotten]);
}
