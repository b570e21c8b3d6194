//! Producers and readers of a simulation: each call and each answer goes into the history.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use kinelog_engine::Engine;
use kinelog_engine::append::AppendBuilder;
use kinelog_engine::device::Clock;
use kinelog_engine::error::{AppendError, ReadError};
use kinelog_engine::format::record::RecordRef;
use kinelog_engine::types::{
    AppendedRun, Durable, Ordinal, ReadLimit, ReadResult, Shard, StoredRecord, Stream, StreamKey,
    Timestamp,
};
use tokio::task::JoinHandle;

use super::shared::{Shared, content, now_ms, number, whole};
use super::story::From;
use crate::history::{AttemptId, Damage, Record, Start, Step, WalkId};

/// The stream all simulations are about.
pub(super) fn key() -> StreamKey {
    StreamKey { namespace: "sim".into(), name: "s".into() }
}

/// The records of one append for one shard.
struct Run {
    shard: Arc<Shard>,
    attempts: Vec<AttemptId>,
    limit: Option<Timestamp>,
}

/// Sends one append of `records` records of `bytes` bytes to each of `shards`. What comes of it is
/// taken down by the task.
pub(super) fn send(
    shared: &Rc<Shared>,
    engine: &Engine,
    shards: Vec<Arc<Shard>>,
    records: u32,
    bytes: u32,
) -> JoinHandle<()> {
    let mut builder = AppendBuilder::default();
    let mut runs = Vec::new();
    for shard in shards {
        builder.begin_run(Arc::clone(&shard));
        let known = shared.shards.borrow().get(&shard.index.0).cloned();
        let limit = known.as_ref().and_then(|known| known.limit);
        let earliest = known.map_or(u64::MAX, |known| known.earliest_limit.0);
        let mut attempts = Vec::new();
        for _ in 0..records {
            let id = shared.next_record();
            let (key, data) = content(id, bytes);
            let sent = whole(&key, &data);
            attempts.push(shared.recorder.sending(sent, None, now_ms(shared).min(earliest)));
            builder.push(&RecordRef {
                partition_key: Some(&key),
                explicit_hash_key: None,
                data: &data,
                encrypted: id.is_multiple_of(7),
            });
        }
        runs.push(Run { shard, attempts, limit });
    }
    let answer = engine.append(builder.finish());
    let shared = Rc::clone(shared);
    let sent_ms = shared.clock.elapsed_ms();
    tokio::task::spawn_local(async move {
        let answers = answer.await;
        see_answers(&shared, &answers, sent_ms);
        for (run, answer) in runs.iter().zip(answers) {
            take_down(&shared, run, answer);
        }
    })
}

/// How and when an append was answered.
fn see_answers(
    shared: &Shared,
    answers: &[Result<Durable<AppendedRun>, AppendError>],
    sent_ms: u64,
) {
    let stored = answers.iter().filter(|answer| answer.is_ok()).count();
    if stored > 0 {
        shared.count_during("answer");
        let waited_ms = shared.clock.elapsed_ms() - sent_ms;
        shared.count_if(waited_ms >= 1_000, "answer: after a second");
        shared.count_if(waited_ms >= 30_000, "answer: after half a minute");
    }
}

fn take_down(shared: &Shared, run: &Run, answer: Result<Durable<AppendedRun>, AppendError>) {
    let (index, records) = (run.shard.index.0, run.attempts.len());
    match answer {
        Ok(durable) => {
            let AppendedRun { first, arrival } = durable.into_inner();
            shared.count_many("records acknowledged", records as u64);
            shared.event(format!("shard {index}: {records} records stored from {first}"));
            for (at, attempt) in (first.0..).zip(&run.attempts) {
                let number = number(&run.shard, Ordinal(at));
                shared.recorder.stored(*attempt, index.into(), number);
            }
            shared.arrived(index, arrival);
            shared.count_if(arrival > shared.clock.now(), "answer: arrived in the future");
            if run.limit.is_some_and(|limit| arrival > limit) {
                shared.wrong(format!("shard {index}: {first} arrived at {arrival}, past its end"));
            }
            if arrival.0 < run.shard.created_seconds * 1000 {
                shared.wrong(format!("shard {index}: {first} arrived before the shard was made"));
            }
        }
        // It may have been stored: only this answer leaves that open.
        Err(AppendError::Stopped { .. }) => {
            shared.count("append: writes have stopped");
            shared.event(format!("shard {index}: {records} records without an answer"));
        }
        Err(error) => {
            shared.count(match error {
                AppendError::ShardClosed(_) => "append: shard closed",
                AppendError::Overloaded { .. } => "append: queue full",
                AppendError::DiskFull { .. } | AppendError::Stopped { .. } => "append: disk full",
            });
            let has_ended = run.limit.is_some_and(|limit| limit < shared.clock.now());
            shared.count_if(has_ended, "answer: refused after the end of arrivals");
            shared.event(format!("shard {index}: {records} records refused: {error}"));
            for attempt in &run.attempts {
                shared.recorder.refused(*attempt);
            }
        }
    }
}

