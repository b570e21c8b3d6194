//! Each shape of end a log file can have, built from sound groups and then damaged.

use proptest::prelude::*;

use super::{End, Expect, Scan, scan};
use crate::format::record::{self, RecordRef};
use crate::format::{batch, group};
use crate::types::{Epoch, Ordinal, SegmentId, ShardUid, StoreId, Timestamp};

const STORE: StoreId = StoreId(99);
const SEQUENCE: u64 = 4;
const START: u64 = 4096;
const FIRST: Expect = Expect { number: 7, position: 40_960, previous_crc: Some(0x1234_5678) };
const FILE_BYTES: usize = 20 * 4096;

/// A log file under construction.
struct File {
    bytes: Vec<u8>,
    sequence: u64,
    next: Expect,
    /// How far behind its own position each group says that the log is durable.
    durable_lag: u64,
    /// Start of each group, and of the unused rest.
    starts: Vec<usize>,
}

impl File {
    fn new(sequence: u64, next: Expect) -> Self {
        let bytes = vec![0; FILE_BYTES];
        Self { bytes, sequence, next, durable_lag: 0, starts: vec![4096] }
    }

    /// A file of three groups: one page, three pages, one page.
    fn of_three() -> Self {
        let mut file = Self::new(SEQUENCE, FIRST);
        file.push(&[100]);
        file.push(&[3000, 5000]);
        file.push(&[700, 800]);
        file
    }

    /// Adds a group with one batch of one record for each of `data_bytes`.
    fn push(&mut self, data_bytes: &[usize]) {
        let start = *self.starts.last().unwrap();
        let batches: Vec<_> =
            data_bytes.iter().zip(1..).map(|(&bytes, i)| self.batch(bytes, i)).collect();
        let prefixes: Vec<_> = batches.iter().map(|(prefix, _)| *prefix).collect();
        let mut payload = vec![0; group::head_bytes(prefixes.len())];
        for (_, bytes) in &batches {
            payload.extend_from_slice(bytes);
        }
        let payload_bytes = u32::try_from(payload.len()).unwrap();
        payload.resize(payload.len().next_multiple_of(4096), 0);
        let header = group::Header {
            bytes: u32::try_from(payload.len()).unwrap(),
            entries: 0,
            number: self.next.number,
            position: self.next.position,
            durable_position: self.next.position - self.durable_lag,
            previous_crc: self.next.previous_crc.unwrap(),
            epoch: Epoch(2),
            payload_bytes,
            crc: 0,
        };
        let salt = group::salt(STORE, self.sequence, start as u64);
        let header = group::seal(&header, &prefixes, salt, &mut payload);
        self.bytes[start..start + payload.len()].copy_from_slice(&payload);
        self.starts.push(start + payload.len());
        self.next = Expect {
            number: header.number + 1,
            position: header.position + u64::from(header.bytes),
            previous_crc: Some(header.crc),
        };
    }

    fn batch(&self, data_bytes: usize, shard: u64) -> (group::Prefix, Vec<u8>) {
        let mut stored = Vec::new();
        let record = RecordRef {
            partition_key: Some(b"key"),
            explicit_hash_key: None,
            data: &vec![0x5a; data_bytes],
            encrypted: false,
        };
        let entry = record::encode(&record, &mut stored);
        let (segment, offset) = (SegmentId(shard + 100), self.next.number * 8192);
        let plan = batch::Plan {
            base_ordinal: Ordinal(self.next.number),
            arrival: Timestamp(1_000),
            epoch: Epoch(2),
            log_position: self.next.position,
            shard: ShardUid(shard),
            salt: batch::salt(segment, offset),
        };
        let mut out = vec![0; batch::frame_bytes(1, stored.len())];
        batch::encode(&plan, [(&[entry][..], &stored[..])].into_iter(), &mut out);
        let prefix = group::Prefix {
            shard: ShardUid(shard),
            segment,
            offset,
            bytes: u32::try_from(out.len()).unwrap(),
            first_of_segment: false,
        };
        (prefix, out)
    }

