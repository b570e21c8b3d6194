//! `format::batch`: whatever opens can be read to its end, and all checks agree.

use bytes::Bytes;
use kinelog_engine::format::batch::{self, Batch};
use kinelog_engine::format::checksum;
use kinelog_engine::types::Timestamp;

use crate::samples::{self, OFFSET, SEGMENT};
use crate::{Seed, put, u32_at};

/// The target.
pub fn run(data: &[u8]) {
    check(data);
    let mut sealed = data.to_vec();
    seal_table(&mut sealed);
    if let Some(summed) = sealed.get(8..batch::HEADER_BYTES) {
        let crc = checksum::salted(batch::salt(SEGMENT, OFFSET), summed);
        put(&mut sealed, 4, crc);
        check(&sealed);
    }
}

/// Puts the sums of the table and of the records right, as far as the lengths allow.
fn seal_table(batch: &mut [u8]) {
    let Some(count) = u32_at(batch, 24) else { return };
    let Some(end) = count.checked_mul(12).map(|bytes| 64 + bytes.next_multiple_of(8)) else {
        return;
    };
    if end > batch.len() {
        return;
    }
    for at in (0..count).map(|i| 64 + 12 * i) {
        let start = u32_at(batch, at).unwrap_or_default();
        let next = if at + 24 <= end { u32_at(batch, at + 12) } else { None };
        if let Some(record) = batch.get(start..next.unwrap_or(batch.len())) {
            let crc = checksum::crc(record);
            put(batch, at + 8, crc);
        }
    }
    let crc = checksum::crc(&batch[64..end]);
    put(batch, 12, crc);
}

fn check(data: &[u8]) {
    let salt = batch::salt(SEGMENT, OFFSET);
    let opened = Batch::open(&Bytes::copy_from_slice(data), salt);
    if let Ok(header) = batch::decode_header(data, salt) {
        assert_eq!(
            batch::decode_header_repairing(data, salt),
            Ok((header, batch::header_crc(data)))
        );
    }
    let Ok(opened) = opened else {
        assert_ne!(batch::inspect(data, salt), Ok(None), "what is sound opens");
        return;
    };
    let damaged = opened.damaged();
    for i in 0..opened.header.count {
        assert!(opened.arrival(i) <= opened.last_arrival());
        assert_eq!(damaged.contains(&i), matches!(opened.record(i), Err(ref e) if is_checksum(e)));
        if let Ok(found) = opened.record_unchecked(i) {
            let key = found.record.partition_key.as_ref().map_or(0, Bytes::len);
            assert_eq!(opened.payload_bytes(i), key + found.record.data.len());
        }
    }
    assert_eq!(opened.first_at(Timestamp(0)), 0);
    assert!(opened.end() > opened.header.base_ordinal);
    let sound = batch::inspect(opened.bytes(), salt) == Ok(None);
    assert_eq!(sound, damaged.is_empty(), "both ways to check agree");
}

fn is_checksum(error: &kinelog_engine::error::FormatError) -> bool {
    matches!(error, kinelog_engine::error::FormatError::Checksum { .. })
}

/// Batches of one and of several records.
pub fn seeds() -> Vec<Seed> {
    let records = samples::records(200);
    vec![
        ("one", samples::batch(&records[..1], SEGMENT, OFFSET)),
        ("four", samples::batch(&records, SEGMENT, OFFSET)),
    ]
}
