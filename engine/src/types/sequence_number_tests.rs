//! Published and measured numbers, the rules for input, and print-parse as a property.

use proptest::prelude::*;

use super::*;

const CREATED: u64 = 1_700_000_000;

fn number(created: u64, shard: u32, counter: u64, seconds: u64) -> SequenceNumber {
    SequenceNumber {
        shard_created_seconds: created,
        shard: ShardIndex(shard),
        counter: Ordinal(counter),
        seconds,
    }
}

/// Decimal text of `digits` (hexadecimal).
fn decimal(hex: &str) -> String {
    let mut value = Value { high: 0, low: 0 };
    for digit in hex.chars() {
        value = value.times_plus(16, u64::from(digit.to_digit(16).unwrap()));
    }
    let mut text = Vec::new();
    while value.high > 0 || value.low > 0 {
        let upper = (u128::from(value.high % 10) << 64) | (value.low >> 64);
        let lower = ((upper % 10) << 64) | u128::from(low_half(value.low));
        value = Value { high: value.high / 10, low: ((upper / 10) << 64) | (lower / 10) };
        text.push(b'0' + u8::try_from(lower % 10).unwrap());
    }
    text.reverse();
    String::from_utf8(text).unwrap()
}

#[test]
fn known_numbers_print_and_parse() {
    let start = |index| SequenceNumber::starting(CREATED, ShardIndex(index));
    let record = |counter, ms| {
        SequenceNumber::of_record(CREATED, ShardIndex(0), Ordinal(counter), Timestamp(ms))
    };
    let vectors = [
        (start(0), "49646437577108476416916876405825929425585429676275269634"),
        (start(1), "49646437577130777162115407028967465143858078037781250066"),
        (start(17), "49646437577130777162115407028967465143858078037781250322"),
        (record(5, 1_700_000_100_999), "49646437577108476416916876405831974054683509694096474114"),
        (
            SequenceNumber::ending(CREATED, ShardIndex(0), 1_700_003_600),
            "49646437577119626789516141717395488358902386617969803266",
        ),
        (
            SequenceNumber::starting(1_700_003_601, ShardIndex(2)),
            "49646438862032813265854320574830944859038970386690605090",
        ),
        (
            number(1_764_787_734, 0, 5_536_151_034, 1_764_787_798),
            "49669554613075263284170738169223374761157254194237800450",
        ),
        (
            number(1_553_568_712, 0, 195, 1_553_568_735),
            "49594189147623985939251953501666965394405037144469929986",
        ),
    ];
    for (value, text) in vectors {
        assert_eq!(value.to_string(), text);
        assert_eq!(SequenceNumber::parse(text), Ok(ParsedSequenceNumber::V2(value)));
    }
}

#[test]
fn hexadecimal_layout_is_the_documented_one() {
    let text = decimal("206553f100100000000000000000006553f100000000112");
    assert_eq!(text, SequenceNumber::starting(CREATED, ShardIndex(17)).to_string());
}

#[test]
fn consecutive_initial_shards_differ_by_the_known_step() {
    let step = Value::parse(b"22300745198530623141535718272648361505980432").unwrap();
    let first = SequenceNumber::starting(CREATED, ShardIndex(0)).value();
    let second = SequenceNumber::starting(CREATED, ShardIndex(1)).value();
    let (low, carry) = first.low.overflowing_add(step.low);
    assert!(second == Value { high: first.high + step.high + u64::from(carry), low });
}

#[test]
fn texts_that_are_no_canonical_number_are_refused() {
    let good = SequenceNumber::starting(CREATED, ShardIndex(0)).to_string();
    let bad = ["", "00", "+1", "-1", " 1", "1 ", "1.0", "TRIM_HORIZON", "1a", "\u{0661}"];
    for text in bad.map(String::from).into_iter().chain([format!("0{good}"), format!("{good}0")]) {
        assert_eq!(SequenceNumber::parse(&text), Err(SequenceNumberError), "{text}");
    }
    assert_eq!(SequenceNumber::parse(&"9".repeat(129)), Err(SequenceNumberError));
    assert_eq!(SequenceNumber::parse(&"9".repeat(56)), Err(SequenceNumberError));
}

