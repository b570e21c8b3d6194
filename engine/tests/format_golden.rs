//! Version 1 of each stored format, byte for byte: the files under `fixtures/v1` are kept forever.
//! Each decodes to the values stated here, and the same values encode to the same bytes.
//!
//! `KINELOG_WRITE_FIXTURES=1` writes missing files; an existing one is never replaced.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "fixtures are files of the repository")]

use std::path::PathBuf;

use bytes::Bytes;
use kinelog_engine::format::batch::{self, Batch};
use kinelog_engine::format::checksum::Salt;
use kinelog_engine::format::footer::{self, IndexEntry, Trailer};
use kinelog_engine::format::group;
use kinelog_engine::format::journal;
use kinelog_engine::format::manifest::{self, ActiveFloor, Manifest, ReplayStart, ShardFloor};
use kinelog_engine::format::page_header::{self, FileKind, PageHeader};
use kinelog_engine::format::record::{self, RecordRef};
use kinelog_engine::types::{Epoch, Ordinal, RecordEntry, SegmentId, ShardUid, StoreId, Timestamp};

const STORE: StoreId = StoreId(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
const SEGMENT: SegmentId = SegmentId(0x5e6);
const SHARD: ShardUid = ShardUid(3);
const ARRIVAL: Timestamp = Timestamp(1_735_689_600_123);

/// The committed file of this name; `encoded` must be the same.
fn golden(name: &str, encoded: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1").join(name);
    if std::env::var_os("KINELOG_WRITE_FIXTURES").is_some() && !path.exists() {
        std::fs::write(&path, encoded).unwrap();
    }
    let stored = std::fs::read(&path).unwrap();
    assert_eq!(stored, encoded, "{name} is encoded as it was");
    stored
}

fn records() -> [RecordRef<'static>; 3] {
    let plain = RecordRef {
        partition_key: Some(b"tail-N14228"),
        explicit_hash_key: None,
        data: b"{\"origin\":\"EWR\",\"dest\":\"IAH\"}",
        encrypted: false,
    };
    [
        plain,
        RecordRef { explicit_hash_key: Some(1 << 127 | 5), data: b"", ..plain },
        RecordRef { partition_key: None, data: &[0xff; 9], encrypted: true, ..plain },
    ]
}

fn stored_records() -> (Vec<RecordEntry>, Vec<u8>) {
    let mut bytes = Vec::new();
    let entries = records().iter().map(|record| record::encode(record, &mut bytes)).collect();
    (entries, bytes)
}

fn encoded_batch() -> (batch::Header, Vec<u8>) {
    let (entries, bytes) = stored_records();
    let plan = batch::Plan {
        base_ordinal: Ordinal(41),
        arrival: ARRIVAL,
        epoch: Epoch(2),
        log_position: 12_288,
        shard: SHARD,
        salt: batch::salt(SEGMENT, 4096),
    };
    let mut out = vec![0xff; batch::frame_bytes(entries.len(), bytes.len())];
    let header = batch::encode(&plan, [(&entries[..], &bytes[..])].into_iter(), &mut out);
    (header, out)
}

#[test]
fn a_record_of_version_1_is_as_it_was() {
    let (entries, bytes) = stored_records();
    let stored = Bytes::from(golden("records.bin", &bytes));
    let mut start = 0;
    for (entry, expected) in entries.iter().zip(records()) {
        let end = start + entry.stored_bytes as usize;
        let found = record::decode(&stored.slice(start..end)).unwrap();
        assert_eq!(found.partition_key.as_deref(), expected.partition_key);
        assert_eq!(found.explicit_hash_key, expected.explicit_hash_key);
        assert_eq!(found.data, expected.data);
        assert_eq!(found.encrypted, expected.encrypted);
        start = end;
    }
    assert_eq!(start, stored.len());
}

#[test]
fn a_batch_of_version_1_is_as_it_was() {
    let (header, bytes) = encoded_batch();
    let stored = Bytes::from(golden("batch.bin", &bytes));
    let found = Batch::open(&stored, Salt { file: 0x5e6, offset: 4096 }).unwrap();
    assert_eq!(found.header, header);
    assert_eq!(
        (header.base_ordinal, header.count, header.first_arrival, header.last_arrival_delta),
        (Ordinal(41), 3, ARRIVAL, 0)
    );
    assert_eq!((header.epoch, header.log_position, header.shard), (Epoch(2), 12_288, SHARD));
    assert!(!found.repaired() && found.damaged().is_empty());
    assert_eq!(found.record(2).unwrap().ordinal, Ordinal(43));
    assert_eq!(found.record(2).unwrap().record.data, vec![0xff; 9]);
}

#[test]
fn a_group_of_version_1_is_as_it_was() {
    let (_, batch) = encoded_batch();
    let prefix = group::Prefix {
        shard: SHARD,
        segment: SEGMENT,
        offset: 4096,
        bytes: u32::try_from(batch.len()).unwrap(),
        first_of_segment: true,
    };
    let mut out = vec![0; 4096];
    let head = group::head_bytes(1);
    out[head..head + batch.len()].copy_from_slice(&batch);
    let header = group::Header {
        bytes: 4096,
        entries: 1,
        number: 4,
        position: 12_288,
        durable_position: 12_288,
        previous_crc: 0xdead_beef,
        epoch: Epoch(2),
        payload_bytes: u32::try_from(head + batch.len()).unwrap(),
        crc: 0,
    };
    let salt = group::salt(STORE, 9, 8192);
    let sealed = group::seal(&header, &[prefix], salt, &mut out);
    let stored = golden("group.bin", &out);
    let found = group::decode_head(&stored, salt).unwrap();
    assert_eq!(found, group::Head { header: sealed, prefixes: vec![prefix], repaired: false });
    assert_eq!(group::Header { crc: 0, ..sealed }, header);
}

#[test]
fn a_footer_of_version_1_is_as_it_was() {
    let index = [
        IndexEntry { ordinal_delta: 0, arrival_delta: 0, position: 4096, header_crc: 0x0102_0304 },
        IndexEntry { ordinal_delta: 70, arrival_delta: 9, position: 40_000, header_crc: 7 },
    ];
    let trailer = Trailer {
        index_entries: 2,
        index_position: 65_536,
        base_ordinal: Ordinal(41),
        records: 100,
        first_arrival: ARRIVAL,
        last_arrival: Timestamp(ARRIVAL.0 + 12),
        batches: 30,
        batches_crc: 0x0a0b_0c0d,
        segment: SEGMENT,
        shard: SHARD,
    };
    let stored = golden("footer.bin", &footer::encode(&index, &trailer));
    assert_eq!(footer::decode(&stored, 65_536 + 128, SEGMENT), Ok(trailer));
    assert_eq!([0, 1].map(|i| footer::index_entry(&stored, i)), index);
}

#[test]
fn a_page_header_of_version_1_is_as_it_was() {
    let header = PageHeader {
        kind: FileKind::Segment,
        store: STORE,
        fields: [1, 3, 0x5e6, 41, ARRIVAL.0, 0x5e5, 0, 0, 0, 0],
    };
    let stored = golden("page_header.bin", &page_header::encode(&header));
    assert_eq!(page_header::decode(&stored, FileKind::Segment), Ok((header, false)));
}

#[test]
fn a_manifest_of_version_1_is_as_it_was() {
    let floor = ShardFloor {
        shard: SHARD,
        next: Ordinal(44),
        first_kept: Ordinal(12),
        active: Some(ActiveFloor { segment: SEGMENT, base: Ordinal(41), bytes: 8192 }),
        last_arrival: ARRIVAL,
        last_segment: SEGMENT,
    };
    let idle = ShardFloor { shard: ShardUid(8), active: None, last_segment: SegmentId(0), ..floor };
    let manifest = Manifest {
        generation: 6,
        replay: ReplayStart {
            sequence: 9,
            offset: 12_288,
            group_number: 5,
            position: 16_384,
            previous_crc: 0xdead_beef,
        },
        epoch: Epoch(2),
        shards: vec![floor, idle],
    };
    let stored = golden("manifest.bin", &manifest::encode(&manifest, STORE));
    assert_eq!(manifest::decode(&stored, STORE), Ok(manifest));
}

#[test]
fn a_journal_frame_of_version_1_is_as_it_was() {
    let payload = b"{\"stream\":1}";
    let stored = golden("journal_frame.bin", &journal::encode(STORE, 2, 4096, 7, payload));
    let frame = journal::Frame { number: 7, payload: payload.to_vec(), bytes: 40, repaired: false };
    assert_eq!(journal::decode(&stored, STORE, 2, 4096), Ok(frame));
}
