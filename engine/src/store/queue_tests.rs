//! The queue's bound, order and end.

use super::*;
use crate::append::Run;
use crate::types::{HashKeyRange, RecordEntry, Shard, ShardIndex};

fn append(bytes: usize) -> Append {
    let shard = Arc::new(Shard {
        uid: ShardUid(1),
        index: ShardIndex(0),
        range: HashKeyRange { start: 0, end: u128::MAX },
        created_seconds: 0,
        parents: Vec::new(),
        arrivals_until: None,
        closed: None,
        lost: Vec::new(),
    });
    let entries = vec![RecordEntry { stored_bytes: 0, crc: 0 }];
    Append {
        bytes: vec![0; bytes],
        entries,
        runs: vec![Run { shard, bytes: 0..bytes, entries: 0..1 }],
    }
}

fn lengths(work: Work) -> Vec<usize> {
    let Work::Appends(appends) = work else { panic!("{work:?}") };
    appends.iter().map(|queued| queued.append.bytes.len()).collect()
}

#[test]
fn appends_beyond_the_bound_are_refused_but_a_single_larger_one_passes() {
    let queue = Queue::new(1000);
    assert!(queue.push(append(5000)).is_ok());
    assert!(matches!(queue.push(append(8)), Err(AppendError::Overloaded { limit: 1000 })));
    let taken = queue.lock().take(100).unwrap();
    assert_eq!(lengths(taken), [5000]);
    assert!(queue.push(append(8)).is_ok(), "what was taken counts no more");
}

#[test]
fn an_append_that_fits_no_batch_is_refused() {
    let queue = Queue::new(usize::MAX);
    assert!(matches!(queue.push(append(BATCH_BYTES_MAX)), Err(AppendError::Overloaded { .. })));
}

#[test]
fn appends_come_in_order_and_never_pass_a_command() {
    let queue = Queue::new(1 << 20);
    for bytes in [8, 16, 24, 4000] {
        queue.push(append(bytes)).unwrap();
    }
    queue.send(Control::Stop);
    queue.push(append(32)).unwrap();
    let next = || queue.lock().take(1000).unwrap();
    assert_eq!(lengths(next()), [8, 16, 24]);
    assert_eq!(lengths(next()), [4000], "one larger than a group makes a group of its own");
    assert!(matches!(next(), Work::Control(Control::Stop)));
    assert_eq!(lengths(next()), [32]);
}

#[test]
fn closing_drops_what_waits_and_ends_the_taker() {
    let queue = Queue::new(1 << 20);
    let mut answer = queue.push(append(8)).unwrap().unwrap();
    queue.close();
    assert!(answer.try_recv().is_err());
    assert!(queue.push(append(8)).unwrap().is_none());
    assert!(matches!(queue.lock().take(1000), Some(Work::End)));
}
