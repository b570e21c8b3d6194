//! The loads: put, get, mixed. Each thread of the generator is a current-thread runtime with its
//! share of the connections; nothing is shared while the clock runs.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use tokio::task::LocalSet;

use crate::arguments::{Encoding, Load};
use crate::client::{Client, Failure};
use crate::floor;
use crate::latency::Tally;
use crate::payload::Payloads;
use crate::report::{Outcome, Report};
use crate::setup::Stream;
use crate::signer::Signer;

/// `put`.
pub(crate) fn put(load: &Load) -> Result<(), Failure> {
    let mut report = Report::new("put", load);
    let setup = Session::open(load)?;
    let payloads = Arc::new(Payloads::new(load, &setup.name()));
    let outcome = drive(load, &Work::Put(Arc::clone(&payloads)))?;
    report.add("put", &outcome);
    if load.verify {
        let read = setup.verify(&payloads)?;
        // A call that got no answer may still have stored its records.
        let least = outcome.all_records;
        if read < least {
            return Err(format!("{least} records were acknowledged, {read} were read").into());
        }
        report.note(format!("verified: {read} records read back, every byte compared"));
    }
    setup.close()?;
    if load.floors {
        floor::beside(load, &payloads, &mut report)?;
    }
    report.finish(load.json.as_deref())
}

/// `get`.
pub(crate) fn get(load: &Load) -> Result<(), Failure> {
    let mut report = Report::new("get", load);
    let outcome = get_once(load)?;
    report.add("get", &outcome);
    if load.floors {
        let body = outcome.answer_bytes();
        report.add("floor: static body", &floor::static_body(load, body)?);
    }
    report.finish(load.json.as_deref())
}

/// Fills a stream, then reads all of it in turns until the time is up.
pub(crate) fn get_once(load: &Load) -> Result<Outcome, Failure> {
    let setup = Session::open(load)?;
    let payloads = Arc::new(Payloads::new(load, &setup.name()));
    fill(load, &payloads)?;
    let iterators = setup.iterators()?;
    let outcome = drive(load, &Work::Get(Arc::new(iterators), payloads))?;
    setup.close()?;
    Ok(outcome)
}

/// Writes a stream's worth of records, runs the load, deletes the stream.
pub(crate) fn put_once(load: &Load) -> Result<Outcome, Failure> {
    let setup = Session::open(load)?;
    let payloads = Arc::new(Payloads::new(load, &setup.name()));
    let outcome = drive(load, &Work::Put(payloads))?;
    setup.close()?;
    Ok(outcome)
}

/// `mixed`: half of the connections write, half read.
pub(crate) fn mixed(load: &Load) -> Result<(), Failure> {
    let mut report = Report::new("mixed", load);
    let setup = Session::open(load)?;
    let payloads = Arc::new(Payloads::new(load, &setup.name()));
    let half = Load { connections: (load.connections / 2).max(1), ..load.clone() };
    fill(&Load { fill_mb: load.fill_mb.min(64), ..half.clone() }, &payloads)?;
    let iterators = Arc::new(setup.iterators()?);
    let read = Work::Get(iterators, Arc::clone(&payloads));
    let reader = {
        let half = half.clone();
        std::thread::spawn(move || drive(&half, &read))
    };
    let written = drive(&half, &Work::Put(payloads))?;
    let read = reader.join().map_err(|_| "the reading half panicked")??;
    report.add("mixed: put", &written);
    report.add("mixed: get", &read);
    setup.close()?;
    report.finish(load.json.as_deref())
}

fn fill(load: &Load, payloads: &Arc<Payloads>) -> Result<(), Failure> {
    let calls = (load.fill_mb << 20) / (load.record_bytes * load.batch) + 1;
    let writing = Load { rate: None, ..load.clone() };
    drive(&writing, &Work::Fill(Arc::clone(payloads), calls)).map(drop)
}

/// Control calls around a load, on a runtime of their own.
struct Session {
    runtime: tokio::runtime::Runtime,
    local: LocalSet,
    stream: RefCell<Option<Stream>>,
}

