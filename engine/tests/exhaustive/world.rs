//! A store that a few operations are done to, and what it must hold afterwards whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use kinelog_engine::Engine;
use kinelog_engine::append::{Append, AppendBuilder};
use kinelog_engine::config::Config;
use kinelog_engine::device::Clock;
use kinelog_engine::device::clock::ManualClock;
use kinelog_engine::device::simulated::SimulatedDisk;
use kinelog_engine::error::{AppendError, CatalogError, OpenError, ReadError};
use kinelog_engine::format::record::RecordRef;
use kinelog_engine::recovery::verify::verify;
use kinelog_engine::types::{
    Durable, HashKeyRange, NewShard, Ordinal, ReadLimit, Reshard, Shard, ShardUid, Stream,
    Timestamp,
};

use crate::small_store::{DATA, START, config, create, data, key, split_of};

const HOUR_MS: u64 = 3_600_000;
const NAME: &str = "s";

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// One record.
    Append,
    /// Records for all open shards in one call.
    Batch,
    /// A record that needs a new file of the log.
    Roll,
    /// A segment is idle, is sealed, and a checkpoint says so.
    Seal,
    Split,
    Merge,
    /// The stream goes; the next operation makes it again.
    Delete,
    /// All that is there expires.
    Trim,
}

pub(crate) const OPS: [Op; 8] =
    [Op::Append, Op::Batch, Op::Roll, Op::Seal, Op::Split, Op::Merge, Op::Delete, Op::Trim];

/// An operation was refused, or nobody knows whether it was done.
#[derive(Clone, Debug)]
pub(crate) struct Unanswered(pub(crate) String);

type Answer = Result<(), Unanswered>;

/// What was answered, and what may have happened besides.
#[derive(Clone, Default)]
struct Model {
    /// Number and arrival of each record answered, by shard and ordinal.
    answered: BTreeMap<(ShardUid, Ordinal), (u64, Timestamp)>,
    /// Numbers ever sent.
    sent: BTreeSet<u64>,
    /// Shards whose end was answered: they are closed.
    closed: BTreeSet<ShardUid>,
    /// Shards whose close was not answered: they may take no more records.
    doubtful: BTreeSet<ShardUid>,
    /// The stream is there (true) or not; unknown after an operation without an answer.
    exists: Option<bool>,
}

pub(crate) struct World {
    pub(crate) disk: SimulatedDisk,
    pub(crate) clock: Arc<ManualClock>,
    engine: Option<Engine>,
    model: Model,
    next_number: u64,
}

fn settings() -> Config {
    config(DATA)
}

fn unanswered(error: impl std::fmt::Display) -> Unanswered {
    Unanswered(error.to_string())
}

