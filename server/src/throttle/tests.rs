//! Buckets at, below and above their limits.

use super::*;

const MIB: usize = 1 << 20;
const SHARD: ShardUid = ShardUid(7);
const START: u64 = 1_700_000_000_000;

fn at(ms: u64) -> Timestamp {
    Timestamp(START + ms)
}

fn throttle(limits: &str) -> Throttle {
    Throttle::new(limits.parse().unwrap())
}

fn writes(throttle: &Throttle, ms: u64, bytes: &[usize]) -> Vec<bool> {
    let mut decisions = Vec::new();
    throttle.admit_writes(SHARD, at(ms), bytes.iter().copied(), |it| decisions.push(it));
    decisions
}

fn write(throttle: &Throttle, ms: u64, bytes: usize) -> bool {
    writes(throttle, ms, &[bytes]) == [true]
}

#[test]
fn limits_print_as_they_are_written() {
    for text in ["aws", "off", "2", "0.001", "0.5", "1.250", "100000"] {
        let limits: Limits = text.parse().unwrap();
        assert_eq!(limits.to_string().parse::<Limits>().unwrap(), limits, "{text}");
    }
    assert_eq!("1".parse::<Limits>(), Ok(Limits::AWS));
    assert_eq!("1.000".parse::<Limits>().unwrap().to_string(), "aws");
    assert_eq!("0.5".parse::<Limits>().unwrap().to_string(), "0.500");
}

#[test]
fn limits_outside_their_range_are_refused() {
    for text in
        ["", "AWS", "0", "0.0001", "-1", "+1", "1.", ".5", "1e3", "100000.001", "99999999999"]
    {
        assert_eq!(text.parse::<Limits>(), Err(LimitsError), "{text}");
    }
}

#[test]
fn a_full_tank_takes_one_record_of_ten_mib_and_then_one_mib_a_second() {
    let throttle = throttle("aws");
    assert!(write(&throttle, 0, 10 * MIB));
    assert!(!write(&throttle, 0, 1));
    assert!(!write(&throttle, 999, MIB));
    assert!(write(&throttle, 1000, MIB));
    assert!(!write(&throttle, 10_999, 10 * MIB));
    assert!(write(&throttle, 11_000, 10 * MIB));
}

#[test]
fn a_largest_record_passes_with_its_key_when_the_tank_is_full_and_owes_the_key() {
    let throttle = throttle("aws");
    let record = 10 * MIB + 1024;
    assert!(write(&throttle, 0, record));
    assert!(!write(&throttle, 999, MIB - 1024));
    assert!(write(&throttle, 1000, MIB - 1024));
    assert!(!write(&throttle, 10_999, record));
    assert!(write(&throttle, 11_000, record));
}

#[test]
fn credit_beyond_the_tank_is_not_saved_up() {
    let throttle = throttle("aws");
    assert!(write(&throttle, 0, 10 * MIB));
    assert!(write(&throttle, 1_000_000, 10 * MIB));
    assert!(!write(&throttle, 1_000_000, 1));
}

#[test]
fn a_shard_takes_a_thousand_records_and_then_one_each_millisecond() {
    let throttle = throttle("aws");
    let decisions = writes(&throttle, 0, &[1; 1001]);
    assert!(decisions[..1000].iter().all(|&it| it) && !decisions[1000]);
    assert!(write(&throttle, 1, 1));
    assert!(!write(&throttle, 1, 1));
    assert_eq!(writes(&throttle, 501, &[0; 501]).iter().filter(|it| **it).count(), 500);
}

#[test]
fn a_smaller_record_passes_after_one_that_did_not() {
    let throttle = throttle("aws");
    let sizes = [6 * MIB, 5 * MIB, 4 * MIB, 1, 0];
    assert_eq!(writes(&throttle, 0, &sizes), [true, false, true, false, true]);
}

#[test]
fn refused_writes_cost_nothing() {
    let throttle = throttle("aws");
    assert!(write(&throttle, 0, 10 * MIB));
    for _ in 0..5000 {
        assert!(!write(&throttle, 0, MIB));
    }
    assert!(write(&throttle, 1000, MIB));
}

