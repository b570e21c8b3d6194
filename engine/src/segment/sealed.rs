//! Reading a sealed segment through its map.
//!
//! No caller's thread touches a part of the map that was not brought into memory on a helper
//! thread before, once for as long as the map lives: the kernel may take pages back when memory is
//! short, and then a caller waits for the disk. A footer that is damaged or missing is rebuilt from the headers: it only ever
//! says where to look, the batches say what is there.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::Segment;
use super::index::{Base, FIRST_POSITION, Hint, SealedIndex, SparseIndex, Target};
use super::ranges::RangeSet;
use super::scan::{Cursor, HEADER_PIECE_BYTES, Source, survey};
use crate::device::Files;
use crate::device::mapping::Mapping;
use crate::error::DeviceError;
use crate::format::footer::{INDEX_ENTRY_BYTES, TRAILER_BYTES, Trailer, decode};
use crate::format::page_header::{self, FileKind};
use crate::limits::{INDEX_STRIDE_BYTES, PAGE_BYTES};
use crate::metrics::Metrics;
use crate::sync::Mutex;
use crate::types::{Mark, StoreId, Timestamp};

/// The first arrival of a segment without a sound batch.
const UNKNOWN: Timestamp = Timestamp(u64::MAX);
/// Brought into memory at a time, so that small reads in sequence rarely wait.
const PREFAULT_BYTES: u64 = 256 << 10;

/// A mapped file and what is known to be in memory of it.
pub(crate) struct MappedFile {
    files: Arc<dyn Files>,
    path: PathBuf,
    mapping: Mapping,
    present: Mutex<RangeSet>,
}

impl MappedFile {
    /// Length of the file.
    pub(crate) fn len(&self) -> u64 {
        self.mapping.len() as u64
    }

    /// Set once bytes of the map are not those of the file.
    fn mark(&self) -> Option<Mark> {
        self.mapping.mark()
    }

    /// `len` bytes from `position` on, fewer where the file ends; shared, not copied.
    ///
    /// # Errors
    ///
    /// When the bytes cannot be brought into memory.
    pub(crate) async fn slice(&self, position: u64, len: usize) -> Result<Bytes, DeviceError> {
        let end = position.saturating_add(len as u64).min(self.len());
        let range = position.min(end)..end;
        self.prefault(&range).await?;
        Ok(self.mapping.bytes().slice(index(range.start)..index(range.end)))
    }

    async fn prefault(&self, range: &Range<u64>) -> Result<(), DeviceError> {
        let is_present = |range| self.present.lock().expect("no holder panics").contains(range);
        if is_present(range) {
            return Ok(());
        }
        let wide = range.start / PREFAULT_BYTES * PREFAULT_BYTES
            ..range.end.next_multiple_of(PREFAULT_BYTES).min(self.len());
        let done = if self.bring_in(&wide).await.is_ok() {
            wide
        } else {
            // One bad page must not take its neighbours along.
            self.bring_in(range).await?;
            range.clone()
        };
        self.present.lock().expect("no holder panics").insert(done);
        Ok(())
    }

    async fn bring_in(&self, range: &Range<u64>) -> Result<(), DeviceError> {
        let range = index(range.start)..index(range.end);
        self.files.prefault(&self.path, &self.mapping, range).await
    }
}

/// Positions within a map fit the address space.
fn index(position: u64) -> usize {
    usize::try_from(position).expect("a mapped file fits the address space")
}

/// Why a sealed segment cannot be read at all.
#[derive(Debug)]
pub(crate) enum OpenFailure {
    /// The file is missing, or too short to hold a batch.
    Lost,
    /// The file belongs to another store; the segment says so from now on.
    Foreign,
    /// The device failed; another attempt may succeed.
    Device(DeviceError),
}

impl OpenFailure {
    /// Sorts out what an error on opening or mapping means.
    pub(crate) fn new(error: DeviceError) -> Self {
        use std::io::ErrorKind::{InvalidInput, NotFound, UnexpectedEof};
        if matches!(error.kind, NotFound | InvalidInput | UnexpectedEof) {
            Self::Lost
        } else {
            Self::Device(error)
        }
    }
}

/// A sealed segment, mapped, with its index.
pub(crate) struct SealedSegment {
    file: Arc<MappedFile>,
    index: SealedIndex,
    base: Base,
    batches_end: u64,
    /// The store its page header names, unless that is damaged.
    store: Option<StoreId>,
    /// Batches all of whose records have been checked by this process.
    verified: Mutex<RangeSet>,
}

