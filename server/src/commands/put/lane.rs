//! A lane: one call in flight, what was refused again before anything newer.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::input::Record;
use super::tally::Tally;
use crate::aws::exception::Kind;
use crate::client::answers::PutResult;
use crate::client::failure::{Failure, Refusal};
use crate::client::retries::Retries;
use crate::client::{Client, Entry, StreamRef};
use crate::limits;

/// Status of an answer to a call whose body is too long for the endpoint.
const PAYLOAD_TOO_LARGE: u16 = 413;

/// Why a lane gave up.
#[derive(Clone, Debug)]
pub(super) struct Stuck {
    failure: Failure,
    /// Number of the first record it did not store.
    first: u64,
    /// Number of the record that the endpoint names, if it names one.
    culprit: Option<u64>,
}

impl Stuck {
    /// Of two, the one that says from where on to put again.
    pub(super) fn earlier(self, other: Self) -> Self {
        if other.first < self.first { other } else { self }
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failure, first, culprit } = self;
        if let Some(culprit) = culprit {
            write!(formatter, "record {culprit} is refused: ")?;
        }
        if *first == 1 {
            return write!(formatter, "{failure}");
        }
        write!(formatter, "{failure}; all records before record {first} are stored")
    }
}

/// Why records are to be sent again, and how many of them.
struct Setback {
    failure: Failure,
    throttled: u64,
    /// For any other reason.
    failed: u64,
}

/// A lane.
pub(super) struct Lane {
    client: Arc<Client>,
    stream: StreamRef,
    incoming: mpsc::Receiver<Record>,
    tally: Arc<Tally>,
    /// At most one record of a key in a call.
    is_ordered: bool,
    /// Not stored yet, in order for each key.
    waiting: VecDeque<Record>,
    /// Longest call the endpoint takes, as far as is known.
    batch_bytes_max: usize,
}

impl Lane {
    pub(super) const fn new(
        client: Arc<Client>,
        stream: StreamRef,
        incoming: mpsc::Receiver<Record>,
        tally: Arc<Tally>,
        is_ordered: bool,
    ) -> Self {
        Self {
            client,
            stream,
            incoming,
            tally,
            is_ordered,
            waiting: VecDeque::new(),
            batch_bytes_max: limits::PUT_RECORDS_BYTES_MAX,
        }
    }

