//! One subscription while it runs: records of a shard as events, as soon as they are durable.
//!
//! Everything is a function of the store, of its clock and of what the client takes: an event is
//! made only when the client is ready for it, and nothing is kept in between but the position. What
//! happens next, in this order: the end that somebody else has set, the end of its time, records, the
//! end of the shard, an empty event as a sign of life, and else a wait for the first of these.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use kinelog_engine::Engine;
use kinelog_engine::error::ReadError;
use kinelog_engine::types::{
    Ordinal, ReadLimit, SequenceNumber, Shard, Stream, StreamId, Timestamp,
};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::{Instant, sleep};

use super::context::Context;
use super::feed::{Block, Feed};
use super::shard_id::ShardId;
use super::subscriptions::Ended;
use super::{failures, lifecycle, records, reshard, shards};
use crate::aws::Encoding;
use crate::aws::event_stream::{self, Payload, Pieces};
use crate::aws::exception::Exception;
use crate::aws::output::{Emitter, Events};
use crate::aws::writer::Writer;
use crate::limits;
use crate::metrics::cloudwatch::{ConsumerMetric, Tally};
use crate::throttle::PushCredit;

const EVENT: &str = "SubscribeToShardEvent";

/// A subscription and where it stands.
pub(super) struct Subscription {
    /// What it may use.
    pub(super) context: Context,
    /// The stream.
    pub(super) stream: StreamId,
    /// The name of the stream, for messages.
    pub(super) stream_name: String,
    /// Account of the caller, for messages.
    pub(super) account: String,
    /// The shard as it was seen last.
    pub(super) shard: Arc<Shard>,
    /// Encoding of the events.
    pub(super) encoding: Encoding,
    /// The record to send next.
    pub(super) next: Ordinal,
    /// Told when somebody else ends it.
    pub(super) ended: Ended,
    /// What the consumer may be sent of this shard.
    pub(super) credit: Arc<PushCredit>,
    /// Its counters.
    pub(super) counters: Counters,
}

/// The counters of a consumer, one subscription of which is open.
pub(super) struct Counters(Arc<Tally<ConsumerMetric>>);

impl Counters {
    /// Counts a subscription that begins.
    pub(super) fn open(tally: Arc<Tally<ConsumerMetric>>) -> Self {
        tally.add(ConsumerMetric::Success, 1);
        tally.add(ConsumerMetric::Open, 1);
        Self(tally)
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        self.0.less(ConsumerMetric::Open);
    }
}

/// What comes next.
enum Next {
    /// Records.
    Records(Arc<Stream>, Arc<Block>),
    /// A sign of life.
    Nothing(Arc<Stream>),
    /// The end of the shard.
    ShardEnd(Arc<Stream>),
    /// The end of the subscription.
    Over,
}

/// A running subscription.
struct Run {
    it: Subscription,
    feed: Arc<Feed>,
    watch: Watch,
    /// When the next event is due whether there are records or not, by the watch.
    due_ms: u64,
    /// No number sent says less.
    latest: Timestamp,
}

impl Subscription {
    /// Its messages.
    pub(super) fn events(self) -> Events {
        let feed = self.context.feeds().of(self.stream, self.shard.index, self.encoding);
        let now = self.context.engine.now();
        let watch = Watch { seen: now, passed_ms: 0 };
        let run = Run { it: self, feed, watch, due_ms: 0, latest: now };
        Events::new(|out| run.run(out))
    }
}

impl Run {
    async fn run(mut self, out: Emitter) {
        let encoding = self.it.encoding;
        out.emit(event_stream::initial_response(encoding)).await;
        if let Err(exception) = self.deliver(&out).await {
            out.emit(event_stream::exception(&exception, encoding)).await;
        }
    }

    async fn deliver(&mut self, out: &Emitter) -> Result<(), Exception> {
        loop {
            let next = self.next().await?;
            if let Some(fault) = self.it.context.faults().in_stream(&self.it.stream_name) {
                return Err(fault);
            }
            let message = match next {
                Next::Records(stream, block) => self.records(&stream, &block).await,
                Next::Nothing(stream) => {
                    let behind_ms = self.behind_ms(&stream, None).await;
                    self.message(None, None, behind_ms)
                }
                Next::ShardEnd(stream) => {
                    out.emit(self.message(None, Some(&stream), 0)).await;
                    return Ok(());
                }
                Next::Over => return Ok(()),
            };
            self.due_ms = self.watch.read(&self.it.context.engine) + idle_ms();
            out.emit(message).await;
        }
    }

