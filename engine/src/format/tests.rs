//! Properties every format has: round trip; each flipped bit is found or repaired; each truncation,
//! all zeros and frames moved elsewhere are refused; arbitrary bytes never panic.

use bytes::Bytes;
use proptest::prelude::*;

use super::batch::{self, Batch};
use super::checksum::{self, Salt};
use super::page_header::{FileKind, PageHeader};
use super::record::{self, RecordRef};
use super::{footer, group, journal, manifest, page_header};
use crate::error::FormatError;
use crate::types::{Epoch, Ordinal, RecordEntry, SegmentId, ShardUid, StoreId, Timestamp};

const STORE: StoreId = StoreId(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
const SALT: Salt = Salt { file: 77, offset: 4096 };
const MOVED: Salt = Salt { file: 77, offset: 8192 };

#[derive(Clone, Debug)]
struct OwnedRecord {
    key: Option<Vec<u8>>,
    hash_key: Option<u128>,
    data: Vec<u8>,
    encrypted: bool,
}

impl OwnedRecord {
    fn borrow(&self) -> RecordRef<'_> {
        RecordRef {
            partition_key: self.key.as_deref(),
            explicit_hash_key: self.hash_key,
            data: &self.data,
            encrypted: self.encrypted,
        }
    }

    fn equals(&self, found: &record::Record) -> bool {
        self.key.as_deref() == found.partition_key.as_deref()
            && self.hash_key == found.explicit_hash_key
            && self.data == found.data
            && self.encrypted == found.encrypted
    }
}

fn bytes_up_to(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=length)
}

fn any_record() -> impl Strategy<Value = OwnedRecord> {
    (prop::option::of(bytes_up_to(40)), any::<Option<u128>>(), bytes_up_to(90), any::<bool>())
        .prop_map(|(key, hash_key, data, encrypted)| OwnedRecord { key, hash_key, data, encrypted })
}

fn encode_batch(records: &[OwnedRecord], split: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let entries: Vec<RecordEntry> =
        records.iter().map(|record| record::encode(&record.borrow(), &mut bytes)).collect();
    let (first, second) = entries.split_at(split.min(entries.len()));
    let middle = first.iter().map(|entry| entry.stored_bytes as usize).sum();
    let plan = batch::Plan {
        base_ordinal: Ordinal(9),
        arrival: Timestamp(1_700_000_000_123),
        epoch: Epoch(3),
        log_position: 4096,
        shard: ShardUid(5),
        salt: SALT,
    };
    let mut out = vec![0xff; batch::frame_bytes(records.len(), bytes.len())];
    let runs = [(first, &bytes[..middle]), (second, &bytes[middle..])];
    let header = batch::encode(&plan, runs.into_iter(), &mut out);
    assert_eq!(batch::decode_header(&out, SALT), Ok(header));
    out
}

fn any_batch() -> impl Strategy<Value = (Vec<OwnedRecord>, Vec<u8>)> {
    (prop::collection::vec(any_record(), 1..6), 0..6_usize).prop_map(|(records, split)| {
        let encoded = encode_batch(&records, split);
        (records, encoded)
    })
}

fn any_prefix() -> impl Strategy<Value = group::Prefix> {
    (any::<u64>(), any::<u64>(), 0..1_u64 << 40, 0..50_u32, any::<bool>()).prop_map(
        |(shard, segment, offset, words, first_of_segment)| group::Prefix {
            shard: ShardUid(shard),
            segment: SegmentId(segment),
            offset,
            bytes: 88 + words * 8,
            first_of_segment,
        },
    )
}

fn any_group() -> impl Strategy<Value = (group::Head, Vec<u8>)> {
    let numbers = (1..1_u64 << 50, 0..1_u64 << 40, any::<u32>(), any::<u32>());
    (prop::collection::vec(any_prefix(), 0..5), numbers).prop_map(
        |(prefixes, (number, page, previous_crc, epoch))| {
            let batches: usize = prefixes.iter().map(|prefix| prefix.bytes as usize).sum();
            let payload = group::head_bytes(prefixes.len()) + batches;
            let bytes = payload.next_multiple_of(4096);
            let header = group::Header {
                bytes: u32::try_from(bytes).unwrap(),
                entries: 0,
                number,
                position: page * 4096,
                durable_position: page / 2 * 4096,
                previous_crc,
                epoch: Epoch(epoch),
                payload_bytes: u32::try_from(payload).unwrap(),
                crc: 0,
            };
            let mut out = vec![0; bytes];
            let header = group::seal(&header, &prefixes, SALT, &mut out);
            (group::Head { header, prefixes, repaired: false }, out)
        },
    )
}

