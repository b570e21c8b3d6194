//! The store of one simulation: its disk, its life, and what it must still know after each start.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use kinelog_engine::Engine;
use kinelog_engine::device::Clock;
use kinelog_engine::device::simulated::{Fault, Operation, SimulatedDisk};
use kinelog_engine::error::OpenError;
use kinelog_engine::types::{
    NewShard, NewStream, Ordinal, Shard, Stream, StreamStatus, Timestamp, uniform_ranges,
};
use tokio::task::JoinHandle;

use super::clients::{Reader, key};
use super::clock::JumpingClock;
use super::options::Options;
use super::shared::Shared;
use super::story::{End, From};
use super::witness::NOTHING;
use crate::history;

/// Simulated time within which whatever was asked for must have come. A call of the disk takes a
/// minute at most, and no answer takes many of those.
const PATIENCE: Duration = Duration::from_hours(4);

/// How often a start may fail before the faults stop.
const STARTS_MAX: u32 = 3;

/// One simulation.
pub(super) struct World {
    pub(super) options: Options,
    pub(super) shared: Rc<Shared>,
    pub(super) random: Rng,
    pub(super) disk: SimulatedDisk,
    pub(super) engine: Option<Engine>,
    /// Appends whose answers have not been waited for.
    pub(super) pending: Vec<JoinHandle<()>>,
    pub(super) followers: Vec<Follower>,
    /// Calls of the next start that fail.
    pub(super) start_faults: Vec<(Operation, u64, Fault)>,
    /// How the store ends when the power has gone off by itself.
    pub(super) crash: End,
    pub(super) settings: Settings,
    /// Kinds of files damaged so far, of which each has a copy or is vouched for.
    pub(super) damaged: Vec<String>,
    /// The log was damaged, and nothing was acknowledged since.
    pub(super) is_unvouched: bool,
    /// Bits flipped where records are: file and byte.
    pub(super) flips: Vec<(PathBuf, usize)>,
    /// What the last step asked for.
    pub(super) last: &'static str,
    /// How long the store took to take writes once nothing failed any more.
    pub(super) healing_ms: Option<u64>,
    /// The story is over, and nothing fails any more.
    pub(super) is_fair: bool,
    /// Nothing more can be said of this store.
    pub(super) is_over: bool,
}

/// A reader that follows its shard until the store ends.
pub(super) struct Follower {
    pub(super) task: JoinHandle<()>,
    pub(super) shard: Arc<Shard>,
    /// The record it is due to read next.
    pub(super) next: Rc<Cell<Ordinal>>,
}

/// What the catalogue must say.
pub(super) struct Settings {
    /// The stream after the last change that was answered with success.
    pub(super) acknowledged: Arc<Stream>,
    /// The last change that was asked for; its number is in the stream's attributes.
    pub(super) asked: u64,
}

impl World {
    /// A new store with one stream; nothing fails yet.
    pub(super) async fn new(options: Options) -> Result<Self, String> {
        let mut random = Rng::with_seed(options.seed ^ 0x0d15c);
        let clock = Arc::new(JumpingClock::new());
        let shared = Shared::new(clock);
        let disk = SimulatedDisk::new(random.u64(..));
        disk.set_pauses_max(options.pauses_max);
        let device = disk.single_threaded_device(shared.clock.clone());
        let engine = Engine::open(options.config.clone(), device).await;
        let engine = engine.map_err(|error| format!("a new store does not open: {error}"))?;
        let created_seconds = shared.clock.now().seconds();
        let new = |range| NewShard { range, created_seconds, parents: vec![] };
        shared.recorder.retaining(24 * 3_600_000);
        let created = engine.create_stream(NewStream {
            key: key(),
            status: StreamStatus::Active,
            shards: uniform_ranges(options.shards).into_iter().map(new).collect(),
            retention_hours: 24,
            attributes: serde_json::json!(0),
        });
        let created = created.await.map_err(|error| format!("no stream: {error}"))?;
        shared.see(&created);
        let world = Self {
            options,
            shared,
            random,
            disk,
            engine: Some(engine),
            pending: Vec::new(),
            followers: Vec::new(),
            start_faults: Vec::new(),
            crash: End::Kill,
            settings: Settings { acknowledged: created, asked: 0 },
            damaged: Vec::new(),
            is_unvouched: false,
            flips: Vec::new(),
            last: NOTHING,
            healing_ms: None,
            is_fair: false,
            is_over: false,
        };
        world.list();
        world.set_weather();
        Ok(world)
    }

    /// Calls of the disk fail from now on as often as the options say.
    pub(super) fn set_weather(&self) {
        if self.is_fair {
            return self.clear_weather();
        }
        self.disk.set_fault_rates(self.options.rates.clone());
        *self.shared.reads_fail.borrow_mut() = self.options.reads_fail();
    }

