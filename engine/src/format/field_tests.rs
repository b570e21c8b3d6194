//! Fields that are impossible, in structures whose sums are right: each is refused by name.

use bytes::Bytes;

use super::checksum::{self, Salt};
use super::group::Prefix;
use super::page_header::{FileKind, PageHeader};
use super::record::{self, RecordRef};
use super::{batch, footer, group, journal, manifest, page_header};
use crate::error::FormatError;
use crate::types::{Epoch, Ordinal, SegmentId, ShardUid, StoreId, Timestamp};

const STORE: StoreId = StoreId(5);
const SALT: Salt = Salt { file: 77, offset: 4096 };

/// A change: bytes written at an offset, and the field that is then impossible.
type Change = (usize, &'static [u8], &'static str);

fn changed(bytes: &[u8], (at, new, _): Change) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

fn refused_field<T: std::fmt::Debug>(found: Result<T, FormatError>) -> &'static str {
    match found {
        Err(FormatError::Field { field, .. }) => field,
        other => panic!("not a refused field: {other:?}"),
    }
}

fn put_crc(bytes: &mut [u8], at: usize, crc: u32) {
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

fn one_record() -> (crate::types::RecordEntry, Vec<u8>) {
    let mut out = Vec::new();
    let record = RecordRef {
        partition_key: Some(b"k"),
        explicit_hash_key: None,
        data: b"data",
        encrypted: false,
    };
    (record::encode(&record, &mut out), out)
}

#[test]
fn impossible_records_are_refused() {
    let (_, stored) = one_record();
    assert_eq!(stored.len(), 16);
    let changes: [Change; 7] = [
        (0, &[1, 0, 0, 1], "data length"),
        (4, &[1, 4], "key length"),
        (6, &[0], "key length"),
        (6, &[9], "flags"),
        (7, &[1], "byte 7"),
        (13, &[1], "padding"),
        (15, &[1], "padding"),
    ];
    for change in changes {
        let found = record::decode(&Bytes::from(changed(&stored, change)));
        assert_eq!(refused_field(found), change.2);
    }
    let longer = [&stored[..], &[0; 8]].concat();
    assert_eq!(refused_field(record::decode(&longer.into())), "data length");
}

#[test]
fn impossible_batch_headers_are_refused() {
    let (entry, stored) = one_record();
    let plan = batch::Plan {
        base_ordinal: Ordinal(1),
        arrival: Timestamp(1),
        epoch: Epoch(1),
        log_position: 0,
        shard: ShardUid(1),
        salt: SALT,
    };
    let mut encoded = vec![0; batch::frame_bytes(1, stored.len())];
    batch::encode(&plan, [(&[entry][..], &stored[..])].into_iter(), &mut encoded);
    let changes: [Change; 8] = [
        (8, &[80, 0, 0, 0], "frame bytes"),
        (8, &[97, 0, 0, 0], "frame bytes"),
        (8, &[8, 0, 0, 4], "frame bytes"),
        (16, &[0xff; 8], "base ordinal"),
        (24, &[0; 4], "record count"),
        (24, &[3, 0, 0, 0], "frame bytes"),
        (30, &[1], "flags"),
        (32, &[0xff; 12], "first arrival"),
    ];
    for change in changes {
        let mut wrong = changed(&encoded, change);
        let crc = checksum::salted(SALT, &wrong[8..64]);
        put_crc(&mut wrong, 4, crc);
        assert_eq!(refused_field(batch::decode_header(&wrong, SALT)), change.2);
    }
}

#[test]
fn impossible_group_heads_are_refused() {
    let prefix = Prefix {
        shard: ShardUid(1),
        segment: SegmentId(2),
        offset: 4096,
        bytes: 88,
        first_of_segment: false,
    };
    let header = group::Header {
        bytes: 4096,
        entries: 1,
        number: 1,
        position: 4096,
        durable_position: 4096,
        previous_crc: 0,
        epoch: Epoch(1),
        payload_bytes: 96 + 88,
        crc: 0,
    };
    let mut encoded = vec![0; 4096];
    group::seal(&header, &[prefix], SALT, &mut encoded);
    let changes: [Change; 14] = [
        (8, &[0, 32], "bytes"),
        (8, &[0, 0, 0, 16], "bytes"),
        (16, &[0; 8], "number"),
        (16, &[0xff; 8], "number"),
        (24, &[1], "position"),
        (24, &[0, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "position"),
        (32, &[0, 32], "durable position"),
        (46, &[1], "flags"),
        (52, &[192], "payload bytes"),
        (56, &[1], "zero"),
        (80, &[0xff; 8], "batch offset"),
        (88, &[80], "batch bytes"),
        (88, &[90], "batch bytes"),
        (92, &[2], "prefix flags"),
    ];
    for change in changes {
        let mut wrong = changed(&encoded, change);
        let crc = checksum::salted(SALT, &wrong[8..96]);
        put_crc(&mut wrong, 4, crc);
        assert_eq!(refused_field(group::decode_head(&wrong, SALT)), change.2);
    }
    let many = changed(&encoded, (12, &[1, 0, 1, 0], "length"));
    assert_eq!(refused_field(group::decode_sound_head(&many, SALT)), "length");
}

#[test]
fn impossible_footers_are_refused() {
    let trailer = footer::Trailer {
        index_entries: 0,
        index_position: 8192,
        base_ordinal: Ordinal(1),
        records: 2,
        first_arrival: Timestamp(5),
        last_arrival: Timestamp(6),
        batches: 1,
        batches_crc: 0,
        segment: SegmentId(3),
        shard: ShardUid(1),
    };
    let encoded = footer::encode(&[], &trailer);
    let changes: [Change; 7] = [
        (16, &[0, 16], "index position"),
        (24, &[0xff; 8], "base ordinal"),
        (40, &[7], "last arrival"),
        (64, &[4], "segment id"),
        (80, &[1], "zero"),
        (91, &[1], "zero"),
        (12, &[1], "index position"),
    ];
    for change in changes {
        let mut wrong = changed(&encoded, change);
        let salt = Salt { file: 3, offset: 8192 };
        let crc = checksum::salted(salt, &wrong[..92]);
        put_crc(&mut wrong, 92, crc);
        assert_eq!(refused_field(footer::decode(&wrong, 8192 + 96, SegmentId(3))), change.2);
    }
}

#[test]
fn impossible_manifests_are_refused() {
    let manifest = manifest::Manifest {
        generation: 1,
        replay: manifest::ReplayStart {
            sequence: 0,
            offset: 4096,
            group_number: 1,
            position: 0,
            previous_crc: 0,
        },
        epoch: Epoch(1),
        shards: vec![manifest::ShardFloor {
            shard: ShardUid(1),
            next: Ordinal(1),
            first_kept: Ordinal(1),
            active: None,
            last_arrival: Timestamp(0),
            last_segment: SegmentId(0),
        }],
    };
    let encoded = manifest::encode(&manifest, STORE);
    let changes: [Change; 5] = [
        (4096, &[0], "generation"),
        (4096 + 52, &[1], "zero"),
        (4096 + 63, &[1], "zero"),
        (4096 + 64 + 32, &[1], "active segment id"),
        (4096 + 64 + 40, &[1], "active segment id"),
    ];
    for change in changes {
        let mut wrong = changed(&encoded, change);
        let end = wrong.len() - 4;
        let crc = checksum::crc(&wrong[4096..end]);
        put_crc(&mut wrong, end, crc);
        assert_eq!(refused_field(manifest::decode(&wrong, STORE)), change.2);
    }
    assert_eq!(refused_field(manifest::decode(&encoded, StoreId(6))), "store id");
}

#[test]
fn impossible_page_headers_are_refused() {
    let header = PageHeader { kind: FileKind::Store, store: STORE, fields: [0; 10] };
    let encoded = page_header::encode(&header);
    let changes: [Change; 4] = [
        (12, &[0], "version"),
        (16, &[2], "checksum algorithm"),
        (20, &[1], "zero"),
        (123, &[1], "zero"),
    ];
    for change in changes {
        let mut wrong = changed(&encoded, change);
        let crc = checksum::crc(&wrong[..124]);
        put_crc(&mut wrong, 124, crc);
        assert_eq!(refused_field(page_header::decode(&wrong, FileKind::Store)), change.2);
    }
}

#[test]
fn impossible_journal_frames_are_refused() {
    let encoded = journal::encode(STORE, 1, 4096, 0, b"{}");
    let mut wrong = changed(&encoded, (12, &[1], "zero"));
    let crc = checksum::salted(Salt::numbered(STORE, 1, 4096), &wrong[8..26]);
    put_crc(&mut wrong, 4, crc);
    assert_eq!(refused_field(journal::decode(&wrong, STORE, 1, 4096)), "zero");
    let long = changed(&encoded, (8, &[0, 0, 0, 0x11], "length"));
    assert_eq!(refused_field(journal::decode(&long, STORE, 1, 4096)), "length");
}