fn any_manifest() -> impl Strategy<Value = manifest::Manifest> {
    let floor = (any::<[u64; 5]>(), any::<Option<(u64, u64)>>(), 1..u64::MAX).prop_map(
        |([shard, next, first_kept, last_arrival, last_segment], active, segment)| {
            manifest::ShardFloor {
                shard: ShardUid(shard),
                next: Ordinal(next),
                first_kept: Ordinal(first_kept),
                active: active.map(|(base, bytes)| manifest::ActiveFloor {
                    segment: SegmentId(segment),
                    base: Ordinal(base),
                    bytes,
                }),
                last_arrival: Timestamp(last_arrival),
                last_segment: SegmentId(last_segment),
            }
        },
    );
    let replay = (any::<[u64; 4]>(), any::<u32>()).prop_map(
        |([sequence, offset, group_number, position], previous_crc)| manifest::ReplayStart {
            sequence,
            offset,
            group_number,
            position,
            previous_crc,
        },
    );
    (1..u64::MAX, replay, any::<u32>(), prop::collection::vec(floor, 0..4)).prop_map(
        |(generation, replay, epoch, shards)| manifest::Manifest {
            generation,
            replay,
            epoch: Epoch(epoch),
            shards,
        },
    )
}

fn any_footer() -> impl Strategy<Value = (footer::Trailer, Vec<footer::IndexEntry>)> {
    let entry = any::<[u32; 4]>().prop_map(|[ordinal_delta, arrival_delta, position, crc]| {
        footer::IndexEntry { ordinal_delta, arrival_delta, position, header_crc: crc }
    });
    (prop::collection::vec(entry, 0..5), 0..1_u64 << 30, any::<[u32; 6]>()).prop_map(
        |(index, position, [base, records, arrival, batches, crc, shard])| {
            let trailer = footer::Trailer {
                index_entries: u32::try_from(index.len()).unwrap(),
                index_position: position,
                base_ordinal: Ordinal(u64::from(base)),
                records: u64::from(records),
                first_arrival: Timestamp(u64::from(arrival)),
                last_arrival: Timestamp(u64::from(arrival) + 7),
                batches: batches.max(5),
                batches_crc: crc,
                segment: SegmentId(31),
                shard: ShardUid(u64::from(shard)),
            };
            (trailer, index)
        },
    )
}

fn decode_footer(end: &[u8], position: u64) -> Result<footer::Trailer, FormatError> {
    footer::decode(end, position + end.len() as u64, SegmentId(31))
}

