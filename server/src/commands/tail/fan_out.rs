//! Reading a shard by enhanced fan-out: what is stored is pushed, apart from the reads of others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::printing::Batch;
use crate::aws::exception::Kind;
use crate::client::answers::{ChildShard, Consumer};
use crate::client::failure::Failure;
use crate::client::retries::Retries;
use crate::client::{Client, Position, StreamRef};
use crate::commands::{Sentence, say};

/// State of a consumer that can subscribe.
const ACTIVE: &str = "ACTIVE";
/// State of one that is being made.
const CREATING: &str = "CREATING";
/// Pause before subscribing again where subscriptions end at once, again and again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A registered consumer.
#[derive(Clone, Debug)]
pub(super) struct Registration {
    name: String,
    arn: String,
    /// Made by this program, which gives it up in the end.
    is_own: bool,
}

impl Registration {
    /// Registers the consumer, or takes the one of that name, and waits until it can subscribe. An
    /// empty name stands for one made up.
    pub(super) async fn make(
        client: &Client,
        stream: &StreamRef,
        name: &str,
    ) -> Result<Self, Sentence> {
        let name = if name.is_empty() {
            format!("kinelog-tail-{:08x}", fastrand::u32(..))
        } else {
            name.to_owned()
        };
        let stream_arn =
            client.describe(stream).await.map_err(|failure| failure.to_string())?.stream_arn;
        let (consumer, is_own) = match client.register_consumer(&stream_arn, &name).await {
            Ok(consumer) => (consumer, true),
            Err(failure) if failure.is(Kind::ResourceInUse) => {
                let found = client.describe_consumer(&stream_arn, &name).await;
                // It may be the stream that is in use, and not the name.
                (found.map_err(|_| failure.to_string())?, false)
            }
            Err(failure) => return Err(failure.to_string()),
        };
        let Consumer { consumer_arn: arn, mut consumer_status } = consumer;
        let registration = Self { name, arn, is_own };
        let mut retries = client.retries();
        while consumer_status == CREATING {
            let Some(pause) = retries.pause() else { break };
            tokio::time::sleep(pause).await;
            let found = client.describe_consumer(&stream_arn, &registration.name).await;
            consumer_status = found.map_err(|failure| failure.to_string())?.consumer_status;
        }
        if consumer_status == ACTIVE {
            return Ok(registration);
        }
        let name = &registration.name;
        Err(format!(
            "the consumer {name} is {consumer_status} and cannot be used; try another name"
        ))
    }

    /// Gives it up, if it is this program's own.
    pub(super) async fn give_up(self, client: &Client) {
        if !self.is_own {
            return;
        }
        if let Err(failure) = client.deregister_consumer(&self.arn).await {
            say(&format!("the consumer {} is still registered: {failure}", self.name));
        }
    }
}

/// What the readers of all shards share.
pub(super) struct FanOut {
    pub(super) client: Arc<Client>,
    pub(super) consumer: Registration,
    pub(super) batches: mpsc::Sender<Batch>,
}

/// What is over.
enum Over {
    /// The subscription, as each is after some minutes.
    Subscription,
    /// The shard; what it became.
    Shard(Vec<ChildShard>),
    /// The output.
    Output,
}

impl FanOut {
    /// Reads a shard to its end; what it became. Nothing when the output ended first.
    pub(super) async fn read(
        &self,
        shard: &str,
        start: Position,
    ) -> Result<Option<Vec<ChildShard>>, Failure> {
        let name: Arc<str> = shard.into();
        let mut position = start;
        let mut retries = self.client.retries();
        loop {
            let pause = match self.subscribe(&name, &mut position, &mut retries).await {
                Ok(Over::Shard(children)) => return Ok(Some(children)),
                Ok(Over::Output) => return Ok(None),
                Ok(Over::Subscription) => retries.pause().unwrap_or(LONGEST_PAUSE),
                // The shard has expired, or the stream is gone, which the list of shards will tell.
                Err(failure) if failure.is(Kind::ResourceNotFound) => return Ok(Some(Vec::new())),
                Err(failure) => self.client.pause_after(&failure, &mut retries).ok_or(failure)?,
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Subscribes and sends on what comes, until something is over.
    async fn subscribe(
        &self,
        shard: &Arc<str>,
        position: &mut Position,
        retries: &mut Retries,
    ) -> Result<Over, Failure> {
        let mut subscription =
            match self.client.subscribe(&self.consumer.arn, shard, position).await {
                // One that has just ended is in the way of the next for some seconds.
                Err(failure) if failure.is(Kind::ResourceInUse) => {
                    let over = retries.pause().map(|_| Over::Subscription);
                    return over.ok_or(failure);
                }
                subscription => subscription?,
            };
        // A failure from here on that says "in use" tells that somebody else uses the consumer; to
        // take it back would go on for ever.
        while let Some(event) = subscription.next().await? {
            retries.succeeded();
            let batch = Batch { shard: Arc::clone(shard), records: event.records };
            if !batch.records.is_empty() && self.batches.send(batch).await.is_err() {
                return Ok(Over::Output);
            }
            match event.continuation_sequence_number {
                Some(last) => *position = Position::After(last),
                None => return Ok(Over::Shard(event.child_shards)),
            }
        }
        Ok(Over::Subscription)
    }
}