impl Session {
    fn open(load: &Load) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let local = LocalSet::new();
        let signer = Rc::new(RefCell::new(Signer::new(&load.region)));
        let stream = local.block_on(&runtime, Stream::create(load, &signer))?;
        Ok(Self { runtime, local, stream: RefCell::new(Some(stream)) })
    }

    fn name(&self) -> String {
        self.stream.borrow().as_ref().map(|s| s.name.clone()).unwrap_or_default()
    }

    fn with<T>(
        &self,
        work: impl AsyncFnOnce(&mut Stream) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut stream = self.stream.borrow_mut();
        let stream = stream.as_mut().ok_or("the stream was deleted")?;
        self.local.block_on(&self.runtime, work(stream))
    }

    fn iterators(&self) -> Result<Vec<String>, Failure> {
        self.with(async |stream| stream.iterators().await)
    }

    /// Reads everything; returns the number of records.
    fn verify(&self, payloads: &Payloads) -> Result<u64, Failure> {
        self.with(async |stream| {
            let mut records = 0;
            for first in stream.iterators().await? {
                let mut iterator = first;
                loop {
                    let answer =
                        stream.call("GetRecords", json!({"ShardIterator": iterator})).await?;
                    let read = check_json(&answer, payloads)?;
                    records += read;
                    if read == 0 && answer["MillisBehindLatest"] == 0 {
                        break;
                    }
                    let next = answer["NextShardIterator"].as_str().ok_or("no iterator")?;
                    next.clone_into(&mut iterator);
                }
            }
            Ok(records)
        })
    }

    fn close(self) -> Result<(), Failure> {
        let stream = self.stream.take().ok_or("the stream was deleted")?;
        self.local.block_on(&self.runtime, stream.delete())
    }
}

fn check_json(answer: &serde_json::Value, payloads: &Payloads) -> Result<u64, Failure> {
    let records = answer["Records"].as_array().ok_or("no Records")?;
    for record in records {
        let data = record["Data"].as_str().ok_or("no Data")?;
        let data = base64_simd::STANDARD.decode_to_vec(data)?;
        if !payloads.is_ours(&data) {
            return Err("a record read differs from what was written".into());
        }
    }
    Ok(records.len() as u64)
}

/// What the connections do.
#[derive(Clone)]
pub(crate) enum Work {
    Put(Arc<Payloads>),
    /// As many calls in all, without a clock.
    Fill(Arc<Payloads>, usize),
    Get(Arc<Vec<String>>, Arc<Payloads>),
}

/// Runs `work` on all threads and adds up.
pub(crate) fn drive(load: &Load, work: &Work) -> Result<Outcome, Failure> {
    let cpu_before = crate::report::process_cpu_seconds();
    let threads: Vec<_> = (0..load.threads.max(1))
        .map(|thread| {
            let (load, work) = (load.clone(), work.clone());
            std::thread::spawn(move || drive_thread(&load, &work, thread))
        })
        .collect();
    let mut outcome = Outcome::new();
    for thread in threads {
        let (tally, all_records, seconds) = thread.join().map_err(|_| "a thread panicked")??;
        outcome.tally.add(&tally);
        outcome.all_records += all_records;
        outcome.seconds = outcome.seconds.max(seconds);
    }
    outcome.generator_cpu_seconds = crate::report::process_cpu_seconds() - cpu_before;
    Ok(outcome)
}

type ThreadResult = Result<(Tally, u64, f64), Failure>;

fn drive_thread(load: &Load, work: &Work, thread: usize) -> ThreadResult {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let signer = Rc::new(RefCell::new(Signer::new(&load.region)));
        let threads = load.threads.max(1);
        let mut clients = Vec::new();
        for _ in (thread..load.connections.max(1)).step_by(threads) {
            clients.push(Client::connect(load, &signer).await?);
        }
        let started = Instant::now();
        let tasks: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(i, client)| {
                let lane = Lane::new(load, work, thread + i * threads, started);
                tokio::task::spawn_local(lane.run(client))
            })
            .collect();
        let mut total = Tally::new();
        let mut all_records = 0;
        for task in tasks {
            let (tally, records) = task.await??;
            total.add(&tally);
            all_records += records;
        }
        let measured = match work {
            Work::Fill(..) => started.elapsed().as_secs_f64(),
            Work::Put(_) | Work::Get(..) => load.seconds,
        };
        Ok((total, all_records, measured))
    })
}

/// One connection's part of the work.
struct Lane {
    load: Load,
    work: Work,
    number: usize,
    started: Instant,
    turn: usize,
    positions: Vec<String>,
    tally: Tally,
    all_records: u64,
}

impl Lane {
    fn new(load: &Load, work: &Work, number: usize, started: Instant) -> Self {
        let lanes = load.connections.max(1);
        let positions = match work {
            Work::Get(all, _) => {
                let own: Vec<_> =
                    all.iter().skip(number % all.len()).step_by(lanes).cloned().collect();
                own
            }
            Work::Put(_) | Work::Fill(..) => Vec::new(),
        };
        Self {
            load: load.clone(),
            work: work.clone(),
            number,
            started,
            turn: 0,
            positions,
            tally: Tally::new(),
            all_records: 0,
        }
    }