#[test]
fn many_small_refills_add_up_without_drift() {
    let throttle = throttle("0.001");
    // A thousandth of 1000 records a second is one record a second.
    assert!(write(&throttle, 0, 0));
    for ms in 1..1000 {
        assert!(!write(&throttle, ms, 0), "{ms}");
    }
    assert!(write(&throttle, 1000, 0));
    let throttle = self::throttle("0.333");
    assert!(write(&throttle, 0, 10 * MIB));
    for ms in 1..3003 {
        assert!(!write(&throttle, ms, MIB), "{ms}");
    }
    // 1 MiB at 0.333 MiB/s takes 3003.003 ms.
    assert!(!write(&throttle, 3003, MIB) && write(&throttle, 3004, MIB));
}

#[test]
fn a_read_of_ten_mib_blocks_for_five_seconds() {
    let throttle = throttle("aws");
    assert!(throttle.admit_read(SHARD, at(0)));
    throttle.charge_read(SHARD, at(0), 10 * MIB);
    assert!(!throttle.admit_read(SHARD, at(1)));
    assert!(!throttle.admit_read(SHARD, at(4999)));
    assert!(throttle.admit_read(SHARD, at(5000)));
    throttle.charge_read(SHARD, at(5000), 10 * MIB);
    assert!(!throttle.admit_read(SHARD, at(9999)));
    assert!(throttle.admit_read(SHARD, at(10_000)));
}

#[test]
fn two_reads_at_once_block_for_both() {
    let throttle = throttle("aws");
    throttle.charge_read(SHARD, at(0), 10 * MIB);
    throttle.charge_read(SHARD, at(0), 10 * MIB);
    assert!(!throttle.admit_read(SHARD, at(9999)));
    assert!(throttle.admit_read(SHARD, at(10_000)));
}

#[test]
fn reads_within_the_rate_do_not_block() {
    let throttle = throttle("aws");
    for second in 0..10 {
        for part in 0..4 {
            let ms = second * 1000 + part * 250;
            assert!(throttle.admit_read(SHARD, at(ms)), "{ms}");
            throttle.charge_read(SHARD, at(ms), MIB / 2);
        }
    }
}

#[test]
fn a_shard_answers_five_reads_a_second() {
    let throttle = throttle("aws");
    for _ in 0..5 {
        assert!(throttle.admit_read(SHARD, at(0)));
    }
    assert!(!throttle.admit_read(SHARD, at(199)));
    assert!(throttle.admit_read(SHARD, at(200)));
    assert!(!throttle.admit_read(SHARD, at(200)));
    assert!(throttle.admit_read(ShardUid(8), at(200)), "another shard has its own");
}

#[test]
fn a_shard_gives_five_iterators_a_second() {
    let throttle = throttle("aws");
    for _ in 0..5 {
        assert!(throttle.admit_iterator(SHARD, at(0)));
    }
    assert!(!throttle.admit_iterator(SHARD, at(199)));
    assert!(throttle.admit_iterator(SHARD, at(200)));
    assert!(throttle.admit_read(SHARD, at(200)), "reads are counted apart");
}

#[test]
fn calls_are_limited_by_operation_and_scope() {
    let throttle = throttle("aws");
    let call = |operation, scope, ms| throttle.admit_call(operation, scope, 5, at(ms));
    assert!((0..5).all(|_| call("ListStreams", "a", 0)));
    assert!(!call("ListStreams", "a", 199));
    assert!(call("ListStreams", "b", 199) && call("CreateStream", "a", 199));
    assert!(call("ListStreams", "a", 200));
}

#[test]
fn a_factor_multiplies_rates() {
    let throttle = throttle("4");
    assert_eq!(writes(&throttle, 0, &vec![0; 4001]).iter().filter(|it| **it).count(), 4000);
    assert!((0..20).all(|_| throttle.admit_iterator(SHARD, at(0))));
    assert!(!throttle.admit_iterator(SHARD, at(49)) && throttle.admit_iterator(SHARD, at(50)));
    throttle.charge_read(SHARD, at(50), 80 * MIB);
    assert!(!throttle.admit_read(SHARD, at(10_049)) && throttle.admit_read(SHARD, at(10_050)));
}

#[test]
fn a_small_factor_leaves_room_for_one_request() {
    let throttle = throttle("0.001");
    assert!(write(&throttle, 0, 10 * MIB));
    assert!(throttle.admit_iterator(SHARD, at(0)) && !throttle.admit_iterator(SHARD, at(199_999)));
    assert!(throttle.admit_iterator(SHARD, at(200_000)));
}

