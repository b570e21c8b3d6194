//! What one simulation is like: limits, faults and their rates, all drawn from its seed.
//!
//! A run is not a bit of everything: most kinds of faults are off in most runs, so that those that
//! are on get far.

use std::fmt;

use fastrand::Rng;
use kinelog_engine::bugs::Bug;
use kinelog_engine::config::Config;
use kinelog_engine::device::simulated::{Fault, Operation};

/// Damage to what is stored, which a sound disk does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rot {
    /// None: then nothing may be lost nor reported damaged.
    None,
    /// Single bits flip at rest. Each costs one record at most.
    Bits,
    /// Sectors become zeros or garbage, or change places.
    Sectors,
    /// A write lands elsewhere, once.
    Misdirected,
    /// Reads return flipped bits now and then; what is stored is sound.
    Reads,
}

/// What one simulation is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// All of it comes from this.
    pub seed: u64,
    /// Shards at first.
    pub shards: u32,
    /// Steps of the story.
    pub steps: usize,
    /// Most times a call of the disk gives way.
    pub pauses_max: u32,
    /// Chances of faults, in 10,000 calls.
    pub rates: Vec<(Operation, Fault, u32)>,
    /// Damage.
    pub rot: Rot,
    /// How likely each kind of step is; see `story`.
    pub weights: Vec<u32>,
    /// The story is made of rare situations (`motifs`), and `steps` counts those.
    pub is_rare: bool,
    /// Limits of the store.
    pub config: Config,
    /// A fault of the program that is switched on.
    pub bug: Option<Bug>,
}

impl Options {
    /// The options of a seed.
    pub fn of(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let random = &mut random;
        let rot = match random.u32(..12) {
            0 | 1 => Rot::Bits,
            2 | 3 => Rot::Sectors,
            4 => Rot::Misdirected,
            5 => Rot::Reads,
            _ => Rot::None,
        };
        Self {
            seed,
            shards: random.u32(1..=4),
            steps: random.usize(8..=40),
            pauses_max: one_of(random, &[0, 1, 3, 8]),
            rates: rates(random, rot),
            rot,
            weights: weights(random),
            is_rare: false,
            config: config(random),
            bug: None,
        }
    }

    /// The same with every kind of fault that a sound disk may have, often.
    pub fn lively(seed: u64) -> Self {
        const RATES: &[(Operation, Fault, u32)] = &[
            (Operation::Any, Fault::Io, 60),
            (Operation::Any, Fault::Full, 60),
            (Operation::SyncData, Fault::LosePages, 100),
            (Operation::Any, Fault::PowerOff, 20),
        ];
        Self { rot: Rot::None, rates: RATES.to_vec(), ..Self::of(seed) }
    }

    /// A story of rare situations. Its faults come with them, but for a few; some stores have more
    /// shards than fit one sector of a manifest.
    pub fn rare(seed: u64) -> Self {
        let mut usual = Self::of(seed);
        usual.rates.retain(|(_, fault, _)| *fault != Fault::FlippedRead);
        let mut random = Rng::with_seed(seed ^ 0x0b5c);
        let random = &mut random;
        Self {
            shards: one_of(random, &[1, 2, 4, 14, 14]),
            steps: random.usize(2..=6),
            rates: if random.u32(..4) == 0 { usual.rates } else { Vec::new() },
            rot: one_of(random, &[Rot::None, Rot::None, Rot::Bits, Rot::Sectors]),
            is_rare: true,
            ..usual
        }
    }

    /// True when a read may fail, or report damage, though nothing stored is damaged.
    pub fn reads_fail(&self) -> bool {
        self.rot == Rot::Reads
            || self.rates.iter().any(|(operation, fault, _)| {
                *fault == Fault::Io
                    && matches!(
                        operation,
                        Operation::Any
                            | Operation::Read
                            | Operation::Map
                            | Operation::Open
                            | Operation::Measure
                            | Operation::Prefault
                    )
            })
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.config;
        writeln!(
            f,
            "seed {}: {} shards, {} steps, pauses up to {}, rot {:?}, bug {:?}",
            self.seed, self.shards, self.steps, self.pauses_max, self.rot, self.bug
        )?;
        writeln!(f, "  chances in 10,000: {:?}", self.rates)?;
        write!(
            f,
            "  log files {} bytes, checkpoints each {} bytes or {} ms, segments {} bytes, {} ms, \
             idle {} ms, tail cache {}, open segments {}, maps {}, groups {}, queue {}, reserve {}, \
             retention each {} ms",
            c.log_file_bytes,
            c.checkpoint_log_bytes,
            c.checkpoint_interval_ms,
            c.segment_bytes_max,
            c.segment_age_max_ms,
            c.segment_idle_max_ms,
            c.tail_cache_bytes_max,
            c.open_segments_max,
            c.mapped_segments_max,
            c.group_bytes_max,
            c.queue_bytes_max,
            c.reserve_bytes,
            c.retention_interval_ms
        )
    }
}