/// One reader of one shard.
pub(super) struct Reader {
    shared: Rc<Shared>,
    engine: Engine,
    shard: Arc<Shard>,
    walk: WalkId,
    /// The record due next.
    pub(super) next: Rc<Cell<Ordinal>>,
    limit: ReadLimit,
    /// It has met damage and went on.
    has_passed_damage: bool,
}

/// How one read went.
pub(super) enum Went {
    /// On.
    On,
    /// There is nothing more for now.
    CaughtUp,
    /// The shard has ended or gone, or reading it failed.
    Over,
}

impl Reader {
    /// Takes an iterator; `None` when the store cannot give one.
    pub(super) async fn open(
        shared: &Rc<Shared>,
        engine: &Engine,
        shard: &Arc<Shard>,
        from: From,
        records: u32,
        is_last: bool,
    ) -> Option<Self> {
        let asked = shared.recorder.now();
        let end = engine.end(shard).unwrap_or(Ordinal::FIRST);
        let place = |thousandths: u64| Ordinal(1 + thousandths * (end.0 - 1) / 1_000);
        let (start, next) = match from {
            From::Horizon => (Start::Horizon, Ordinal::FIRST),
            From::Latest => (Start::Latest, end),
            From::At(at) => (Start::At(number(shard, place(at))), place(at)),
            From::After(at) => (Start::After(number(shard, place(at))), place(at).plus(1)),
            From::AtTime(at, later) => {
                let time = arrival_at(shared, engine, shard, place(at)).await?;
                let time = Timestamp(time.0.saturating_add_signed(later));
                match engine.ordinal_at(shard, time).await {
                    // Nothing has arrived since: what comes may still bear an earlier time.
                    Ok(next) if next >= end => {
                        (Start::After(number(shard, Ordinal(next.0 - 1))), next)
                    }
                    Ok(next) => (Start::AtTime(time.0), next),
                    Err(error) => {
                        failed(shared, shard, &error);
                        return None;
                    }
                }
            }
        };
        shared.count(format!("reader: {}", name_of(from)));
        let walk = shared.recorder.opened(shard.index.0.into(), start, asked, is_last);
        let limit = ReadLimit { records: records as usize, bytes: 40_000 };
        let (shared, engine, shard) = (Rc::clone(shared), engine.clone(), Arc::clone(shard));
        let next = Rc::new(Cell::new(next));
        Some(Self { shared, engine, shard, walk, next, limit, has_passed_damage: false })
    }

    /// Reads to the end there is now.
    pub(super) async fn read_on(&mut self) -> Went {
        loop {
            let went = self.read().await;
            if !matches!(went, Went::On) {
                return went;
            }
        }
    }

    /// Follows for ever.
    pub(super) async fn follow(mut self) {
        while matches!(self.read_on().await, Went::CaughtUp) {
            self.engine.follow(&self.shard, self.next.get()).await;
            self.shared.count("reader: woken");
        }
    }

    async fn read(&mut self) -> Went {
        let asked = self.shared.recorder.now();
        let Some(stream) = self.engine.stream(&key()) else {
            self.shared.wrong("the stream is gone");
            return Went::Over;
        };
        let kept = self.kept(&stream);
        match self.engine.read(&stream, &self.shard, self.next.get(), self.limit).await {
            Ok(read) => self.answered(asked, kept, &read),
            Err(ReadError::Damaged { first, last, .. }) => self.damaged(first, last),
            Err(ReadError::ShardGone) => {
                self.shared.count("read: shard gone");
                self.gone(asked);
                Went::Over
            }
            Err(error) => {
                failed(&self.shared, &self.shard, &error);
                Went::Over
            }
        }
    }

    fn answered(&mut self, asked: u64, kept: (Timestamp, Ordinal), read: &ReadResult) -> Went {
        let index = self.shard.index.0;
        for record in &read.records {
            self.judge(record, kept);
        }
        if let Some(last) = read.records.last() {
            self.shared.arrived(index, last.arrival);
        }
        self.see(read);
        let expected = read.records.last().map(|last| last.ordinal.plus(1));
        if expected.is_some_and(|expected| expected != read.next) || read.next < self.next.get() {
            self.shared.wrong(format!(
                "shard {index}: a read from {} goes on at {}",
                self.next.get(),
                read.next
            ));
        }
        self.shared.event(format!(
            "shard {index}: read {} records from {} to {}",
            read.records.len(),
            self.next.get(),
            read.next
        ));
        let is_caught_up = read.next_arrival.is_none();
        let end = read.at_end.then(|| self.shared.children(index));
        self.step(asked, &read.records, is_caught_up, end);
        if read.records.is_empty() && !is_caught_up && read.next == self.next.get() {
            self.shared
                .wrong(format!("shard {index}: a read at {} does not go on", self.next.get()));
            return Went::Over;
        }
        self.next.set(read.next);
        match (read.at_end, is_caught_up) {
            (true, _) => {
                self.shared.count("read: end of a shard");
                Went::Over
            }
            (false, true) => Went::CaughtUp,
            (false, false) => Went::On,
        }
    }

