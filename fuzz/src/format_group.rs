//! `format::group`: what decodes lies inside its group and seals to the same bytes.

use kinelog_engine::format::{checksum, group};

use crate::samples::{self, FIRST_GROUP, OFFSET, STORE};
use crate::{Seed, put, u32_at};

const SEQUENCE: u64 = 2;

/// The target.
pub fn run(data: &[u8]) {
    check(data);
    let mut sealed = data.to_vec();
    let end = u32_at(data, 12).and_then(|entries| entries.checked_mul(32)).map(|bytes| 64 + bytes);
    if let Some(summed) = end.and_then(|end| sealed.get(8..end)) {
        let crc = checksum::salted(group::salt(STORE, SEQUENCE, OFFSET), summed);
        put(&mut sealed, 4, crc);
        check(&sealed);
    }
}

fn check(data: &[u8]) {
    let salt = group::salt(STORE, SEQUENCE, OFFSET);
    let found = group::decode_head(data, salt);
    let strict = group::decode_sound_head(data, salt);
    let Ok(head) = found else {
        assert!(strict.is_err(), "repair refuses nothing that is sound");
        return;
    };
    let payload = head.header.payload_bytes as usize;
    let end = head.batches().last().map_or(group::head_bytes(0), |(_, range)| range.end);
    assert!(end == payload && payload <= data.len(), "the batches fill the payload");
    assert_eq!(strict.is_ok(), !head.repaired);
    if !head.repaired {
        let mut again = vec![0; head.header.bytes as usize];
        assert_eq!(group::seal(&head.header, &head.prefixes, salt, &mut again), head.header);
        let head_bytes = group::head_bytes(head.prefixes.len());
        assert_eq!(again[..head_bytes], data[..head_bytes], "each head has one stored form");
    }
}

/// Groups of no, one and several batches.
pub fn seeds() -> Vec<Seed> {
    let group = |data_bytes: &[usize]| samples::group(&FIRST_GROUP, SEQUENCE, OFFSET, data_bytes).1;
    vec![("empty", group(&[])), ("one", group(&[100])), ("three", group(&[10, 5000, 0]))]
}