fn one_of<T: Copy>(random: &mut Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())]
}

fn rates(random: &mut Rng, rot: Rot) -> Vec<(Operation, Fault, u32)> {
    const KINDS: &[(Operation, Fault)] = &[
        (Operation::Any, Fault::Io),
        (Operation::Any, Fault::Stall),
        (Operation::Any, Fault::PowerOff),
        (Operation::LogWrite, Fault::Io),
        (Operation::LogWrite, Fault::Full),
        (Operation::Write, Fault::Io),
        (Operation::Write, Fault::Full),
        (Operation::SyncData, Fault::Io),
        (Operation::SyncData, Fault::LosePages),
        (Operation::SyncDirectory, Fault::Io),
        (Operation::SyncAllFiles, Fault::LosePages),
        (Operation::Read, Fault::Io),
        (Operation::Map, Fault::Io),
        (Operation::Open, Fault::Io),
        (Operation::Create, Fault::Io),
        (Operation::Create, Fault::Full),
        (Operation::Rename, Fault::Io),
        (Operation::Remove, Fault::Io),
        (Operation::FreeBytes, Fault::Io),
        (Operation::List, Fault::Io),
        (Operation::Measure, Fault::Io),
        (Operation::Prefault, Fault::Io),
        (Operation::LogWrite, Fault::Stall),
        (Operation::SyncData, Fault::Stall),
    ];
    let mut rates = Vec::new();
    if random.bool() {
        for _ in 0..random.usize(1..=4) {
            let (operation, fault) = one_of(random, KINDS);
            let most = if operation == Operation::Any { 20 } else { 300 };
            rates.push((operation, fault, random.u32(1..=most)));
        }
    }
    if rot == Rot::Reads {
        rates.push((Operation::Read, Fault::FlippedRead, random.u32(1..=500)));
        rates.push((Operation::Map, Fault::FlippedRead, random.u32(1..=500)));
    }
    rates
}

fn weights(random: &mut Rng) -> Vec<u32> {
    let usual = super::story::WEIGHTS;
    // Sends stay, the others come and go.
    let drawn = usual.iter().enumerate().map(|(i, weight)| match random.u32(..4) {
        0 if i > 0 => 0,
        1 => weight * 3,
        _ => *weight,
    });
    drawn.collect()
}

fn config(random: &mut Rng) -> Config {
    Config {
        log_file_bytes: one_of(random, &[16 << 10, 32 << 10, 64 << 10, 256 << 10]),
        checkpoint_log_bytes: one_of(random, &[48 << 10, 200 << 10, 1 << 30]),
        checkpoint_interval_ms: one_of(random, &[1_000, 15_000, 3_600_000]),
        group_bytes_max: one_of(random, &[4 << 10, 64 << 10, 8 << 20]),
        queue_bytes_max: one_of(random, &[8 << 10, 256 << 10, 64 << 20]),
        segment_bytes_max: one_of(random, &[12 << 10, 40 << 10, 64 << 20]),
        segment_age_max_ms: one_of(random, &[5_000, 3_600_000]),
        segment_idle_max_ms: one_of(random, &[2_000, 600_000]),
        tail_cache_bytes_max: one_of(random, &[0, 0, 32 << 10, 256 << 20]),
        mapped_segments_max: one_of(random, &[1, 3, 64]),
        open_segments_max: one_of(random, &[1, 2, 512]),
        reserve_bytes: one_of(random, &[0, 0, 64 << 10]),
        retention_interval_ms: one_of(random, &[1_000, 60_000]),
        ..Config::new("/data")
    }
}
