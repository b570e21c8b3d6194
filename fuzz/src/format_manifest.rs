//! `format::manifest`: what decodes encodes to the same slot.

use kinelog_engine::format::checksum;
use kinelog_engine::format::manifest::{self, ActiveFloor, Manifest, ReplayStart, ShardFloor};
use kinelog_engine::format::page_header::{self, FileKind, PageHeader};
use kinelog_engine::types::{Epoch, Ordinal, SegmentId, ShardUid, Timestamp};

use crate::samples::STORE;
use crate::{Seed, put, u32_at};

/// The target: `data` is a slot without its page header, so that seeds and changes are about the
/// contents.
pub fn run(data: &[u8]) {
    let page = PageHeader { kind: FileKind::Manifest, store: STORE, fields: [0; 10] };
    let page = page_header::encode(&page);
    let mut slot = [&page, data].concat();
    check(&slot);
    let end =
        u32_at(data, 48).and_then(|entries| entries.checked_mul(64)).map(|n| page.len() + 64 + n);
    if let Some((end, summed)) = end.and_then(|end| Some((end, slot.get(page.len()..end)?))) {
        let crc = checksum::crc(summed);
        put(&mut slot, end, crc);
        check(&slot);
    }
}

fn check(slot: &[u8]) {
    let Ok(found) = manifest::decode(slot, STORE) else { return };
    let again = manifest::encode(&found, STORE);
    assert_eq!(again, slot[..again.len()], "each slot has one stored form");
}

/// Slots without and with shards.
pub fn seeds() -> Vec<Seed> {
    let floor = ShardFloor {
        shard: ShardUid(3),
        next: Ordinal(90),
        first_kept: Ordinal(4),
        active: Some(ActiveFloor { segment: SegmentId(8), base: Ordinal(70), bytes: 8192 }),
        last_arrival: Timestamp(1_000),
        last_segment: SegmentId(8),
    };
    let slot = |shards| {
        let replay = ReplayStart {
            sequence: 3,
            offset: 4096,
            group_number: 77,
            position: 1 << 20,
            previous_crc: 9,
        };
        let manifest = Manifest { generation: 4, replay, epoch: Epoch(2), shards };
        manifest::encode(&manifest, STORE).split_off(4096)
    };
    vec![
        ("empty", slot(vec![])),
        ("shards", slot(vec![floor, ShardFloor { active: None, ..floor }])),
    ]
}
