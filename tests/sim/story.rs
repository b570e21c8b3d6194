//! What happens in one simulation, step by step: drawn from the seed before anything runs, so that
//! steps can be left out of a story that fails.

use std::fmt;

use fastrand::Rng;
use kinelog_engine::device::simulated::{Fault, Operation, Survive};

use super::motifs;
use super::options::{Options, Rot};

/// How a store ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is closed.
    Close,
    /// It is dropped by a process that lives on.
    Drop,
    /// Its process is killed; the system's caches stay.
    Kill,
    /// The power is cut.
    Cut(Survive),
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the oldest record.
    Horizon,
    /// With what comes.
    Latest,
    /// With a record, by its place in 1,000th of the shard.
    At(u64),
    /// After a record.
    After(u64),
    /// At the time at which such a record arrived, and so much later.
    AtTime(u64, i64),
}

/// One thing that happens. Shards are named by any number, taken modulo those there are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are named by the texts")]
pub enum Step {
    /// Several appends at once, each to some shards; whether they are waited for.
    Send { calls: u32, shard: u32, runs: u32, records: u32, bytes: u32, wait: bool },
    /// One reader, to the end of its shard.
    Read { shard: u32, from: From, records: u32 },
    /// A reader that follows until the store ends.
    Follow { shard: u32, from: From },
    /// A shard is split; first its arrivals are limited to so many milliseconds from now.
    Split { shard: u32, limit: Option<u64> },
    /// Two neighbours become one.
    Merge { shard: u32 },
    /// Records stay that long from now on, in hours.
    Retain { hours: u32 },
    /// What has expired goes.
    Sweep,
    /// Time passes, in milliseconds.
    Pass(u64),
    /// The clock jumps, in milliseconds.
    Jump(i64),
    /// The log moves into segments.
    Checkpoint,
    /// The store ends and is opened again.
    Restart(End),
    /// A call of the disk fails later.
    Fail { operation: Operation, nth: u64, fault: Fault },
    /// A call of the next start fails.
    FailStart { operation: Operation, nth: u64, fault: Fault },
    /// One append to a shard that is closed, if there is one.
    SendClosed { shard: u32 },
    /// The power goes off, or the process dies, in the middle of such a call.
    Crash { nth: u64, end: End },
    /// The disk has so many bytes left.
    Fill { left: u64 },
    /// The disk has room again.
    Free,
    /// Something stored is damaged: a file, of any kind or of this one, and a place in it, by any
    /// number.
    Damage { kind: Option<&'static str>, file: u64, place: u64, how: u32 },
}

/// How likely the steps are, in their order.
pub(super) const WEIGHTS: &[u32] = &[30, 10, 3, 4, 3, 2, 3, 8, 4, 6, 10, 4, 5, 2, 3, 5];

impl Step {
    fn draw(random: &mut Rng, options: &Options) -> Self {
        let shard = random.u32(..64);
        match pick(random, &options.weights) {
            0 => Self::Send {
                calls: random.u32(1..=6),
                shard,
                runs: random.u32(1..=3),
                records: random.u32(1..=4),
                bytes: *random.choice(&[1, 60, 700, 3_000, 9_000]).unwrap_or(&1),
                wait: random.bool(),
            },
            1 => Self::Read { shard, from: from(random), records: random.u32(1..=60) },
            2 => Self::Follow { shard, from: from(random) },
            3 => Self::Split { shard, limit: random.bool().then(|| random.u64(..5_000)) },
            4 => Self::Merge { shard },
            5 => Self::Retain { hours: *random.choice(&[24, 25, 48, 168]).unwrap_or(&24) },
            6 => Self::Sweep,
            7 => Self::Pass(*random.choice(&[1, 250, 1_100, 6_000, 20_000]).unwrap_or(&1)),
            8 => Self::Jump(jump(random)),
            9 => Self::Checkpoint,
            10 => Self::Restart(end(random)),
            11 => fail(random),
            12 => Self::Crash { nth: random.u64(1..=60), end: crash(random) },
            13 => Self::Fill { left: *random.choice(&[0, 5_000, 40_000, 1_100_000]).unwrap_or(&0) },
            14 => Self::Free,
            _ => Self::Damage {
                kind: None,
                file: random.u64(..),
                place: random.u64(..),
                how: random.u32(..),
            },
        }
    }

    /// True for what a sound disk does not do.
    const fn is_damage(&self) -> bool {
        matches!(self, Self::Damage { .. })
    }
}

fn pick(random: &mut Rng, weights: &[u32]) -> usize {
    let mut left = random.u32(..weights.iter().sum::<u32>().max(1));
    for (i, weight) in weights.iter().enumerate() {
        if left < *weight {
            return i;
        }
        left -= weight;
    }
    0
}

pub(super) fn from(random: &mut Rng) -> From {
    let place = random.u64(..1_000);
    match random.u32(..5) {
        0 => From::Latest,
        1 => From::At(place),
        2 => From::After(place),
        3 => From::AtTime(place, random.i64(-1..=1)),
        _ => From::Horizon,
    }
}

fn jump(random: &mut Rng) -> i64 {
    const HOUR: i64 = 3_600_000;
    match random.u32(..6) {
        0 => random.i64(-1_000..1_000),
        1 => random.i64(-40 * HOUR..0),
        2 => 24 * HOUR + random.i64(-2_000..2_000),
        3 => random.i64(0..200 * HOUR),
        _ => random.i64(-HOUR..HOUR),
    }
}

pub(super) fn survive(random: &mut Rng) -> Survive {
    match random.u32(..4) {
        0 => Survive::None,
        1 => Survive::All,
        2 => Survive::Torn,
        _ => Survive::Random,
    }
}

pub(super) fn crash(random: &mut Rng) -> End {
    if random.u32(..4) == 0 { End::Kill } else { End::Cut(survive(random)) }
}

pub(super) fn end(random: &mut Rng) -> End {
    match random.u32(..6) {
        0 => End::Close,
        1 => End::Drop,
        2 => End::Kill,
        _ => End::Cut(survive(random)),
    }
}

fn fail(random: &mut Rng) -> Step {
    const KINDS: &[(Operation, Fault)] = &[
        (Operation::Any, Fault::Io),
        (Operation::LogWrite, Fault::Io),
        (Operation::LogWrite, Fault::Full),
        (Operation::Write, Fault::Io),
        (Operation::Write, Fault::Full),
        (Operation::SyncData, Fault::LosePages),
        (Operation::SyncData, Fault::Io),
        (Operation::SyncDirectory, Fault::Io),
        (Operation::Rename, Fault::Io),
        (Operation::Create, Fault::Full),
    ];
    let (operation, fault) = KINDS[random.usize(..KINDS.len())];
    Step::Fail { operation, nth: random.u64(1..=12), fault }
}

/// The steps of one simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story(pub Vec<Step>);

impl Story {
    /// The story of a seed.
    pub fn of(options: &Options) -> Self {
        let mut random = Rng::with_seed(options.seed ^ 0x5709);
        let mut draw = || {
            if options.is_rare {
                motifs::draw(&mut random)
            } else {
                vec![Step::draw(&mut random, options)]
            }
        };
        let steps = (0..options.steps).flat_map(|_| draw());
        let may_damage = matches!(options.rot, Rot::Bits | Rot::Sectors | Rot::Misdirected);
        Self(steps.filter(|step| may_damage || !step.is_damage()).collect())
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            writeln!(f, "  {:>3} {step:?}", i + 1)?;
        }
        Ok(())
    }
}
