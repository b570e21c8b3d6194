//! The streams a run uses, and how they are read: control calls in JSON, whatever the load speaks,
//! on a runtime of their own.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::arguments::{Encoding, Load};
use crate::client::{Client, Failure};
use crate::payload::Payloads;
use crate::signer::Signer;

/// Largest record of a stream that asks for none, in bytes.
const RECORD_BYTES_USUAL: usize = 1 << 20;
/// Time between two looks at a state.
const PAUSE: Duration = Duration::from_millis(20);

/// Streams of this run's own.
pub(crate) struct Session {
    runtime: Runtime,
    local: LocalSet,
    calls: Calls,
    streams: Vec<String>,
}

impl Session {
    /// Connects and makes no stream.
    pub(crate) fn plain(load: &Load) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let local = LocalSet::new();
        let signer = Rc::new(RefCell::new(Signer::new(&load.region)));
        let plain = Load { encoding: Encoding::Json, ..load.clone() };
        let client = local.block_on(&runtime, Client::connect(&plain, &signer))?;
        Ok(Self { runtime, local, calls: Calls { client }, streams: Vec::new() })
    }

    /// The same streams, after the server was started again.
    pub(crate) fn again(self, load: &Load) -> Result<Self, Failure> {
        Ok(Self { streams: self.streams, ..Self::plain(load)? })
    }

    /// Makes the load's streams and waits until they are ACTIVE.
    pub(crate) fn open(load: &Load) -> Result<Self, Failure> {
        let mut session = Self::plain(load)?;
        session.make(load)?;
        Ok(session)
    }

    fn make(&mut self, load: &Load) -> Result<(), Failure> {
        let family = fastrand::u32(..);
        let names: Vec<_> =
            (0..load.streams.max(1)).map(|n| format!("bench-{family:08x}-{n}")).collect();
        let mut settings = json!({"ShardCount": load.shards});
        if load.record_bytes > RECORD_BYTES_USUAL {
            settings["MaxRecordSizeInKiB"] = json!(load.record_bytes.div_ceil(1024));
        }
        let calls = &mut self.calls;
        self.local.block_on(&self.runtime, async {
            for name in &names {
                calls.of_stream("CreateStream", name, settings.clone()).await?;
            }
            for name in &names {
                calls
                    .until("DescribeStreamSummary", json!({"StreamName": name}), |answer| {
                        answer["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE"
                    })
                    .await?;
            }
            Ok::<_, Failure>(())
        })?;
        self.streams.extend(names);
        Ok(())
    }

    pub(crate) fn streams(&self) -> &[String] {
        &self.streams
    }

    /// An iterator at the trim horizon of every shard of every stream.
    pub(crate) fn iterators(&mut self) -> Result<Vec<String>, Failure> {
        let (calls, streams) = (&mut self.calls, &self.streams);
        self.local.block_on(&self.runtime, async {
            let mut iterators = Vec::new();
            for name in streams {
                iterators.extend(calls.iterators(name).await?);
            }
            Ok(iterators)
        })
    }

    /// The shards of the first stream.
    pub(crate) fn shards(&mut self) -> Result<Vec<String>, Failure> {
        let (calls, name) = (&mut self.calls, &self.streams[0]);
        self.local.block_on(&self.runtime, calls.shards(name))
    }

    /// Registers consumers of the first stream and waits until they are ACTIVE; their ARNs.
    pub(crate) fn consumers(&mut self, count: usize) -> Result<Vec<String>, Failure> {
        let (calls, name) = (&mut self.calls, &self.streams[0]);
        self.local.block_on(&self.runtime, async {
            let summary = calls.of_stream("DescribeStreamSummary", name, json!({})).await?;
            let stream = text(&summary["StreamDescriptionSummary"]["StreamARN"])?;
            let mut arns = Vec::new();
            for number in 0..count {
                let members =
                    json!({"StreamARN": stream, "ConsumerName": format!("consumer-{number}")});
                let answer = calls.call("RegisterStreamConsumer", members).await?;
                arns.push(text(&answer["Consumer"]["ConsumerARN"])?);
            }
            for arn in &arns {
                calls
                    .until("DescribeStreamConsumer", json!({"ConsumerARN": arn}), |answer| {
                        answer["ConsumerDescription"]["ConsumerStatus"] == "ACTIVE"
                    })
                    .await?;
            }
            Ok(arns)
        })
    }

    /// Reads everything and compares it; returns the number of records.
    pub(crate) fn verify(&mut self, payloads: &Payloads) -> Result<u64, Failure> {
        let iterators = self.iterators()?;
        let calls = &mut self.calls;
        self.local.block_on(&self.runtime, async {
            let mut records = 0;
            for iterator in iterators {
                records += calls.verify(iterator, payloads).await?;
            }
            Ok(records)
        })
    }

    /// Deletes the streams.
    pub(crate) fn close(mut self) -> Result<(), Failure> {
        let (calls, streams) = (&mut self.calls, &self.streams);
        self.local.block_on(&self.runtime, async {
            for name in streams {
                let members = json!({"EnforceConsumerDeletion": true});
                calls.of_stream("DeleteStream", name, members).await?;
            }
            Ok(())
        })
    }
}

