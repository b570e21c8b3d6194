//! The history checker against histories it has to accept, and forged ones that it has to reject
//! for exactly what was done to them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use kinelog_tests::history::{
    Attempt, Content, Damage, Fate, History, Kind, Listing, Moment, Number, Record, Recorder,
    Retention, Shard, ShardId, Start, Step, Summary, Violation, Walk, check,
};

const MIDDLE: u128 = u128::MAX / 2;
/// Places in `story()`.
const FOLLOWER: usize = 0;
const LAST_OF_0: usize = 1;
const LAST_OF_1: usize = 2;
const LAST_OF_2: usize = 3;
const A: usize = 0;
const C: usize = 2;
const D_REFUSED: usize = 3;
const E_UNANSWERED: usize = 4;
const H: usize = 7;

fn content(text: &str) -> Content {
    Arc::from(text.as_bytes())
}

fn n(number: u64) -> Number {
    number.into()
}

fn record(number: u64, text: &str) -> Record {
    Record { number: n(number), arrival_ms: 1000 + number, content: content(text) }
}

fn shard(id: ShardId, parents: &[ShardId], keys: (u128, u128), is_open: bool) -> Shard {
    Shard { id, parents: parents.to_vec(), keys, is_open }
}

fn step(recorder: &Recorder, records: &[(u64, &str)], is_caught_up: bool) -> Step {
    Step {
        asked: recorder.now(),
        answered: 0,
        clock_ms: 2000,
        records: records.iter().map(|(number, text)| record(*number, text)).collect(),
        is_caught_up,
        end: None,
    }
}

fn write(recorder: &Recorder, text: &str, hash: u128, place: (ShardId, u64)) {
    let attempt = recorder.sending(content(text), Some(hash), 1000);
    recorder.stored(attempt, place.0, n(place.1));
}

/// One shard with four records, of them one without an answer, and a reader; a split, a record in
/// each child, a restart; then everything is read to the end.
fn story() -> History {
    let it = Recorder::new();
    it.listed(it.now(), vec![shard(0, &[], (0, u128::MAX), true)]);
    write(&it, "a", 1, (0, 1));
    let asked = it.now();
    let follower = it.opened(0, Start::Horizon, asked, false);
    write(&it, "b", u128::MAX, (0, 2));
    it.read(follower, step(&it, &[(1, "a"), (2, "b")], true));
    write(&it, "c", 1, (0, 3));
    it.refused(it.sending(content("d"), Some(1), 1000));
    it.sending(content("e"), Some(1), 1000);
    it.sending(content("f"), Some(1), 1000);
    it.read(follower, step(&it, &[(3, "c")], false));
    it.restarted();
    let shards = [
        shard(0, &[], (0, u128::MAX), false),
        shard(1, &[0], (0, MIDDLE), true),
        shard(2, &[0], (MIDDLE + 1, u128::MAX), true),
    ];
    it.listed(it.now(), shards.to_vec());
    write(&it, "g", 1, (1, 10));
    write(&it, "h", u128::MAX, (2, 11));
    for (id, records) in [
        (0, vec![(1, "a"), (2, "b"), (3, "c"), (4, "e")]),
        (1, vec![(10, "g")]),
        (2, vec![(11, "h")]),
    ] {
        let walk = it.opened(id, Start::Horizon, it.now(), true);
        let mut last = step(&it, &records, id != 0);
        last.end = (id == 0).then(|| vec![2, 1]);
        it.read(walk, last);
    }
    assert_eq!(it.acknowledged(), 5);
    it.into_history()
}

/// What the checker says of the story after something was done to it.
fn forged(change: impl FnOnce(&mut History)) -> Vec<Violation> {
    let mut history = story();
    change(&mut history);
    check(&history).unwrap_err()
}

fn is_fine(change: impl FnOnce(&mut History)) -> Summary {
    let mut history = story();
    change(&mut history);
    check(&history).unwrap()
}

/// The records of the only or last step of a walk.
fn records(history: &mut History, walk: usize) -> &mut Vec<Record> {
    &mut history.walks[walk].steps.last_mut().unwrap().records
}

fn end(history: &History) -> Moment {
    let answers = history.walks.iter().flat_map(|walk| &walk.steps).map(|step| step.answered);
    answers.max().unwrap() + 1
}

