//! `format::page_header`: what decodes as undamaged encodes to the same page.

use kinelog_engine::format::checksum;
use kinelog_engine::format::page_header::{self, FileKind, PageHeader};

use crate::samples::STORE;
use crate::{Seed, put};

const KINDS: [FileKind; 5] =
    [FileKind::Store, FileKind::Segment, FileKind::Log, FileKind::Manifest, FileKind::Journal];

/// The target.
pub fn run(data: &[u8]) {
    check(data);
    let mut sealed = data.to_vec();
    for copy in [0, 2048] {
        if let Some(summed) = sealed.get(copy..copy + 124) {
            let crc = checksum::crc(summed);
            put(&mut sealed, copy + 124, crc);
        }
    }
    check(&sealed);
}

fn check(data: &[u8]) {
    let found = KINDS.map(|kind| page_header::decode(data, kind));
    assert!(found.iter().filter(|found| found.is_ok()).count() <= 1, "a page is of one kind");
    for (header, damaged) in found.into_iter().flatten() {
        assert_eq!(page_header::encode(&header) == data[..4096], !damaged);
    }
}

/// One page of each kind.
pub fn seeds() -> Vec<Seed> {
    let names = ["store", "segment", "log", "manifest", "journal"];
    let page = |kind| {
        let fields = [1, 2, 3, 4, 5, 6, 0, 0, 0, 0];
        page_header::encode(&PageHeader { kind, store: STORE, fields }).to_vec()
    };
    names.into_iter().zip(KINDS.map(page)).collect()
}
