//! Walking the batches of a segment file, header by header.
//!
//! A [`Cursor`] hands out sound batches only and steps over whatever fails its checks: the caller
//! sees damage as a gap in the ordinals. A header names segment and offset in its checksum, so
//! after damage the next sound header is found by trying every place one may start at.

use std::sync::Arc;

use bytes::Bytes;

use super::Segment;
use super::index::{Base, FIRST_POSITION, SparseIndex};
use super::sealed::MappedFile;
use crate::device::File;
use crate::error::DeviceError;
use crate::format::batch::{self, Batch, HEADER_BYTES, Header, salt};
use crate::format::footer::IndexEntry;
use crate::limits::PAGE_BYTES;
use crate::types::{Ordinal, Timestamp};

/// Bytes read at a time when only headers matter.
pub(crate) const HEADER_PIECE_BYTES: usize = 64 << 10;
/// Batches start at multiples of this.
const ALIGNMENT: u64 = 8;
/// Unreadable places one walk steps over before it gives up.
const UNREADABLE_MAX: u32 = 16;

/// Where the bytes of a segment come from.
#[derive(Clone)]
pub(crate) enum Source {
    /// Read piece by piece: the active segment.
    File(Arc<dyn File>),
    /// Sliced from the map of a sealed segment.
    Map(Arc<MappedFile>),
}

impl Source {
    /// About `wanted` and at least `needed` bytes from `position` on, fewer only where the file
    /// ends.
    async fn piece(
        &self,
        position: u64,
        needed: usize,
        wanted: usize,
    ) -> Result<Bytes, DeviceError> {
        match self.read(position, wanted).await {
            // Once more, and no more than must be: what fails again counts as damage.
            Err(_) => self.read(position, needed).await,
            read => read,
        }
    }

    async fn read(&self, position: u64, len: usize) -> Result<Bytes, DeviceError> {
        match self {
            Self::File(file) => file.read(position, len).await,
            Self::Map(map) => map.slice(position, len).await,
        }
    }
}

/// A sound header and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Located {
    /// The header.
    pub(crate) header: Header,
    /// Position of the batch in the file.
    pub(crate) position: u64,
    /// The header's own checksum.
    pub(crate) header_crc: u32,
}

impl Located {
    /// Position after the batch.
    pub(crate) const fn end_position(&self) -> u64 {
        self.position + self.header.frame_bytes as u64
    }

    /// Arrival of the last record.
    pub(crate) const fn last_arrival(&self) -> Timestamp {
        let delta = self.header.last_arrival_delta as u64;
        Timestamp(self.header.first_arrival.0.saturating_add(delta))
    }

    /// Ordinal after the batch.
    pub(crate) const fn end(&self) -> Ordinal {
        self.header.base_ordinal.plus(self.header.count as u64)
    }
}

/// A walk over the batches of one segment.
pub(crate) struct Cursor {
    source: Source,
    segment: Arc<Segment>,
    position: u64,
    end_position: u64,
    piece_bytes: usize,
    window: Bytes,
    window_position: u64,
    unreadable: u32,
    /// Why the last attempt to read failed, if it did.
    failure: Option<DeviceError>,
    /// True once a sound header has been met: the file as such can be read.
    has_met: bool,
}

impl Cursor {
    /// Walks the batches from `position` on that end at or before `end_position`, reading
    /// `piece_bytes` at a time.
    pub(crate) fn new(
        source: Source,
        segment: Arc<Segment>,
        position: u64,
        end_position: u64,
        piece_bytes: usize,
    ) -> Self {
        Self {
            source,
            segment,
            position,
            end_position,
            piece_bytes,
            window: Bytes::new(),
            window_position: 0,
            unreadable: 0,
            failure: None,
            has_met: false,
        }
    }

    /// True while the cursor is in front of the first batch.
    pub(crate) const fn is_at_start(&self) -> bool {
        self.position == FIRST_POSITION
    }

    /// Ends the walk at `position` if it does not end before.
    pub(crate) fn end_at(&mut self, position: u64) {
        self.end_position = self.end_position.min(position);
    }