/// Adds a reader that does one step after everything else.
fn reader(history: &mut History, start: Start, of: ShardId, numbers: &[(u64, &str)]) {
    let at = end(history);
    let records = numbers.iter().map(|(number, text)| record(*number, text)).collect();
    let end = (of == 0).then(|| vec![1, 2]);
    let step =
        Step { asked: at + 2, answered: at + 3, clock_ms: 2000, records, is_caught_up: true, end };
    let opened = (at, at + 1);
    history.walks.push(Walk { shard: of, start, opened, is_last: false, steps: vec![step] });
}

#[test]
fn a_good_history_is_accepted_and_counted() {
    let expected = Summary {
        attempts: 8,
        acknowledged: 5,
        refused: 1,
        found_unanswered: 1,
        read: 9,
        walks: 4,
        shards: 3,
        restarts: 1,
        reported_lost: 0,
        expired: 0,
    };
    assert_eq!(check(&story()), Ok(expected));
    assert_eq!(check(&History::default()), Ok(Summary::default()));
}

#[test]
fn every_kind_of_iterator_is_accepted_where_it_begins_right() {
    let all = [(1, "a"), (2, "b"), (3, "c"), (4, "e")];
    let starts = [
        (Start::Horizon, 0),
        (Start::At(n(2)), 1),
        (Start::After(n(2)), 2),
        (Start::After(n(4)), 4),
        (Start::AtTime(1003), 2),
        (Start::AtTime(1003 - 1), 1),
        (Start::Latest, 4),
    ];
    for (start, from) in starts {
        is_fine(|it| reader(it, start, 0, &all[from..]));
    }
}

#[test]
fn a_story_that_breaks_off_goes_on_with_what_was_known() {
    let whole = story();
    let Fate::Stored { at, .. } = whole.attempts[C].fate else { unreachable!() };
    let cut = whole.until(at - 1);
    assert_eq!((cut.attempts.len(), cut.walks.len(), cut.listings.len()), (3, 1, 1));
    assert_eq!((&cut.attempts[C].fate, cut.walks[FOLLOWER].steps.len()), (&Fate::Unknown, 1));
    let goes_on = |last: &[(u64, &str)]| {
        let it = Recorder::continuing(whole.until(at - 1), at - 1);
        assert_eq!(it.acknowledged(), 2);
        let walk = it.opened(0, Start::Horizon, it.now(), true);
        it.read(walk, step(&it, last, true));
        check(&it.into_history())
    };
    assert_eq!(goes_on(&[(1, "a"), (2, "b"), (3, "c")]).unwrap().found_unanswered, 1);
    assert_eq!(goes_on(&[(1, "a"), (2, "b")]).unwrap().found_unanswered, 0);
    assert!(goes_on(&[(1, "a")]).is_err());
}

#[test]
fn a_lost_acknowledged_record_is_found() {
    let found = forged(|it| {
        records(it, LAST_OF_1).clear();
    });
    assert_eq!(found, [Violation::Lost { shard: 1, number: n(10) }]);
    assert_eq!(found[0].kind(), Kind::Lost);
}

#[test]
fn a_record_that_was_read_and_then_lost_is_found() {
    let lost = |number| Violation::ReadThenLost { shard: 0, number: n(number) };
    let in_the_middle = forged(|it| {
        records(it, LAST_OF_0).remove(1);
    });
    assert_eq!(in_the_middle, [lost(2)]);
    let at_the_beginning = forged(|it| {
        records(it, LAST_OF_0).remove(0);
    });
    assert_eq!(at_the_beginning, [lost(1)]);
    // Without an answer, yet a reader had it.
    let at_the_end = forged(|it| {
        records(it, FOLLOWER).push(record(4, "e"));
        records(it, LAST_OF_0).pop();
        let last = &mut it.walks[LAST_OF_0].steps[0];
        (last.end, last.is_caught_up) = (None, true);
    });
    assert_eq!(at_the_end, [lost(4)]);
}

