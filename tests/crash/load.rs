//! Writers and a resharder, which go on through every fault and take down what they were told.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64_simd::STANDARD;
use fastrand::Rng;
use kinelog::aws::sigv4::signing::Credentials;
use kinelog::client::answers;
use kinelog::client::failure::Failure as CallFailure;
use kinelog::client::identity::Identity;
use kinelog::client::tls::Trust;
use kinelog::client::{Client, StreamRef};
use kinelog_engine::device::clock::{Clock, SystemClock};
use kinelog_tests::history::{AttemptId, Moment, Recorder, ShardId};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::disk::Disk;
use crate::reader;
use crate::system::Failure;

/// Name of the stream.
pub(crate) const STREAM: &str = "crash";
/// Shards at the start.
pub(crate) const SHARDS: u32 = 3;
/// Shards that may be open at once.
const OPEN_SHARDS_MAX: usize = 6;
/// Most records of one call.
const RECORDS_MAX: usize = 4;
/// Pause of a client that was refused or not answered.
const PAUSE: Duration = Duration::from_millis(12);

/// Who takes part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cast {
    pub(crate) writers: u64,
    pub(crate) consumers: u64,
    /// Milliseconds between two splits or merges; none if zero.
    pub(crate) reshard_every_ms: u64,
}

/// What all clients of one store share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) recorder: Recorder,
    pub(crate) stream: StreamRef,
    /// Clients end when this is set.
    is_over: AtomicBool,
    /// What the store answered that it must not.
    strange: Mutex<Vec<String>>,
    /// Answers that name a failure of the server's own.
    pub(crate) faults_answered: AtomicUsize,
    /// The disk whose progress each answer is marked with.
    pub(crate) marked: Option<Arc<Disk>>,
    marks: Mutex<Vec<(Moment, usize)>>,
}