impl SealedSegment {
    /// Opens and maps the file of `segment` and reads or rebuilds its index.
    ///
    /// # Errors
    ///
    /// See [`OpenFailure`].
    pub(crate) async fn open(
        files: &Arc<dyn Files>,
        segment: &Arc<Segment>,
        metrics: &Metrics,
    ) -> Result<Self, OpenFailure> {
        let file = files.open_read(&segment.path).await.map_err(OpenFailure::new)?;
        if file.bytes().await.map_err(OpenFailure::Device)? <= FIRST_POSITION {
            return Err(OpenFailure::Lost);
        }
        let mapping = file.map().await.map_err(OpenFailure::new)?;
        let file = Arc::new(MappedFile {
            files: Arc::clone(files),
            path: segment.path.clone(),
            mapping,
            present: Mutex::default(),
        });
        let page = file.slice(0, PAGE_BYTES).await;
        let header = page.ok().and_then(|page| page_header::decode(&page, FileKind::Segment).ok());
        let store = header.map(|(header, _)| header.store);
        if let Some((trailer, index)) = read_footer(&file, segment).await
            && is_confirmed(&file, segment, &trailer).await
        {
            let base = Base { ordinal: segment.base, arrival: trailer.first_arrival };
            let (index, end) = (SealedIndex::Stored(index), trailer.index_position);
            return Ok(Self::new(file, index, base, end, store));
        }
        metrics.rebuilt_indexes.add(1);
        let (source, len) = (Source::Map(Arc::clone(&file)), file.len());
        let cursor =
            Cursor::new(source, Arc::clone(segment), FIRST_POSITION, len, HEADER_PIECE_BYTES);
        let (index, base) = match survey(cursor).await.map_err(OpenFailure::Device)? {
            Some(survey) => (survey.index, survey.base),
            None => (SparseIndex::new(), Base { ordinal: segment.base, arrival: UNKNOWN }),
        };
        Ok(Self::new(file, SealedIndex::Rebuilt(index), base, len, store))
    }

    fn new(
        file: Arc<MappedFile>,
        index: SealedIndex,
        base: Base,
        batches_end: u64,
        store: Option<StoreId>,
    ) -> Self {
        Self { file, index, base, batches_end, store, verified: Mutex::default() }
    }

    /// The store its page header names, unless that is damaged.
    pub(crate) const fn store(&self) -> Option<StoreId> {
        self.store
    }

    /// Set once bytes of the map are not those of the file.
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.file.mark()
    }

    /// Where its bytes come from.
    pub(crate) fn source(&self) -> Source {
        Source::Map(Arc::clone(&self.file))
    }

    /// Position after the last batch, at most.
    pub(crate) const fn batches_end(&self) -> u64 {
        self.batches_end
    }

    /// Arrival of the first record, or of the first after damage; `None` when no batch is sound.
    pub(crate) fn first_arrival(&self) -> Option<Timestamp> {
        Some(self.base.arrival).filter(|arrival| *arrival != UNKNOWN)
    }

    /// Where to start looking for `target`.
    pub(crate) fn find(&self, target: Target) -> Option<Hint> {
        self.index.find(self.base, target)
    }

    /// True when every record of the batch at `range` has passed its check in this process.
    pub(crate) fn is_verified(&self, range: &Range<u64>) -> bool {
        self.verified.lock().expect("no holder panics").contains(range)
    }

    /// Every record of the batch at `range` has passed its check.
    pub(crate) fn set_verified(&self, range: Range<u64>) {
        self.verified.lock().expect("no holder panics").insert(range);
    }
}

/// False when the first batch says that it arrived at another time than the trailer has it; the header
/// lies in the piece that was brought into memory for the page before it. A batch that is damaged says
/// nothing.
async fn is_confirmed(file: &Arc<MappedFile>, segment: &Arc<Segment>, trailer: &Trailer) -> bool {
    let (source, segment) = (Source::Map(Arc::clone(file)), Arc::clone(segment));
    let end = trailer.index_position;
    let mut cursor = Cursor::new(source, segment, FIRST_POSITION, end, HEADER_PIECE_BYTES);
    let first = cursor.here().await.ok().flatten();
    first.is_none_or(|first| first.header.first_arrival == trailer.first_arrival)
}

/// Trailer and stored index entries; `None` when the footer is damaged, missing, or of another
/// segment.
async fn read_footer(file: &MappedFile, segment: &Segment) -> Option<(Trailer, Bytes)> {
    let expected_index = file.len() / INDEX_STRIDE_BYTES * INDEX_ENTRY_BYTES as u64;
    let footer_bytes = expected_index + (INDEX_ENTRY_BYTES + TRAILER_BYTES) as u64;
    let start = file.len().saturating_sub(footer_bytes);
    let end = file.slice(start, index(file.len() - start)).await.ok()?;
    let trailer = decode(&end, file.len(), segment.id).ok()?;
    let index_bytes = u64::from(trailer.index_entries) * INDEX_ENTRY_BYTES as u64;
    let index_end = trailer.index_position.checked_add(index_bytes)?;
    let is_ours = trailer.segment == segment.id
        && trailer.shard == segment.shard
        && trailer.base_ordinal == segment.base
        && trailer.index_position >= FIRST_POSITION
        && index_end.checked_add(TRAILER_BYTES as u64)? == file.len();
    if !is_ours {
        return None;
    }
    let entries = file.slice(trailer.index_position, usize::try_from(index_bytes).ok()?).await;
    Some((trailer, entries.ok()?))
}
