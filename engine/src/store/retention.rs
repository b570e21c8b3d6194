//! Retention: what has expired, and the sweep that lets it go.
//!
//! Readers hide expired records at the exact moment by the stream's horizon; here the space comes
//! back, segment by segment. A record at or after the horizon is never given up. What was given up
//! stays so: `first_kept` of a shard only rises, wherever the clock goes.
//!
//! A closed shard goes when its last record must have expired: first from the catalogue, then its
//! data. A crash in between leaves data of an uncatalogued shard, which opening removes.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use crate::bugs::{self, Bug};
use crate::catalog::Catalog;
use crate::device::Clock;
use crate::segment::{Segment, SegmentState};
use crate::shard::ShardLog;
use crate::types::{Ordinal, SegmentId, Shard, ShardIndex, ShardUid, Stream, Timestamp};

/// Where a sealed segment ends, as its footer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The position after its last record.
    pub(crate) end: Ordinal,
    /// Arrival of its last record, or any later bound, such as the next segment's first arrival.
    pub(crate) last_arrival: Timestamp,
}

/// What the sweep needs of the store.
pub(crate) trait Retained: Sync {
    /// The shard's log, `None` when it has none (yet, or any more).
    fn log(&self, shard: ShardUid) -> Option<Arc<ShardLog>>;
    /// The extent of a sealed segment; `None` when it cannot be told: the segment stays until a
    /// later one has expired.
    fn extent(&self, segment: &Arc<Segment>) -> impl Future<Output = Option<Extent>> + Send;
    /// Ends and seals the active segment, which holds expired records only.
    fn seal(&self, shard: ShardUid) -> impl Future<Output = ()> + Send;
    /// Gives up all records below `first_kept` and the sealed segments that end there or before.
    fn trim(&self, shard: ShardUid, first_kept: Ordinal) -> impl Future<Output = ()> + Send;
    /// Gives up shards that left the catalogue, with all their data.
    fn remove(&self, shards: Vec<ShardUid>) -> impl Future<Output = ()> + Send;
}

/// One segment as the decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SegmentView {
    /// `None` when unknown.
    extent: Option<Extent>,
    sealed: bool,
}

/// One shard as the decision needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ShardView {
    first_kept: Ordinal,
    end: Ordinal,
    /// Arrival of the last record before `end`, or later.
    last_arrival: Timestamp,
    /// The oldest segments, in order; need not be all of them.
    segments: Vec<SegmentView>,
}

/// What to give up of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expired {
    /// The first record that stays.
    first_kept: Ordinal,
    /// True when the active segment has expired, too, and must be sealed to go.
    seal: bool,
}

/// What has expired: all records arrived before `horizon`, in whole sealed segments, or the whole
/// shard; `None` when there is nothing to give up.
fn expired(view: &ShardView, horizon: Timestamp) -> Option<Expired> {
    if view.last_arrival < horizon {
        let seal = view.segments.last().is_some_and(|segment| !segment.sealed);
        let anything = view.first_kept < view.end || !view.segments.is_empty();
        return anything.then_some(Expired { first_kept: view.end, seal });
    }
    // Arrival never falls within a shard: what stands before an expired segment has expired.
    let known = view.segments.iter().filter(|segment| segment.sealed).map_while(|segment| {
        let is_expired = segment.extent.is_none_or(|extent| extent.last_arrival < horizon);
        is_expired.then_some(segment.extent)
    });
    let first_kept = known.flatten().map(|extent| extent.end).last()?;
    Some(Expired { first_kept: first_kept.max(view.first_kept), seal: false })
}

/// True when no record of a closed shard can be readable any more at `horizon`.
fn shard_expired(shard: &Shard, last_arrival: Option<Timestamp>, horizon: Timestamp) -> bool {
    // The clock may have gone back before the close: the last record decides as well.
    shard.closed.is_some_and(|end| end.closed_at.max(last_arrival.unwrap_or_default()) < horizon)
}

/// What one sweep gave up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Shards of which records or segments were given up.
    pub(crate) trimmed: u64,
    /// Closed shards forgotten.
    pub(crate) removed: u64,
}