    /// No call of the disk fails any more.
    pub(super) fn clear_weather(&self) {
        self.disk.clear_faults();
        self.disk.set_capacity(None);
        *self.shared.reads_fail.borrow_mut() = false;
    }

    pub(super) fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// Waits for `what` and says so when it never comes.
    pub(super) async fn patiently<T>(
        &self,
        name: &str,
        what: impl Future<Output = T>,
    ) -> Option<T> {
        let done = tokio::time::timeout(PATIENCE, what).await.ok();
        if done.is_none() {
            self.shared.wrong(format!("{name} never ended"));
        }
        done
    }

    /// Waits for all appends on their way.
    pub(super) async fn wait_for_appends(&mut self) {
        for append in std::mem::take(&mut self.pending) {
            if let Some(Err(error)) = self.patiently("an append", append).await {
                self.shared.wrong(format!("a producer failed: {error}"));
            }
        }
    }

    /// The store ends in this way and is opened again.
    pub(super) async fn restart(&mut self, end: End) {
        self.stop(end).await;
        if !self.is_over {
            self.start().await;
        }
    }

    async fn stop(&mut self, end: End) {
        let powered = self.disk.is_powered();
        self.see_end(end);
        self.shared.count(format!("end: {end:?}"));
        self.shared.event(format!("the store ends: {end:?}"));
        for follower in std::mem::take(&mut self.followers) {
            follower.task.abort();
            if let Err(error) = follower.task.await
                && error.is_panic()
            {
                self.shared.wrong(format!("a reader failed: {error}"));
            }
        }
        let Some(engine) = self.engine.take() else { return };
        self.count_engine(&engine);
        if end == End::Close && powered {
            self.patiently("a close", engine.close()).await;
            if !self.disk.is_powered() {
                self.shared.count("crash: during a close");
            }
        }
        let seed = self.random.u64(..);
        let before = match end {
            End::Kill => {
                let found = self.disk.kill(seed);
                Some(std::mem::replace(&mut self.disk, found))
            }
            End::Cut(survive) => {
                let found = self.disk.power_cut(seed, survive);
                Some(std::mem::replace(&mut self.disk, found))
            }
            End::Close | End::Drop => None,
        };
        drop(engine);
        self.wait_for_appends().await;
        let old = before.clone().unwrap_or_else(|| self.disk.clone());
        for _ in 0..100_000 {
            if !old.is_in_use() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if old.is_in_use() && before.is_none() {
            self.shared.wrong("the store did not let go of its directory");
            self.is_over = true;
        }
        if let Some(before) = before {
            self.count_faults(&before);
            self.disk.set_pauses_max(self.options.pauses_max);
            self.set_weather();
        }
        // What the log held last may have been damage alone: nothing vouches for it any more.
        self.is_over |= self.is_unvouched;
    }

    /// Opens the store; faults go on at first.
    async fn start(&mut self) {
        for (operation, nth, fault) in std::mem::take(&mut self.start_faults) {
            self.disk.fail_nth(operation, nth, fault);
        }
        for attempt in 0..=STARTS_MAX {
            if attempt == STARTS_MAX {
                self.clear_weather();
            }
            let device = self.disk.single_threaded_device(self.shared.clock.clone());
            let open = Engine::open(self.options.config.clone(), device);
            let Some(opened) = self.patiently("a start", open).await else {
                self.is_over = true;
                return;
            };
            match opened {
                Ok(engine) => {
                    self.engine = Some(engine);
                    self.shared.recorder.restarted();
                    self.shared.event("the store is open again".to_owned());
                    self.check_start(attempt).await;
                    return;
                }
                Err(OpenError::Device(error)) if attempt < STARTS_MAX => {
                    self.shared.count("start: the disk failed");
                    self.shared.event(format!("the store does not open: {error}"));
                    self.after_failed_start(attempt).await;
                }
                Err(error) => {
                    self.shared.count("start: refused");
                    self.shared.wrong(format!("the store does not open any more: {error}"));
                    self.is_over = true;
                    return;
                }
            }
        }
    }

    /// A start that failed has let go of the directory; when the power went off, it is cut.
    async fn after_failed_start(&mut self, attempt: u32) {
        while self.disk.is_in_use() && self.disk.is_powered() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if !self.disk.is_powered() {
            let seed = self.random.u64(..);
            let found = match self.crash {
                End::Cut(survive) => self.disk.power_cut(seed, survive),
                End::Close | End::Drop | End::Kill => self.disk.kill(seed),
            };
            self.shared.count("crash: during a start");
            if attempt > 0 {
                self.shared.count("crash: during a start after one that failed");
            }
            let before = std::mem::replace(&mut self.disk, found);
            self.count_faults(&before);
            self.disk.set_pauses_max(self.options.pauses_max);
        }
        self.set_weather();
    }

    /// What every start must find, after so many that have failed.
    async fn check_start(&mut self, failed: u32) {
        let Some(engine) = self.engine.clone() else { return };
        let Some(stream) = engine.stream(&key()) else {
            self.shared.wrong("the stream is gone after a start");
            self.is_over = true;
            return;
        };
        self.see_start(&engine, &stream, failed);
        self.check_settings(&stream);
        self.shared.see(&stream);
        self.shared.bind(&stream);
        self.list();
        let damaged = engine.metrics().damaged_ranges.get();
        if damaged > 0 && !*self.shared.is_damaged.borrow() && !*self.shared.reads_fail.borrow() {
            self.shared.wrong(format!("a start found {damaged} damaged places on a sound disk"));
        }
        self.read_all(false).await;
    }

    fn check_settings(&mut self, found: &Arc<Stream>) {
        let before = &self.settings.acknowledged;
        let number = |stream: &Stream| stream.attributes.as_u64().unwrap_or(u64::MAX);
        let (was, is) = (number(before), number(found));
        if is < was || is > self.settings.asked {
            let asked = self.settings.asked;
            self.shared
                .wrong(format!("change {is} is the last, {was} was answered, {asked} asked"));
        } else if is == was {
            let kept =
                |shard: &&Arc<Shard>| found.shard(shard.index).is_some() || shard.closed.is_none();
            let expected: Vec<_> = before.shards.iter().filter(kept).collect();
            let same = found.shards.iter().eq(expected)
                && found.retention_hours == before.retention_hours
                && found.trimmed_before == before.trimmed_before
                && found.next_shard_index == before.next_shard_index;
            if !same {
                self.shared.wrong(format!(
                    "the stream is other than it was answered:\n{before:?}\n{found:?}"
                ));
            }
        } else {
            self.shared.count("change: found without an answer");
        }
        self.settings.acknowledged = Arc::clone(found);
        self.settings.asked = self.settings.asked.max(is);
    }

    /// Every shard from its oldest record to its end.
    pub(super) async fn read_all(&mut self, is_last: bool) {
        let Some(engine) = self.engine.clone() else { return };
        let known: Vec<_> =
            self.shared.shards.borrow().values().map(|known| Arc::clone(&known.shard)).collect();
        for shard in known {
            let records = self.random.u32(1..200);
            let reader =
                Reader::open(&self.shared, &engine, &shard, From::Horizon, records, is_last);
            if let Some(Some(mut reader)) = self.patiently("a reader", reader).await {
                self.patiently("a read", reader.read_on()).await;
            }
        }
    }

    /// Takes down what the store says of its shards.
    pub(super) fn list(&self) {
        let asked = self.shared.recorder.now();
        let Some(stream) = self.engine().and_then(|engine| engine.stream(&key())) else { return };
        self.shared.see(&stream);
        let listed = stream.shards.iter().map(|shard| history::Shard {
            id: shard.index.0.into(),
            parents: shard.parents.iter().map(|parent| parent.0.into()).collect(),
            keys: (shard.range.start, shard.range.end),
            is_open: shard.closed.is_none(),
        });
        self.shared.recorder.listed(asked, listed.collect());
    }

    /// Adds what a store that ends has counted.
    pub(super) fn count_engine(&self, engine: &Engine) {
        for (name, value) in engine.metrics().values() {
            let is_time = name.ends_with("_ms") || name.ends_with("_micros");
            if !is_time {
                self.shared.count_many(format!("store: {name}"), value);
            }
        }
    }

    /// Adds what a disk that ends has met.
    pub(super) fn count_faults(&self, disk: &SimulatedDisk) {
        for ((operation, fault), times) in disk.faults_met() {
            self.shared.count_many(format!("fault: {fault:?} on {operation:?}"), times);
        }
        self.shared.count_many("disk: calls", disk.calls(Operation::Any));
    }

    /// The settings after a change that was answered.
    pub(super) fn changed(&mut self, stream: Arc<Stream>) {
        self.shared.see(&stream);
        self.settings.acknowledged = stream;
        self.list();
    }

    /// The latest time any record of these shards is known to have arrived.
    pub(super) fn last_arrival(&self, shards: &[Arc<Shard>]) -> Timestamp {
        let known = self.shared.shards.borrow();
        let arrivals =
            shards.iter().filter_map(|it| known.get(&it.index.0)).map(|it| it.last_arrival);
        arrivals.max().unwrap_or_default()
    }

    /// Notes what a sweep at `horizon` has given up of shards all of whose records had expired.
    pub(super) fn given_up(&self, ends: &[(u32, Ordinal)], horizon: Timestamp) {
        let mut shards = self.shared.shards.borrow_mut();
        for (index, end) in ends {
            if let Some(known) = shards.get_mut(index)
                && known.last_arrival < horizon
            {
                known.given_up = known.given_up.max(*end);
            }
        }
    }
}