/// Calls `check` with each copy of `bytes` that has one bit flipped.
fn each_flipped_bit(bytes: &[u8], mut check: impl FnMut(usize, &[u8])) {
    let mut damaged = bytes.to_vec();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            damaged[at] ^= 1 << bit;
            check(at, &damaged);
            damaged[at] ^= 1 << bit;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_record_comes_back_as_it_went_in(record in any_record(), before in bytes_up_to(9)) {
        let mut out = before.clone();
        let entry = record::encode(&record.borrow(), &mut out);
        let stored = Bytes::from(out).slice(before.len()..);
        prop_assert_eq!(entry.stored_bytes as usize, stored.len());
        prop_assert_eq!(entry.crc, checksum::crc(&stored));
        prop_assert!(record.equals(&record::decode(&stored).unwrap()));
        for length in 0..stored.len() {
            prop_assert!(record::decode(&stored.slice(..length)).is_err());
        }
    }

    #[test]
    fn a_batch_comes_back_as_it_went_in((records, encoded) in any_batch(), tail in bytes_up_to(9)) {
        let mut longer = encoded.clone();
        longer.extend_from_slice(&tail);
        let opened = Batch::open(&longer.into(), SALT).unwrap();
        prop_assert!(!opened.repaired());
        prop_assert_eq!(&opened.bytes()[..], &encoded[..]);
        prop_assert_eq!(opened.header.count as usize, records.len());
        for (i, expected) in (0..).zip(&records) {
            let found = opened.record(i).unwrap();
            prop_assert!(expected.equals(&found.record));
            prop_assert_eq!(found.ordinal, Ordinal(9 + u64::from(i)));
            prop_assert_eq!(found.arrival, Timestamp(1_700_000_000_123));
            let payload = expected.data.len() + expected.key.as_ref().map_or(0, Vec::len);
            prop_assert_eq!(opened.payload_bytes(i), payload);
        }
        prop_assert_eq!(opened.end(), Ordinal(9 + records.len() as u64));
        prop_assert_eq!(batch::inspect(&encoded, SALT), Ok(None));
    }

    #[test]
    fn a_batch_elsewhere_or_cut_short_is_refused((_, encoded) in any_batch()) {
        let bytes = Bytes::from(encoded);
        prop_assert!(Batch::open(&bytes, MOVED).is_err());
        for length in 0..bytes.len() {
            prop_assert!(Batch::open(&bytes.slice(..length), SALT).is_err());
            prop_assert!(batch::inspect(&bytes[..length], SALT).is_err());
        }
    }

    #[test]
    fn a_group_comes_back_as_it_went_in((head, encoded) in any_group()) {
        prop_assert_eq!(group::decode_head(&encoded, SALT), Ok(head.clone()));
        prop_assert_eq!(group::decode_sound_head(&encoded, SALT), Ok(head.clone()));
        prop_assert!(group::decode_head(&encoded, MOVED).is_err());
        for length in 0..encoded.len() {
            prop_assert!(group::decode_head(&encoded[..length], SALT).is_err());
        }
        let end = head.batches().last().map_or(64, |(_, range)| range.end);
        prop_assert_eq!(end, head.header.payload_bytes as usize);
    }

    #[test]
    fn a_flipped_bit_of_a_group_head_is_repaired((head, encoded) in any_group()) {
        let repaired = group::Head { repaired: true, ..head.clone() };
        each_flipped_bit(&encoded[..group::head_bytes(head.prefixes.len())], |at, damaged| {
            let mut whole = encoded.clone();
            whole[..damaged.len()].copy_from_slice(damaged);
            assert_eq!(group::decode_head(&whole, SALT), Ok(repaired.clone()), "byte {at}");
            assert!(group::decode_sound_head(&whole, SALT).is_err(), "byte {at}");
        });
    }

    #[test]
    fn a_page_header_comes_back_as_it_went_in(
        store in any::<u128>(), fields in any::<[u64; 10]>(),
    ) {
        let header = PageHeader { kind: FileKind::Segment, store: StoreId(store), fields };
        let page = page_header::encode(&header);
        prop_assert_eq!(page_header::decode(&page, FileKind::Segment), Ok((header, false)));
        let other = page_header::decode(&page, FileKind::Log);
        let is_magic = matches!(other, Err(FormatError::Magic { .. }));
        prop_assert!(is_magic);
    }

    #[test]
    fn a_manifest_comes_back_and_refuses_damage(manifest in any_manifest(), tail in bytes_up_to(9)) {
        let mut encoded = manifest::encode(&manifest, STORE);
        let length = encoded.len();
        for short in (0..length).step_by(7) {
            prop_assert!(manifest::decode(&encoded[..short], STORE).is_err());
        }
        prop_assert!(manifest::decode(&encoded, StoreId(1)).is_err());
        each_flipped_bit(&encoded.clone()[4096..], |at, damaged| {
            encoded[4096..].copy_from_slice(damaged);
            assert!(manifest::decode(&encoded, STORE).is_err(), "byte {at}");
        });
        let mut encoded = manifest::encode(&manifest, STORE);
        encoded.extend_from_slice(&tail);
        prop_assert_eq!(manifest::decode(&encoded, STORE), Ok(manifest));
    }

    #[test]
    fn a_footer_comes_back_and_refuses_damage((trailer, index) in any_footer()) {
        let encoded = footer::encode(&index, &trailer);
        let position = trailer.index_position;
        prop_assert_eq!(decode_footer(&encoded, position), Ok(trailer));
        for (i, entry) in index.iter().enumerate() {
            prop_assert_eq!(footer::index_entry(&encoded, i), *entry);
        }
        prop_assert!(decode_footer(&encoded, position + 8).is_err());
        let file_bytes = position + encoded.len() as u64;
        prop_assert!(footer::decode(&encoded, file_bytes, SegmentId(32)).is_err());
        for cut in 1..=encoded.len() {
            prop_assert!(footer::decode(&encoded[cut..], file_bytes, SegmentId(31)).is_err());
            prop_assert!(decode_footer(&encoded[..encoded.len() - cut], position).is_err());
        }
        each_flipped_bit(&encoded, |at, damaged| {
            assert!(decode_footer(damaged, position).is_err(), "byte {at}");
        });
    }

    #[test]
    fn a_journal_frame_comes_back_and_is_repaired(
        payload in bytes_up_to(60), number in any::<u64>(), offset in any::<u64>(),
    ) {
        let encoded = journal::encode(STORE, 3, offset, number, &payload);
        let mut frame = journal::Frame {
            number, payload, bytes: encoded.len() as u64, repaired: false,
        };
        prop_assert_eq!(journal::decode(&encoded, STORE, 3, offset), Ok(frame.clone()));
        prop_assert!(journal::decode(&encoded, STORE, 4, offset).is_err());
        prop_assert!(journal::decode(&encoded, StoreId(1), 3, offset).is_err());
        prop_assert!(journal::decode(&encoded, STORE, 3, offset ^ 8).is_err());
        for length in 0..encoded.len() {
            prop_assert!(journal::decode(&encoded[..length], STORE, 3, offset).is_err());
        }
        frame.repaired = true;
        each_flipped_bit(&encoded, |at, damaged| {
            assert_eq!(journal::decode(damaged, STORE, 3, offset), Ok(frame.clone()), "byte {at}");
        });
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in bytes_up_to(5000), magic in 0..4_usize) {
        let mut bytes = bytes;
        let magics: [&[u8]; 4] = [b"KLB1", b"KLG1", b"KLJ1", b"KINELOG\0"];
        if bytes.len() >= 8 {
            bytes[..magics[magic].len()].copy_from_slice(magics[magic]);
        }
        prop_assert!(group::decode_head(&bytes, SALT).is_err());
        prop_assert!(journal::decode(&bytes, STORE, 1, 0).is_err());
        prop_assert!(page_header::decode(&bytes, FileKind::Log).is_err());
        prop_assert!(manifest::decode(&bytes, STORE).is_err());
        prop_assert!(decode_footer(&bytes, 0).is_err());
        prop_assert!(Batch::open(&bytes.clone().into(), SALT).is_err());
        let length = bytes.len();
        if let Ok(found) = record::decode(&bytes.into()) {
            prop_assert!(found.data.len() < length);
        }
    }
}