    async fn next(&mut self) -> Result<Next, Exception> {
        loop {
            match self.it.ended.try_recv() {
                Ok(reason) => return Err(reason),
                Err(TryRecvError::Closed) => return Ok(Next::Over),
                Err(TryRecvError::Empty) => {}
            }
            let engine = &self.it.context.engine;
            let passed_ms = self.watch.read(engine);
            if passed_ms >= limits::SUBSCRIPTION_MS {
                return Ok(Next::Over);
            }
            let stream = self.look().await?;
            let wait_ms = self.wait_ms(&stream);
            if wait_ms == 0 {
                if let Some(block) = self.read(&stream).await? {
                    return Ok(Next::Records(stream, block));
                }
                if self.is_at_end() {
                    return Ok(Next::ShardEnd(stream));
                }
            }
            if passed_ms >= self.due_ms {
                if wait_ms == 0 {
                    self.feed.forget();
                }
                return Ok(Next::Nothing(stream));
            }
            let until_ms = self.due_ms.min(limits::SUBSCRIPTION_MS);
            self.wait(until_ms, (wait_ms > 0).then_some(passed_ms + wait_ms)).await?;
        }
    }

    /// Sees how stream and shard are now. The shard may be one that callers see before it begins.
    async fn look(&mut self) -> Result<Arc<Stream>, Exception> {
        let Subscription { context, stream, stream_name, account, shard, .. } = &mut self.it;
        let gone = || failures::stream_not_found(stream_name, account);
        let stream = context.engine.stream_by_id(*stream).ok_or_else(gone)?;
        let stream = lifecycle::settle_stored(context, stream).await.ok_or_else(gone)?;
        if let Some(stored) = stream.shard(shard.index) {
            *shard = Arc::clone(stored);
        } else if shard.index.0 < stream.next_shard_index {
            let id = ShardId(shard.index);
            return Err(failures::shard_does_not_exist(id, stream_name, account));
        }
        Ok(stream)
    }

    /// Time until records may be read.
    fn wait_ms(&self, stream: &Stream) -> u64 {
        let now = self.it.context.engine.now();
        if reshard::is_planned(&self.it.shard) {
            let begins = reshard::next_begins(stream).unwrap_or(now);
            return begins.since(now).max(limits::PLANNED_SHARD_LOOK_MS);
        }
        self.it.credit.wait_ms(now)
    }

    /// Waits until the watch shows `until_ms`, and no longer than it takes for something else to
    /// happen: a record that may be sent, or an end. Nothing may be sent before `not_before_ms`.
    async fn wait(&mut self, until_ms: u64, not_before_ms: Option<u64>) -> Result<(), Exception> {
        let Subscription { context, shard, next, ended, .. } = &mut self.it;
        let until_ms = not_before_ms.map_or(until_ms, |it| it.min(until_ms));
        tokio::select! {
            () = self.watch.wait(&context.engine, until_ms) => Ok(()),
            () = context.engine.follow(shard, *next), if not_before_ms.is_none() => Ok(()),
            reason = ended => reason.map_or(Ok(()), Err),
        }
    }

    /// The records due, if there are any.
    async fn read(&mut self, stream: &Stream) -> Result<Option<Arc<Block>>, Exception> {
        let Subscription { context, shard, next, encoding, .. } = &self.it;
        let found = self.feed.find(*next, stream.horizon(context.engine.now()));
        if let Some(found) = found.filter(|block| block.is_sound) {
            return Ok(Some(found));
        }
        let room = self.feed.room();
        let read = context.engine.read(stream, shard, *next, room.limit).await;
        let read = read.map_err(|error| {
            failures::of_read(&error, shard, &self.it.stream_name, &self.it.account)
        })?;
        let (Some(first), Some(last)) = (read.records.first(), read.records.last()) else {
            self.it.next = read.next;
            return Ok(None);
        };
        let make = || Block {
            records: records::encode_shared(*encoding, shard, &read.records),
            // After the last use of the records: fields are made in this order.
            is_sound: read.is_sound(),
            count: read.records.len(),
            payload_bytes: read.records.iter().map(records::payload_bytes).sum(),
            first_arrival: first.arrival,
            last_arrival: last.arrival,
            next: read.next,
            next_arrival: read.next_arrival,
        };
        let block = self.feed.make(*next, make);
        if block.is_sound {
            return Ok(Some(block));
        }
        self.feed.forget();
        let lost = ReadError::MapLost { shard: shard.index };
        Err(failures::of_read(&lost, shard, &self.it.stream_name, &self.it.account))
    }