    fn scan(&self) -> Scan {
        scan(&self.bytes, STORE, SEQUENCE, START, FIRST, None)
    }

    fn scan_taken_over(&self, position: u64) -> Scan {
        scan(&self.bytes, STORE, SEQUENCE, START, FIRST, Some(position))
    }

    fn start(&self, group: usize) -> u64 {
        self.starts[group] as u64
    }

    /// Log position at which group `group` starts.
    fn position(&self, group: usize) -> u64 {
        FIRST.position + self.start(group) - START
    }
}

#[test]
fn sound_groups_end_clean_in_zeros() {
    let file = File::of_three();
    let found = file.scan();
    assert_eq!(found.groups.len(), 3);
    assert_eq!(found.end, End::Clean { offset: file.start(3) });
    assert_eq!(found.next, file.next);
    assert_eq!((found.repaired_bits, found.flipped), (0, None));
}

#[test]
fn empty_and_zero_files_are_clean() {
    for length in [0, 100, 4096, 4097, 3 * 4096] {
        let found = scan(&vec![0; length], STORE, SEQUENCE, START, FIRST, None);
        assert_eq!(found.end, End::Clean { offset: START });
        assert_eq!((found.groups.len(), found.next), (0, FIRST));
    }
}

#[test]
fn a_full_file_ends_clean() {
    let mut file = File::of_three();
    file.bytes.truncate(*file.starts.last().unwrap());
    assert_eq!(file.scan().end, End::Clean { offset: file.start(3) });
}

#[test]
fn groups_of_an_earlier_use_of_the_file_are_not_seen() {
    let mut old = File::new(SEQUENCE - 1, FIRST);
    (0..6).for_each(|_| old.push(&[9000]));
    let mut file = File::of_three();
    let end = *file.starts.last().unwrap();
    file.bytes[end..].copy_from_slice(&old.bytes[end..]);
    assert_eq!(file.scan().end, End::Clean { offset: end as u64 });

    let found = scan(&old.bytes, STORE, SEQUENCE, START, FIRST, None);
    assert!(matches!(found.end, End::Torn { offset: START } | End::Clean { offset: START }));
    assert_eq!((found.groups.len(), found.next), (0, FIRST));
}

/// Sectors of the last group that a torn write left unwritten, over zeros and over old bytes.
#[test]
fn a_torn_last_group_is_cut_whatever_sectors_landed() {
    let mut whole = File::new(SEQUENCE, FIRST);
    whole.push(&[100]);
    whole.push(&[3000, 5000, 1000]);
    let (start, end) = (whole.starts[1], whole.starts[2]);
    let sectors = (end - start) / 512;
    let payload_sectors = (group::head_bytes(3) + 9000) / 512;
    let shapes: Vec<Vec<usize>> = (0..payload_sectors)
        .flat_map(|i| [(i..sectors).collect(), vec![i], (0..=i).collect()])
        .collect();
    for (shape, old) in shapes.iter().flat_map(|shape| [(shape, 0), (shape, 0xa5)]) {
        let mut bytes = whole.bytes.clone();
        for sector in shape {
            bytes[start + sector * 512..][..512].fill(old);
        }
        let found = scan(&bytes, STORE, SEQUENCE, START, FIRST, None);
        let offset = start as u64;
        assert!(
            matches!(found.end, End::Torn { offset: at } | End::Clean { offset: at } if at == offset),
            "{shape:?} {:?}",
            found.end
        );
        assert_eq!(found.groups.len(), 1, "{shape:?}");
        assert_eq!(found.next.position, whole.position(1));
        assert_eq!(matches!(found.end, End::Torn { .. }), !shape.contains(&0), "{shape:?}");
    }
}

#[test]
fn a_torn_only_group_leaves_nothing() {
    let mut file = File::new(SEQUENCE, FIRST);
    file.push(&[9000]);
    file.bytes[8192..].fill(0);
    let found = file.scan();
    assert_eq!(found.end, End::Torn { offset: START });
    assert_eq!((found.groups.len(), found.next), (0, FIRST));
}

