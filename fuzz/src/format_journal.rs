//! `format::journal`: what decodes encodes to the same frame.

use kinelog_engine::format::checksum::{self, Salt};
use kinelog_engine::format::journal::{self, HEADER_BYTES};

use crate::samples::{OFFSET, STORE};
use crate::{Seed, put, u32_at};

const GENERATION: u64 = 6;

/// The target.
pub fn run(data: &[u8]) {
    check(data);
    let mut sealed = data.to_vec();
    let end = u32_at(data, 8).and_then(|payload| payload.checked_add(HEADER_BYTES));
    if let Some(summed) = end.and_then(|end| data.get(8..end)) {
        let salt = Salt::numbered(STORE, GENERATION, OFFSET);
        put(&mut sealed, 4, checksum::salted(salt, summed));
        check(&sealed);
    }
}

fn check(data: &[u8]) {
    let Ok(frame) = journal::decode(data, STORE, GENERATION, OFFSET) else { return };
    let again = journal::encode(STORE, GENERATION, OFFSET, frame.number, &frame.payload);
    assert_eq!(again.len() as u64, frame.bytes);
    assert_eq!(again != data[..again.len()], frame.repaired, "each frame has one stored form");
}

/// Frames without and with a payload.
pub fn seeds() -> Vec<Seed> {
    let frame = |payload: &[u8]| journal::encode(STORE, GENERATION, OFFSET, 12, payload);
    vec![("empty", frame(b"")), ("text", frame(b"{\"stream\":\"a\",\"shards\":[1,2,3]}"))]
}