impl World {
    /// A store with one stream of one shard, before the first of `ops`.
    pub(crate) async fn new(seed: u64) -> Self {
        let disk = SimulatedDisk::new(seed);
        let clock = Arc::new(ManualClock::new(START));
        let mut world = Self { disk, clock, engine: None, model: Model::default(), next_number: 0 };
        world.open().await.unwrap();
        create(world.engine(), NAME, 1).await;
        world.model.exists = Some(true);
        world
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// Opens the store again on the disk that is there now.
    pub(crate) async fn open(&mut self) -> Result<(), OpenError> {
        self.engine = None;
        let device = self.disk.device(self.clock.clone());
        self.engine = Some(Engine::open(settings(), device).await?);
        Ok(())
    }

    /// Lets go of the store as a process that dies does.
    pub(crate) fn kill(&mut self) {
        self.engine = None;
    }

    fn stream(&self) -> Option<Arc<Stream>> {
        self.engine().stream(&key(NAME))
    }

    /// The stream, made again if it is not there.
    async fn stream_or_new(&mut self) -> Result<Arc<Stream>, Unanswered> {
        if let Some(stream) = self.stream() {
            return Ok(stream);
        }
        self.model.exists = None;
        let new = crate::small_store::new_stream(NAME, 1);
        let made = self.engine().create_stream(new).await.map_err(unanswered)?;
        self.model.exists = Some(true);
        Ok(made)
    }

    /// Does one operation.
    pub(crate) async fn run(&mut self, op: Op) -> Answer {
        let stream = self.stream_or_new().await?;
        let open: Vec<_> = stream.open_shards().cloned().collect();
        match op {
            Op::Append => self.append(&open[..1], 1, 40).await,
            Op::Batch => self.append(&open, 2, 60).await,
            Op::Roll => self.append(&open[..1], 1, 9000).await,
            Op::Seal => {
                self.clock.advance_ms(settings().segment_idle_max_ms + 1);
                self.append(&open[..1], 1, 30).await?;
                self.engine().checkpoint().await.map_err(unanswered)
            }
            Op::Split => {
                let split = split_of(&stream, &open[0]);
                self.reshard(&stream, &[&open[0]], split).await
            }
            Op::Merge if open.len() > 1 => {
                let merge = merge_of(&open[0], &open[1]);
                self.reshard(&stream, &[&open[0], &open[1]], merge).await
            }
            Op::Merge => Ok(()),
            Op::Delete => {
                self.model.exists = None;
                self.engine().remove_stream(stream.id).await.map_err(unanswered)?;
                self.model.exists = Some(false);
                Ok(())
            }
            Op::Trim => {
                self.clock.advance_ms(25 * HOUR_MS);
                self.engine().run_retention().await;
                self.engine().checkpoint().await.map_err(unanswered)
            }
        }
    }

    /// `count` records of `bytes` bytes for each of the shards, in one call.
    async fn append(&mut self, shards: &[Arc<Shard>], count: u64, bytes: usize) -> Answer {
        let mut builder = AppendBuilder::with_capacity(8, 100);
        let mut numbers = Vec::new();
        for shard in shards {
            builder.begin_run(Arc::clone(shard));
            for _ in 0..count {
                self.push(&mut builder, bytes);
                numbers.push(self.next_number);
            }
        }
        let sent: Append = builder.finish();
        let answers = self.engine().append(sent).await;
        let now = self.clock.now();
        let mut failed = Ok(());
        for ((shard, answer), numbers) in
            shards.iter().zip(answers).zip(numbers.chunks(usize::try_from(count).unwrap()))
        {
            match answer.map(Durable::into_inner) {
                Ok(run) => {
                    for (ordinal, number) in (run.first.0..).zip(numbers) {
                        let at = (shard.uid, Ordinal(ordinal));
                        let before = self.model.answered.insert(at, (*number, now));
                        assert!(before.is_none(), "{at:?} is given out twice");
                    }
                }
                Err(error) => {
                    let stopped = self.engine().stopped();
                    let is_right = match &error {
                        AppendError::Stopped { .. } => stopped.is_some(),
                        AppendError::DiskFull { .. } => true,
                        AppendError::ShardClosed(_) => self.model.doubtful.contains(&shard.uid),
                        AppendError::Overloaded { .. } => false,
                    };
                    assert!(is_right, "{error} while stopped is {stopped:?}");
                    failed = Err(unanswered(error));
                }
            }
        }
        failed
    }

    fn push(&mut self, builder: &mut AppendBuilder, bytes: usize) {
        self.next_number += 1;
        self.model.sent.insert(self.next_number);
        builder.push(&RecordRef {
            partition_key: Some(self.next_number.to_string().as_bytes()),
            explicit_hash_key: None,
            data: &data(self.next_number, bytes),
            encrypted: false,
        });
    }

    async fn reshard(
        &mut self,
        stream: &Stream,
        closing: &[&Arc<Shard>],
        reshard: Reshard,
    ) -> Answer {
        let now = self.clock.now();
        match self.engine().reshard(stream.id, reshard, now, vec![]).await {
            Ok(_) => {
                self.model.closed.extend(closing.iter().map(|shard| shard.uid));
                Ok(())
            }
            Err(error @ CatalogError::Stopped { .. }) => {
                self.model.doubtful.extend(closing.iter().map(|shard| shard.uid));
                Err(unanswered(error))
            }
            Err(error @ CatalogError::DiskFull { .. }) => Err(unanswered(error)),
            Err(error) => panic!("a reshard is refused with {error}"),
        }
    }

    /// Checks all that was promised, on the store as it is open now; `may_fail` where a fault may
    /// still meet a read.
    pub(crate) async fn check(&self, may_fail: bool) -> Result<(), String> {
        let stream = self.stream();
        if self.model.exists.is_some_and(|exists| exists != stream.is_some()) {
            return Err(format!("the stream is there: {}", stream.is_some()));
        }
        let Some(stream) = stream else { return Ok(()) };
        check_shards(&stream, &self.model.closed)?;
        for shard in &stream.shards {
            self.check_shard(&stream, shard, may_fail).await?;
        }
        Ok(())
    }

    async fn check_shard(
        &self,
        stream: &Stream,
        shard: &Shard,
        may_fail: bool,
    ) -> Result<(), String> {
        let horizon = stream.horizon(self.clock.now());
        let (mut found, mut next) = (BTreeMap::new(), Ordinal::FIRST);
        let limit = ReadLimit { records: 100, bytes: 1 << 20 };
        loop {
            let read = match self.engine().read(stream, shard, next, limit).await {
                Ok(read) => read,
                Err(ReadError::Device(_)) if may_fail => return Ok(()),
                Err(error) => return Err(format!("a read failed: {error}")),
            };
            let is_done = read.next_arrival.is_none();
            for record in read.records {
                let key = record.partition_key.ok_or("a record has lost its key")?;
                let number: u64 = std::str::from_utf8(&key).unwrap().parse().unwrap();
                if record.data != data(number, record.data.len()) || record.arrival < horizon {
                    return Err(format!("{} is wrong or expired", record.ordinal));
                }
                if !self.model.sent.contains(&number) {
                    return Err(format!("{number} was never sent"));
                }
                if found.insert(record.ordinal, number).is_some() {
                    return Err(format!("{} is read twice", record.ordinal));
                }
            }
            next = read.next;
            if is_done {
                break;
            }
        }
        let numbers: Vec<_> = found.values().collect();
        if !numbers.is_sorted() {
            return Err(format!("records are out of order: {numbers:?}"));
        }
        let end = self.engine().end(shard).ok_or("the shard has no end")?;
        let mine = self.model.answered.iter().filter(|((uid, _), _)| *uid == shard.uid);
        for (&(_, ordinal), &(number, arrival)) in mine {
            if arrival >= horizon && found.get(&ordinal) != Some(&number) {
                return Err(format!("record {ordinal}, answered, is {:?}", found.get(&ordinal)));
            }
            if end <= ordinal {
                return Err(format!("number {ordinal} is given out again"));
            }
        }
        Ok(())
    }

    /// Nothing that costs anything is found in the store, which is closed.
    pub(crate) async fn check_files(&self) -> Result<(), String> {
        let device = self.disk.device(self.clock.clone());
        let report = verify(&device, Path::new(DATA)).await.map_err(|error| error.to_string())?;
        let costly: Vec<_> = report.findings.iter().filter(|finding| !finding.harmless).collect();
        if costly.is_empty() { Ok(()) } else { Err(format!("verify: {costly:?}")) }
    }
}

/// Open shards cover the hash keys once; those whose end was answered are closed.
fn check_shards(stream: &Stream, closed: &BTreeSet<ShardUid>) -> Result<(), String> {
    let mut due = Some(0);
    for shard in stream.open_shards() {
        if due != Some(shard.range.start) {
            return Err(format!("shard {} starts at the wrong key", shard.index));
        }
        if closed.contains(&shard.uid) {
            return Err(format!("shard {} is open again", shard.index));
        }
        due = shard.range.end.checked_add(1);
    }
    if due.is_some() { Err("the last shard ends early".to_owned()) } else { Ok(()) }
}

/// Two neighbours as one.
fn merge_of(one: &Shard, other: &Shard) -> Reshard {
    let range = HashKeyRange { start: one.range.start, end: other.range.end };
    let created_seconds = one.created_seconds.max(other.created_seconds);
    let parents = vec![one.index, other.index];
    let child = NewShard { range, created_seconds, parents: parents.clone() };
    Reshard { close: parents, open: vec![child] }
}
