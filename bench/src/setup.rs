//! The stream a run uses, and how it is read: control calls in JSON, whatever the load speaks.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::arguments::{Encoding, Load};
use crate::client::{Client, Failure};
use crate::signer::Signer;

/// A stream of this run's own.
pub(crate) struct Stream {
    pub(crate) name: String,
    client: Client,
}

impl Stream {
    /// Makes a stream with `load.shards` shards and waits until it is ACTIVE.
    pub(crate) async fn create(load: &Load, signer: &Rc<RefCell<Signer>>) -> Result<Self, Failure> {
        let plain = Load { encoding: Encoding::Json, ..load.clone() };
        let client = Client::connect(&plain, signer).await?;
        let name = format!("bench-{:08x}", fastrand::u32(..));
        let mut stream = Self { name, client };
        stream.call("CreateStream", json!({"ShardCount": load.shards})).await?;
        loop {
            let answer = stream.call("DescribeStreamSummary", json!({})).await?;
            if answer["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE" {
                return Ok(stream);
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }

    /// Calls an operation on the stream.
    pub(crate) async fn call(
        &mut self,
        operation: &'static str,
        mut members: Value,
    ) -> Result<Value, Failure> {
        if members.get("ShardIterator").is_none() && members.get("NextToken").is_none() {
            members["StreamName"] = Value::from(self.name.as_str());
        }
        let target = target_of(operation)?;
        let answer = self.client.call(target, members.to_string().into_bytes()).await?;
        if !answer.status.is_success() {
            let text = String::from_utf8_lossy(&answer.body);
            return Err(format!("{operation}: {} {text}", answer.status).into());
        }
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// An iterator at the trim horizon of every shard.
    pub(crate) async fn iterators(&mut self) -> Result<Vec<String>, Failure> {
        let mut shards = Vec::new();
        let mut page = json!({});
        loop {
            let answer = self.call("ListShards", page).await?;
            for shard in answer["Shards"].as_array().into_iter().flatten() {
                shards.push(text(&shard["ShardId"])?);
            }
            match answer.get("NextToken") {
                Some(token) => page = json!({"NextToken": token}),
                None => break,
            }
        }
        let mut iterators = Vec::new();
        for shard in shards {
            let members = json!({"ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
            let answer = self.call("GetShardIterator", members).await?;
            iterators.push(text(&answer["ShardIterator"])?);
        }
        Ok(iterators)
    }

    /// Deletes the stream.
    pub(crate) async fn delete(mut self) -> Result<(), Failure> {
        self.call("DeleteStream", json!({})).await?;
        Ok(())
    }
}

fn text(value: &Value) -> Result<String, Failure> {
    Ok(value.as_str().ok_or("an answer lacks a text member")?.to_owned())
}

fn target_of(operation: &str) -> Result<&'static str, Failure> {
    const TARGETS: &[&str] = &[
        "Kinesis_20131202.CreateStream",
        "Kinesis_20131202.DeleteStream",
        "Kinesis_20131202.DescribeStreamSummary",
        "Kinesis_20131202.GetRecords",
        "Kinesis_20131202.GetShardIterator",
        "Kinesis_20131202.ListShards",
    ];
    let found = TARGETS.iter().find(|target| target.ends_with(operation));
    Ok(found.ok_or("unknown operation")?)
}