#[test]
fn a_flipped_bit_anywhere_in_the_last_group_is_repaired() {
    let file = File::of_three();
    let last = &file.scan().groups[2].head.clone();
    let (start, payload) = (file.starts[2], last.header.payload_bytes as usize);
    for at in start..start + payload {
        let mut damaged = file.bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let found = scan(&damaged, STORE, SEQUENCE, START, FIRST, None);
        assert_eq!(found.end, End::Clean { offset: file.start(3) }, "byte {at}");
        assert_eq!((found.groups.len(), found.next), (3, file.next), "byte {at}");
        assert_eq!(found.repaired_bits, 1, "byte {at}");
        match found.flipped {
            Some(flipped) => {
                flipped.repair(&mut damaged);
                assert_eq!(damaged, file.bytes);
            }
            None => assert!(at < start + group::head_bytes(2), "byte {at}"),
        }
    }
}

#[test]
fn two_flipped_bits_in_the_last_group_are_torn() {
    let file = File::of_three();
    let start = file.starts[2];
    for other in [start + 20, start + 200, start + 900] {
        let mut damaged = file.bytes.clone();
        damaged[start + 300] ^= 1;
        damaged[other] ^= 1;
        let found = scan(&damaged, STORE, SEQUENCE, START, FIRST, None);
        assert_eq!(found.end, End::Torn { offset: start as u64 });
        assert_eq!(found.groups.len(), 2);
    }
}

#[test]
fn a_damaged_last_group_that_a_later_file_vouches_for_is_kept() {
    let mut file = File::of_three();
    file.bytes[file.starts[2] + 300..][..50].fill(0);
    let found = file.scan_taken_over(file.position(3));
    assert_eq!(found.end, End::Clean { offset: file.start(3) });
    assert_eq!(found.groups.len(), 3);
}

#[test]
fn a_damaged_last_group_is_kept_when_the_next_write_had_started() {
    let mut file = File::of_three();
    file.push(&[9000]);
    file.bytes[file.starts[2] + 300..][..50].fill(0);
    let torn = file.starts[3];
    file.bytes[torn + 60] ^= 0x18;
    let found = file.scan();
    assert_eq!(found.end, End::Torn { offset: torn as u64 });
    assert_eq!(found.groups.len(), 3);
}

#[test]
fn damage_before_a_sound_group_is_corrupt_and_the_scan_goes_on_after_it() {
    let file = File::of_three();
    let mut damaged = file.bytes.clone();
    damaged[file.starts[1]..][..100].fill(0);
    let found = scan(&damaged, STORE, SEQUENCE, START, FIRST, None);
    let resume = file.start(2);
    assert_eq!(found.end, End::Corrupt { offset: file.start(1), resume: Some(resume) });
    assert_eq!(found.groups.len(), 1);
    assert_eq!(found.next.position, file.position(2));

    let rest = scan(&damaged, STORE, SEQUENCE, resume, found.next, None);
    assert_eq!(rest.end, End::Clean { offset: file.start(3) });
    assert_eq!((rest.groups.len(), rest.next), (1, file.next));
}

#[test]
fn damaged_batches_before_a_sound_group_are_left_to_the_batch_checks() {
    let mut file = File::of_three();
    file.bytes[file.starts[1] + 1000..][..2000].fill(0);
    let found = file.scan();
    assert_eq!((found.groups.len(), found.end), (3, End::Clean { offset: file.start(3) }));
}

#[test]
fn a_missing_end_that_a_later_file_vouches_for_is_corrupt() {
    let mut file = File::of_three();
    let vouched = file.position(3);
    file.bytes[file.starts[2]..].fill(0);
    let found = file.scan_taken_over(vouched);
    assert_eq!(found.end, End::Corrupt { offset: file.start(2), resume: None });
    assert_eq!(found.next.position, file.position(2));
}

#[test]
fn a_group_that_a_later_file_holds_again_is_cut() {
    let file = File::of_three();
    let found = file.scan_taken_over(file.position(2));
    assert_eq!(found.end, End::Torn { offset: file.start(2) });
    assert_eq!((found.groups.len(), found.next.position), (2, file.position(2)));
}

