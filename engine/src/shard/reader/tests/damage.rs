//! Damage of every kind: it costs what it touches, is reported as one range, and the rest is read.

use super::{ALL, NO_HORIZON, block_on};
use crate::device::simulated::{Fault, Operation, SimulatedDisk};
use crate::error::ReadError;
use crate::format::batch::HEADER_BYTES;
use crate::format::footer::{IndexEntry, TRAILER_BYTES, Trailer};
use crate::shard::fixture::Fixture;
use crate::types::{Ordinal, ReadLimit, StoredRecord, Timestamp};

/// Two sealed segments of three batches and an active one of two; nothing in memory.
async fn sample() -> Fixture {
    let mut fixture = Fixture::new(0, 4).await;
    for (i, sealed) in [(1, false), (2, false), (3, true), (4, false), (5, false), (6, true)] {
        fixture.append(&[30, 50, 9], Timestamp(i * 10)).await;
        if sealed {
            fixture.seal().await;
        }
    }
    fixture.append(&[30, 50, 9], Timestamp(70)).await;
    fixture.append(&[30, 50, 9], Timestamp(80)).await;
    fixture.restart().await;
    fixture
}

/// First and last record of a damaged range.
type Lost = (u64, u64);

/// Everything that can be read, and the ranges reported damaged.
async fn read_all(fixture: &Fixture, limit: ReadLimit) -> (Vec<StoredRecord>, Vec<Lost>) {
    let (mut records, mut damaged) = (Vec::new(), Vec::new());
    let mut from = Ordinal::FIRST;
    while from < fixture.end() {
        match fixture.reader.read(&fixture.shard, from, NO_HORIZON, limit).await {
            Ok(read) => {
                assert!(read.next > from);
                records.extend(read.records);
                from = read.next;
            }
            Err(ReadError::Damaged { first, last, .. }) => {
                assert_eq!(first, from);
                assert!(last >= first);
                damaged.push((first.0, last.0));
                from = last.plus(1);
            }
            Err(error) => panic!("{error}"),
        }
    }
    (records, damaged)
}

/// Asserts that exactly the records of `lost` are reported and all others are read.
async fn assert_lost(fixture: &Fixture, lost: &[Lost]) {
    let is_lost = |at: Ordinal| lost.iter().any(|lost| (lost.0..=lost.1).contains(&at.0));
    let kept = |record: &&StoredRecord| !is_lost(record.ordinal);
    let expected: Vec<_> = fixture.model.iter().filter(kept).cloned().collect();
    for limit in [ALL, ReadLimit { records: 2, bytes: 1000 }] {
        let (records, damaged) = read_all(fixture, limit).await;
        assert_eq!(damaged, lost);
        assert_eq!(records, expected);
    }
}

#[test]
fn a_bit_that_flips_on_its_way_into_a_map_is_no_damage() {
    block_on(async {
        for seed in 0..40 {
            let disk = SimulatedDisk::new(seed);
            let mut fixture = Fixture::simulated(&disk, 0, 4).await;
            fixture.append(&[20_000], Timestamp(10)).await;
            fixture.seal().await;
            disk.fail_nth(Operation::Map, 1, Fault::FlippedRead);
            assert_lost(&fixture, &[]).await;
        }
    });
}

#[test]
fn damage_anywhere_costs_at_most_the_batch_it_is_in() {
    block_on(async {
        let mut fixture = sample().await;
        for (segment, place) in fixture.places.clone() {
            for position in (place.position..place.end_position).step_by(5) {
                fixture.damage(&segment, position, 0x5a).await;
                let (records, damaged) = read_all(&fixture, ALL).await;
                let body = place.position + HEADER_BYTES as u64 + 40;
                let lost: Vec<u64> = damaged.iter().flat_map(|lost| lost.0..=lost.1).collect();
                let in_batch = |lost: &u64| (place.base.0..place.end.0).contains(lost);
                assert!(lost.iter().all(in_batch), "{position} {lost:?}");
                assert!(position < body || lost.len() == 1, "{position} {lost:?}");
                assert_eq!(records.len() + lost.len(), fixture.model.len());
                let is_as_written = |r: &StoredRecord| {
                    fixture.model[usize::try_from(r.ordinal.0).unwrap() - 1] == *r
                };
                assert!(records.iter().all(is_as_written));
                fixture.damage(&segment, position, 0x5a).await;
            }
        }
        assert_lost(&fixture, &[]).await;
    });
}

