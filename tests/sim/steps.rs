//! Carries out the steps of a story, and what follows the last one.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kinelog_engine::Engine;
use kinelog_engine::device::Clock;
use kinelog_engine::device::simulated::{Fault, Operation};
use kinelog_engine::error::CatalogError;
use kinelog_engine::recovery::verify::verify;
use kinelog_engine::types::{
    HashKeyRange, NewShard, Reshard, Shard, ShardIndex, Stream, StreamChange, Timestamp,
};

use super::clients::{Reader, key, send};
use super::options::Rot;
use super::shared::now_ms;
use super::story::{End, From, Step};
use super::world::{Follower, World};

/// Simulated time after the last fault within which writes must be taken again.
const HEALED_WITHIN: Duration = Duration::from_secs(2);

/// The longest that a call of the disk takes.
const STALL_MAX: Duration = Duration::from_mins(1);
/// Turns in which a reader that was woken has read what there is.
const FOLLOWER_TURNS: usize = 2_000;
/// How long nobody minds waiting.
const PAUSE: Duration = Duration::from_secs(20);

impl World {
    /// One step, and a restart where it has stopped the store.
    pub(super) async fn step(&mut self, step: &Step) {
        self.shared.event(format!("{step:?}"));
        let before = self.look_before(step);
        self.carry_out(step).await;
        // Whatever was queued gets its turn before the next step.
        tokio::task::yield_now().await;
        self.look_after(step, &before);
        if !self.disk.is_powered() {
            self.shared.count("crash: inside a call");
            self.restart(self.crash).await;
        }
        self.go_on_after_stop().await;
    }

    /// After a failed write: reads go on, and a start makes all well.
    async fn go_on_after_stop(&mut self) {
        let Some(engine) = self.engine.clone() else { return };
        let Some(reason) = engine.stopped() else { return };
        self.shared.count("store: writes stopped");
        self.see_stop(&reason);
        if reason.contains("failed") && reason.contains("thread") || reason.contains("keeper") {
            self.shared.wrong(format!("the log thread failed: {reason}"));
        }
        let shard = self.random.u32(..);
        self.read(&engine, shard, From::Horizon, 20).await;
        drop(engine);
        let end = if self.random.bool() { End::Drop } else { End::Kill };
        let end = if self.disk.is_powered() { end } else { self.crash };
        self.restart(end).await;
    }

