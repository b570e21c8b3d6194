//! What every operation may use: the engine, the settings in force, the buckets, the token key; and
//! what one call is about: who calls, from which region, in which encoding.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use kinelog_engine::Engine;
use kinelog_engine::types::{StreamId, StreamKey, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::feed::Feeds;
use super::on_demand::{Loads, Policy as OnDemandPolicy};
use super::subscriptions::Subscriptions;
use super::unconfirmed;
use crate::aws::Encoding;
use crate::aws::exception::Exception;
use crate::aws::sheets::Sheets;
use crate::aws::sigv4::Principal;
use crate::aws::writer::Writer;
use crate::faults::{Faults, Partial};
use crate::limits;
use crate::metrics::traffic::Traffic;
use crate::seal::SealKey;
use crate::spare::Spare;
use crate::throttle::{Limits, Throttle};

/// Counters that spread records. Streams that share one are spread evenly together; one counter for
/// all would let two that take turns use every other shard only.
const SPREADS: usize = 64;

/// How the service behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Account of callers whose access key is not itself an account: 12 digits.
    pub account: String,
    /// How long a stream stays in CREATING, UPDATING and DELETING, in milliseconds.
    pub transition_ms: u64,
    /// How strictly rates are enforced; quotas are lifted when they are off.
    pub limits: Limits,
    /// How on-demand streams scale.
    pub on_demand: OnDemandPolicy,
    /// Open shards an account may have in a region; `None` takes the service's quota.
    pub shard_quota: Option<u32>,
    /// Bytes of buffers of past answers that are kept for the next ones.
    pub spare_bytes_max: usize,
    /// Calls that may read from the disk at once, at least 1; the others wait for their turn.
    pub cold_reads_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            account: "000000000000".to_owned(),
            transition_ms: 500,
            limits: Limits::AWS,
            on_demand: OnDemandPolicy::Aws,
            shard_quota: None,
            spare_bytes_max: limits::SPARE_ANSWER_BYTES_MAX,
            cold_reads_max: limits::COLD_READS_MAX,
        }
    }
}

impl Settings {
    /// Open shards an account may have in `region` by the service's quota.
    pub(super) fn shard_quota(&self, region: &str) -> u32 {
        self.shard_quota.unwrap_or_else(|| limits::shard_quota(region))
    }

    /// Open shards an account may have in `region`: the service's quota, or our own bound when
    /// quotas are lifted.
    pub(super) fn shards_max(&self, region: &str) -> u32 {
        if self.limits.is_off() { limits::SHARDS_MAX } else { self.shard_quota(region) }
    }

    /// On-demand streams an account may have in a region; when quotas are lifted, as many as have
    /// room for their shards.
    pub(super) const fn on_demand_streams_max(&self) -> usize {
        if self.limits.is_off() {
            (limits::SHARDS_MAX / limits::ON_DEMAND_SHARDS) as usize
        } else {
            limits::ON_DEMAND_STREAMS_MAX
        }
    }
}

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The store.
    pub engine: Engine,
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    throttle: Throttle,
    traffic: Traffic,
    loads: Loads,
    feeds: Feeds,
    subscriptions: Subscriptions,
    faults: Faults,
    seal_key: SealKey,
    cold_reads: Semaphore,
    changes: tokio::sync::Mutex<()>,
    spare: Arc<Spare>,
    spread: [AtomicUsize; SPREADS],
    iterators: AtomicU32,
}

