//! Maps of sealed segments, at most so many at once, least recently used first out.
//!
//! A map whose slices are still in use lives on after it has left; that is bounded by the answers
//! in flight, for which the default leaves three quarters of the system's maps.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::Segment;
use super::lru::Lru;
use super::sealed::{OpenFailure, SealedSegment};
use crate::device::Files;
use crate::metrics::Metrics;
use crate::types::{Mark, SegmentId};

/// Most maps by default.
const MAPS_MAX: usize = 16_384;
/// The system's limit where it cannot be read.
///
/// Source: Linux, `DEFAULT_MAX_MAP_COUNT`.
const SYSTEM_MAPS: usize = 65_530;
/// Where Linux tells its limit.
const SYSTEM_MAPS_FILE: &str = "/proc/sys/vm/max_map_count";

/// Mapped segments of the store.
pub(crate) struct MapCache {
    files: Arc<dyn Files>,
    metrics: Arc<Metrics>,
    /// 0: to be derived from the system's limit.
    maps_max: usize,
    maps: OnceCell<Lru<SealedSegment>>,
}

impl MapCache {
    /// At most `maps_max` maps; 0 takes the smaller of 16,384 and a quarter of the system's limit.
    pub(crate) fn new(maps_max: usize, files: Arc<dyn Files>, metrics: Arc<Metrics>) -> Self {
        Self { files, metrics, maps_max, maps: OnceCell::new() }
    }

    /// The map of `segment`, which is sealed; made by one caller when several want it.
    ///
    /// # Errors
    ///
    /// See [`OpenFailure`].
    pub(crate) async fn get(
        &self,
        segment: &Arc<Segment>,
    ) -> Result<Arc<SealedSegment>, OpenFailure> {
        let maps = self.maps.get_or_init(async || Lru::new(self.limit().await)).await;
        let open = || SealedSegment::open(&self.files, segment, &self.metrics);
        let mut opened = maps.get(segment.id, open()).await;
        if let Ok(known) = &opened
            && known.mark().is_some_and(Mark::is_set)
        {
            // A new map shows what is left of the file.
            self.metrics.lost_maps.add(1);
            maps.forget(segment.id);
            opened = maps.get(segment.id, open()).await;
        }
        self.metrics.mapped_segments.set(maps.len() as u64);
        opened
    }

    /// Drops the map of a segment whose file has been removed.
    pub(crate) fn forget(&self, segment: SegmentId) {
        if let Some(maps) = self.maps.get() {
            maps.forget(segment);
            self.metrics.mapped_segments.set(maps.len() as u64);
        }
    }

    async fn limit(&self) -> usize {
        if self.maps_max > 0 {
            return self.maps_max;
        }
        MAPS_MAX.min(self.system_limit().await.unwrap_or(SYSTEM_MAPS) / 4)
    }

    async fn system_limit(&self) -> Option<usize> {
        let file = self.files.open_read(Path::new(SYSTEM_MAPS_FILE)).await.ok()?;
        let text = file.read(0, 32).await.ok()?;
        std::str::from_utf8(&text).ok()?.trim().parse().ok()
    }
}
