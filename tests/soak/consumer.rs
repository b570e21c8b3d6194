//! One consumer: a subscription to each shard, children after all their parents, until everything
//! that was written has been seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{
    ChildShard, ConsumerStatus, ShardIteratorType, StartingPosition, SubscribeToShardEvent,
    SubscribeToShardEventStream,
};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Failure, STREAM, Soak};

/// Pause before a refused subscription is tried again; the service allows one call a second.
const TRY_AGAIN: Duration = Duration::from_millis(1_100);
/// Pause between two looks at a state.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Of so many records one consumer keeps the delay of one, so that the list stays short.
const DELAYS_KEPT: usize = 7;

/// What one consumer saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Sequence numbers of each shard in the order they came.
    pub(super) shards: BTreeMap<String, Vec<String>>,
    /// From acknowledgement to delivery; zero where the delivery came first.
    pub(super) delays: Vec<Duration>,
}

/// What one subscription to one shard saw, over all its renewals.
#[derive(Debug, Default)]
struct Shard {
    id: String,
    numbers: Vec<String>,
    delays: Vec<Duration>,
    /// Set at the end of a closed shard.
    children: Vec<ChildShard>,
}

/// Waits until a consumer may subscribe.
pub(super) async fn wait_until_active(client: &Client, arn: &str) -> Result<(), Failure> {
    loop {
        let described = client.describe_stream_consumer().consumer_arn(arn).send().await?;
        let status = described.consumer_description().map(|it| it.consumer_status().clone());
        if status == Some(ConsumerStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Follows all shards from their beginning until everything written was seen.
pub(super) async fn follow(soak: &Arc<Soak>, arn: &str, number: usize) -> Result<Seen, Failure> {
    let mut following = JoinSet::new();
    let mut started = BTreeSet::new();
    let mut finished = BTreeSet::new();
    let mut start = |shard: &str, following: &mut JoinSet<Result<Shard, Failure>>| {
        if started.insert(shard.to_owned()) {
            let (soak, arn, shard) = (Arc::clone(soak), arn.to_owned(), shard.to_owned());
            following.spawn(async move { follow_shard(&soak, &arn, shard, number).await });
        }
    };
    for shard in soak.client.list_shards().stream_name(STREAM).send().await?.shards() {
        if shard.parent_shard_id().is_none() {
            start(shard.shard_id(), &mut following);
        }
    }
    let mut seen = Seen::default();
    while let Some(ended) = following.join_next().await {
        let shard = ended??;
        finished.insert(shard.id.clone());
        for child in &shard.children {
            if child.parent_shards().iter().all(|parent| finished.contains(parent)) {
                start(child.shard_id(), &mut following);
            }
        }
        seen.delays.extend(shard.delays);
        seen.shards.insert(shard.id, shard.numbers);
    }
    Ok(seen)
}

async fn follow_shard(soak: &Soak, arn: &str, id: String, number: usize) -> Result<Shard, Failure> {
    let mut shard = Shard { id, ..Shard::default() };
    let begin = StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build()?;
    let mut position = begin;
    loop {
        let subscription = soak.client.subscribe_to_shard().consumer_arn(arn);
        let subscription = subscription.shard_id(&shard.id).starting_position(position.clone());
        let mut events = match subscription.send().await {
            Ok(answer) => answer.event_stream,
            Err(error) => {
                let error = error.into_service_error();
                if error.is_resource_in_use_exception() || error.is_limit_exceeded_exception() {
                    tokio::time::sleep(TRY_AGAIN).await;
                    continue;
                }
                return Err(format!("{} {error:?}", shard.id).into());
            }
        };
        while let Some(event) = events.recv().await? {
            let SubscribeToShardEventStream::SubscribeToShardEvent(event) = event else { continue };
            shard.take(soak, &event, number);
            if !event.child_shards().is_empty() {
                shard.children = event.child_shards().to_vec();
                return Ok(shard);
            }
            position = StartingPosition::builder()
                .r#type(ShardIteratorType::AfterSequenceNumber)
                .sequence_number(event.continuation_sequence_number())
                .build()?;
            let last = shard.numbers.last().map(String::as_str);
            if soak.is_over.load(Ordering::Acquire) && soak.ledger.is_complete(&shard.id, last) {
                return Ok(shard);
            }
        }
    }
}

impl Shard {
    fn take(&mut self, soak: &Soak, event: &SubscribeToShardEvent, number: usize) {
        let now = Instant::now();
        for record in event.records() {
            let sequence_number = record.sequence_number();
            if (self.numbers.len() + number).is_multiple_of(DELAYS_KEPT) {
                let acknowledged = soak.ledger.acknowledged_at(&self.id, sequence_number);
                let delay = acknowledged.map_or(Duration::ZERO, |at| now.duration_since(at));
                self.delays.push(delay);
            }
            self.numbers.push(sequence_number.to_owned());
        }
    }
}