/// Control calls on one connection.
struct Calls {
    client: Client,
}

impl Calls {
    async fn call(&mut self, operation: &str, members: Value) -> Result<Value, Failure> {
        let target = format!("Kinesis_20131202.{operation}");
        let answer = self.client.call(&target, members.to_string().into()).await?;
        if !answer.status.is_success() {
            let text = String::from_utf8_lossy(&answer.body);
            return Err(format!("{operation}: {} {text}", answer.status).into());
        }
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }

    async fn of_stream(
        &mut self,
        operation: &str,
        name: &str,
        mut members: Value,
    ) -> Result<Value, Failure> {
        members["StreamName"] = Value::from(name);
        self.call(operation, members).await
    }

    /// Asks until the answer is as it should be.
    async fn until(
        &mut self,
        operation: &str,
        members: Value,
        is_reached: impl Fn(&Value) -> bool,
    ) -> Result<(), Failure> {
        while !is_reached(&self.call(operation, members.clone()).await?) {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn shards(&mut self, name: &str) -> Result<Vec<String>, Failure> {
        let mut shards = Vec::new();
        let mut page = json!({"StreamName": name});
        loop {
            let answer = self.call("ListShards", page).await?;
            for shard in answer["Shards"].as_array().into_iter().flatten() {
                shards.push(text(&shard["ShardId"])?);
            }
            match answer.get("NextToken") {
                Some(Value::String(token)) => page = json!({"NextToken": token}),
                _ => return Ok(shards),
            }
        }
    }

    async fn iterators(&mut self, name: &str) -> Result<Vec<String>, Failure> {
        let mut iterators = Vec::new();
        for shard in self.shards(name).await? {
            let members = json!({"ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
            let answer = self.of_stream("GetShardIterator", name, members).await?;
            iterators.push(text(&answer["ShardIterator"])?);
        }
        Ok(iterators)
    }

    async fn verify(&mut self, first: String, payloads: &Payloads) -> Result<u64, Failure> {
        let (mut iterator, mut records) = (first, 0);
        loop {
            let answer = self.call("GetRecords", json!({"ShardIterator": iterator})).await?;
            let read = compare(&answer, payloads)?;
            records += read;
            if read == 0 && answer["MillisBehindLatest"] == 0 {
                return Ok(records);
            }
            iterator = text(&answer["NextShardIterator"])?;
        }
    }
}

fn compare(answer: &Value, payloads: &Payloads) -> Result<u64, Failure> {
    let records = answer["Records"].as_array().ok_or("no Records")?;
    for record in records {
        let data = base64_simd::STANDARD.decode_to_vec(text(&record["Data"])?)?;
        if !payloads.is_ours(&data) {
            return Err("a record read differs from what was written".into());
        }
    }
    Ok(records.len() as u64)
}

fn text(value: &Value) -> Result<String, Failure> {
    Ok(value.as_str().ok_or("an answer lacks a text member")?.to_owned())
}