impl Shared {
    /// Clients for the server at `port`, all with the same story.
    pub(crate) fn new(
        port: u16,
        recorder: Recorder,
        marked: Option<Arc<Disk>>,
    ) -> Result<Self, Failure> {
        let credentials = Credentials {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "secret".to_owned(),
            session_token: None,
        };
        let endpoint = format!("http://127.0.0.1:{port}").parse()?;
        let identity = Identity { endpoint, region: "us-east-1".to_owned(), credentials };
        Ok(Self {
            client: Client::new(identity, &Trust::Nobody, Duration::ZERO)?,
            recorder,
            stream: StreamRef::new(STREAM),
            is_over: AtomicBool::new(false),
            strange: Mutex::default(),
            faults_answered: AtomicUsize::new(0),
            marked,
            marks: Mutex::default(),
        })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Something no sound server answers.
    pub(crate) fn is_strange(&self, what: impl Into<String>) {
        self.strange.lock().unwrap_or_else(PoisonError::into_inner).push(what.into());
    }

    pub(crate) fn strange(&self) -> Vec<String> {
        self.strange.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How far the disk was at the least when what was just taken down was known.
    fn mark(&self) {
        if let Some(disk) = &self.marked {
            // The lock keeps both in one order.
            let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
            let recorded = disk.recorded();
            marks.push((self.recorder.now(), recorded));
        }
    }

    pub(crate) fn marks(&self) -> Vec<(Moment, usize)> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Milliseconds the clock shows, which is the server's too.
pub(crate) fn clock_ms() -> u64 {
    SystemClock.now().0
}

/// 3 of `shardId-000000000003`.
pub(crate) fn shard_id(text: &str) -> Option<ShardId> {
    text.strip_prefix("shardId-")?.parse().ok()
}

/// A pause that waits for nothing in particular.
pub(crate) async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

/// The clients of one store, at work.
pub(crate) struct Load {
    pub(crate) shared: Arc<Shared>,
    work: JoinSet<()>,
}

impl Load {
    /// Sets everybody to work.
    pub(crate) fn start(shared: Arc<Shared>, cast: Cast, rng: &mut Rng) -> Self {
        let mut work = JoinSet::new();
        for _ in 0..cast.writers {
            let (shared, rng) = (Arc::clone(&shared), rng.fork());
            work.spawn(async move { write(&shared, rng).await });
        }
        for _ in 0..cast.consumers {
            let (shared, rng) = (Arc::clone(&shared), rng.fork());
            work.spawn(async move { reader::consume(&shared, rng).await });
        }
        if cast.reshard_every_ms > 0 {
            let (shared, rng) = (Arc::clone(&shared), rng.fork());
            work.spawn(async move { reshard(&shared, cast.reshard_every_ms, rng).await });
        }
        Self { shared, work }
    }

    /// Lets everybody finish the call they are in.
    pub(crate) async fn stop(mut self) -> Result<Arc<Shared>, Failure> {
        self.shared.is_over.store(true, Ordering::Release);
        while let Some(ended) = self.work.join_next().await {
            ended?;
        }
        Ok(self.shared)
    }
}

/// Makes the stream and waits until it takes records.
pub(crate) async fn create(shared: &Shared) -> Result<(), Failure> {
    shared.client.create_stream(STREAM, Some(SHARDS)).await?;
    until_active(shared).await
}

/// Waits until the stream can be changed.
pub(crate) async fn until_active(shared: &Shared) -> Result<(), Failure> {
    while shared.client.describe(&shared.stream).await?.stream_status != "ACTIVE" {
        pause().await;
    }
    Ok(())
}

async fn write(shared: &Shared, mut rng: Rng) {
    // No other writer of this story begins now, so that no record is sent twice.
    let writer = shared.recorder.now();
    let mut call: u64 = 0;
    while !shared.is_over() {
        call += 1;
        let (mut sent, mut entries) = (Vec::new(), Vec::new());
        for number in 0..rng.usize(1..=RECORDS_MAX) {
            let key = format!("{writer}-{call}-{number}");
            // Most records are small; some fill more than a page.
            let len = if rng.u8(..) < 8 { rng.usize(..100_000) } else { rng.usize(..600) };
            let mut data = format!("{key} ").into_bytes();
            data.extend(std::iter::repeat_with(|| rng.u8(..)).take(len));
            let hash = rng.bool().then(|| rng.u128(..));
            let mut entry =
                json!({ "PartitionKey": key, "Data": STANDARD.encode_to_string(&data) });
            if let Some(hash) = hash {
                entry["ExplicitHashKey"] = Value::from(hash.to_string());
            }
            entries.push(entry);
            let content = reader::content(&key, &data);
            sent.push(shared.recorder.sending(content, hash, clock_ms()));
        }
        let input = json!({ "StreamName": STREAM, "Records": entries });
        shared.mark();
        let answer: Result<Value, _> = shared.client.call_once("PutRecords", &input).await;
        let must_wait = match answer {
            Ok(answer) => take(shared, &sent, &answer["Records"]),
            Err(failure) => {
                take_failure(shared, &sent, &failure);
                true
            }
        };
        shared.mark();
        if must_wait {
            pause().await;
        }
    }
}

/// Takes down what became of each record; whether it was refused.
fn take(shared: &Shared, sent: &[AttemptId], results: &Value) -> bool {
    let results = results.as_array().map_or(&[][..], Vec::as_slice);
    if results.len() != sent.len() {
        shared.is_strange(format!("{} records sent, {} answered", sent.len(), results.len()));
    }
    let mut is_refused = false;
    for (attempt, result) in sent.iter().zip(results) {
        let text = |key: &str| result[key].as_str();
        match (text("ShardId").and_then(shard_id), text("SequenceNumber"), text("ErrorCode")) {
            (Some(shard), Some(number), None) => match number.parse() {
                Ok(number) => shared.recorder.stored(*attempt, shard, number),
                Err(_) => shared.is_strange(format!("{number} is no sequence number")),
            },
            (None, None, Some("InternalFailure")) => {
                shared.faults_answered.fetch_add(1, Ordering::Relaxed);
                is_refused = true;
            }
            (None, None, Some(_)) => {
                shared.recorder.refused(*attempt);
                is_refused = true;
            }
            _ => shared.is_strange(format!("a record was answered with {result}")),
        }
    }
    is_refused
}

fn take_failure(shared: &Shared, sent: &[AttemptId], failure: &CallFailure) {
    match failure {
        CallFailure::Refused(refusal) if refusal.status >= 500 => {
            shared.faults_answered.fetch_add(1, Ordering::Relaxed);
        }
        CallFailure::Refused(_) | CallFailure::Unreachable { .. } => {
            for attempt in sent {
                shared.recorder.refused(*attempt);
            }
        }
        CallFailure::Lost { .. } => {}
        CallFailure::Strange { .. } => shared.is_strange(failure.to_string()),
    }
}

/// Splits and merges at random; a call that fails says nothing about what it did.
async fn reshard(shared: &Shared, every_ms: u64, mut rng: Rng) {
    while !shared.is_over() {
        tokio::time::sleep(Duration::from_millis(rng.u64(every_ms / 2..=every_ms * 3 / 2))).await;
        let Ok(shards) = reader::list(shared).await else { continue };
        let mut open: Vec<_> = shards.into_iter().filter(answers::Shard::is_open).collect();
        open.sort_by_key(|shard| shard.hash_key_range.starting_hash_key);
        let Some(at) = (!open.is_empty()).then(|| rng.usize(..open.len())) else { continue };
        let shard = &open[at];
        let (first, last) =
            (shard.hash_key_range.starting_hash_key, shard.hash_key_range.ending_hash_key);
        let neighbour = open.get(at + 1);
        let is_split = open.len() < OPEN_SHARDS_MAX && rng.bool() || open.len() < 2;
        let mut closing = vec![&shard.shard_id];
        let (operation, input) = match neighbour {
            Some(neighbour) if !is_split => {
                closing.push(&neighbour.shard_id);
                let input = json!({ "StreamName": STREAM, "ShardToMerge": shard.shard_id,
                                    "AdjacentShardToMerge": neighbour.shard_id });
                ("MergeShards", input)
            }
            _ => {
                let middle = first + (last - first) / 2 + 1;
                let input = json!({ "StreamName": STREAM, "ShardToSplit": shard.shard_id,
                                    "NewStartingHashKey": middle.to_string() });
                ("SplitShard", input)
            }
        };
        let answer: Result<Value, _> = shared.client.call_once(operation, &input).await;
        match answer {
            Ok(_) => {
                closing
                    .iter()
                    .filter_map(|id| shard_id(id))
                    .for_each(|id| shared.recorder.closing(id));
                shared.mark();
            }
            Err(failure @ CallFailure::Strange { .. }) => shared.is_strange(failure.to_string()),
            Err(_) => {}
        }
    }
}
