//! Runs a load: threads of their own, each a current-thread runtime with its share of the
//! connections; nothing is shared while the clock runs. What a connection does is its lane's.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::arguments::Load;
use crate::client::{Client, Failure};
use crate::latency::{Call, Tally};
use crate::outcome::Outcome;
use crate::payload::Payloads;
use crate::peers::{nats, redis};
use crate::process::{self, Usage};
use crate::signer::Signer;
use crate::timer::Timer;
use crate::workloads::get::GetLane;
use crate::workloads::put::PutLane;

/// What the connections do.
#[derive(Clone)]
pub(crate) enum Work {
    /// Writes until the time is up.
    Put(Arc<Payloads>),
    /// Writes so many calls in all.
    Fill(Arc<Payloads>, usize),
    /// Reads from these iterators again and again until the time is up.
    Get(Arc<Vec<String>>, Arc<Payloads>),
    /// Reads from these iterators to the end, once.
    Replay(Arc<Vec<String>>, Arc<Payloads>),
    /// Writes to a stream of another kind of store until the time is up.
    Redis(Arc<Payloads>, String),
    /// The same.
    Nats(Arc<Payloads>, String),
}

impl Work {
    /// Whether it ends by the clock, and has a warm-up.
    const fn is_timed(&self) -> bool {
        match self {
            Self::Put(_) | Self::Get(..) | Self::Redis(..) | Self::Nats(..) => true,
            Self::Fill(..) | Self::Replay(..) => false,
        }
    }
}

/// One connection's part of the work.
enum Lane {
    Put(PutLane),
    Get(GetLane),
    Redis(redis::Lane),
    Nats(nats::Lane),
}

/// Which of how many lanes one is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) number: usize,
    pub(crate) lanes: usize,
}

impl Place {
    /// The number among all calls of this lane's call in this turn.
    pub(crate) const fn call(self, turn: usize) -> usize {
        self.number + turn * self.lanes
    }
}

impl Lane {
    async fn new(
        load: &Load,
        work: &Work,
        place: Place,
        signer: &Rc<RefCell<Signer>>,
    ) -> Result<Self, Failure> {
        let client = async || Client::connect(load, signer).await;
        Ok(match work {
            Work::Put(payloads) => {
                Self::Put(PutLane::new(client().await?, load, payloads, place, None))
            }
            Work::Fill(payloads, calls) => {
                Self::Put(PutLane::new(client().await?, load, payloads, place, Some(*calls)))
            }
            Work::Get(iterators, payloads) => Self::Get(
                GetLane::new(client().await?, load.encoding, iterators, payloads, place).endless(),
            ),
            Work::Replay(iterators, payloads) => {
                let client = client().await?;
                Self::Get(GetLane::new(client, load.encoding, iterators, payloads, place))
            }
            Work::Redis(payloads, stream) => {
                Self::Redis(redis::Lane::connect(load, payloads, stream, place).await?)
            }
            Work::Nats(payloads, stream) => {
                Self::Nats(nats::Lane::connect(load, payloads, stream, place).await?)
            }
        })
    }

    /// The call of this turn; nothing when there is none left.
    async fn call(&mut self, turn: usize) -> Result<Option<Call>, Failure> {
        match self {
            Self::Put(lane) => lane.call(turn).await,
            Self::Get(lane) => lane.call(turn).await,
            Self::Redis(lane) => lane.call(turn).await.map(Some),
            Self::Nats(lane) => lane.call(turn).await.map(Some),
        }
    }
}

/// Runs `work` on all threads and adds up. A measured stretch in which no call was answered tells
/// nothing and is repeated, twice as long.
pub(crate) fn drive(load: &Load, work: &Work) -> Result<Outcome, Failure> {
    let mut load = load.clone();
    loop {
        let outcome = drive_once(&load, work)?;
        if outcome.tally.calls + outcome.tally.failed_calls > 0 || !work.is_timed() {
            return Ok(outcome);
        }
        load.seconds *= 2.0;
    }
}

fn drive_once(load: &Load, work: &Work) -> Result<Outcome, Failure> {
    let watch = Watch::start(load.pid)?;
    let threads: Vec<_> = (0..load.threads.max(1))
        .map(|thread| {
            let (load, work) = (load.clone(), work.clone());
            std::thread::spawn(move || drive_thread(&load, &work, thread))
        })
        .collect();
    let mut outcome = Outcome::new();
    for thread in threads {
        let counted = thread.join().map_err(|_| "a thread panicked")??;
        outcome.tally.add(&counted.tally);
        outcome.all_records += counted.records;
        outcome.all_bytes += counted.bytes;
        outcome.seconds = outcome.seconds.max(counted.seconds);
    }
    if work.is_timed() {
        outcome.seconds = load.seconds;
    }
    watch.finish(&mut outcome)?;
    Ok(outcome)
}

