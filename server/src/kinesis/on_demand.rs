//! Streams in on-demand mode: the service scales them by what their shards take.
//!
//! A task measures the writes of each shard at regular intervals. A stream gets twice the shards that
//! the highest of the measurements that count would fill, and a shard that carries too much is split.
//! Under `Policy::Aws` a measurement counts a quarter of an hour after it began, for 30 days: until
//! then the shards' own limits throttle what is more than twice the peak before. A stream that has
//! not grown for a day gives back what it does not need.

mod history;
mod loads;
mod plan;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kinelog_engine::error::CatalogError;
use kinelog_engine::types::{
    Shard, ShardIndex, ShardUid, Stream, StreamId, StreamStatus, Timestamp,
};

use super::account::Account;
use super::attributes::{Attributes, Mode};
use super::context::Context;
use super::lifecycle;
use super::reshard::Swap;
use crate::limits;
use history::Recent;
use plan::{Need, Plan, ShardLoad};

pub(super) use history::History;
pub(super) use loads::Loads;

/// How on-demand streams scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// As the service does: writes that grow to more than twice their peak within a quarter of an
    /// hour are throttled, and so is a hot key.
    #[default]
    Aws,
    /// At once, and without throttling writes.
    Open,
}

impl Policy {
    /// As the option and health say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Open => "open",
        }
    }

    /// Time between measurements.
    const fn interval(self) -> Duration {
        match self {
            Self::Aws => limits::ON_DEMAND_INTERVAL,
            Self::Open => limits::ON_DEMAND_INTERVAL_OPEN,
        }
    }

    /// How long ago a measurement must have begun to count, in milliseconds.
    const fn lag_ms(self) -> u64 {
        match self {
            Self::Aws => limits::ON_DEMAND_LAG_MS,
            Self::Open => 0,
        }
    }
}

/// Measures and scales all on-demand streams of a store.
pub struct Scaler {
    context: Context,
    measured_at: Timestamp,
    recent: HashMap<StreamId, Recent>,
}

impl Scaler {
    /// Measures from now on.
    pub fn new(context: &Context) -> Self {
        let measured_at = context.engine.now();
        Self { context: context.clone(), measured_at, recent: HashMap::new() }
    }

    /// Goes on for ever.
    pub async fn run(mut self) {
        let interval = self.context.settings().on_demand.interval();
        loop {
            tokio::time::sleep(interval).await;
            self.measure().await;
        }
    }

    /// Measures what was written since the last time, and scales by it.
    pub(super) async fn measure(&mut self) {
        let now = self.context.engine.now();
        let from = std::mem::replace(&mut self.measured_at, now);
        if now <= from {
            return;
        }
        let lag_ms = self.context.settings().on_demand.lag_ms();
        let loads = self.context.loads().take(now.since(from));
        let mut before = std::mem::take(&mut self.recent);
        for stream in self.context.engine.all_streams() {
            if Mode::of(&stream) != Mode::OnDemand {
                continue;
            }
            let Some(stream) = lifecycle::settle_stored(&self.context, stream).await else {
                continue;
            };
            let known = before.remove(&stream.id);
            let is_new = known.is_none();
            let mut recent = known.unwrap_or_default();
            let load = |shard: ShardUid| loads.get(&shard).copied().unwrap_or(0);
            let of_shards: Vec<_> =
                stream.shards.iter().map(|shard| (shard.uid, load(shard.uid))).collect();
            recent.note(from, &of_shards);
            if is_new {
                // It keeps its shards at first: it scales by whole intervals only.
                self.recent.insert(stream.id, recent);
                continue;
            }
            match self.scale(stream.id, &recent, &load).await {
                Ok(()) => recent.forget_settled(now, lag_ms),
                Err(error) => {
                    tracing::warn!(stream = %stream.key.name, %error, "a stream does not scale");
                }
            }
            self.recent.insert(stream.id, recent);
        }
    }

    async fn scale(
        &self,
        stream: StreamId,
        recent: &Recent,
        load: impl Fn(ShardUid) -> u64,
    ) -> Result<(), CatalogError> {
        let (context, lag_ms) = (&self.context, self.context.settings().on_demand.lag_ms());
        let now = self.measured_at;
        lifecycle::reshard_unasked(context, stream, |stream, attributes| {
            if attributes.mode != Mode::OnDemand {
                return Vec::new();
            }
            recent.settle(&mut attributes.history, now, lag_ms);
            if stream.status != StreamStatus::Active {
                return Vec::new();
            }
            let is_hot = |shard| recent.is_hot(shard, now, lag_ms);
            let measured =
                |shard: &Arc<Shard>| ShardLoad::of(shard, load(shard.uid), is_hot(shard.uid));
            let shards: Vec<_> = stream.open_shards().map(measured).collect();
            let need = need(context, stream, attributes, &shards, now);
            let name = &stream.key.name;
            match plan::plan(&shards, ShardIndex(stream.next_shard_index), need) {
                Plan::Stay => Vec::new(),
                Plan::Grow(steps) => {
                    tracing::info!(stream = %name, shards = shards.len(), ?need, "grows");
                    attributes.history.grow(now);
                    steps
                }
                Plan::Shrink(merges) => {
                    tracing::info!(stream = %name, shards = shards.len(), ?need, "shrinks");
                    vec![merges]
                }
            }
        })
        .await
    }
}

/// How many of its `shards` a stream should have.
fn need(
    context: &Context,
    stream: &Stream,
    attributes: &Attributes,
    shards: &[ShardLoad],
    now: Timestamp,
) -> Need {
    let namespace = &stream.key.namespace;
    let document = context.engine.document(namespace);
    let account = Account::of_document(document.as_deref()).unwrap_or_default();
    let warm = attributes.warm_mibps.filter(|_| account.is_committed(now)).unwrap_or(0);
    let needed = attributes.history.need(now).max(warm);
    let grows = shards.len() < needed as usize || shards.iter().any(|shard| shard.is_hot);
    let ceiling = if grows { ceiling(context, stream, &account, now) } else { u32::MAX };
    Need { shards: needed, ceiling, may_shrink: attributes.history.may_shrink(now) }
}

/// The most shards a stream can have besides those of the other streams of its account and region.
fn ceiling(context: &Context, stream: &Stream, account: &Account, now: Timestamp) -> u32 {
    let settings = context.settings();
    let region = stream.key.namespace.split_once('/').map_or("", |(_, region)| region);
    let mut others = context.engine.streams(&stream.key.namespace, None, usize::MAX);
    others.retain(|other| other.id != stream.id);
    let quota = left(settings.shards_max(region), &others);
    if settings.limits.is_off() {
        return quota;
    }
    others.retain(|other| Mode::of(other) == Mode::OnDemand);
    quota.min(left(account.on_demand_shards_max(region, now), &others))
}

/// What is left of `most` shards besides the open ones of `others`.
fn left(most: u32, others: &[Arc<Stream>]) -> u32 {
    let taken: usize = others.iter().map(|stream| stream.open.len()).sum();
    most.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
}

/// Splits that bring a stream to `target` shards, step by step, where it has fewer.
pub(super) fn grow_to(stream: &Stream, target: u32) -> Vec<Vec<Swap>> {
    let shards = stream.open_shards().map(|shard| ShardLoad::of(shard, 0, false)).collect();
    plan::grow(shards, ShardIndex(stream.next_shard_index), target as usize)
}