#[test]
fn the_very_first_group_is_cut_when_a_later_file_holds_it_again() {
    let mut file = File::new(SEQUENCE, Expect { position: 0, number: 1, previous_crc: Some(0) });
    let first = file.next;
    file.push(&[100]);
    let found = scan(&file.bytes, STORE, SEQUENCE, START, first, Some(0));
    assert_eq!((found.end, found.groups.len()), (End::Torn { offset: START }, 0));
}

#[test]
fn a_sound_group_that_does_not_follow_is_never_cut() {
    let file = File::of_three();
    for expect in [
        Expect { number: 6, ..FIRST },
        Expect { position: 8192, ..FIRST },
        Expect { previous_crc: Some(1), ..FIRST },
    ] {
        let found = scan(&file.bytes, STORE, SEQUENCE, START, expect, None);
        assert_eq!(found.end, End::Corrupt { offset: START, resume: Some(START) });
        let rest = scan(&file.bytes, STORE, SEQUENCE, START, found.next, None);
        assert_eq!(rest.groups.len(), 3);
    }
}

#[test]
fn a_later_group_that_states_no_more_does_not_vouch() {
    for (lag, vouches) in [(4 * 4096, false), (3 * 4096, false), (2 * 4096, true)] {
        let mut file = File::new(SEQUENCE, FIRST);
        file.push(&[100]);
        file.push(&[9000]);
        file.durable_lag = lag;
        file.push(&[100]);
        file.bytes[file.starts[1]..][..100].fill(0);
        let found = file.scan();
        let offset = file.start(1);
        let resume = Some(file.start(2));
        let expected =
            if vouches { End::Corrupt { offset, resume } } else { End::Clean { offset } };
        assert_eq!(found.end, expected, "{lag} behind");
    }
}

#[test]
fn a_repaired_group_that_does_not_follow_is_chance() {
    let mut file = File::new(SEQUENCE, FIRST);
    file.push(&[100]);
    file.bytes[4096 + 60] ^= 1;
    assert_eq!(file.scan().repaired_bits, 1);
    let expect = Expect { number: 6, ..FIRST };
    let found = scan(&file.bytes, STORE, SEQUENCE, START, expect, None);
    assert_eq!((found.end, found.next), (End::Clean { offset: START }, expect));
}

#[test]
fn another_store_or_sequence_sees_nothing() {
    let file = File::of_three();
    for (store, sequence) in [(StoreId(98), SEQUENCE), (STORE, SEQUENCE + 1)] {
        let found = scan(&file.bytes, store, sequence, START, FIRST, None);
        assert!(found.groups.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is overwritten, no acknowledged group vanishes silently: the groups that a later
    /// sound one vouches for are found, or the end is `Corrupt` before them.
    #[test]
    fn overwriting_a_stretch_never_hides_what_was_acknowledged(
        at in 4096..FILE_BYTES, bytes in prop::collection::vec(any::<u8>(), 1..2000),
    ) {
        let file = File::of_three();
        let mut damaged = file.bytes.clone();
        let end = FILE_BYTES.min(at + bytes.len());
        damaged[at..end].copy_from_slice(&bytes[..end - at]);
        let found = scan(&damaged, STORE, SEQUENCE, START, FIRST, None);
        let acknowledged = if end <= file.starts[2] || at >= file.starts[3] { 3 } else { 2 };
        let corrupt = matches!(found.end, End::Corrupt { .. });
        prop_assert!(corrupt || found.groups.len() >= acknowledged.min(2));
        prop_assert!(at < file.starts[2] || !corrupt);
    }

    #[test]
    fn arbitrary_files_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..20_000),
        offset in any::<u64>(),
        expect in any::<(u64, u64, Option<u32>)>(),
        taken_over_at in any::<Option<u64>>(),
    ) {
        let (number, position, previous_crc) = expect;
        let expect = Expect { number, position, previous_crc };
        for offset in [offset, offset % 20_000, 0] {
            prop_assert!(scan(&bytes, STORE, SEQUENCE, offset, expect, taken_over_at).groups.is_empty());
        }
    }
}