    /// True when no record will follow.
    fn is_at_end(&self) -> bool {
        self.it.shard.closed.is_some_and(|closed| self.it.next >= closed.end)
    }

    /// The event with these records, and the way on from them.
    async fn records(&mut self, stream: &Stream, block: &Block) -> Pieces {
        self.it.next = block.next;
        self.latest = self.latest.max(block.last_arrival);
        self.it.credit.charge(self.it.context.engine.now(), block.payload_bytes);
        let tally = &self.it.counters.0;
        tally.add(ConsumerMetric::EventRecords, block.count);
        tally.add(ConsumerMetric::EventBytes, block.payload_bytes);
        let behind_ms = self.behind_ms(stream, block.next_arrival).await;
        self.message(Some(block), None, behind_ms)
    }

    /// The age of the record due, which arrived at `arrival` if that is known; 0 when there is none,
    /// or none that can be read.
    async fn behind_ms(&self, stream: &Stream, arrival: Option<Timestamp>) -> u64 {
        let Subscription { context, shard, next, .. } = &self.it;
        let engine = &context.engine;
        let due = match arrival {
            Some(arrival) => Some(arrival),
            None if engine.end(shard).is_none_or(|end| end <= *next) => None,
            None => {
                let one = ReadLimit { records: 1, bytes: 0 };
                let read = engine.read(stream, shard, *next, one).await.ok();
                read.and_then(|read| read.records.first().map(|record| record.arrival))
            }
        };
        due.map_or(0, |arrival| engine.now().since(arrival))
    }

    fn message(&mut self, block: Option<&Block>, end: Option<&Stream>, behind_ms: u64) -> Pieces {
        let tally = &self.it.counters.0;
        tally.add(ConsumerMetric::EventSuccess, 1);
        tally.set(ConsumerMetric::EventBehind, behind_ms);
        let Subscription { context, shard, next, encoding, .. } = &self.it;
        let mut writer = Writer::new(*encoding, 512);
        writer.begin_map();
        writer.key("Records");
        let at = if block.is_some() {
            writer.leave_out()
        } else {
            writer.begin_list();
            writer.end_list();
            0
        };
        if let Some(stream) = end {
            shards::write_children(&mut writer, stream, shard);
        } else {
            self.latest = self.latest.max(context.engine.now());
            writer.key("ContinuationSequenceNumber");
            writer.display(&between(shard, *next, self.latest));
        }
        writer.key("MillisBehindLatest");
        writer.integer(i64::try_from(behind_ms).unwrap_or(i64::MAX));
        writer.end_map();
        let bytes = writer.finish();
        let (before, after) = bytes.split_at(at);
        let shared = block.map(|block| &block.records);
        event_stream::event(EVENT, *encoding, Payload { before, shared, after })
    }
}

/// A number above that of every record before `next`, and below that of every other one: the
/// counter of the last record before, and a second that comes after that record's.
fn between(shard: &Shard, next: Ordinal, latest: Timestamp) -> SequenceNumber {
    SequenceNumber {
        shard_created_seconds: shard.created_seconds,
        shard: shard.index,
        counter: Ordinal(next.0.saturating_sub(1)),
        seconds: latest.seconds() + 1,
    }
}

/// Time to the next sign of life: not the same for all, so that they do not all come at once.
fn idle_ms() -> u64 {
    limits::EVENT_IDLE_MS.saturating_sub(fastrand::u64(0..=limits::EVENT_IDLE_JITTER_MS))
}

/// Shows how much time has passed, by a clock that may be set: what that falls back is not counted.
struct Watch {
    seen: Timestamp,
    passed_ms: u64,
}

impl Watch {
    fn read(&mut self, engine: &Engine) -> u64 {
        let now = engine.now();
        self.passed_ms += now.since(self.seen);
        self.seen = now;
        self.passed_ms
    }

    /// Completes when it shows `until_ms`; looks whenever it is polled.
    async fn wait(&mut self, engine: &Engine, until_ms: u64) {
        let mut alarm = pin!(sleep(Duration::ZERO));
        std::future::poll_fn(|context| {
            loop {
                let left_ms = until_ms.saturating_sub(self.read(engine));
                if left_ms == 0 {
                    return Poll::Ready(());
                }
                alarm.as_mut().reset(Instant::now() + Duration::from_millis(left_ms));
                if alarm.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }
}
