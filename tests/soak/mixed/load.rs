//! Who writes, who reads and who changes shards; and what must come of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::call::Caller;
use crate::{Failure, STREAM, Soak, pause};

/// Records of one call.
const RECORDS: u64 = 5;
/// Bytes of one record before base64.
const RECORD_BYTES: usize = 900;

/// Sequence numbers of one shard.
#[derive(Debug, Default)]
struct Numbers {
    /// Of acknowledged records that have not been read.
    unread: BTreeSet<String>,
    /// The last one read.
    last: Option<String>,
    read: usize,
}

/// What was written and read.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    shards: BTreeMap<String, Numbers>,
    acknowledged: usize,
    /// What is wrong.
    findings: Vec<String>,
}

impl Ledger {
    fn acknowledge(&mut self, shard: &str, number: &str) {
        self.acknowledged += 1;
        let numbers = self.shards.entry(shard.to_owned()).or_default();
        // The reader may have been faster than the answer.
        if numbers.last.as_deref().is_none_or(|last| last < number) {
            numbers.unread.insert(number.to_owned());
        }
    }

    fn read(&mut self, shard: &str, number: &str) {
        let numbers = self.shards.entry(shard.to_owned()).or_default();
        if numbers.last.as_deref().is_some_and(|last| last >= number) {
            self.findings.push(format!("{shard} gives {number} after {:?}", numbers.last));
        }
        // What was acknowledged before this one has been read before it.
        if let Some(first) = numbers.unread.first().filter(|first| first.as_str() < number) {
            self.findings.push(format!("{shard} gives {number} without {first} before it"));
            numbers.unread.clear();
        }
        numbers.unread.remove(number);
        numbers.last = Some(number.to_owned());
        numbers.read += 1;
    }

    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    fn unread(&self) -> usize {
        self.shards.values().map(|numbers| numbers.unread.len()).sum()
    }

    /// How many records were acknowledged.
    ///
    /// # Errors
    ///
    /// Not all were read, or not in order.
    pub(crate) fn check(&self) -> Result<usize, Failure> {
        let (unread, read) =
            (self.unread(), self.shards.values().map(|numbers| numbers.read).sum::<usize>());
        if unread > 0 || read < self.acknowledged || !self.findings.is_empty() {
            let first: Vec<_> = self.findings.iter().take(5).collect();
            return Err(format!(
                "{read} read of {}: {unread} missing; {first:?}",
                self.acknowledged
            )
            .into());
        }
        Ok(self.acknowledged)
    }
}