#[test]
fn reported_damage_is_counted_and_silent_damage_is_not_forgiven() {
    let damage = |number| Damage { shard: 1, numbers: (n(number), n(number)) };
    let summary = is_fine(|it| {
        records(it, LAST_OF_1).clear();
        it.damage.push(damage(10));
    });
    assert_eq!(summary.reported_lost, 1);
    let found = forged(|it| {
        records(it, LAST_OF_1).clear();
        it.damage.push(damage(9));
    });
    assert_eq!(found, [Violation::Lost { shard: 1, number: n(10) }]);
}

#[test]
fn altered_bytes_are_found() {
    let found = forged(|it| records(it, LAST_OF_1)[0].content = content("G"));
    assert_eq!(found, [Violation::Altered { shard: 1, number: n(10) }]);
    assert_eq!(found[0].kind(), Kind::Altered);
    let found = forged(|it| records(it, LAST_OF_0)[1].content = content("B"));
    assert_eq!(found, [Violation::ReadsDiffer { shard: 0, number: n(2) }]);
    let found = forged(|it| records(it, LAST_OF_0)[1].arrival_ms += 1);
    assert_eq!(found, [Violation::ReadsDiffer { shard: 0, number: n(2) }]);
}

#[test]
fn a_record_stored_twice_is_found() {
    let twice = |first, shard, number| Violation::StoredTwice {
        first_shard: 0,
        first: n(first),
        shard,
        number: n(number),
    };
    let acknowledged = forged(|it| records(it, LAST_OF_0).push(record(5, "a")));
    assert_eq!(acknowledged, [twice(1, 0, 5)]);
    assert_eq!(acknowledged[0].kind(), Kind::Duplicated);
    let unanswered = forged(|it| records(it, LAST_OF_2).push(record(12, "e")));
    let parent = Violation::ParentAfterChild { shard: 0, number: n(4), child: 2 };
    assert_eq!(unanswered, [twice(4, 2, 12)], "and not {parent}");
}

#[test]
fn a_number_given_to_two_records_is_found() {
    let found = forged(|it| {
        let at = end(it);
        it.attempts[E_UNANSWERED].fate = Fate::Stored { shard: 0, number: n(3), at };
        it.walks[LAST_OF_0].opened.0 = at + 1;
    });
    let misplaced = Violation::Misplaced { shard: 0, number: n(3), other_shard: 0, other: n(4) };
    assert_eq!(found, [Violation::NumberGivenTwice { shard: 0, number: n(3) }, misplaced]);
}

#[test]
fn a_record_elsewhere_than_acknowledged_is_found() {
    let found = forged(|it| {
        let Fate::Stored { number, .. } = &mut it.attempts[H].fate else { unreachable!() };
        *number = n(12);
    });
    let there = Violation::Misplaced { shard: 2, number: n(12), other_shard: 2, other: n(11) };
    assert_eq!(found, [there, Violation::Lost { shard: 2, number: n(12) }]);
}

#[test]
fn what_was_refused_or_never_sent_must_not_be_there() {
    let refused = forged(|it| records(it, LAST_OF_0).push(record(5, "d")));
    assert_eq!(refused, [Violation::RefusedYetStored { shard: 0, number: n(5) }]);
    assert_eq!(refused[0].kind(), Kind::Invented);
    let invented = forged(|it| records(it, LAST_OF_2).push(record(12, "z")));
    assert_eq!(invented, [Violation::NeverSent { shard: 2, number: n(12) }]);
    let early = forged(|it| {
        it.attempts[H].sent = end(it) + 5;
        it.attempts[H].fate = Fate::Unknown;
    });
    assert_eq!(early, [Violation::ReadBeforeSent { shard: 2, number: n(11) }]);
}

#[test]
fn an_iterator_that_skips_is_found() {
    let found = forged(|it| {
        it.walks[FOLLOWER].steps[0].records.pop();
        it.walks[FOLLOWER].steps[0].is_caught_up = false;
    });
    assert_eq!(found, [Violation::Skipped { shard: 0, number: n(2) }]);
}

#[test]
fn an_iterator_that_repeats_or_goes_back_is_found() {
    let repeated = forged(|it| records(it, FOLLOWER).insert(0, record(2, "b")));
    assert_eq!(repeated, [Violation::Repeated { shard: 0, number: n(2) }]);
    let back = forged(|it| records(it, LAST_OF_0).swap(1, 2));
    assert!(back.contains(&Violation::OutOfOrder { shard: 0, before: n(3), number: n(2) }));
    assert!(back.iter().any(|it| it.kind() == Kind::Reordered), "{back:?}");
}