    async fn carry_out(&mut self, step: &Step) {
        let Some(engine) = self.engine.clone() else { return };
        match *step {
            Step::Send { calls, shard, runs, records, bytes, wait } => {
                self.send(&engine, (calls, shard, runs), records, bytes);
                if wait {
                    drop(engine);
                    self.wait_for_appends().await;
                }
            }
            Step::Read { shard, from, records } => self.read(&engine, shard, from, records).await,
            Step::Follow { shard, from } => self.follow(&engine, shard, from).await,
            Step::Split { shard, limit } => self.split(&engine, shard, limit).await,
            Step::Merge { shard } => self.merge(&engine, shard).await,
            Step::Retain { hours } => self.retain(&engine, hours).await,
            Step::Sweep => self.sweep(&engine).await,
            Step::Pass(ms) => {
                drop(engine);
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
            Step::Jump(ms) => {
                self.shared.count(if ms < 0 { "clock: back" } else { "clock: ahead" });
                self.shared.clock.jump(ms);
                if ms < 0 {
                    self.shared.recorder.clock_went_back(now_ms(&self.shared));
                }
            }
            Step::Checkpoint => {
                self.checkpoint(&engine).await;
            }
            Step::Restart(end) => {
                drop(engine);
                self.restart(end).await;
            }
            Step::Fail { operation, nth, fault } => {
                // It may meet a read.
                *self.shared.reads_fail.borrow_mut() |= operation == Operation::Any;
                self.disk.fail_nth(operation, nth, fault);
            }
            Step::FailStart { operation, nth, fault } => {
                self.start_faults.push((operation, nth, fault));
            }
            Step::SendClosed { shard } => self.send_closed(&engine, shard),
            Step::Crash { nth, end } => {
                self.crash = end;
                self.disk.fail_nth(Operation::Any, nth, Fault::PowerOff);
            }
            Step::Fill { left } => {
                self.disk.set_capacity(Some(self.disk.used_bytes() + left));
                self.shared.count("disk: filled");
            }
            Step::Free => self.disk.set_capacity(None),
            Step::Damage { kind, file, place, how } => {
                self.damage(kind, file, place, how);
                drop(engine);
                self.vouch().await;
            }
        }
    }

    /// True when it was made. On a full disk it waits for space, and nobody for it.
    async fn checkpoint(&self, engine: &Engine) -> bool {
        let made = async {
            let mut made = std::pin::pin!(engine.checkpoint());
            loop {
                match tokio::time::timeout(PAUSE, &mut made).await {
                    Ok(Ok(())) => return "checkpoint: made",
                    Ok(Err(_)) => return "checkpoint: refused",
                    Err(_) if engine.metrics().disk_full.get() == 1 => {
                        return "checkpoint: waits for space";
                    }
                    Err(_) => {}
                }
            }
        };
        let told = self.patiently("a checkpoint", made).await;
        self.shared.count(told.unwrap_or("checkpoint: never made"));
        told == Some("checkpoint: made")
    }

    pub(super) fn send(
        &mut self,
        engine: &Engine,
        (calls, shard, runs): (u32, u32, u32),
        records: u32,
        bytes: u32,
    ) {
        let open = open_shards(engine);
        for call in 0..calls {
            let runs = runs.min(u32::try_from(open.len()).unwrap_or(1));
            let targets = (0..runs).map(|run| pick(&open, shard + call + run)).collect();
            self.pending.push(send(&self.shared, engine, targets, records, bytes));
        }
    }

    /// One append to a shard that takes none.
    fn send_closed(&mut self, engine: &Engine, shard: u32) {
        let shards = shards(engine);
        let closed: Vec<_> = shards.into_iter().filter(|it| it.closed.is_some()).collect();
        if !closed.is_empty() {
            self.shared.count("append: one to a closed shard");
            self.pending.push(send(&self.shared, engine, vec![pick(&closed, shard)], 1, 10));
        }
    }

    async fn read(&mut self, engine: &Engine, shard: u32, from: From, records: u32) {
        let shard = pick(&shards(engine), shard);
        let reader = Reader::open(&self.shared, engine, &shard, from, records, false);
        if let Some(Some(mut reader)) = self.patiently("a reader", reader).await {
            self.patiently("a read", reader.read_on()).await;
        }
    }

    async fn follow(&mut self, engine: &Engine, shard: u32, from: From) {
        let shard = pick(&shards(engine), shard);
        let reader = Reader::open(&self.shared, engine, &shard, from, 10, false);
        if let Some(Some(reader)) = self.patiently("a reader", reader).await {
            let next = Rc::clone(&reader.next);
            let task = tokio::task::spawn_local(reader.follow());
            self.followers.push(Follower { task, shard, next });
        }
    }

    async fn split(&mut self, engine: &Engine, shard: u32, limit: Option<u64>) {
        let parent = pick(&open_shards(engine), shard);
        let HashKeyRange { start, end } = parent.range;
        if end - start < 2 {
            return;
        }
        if let Some(limit) = limit {
            self.limit_arrivals(engine, &parent, limit).await;
        }
        let middle = start + (end - start) / 2;
        let ranges = [HashKeyRange { start, end: middle }, HashKeyRange { start: middle + 1, end }];
        self.reshard(engine, &[parent], &ranges).await;
    }

    async fn merge(&mut self, engine: &Engine, shard: u32) {
        let open = open_shards(engine);
        let first = shard as usize % open.len();
        let Some(second) = open.get(first + 1) else { return };
        let parents = [Arc::clone(&open[first]), Arc::clone(second)];
        let range = HashKeyRange { start: parents[0].range.start, end: second.range.end };
        self.reshard(engine, &parents, &[range]).await;
    }

    /// Ends the arrivals of a shard `ms` from now, and writes to it meanwhile.
    async fn limit_arrivals(&mut self, engine: &Engine, shard: &Arc<Shard>, ms: u64) {
        let begin = Timestamp(shard.created_seconds * 1000);
        let last = self.last_arrival(std::slice::from_ref(shard)).max(begin);
        let until = Timestamp(self.shared.clock.now().0 + ms).max(last);
        let limit = StreamChange::ArrivalsUntil(vec![shard.index], until);
        if let Some(known) = self.shared.shards.borrow_mut().get_mut(&shard.index.0) {
            known.earliest_limit = known.earliest_limit.min(until);
        }
        if self.change(engine, vec![limit]).await.is_some()
            && let Some(known) = self.shared.shards.borrow_mut().get_mut(&shard.index.0)
        {
            known.limit = Some(until);
        }
        let records = self.random.u32(1..4);
        self.pending.push(send(&self.shared, engine, vec![Arc::clone(shard)], records, 500));
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.pending.push(send(&self.shared, engine, vec![Arc::clone(shard)], records, 500));
    }

    async fn reshard(&mut self, engine: &Engine, parents: &[Arc<Shard>], ranges: &[HashKeyRange]) {
        self.see_reshard(engine, parents);
        let closed_at = self.shared.clock.now().max(self.last_arrival(parents));
        let created = parents.iter().map(|parent| parent.created_seconds).max().unwrap_or(0);
        let created_seconds = closed_at.seconds().max(created) + 1;
        let indexes: Vec<ShardIndex> = parents.iter().map(|parent| parent.index).collect();
        let new = |range: &HashKeyRange| NewShard {
            range: *range,
            created_seconds,
            parents: indexes.clone(),
        };
        let reshard = Reshard { close: indexes.clone(), open: ranges.iter().map(new).collect() };
        let mark = self.mark();
        let done = engine.reshard(self.settings.acknowledged.id, reshard, closed_at, vec![mark]);
        let done = self.patiently("a reshard", done).await;
        let Some(after) = self.answered("reshard", done) else { return };
        for parent in parents {
            let end = after.shard(parent.index).and_then(|shard| shard.closed).map(|it| it.end);
            if end.is_none() || end != engine.end(parent) {
                self.shared
                    .wrong(format!("shard {} ends at {end:?}, not where it does", parent.index));
            }
            // From here on nothing is stored there any more.
            self.pending.push(send(&self.shared, engine, vec![Arc::clone(parent)], 1, 10));
        }
    }

    /// The change that numbers all others.
    fn mark(&mut self) -> StreamChange {
        self.settings.asked += 1;
        StreamChange::Attributes(serde_json::json!(self.settings.asked))
    }

    async fn change(
        &mut self,
        engine: &Engine,
        mut changes: Vec<StreamChange>,
    ) -> Option<Arc<Stream>> {
        changes.push(self.mark());
        let id = self.settings.acknowledged.id;
        let done = self.patiently("a change", engine.change_stream(id, changes)).await;
        self.answered("change", done)
    }

    fn answered(
        &mut self,
        what: &str,
        done: Option<Result<Arc<Stream>, CatalogError>>,
    ) -> Option<Arc<Stream>> {
        match done? {
            Ok(stream) => {
                self.shared.count(format!("{what}: done"));
                self.shared.event(format!("{what} {} is done", stream.attributes));
                self.changed(Arc::clone(&stream));
                Some(stream)
            }
            Err(error) => {
                let is_told = self.engine().is_some_and(|engine| engine.stopped().is_some());
                if matches!(error, CatalogError::Stopped { .. }) && !is_told {
                    self.shared.wrong(format!("nobody is told that writes have stopped: {error}"));
                }
                self.shared.count(format!("{what}: {}", name_of(&error)));
                self.shared.event(format!("{what} failed: {error}"));
                None
            }
        }
    }

    async fn retain(&mut self, engine: &Engine, hours: u32) {
        let before = &self.settings.acknowledged;
        let (was, horizon) = (before.retention_hours, before.horizon(self.shared.clock.now()));
        if hours < was {
            self.shared.recorder.retaining(u64::from(hours) * 3_600_000);
        }
        let changed = self.change(engine, vec![StreamChange::Retention(hours)]).await;
        if changed.is_some() && hours > was {
            let mut trimmed = self.shared.trimmed_before.borrow_mut();
            *trimmed = horizon.max(*trimmed);
        }
    }

    async fn sweep(&mut self, engine: &Engine) {
        let Some(stream) = engine.stream(&key()) else { return };
        self.wait_for_appends().await;
        let horizon = stream.horizon(self.shared.clock.now());
        let ends: Vec<_> =
            stream.shards.iter().filter_map(|it| Some((it.index.0, engine.end(it)?))).collect();
        let segments = engine.metrics().expired_segments.get();
        self.patiently("retention", engine.run_retention()).await;
        if self.checkpoint(engine).await {
            self.given_up(&ends, horizon);
        }
        self.see_sweep(engine, &stream, segments, horizon);
        self.list();
    }

    /// What must hold after any story once nothing fails any more.
    pub(super) async fn epilogue(&mut self) {
        self.is_fair = true;
        self.clear_weather();
        let begun = self.shared.clock.elapsed_ms();
        self.step(&Step::Free).await;
        if self.is_over {
            return;
        }
        self.wait_for_appends().await;
        // A call that stalls when the faults end is none of them.
        let stalls = self.options.rates.iter().any(|(_, fault, _)| *fault == Fault::Stall);
        let stalled = if stalls { STALL_MAX } else { Duration::ZERO };
        tokio::time::sleep(HEALED_WITHIN + stalled).await;
        self.go_on_after_stop().await;
        let Some(engine) = self.engine.clone() else { return };
        let refused = |world: &Self| {
            let counts = world.shared.counts.borrow();
            let append = counts.iter().filter(|(name, _)| name.starts_with("append: "));
            append.map(|(_, times)| times).sum::<u64>()
        };
        let before = refused(self);
        for shard in open_shards(&engine) {
            self.pending.push(send(&self.shared, &engine, vec![shard], 2, 300));
            self.wait_for_appends().await;
        }
        self.healing_ms = Some(self.shared.clock.elapsed_ms() - begun);
        if refused(self) != before {
            self.shared.wrong("writes are refused although nothing fails any more");
        }
        self.expect_followers(&engine).await;
        if !self.checkpoint(&engine).await {
            self.shared.wrong("no checkpoint is made although nothing fails any more");
        }
        drop(engine);
        self.restart(End::Close).await;
        if self.is_over {
            return;
        }
        self.read_all(true).await;
        self.list();
        let lost = self.shared.lost.borrow().len();
        if *self.shared.is_damaged.borrow() {
            self.shared.count(if lost > 0 {
                "damage: cost records"
            } else {
                "damage: cost nothing"
            });
        }
        let most = self.flips_cost_max();
        if self.options.rot == Rot::Bits && most.is_some_and(|most| lost > most) {
            let flips = self.flips.len();
            self.shared.wrong(format!("{flips} flipped bits have cost {lost} records"));
        }
        self.verify_at_rest().await;
    }

    /// Who follows a shard has been woken for all there is.
    async fn expect_followers(&self, engine: &Engine) {
        for _ in 0..FOLLOWER_TURNS {
            tokio::task::yield_now().await;
        }
        for Follower { task, shard, next } in &self.followers {
            if engine.end(shard).is_some_and(|end| next.get() < end) && !task.is_finished() {
                let (index, next) = (shard.index, next.get());
                self.shared.wrong(format!("who follows shard {index} was not woken at {next}"));
            }
        }
    }

    /// The closed store is as sound as its disk.
    async fn verify_at_rest(&mut self) {
        if let Some(engine) = self.engine.take() {
            self.count_engine(&engine);
            self.patiently("a close", engine.close()).await;
            drop(engine);
        }
        while self.disk.is_in_use() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.count_faults(&self.disk);
        let device = self.disk.single_threaded_device(self.shared.clock.clone());
        match verify(&device, &self.options.config.directory).await {
            Ok(report) if !*self.shared.is_damaged.borrow() => {
                for finding in report.findings.iter().filter(|finding| !finding.harmless) {
                    self.shared.wrong(format!("verify on a sound disk: {}", finding.message));
                }
            }
            Ok(report) => {
                let is_told = report.findings.iter().any(|finding| !finding.harmless);
                self.shared.count(if is_told {
                    "verify: damage"
                } else {
                    "verify: no damage left"
                });
            }
            Err(error) => self.shared.wrong(format!("verify failed: {error}")),
        }
    }
}

fn shards(engine: &Engine) -> Vec<Arc<Shard>> {
    engine.stream(&key()).map(|stream| stream.shards.clone()).unwrap_or_default()
}

fn open_shards(engine: &Engine) -> Vec<Arc<Shard>> {
    let stream = engine.stream(&key());
    stream.map(|stream| stream.open_shards().cloned().collect()).unwrap_or_default()
}

fn pick(shards: &[Arc<Shard>], any: u32) -> Arc<Shard> {
    Arc::clone(&shards[any as usize % shards.len()])
}

const fn name_of(error: &CatalogError) -> &'static str {
    match error {
        CatalogError::StreamExists(_) => "stream exists",
        CatalogError::StreamNotFound => "stream not found",
        CatalogError::ShardNotOpen(_) => "shard not open",
        CatalogError::ArrivedLater(_) => "arrived later",
        CatalogError::Coverage => "coverage",
        CatalogError::DiskFull { .. } => "disk full",
        CatalogError::Stopped { .. } => "stopped",
    }
}