impl Soak {
    fn note<T>(&self, note: impl FnOnce(&mut Ledger) -> T) -> T {
        note(&mut self.ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// Creates the stream, and waits until it is ACTIVE.
pub(crate) fn create(soak: &Soak, shards: usize) -> Result<(), Failure> {
    let mut caller = Caller::new(soak.address);
    caller.ok("CreateStream", &json!({"StreamName": STREAM, "ShardCount": shards}))?;
    settle(&mut caller)
}

fn settle(caller: &mut Caller) -> Result<(), Failure> {
    loop {
        let summary = caller.ok("DescribeStreamSummary", &json!({"StreamName": STREAM}))?;
        if summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE" {
            return Ok(());
        }
        pause(Duration::from_millis(20));
    }
}

/// Writes until it is over.
pub(crate) fn write(soak: &Soak, calls_per_second: u32) -> Result<(), Failure> {
    let mut caller = Caller::new(soak.address);
    let start = Instant::now();
    for call in 0_u32.. {
        if soak.is_over() {
            break;
        }
        let data = base64_simd::STANDARD.encode_to_string(vec![b'x'; RECORD_BYTES]);
        let records: Vec<_> = (0..RECORDS)
            .map(|number| json!({"PartitionKey": format!("{call}/{number}"), "Data": data}))
            .collect();
        let body = json!({"StreamName": STREAM, "Records": records});
        // A call without an answer may have been stored, and is sent again: both may be there.
        let answer = caller.ok("PutRecords", &body)?;
        soak.note(|ledger| {
            for record in answer["Records"].as_array().into_iter().flatten() {
                if let (Some(shard), Some(number)) =
                    (record["ShardId"].as_str(), record["SequenceNumber"].as_str())
                {
                    ledger.acknowledge(shard, number);
                }
            }
        });
        let due = Duration::from_secs(1) * (call + 1) / calls_per_second.max(1);
        if let Some(early) = due.checked_sub(start.elapsed()) {
            pause(early);
        }
    }
    Ok(())
}

/// Reads all shards in turn until it is over and nothing is left.
pub(crate) fn read(soak: &Soak) -> Result<(), Failure> {
    let mut caller = Caller::new(soak.address);
    let mut deadline = None;
    loop {
        // Seen before the round: whatever is unread after it was written meanwhile.
        let was_over = soak.is_over();
        for shard in shards(&mut caller)? {
            read_shard(soak, &mut caller, &shard)?;
        }
        let unread = soak.note(|ledger| ledger.unread());
        let patience = Duration::from_secs(30);
        if was_over {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + patience);
            if unread == 0 || Instant::now() > deadline {
                return Ok(());
            }
        }
        pause(Duration::from_millis(50));
    }
}

fn shards(caller: &mut Caller) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let mut body = json!({"StreamName": STREAM});
    loop {
        let (status, answer, _) = caller.call("ListShards", &body)?;
        if status != 200 {
            // Its token has expired: a fast clock is fast for tokens as well.
            body = json!({"StreamName": STREAM});
            found.clear();
            continue;
        }
        let shards = answer["Shards"].as_array().into_iter().flatten();
        found.extend(shards.filter_map(|shard| shard["ShardId"].as_str().map(str::to_owned)));
        match answer["NextToken"].as_str() {
            Some(token) => body = json!({"NextToken": token}),
            None => return Ok(found),
        }
    }
}

/// Reads what is new in a shard. Iterators expire soon by a fast clock: then the rest comes next time.
fn read_shard(soak: &Soak, caller: &mut Caller, shard: &str) -> Result<(), Failure> {
    let last = soak.note(|ledger| ledger.shards.get(shard).and_then(|it| it.last.clone()));
    let mut body =
        json!({"StreamName": STREAM, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    if let Some(last) = last {
        body["ShardIteratorType"] = json!("AFTER_SEQUENCE_NUMBER");
        body["StartingSequenceNumber"] = json!(last);
    }
    let (_, answer, _) = caller.call("GetShardIterator", &body)?;
    let mut iterator = answer["ShardIterator"].clone();
    while iterator != Json::Null {
        let (_, answer, _) = caller.call("GetRecords", &json!({"ShardIterator": iterator}))?;
        let records = answer["Records"].as_array().into_iter().flatten();
        let numbers: Vec<_> = records.filter_map(|it| it["SequenceNumber"].as_str()).collect();
        soak.note(|ledger| numbers.iter().for_each(|number| ledger.read(shard, number)));
        let is_behind = answer["MillisBehindLatest"].as_u64().is_some_and(|millis| millis > 0);
        if numbers.is_empty() || !is_behind {
            return Ok(());
        }
        iterator = answer["NextShardIterator"].clone();
    }
    Ok(())
}

/// Changes the number of shards until it is over.
pub(crate) fn reshard(soak: &Soak, shards: usize, every: Duration) -> Result<(), Failure> {
    let mut caller = Caller::new(soak.address);
    let mut next = Instant::now() + every;
    let targets = [shards + 1, shards * 2, shards + 3, shards];
    for target in targets.iter().cycle() {
        while Instant::now() < next {
            if soak.is_over() {
                return Ok(());
            }
            pause(Duration::from_millis(50));
        }
        next += every;
        let body = json!({
            "StreamName": STREAM, "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING",
        });
        // Refused while the one before is under way, and where a restart came between.
        let (status, _, _) = caller.call("UpdateShardCount", &body)?;
        soak.reshards.fetch_add(usize::from(status == 200), Ordering::Relaxed);
    }
    Ok(())
}
