//! Enhanced fan-out: consumers that each read all shards from their beginning, pushed by
//! `SubscribeToShard` until they have caught up.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use memchr::memmem;
use serde_json::json;
use tokio::task::LocalSet;

use super::put;
use crate::arguments::{Encoding, Http, Load};
use crate::client::{Client, Failure};
use crate::drive::Watch;
use crate::outcome::Outcome;
use crate::payload::Payloads;
use crate::setup::Session;
use crate::signer::Signer;

/// Target of a subscription.
pub(crate) const TARGET: &str = "Kinesis_20131202.SubscribeToShard";

/// Fills a stream and has every consumer read all of it at once.
pub(crate) fn run(load: &Load) -> Result<Outcome, Failure> {
    let mut session = Session::open(load)?;
    let payloads = Arc::new(Payloads::new(load, session.streams()));
    let written = put::fill(load, &payloads)?.all_records;
    let (consumers, shards) = (session.consumers(load.consumers)?, session.shards()?);
    let watch = Watch::start(load.pid)?;
    let started = Instant::now();
    let records = push(load, &consumers, &shards)?;
    let mut outcome = Outcome::new();
    outcome.seconds = started.elapsed().as_secs_f64();
    outcome.tally.records = records;
    outcome.tally.bytes = records * payloads.record_bytes as u64;
    (outcome.all_records, outcome.all_bytes) = (records, outcome.tally.bytes);
    watch.finish(&mut outcome)?;
    let expected = written * consumers.len() as u64;
    if records != expected {
        return Err(format!("{expected} records were to be pushed, {records} were").into());
    }
    session.close()?;
    Ok(outcome)
}

/// Runs the consumers, divided among the threads of the generator; the records of all of them.
fn push(load: &Load, consumers: &[String], shards: &[String]) -> Result<u64, Failure> {
    let share = consumers.len().div_ceil(load.threads.max(1)).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = consumers
            .chunks(share)
            .map(|consumers| scope.spawn(move || consume(load, consumers, shards)))
            .collect();
        let mut records = 0;
        for thread in threads {
            records += thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(records)
    })
}

/// Consumers of one thread, each on a connection of its own.
fn consume(load: &Load, consumers: &[String], shards: &[String]) -> Result<u64, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut tasks = Vec::new();
        for consumer in consumers {
            let signer = Rc::new(RefCell::new(Signer::new(&load.region)));
            let first = Client::connect(&subscribing(load), &signer).await?;
            for shard in shards {
                let client = first.another().await?;
                let input = json!({
                    "ConsumerARN": consumer, "ShardId": shard,
                    "StartingPosition": {"Type": "TRIM_HORIZON"},
                });
                tasks.push(tokio::task::spawn_local(catch_up(client, input.to_string().into())));
            }
        }
        let mut records = 0;
        for task in tasks {
            records += task.await??;
        }
        Ok(records)
    })
}

/// The load as consumers connect: events come in JSON.
pub(crate) fn subscribing(load: &Load) -> Load {
    Load { encoding: Encoding::Json, http: Http::Two, ..load.clone() }
}

/// Reads events until one says that nothing is left; tells how many records there were.
async fn catch_up(mut client: Client, input: Bytes) -> Result<u64, Failure> {
    let mut events = Events::open(&mut client, input).await?;
    let mut records = 0;
    while let Some(event) = events.next().await? {
        records += memmem::find_iter(&event, b"\"SequenceNumber\":").count() as u64;
        // It stands near the end of an event.
        let end = &event[event.len().saturating_sub(256)..];
        if memmem::find(end, b"\"MillisBehindLatest\":0").is_some() {
            return Ok(records);
        }
    }
    Err("a subscription ended before it had caught up".into())
}

/// The events of a subscription, told apart but not taken apart.
pub(crate) struct Events {
    body: Incoming,
    received: BytesMut,
}

impl Events {
    pub(crate) async fn open(client: &mut Client, input: Bytes) -> Result<Self, Failure> {
        let response = client.open(TARGET, input).await?;
        let (status, body) = (response.status(), response.into_body());
        if !status.is_success() {
            let text = body.collect().await?.to_bytes();
            let text = String::from_utf8_lossy(&text);
            return Err(format!("SubscribeToShard: {status} {text}").into());
        }
        Ok(Self { body, received: BytesMut::new() })
    }

    /// The next message, whole; nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(message) = take_message(&mut self.received) {
                return Ok(Some(message));
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.received.extend_from_slice(&data);
                    }
                }
                None => return Ok(None),
            }
        }
    }
}

/// A message begins with its length; sums are not checked here, which clients' tests do.
fn take_message(received: &mut BytesMut) -> Option<Bytes> {
    let length = received.first_chunk().map(|length| u32::from_be_bytes(*length))?;
    let length = usize::try_from(length).ok()?.max(4);
    (received.len() >= length).then(|| {
        let mut message = received.split_to(length).freeze();
        message.advance(4);
        message
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_when_they_are_whole() {
        let mut received = BytesMut::from(&b"\0\0\0\x06ab\0\0\0\x07c"[..]);
        assert_eq!(take_message(&mut received).as_deref(), Some(&b"ab"[..]));
        assert_eq!(take_message(&mut received), None);
        received.extend_from_slice(b"de");
        assert_eq!(take_message(&mut received).as_deref(), Some(&b"cde"[..]));
    }
}