#[test]
fn a_reader_told_it_is_at_the_end_too_early_is_found() {
    let found = forged(|it| {
        it.walks[FOLLOWER].steps[0].records.pop();
        it.walks[FOLLOWER].steps.pop();
    });
    let asked = story().walks[FOLLOWER].steps[0].asked;
    assert_eq!(found, [Violation::Behind { shard: 0, number: n(2), asked }]);
    // Another reader counts as much as an acknowledgement.
    let found = forged(|it| {
        reader(it, Start::After(n(2)), 0, &[(3, "c")]);
        it.walks.last_mut().unwrap().steps[0].end = None;
    });
    assert!(matches!(found[..], [Violation::Behind { shard: 0, number, .. }] if number == n(4)));
}

#[test]
fn what_was_sent_after_an_acknowledgement_stands_behind_it() {
    let found = forged(|it| {
        // "e" is there before "a", and was sent long after that was acknowledged.
        for walk in [FOLLOWER, LAST_OF_0] {
            let first = &mut it.walks[walk].steps[0].records;
            first.retain(|record| record.number != n(4));
            first.insert(0, Record { arrival_ms: 1000, ..record(0, "e") });
        }
        it.walks[FOLLOWER].steps[0].answered = it.attempts[E_UNANSWERED].sent;
    });
    assert_eq!(found, [Violation::OrderOfTime { shard: 0, number: n(0), later: n(1) }]);
}

#[test]
fn time_that_falls_within_a_shard_is_found() {
    let found = forged(|it| {
        for walk in [FOLLOWER, LAST_OF_0] {
            it.walks[walk].steps[0].records[1].arrival_ms = 5;
        }
    });
    assert_eq!(found, [Violation::ArrivalFell { shard: 0, number: n(2) }]);
}

#[test]
fn an_iterator_that_begins_in_the_wrong_place_is_found() {
    let all = [(1, "a"), (2, "b"), (3, "c"), (4, "e")];
    let late = Violation::BeganLate { shard: 0, number: n(2) };
    let early = Violation::BeganEarly { shard: 0, number: n(2) };
    for (start, from, expected) in [
        (Start::Horizon, 1, Violation::BeganLate { shard: 0, number: n(1) }),
        (Start::At(n(2)), 2, late.clone()),
        (Start::At(n(3)), 1, early.clone()),
        (Start::After(n(1)), 2, late.clone()),
        (Start::After(n(2)), 1, early.clone()),
        (Start::AtTime(1002), 2, late),
        (Start::AtTime(1003), 1, early.clone()),
        (Start::Latest, 1, early),
    ] {
        let found = forged(|it| reader(it, start.clone(), 0, &all[from..]));
        assert_eq!(found, [expected], "{start:?}");
    }
    let nothing = forged(|it| reader(it, Start::At(n(4)), 0, &[]));
    assert_eq!(nothing, [Violation::EndedEarly { shard: 0, number: n(4) }]);
}

#[test]
fn an_iterator_at_the_tip_gives_all_that_is_sent_later() {
    let later = |numbers: &'static [(u64, &'static str)]| {
        move |it: &mut History| {
            reader(it, Start::Latest, 2, numbers);
            let opened = it.walks.last().unwrap().opened;
            // Two more records after the iterator came, which the last reader sees as well.
            for (number, text) in [(12, "i"), (13, "j")] {
                let fate = Fate::Stored { shard: 2, number: n(number), at: opened.1 };
                let (sent, hash) = (opened.1, Some(u128::MAX));
                let content = content(text);
                it.attempts.push(Attempt { content, hash, sent, sent_ms: 1000, fate });
                records(it, LAST_OF_2).push(record(number, text));
            }
            it.walks[LAST_OF_2].opened.0 = opened.1 + 1;
            it.walks[LAST_OF_2].steps[0].answered = opened.1 + 9;
        }
    };
    is_fine(later(&[(12, "i"), (13, "j")]));
    let late = forged(later(&[(13, "j")]));
    assert_eq!(late, [Violation::BeganLate { shard: 2, number: n(12) }]);
    let none = forged(later(&[]));
    assert!(matches!(none[..], [Violation::Behind { shard: 2, number, .. }] if number == n(12)));
}

