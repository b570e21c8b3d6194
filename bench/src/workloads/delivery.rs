//! Time from the acknowledgement of a record, as its producer sees it, to its delivery, as a
//! subscriber sees it. Records come at a fixed rate, one a call.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use memchr::memmem;
use serde_json::json;
use tokio::task::LocalSet;

use super::fan_out::{Events, subscribing};
use crate::arguments::{Http, Load};
use crate::client::{Client, Failure};
use crate::drive::Watch;
use crate::outcome::Outcome;
use crate::setup::Session;
use crate::signer::Signer;
use crate::timer::Timer;

/// Rate without `--rate`, in records a second.
const RATE_USUAL: f64 = 1000.0;
/// What stands before a record's number in its partition key.
const KEY: &[u8] = b"\"PartitionKey\":\"n-";

/// When a record was acknowledged, and when delivered.
#[derive(Clone, Copy, Default)]
struct Times {
    acknowledged: Option<Instant>,
    delivered: Option<Instant>,
}

type Record = Rc<RefCell<Vec<Times>>>;

/// One subscriber of every shard, and as many connections that write as the load has.
pub(crate) fn run(load: &Load) -> Result<Outcome, Failure> {
    let mut session = Session::open(load)?;
    let consumers = session.consumers(1)?;
    let (shards, stream) = (session.shards()?, session.streams()[0].clone());
    let rate = load.rate.unwrap_or(RATE_USUAL);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of records that fits into memory"
    )]
    let count = ((load.warm_up + load.seconds) * rate).ceil() as usize;
    let all = Rc::new(RefCell::new(vec![Times::default(); count]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let watch = Watch::start(load.pid)?;
    LocalSet::new().block_on(&runtime, async {
        let signer = Rc::new(RefCell::new(Signer::new(&load.region)));
        let subscriber = Client::connect(&subscribing(load), &signer).await?;
        let mut readers = Vec::new();
        for shard in &shards {
            let mut client = subscriber.another().await?;
            let input = json!({
                "ConsumerARN": consumers[0], "ShardId": shard,
                "StartingPosition": {"Type": "LATEST"},
            });
            let events = Events::open(&mut client, input.to_string().into()).await?;
            readers.push(tokio::task::spawn_local(receive(events, Rc::clone(&all))));
        }
        let mut writers = Vec::new();
        let (started, lanes) = (Instant::now(), load.connections.max(1));
        for lane in 0..lanes {
            let client =
                Client::connect(&Load { http: Http::One, ..subscribing(load) }, &signer).await?;
            let writer =
                Writer { client, stream: stream.clone(), rate, started, all: Rc::clone(&all) };
            writers.push(tokio::task::spawn_local(writer.run((lane..count).step_by(lanes))));
        }
        for writer in writers {
            writer.await??;
        }
        // A subscription that ends early ends the wait, for its error.
        for reader in readers {
            if all.borrow().iter().all(|times| times.delivered.is_some()) {
                reader.abort();
            } else {
                reader.await??;
            }
        }
        Ok::<_, Failure>(())
    })?;
    let mut outcome = Outcome::new();
    watch.finish(&mut outcome)?;
    outcome.seconds = load.seconds;
    tell(load, rate, &all.borrow(), &mut outcome)?;
    session.close()?;
    Ok(outcome)
}

/// Adds the times of all records after the warm-up.
fn tell(load: &Load, rate: f64, all: &[Times], outcome: &mut Outcome) -> Result<(), Failure> {
    for (number, times) in all.iter().enumerate() {
        let (Some(acknowledged), Some(delivered)) = (times.acknowledged, times.delivered) else {
            return Err("a record was not delivered".into());
        };
        outcome.all_records += 1;
        outcome.all_bytes += load.record_bytes as u64;
        #[expect(clippy::cast_precision_loss, reason = "a run has far fewer than 2^52 records")]
        let is_measured = number as f64 / rate >= load.warm_up;
        if is_measured {
            // A record may reach the subscriber before its acknowledgement reaches the producer.
            outcome.tally.time(delivered.saturating_duration_since(acknowledged));
            outcome.tally.records += 1;
            outcome.tally.calls += 1;
            outcome.tally.bytes += load.record_bytes as u64;
        }
    }
    Ok(())
}

struct Writer {
    client: Client,
    stream: String,
    rate: f64,
    started: Instant,
    all: Record,
}

impl Writer {
    async fn run(mut self, numbers: impl Iterator<Item = usize>) -> Result<(), Failure> {
        let timer = Timer::new()?;
        let data = base64_simd::STANDARD.encode_to_string([0x5a; 100]);
        for number in numbers {
            #[expect(clippy::cast_precision_loss, reason = "a run has far fewer than 2^52 records")]
            let after = Duration::from_secs_f64(number as f64 / self.rate);
            timer.until(self.started + after).await?;
            let stream = &self.stream;
            let body = format!(
                r#"{{"StreamName":"{stream}","PartitionKey":"n-{number}","Data":"{data}"}}"#
            );
            let answer = self.client.call("Kinesis_20131202.PutRecord", body.into()).await?;
            if !answer.status.is_success() {
                return Err(format!("PutRecord: {}", answer.status).into());
            }
            self.all.borrow_mut()[number].acknowledged = Some(Instant::now());
        }
        Ok(())
    }
}

/// Notes the arrival of every record, until all of all shards are there.
async fn receive(mut events: Events, all: Record) -> Result<(), Failure> {
    while let Some(event) = events.next().await? {
        let now = Instant::now();
        let mut all = all.borrow_mut();
        for number in numbers(&event) {
            let times = all.get_mut(number).ok_or("a record came that was never written")?;
            times.delivered = Some(now);
        }
        if all.iter().all(|times| times.delivered.is_some()) {
            return Ok(());
        }
    }
    Err("a subscription ended before all was delivered".into())
}

/// The numbers of the records of an event.
fn numbers(event: &[u8]) -> impl Iterator<Item = usize> {
    memmem::find_iter(event, KEY).filter_map(|at| {
        let rest = &event[at + KEY.len()..];
        let end = memchr::memchr(b'"', rest)?;
        std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_record_is_in_its_key() {
        let event = br#"..{"PartitionKey":"n-7","Data":""},{"PartitionKey":"n-12"}"#;
        assert_eq!(numbers(event).collect::<Vec<_>>(), [7, 12]);
    }

    #[test]
    fn a_delivery_before_the_acknowledgement_took_no_time() {
        let (early, late) = (Instant::now(), Instant::now() + Duration::from_millis(5));
        let all = [
            Times { acknowledged: Some(late), delivered: Some(early) },
            Times { acknowledged: Some(early), delivered: Some(late) },
        ];
        let load = Load { warm_up: 0.0, ..Load::default() };
        let mut outcome = Outcome::new();
        tell(&load, 1.0, &all, &mut outcome).unwrap();
        assert_eq!(outcome.tally.latency.min(), 1);
        assert_eq!(outcome.tally.latency.max() / 100, 50);
        let lost = [Times { acknowledged: Some(early), delivered: None }];
        assert!(tell(&load, 1.0, &lost, &mut outcome).is_err());
    }
}