#[test]
fn every_flipped_bit_of_a_batch_is_repaired_or_costs_one_record() {
    let record = |data: &[u8]| OwnedRecord {
        key: Some(b"key".to_vec()),
        hash_key: Some(7),
        data: data.to_vec(),
        encrypted: false,
    };
    let records = [record(b"first"), record(b""), record(b"the third of them")];
    let encoded = encode_batch(&records, 2);
    each_flipped_bit(&encoded, |at, damaged| {
        let opened = Batch::open(&damaged.to_vec().into(), SALT).unwrap();
        if opened.repaired() {
            assert_eq!(&opened.bytes()[..], &encoded[..], "byte {at}");
        }
        let lost = opened.damaged();
        assert_eq!(opened.repaired(), lost.is_empty(), "byte {at}");
        assert!(lost.len() <= 1, "byte {at}");
        for (i, expected) in (0..).zip(&records) {
            match opened.record(i) {
                Ok(found) => assert!(expected.equals(&found.record), "byte {at}"),
                Err(error) => {
                    assert!(matches!(error, FormatError::Checksum { .. }), "byte {at}");
                    assert_eq!(lost, [i]);
                }
            }
        }
        let flipped = batch::inspect(damaged, SALT).unwrap().unwrap();
        assert_eq!(flipped.offset, at);
        let mut repaired = damaged.to_vec();
        flipped.repair(&mut repaired);
        assert_eq!(repaired, encoded);
    });
}

proptest! {
    #[test]
    fn an_excerpt_holds_the_chosen_records_and_no_others(
        (records, encoded) in any_batch(),
        from in 0..6_u32,
        count in 1..6_u32,
    ) {
        let whole = Batch::open(&encoded.into(), SALT).unwrap();
        let from = from.min(whole.header.count - 1);
        let until = (from + count).min(whole.header.count);
        let excerpt = whole.excerpt(from..until, MOVED);
        prop_assert_eq!(batch::inspect(&excerpt, MOVED), Ok(None));
        let excerpt = Batch::open(&excerpt.into(), MOVED).unwrap();
        prop_assert_eq!(excerpt.header.base_ordinal, Ordinal(9 + u64::from(from)));
        prop_assert_eq!(excerpt.header.count, until - from);
        for i in 0..excerpt.header.count {
            let found = excerpt.record(i).unwrap();
            prop_assert!(records[(from + i) as usize].equals(&found.record));
            prop_assert_eq!(found.arrival, whole.arrival(from + i));
        }
    }
}

#[test]
fn a_page_header_survives_any_flipped_bit() {
    let header = PageHeader { kind: FileKind::Segment, store: STORE, fields: [0x5a5a; 10] };
    each_flipped_bit(&page_header::encode(&header), |at, damaged| {
        let found = page_header::decode(damaged, FileKind::Segment);
        assert_eq!(found, Ok((header, true)), "byte {at}");
    });
}

