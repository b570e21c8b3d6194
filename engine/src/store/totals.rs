//! The footer of a segment that an earlier process has written.

use std::sync::Arc;

use crate::device::File;
use crate::error::DeviceError;
use crate::segment::Segment;
use crate::segment::index::{FIRST_POSITION, SparseIndex};
use crate::segment::scan::{Cursor, Source};
use crate::segment::totals::Totals;
use crate::types::Timestamp;

/// Bytes a walk reads at a time.
const PIECE_BYTES: usize = 1 << 20;

/// The footer of a segment whose batches this process has not written, found by reading them.
/// They end at `end`. What one walk misses is looked for once more: a read may have failed in
/// passing, and what a footer leaves out is left out for good.
///
/// # Errors
///
/// When the device fails.
pub(super) async fn surveyed_footer(
    segment: &Arc<Segment>,
    file: Arc<dyn File>,
    end: u64,
) -> Result<Vec<u8>, DeviceError> {
    let mut walk = Walk::over(segment, &file, end).await?;
    if FIRST_POSITION + walk.bytes < end {
        let again = Walk::over(segment, &file, end).await?;
        walk = if again.bytes > walk.bytes { again } else { walk };
    }
    // Without a sound batch nothing says when its records arrived: never sounds late enough that no
    // segment before it is taken for older, and given up or passed over.
    let unknown = || Totals::new(segment.base, Timestamp(u64::MAX), end);
    let mut totals = walk.totals.unwrap_or_else(unknown);
    totals.end = end;
    Ok(totals.footer(&walk.index, segment.id, segment.shard))
}

/// The sound batches that one walk has met.
struct Walk {
    index: SparseIndex,
    totals: Option<Totals>,
    /// Bytes of all of them.
    bytes: u64,
}

impl Walk {
    async fn over(
        segment: &Arc<Segment>,
        file: &Arc<dyn File>,
        end: u64,
    ) -> Result<Self, DeviceError> {
        let (source, segment) = (Source::File(Arc::clone(file)), Arc::clone(segment));
        let base = segment.base;
        let mut cursor = Cursor::new(source, segment, FIRST_POSITION, end, PIECE_BYTES);
        let mut walk = Self { index: SparseIndex::new(), totals: None, bytes: 0 };
        while let Some(found) = cursor.peek().await? {
            let first = || Totals::new(base, found.header.first_arrival, FIRST_POSITION);
            let totals = walk.totals.get_or_insert_with(first);
            walk.index.offer(totals.add(&found.header, found.header_crc, found.position));
            walk.bytes += u64::from(found.header.frame_bytes);
            cursor.skip(&found);
        }
        Ok(walk)
    }
}