    /// Which rare situations an answer shows.
    fn see(&self, read: &ReadResult) {
        let shared = &self.shared;
        let count_if = |is_met, what: &str| shared.count_if(is_met, what);
        let Some(first) = read.records.first() else {
            count_if(
                read.at_end && read.next == Ordinal::FIRST,
                "read: end of a shard without records",
            );
            return;
        };
        let now = shared.clock.now();
        shared.count_during("read");
        count_if(first.ordinal > self.next.get(), "read: taken on to what is left");
        count_if(read.records.iter().any(|it| it.arrival > now), "read: records of the future");
        count_if(self.has_passed_damage, "read: on from damage");
        count_if(self.engine.stopped().is_some(), "read: after writes stopped");
        count_if(self.engine.metrics().disk_full.get() == 1, "read: on a full disk");
    }

    /// What may be read when it is asked for now: from which arrival and which place on. What is
    /// given up while a read is under way may still come with it.
    fn kept(&self, stream: &Stream) -> (Timestamp, Ordinal) {
        let shared = &self.shared;
        let horizon = stream.horizon(shared.clock.now()).max(*shared.trimmed_before.borrow());
        let shards = shared.shards.borrow();
        let given_up = shards.get(&self.shard.index.0).map(|known| known.given_up);
        (horizon, given_up.unwrap_or(Ordinal::FIRST))
    }

    fn judge(&self, record: &StoredRecord, (horizon, given_up): (Timestamp, Ordinal)) {
        let (index, ordinal, arrival) = (self.shard.index.0, record.ordinal, record.arrival);
        if arrival < horizon {
            self.shared.wrong(format!("shard {index}: {ordinal} was shown after its retention"));
        }
        if ordinal < given_up {
            self.shared.wrong(format!("shard {index}: {ordinal} had been given up and came back"));
        }
    }

    fn step(
        &self,
        asked: u64,
        records: &[StoredRecord],
        is_caught_up: bool,
        end: Option<Vec<u64>>,
    ) {
        let records = records.iter().map(|record| Record {
            number: number(&self.shard, record.ordinal),
            arrival_ms: record.arrival.0,
            content: whole(record.partition_key.as_deref().unwrap_or_default(), &record.data),
        });
        let step = Step {
            asked,
            answered: 0,
            clock_ms: self.shared.clock.highest().0,
            records: records.collect(),
            is_caught_up,
            end,
        };
        self.shared.recorder.read(self.walk, step);
    }

    /// Nothing is left of an expired shard, which is its end.
    fn gone(&self, asked: u64) {
        self.step(asked, &[], true, None);
    }

    fn damaged(&mut self, first: Ordinal, last: Ordinal) -> Went {
        let (shared, index) = (&self.shared, self.shard.index.0);
        shared.count("read: damage reported");
        shared.event(format!("shard {index}: {first} to {last} are damaged"));
        if first > last || first < self.next.get() {
            shared.wrong(format!("shard {index}: damage from {first} to {last} is no range"));
            return Went::Over;
        }
        if *shared.is_damaged.borrow() {
            let numbers = (number(&self.shard, first), number(&self.shard, last));
            shared.recorder.damaged(Damage { shard: index.into(), numbers });
            shared.lost.borrow_mut().extend((first.0..=last.0).map(|ordinal| (index, ordinal)));
            self.next.set(last.plus(1));
            self.has_passed_damage = true;
            return Went::On;
        }
        if !*shared.reads_fail.borrow() {
            shared.wrong(format!("shard {index}: {first} to {last} are damaged, on a sound disk"));
        }
        Went::Over
    }
}

/// Arrival of the first record from `place` on; now when there is none.
async fn arrival_at(
    shared: &Rc<Shared>,
    engine: &Engine,
    shard: &Arc<Shard>,
    place: Ordinal,
) -> Option<Timestamp> {
    let stream = engine.stream(&key())?;
    let limit = ReadLimit { records: 1, bytes: 1 };
    match engine.read(&stream, shard, place, limit).await {
        Ok(read) => Some(read.records.first().map_or(shared.clock.now(), |it| it.arrival)),
        Err(ReadError::Damaged { .. }) => None,
        Err(error) => {
            failed(shared, shard, &error);
            None
        }
    }
}

fn failed(shared: &Shared, shard: &Shard, error: &ReadError) {
    shared.count("read: failed");
    shared.event(format!("shard {}: {error}", shard.index));
    let is_off = error.to_string().contains("the power is off");
    if matches!(error, ReadError::Device(_)) && !is_off && !*shared.reads_fail.borrow() {
        shared.wrong(format!("shard {}: a read failed on a sound disk: {error}", shard.index));
    }
}

const fn name_of(from: From) -> &'static str {
    match from {
        From::Horizon => "from the oldest record",
        From::Latest => "from the latest",
        From::At(_) => "at a record",
        From::After(_) => "after a record",
        From::AtTime(..) => "at a time",
    }
}