impl Context {
    /// Over an open store.
    pub fn new(engine: Engine, settings: Settings) -> Self {
        let shared = Shared {
            throttle: Throttle::new(settings.limits),
            traffic: Traffic::default(),
            loads: Loads::default(),
            feeds: Feeds::default(),
            subscriptions: Subscriptions::default(),
            faults: Faults::new(engine.random()),
            seal_key: SealKey::new(engine.store_id()),
            cold_reads: Semaphore::new(settings.cold_reads_max),
            spare: Arc::new(Spare::new(settings.spare_bytes_max)),
            settings,
            changes: tokio::sync::Mutex::default(),
            spread: [const { AtomicUsize::new(0) }; SPREADS],
            iterators: AtomicU32::new(0),
        };
        Self { engine, shared: Arc::new(shared) }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// How much the limits refused so far, by what was refused.
    pub fn refused(&self) -> [(&'static str, u64); 3] {
        self.shared.throttle.refused()
    }

    /// What the feeds of subscribers hold and did.
    pub fn fan_out_values(&self) -> [(&'static str, u64); 3] {
        self.shared.feeds.values()
    }

    /// What goes in and out of each stream.
    pub fn traffic(&self) -> &Traffic {
        &self.shared.traffic
    }

    /// A turn to read from the disk. Who has it holds at most what one call reads, and the answer made
    /// of it.
    pub(super) async fn cold_read(&self) -> Option<SemaphorePermit<'_>> {
        self.shared.cold_reads.acquire().await.ok() // It is never closed.
    }

    /// Records as subscribers share them.
    pub(super) fn feeds(&self) -> &Feeds {
        &self.shared.feeds
    }

    /// Who subscribes to what.
    pub(super) fn subscriptions(&self) -> &Subscriptions {
        &self.shared.subscriptions
    }

    /// Faults on purpose.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The buckets.
    pub(super) fn throttle(&self) -> &Throttle {
        &self.shared.throttle
    }

    /// The key of iterators and page tokens.
    pub(super) fn seal_key(&self) -> &SealKey {
        &self.shared.seal_key
    }

    /// Held while a stream's metadata are read, judged and changed, so that no change is built on
    /// what another one has made stale.
    pub(super) async fn exclusive_changes(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.shared.changes.lock().await
    }

    /// A serial number for a shard iterator; they come round after 2^32.
    pub(super) fn iterator_serial(&self) -> u32 {
        self.shared.iterators.fetch_add(1, Ordering::Relaxed)
    }

    /// What the shards of on-demand streams take.
    pub(super) fn loads(&self) -> &Loads {
        &self.shared.loads
    }

    /// The first of `count` consecutive numbers of a stream; spreads its records where no key
    /// chooses the shard.
    pub(super) fn take_spread(&self, stream: StreamId, count: usize) -> usize {
        let counter = usize::try_from(stream.0 % SPREADS as u64).unwrap_or(0);
        self.shared.spread[counter].fetch_add(count, Ordering::Relaxed)
    }
}

/// One call.
pub(super) struct Call<'a> {
    /// What it may use.
    pub(super) context: &'a Context,
    /// Account of the caller.
    pub(super) account: &'a str,
    /// Region the caller addresses.
    pub(super) region: &'a str,
    /// Account and region as the engine's name space, and as owner of tokens.
    pub(super) namespace: String,
    /// Time of the call.
    pub(super) now: Timestamp,
    /// Encoding of the answer.
    pub(super) encoding: Encoding,
    /// Records of the call that a fault rule lets fail.
    pub(super) partial: Option<Partial>,
}

impl<'a> Call<'a> {
    /// A call by `principal`, now.
    pub(super) fn new(context: &'a Context, principal: &'a Principal, encoding: Encoding) -> Self {
        let key = principal.access_key();
        let is_account = key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit());
        let account = if is_account { key } else { &context.settings().account };
        Self::of(context, account, principal.region(), encoding)
    }

    /// A call by whoever runs the server, in `region`.
    pub(super) fn by_operator(context: &'a Context, region: &'a str) -> Self {
        Self::of(context, &context.settings().account, region, Encoding::Json)
    }

    fn of(context: &'a Context, account: &'a str, region: &'a str, encoding: Encoding) -> Self {
        let namespace = format!("{account}/{region}");
        let now = context.engine.now();
        Self { context, account, region, namespace, now, encoding, partial: None }
    }

    /// The engine's key of the caller's stream `name`.
    pub(super) fn key(&self, name: &str) -> StreamKey {
        StreamKey { namespace: self.namespace.clone(), name: name.to_owned() }
    }

    /// An empty answer.
    pub(super) fn writer(&self, capacity: usize) -> Writer {
        Writer::new(self.encoding, capacity)
    }

    /// An empty answer that may get long.
    pub(super) fn sheets(&self, bytes: usize) -> Sheets {
        Sheets::new(self.encoding, bytes, &self.context.shared.spare)
    }

    /// Refuses the call when the account has called `operation` too often, without naming a stream.
    ///
    /// # Errors
    ///
    /// `LimitExceededException`.
    pub(super) fn admit(&self, operation: &'static str, per_second: u64) -> Result<(), Exception> {
        let throttle = self.context.throttle();
        if throttle.admit_call(operation, &self.namespace, per_second, self.now) {
            Ok(())
        } else {
            Err(unconfirmed::bare_rate_exceeded())
        }
    }
}
