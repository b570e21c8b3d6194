//! Reads against a plain list of records, over all places a record may be in.

mod damage;

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Halt, is_stale};
use crate::device::simulated::{Fault, Operation, SimulatedDisk, Survive};
use crate::error::ReadError;
use crate::segment::SegmentState;
use crate::shard::fixture::Fixture;
use crate::types::{Ordinal, ReadLimit, StoredRecord, Timestamp};

const ALL: ReadLimit = ReadLimit { records: 100_000, bytes: usize::MAX };
const NO_HORIZON: Timestamp = Timestamp(0);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// What one step does to the shard before it is read.
#[derive(Clone, Debug)]
enum Step {
    Append { lengths: Vec<usize>, later_ms: u64 },
    Copy,
    Seal,
    Restart,
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![8 => 0usize..200, 1 => 3000usize..9000, 1 => 30_000usize..90_000];
    let lengths = proptest::collection::vec(length, 1..6);
    prop_oneof![
        12 => (lengths, 0u64..4).prop_map(|(lengths, later_ms)| Step::Append { lengths, later_ms }),
        3 => Just(Step::Copy),
        2 => Just(Step::Seal),
        1 => Just(Step::Restart),
        1 => Just(Step::Expire),
    ]
}

/// One read, in parts of what there is.
#[derive(Clone, Debug)]
struct Ask {
    from: u64,
    horizon_of: Option<u64>,
    records: usize,
    bytes: usize,
}

fn ask() -> impl Strategy<Value = Ask> {
    let bytes = prop_oneof![0usize..500, 1000usize..200_000, Just(usize::MAX)];
    (0u64..120, proptest::option::of(0u64..120), 1usize..40, bytes)
        .prop_map(|(from, horizon_of, records, bytes)| Ask { from, horizon_of, records, bytes })
}

async fn build(steps: &[Step], tail_bytes: usize) -> Fixture {
    let mut fixture = Fixture::new(tail_bytes, 2).await;
    let mut now = Timestamp(1000);
    for step in steps {
        match step {
            Step::Append { lengths, later_ms } => {
                now = Timestamp(now.0 + later_ms);
                fixture.append(lengths, now).await;
            }
            Step::Copy => fixture.copy().await,
            Step::Seal => fixture.seal().await,
            Step::Restart => fixture.restart().await,
            Step::Expire => fixture.expire(1).await,
        }
    }
    fixture
}

fn payload_bytes(record: &StoredRecord) -> usize {
    record.data.len() + record.partition_key.as_ref().map_or(0, Bytes::len)
}