#[test]
fn nothing_is_limited_when_limits_are_off() {
    let throttle = throttle("off");
    assert!(writes(&throttle, 0, &vec![10 * MIB; 5000]).iter().all(|&it| it));
    throttle.charge_read(SHARD, at(0), usize::MAX);
    assert!((0..100).all(|_| throttle.admit_read(SHARD, at(0))));
    assert!((0..100).all(|_| throttle.admit_iterator(SHARD, at(0))));
    assert!((0..100).all(|_| throttle.admit_call("ListStreams", "a", 1, at(0))));
}

#[test]
fn callers_out_of_order_earn_nothing_twice() {
    let throttle = throttle("aws");
    assert!(write(&throttle, 500, 10 * MIB));
    assert!(!write(&throttle, 0, 1));
    assert!(!write(&throttle, 500, 1), "the step back must not be earned again");
}

#[test]
fn a_clock_set_back_does_not_stop_the_refill() {
    let throttle = throttle("aws");
    assert!(write(&throttle, 10_000_000, 10 * MIB));
    assert!(!write(&throttle, 0, MIB));
    assert!(write(&throttle, 1000, MIB));
}

#[test]
fn full_buckets_are_forgotten_and_the_others_kept() {
    let throttle = throttle("aws");
    let used = |uid: u64, ms| {
        throttle.admit_writes(
            ShardUid(uid * STRIPES as u64),
            at(ms),
            [10 * MIB].into_iter(),
            |_| {},
        );
    };
    (0..SWEEP_AT_LEAST as u64 - 1).for_each(|uid| used(uid, 0));
    used(1_000_000, 9_000);
    used(1_000_001, 10_000);
    let stripe = throttle.shards[0].lock().unwrap();
    assert_eq!(stripe.map.len(), 2);
    assert!(stripe.map.contains_key(&ShardUid(1_000_000 * STRIPES as u64)));
}

#[test]
fn refusals_are_counted_by_what_was_refused() {
    let throttle = throttle("aws");
    writes(&throttle, 0, &[0; 1003]);
    let reads = (0..7).filter(|_| throttle.admit_read(SHARD, at(0))).count();
    let iterators = (0..6).filter(|_| throttle.admit_iterator(SHARD, at(0))).count();
    assert_eq!((reads, iterators), (5, 5));
    let refused = throttle.refused().map(|(_, count)| count);
    assert_eq!(refused, [3, 2, 1]);
    assert!(throttle.admit_call("ListStreams", "a", 1, at(0)));
    assert!(!throttle.admit_call("ListStreams", "a", 1, at(0)));
    assert_eq!(throttle.refused()[2], ("throttled_calls", 2));
}

fn push(limits: &str) -> Arc<PushCredit> {
    throttle(limits).push_credit("shard/consumer".to_owned(), at(0))
}

#[test]
fn a_push_goes_on_credit_and_the_next_one_waits_for_it() {
    let credit = push("aws");
    credit.charge(at(0), 2 * MIB - 1);
    assert_eq!(credit.wait_ms(at(0)), 0, "one byte is left");
    credit.charge(at(0), 10 * MIB + 1);
    assert_eq!(credit.wait_ms(at(0)), 5001);
    assert_eq!(credit.wait_ms(at(5000)), 1);
    assert_eq!(credit.wait_ms(at(5001)), 0);
    assert_eq!(push("off").wait_ms(at(0)), 0);
    let half = push("0.5");
    half.charge(at(0), 2 * MIB);
    assert_eq!((half.wait_ms(at(0)), half.wait_ms(at(1001))), (1001, 0));
}

#[test]
fn credit_is_kept_while_it_is_used_or_not_full() {
    let throttle = throttle("aws");
    let of = |name: &str, ms| throttle.push_credit(name.to_owned(), at(ms));
    let used = of("used", 0);
    of("owing", 0).charge(at(0), 20 * MIB);
    (0..SWEEP_AT_LEAST).for_each(|n| drop(of(&n.to_string(), 0)));
    assert!(Arc::ptr_eq(&used, &of("used", 1)));
    assert_eq!(of("owing", 0).wait_ms(at(0)), 9001);
    assert!(throttle.pushes.lock().unwrap().map.len() < 10);
}