#[test]
fn an_end_that_is_none_is_found() {
    let early = forged(|it| {
        records(it, FOLLOWER).pop();
        it.walks[FOLLOWER].steps[1].end = Some(vec![1, 2]);
    });
    assert_eq!(early, [Violation::EndedEarly { shard: 0, number: n(3) }]);
    let more = forged(|it| {
        let again = Step { records: vec![], ..it.walks[LAST_OF_0].steps[0].clone() };
        it.walks[LAST_OF_0].steps.push(again);
    });
    assert_eq!(more, [Violation::ReadAfterEnd { shard: 0 }]);
    let children = forged(|it| it.walks[LAST_OF_0].steps[0].end = Some(vec![1]));
    let (named, listed) = (vec![1], vec![1, 2]);
    assert_eq!(children, [Violation::WrongChildren { shard: 0, named, listed }]);
}

#[test]
fn a_parent_that_takes_records_after_its_child_is_found() {
    let found = forged(|it| {
        let child_answered = it.walks[LAST_OF_1].opened.0;
        it.attempts[E_UNANSWERED].sent = child_answered;
        it.walks[LAST_OF_0].steps[0].answered = end(it);
    });
    let after = |child| Violation::ParentAfterChild { shard: 0, number: n(4), child };
    assert_eq!(found, [after(1), after(2)]);
}

#[test]
fn a_child_whose_numbers_do_not_rise_above_its_parents_is_found() {
    let found = forged(|it| {
        let Fate::Stored { number, .. } = &mut it.attempts[H].fate else { unreachable!() };
        *number = n(4);
        records(it, LAST_OF_2)[0].number = n(4);
    });
    assert_eq!(found, [Violation::NumberBelowParent { shard: 2, number: n(4) }]);
}

#[test]
fn hash_keys_without_a_shard_or_with_two_are_found() {
    let at = story().listings[1].answered;
    let gap = forged(|it| it.listings[1].shards[1].keys.1 -= 1);
    assert_eq!(gap, [Violation::KeyUncovered { key: MIDDLE, at }]);
    assert_eq!(gap[0].kind(), Kind::Lineage);
    let overlap = forged(|it| it.listings[1].shards[1].keys.1 += 1);
    assert_eq!(overlap, [Violation::KeyCoveredTwice { key: MIDDLE + 1, at }]);
    let rest = forged(|it| it.listings[1].shards[2].keys.1 = u128::MAX - 7);
    assert!(rest.contains(&Violation::KeyUncovered { key: u128::MAX - 6, at }), "{rest:?}");
    let lost_split = forged(|it| it.listings[1].shards[0].is_open = true);
    assert!(lost_split.contains(&Violation::KeyCoveredTwice { key: MIDDLE + 1, at }));
}

#[test]
fn a_change_of_shards_that_was_acknowledged_and_lost_is_found() {
    let second = story().listings[1].asked;
    let found = forged(|it| it.closings.extend([(second - 1, 0), (second - 1, 1)]));
    assert_eq!(found, [Violation::ReshardLost { shard: 1 }]);
    assert_eq!(found[0].kind(), Kind::Lineage);
    // What was answered after the last listing may still be on its way.
    is_fine(|it| it.closings.push((second + 1, 1)));
}

#[test]
fn a_record_in_a_shard_where_its_key_does_not_belong_is_found() {
    let found = forged(|it| it.attempts[H].hash = Some(MIDDLE));
    assert_eq!(found, [Violation::WrongShard { shard: 2, number: n(11) }]);
}

#[test]
fn shards_that_change_vanish_or_reopen_are_found() {
    let again = |it: &mut History| {
        let at = end(it);
        let shards = it.listings[1].shards.clone();
        it.listings.push(Listing { asked: at, answered: at + 1, shards });
        at + 1
    };
    let changed = forged(|it| it.listings[1].shards[0].parents = vec![7]);
    assert!(changed.contains(&Violation::ShardChanged { shard: 0 }), "{changed:?}");
    let reopened = forged(|it| {
        again(it);
        let shards = &mut it.listings[2].shards;
        shards[0].is_open = true;
        shards.truncate(1);
    });
    let lost = |shard| Violation::ShardLost { shard };
    assert_eq!(reopened, [Violation::Reopened { shard: 0 }, lost(1), lost(2)]);
    let unlisted = forged(|it| it.listings.truncate(1));
    assert!(unlisted.contains(&Violation::UnlistedShard { shard: 1 }), "{unlisted:?}");
    // A closed shard whose records have expired may go.
    is_fine(|it| {
        again(it);
        it.listings[2].shards.remove(0);
    });
}