#[test]
fn numbers_below_2_to_the_125_are_version_0() {
    let top = "1".to_owned() + &"f".repeat(31);
    for text in ["0".to_owned(), "1".to_owned(), decimal(&top)] {
        assert_eq!(SequenceNumber::parse(&text), Ok(ParsedSequenceNumber::V0), "{text}");
    }
    let above = "2".to_owned() + &"0".repeat(31);
    assert_eq!(SequenceNumber::parse(&decimal(&above)), Err(SequenceNumberError));
}

#[test]
fn the_last_hexadecimal_digit_tells_the_version() {
    let hex = "206553f100100000000000000000006553f100000000112";
    for version in "013456789abcdef".chars() {
        let parsed = SequenceNumber::parse(&decimal(&format!("{}{version}", &hex[..46])));
        let expected =
            if version == '1' { Ok(ParsedSequenceNumber::V1) } else { Err(SequenceNumberError) };
        assert_eq!(parsed, expected, "{version}");
    }
}

#[test]
fn fields_out_of_range_are_refused() {
    let cases = [
        ("306553f100100000000000000000006553f100000000112", "leading digit"),
        ("106553f100100000000000000000006553f100000000112", "leading digit"),
        ("206553f100180000000000000000006553f100000000112", "counter of 2^63"),
        ("206553f100100000000000000000106553f100000000112", "byte between the fields"),
        ("206553f100200000000000000000006553f100000000112", "low digit of another shard"),
    ];
    for (hex, what) in cases {
        assert_eq!(SequenceNumber::parse(&decimal(hex)), Err(SequenceNumberError), "{what}");
    }
}

#[test]
fn creation_seconds_end_below_16025175000() {
    let newest = SequenceNumber::starting(16_025_174_999, ShardIndex(0));
    assert_eq!(SequenceNumber::parse(&newest.to_string()), Ok(ParsedSequenceNumber::V2(newest)),);
    let beyond = SequenceNumber::starting(16_025_175_000, ShardIndex(0));
    assert_eq!(SequenceNumber::parse(&beyond.to_string()), Err(SequenceNumberError));
}

#[test]
fn a_childs_numbers_exceed_every_number_of_its_parent() {
    let end = SequenceNumber::ending(CREATED, ShardIndex(15), CREATED + 10);
    let child = SequenceNumber::starting(CREATED + 11, ShardIndex(16));
    assert!(end < child);
    assert!(end.to_string() < child.to_string());
}

fn any_number() -> impl Strategy<Value = SequenceNumber> {
    (0..CREATED_SECONDS_LIMIT, any::<u32>(), 0..=COUNTER_MAX, 0..=SECONDS_MAX)
        .prop_map(|(created, shard, counter, seconds)| number(created, shard, counter, seconds))
}

proptest! {
    #[test]
    fn parse_reverses_display(n in any_number()) {
        prop_assert_eq!(SequenceNumber::parse(&n.to_string()), Ok(ParsedSequenceNumber::V2(n)));
    }

    #[test]
    fn order_is_that_of_the_printed_numbers(
        a in any_number(),
        b in any_number(),
        same_shard in any::<bool>(),
    ) {
        let b = if same_shard {
            SequenceNumber { shard_created_seconds: a.shard_created_seconds, shard: a.shard, ..b }
        } else {
            b
        };
        // All have 56 digits, so that the order of the texts is that of the numbers.
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn any_text_is_parsed_without_panic(text in "[0-9]{0,60}|.{0,20}") {
        if let Ok(ParsedSequenceNumber::V2(n)) = SequenceNumber::parse(&text) {
            prop_assert_eq!(n.to_string(), text);
        }
    }
}
