//! `format::footer`: what decodes encodes to the same bytes.

use kinelog_engine::format::checksum::{self, Salt};
use kinelog_engine::format::footer::{self, INDEX_ENTRY_BYTES, IndexEntry, TRAILER_BYTES, Trailer};
use kinelog_engine::types::{Ordinal, ShardUid, Timestamp};

use crate::samples::SEGMENT;
use crate::{Seed, put};

/// The target: `data` is a whole file.
pub fn run(data: &[u8]) {
    check(data);
    let mut sealed = data.to_vec();
    let Some(trailer) = data.len().checked_sub(TRAILER_BYTES) else { return };
    let position: [u8; 8] = *data[trailer + 16..].first_chunk().expect("a trailer is longer");
    let position = u64::from_le_bytes(position);
    let footer = usize::try_from(position).ok().and_then(|start| data.get(start..data.len() - 4));
    if let Some(summed) = footer {
        let salt = Salt { file: u128::from(SEGMENT.0), offset: position };
        put(&mut sealed, data.len() - 4, checksum::salted(salt, summed));
        check(&sealed);
    }
}

fn check(data: &[u8]) {
    let Ok(trailer) = footer::decode(data, data.len() as u64, SEGMENT) else { return };
    let entries = trailer.index_entries as usize;
    let stored = &data[data.len() - TRAILER_BYTES - entries * INDEX_ENTRY_BYTES..];
    let index: Vec<_> = (0..entries).map(|i| footer::index_entry(stored, i)).collect();
    assert_eq!(footer::encode(&index, &trailer), stored, "each footer has one stored form");
}

/// Files that are footers only, without and with an index.
pub fn seeds() -> Vec<Seed> {
    let footer = |index: &[IndexEntry]| {
        let trailer = Trailer {
            index_entries: u32::try_from(index.len()).expect("samples are short"),
            index_position: 0,
            base_ordinal: Ordinal(5),
            records: 80,
            first_arrival: Timestamp(1_000),
            last_arrival: Timestamp(2_000),
            batches: 9,
            batches_crc: 0xabcd,
            segment: SEGMENT,
            shard: ShardUid(3),
        };
        footer::encode(index, &trailer)
    };
    let entry =
        |position| IndexEntry { ordinal_delta: 3, arrival_delta: 4, position, header_crc: 5 };
    vec![("bare", footer(&[])), ("index", footer(&[entry(4096), entry(40_000)]))]
}