    /// The header at exactly this position, if it is sound.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(crate) async fn here(&mut self) -> Result<Option<Located>, DeviceError> {
        if !self.load(HEADER_BYTES).await? {
            return Ok(None);
        }
        let bytes = self.loaded(HEADER_BYTES);
        let decoded = batch::decode_header_repairing(&bytes, salt(self.segment.id, self.position));
        Ok(decoded.ok().and_then(|(header, crc)| self.plausible(header, crc)))
    }

    /// The next sound header, here or further on; the cursor stays in front of it.
    ///
    /// # Errors
    ///
    /// When the device fails, but for a few places that cannot be read although others can: they
    /// count as damage.
    pub(crate) async fn peek(&mut self) -> Result<Option<Located>, DeviceError> {
        match self.here().await {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => self.position += ALIGNMENT,
            Err(error) => self.step_over(error)?,
        }
        loop {
            match self.load(HEADER_BYTES).await {
                Ok(true) => {}
                Ok(false) => return self.at_end().map(|()| None),
                Err(error) => {
                    self.step_over(error)?;
                    continue;
                }
            }
            if let Some(found) = self.search_window() {
                return Ok(Some(found));
            }
            tokio::task::yield_now().await;
        }
    }

    /// The batch at `found`, which `peek` returned last, and moves on; `None` when its table is
    /// damaged.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(crate) async fn open(&mut self, found: &Located) -> Result<Option<Batch>, DeviceError> {
        let frame_bytes = found.header.frame_bytes as usize;
        let batch = match self.load(frame_bytes).await {
            Ok(true) => {
                Batch::open(&self.loaded(frame_bytes), salt(self.segment.id, self.position)).ok()
            }
            Ok(false) => None,
            Err(error) => {
                self.count_unreadable(error)?;
                None
            }
        };
        self.skip(found);
        Ok(batch)
    }

    /// Moves behind the batch at `found` without reading it.
    pub(crate) const fn skip(&mut self, found: &Located) {
        self.position = found.end_position();
    }

    /// The end of the walk: a device that could not give the rest is to blame only if it has given
    /// nothing before.
    fn at_end(&mut self) -> Result<(), DeviceError> {
        self.failure.take().filter(|_| !self.has_met).map_or(Ok(()), Err)
    }

    /// `header` when it can be a batch of this segment here.
    fn plausible(&mut self, header: Header, header_crc: u32) -> Option<Located> {
        let found = Located { header, position: self.position, header_crc };
        let fits = found.end_position() <= self.end_position
            && header.shard == self.segment.shard
            && header.base_ordinal >= self.segment.base
            && header.frame_bytes as usize >= HEADER_BYTES;
        self.has_met |= fits;
        fits.then_some(found)
    }

    /// Tries every aligned place of the loaded window; leaves the cursor at the find, or at the
    /// first place the window did not cover.
    fn search_window(&mut self) -> Option<Located> {
        let window_end = self.window_position + self.window.len() as u64;
        while self.position + HEADER_BYTES as u64 <= window_end {
            let bytes = self.loaded(HEADER_BYTES);
            let decoded = batch::decode_header(&bytes, salt(self.segment.id, self.position));
            let crc = batch::header_crc(&bytes);
            if let Some(found) = decoded.ok().and_then(|header| self.plausible(header, crc)) {
                return Some(found);
            }
            self.position += ALIGNMENT;
        }
        None
    }

    /// Makes `len` bytes from the position on available; false when the segment ends before.
    async fn load(&mut self, len: usize) -> Result<bool, DeviceError> {
        let len_bytes = len as u64;
        let left = self.end_position.saturating_sub(self.position);
        if left < len_bytes {
            return Ok(false);
        }
        let window_end = self.window_position + self.window.len() as u64;
        if self.window_position <= self.position && self.position + len_bytes <= window_end {
            return Ok(true);
        }
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(self.piece_bytes.max(len));
        self.window = self.source.piece(self.position, len, wanted).await?;
        self.failure = None;
        self.window_position = self.position;
        if self.window.len() < len {
            // The file is shorter than it should be.
            self.end_position = self.position + self.window.len() as u64;
            return Ok(false);
        }
        Ok(true)
    }

    /// The `len` bytes at the position, which `load` has made available.
    fn loaded(&self, len: usize) -> Bytes {
        let start = usize::try_from(self.position - self.window_position)
            .expect("a window is far shorter than the address space");
        self.window.slice(start..start + len)
    }

    /// Goes on after the page that could not be read.
    fn step_over(&mut self, error: DeviceError) -> Result<(), DeviceError> {
        self.count_unreadable(error)?;
        self.position = (self.position + 1).next_multiple_of(PAGE_BYTES as u64);
        Ok(())
    }

    fn count_unreadable(&mut self, error: DeviceError) -> Result<(), DeviceError> {
        use std::io::ErrorKind::{Interrupted, OutOfMemory, WouldBlock};
        self.unreadable += 1;
        let passes = matches!(error.kind, OutOfMemory | WouldBlock | Interrupted);
        if passes || self.unreadable > UNREADABLE_MAX {
            return Err(error);
        }
        self.failure = Some(error);
        Ok(())
    }
}

/// What a walk over all headers found.
#[derive(Clone, Debug)]
pub(crate) struct Survey {
    /// The index of the batches seen.
    pub(crate) index: SparseIndex,
    /// What it is relative to.
    pub(crate) base: Base,
    /// True when the first batch stands where it must: deltas then agree with any other index of
    /// this segment.
    pub(crate) from_start: bool,
}

/// Walks all headers `cursor` meets and builds an index of them; `None` when there is none.
///
/// # Errors
///
/// When the device fails.
pub(crate) async fn survey(mut cursor: Cursor) -> Result<Option<Survey>, DeviceError> {
    let mut survey: Option<Survey> = None;
    while let Some(found) = cursor.peek().await? {
        let survey = survey.get_or_insert_with(|| Survey {
            index: SparseIndex::new(),
            base: Base { ordinal: cursor.segment.base, arrival: found.header.first_arrival },
            from_start: found.position == FIRST_POSITION,
        });
        if let Some(entry) = index_entry(&found, survey.base) {
            survey.index.offer(entry);
        }
        cursor.skip(&found);
    }
    Ok(survey)
}

/// The index entry of a batch; `None` when it lies outside what an entry can say.
fn index_entry(found: &Located, base: Base) -> Option<IndexEntry> {
    let header = &found.header;
    Some(IndexEntry {
        ordinal_delta: header.base_ordinal.0.checked_sub(base.ordinal.0)?.try_into().ok()?,
        arrival_delta: header.first_arrival.since(base.arrival).try_into().ok()?,
        position: found.position.try_into().ok()?,
        header_crc: found.header_crc,
    })
}
