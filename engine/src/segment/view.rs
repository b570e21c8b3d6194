//! A segment opened for reading: through its file while it is active, through its map once sealed.
//! Files and maps are kept open in bounded numbers.

use std::ops::Range;
use std::sync::Arc;

use super::index::{Base, FIRST_POSITION, Hint, Target};
use super::lru::Lru;
use super::map_cache::MapCache;
use super::scan::{Cursor, HEADER_PIECE_BYTES, Located, Source, survey};
use super::sealed::{OpenFailure, SealedSegment};
use super::{Segment, SegmentState};
use crate::bugs::{self, Bug};
use crate::config::Config;
use crate::device::{File, Files};
use crate::error::DeviceError;
use crate::format::batch::Batch;
use crate::metrics::Metrics;
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering;
use crate::types::{Mark, SegmentId, StoreId, Timestamp};

/// Opens segments; bounds what is open.
pub(crate) struct Views {
    store: StoreId,
    files: Arc<dyn Files>,
    maps: MapCache,
    active: Lru<Arc<dyn File>>,
}

impl Views {
    /// Nothing open yet. Active segments open for reading are bounded as those open for writing.
    pub(crate) fn new(
        config: &Config,
        files: &Arc<dyn Files>,
        metrics: &Arc<Metrics>,
        store: StoreId,
    ) -> Self {
        let (for_maps, metrics) = (Arc::clone(files), Arc::clone(metrics));
        Self {
            store,
            files: Arc::clone(files),
            maps: MapCache::new(config.mapped_segments_max, for_maps, metrics),
            active: Lru::new(config.open_segments_max),
        }
    }

    /// `segment` as it is now.
    ///
    /// # Errors
    ///
    /// See [`OpenFailure`].
    pub(crate) async fn view(&self, segment: &Arc<Segment>) -> Result<View, OpenFailure> {
        let readable_bytes = match &*lock(segment) {
            SegmentState::Active { readable_bytes, .. } => Some(*readable_bytes),
            SegmentState::Sealed => None,
        };
        let (contents, end_position) = if let Some(readable_bytes) = readable_bytes {
            let open = self.files.open_read(&segment.path);
            let file = self.active.get(segment.id, open).await.map_err(OpenFailure::new)?;
            (Contents::Active(Arc::clone(&file)), readable_bytes)
        } else {
            self.active.forget(segment.id);
            let sealed = self.maps.get(segment).await?;
            // Sums name segment and place, which another store's file has right.
            if sealed.store().is_some_and(|store| store != self.store) {
                segment.is_foreign.store(true, Ordering::Relaxed);
                return Err(OpenFailure::Foreign);
            }
            let end_position = sealed.batches_end();
            (Contents::Sealed(sealed), end_position)
        };
        Ok(View { segment: Arc::clone(segment), contents, end_position })
    }

    /// Lets go of a segment whose file has been removed.
    pub(crate) fn forget(&self, segment: SegmentId) {
        self.active.forget(segment);
        self.maps.forget(segment);
    }
}

/// One segment at one moment.
pub(crate) struct View {
    segment: Arc<Segment>,
    contents: Contents,
    end_position: u64,
}

enum Contents {
    Active(Arc<dyn File>),
    Sealed(Arc<SealedSegment>),
}

impl View {
    /// A walk that meets the target's batch, if it is sound, and starts as near to it as the index
    /// tells. An entry that the batch there does not confirm is not followed.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(crate) async fn cursor(
        &self,
        target: Target,
        piece_bytes: usize,
    ) -> Result<Cursor, DeviceError> {
        if let Some(hint) = self.find(target).await? {
            let mut cursor = self.cursor_at(hint.position, piece_bytes);
            let found = cursor.here().await.ok().flatten();
            let is_right = |found: Located| {
                found.header.base_ordinal == hint.ordinal && target.is_past(&found.header)
            };
            if bugs::is_on(Bug::FooterTrusted) || found.is_some_and(is_right) {
                return Ok(cursor);
            }
        }
        Ok(self.cursor_at(FIRST_POSITION, piece_bytes))
    }

    /// The mark of the map, where the segment is mapped.
    pub(crate) fn mark(&self) -> Option<Mark> {
        match &self.contents {
            Contents::Active(_) => None,
            Contents::Sealed(sealed) => sealed.mark(),
        }
    }

    /// Arrival of the first record, or of the first after damage, which arrived no earlier; `None`
    /// when it cannot be told.
    pub(crate) async fn first_arrival(&self) -> Option<Timestamp> {
        match &self.contents {
            Contents::Active(_) => {
                let first = self.cursor_at(FIRST_POSITION, HEADER_PIECE_BYTES).peek().await;
                first.ok().flatten().map(|found| found.header.first_arrival)
            }
            Contents::Sealed(sealed) => sealed.first_arrival(),
        }
    }

    /// True when every record of `batch`, which stands at `place`, is known to be sound: then its
    /// records need no check of their own. Sealed batches are checked as a whole, once.
    pub(crate) fn is_verified(&self, batch: &Batch, place: Range<u64>) -> bool {
        let Contents::Sealed(sealed) = &self.contents else {
            return false;
        };
        if sealed.is_verified(&place) {
            return true;
        }
        let is_sound = batch.damaged().is_empty();
        if is_sound {
            sealed.set_verified(place);
        }
        is_sound
    }

    fn cursor_at(&self, position: u64, piece_bytes: usize) -> Cursor {
        let source = match &self.contents {
            Contents::Active(file) => Source::File(Arc::clone(file)),
            Contents::Sealed(sealed) => sealed.source(),
        };
        let segment = Arc::clone(&self.segment);
        Cursor::new(source, segment, position, self.end_position, piece_bytes)
    }

    async fn find(&self, target: Target) -> Result<Option<Hint>, DeviceError> {
        match &self.contents {
            Contents::Sealed(sealed) => Ok(sealed.find(target)),
            Contents::Active(_) => self.find_active(target).await,
        }
    }

    async fn find_active(&self, target: Target) -> Result<Option<Hint>, DeviceError> {
        let arrival = match target {
            Target::Record(_) => Timestamp::default(),
            Target::Arrival(_) => match self.first_arrival().await {
                Some(arrival) => arrival,
                None => return Ok(None),
            },
        };
        let base = Base { ordinal: self.segment.base, arrival };
        let not_indexed = match &*lock(&self.segment) {
            SegmentState::Active { index, .. } => match index.find(base, target) {
                None if !index.is_complete() => index.from_position,
                found => return Ok(found),
            },
            SegmentState::Sealed => return Ok(None),
        };
        self.complete_index(not_indexed).await?;
        Ok(match &*lock(&self.segment) {
            SegmentState::Active { index, .. } => index.find(base, target),
            SegmentState::Sealed => None,
        })
    }

    /// Scans what a restart has left unindexed, once for all readers to come.
    async fn complete_index(&self, not_indexed: u64) -> Result<(), DeviceError> {
        let mut cursor = self.cursor_at(FIRST_POSITION, HEADER_PIECE_BYTES);
        cursor.end_at(not_indexed);
        if let Some(survey) = survey(cursor).await?
            && survey.from_start
            && let SegmentState::Active { index, .. } = &mut *lock(&self.segment)
        {
            index.complete(&survey.index);
        }
        Ok(())
    }
}

fn lock(segment: &Segment) -> MutexGuard<'_, SegmentState> {
    segment.state.lock().expect("no holder panics")
}
