//! The footer of a segment that an earlier process has written.

use std::sync::Arc;

use crate::device::File;
use crate::error::DeviceError;
use crate::segment::Segment;
use crate::segment::index::{FIRST_POSITION, SparseIndex};
use crate::segment::scan::{Cursor, Source};
use crate::segment::totals::Totals;
use crate::types::Timestamp;

/// Bytes read at a time by `survey`.
const PIECE_BYTES: usize = 1 << 20;

/// The footer of a segment whose batches this process has not written, found by reading them.
/// They end at `end`.
///
/// # Errors
///
/// When the device fails.
pub(super) async fn surveyed_footer(
    segment: &Arc<Segment>,
    file: Arc<dyn File>,
    end: u64,
) -> Result<Vec<u8>, DeviceError> {
    let source = Source::File(file);
    let mut cursor = Cursor::new(source, Arc::clone(segment), FIRST_POSITION, end, PIECE_BYTES);
    let mut index = SparseIndex::new();
    let mut totals: Option<Totals> = None;
    while let Some(found) = cursor.peek().await? {
        let first_arrival = found.header.first_arrival;
        let totals =
            totals.get_or_insert_with(|| Totals::new(segment.base, first_arrival, FIRST_POSITION));
        index.offer(totals.add(&found.header, found.header_crc, found.position));
        cursor.skip(&found);
    }
    // Without a sound batch nothing says when its records arrived: never sounds late enough that no
    // segment before it is taken for older, and given up or passed over.
    let unknown = || Totals::new(segment.base, Timestamp(u64::MAX), end);
    let mut totals = totals.unwrap_or_else(unknown);
    totals.end = end;
    Ok(totals.footer(&index, segment.id, segment.shard))
}