#[test]
fn zeros_are_never_valid() {
    for length in (0..600).chain([4095, 4096, 4097, 8192]) {
        let zeros = vec![0; length];
        assert!(batch::decode_header_repairing(&zeros, SALT).is_err());
        assert!(Batch::open(&zeros.clone().into(), SALT).is_err());
        assert!(batch::inspect(&zeros, SALT).is_err());
        assert!(group::decode_head(&zeros, SALT).is_err());
        assert!(journal::decode(&zeros, STORE, 1, 4096).is_err());
        assert!(page_header::decode(&zeros, FileKind::Store).is_err());
        assert!(manifest::decode(&zeros, STORE).is_err());
        assert!(decode_footer(&zeros, 0).is_err());
    }
}

/// Replaces the arrivals of a batch of `arrivals.len()` records, sums included.
fn with_arrivals(mut encoded: Vec<u8>, arrivals: &[u32]) -> Vec<u8> {
    for (i, arrival) in arrivals.iter().enumerate() {
        encoded[64 + 12 * i + 4..][..4].copy_from_slice(&arrival.to_le_bytes());
    }
    let table = 64 + (12 * arrivals.len()).next_multiple_of(8);
    let crc = checksum::crc(&encoded[64..table]);
    encoded[12..16].copy_from_slice(&crc.to_le_bytes());
    encoded[40..44].copy_from_slice(&arrivals.last().unwrap().to_le_bytes());
    let crc = checksum::salted(SALT, &encoded[8..64]);
    encoded[4..8].copy_from_slice(&crc.to_le_bytes());
    encoded
}

#[test]
fn first_at_finds_the_first_record_not_before_a_time() {
    let record = OwnedRecord { key: None, hash_key: None, data: vec![1], encrypted: true };
    let encoded = encode_batch(&vec![record; 5], 1);
    let opened = with_arrivals(encoded.clone(), &[0, 10, 10, 10, 25]);
    let opened = Batch::open(&opened.into(), SALT).unwrap();
    let first = opened.header.first_arrival.0;
    assert_eq!(opened.last_arrival(), Timestamp(first + 25));
    assert_eq!(opened.arrival(2), Timestamp(first + 10));
    for (after, expected) in [(0, 0), (1, 1), (10, 1), (11, 4), (25, 4), (26, 5)] {
        assert_eq!(opened.first_at(Timestamp(first + after)), expected, "{after} ms after");
    }
    assert_eq!(opened.first_at(Timestamp(0)), 0);

    let falling = with_arrivals(encoded, &[0, 10, 9, 10, 25]);
    let error = Batch::open(&falling.into(), SALT).unwrap_err();
    assert!(matches!(error, FormatError::Field { field: "record arrival", .. }));
}

#[test]
fn tables_that_point_outside_are_refused_though_their_sum_is_right() {
    let record = OwnedRecord { key: None, hash_key: None, data: vec![1], encrypted: false };
    let encoded = encode_batch(&vec![record; 2], 1);
    for (entry, offset) in [(0, 64_u32), (0, 96), (1, 0), (1, 88), (1, 97), (1, 120), (1, 1 << 31)]
    {
        let mut wrong = encoded.clone();
        wrong[64 + 12 * entry..][..4].copy_from_slice(&offset.to_le_bytes());
        let wrong = with_arrivals(wrong, &[0, 0]);
        let error = Batch::open(&wrong.into(), SALT).unwrap_err();
        assert!(matches!(error, FormatError::Field { field: "record offset", .. }), "{offset}");
    }
}

#[test]
fn newer_versions_are_named() {
    let mut encoded = encode_batch(
        &[OwnedRecord { key: None, hash_key: None, data: vec![], encrypted: false }],
        0,
    );
    encoded[28] = 2;
    let crc = checksum::salted(SALT, &encoded[8..64]);
    encoded[4..8].copy_from_slice(&crc.to_le_bytes());
    let error = Batch::open(&encoded.into(), SALT).unwrap_err();
    assert_eq!(error, FormatError::Version { what: "batch", found: 2, newest: 1 });

    let header = PageHeader { kind: FileKind::Store, store: STORE, fields: [0; 10] };
    let mut page = page_header::encode(&header);
    page[12] = 2;
    let crc = checksum::crc(&page[..124]);
    page[124..128].copy_from_slice(&crc.to_le_bytes());
    let error = page_header::decode(&page, FileKind::Store).unwrap_err();
    assert_eq!(error, FormatError::Version { what: "page header", found: 2, newest: 1 });
}