#[test]
fn one_flipped_bit_in_a_header_or_table_is_repaired() {
    block_on(async {
        let mut fixture = sample().await;
        for (segment, place) in fixture.places.clone() {
            for position in [4, 9, 20, 40, 64, 75, 90].map(|at| place.position + at) {
                let before = fixture.metrics.repaired_bits.get();
                fixture.damage(&segment, position, 0x10).await;
                assert_lost(&fixture, &[]).await;
                assert!(fixture.metrics.repaired_bits.get() > before);
                fixture.damage(&segment, position, 0x10).await;
            }
        }
    });
}

#[test]
fn damaged_records_that_follow_each_other_are_one_range() {
    block_on(async {
        let mut fixture = sample().await;
        let (segment, place) = fixture.places[1].clone();
        let body = place.position + HEADER_BYTES as u64 + 40;
        fixture.damage(&segment, body + 10, 0xff).await;
        fixture.damage(&segment, body + 70, 0xff).await;
        assert_lost(&fixture, &[(4, 5)]).await;
    });
}

#[test]
fn two_lost_headers_in_a_row_are_one_range() {
    block_on(async {
        let mut fixture = sample().await;
        for i in [3, 4] {
            let (segment, place) = fixture.places[i].clone();
            fixture.damage(&segment, place.position + 16, 0xff).await;
        }
        assert_lost(&fixture, &[(10, 15)]).await;
        let from = Ordinal(8);
        let read = fixture.reader.read(&fixture.shard, from, NO_HORIZON, ALL).await.unwrap();
        assert_eq!((read.records.len(), read.next), (2, Ordinal(10)));
        let error = fixture.reader.read(&fixture.shard, Ordinal(11), NO_HORIZON, ALL).await;
        let Err(ReadError::Damaged { first, last, file, .. }) = error else { panic!("{error:?}") };
        assert_eq!((first, last), (Ordinal(11), Ordinal(15)));
        assert_eq!(file, fixture.places[3].0.path);
    });
}

#[test]
fn a_lost_last_header_is_reported_up_to_the_next_segment() {
    block_on(async {
        let mut fixture = sample().await;
        for i in [2, 5, 7] {
            let (segment, place) = fixture.places[i].clone();
            fixture.damage(&segment, place.position + 16, 0xff).await;
        }
        assert_lost(&fixture, &[(7, 9), (16, 18), (22, 24)]).await;
    });
}

#[test]
fn a_damaged_footer_is_rebuilt_and_counted_and_costs_nothing() {
    block_on(async {
        let mut fixture = sample().await;
        let (segment, place) = fixture.places[2].clone();
        for at in 0..TRAILER_BYTES as u64 + 16 {
            let before = fixture.metrics.rebuilt_indexes.get();
            fixture.damage(&segment, place.end_position + at, 0x81).await;
            assert_lost(&fixture, &[]).await;
            for ms in [0, 10, 11, 30, 31] {
                let found = fixture.reader.ordinal_at(&fixture.shard, Timestamp(ms)).await.unwrap();
                let first = fixture.model.iter().find(|r| r.arrival.0 >= ms).unwrap();
                assert_eq!(found, first.ordinal);
            }
            assert_eq!(fixture.metrics.rebuilt_indexes.get(), before + 1, "{at}");
            fixture.damage(&segment, place.end_position + at, 0x81).await;
        }
    });
}

/// With right sums, which anybody can make: a search by time is told by the batches.
#[test]
fn a_forged_footer_does_not_mislead_a_search_by_time() {
    type Forge = fn(&mut Trailer, &mut IndexEntry, last: u32);
    let late: Forge = |trailer, _, _| trailer.first_arrival = trailer.last_arrival;
    let early: Forge = |trailer, _, _| trailer.first_arrival = Timestamp(1);
    // The last batch, at the time of the first one.
    let skip: Forge = |_, entry, last| (entry.ordinal_delta, entry.position) = (6, last);
    block_on(async {
        for forge in [late, early, skip] {
            let mut fixture = sample().await;
            for last in [2, 5] {
                let (segment, place) = fixture.places[last].clone();
                let position = u32::try_from(place.position).unwrap();
                fixture
                    .forge_footer(&segment, |trailer, entry| forge(trailer, entry, position))
                    .await;
            }
            assert_lost(&fixture, &[]).await;
            for ms in 0..=80 {
                let found = fixture.reader.ordinal_at(&fixture.shard, Timestamp(ms)).await.unwrap();
                let first = fixture.model.iter().find(|r| r.arrival.0 >= ms).unwrap();
                assert_eq!(found, first.ordinal, "{ms} ms");
            }
        }
    });
}