    /// Runs until everything that came is stored.
    ///
    /// # Errors
    ///
    /// `Stuck`, when trying again is in vain.
    pub(super) async fn run(mut self) -> Result<(), Stuck> {
        let mut retries = self.client.retries();
        while self.fill().await {
            let batch = take_batch(&mut self.waiting, self.is_ordered, self.batch_bytes_max);
            let entries: Vec<_> = batch
                .iter()
                .map(|record| Entry { partition_key: &record.key, data: &record.data })
                .collect();
            let outcome = self.client.put_records(&self.stream, &entries).await;
            let setback = match outcome {
                Ok(results) => self.settle(batch, &results, &mut retries),
                Err(failure) => self.call_failed(batch, failure)?,
            };
            let Some(Setback { failure, throttled, failed }) = setback else { continue };
            let pause = if self.is_being_made(&failure).await {
                retries.pause()
            } else {
                self.client.pause_after(&failure, &mut retries)
            };
            let Some(pause) = pause else { return Err(self.stuck(failure, None)) };
            self.tally.sent_again(throttled, failed);
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// True for a stream that is not found only because it is still being made.
    async fn is_being_made(&self, failure: &Failure) -> bool {
        failure.is(Kind::ResourceNotFound)
            && self.client.describe(&self.stream).await.is_ok_and(|stream| stream.is_being_made())
    }

    /// Takes in what is there, and waits if that is nothing. False at the end.
    async fn fill(&mut self) -> bool {
        if self.waiting.is_empty() {
            match self.incoming.recv().await {
                Some(record) => self.waiting.push_back(record),
                None => return false,
            }
        }
        while self.waiting.len() < limits::PUT_RECORDS_MAX {
            let Ok(record) = self.incoming.try_recv() else { break };
            self.waiting.push_back(record);
        }
        true
    }

    /// Counts what was stored and puts back what was not; why it was not, if so.
    fn settle(
        &mut self,
        batch: Vec<Record>,
        results: &[PutResult],
        retries: &mut Retries,
    ) -> Option<Setback> {
        let settled = Settled::of(batch, results);
        if settled.stored > 0 {
            retries.succeeded();
            self.tally.stored(settled.stored, settled.stored_bytes, settled.overtaken);
        }
        let throttled = settled.throttled;
        let failed = settled.refused.len() as u64 - throttled;
        put_back(&mut self.waiting, settled.refused);
        let failure = settled.reason.map(Failure::Refused)?;
        Some(Setback { failure, throttled, failed })
    }

    /// A call that failed as a whole: gone back to waiting, smaller where it was too large.
    ///
    /// # Errors
    ///
    /// `Stuck` when one record of it is at fault.
    fn call_failed(
        &mut self,
        batch: Vec<Record>,
        failure: Failure,
    ) -> Result<Option<Setback>, Stuck> {
        let bytes: usize = batch.iter().map(Record::bytes).sum();
        let numbers: Vec<_> = batch.iter().map(|record| record.number).collect();
        put_back(&mut self.waiting, batch);
        if let Failure::Refused(refusal) = &failure {
            if numbers.len() > 1 && is_too_large(refusal) {
                self.batch_bytes_max = bytes / 2;
                return Ok(None);
            }
            if let Some(number) = entry_named(&refusal.message).and_then(|at| numbers.get(at)) {
                return Err(self.stuck(failure, Some(*number)));
            }
        }
        let (all, none) = (numbers.len() as u64, 0);
        let (throttled, failed) = if failure.is_throttling() { (all, none) } else { (none, all) };
        Ok(Some(Setback { failure, throttled, failed }))
    }

    fn stuck(&self, failure: Failure, culprit: Option<u64>) -> Stuck {
        let first = self.waiting.iter().map(|record| record.number).min();
        Stuck { failure, first: first.unwrap_or(1), culprit }
    }
}

/// Takes as many as one call may have. Where `is_ordered`, only the first of each key.
fn take_batch(waiting: &mut VecDeque<Record>, is_ordered: bool, bytes_max: usize) -> Vec<Record> {
    let (mut batch, mut left, mut bytes) = (Vec::new(), VecDeque::new(), 0);
    let mut keys = HashSet::new();
    while let Some(record) = waiting.pop_front() {
        let fits = batch.is_empty() || bytes + record.bytes() <= bytes_max;
        if !fits || batch.len() == limits::PUT_RECORDS_MAX {
            left.push_back(record);
            break;
        }
        if is_ordered && !keys.insert(record.key.clone()) {
            left.push_back(record);
        } else {
            bytes += record.bytes();
            batch.push(record);
        }
    }
    left.append(waiting);
    *waiting = left;
    batch
}

/// Refused records go before all others: each is older than what waits with the same key.
fn put_back(waiting: &mut VecDeque<Record>, refused: Vec<Record>) {
    for record in refused.into_iter().rev() {
        waiting.push_front(record);
    }
}

/// A call after its answer.
#[derive(Debug)]
struct Settled {
    stored: u64,
    /// Of data.
    stored_bytes: u64,
    /// What is to be sent again, in order.
    refused: Vec<Record>,
    throttled: u64,
    /// Refused ones before a stored one with the same key.
    overtaken: u64,
    /// Why some were refused: what will not pass, where there is such a reason.
    reason: Option<Refusal>,
}

impl Settled {
    /// There is a result for each record.
    fn of(batch: Vec<Record>, results: &[PutResult]) -> Self {
        let mut settled = Self {
            stored: 0,
            stored_bytes: 0,
            refused: Vec::new(),
            throttled: 0,
            overtaken: 0,
            reason: None,
        };
        let mut stored_keys = HashSet::new();
        for (record, result) in batch.into_iter().zip(results).rev() {
            let Some(refusal) = refusal(result) else {
                settled.stored += 1;
                settled.stored_bytes += record.data.len() as u64;
                stored_keys.insert(record.key);
                continue;
            };
            settled.throttled += u64::from(refusal.is_throttling());
            settled.overtaken += u64::from(stored_keys.contains(&record.key));
            settled.refused.push(record);
            if settled.reason.as_ref().is_none_or(Refusal::is_passing) {
                settled.reason = Some(refusal);
            }
        }
        settled.refused.reverse();
        settled
    }
}

/// Why a record was not stored. A number counts, whatever else is said.
fn refusal(result: &PutResult) -> Option<Refusal> {
    if result.sequence_number.as_ref().is_some_and(|number| !number.is_empty()) {
        return None;
    }
    let name = result.error_code.as_deref().unwrap_or(Kind::InternalFailure.name());
    Some(Refusal::inside(name, result.error_message.as_deref().unwrap_or_default()))
}

/// Endpoints differ in the longest call they take.
fn is_too_large(refusal: &Refusal) -> bool {
    let is_told = refusal.is(Kind::InvalidArgument) || refusal.is(Kind::Validation);
    refusal.status == PAYLOAD_TOO_LARGE
        || is_told && refusal.message.contains("Records size exceeds")
}

/// The place in the call that a message such as `Value at 'records.7.member.data' failed ...` names.
fn entry_named(message: &str) -> Option<usize> {
    let (_, rest) = message.split_once("'records.")?;
    let (place, _) = rest.split_once('.')?;
    place.parse::<usize>().ok()?.checked_sub(1)
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
