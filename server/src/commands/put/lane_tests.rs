//! Batches, what becomes of them, and the order that retries keep.

use proptest::prelude::*;
use tokio::sync::Semaphore;

use super::*;

fn record(number: u64, key: &str, bytes: usize) -> Record {
    let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    Record { number, key: key.to_owned(), data: vec![b'x'; bytes], _room: room }
}

fn numbers<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<u64> {
    records.into_iter().map(|record| record.number).collect()
}

fn stored() -> PutResult {
    PutResult { sequence_number: Some("49".to_owned()), error_code: None, error_message: None }
}

fn refused(code: &str) -> PutResult {
    let (code, message) = (Some(code.to_owned()), Some("m".to_owned()));
    PutResult { sequence_number: None, error_code: code, error_message: message }
}

const THROTTLED: &str = "ProvisionedThroughputExceededException";

#[test]
fn a_batch_has_500_records_or_10_mib_and_always_one() {
    let mut waiting: VecDeque<_> = (1..=501).map(|number| record(number, "k", 1)).collect();
    assert_eq!(numbers(&take_batch(&mut waiting, false, 10 << 20)), (1..=500).collect::<Vec<_>>());
    assert_eq!(numbers(&waiting), [501]);

    // Keys count.
    let mut waiting: VecDeque<_> = (1..=4).map(|number| record(number, "kkkk", 46)).collect();
    assert_eq!(numbers(&take_batch(&mut waiting, false, 150)), [1, 2, 3]);
    assert_eq!(numbers(&take_batch(&mut waiting, false, 10)), [4]);
    assert!(take_batch(&mut waiting, false, 10).is_empty());
}

#[test]
fn in_order_a_batch_has_one_record_of_a_key_and_later_ones_of_others() {
    let keys = ["a", "a", "b", "a", "c", "b"];
    let mut waiting: VecDeque<_> =
        (1..).zip(keys).map(|(number, key)| record(number, key, 1)).collect();
    assert_eq!(numbers(&take_batch(&mut waiting, true, 100)), [1, 3, 5]);
    assert_eq!(numbers(&waiting), [2, 4, 6]);
    assert_eq!(numbers(&take_batch(&mut waiting, true, 100)), [2, 6]);
}

#[test]
fn a_call_is_settled_record_by_record() {
    let batch = vec![record(1, "a", 10), record(2, "a", 20), record(3, "b", 30), record(4, "c", 1)];
    let results = [refused(THROTTLED), stored(), stored(), refused("InternalFailure")];
    let settled = Settled::of(batch, &results);
    assert_eq!((settled.stored, settled.stored_bytes), (2, 50));
    assert_eq!(numbers(&settled.refused), [1, 4]);
    assert_eq!((settled.throttled, settled.overtaken), (1, 1), "2 has passed 1");
    assert!(settled.reason.unwrap().is_passing());
}

#[test]
fn a_reason_that_does_not_pass_is_the_one_told() {
    for codes in [["KMSDisabledException", THROTTLED], [THROTTLED, "KMSDisabledException"]] {
        let settled = Settled::of(vec![record(1, "a", 1), record(2, "b", 1)], &codes.map(refused));
        assert_eq!(settled.reason.unwrap().to_string(), "KMSDisabledException: m");
    }
}

#[test]
fn a_record_without_a_number_is_not_stored_whatever_else_is_said() {
    let nothing = PutResult { sequence_number: None, error_code: None, error_message: None };
    assert!(refusal(&nothing).unwrap().is_passing());
    let empty = PutResult { sequence_number: Some(String::new()), ..nothing };
    assert!(refusal(&empty).is_some());
    assert!(refusal(&stored()).is_none());
}

#[test]
fn the_record_at_fault_is_found_in_the_message() {
    let message = "1 validation error detected: Value at 'records.7.member.data' failed to \
                   satisfy constraint: Member must have length less than or equal to 1048576";
    assert_eq!(entry_named(message), Some(6));
    for other in ["", "'records.", "'records.0.x'", "'records.x.member'", "'streamName'"] {
        assert_eq!(entry_named(other), None);
    }
}

#[test]
fn calls_too_large_for_an_endpoint_are_told_from_others() {
    let refusal = |status, name: &str, message: &str| {
        is_too_large(&Refusal { name: name.to_owned(), message: message.to_owned(), status })
    };
    assert!(refusal(413, "413 Payload Too Large", ""));
    assert!(refusal(400, "InvalidArgumentException", "Records size exceeds 5 MB limit"));
    assert!(!refusal(400, "InvalidArgumentException", "Invalid ShardIterator."));
}

#[test]
fn what_is_told_at_the_end_says_from_where_on_to_put_again() {
    let failure = Failure::Refused(Refusal::inside("X", "m"));
    let at = |first, culprit| Stuck { failure: failure.clone(), first, culprit };
    let told = at(9, None).earlier(at(3, Some(7))).earlier(at(5, None)).to_string();
    assert_eq!(told, "record 7 is refused: X: m; all records before record 3 are stored");
    let told = at(4, None).to_string();
    assert_eq!(told, "X: m; all records before record 4 are stored");
    assert_eq!(at(1, None).to_string(), "X: m");
}

proptest! {
    /// Whatever is refused and however often: everything is stored once, each call has a key's
    /// records in order, and with `--ordered` they are stored in order.
    #[test]
    fn retries_lose_nothing_and_keep_the_order_of_keys(
        keys in prop::collection::vec("[a-c]", 1..60),
        refusals in prop::collection::vec(any::<bool>(), 1..200),
        is_ordered: bool,
        bytes_max in 2_usize..40,
    ) {
        let mut waiting: VecDeque<_> =
            (1..).zip(&keys).map(|(number, key)| record(number, key, 1)).collect();
        let mut refusals = refusals.into_iter();
        let (mut done, mut rounds) = (Vec::new(), 0);
        while !waiting.is_empty() {
            rounds += 1;
            prop_assert!(rounds < 1000, "it gets on");
            let batch = take_batch(&mut waiting, is_ordered, bytes_max);
            let sent: Vec<_> = batch.iter().map(|r| (r.key.clone(), r.number)).collect();
            for (key, number) in &sent {
                let before = sent.iter().take_while(|(_, other)| other != number);
                prop_assert!(before.filter(|(k, _)| k == key).all(|(_, n)| n < number));
                prop_assert!(waiting.iter().filter(|r| r.key == *key).all(|r| r.number > *number));
            }
            let results: Vec<_> = sent
                .iter()
                .map(|_| if refusals.next() == Some(true) { refused(THROTTLED) } else { stored() })
                .collect();
            let settled = Settled::of(batch, &results);
            let passed = sent.into_iter().zip(&results);
            done.extend(passed.filter(|(_, r)| r.sequence_number.is_some()).map(|(s, _)| s));
            if is_ordered {
                prop_assert_eq!(settled.overtaken, 0);
            }
            put_back(&mut waiting, settled.refused);
        }
        let mut all: Vec<_> = done.iter().map(|(_, number)| *number).collect();
        if is_ordered {
            for key in ["a", "b", "c"] {
                let of_key = done.iter().filter(|(k, _)| k == key);
                prop_assert!(of_key.map(|(_, number)| *number).is_sorted());
            }
        }
        all.sort_unstable();
        prop_assert_eq!(all, (1..=keys.len() as u64).collect::<Vec<_>>());
    }
}