    async fn run(mut self, mut client: Client) -> Result<(Tally, u64), Failure> {
        let begin = self.started + Duration::from_secs_f64(self.load.warm_up);
        let end = begin + Duration::from_secs_f64(self.load.seconds);
        let lanes = self.load.connections.max(1);
        loop {
            if let Work::Fill(_, calls) = &self.work {
                if self.number + self.turn * lanes >= *calls {
                    break;
                }
            } else if Instant::now() >= end {
                break;
            }
            let due = self.wait_until_due().await;
            if !matches!(self.work, Work::Fill(..)) && due >= end {
                break;
            }
            let call = self.call(&mut client).await?;
            let now = Instant::now();
            self.all_records += call.records;
            // A call belongs to the measured stretch when its answer came in it.
            if now >= begin && now < end {
                self.tally.time(u64::try_from((now - due).as_micros()).unwrap_or(u64::MAX));
                self.tally.calls += u64::from(call.success);
                self.tally.failed_calls += u64::from(!call.success);
                self.tally.records += call.records;
                self.tally.failed_records += call.failed_records;
                self.tally.bytes += call.bytes;
            }
            self.turn += 1;
        }
        Ok((self.tally, self.all_records))
    }

    /// In an open loop, waits for this lane's next turn and returns when it was due.
    async fn wait_until_due(&self) -> Instant {
        let (Some(rate), false) = (self.load.rate, matches!(self.work, Work::Fill(..))) else {
            return Instant::now();
        };
        let lanes = self.load.connections.max(1);
        let slot = self.number + self.turn * lanes;
        #[expect(clippy::cast_precision_loss, reason = "a run has far fewer than 2^52 calls")]
        let due = self.started + Duration::from_secs_f64(slot as f64 / rate);
        tokio::time::sleep_until(due.into()).await;
        due
    }

    async fn call(&mut self, client: &mut Client) -> Result<Call, Failure> {
        match self.work.clone() {
            Work::Put(payloads) | Work::Fill(payloads, _) => self.put(client, &payloads).await,
            Work::Get(all, payloads) => self.get(client, &all, &payloads).await,
        }
    }

    async fn put(&self, client: &mut Client, payloads: &Payloads) -> Result<Call, Failure> {
        let lanes = self.load.connections.max(1);
        let body = &payloads.bodies[(self.number + self.turn * lanes) % payloads.bodies.len()];
        let answer = client.send(payloads.target(), body.bytes.clone(), body.hash).await?;
        let batch = payloads.batch as u64;
        if !answer.status.is_success() {
            return Ok(Call { success: false, failed_records: batch, ..Call::default() });
        }
        let failed = if batch == 1 { 0 } else { failed_records(&answer.body, self.load.encoding)? };
        let records = batch - failed.min(batch);
        let bytes = records * payloads.record_bytes as u64;
        Ok(Call { success: true, records, failed_records: failed, bytes })
    }

    async fn get(
        &mut self,
        client: &mut Client,
        all: &[String],
        payloads: &Payloads,
    ) -> Result<Call, Failure> {
        let lanes = self.load.connections.max(1);
        let own = self.turn % self.positions.len();
        let body = read_body(&self.positions[own], self.load.encoding);
        let answer = client.call("Kinesis_20131202.GetRecords", body).await?;
        if !answer.status.is_success() {
            return Ok(Call::default());
        }
        let read = crate::read::scan(&answer.body, self.load.encoding)?;
        self.positions[own] = match read.next {
            Some(next) if read.records > 0 => next,
            // At the tip: start over, unless this is a mixed load's tail.
            _ => all[(self.number + own * lanes) % all.len()].clone(),
        };
        let bytes = read.records * payloads.record_bytes as u64;
        Ok(Call { success: true, records: read.records, failed_records: 0, bytes })
    }
}

#[derive(Default)]
struct Call {
    success: bool,
    records: u64,
    failed_records: u64,
    bytes: u64,
}

fn read_body(iterator: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Json => json!({"ShardIterator": iterator}).to_string().into_bytes(),
        Encoding::Cbor => {
            let mut out = minicbor::Encoder::new(Vec::new());
            out.map(1)
                .and_then(|out| out.str("ShardIterator"))
                .and_then(|out| out.str(iterator))
                .expect("writing to memory does not fail");
            out.into_writer()
        }
    }
}

/// `FailedRecordCount` of a PutRecords answer, found without parsing all of it.
fn failed_records(body: &Bytes, encoding: Encoding) -> Result<u64, Failure> {
    const NAME: &[u8] = b"FailedRecordCount";
    let at = body.windows(NAME.len()).position(|window| window == NAME);
    let rest = &body[at.ok_or("an answer lacks FailedRecordCount")? + NAME.len()..];
    match encoding {
        Encoding::Json => {
            let digits: String = rest
                .iter()
                .skip_while(|byte| !byte.is_ascii_digit())
                .take_while(|byte| byte.is_ascii_digit())
                .map(|&byte| char::from(byte))
                .collect();
            Ok(digits.parse()?)
        }
        Encoding::Cbor => Ok(minicbor::Decoder::new(rest).u64()?),
    }
}