/// Lets go of what has expired.
pub(crate) struct Sweeper {
    catalog: Arc<Catalog>,
    clock: Arc<dyn Clock>,
    /// The oldest segment of each shard, which one sweep after the other asks about.
    oldest: HashMap<ShardUid, (SegmentId, Extent)>,
}

impl Sweeper {
    pub(crate) fn new(catalog: Arc<Catalog>, clock: Arc<dyn Clock>) -> Self {
        Self { catalog, clock, oldest: HashMap::new() }
    }

    /// Goes through all shards once.
    pub(crate) async fn sweep(&mut self, store: &impl Retained) -> Swept {
        let now = self.clock.now();
        let mut swept = Swept::default();
        for stream in self.catalog.all() {
            let mut horizon = stream.horizon(now);
            if bugs::is_on(Bug::RetentionEarly) {
                horizon = Timestamp(horizon.0 + 3_600_000);
            }
            let mut gone = Vec::new();
            for shard in &stream.shards {
                let log = store.log(shard.uid);
                if shard_expired(shard, log.as_ref().map(|log| log.last_arrival()), horizon) {
                    gone.push((shard.index, shard.uid));
                } else if let Some(log) = log {
                    swept.trimmed += u64::from(self.trim(store, &log, horizon).await);
                }
            }
            swept.removed += self.remove(store, &stream, gone).await;
        }
        let catalog = &self.catalog;
        self.oldest.retain(|shard, _| catalog.has_shard(*shard));
        swept
    }

    /// True when something of the shard was given up.
    async fn trim(&mut self, store: &impl Retained, log: &ShardLog, horizon: Timestamp) -> bool {
        let view = self.view(store, log, horizon).await;
        let Some(expired) = expired(&view, horizon) else { return false };
        if expired.seal {
            store.seal(log.uid).await;
        }
        // A segment ends where the next one begins, which may be after records that are lost.
        let first_kept = log.after_lost(expired.first_kept).unwrap_or(expired.first_kept);
        store.trim(log.uid, first_kept).await;
        true
    }

    /// The shard with its segments up to the first one that has not expired.
    async fn view(
        &mut self,
        store: &impl Retained,
        log: &ShardLog,
        horizon: Timestamp,
    ) -> ShardView {
        // In this order: the arrival is that of the record before `end`, or of a later one.
        let end = log.end();
        let last_arrival = log.last_arrival();
        let segments: Vec<_> = log.segments.read().expect("no holder panics").clone();
        let mut view =
            ShardView { first_kept: log.first_kept(), end, last_arrival, segments: Vec::new() };
        let everything = last_arrival < horizon;
        for (i, segment) in segments.iter().enumerate() {
            let sealed =
                matches!(*segment.state.lock().expect("no holder panics"), SegmentState::Sealed);
            let extent = match (sealed && !everything, i) {
                (false, _) => None,
                (true, 0) => self.oldest_extent(store, segment).await,
                (true, _) => store.extent(segment).await,
            };
            view.segments.push(SegmentView { extent, sealed });
            if !everything && extent.is_some_and(|extent| extent.last_arrival >= horizon) {
                break;
            }
        }
        view
    }

    /// The extent of a shard's oldest segment, remembered: it never changes.
    async fn oldest_extent(
        &mut self,
        store: &impl Retained,
        segment: &Arc<Segment>,
    ) -> Option<Extent> {
        match self.oldest.get(&segment.shard) {
            Some((id, extent)) if *id == segment.id => Some(*extent),
            _ => {
                let extent = store.extent(segment).await?;
                self.oldest.insert(segment.shard, (segment.id, extent));
                Some(extent)
            }
        }
    }

    /// How many shards were forgotten.
    async fn remove(
        &self,
        store: &impl Retained,
        stream: &Stream,
        gone: Vec<(ShardIndex, ShardUid)>,
    ) -> u64 {
        if gone.is_empty() {
            return 0;
        }
        let (indexes, uids): (Vec<_>, Vec<_>) = gone.into_iter().unzip();
        let removed = uids.len() as u64;
        match self.catalog.expire_shards(stream.id, indexes).await {
            Ok(_) => {
                store.remove(uids).await;
                removed
            }
            Err(error) => {
                tracing::warn!(stream = %stream.id, %error, "expired shards stay catalogued");
                0
            }
        }
    }
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
