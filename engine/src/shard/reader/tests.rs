//! Reads against a plain list of records, over all places a record may be in.

use std::sync::Arc;

use proptest::prelude::*;

use crate::error::ReadError;
use crate::segment::Segment;
use crate::shard::fixture::Fixture;
use crate::types::{Ordinal, ReadLimit, ReadResult, StoredRecord, Timestamp};

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
    record.data.len() + record.partition_key.as_ref().map_or(0, |key| key.len())
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
                assert_eq!(read.records, records);
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