#[test]
fn a_cut_file_costs_what_was_cut() {
    block_on(async {
        for (cut_in, active) in [(1, false), (7, true)] {
            let mut fixture = sample().await;
            let (segment, place) = fixture.places[cut_in].clone();
            let len = usize::try_from(place.end_position - 1).unwrap();
            fixture.cut(&segment.path, Some(len)).await;
            let lost = if active { (22, 24) } else { (4, 9) };
            assert_lost(&fixture, &[lost]).await;
        }
    });
}

#[test]
fn a_missing_empty_or_foreign_file_costs_its_range() {
    block_on(async {
        for (i, lost) in [(0, (1, 9)), (3, (10, 18)), (6, (19, 24))] {
            for len in [None, Some(0), Some(4096), Some(4100)] {
                let mut fixture = sample().await;
                let segment = fixture.places[i].0.clone();
                fixture.cut(&segment.path, len).await;
                assert_lost(&fixture, &[lost]).await;
            }
        }
    });
}

#[test]
fn records_in_no_segment_are_reported() {
    block_on(async {
        let fixture = sample().await;
        fixture.shard.segments.write().unwrap().remove(0);
        assert_lost(&fixture, &[(1, 9)]).await;
        fixture.shard.segments.write().unwrap().clear();
        assert_lost(&fixture, &[(1, 24)]).await;
    });
}

#[test]
fn what_the_tail_holds_is_read_whatever_happened_to_its_file() {
    block_on(async {
        let mut fixture = Fixture::new(1 << 20, 4).await;
        fixture.append(&[30, 50], Timestamp(10)).await;
        fixture.copy().await;
        let segment = fixture.places[0].0.clone();
        fixture.cut(&segment.path, None).await;
        assert_lost(&fixture, &[]).await;
    });
}

#[test]
fn damage_that_has_expired_is_not_reported() {
    block_on(async {
        let mut fixture = sample().await;
        let (segment, place) = fixture.places[1].clone();
        fixture.damage(&segment, place.position + 16, 0xff).await;
        let read = async |horizon| {
            fixture.reader.read(&fixture.shard, Ordinal(4), Timestamp(horizon), ALL).await
        };
        assert_eq!(read(31).await.unwrap().records[..], fixture.model[9..]);
        // The next sound record is of 30 ms: the damaged ones may be, and then they are due.
        assert!(matches!(read(30).await, Err(ReadError::Damaged { .. })));
    });
}

#[test]
fn damage_counts_as_records_of_the_time_looked_for() {
    block_on(async {
        let mut fixture = sample().await;
        let (segment, place) = fixture.places[1].clone();
        fixture.damage(&segment, place.position + 16, 0xff).await;
        let mut found = Vec::new();
        for at in [10, 11, 20, 21, 30, 31] {
            found.push(fixture.reader.ordinal_at(&fixture.shard, Timestamp(at)).await.unwrap().0);
        }
        assert_eq!(found, [1, 4, 4, 4, 4, 10]);
    });
}

/// Whichever headers are lost, with their footers or without: arrival does not fall, so that one sound
/// record tells of all before it.
#[test]
fn a_search_by_time_passes_over_damage_before_a_record_that_arrived_too_early() {
    block_on(async {
        let mut fixture = sample().await;
        for (lost, footers_too) in (0..1 << 8).flat_map(|lost| [(lost, false), (lost, true)]) {
            let is_lost = |batch: usize| lost >> batch & 1 == 1;
            damage_headers(&mut fixture, is_lost, footers_too).await;
            for ms in (10..=80).step_by(10).map(Timestamp) {
                let found = fixture.reader.ordinal_at(&fixture.shard, ms).await.unwrap();
                let first = fixture.model.iter().find(|it| it.arrival >= ms).unwrap().ordinal;
                assert!(found <= first, "{lost:b}: {found} skips {first}, of {ms}");
                let batch = |it: &StoredRecord| usize::try_from((it.ordinal.0 - 1) / 3).unwrap();
                let is_early = |it: &&StoredRecord| it.arrival < ms && !is_lost(batch(it));
                let early = fixture.model.iter().rfind(is_early).map(|it| it.ordinal);
                assert!(early < Some(found), "{lost:b}: {early:?} follows {found}, of {ms}");
            }
            // Once more makes it good.
            damage_headers(&mut fixture, is_lost, footers_too).await;
        }
    });
}

async fn damage_headers(fixture: &mut Fixture, is_lost: impl Fn(usize) -> bool, footers_too: bool) {
    for (i, (segment, place)) in fixture.places.clone().into_iter().enumerate() {
        if is_lost(i) {
            fixture.damage(&segment, place.position + 16, 0xff).await;
        }
        if footers_too && [2, 5].contains(&i) {
            fixture.damage(&segment, place.end_position + TRAILER_BYTES as u64, 0x81).await;
        }
    }
}