#[test]
fn a_record_trimmed_within_its_retention_is_found_and_an_expired_one_may_go() {
    let expiring = |ms| {
        move |it: &mut History| {
            it.retentions.push(Retention { from: 0, ms: 50_000 });
            it.retentions.push(Retention { from: 1, ms });
            // Longer again does not bring back what was given up.
            it.retentions.push(Retention { from: 2, ms: 60_000 });
            reader(it, Start::Horizon, 0, &[(2, "b"), (3, "c"), (4, "e")]);
        }
    };
    // "a" arrived at 1001, and the clock stands at 2000.
    assert_eq!(is_fine(expiring(999)).expired, 0);
    let found = forged(expiring(1000));
    assert_eq!(found, [Violation::TrimmedEarly { shard: 0, number: n(1) }]);
    let summary = is_fine(|it| {
        it.retentions.push(Retention { from: 0, ms: 1000 });
        records(it, LAST_OF_1).clear();
    });
    assert_eq!(summary.expired, 1);
}

#[test]
fn a_record_on_its_way_while_the_clock_goes_back_may_expire_by_the_earlier_time() {
    let unread = |answered_first: bool| {
        let it = Recorder::new();
        it.retaining(1000);
        let attempt = it.sending(content("a"), None, 1500);
        if answered_first {
            it.stored(attempt, 0, n(1));
        }
        it.clock_went_back(1000);
        it.clock_went_back(1200);
        if !answered_first {
            it.stored(attempt, 0, n(1));
        }
        let last = it.opened(0, Start::Horizon, it.now(), true);
        it.read(last, step(&it, &[], true));
        check(&it.into_history())
    };
    assert_eq!(unread(false).unwrap().expired, 1);
    assert_eq!(unread(true).unwrap_err(), [Violation::Lost { shard: 0, number: n(1) }]);
}

#[test]
fn a_history_that_proves_nothing_is_not_accepted() {
    let missing = forged(|it| {
        it.walks.remove(LAST_OF_2);
    });
    let incomplete = Violation::NotReadToTheEnd { shard: 2 };
    assert_eq!(missing, std::slice::from_ref(&incomplete));
    assert_eq!(incomplete.kind(), Kind::Incomplete);
    let too_early = forged(|it| it.walks[LAST_OF_2].opened.0 = 1);
    assert_eq!(too_early, std::slice::from_ref(&incomplete));
    let not_to_the_end = forged(|it| it.walks[LAST_OF_2].steps[0].is_caught_up = false);
    assert_eq!(not_to_the_end, [incomplete]);
    let same = forged(|it| it.attempts[D_REFUSED].content = it.attempts[C].content.clone());
    assert!(same.contains(&Violation::SameContent { first: C, second: D_REFUSED }), "{same:?}");
    let fate = story().attempts[A].fate.clone();
    assert!(matches!(fate, Fate::Stored { shard: 0, .. }));
}

#[test]
fn numbers_are_read_printed_and_ordered_at_full_length() {
    let texts = [
        "0",
        "9",
        "18446744073709551616",
        "340282366920938463463374607431768211455",
        "340282366920938463463374607431768211456",
        "49668842900000000000000000000000000000000000000000000002",
        "6277101735386680763835789423207666416102355444464034512895",
    ];
    let numbers: Vec<Number> = texts.iter().map(|text| text.parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b));
    let printed: Vec<_> = numbers.iter().map(Number::to_string).collect();
    assert_eq!(printed, texts);
    assert_eq!(n(16).highest_of(4), n(31));
    assert_eq!(numbers[4].highest_of(3).to_string(), "340282366920938463463374607431768211463");
    for wrong in ["", "-1", "1x", "6277101735386680763835789423207666416102355444464034512896"] {
        assert!(wrong.parse::<Number>().is_err(), "{wrong}");
    }
}
