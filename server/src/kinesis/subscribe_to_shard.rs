//! `SubscribeToShard`: a consumer's own stream of a shard's records. What is wrong with the call is
//! answered as to any other; the rest is told inside the stream.

use std::sync::Arc;

use kinelog_engine::types::{Shard, Stream};

use super::consumer_ref::ConsumerRef;
use super::consumers::{Consumer, ConsumerStatus};
use super::context::Call;
use super::position::{self, Wanted};
use super::shard_id::ShardId;
use super::stream_ref::StreamRef;
use super::subscription::{Counters, Subscription};
use super::subscriptions::Place;
use super::{Operation, failures, shapes, shards, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::output::Events;
use crate::aws::shape::{Shape, Structure};
use crate::limits;
use crate::metrics::cloudwatch::ConsumerMetric;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "SubscribeToShardRequest",
    members: &[
        shapes::CONSUMER_ARN_REQUIRED,
        shapes::STREAM_ID,
        shapes::required("ShardId", shapes::NAME),
        shapes::required("StartingPosition", Shape::Structure(&STARTING_POSITION)),
        shapes::DRY_RUN,
    ],
};

static STARTING_POSITION: Structure = Structure {
    name: "StartingPosition",
    members: &[
        shapes::required("Type", position::KIND),
        shapes::optional("SequenceNumber", shapes::SEQUENCE_NUMBER),
        shapes::optional("Timestamp", Shape::Timestamp),
    ],
};

/// A consumer that may subscribe, and the shard it asks for.
struct Target {
    consumer: ConsumerRef,
    stream: Arc<Stream>,
    shard: Arc<Shard>,
    place: Place,
}

impl Target {
    async fn find(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let consumer = ConsumerRef::parse(call, input)?;
        let (stream, registered) = require_active(call, &consumer).await?;
        let StreamRef { name, account, .. } = &consumer.stream;
        let id = shards::parse_id(&consumer.stream, input.text("ShardId").unwrap_or_default())?;
        let kept = |shard: &&Arc<Shard>| shards::is_kept(shard, stream.horizon(call.now));
        let Some(shard) = stream.shard(id.0).filter(kept).cloned() else {
            return Err(failures::shard_does_not_exist(id, name, account));
        };
        let place = Place {
            stream: stream.id,
            shard: shard.index,
            consumer: consumer.name.clone(),
            created_seconds: registered.created_seconds,
        };
        Ok(Self { consumer, stream, shard, place })
    }

    /// Refuses the call while the place is held, and when it is made too often. Both count as calls.
    fn admit(&self, call: &Call<'_>) -> Result<(), Exception> {
        let consumer = &self.place.consumer;
        let (throttle, scope) = (call.context.throttle(), self.place.to_string());
        let per_second = limits::SUBSCRIBE_TO_SHARD_PER_SECOND;
        let admitted = throttle.admit_call("SubscribeToShard", &scope, per_second, call.now);
        let refused = if call.context.subscriptions().is_held(&self.place, call.now) {
            self.held()
        } else if admitted {
            return Ok(());
        } else {
            let StreamRef { name, account, .. } = &self.consumer.stream;
            unconfirmed::subscription_rate(consumer, ShardId(self.shard.index), name, account)
        };
        let tally = call.context.traffic().of_consumer(self.stream.id, consumer);
        tally.add(ConsumerMetric::RateExceeded, 1);
        Err(refused)
    }

    fn taken_over(&self) -> Exception {
        let StreamRef { name, account, .. } = &self.consumer.stream;
        let id = ShardId(self.shard.index);
        unconfirmed::subscription_taken_over(account, name, id, &self.consumer.name)
    }

    fn held(&self) -> Exception {
        let StreamRef { name, account, .. } = &self.consumer.stream;
        failures::subscription_held(account, name, ShardId(self.shard.index), &self.consumer.name)
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Events, Exception> {
    let target = Target::find(call, input).await?;
    let from = input.structure("StartingPosition");
    let wanted = Wanted {
        operation: Operation::SubscribeToShard,
        stream: &target.consumer.stream,
        shard: &target.shard,
        kind: from.and_then(|from| from.text("Type")).unwrap_or_default(),
        number: from.and_then(|from| from.text("SequenceNumber")),
        timestamp: from.and_then(|from| from.timestamp("Timestamp")),
    };
    let position = wanted.check(call)?;
    target.admit(call)?;
    if input.boolean("DryRun") == Some(true) {
        return Err(unconfirmed::dry_run());
    }
    let next = position.find(call, &wanted).await?;
    let Target { consumer, stream, shard, place } = &target;
    let (context, consumer_name) = (call.context, &consumer.name);
    let subscriptions = context.subscriptions();
    let ended = subscriptions.begin(place.clone(), call.now, target.taken_over());
    let ended = ended.ok_or_else(|| target.held())?;
    // Whoever deregistered it before this point has not seen the subscription.
    require_active(call, consumer).await?;
    let subscription = Subscription {
        stream: stream.id,
        stream_name: stream.key.name.clone(),
        account: call.account.to_owned(),
        shard: Arc::clone(shard),
        // A number may name a place no record has; in a closed shard none will ever have it.
        next: shard.closed.map_or(next, |closed| next.min(closed.end)),
        encoding: unconfirmed::event_encoding(call.encoding),
        ended,
        credit: context.throttle().push_credit(place.to_string(), call.now),
        counters: Counters::open(context.traffic().of_consumer(stream.id, consumer_name)),
        context: context.clone(),
    };
    Ok(subscription.events())
}

async fn require_active(
    call: &Call<'_>,
    consumer: &ConsumerRef,
) -> Result<(Arc<Stream>, Consumer), Exception> {
    let (stream, registered, status) = consumer.get(call).await?;
    if status == ConsumerStatus::Active {
        return Ok((stream, registered));
    }
    let StreamRef { name, account, .. } = &consumer.stream;
    let created_seconds = registered.created_seconds;
    Err(failures::consumer_not_active(&consumer.name, created_seconds, name, account))
}