/// What a read must answer.
fn expected(
    fixture: &Fixture,
    from: Ordinal,
    horizon: Timestamp,
    limit: ReadLimit,
) -> (Vec<StoredRecord>, Ordinal, Option<Timestamp>) {
    let from = from.max(fixture.shard.first_kept());
    let mut due = fixture.model.iter().skip_while(|r| r.ordinal < from || r.arrival < horizon);
    let (mut records, mut bytes) = (Vec::new(), 0);
    for record in due.by_ref() {
        let fits = bytes + payload_bytes(record) <= limit.bytes && records.len() < limit.records;
        if !records.is_empty() && !fits {
            return (records, record.ordinal, Some(record.arrival));
        }
        bytes += payload_bytes(record);
        records.push(record.clone());
    }
    (records, from.max(fixture.end()), None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn reads_equal_the_model_wherever_the_records_are(
        steps in proptest::collection::vec(step(), 1..40),
        asks in proptest::collection::vec(ask(), 1..12),
        tail_bytes in prop_oneof![Just(0usize), Just(20_000), Just(1 << 20)],
    ) {
        block_on(async {
            let fixture = build(&steps, tail_bytes).await;
            for ask in asks {
                let end = fixture.end().0 + 2;
                let from = Ordinal(ask.from % end);
                let horizon = ask.horizon_of.map_or(NO_HORIZON, |i| Timestamp(1000 + i % end));
                let limit = ReadLimit { records: ask.records, bytes: ask.bytes };
                let read = fixture.reader.read(&fixture.shard, from, horizon, limit).await.unwrap();
                let (records, next, next_arrival) = expected(&fixture, from, horizon, limit);
                let ordinals = |r: &[StoredRecord]| r.iter().map(|r| r.ordinal.0).collect::<Vec<_>>();
                assert_eq!(ordinals(&read.records), ordinals(&records), "{ask:?}");
                assert!(read.records == records);
                assert_eq!((read.next, read.next_arrival), (next, next_arrival));
                assert!(!read.at_end);

                let found = fixture.reader.ordinal_at(&fixture.shard, horizon).await.unwrap();
                let kept = fixture.shard.first_kept();
                let mut model = fixture.model.iter().filter(|r| r.ordinal >= kept);
                let first = model.find(|r| r.arrival >= horizon).map(|r| r.ordinal);
                assert_eq!(found, first.unwrap_or_else(|| fixture.end()));
            }
            assert_eq!(fixture.metrics.rebuilt_indexes.get(), 0);
            assert!(fixture.metrics.mapped_segments.get() <= 2);
        });
    }
}

#[test]
fn a_read_past_the_end_returns_nothing_and_keeps_its_place() {
    block_on(async {
        let mut fixture = Fixture::new(1 << 20, 2).await;
        fixture.append(&[10, 10], Timestamp(5)).await;
        let past = Ordinal(9);
        let read = fixture.reader.read(&fixture.shard, past, NO_HORIZON, ALL).await.unwrap();
        assert_eq!((read.records.len(), read.next, read.next_arrival), (0, past, None));
        assert!(!read.at_end);
    });
}

#[test]
fn nothing_follows_a_record_larger_than_the_limit_not_even_an_empty_one() {
    block_on(async {
        let mut fixture = Fixture::new(1 << 20, 2).await;
        fixture.append(&[10, 500, 0], Timestamp(5)).await; // The third has no key either.
        let limit = ReadLimit { records: 9, bytes: 100 };
        let read = async |from| {
            let read = fixture.reader.read(&fixture.shard, Ordinal(from), NO_HORIZON, limit).await;
            read.unwrap().records.len()
        };
        assert_eq!((read(1).await, read(2).await, read(3).await), (1, 1, 1));
    });
}

#[test]
fn only_the_end_of_a_closed_shard_is_its_end() {
    block_on(async {
        let mut fixture = Fixture::new(1 << 20, 2).await;
        fixture.append(&[10, 10], Timestamp(5)).await;
        fixture.shard.close();
        let one = ReadLimit { records: 1, bytes: 1000 };
        let read = fixture.reader.read(&fixture.shard, Ordinal(1), NO_HORIZON, one).await.unwrap();
        assert_eq!((read.at_end, read.next_arrival), (false, Some(Timestamp(5))));
        let read = fixture.reader.read(&fixture.shard, Ordinal(2), NO_HORIZON, one).await.unwrap();
        assert_eq!((read.at_end, read.next_arrival, read.next), (true, None, Ordinal(3)));
    });
}

#[test]
fn a_shard_that_is_gone_is_not_read() {
    block_on(async {
        let mut fixture = Fixture::new(1 << 20, 2).await;
        fixture.append(&[10], Timestamp(5)).await;
        fixture.shard.remove();
        let read = fixture.reader.read(&fixture.shard, Ordinal(1), NO_HORIZON, ALL).await;
        assert!(matches!(read, Err(ReadError::ShardGone)));
        let found = fixture.reader.ordinal_at(&fixture.shard, NO_HORIZON).await;
        assert!(matches!(found, Err(ReadError::ShardGone)));
    });
}

#[test]
fn records_not_durable_yet_are_not_read_although_the_tail_holds_them() {
    block_on(async {
        let mut fixture = Fixture::new(1 << 20, 2).await;
        fixture.append(&[10, 10], Timestamp(5)).await;
        fixture.append(&[10, 10], Timestamp(6)).await;
        fixture.shard.advance(Ordinal(4), Timestamp(6)); // Back to the middle of the second batch.
        let read = fixture.reader.read(&fixture.shard, Ordinal(1), NO_HORIZON, ALL).await.unwrap();
        assert_eq!((read.records.len(), read.next, read.next_arrival), (3, Ordinal(4), None));
    });
}

#[test]
fn a_follower_wakes_for_records_for_the_close_and_for_the_end_of_the_shard() {
    block_on(async {
        let fixture = Fixture::new(1 << 20, 2).await;
        let (reader, shard) = (&fixture.reader, &fixture.shard);
        let first = reader.follow(shard, Ordinal(1));
        tokio::join!(first, async { shard.advance(Ordinal(2), Timestamp(1)) });
        reader.follow(shard, Ordinal(1)).await;
        let close = async {
            shard.advance(Ordinal(3), Timestamp(1)); // Not what the follower waits for.
            tokio::task::yield_now().await;
            assert!(!shard.is_closed());
            shard.close();
        };
        tokio::join!(reader.follow(shard, Ordinal(3)), close);
    });
}

#[test]
fn a_slice_outlives_the_segment_it_came_from() {
    block_on(async {
        let mut fixture = Fixture::new(0, 2).await;
        fixture.append(&[5000], Timestamp(5)).await;
        fixture.seal().await;
        fixture.append(&[10], Timestamp(6)).await;
        fixture.copy().await;
        let read = fixture.reader.read(&fixture.shard, Ordinal(1), NO_HORIZON, ALL).await.unwrap();
        assert_eq!(fixture.metrics.mapped_segments.get(), 1);
        fixture.expire(1).await;
        assert_eq!(fixture.metrics.mapped_segments.get(), 0);
        assert_eq!(read.records, fixture.model);
        let again = fixture.reader.read(&fixture.shard, Ordinal(1), NO_HORIZON, ALL).await.unwrap();
        assert_eq!(again.records[..], fixture.model[1..]);
    });
}

#[test]
fn what_retention_has_removed_meanwhile_is_no_damage() {
    block_on(async {
        let mut fixture = Fixture::new(0, 2).await;
        fixture.append(&[10], Timestamp(5)).await;
        fixture.seal().await;
        fixture.append(&[10], Timestamp(6)).await;
        let shard = Arc::clone(&fixture.shard);
        let segment = Some(Arc::clone(&fixture.places[0].0));
        let halt = Halt::Damaged { until: Ordinal(2), segment };
        assert!(!is_stale(&shard, Ordinal(1), &halt));
        shard.trim(Ordinal(2));
        assert!(is_stale(&shard, Ordinal(1), &halt));
        assert!(!is_stale(&shard, Ordinal(2), &halt));
        shard.segments.write().unwrap().remove(0);
        assert!(is_stale(&shard, Ordinal(2), &halt));
    });
}

#[test]
fn a_late_index_is_completed_once_for_all_readers() {
    block_on(async {
        let mut fixture = Fixture::new(0, 2).await;
        for i in 0..20 {
            fixture.append(&[9000, 10], Timestamp(i)).await;
        }
        fixture.copy().await;
        let index = |fixture: &Fixture| match &*fixture.places[0].0.state.lock().unwrap() {
            SegmentState::Active { index, .. } => index.clone(),
            SegmentState::Sealed => panic!("never sealed"),
        };
        let whole = index(&fixture);
        assert!(whole.entries.len() > 3);
        fixture.restart().await;
        assert!(index(&fixture).entries.is_empty());
        fixture.reader.read(&fixture.shard, Ordinal(30), NO_HORIZON, ALL).await.unwrap();
        assert_eq!(index(&fixture), whole);
    });
}

#[test]
fn an_index_that_lies_is_not_believed() {
    block_on(async {
        let mut fixture = Fixture::new(0, 2).await;
        for i in 0..20 {
            fixture.append(&[9000, 10], Timestamp(i)).await;
        }
        fixture.copy().await;
        if let SegmentState::Active { index, .. } = &mut *fixture.places[0].0.state.lock().unwrap()
        {
            // Each entry tells the place of a batch that comes too late, or of none at all.
            index.entries.rotate_left(1);
            index.entries[2].position += 8;
            (0..).zip(&mut index.entries).for_each(|(i, entry)| entry.ordinal_delta = i * 8);
        }
        for record in &fixture.model {
            let read = fixture.reader.read(&fixture.shard, record.ordinal, NO_HORIZON, ALL).await;
            assert_eq!(read.unwrap().records.first(), Some(record));
        }
    });
}

/// Reads everything from the first record on, following, and checks each record.
async fn drain(fixture: &(Arc<super::Reader>, Arc<crate::shard::ShardLog>), limit: ReadLimit) {
    let (reader, shard) = fixture;
    let mut next = Ordinal::FIRST;
    loop {
        let read = reader.read(shard, next, NO_HORIZON, limit).await.unwrap();
        if let Some(first) = read.records.first() {
            // Retention may have overtaken this reader, nothing else may be missing.
            assert!(first.ordinal == next || first.ordinal <= shard.first_kept());
            next = first.ordinal;
        }
        for record in &read.records {
            assert_eq!(record.ordinal, next);
            assert!(record.data.iter().all(|byte| u64::from(*byte) == next.0 % 251));
            next = next.plus(1);
        }
        assert_eq!(read.next.max(next), read.next);
        next = read.next;
        if read.at_end {
            return;
        }
        reader.follow(shard, next).await;
    }
}

/// Appends and moves records on until the shard is closed.
async fn move_on(fixture: &mut Fixture, appends: u64) {
    for i in 0..appends {
        let len = usize::try_from(i % 13 * 300).unwrap();
        fixture.append(&[len, 10, len], Timestamp(i)).await;
        match i % 20 {
            3 | 9 | 15 => fixture.copy().await,
            19 => fixture.seal().await,
            10 if i > 50 => fixture.expire(1).await,
            _ => {}
        }
    }
    fixture.shard.close();
}

#[test]
fn readers_on_other_threads_miss_nothing_while_the_log_moves() {
    block_on(async {
        let mut fixture = Fixture::new(30_000, 2).await;
        let shared = (Arc::clone(&fixture.reader), Arc::clone(&fixture.shard));
        let readers: Vec<_> = [(1, 100), (7, 4000), (500, 1 << 20)]
            .into_iter()
            .map(|(records, bytes)| {
                let shared = shared.clone();
                std::thread::spawn(move || block_on(drain(&shared, ReadLimit { records, bytes })))
            })
            .collect();
        move_on(&mut fixture, 300).await;
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn readers_miss_nothing_wherever_the_log_moves_between_their_steps() {
    for seed in 0..40 {
        block_on(async {
            let disk = SimulatedDisk::new(seed);
            let mut fixture = Fixture::simulated(&disk, 6000, 1).await;
            disk.set_pauses_max(6);
            let shared = (Arc::clone(&fixture.reader), Arc::clone(&fixture.shard));
            let few = drain(&shared, ReadLimit { records: 2, bytes: 2000 });
            let many = drain(&shared, ReadLimit { records: 50, bytes: 9000 });
            tokio::join!(move_on(&mut fixture, 120), few, many);
        });
    }
}

#[test]
fn a_read_that_fails_once_costs_nothing_and_a_disk_that_is_gone_is_an_error() {
    block_on(async {
        let disk = SimulatedDisk::new(1);
        let mut fixture = Fixture::simulated(&disk, 0, 2).await;
        fixture.append(&[10, 10], Timestamp(5)).await;
        fixture.copy().await;
        disk.fail_nth(Operation::Read, 1, Fault::Io);
        let read = fixture.reader.read(&fixture.shard, Ordinal(1), NO_HORIZON, ALL).await.unwrap();
        assert_eq!(read.records, fixture.model);
        let _after = disk.power_cut(1, Survive::All);
        let read = fixture.reader.read(&fixture.shard, Ordinal(1), NO_HORIZON, ALL).await;
        assert!(matches!(read, Err(ReadError::Device(_))), "{read:?}");
    });
}