/// Watches processor time and memory while a load runs.
pub(crate) struct Watch {
    pid: Option<u32>,
    started: Instant,
    own_cpu_seconds: f64,
    server: Option<Usage>,
}

impl Watch {
    pub(crate) fn start(pid: Option<u32>) -> Result<Self, Failure> {
        let server = pid.map(Usage::of).transpose()?;
        let own_cpu_seconds = process::own_cpu_seconds();
        Ok(Self { pid, started: Instant::now(), own_cpu_seconds, server })
    }

    /// Tells what was used.
    pub(crate) fn finish(self, outcome: &mut Outcome) -> Result<(), Failure> {
        outcome.all_seconds = self.started.elapsed().as_secs_f64();
        outcome.generator_cpu_seconds = process::own_cpu_seconds() - self.own_cpu_seconds;
        if let (Some(pid), Some(before)) = (self.pid, self.server) {
            outcome.server = Some(Usage::of(pid)?.since(before));
        }
        Ok(())
    }
}

/// What lanes counted.
struct Counted {
    /// In the measured stretch.
    tally: Tally,
    /// In the whole run.
    records: u64,
    bytes: u64,
    seconds: f64,
}

fn drive_thread(load: &Load, work: &Work, thread: usize) -> Result<Counted, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let signer = Rc::new(RefCell::new(Signer::new(&load.region)));
        let lanes = load.connections.max(1);
        let mut made = Vec::new();
        for number in (thread..lanes).step_by(load.threads.max(1)) {
            let place = Place { number, lanes };
            made.push((place, Lane::new(load, work, place, &signer).await?));
        }
        let clock = Clock::start(load, work);
        let tasks: Vec<_> = made
            .into_iter()
            .map(|(place, lane)| tokio::task::spawn_local(clock.run(lane, place)))
            .collect();
        let mut all = Counted { tally: Tally::new(), records: 0, bytes: 0, seconds: 0.0 };
        for task in tasks {
            let counted = task.await??;
            all.tally.add(&counted.tally);
            all.records += counted.records;
            all.bytes += counted.bytes;
        }
        all.seconds = clock.started.elapsed().as_secs_f64();
        Ok(all)
    })
}

/// When calls are due and which count.
#[derive(Clone, Copy)]
struct Clock {
    started: Instant,
    /// The measured stretch; without one everything counts.
    measured: Option<(Instant, Instant)>,
    rate: Option<f64>,
}

impl Clock {
    fn start(load: &Load, work: &Work) -> Self {
        let started = Instant::now();
        let begin = started + Duration::from_secs_f64(load.warm_up);
        let end = begin + Duration::from_secs_f64(load.seconds);
        let measured = work.is_timed().then_some((begin, end));
        Self { started, measured, rate: load.rate.filter(|_| work.is_timed()) }
    }

    async fn run(self, mut lane: Lane, place: Place) -> Result<Counted, Failure> {
        let mut counted = Counted { tally: Tally::new(), records: 0, bytes: 0, seconds: 0.0 };
        let timer = self.rate.is_some().then(Timer::new).transpose()?;
        for turn in 0.. {
            let due = self.wait_until_due(timer.as_ref(), place, turn).await?;
            if self.measured.is_some_and(|(_, end)| due >= end) {
                break;
            }
            let Some(call) = lane.call(turn).await? else { break };
            let now = Instant::now();
            counted.records += call.records;
            counted.bytes += call.bytes;
            // A call belongs to the measured stretch when its answer came in it.
            if self.measured.is_none_or(|(begin, end)| now >= begin && now < end) {
                counted.tally.count(call, now - due);
            }
        }
        Ok(counted)
    }

    /// In an open loop, waits for this lane's next turn and returns when it was due.
    async fn wait_until_due(
        self,
        timer: Option<&Timer>,
        place: Place,
        turn: usize,
    ) -> Result<Instant, Failure> {
        let (Some(timer), Some(rate)) = (timer, self.rate) else { return Ok(Instant::now()) };
        #[expect(clippy::cast_precision_loss, reason = "a run has far fewer than 2^52 calls")]
        let due = self.started + Duration::from_secs_f64(place.call(turn) as f64 / rate);
        timer.until(due).await?;
        Ok(due)
    }
}
