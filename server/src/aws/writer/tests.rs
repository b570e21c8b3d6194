//! Answers, read back by independent parsers and compared byte by byte where the form is fixed.

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::aws::value::Value;
use crate::aws::{cbor, json};

fn written(encoding: Encoding, write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new(encoding, 0);
    write(&mut writer);
    writer.finish().to_vec()
}

fn json_text(write: impl FnOnce(&mut Writer)) -> String {
    String::from_utf8(written(Encoding::Json, write)).unwrap()
}

fn small_answer(writer: &mut Writer) {
    writer.begin_map();
    writer.key("A");
    writer.begin_list();
    writer.integer(1);
    writer.begin_map();
    writer.end_map();
    writer.text("x\"");
    writer.end_list();
    writer.key("B");
    writer.boolean(true);
    writer.key("C");
    writer.display(&7);
    writer.key("D");
    writer.blob(b"\xff");
    writer.end_map();
}

#[test]
fn json_is_compact_with_commas_in_place() {
    assert_eq!(json_text(small_answer), r#"{"A":[1,{},"x\""],"B":true,"C":"7","D":"/w=="}"#);
}

#[test]
fn cbor_has_maps_and_lists_of_indefinite_length() {
    let expected = b"\xbf\x61A\x9f\x01\xbf\xff\x62x\"\xff\x61B\xf5\x61C\x617\x61D\x41\xff\xff";
    assert_eq!(written(Encoding::Cbor, small_answer), expected);
}

#[test]
fn json_timestamps_are_plain_decimal_seconds() {
    for (millis, text) in [
        (0, "0"),
        (1, "0.001"),
        (1_733_245_678_123, "1733245678.123"),
        (1_733_245_678_120, "1733245678.12"),
        (1_733_245_678_100, "1733245678.1"),
        (1_733_245_678_020, "1733245678.02"),
        (1_733_245_678_000, "1733245678"),
        (u64::MAX, "18446744073709551.615"),
    ] {
        assert_eq!(json_text(|writer| writer.timestamp(millis)), text);
    }
}

#[test]
fn cbor_timestamps_are_tagged_milliseconds_in_eight_bytes() {
    let bytes = written(Encoding::Cbor, |writer| writer.timestamp(0x1a0_13ac_cc38));
    assert_eq!(bytes, [0xc1, 0x1b, 0, 0, 0x01, 0xa0, 0x13, 0xac, 0xcc, 0x38]);
    assert_eq!(cbor::parse(&bytes), Ok(Value::Millis(0x1a0_13ac_cc38)));
}

#[test]
fn a_timestamp_in_a_list_is_followed_by_a_comma() {
    let text = json_text(|writer| {
        writer.begin_list();
        writer.timestamp(1000);
        writer.timestamp(1500);
        writer.end_list();
    });
    assert_eq!(text, "[1,1.5]");
}

#[test]
fn cbor_lengths_and_numbers_take_the_shortest_head() {
    for number in [0, 23, 24, 255, 256, 65_535, 65_536, u32::MAX.into(), 1 << 32, i64::MAX] {
        for number in [number, -1 - number] {
            let ours = written(Encoding::Cbor, |writer| writer.integer(number));
            assert_eq!(ours, minicbor::to_vec(number).unwrap());
        }
    }
    for length in [0, 23, 24, 255, 256, 65_536] {
        let text = "x".repeat(length);
        let expected = minicbor::to_vec(text.as_str()).unwrap();
        assert_eq!(written(Encoding::Cbor, |writer| writer.text(&text)), expected);
        assert_eq!(written(Encoding::Cbor, |writer| writer.display(&text)), expected);
        assert_eq!(written(Encoding::Cbor, |writer| writer.ascii(text.as_bytes())), expected);
        assert_eq!(json_text(|writer| writer.ascii(text.as_bytes())), format!("\"{text}\""));
    }
}

/// Writes any value that an answer can have.
fn write_value(writer: &mut Writer, value: &Value<'_>) {
    match value {
        Value::Bool(value) => writer.boolean(*value),
        Value::Integer(value) => writer.integer(*value),
        Value::Millis(value) => writer.timestamp(value.unsigned_abs()),
        Value::Text(value) => writer.text(value),
        Value::Bytes(value) => writer.blob(value),
        Value::List(list) => {
            writer.begin_list();
            for value in list {
                write_value(writer, value);
            }
            writer.end_list();
        }
        Value::Map(map) => {
            writer.begin_map();
            for (key, value) in map {
                writer.key(key);
                write_value(writer, value);
            }
            writer.end_map();
        }
        Value::Null | Value::Float(_) => unreachable!("answers have none"),
    }
}

/// The value a JSON reader finds where `value` was written.
fn as_json(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::Bytes(bytes) => base64_simd::STANDARD.encode_to_string(bytes).into(),
        Value::Text(text) => text.as_ref().into(),
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::List(list) => list.iter().map(as_json).collect(),
        Value::Map(map) => serde_json::Value::Object(
            map.iter().map(|(key, value)| (key.to_string(), as_json(value))).collect(),
        ),
        Value::Null | Value::Float(_) | Value::Millis(_) => unreachable!("not generated for JSON"),
    }
}

#[test]
fn a_value_that_is_left_out_has_its_place() {
    for (encoding, value) in
        [(Encoding::Json, &b"[1,2]"[..]), (Encoding::Cbor, b"\x9f\x01\x02\xff")]
    {
        let mut writer = Writer::new(encoding, 0);
        writer.begin_map();
        writer.key("A");
        let at = writer.leave_out();
        writer.key("B");
        writer.integer(3);
        writer.end_map();
        let mut bytes = writer.finish().to_vec();
        bytes.splice(at..at, value.iter().copied());
        let whole = written(encoding, |writer| {
            writer.begin_map();
            writer.key("A");
            writer.begin_list();
            writer.integer(1);
            writer.integer(2);
            writer.end_list();
            writer.key("B");
            writer.integer(3);
            writer.end_map();
        });
        assert_eq!(bytes, whole);
    }
}

fn any_value(with_times: bool) -> impl Strategy<Value = Value<'static>> {
    let time = u32::from(with_times);
    let leaf = prop_oneof![
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<i64>().prop_map(Value::Integer),
        1 => any::<String>().prop_map(|text| Value::Text(text.into())),
        1 => any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
        time => (0..i64::MAX).prop_map(Value::Millis),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let key = "[A-Za-z]{0,9}".prop_map(Cow::Owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            prop::collection::btree_map(key, inner, 0..6)
                .prop_map(|map| Value::Map(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_answers_are_read_back(value in any_value(false)) {
        let body = written(Encoding::Json, |writer| write_value(writer, &value));
        let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
        prop_assert_eq!(read, as_json(&value));
        prop_assert!(json::parse(&body).is_ok());
    }

    #[test]
    fn cbor_answers_are_read_back(value in any_value(true)) {
        let body = written(Encoding::Cbor, |writer| write_value(writer, &value));
        let mut reference = minicbor::Decoder::new(&body);
        reference.skip().unwrap();
        prop_assert_eq!(reference.position(), body.len());
        prop_assert_eq!(cbor::parse(&body), Ok(value));
    }

    #[test]
    fn json_timestamps_keep_their_milliseconds(millis in 0..100_000_000_000_000_u64) {
        let text = json_text(|writer| writer.timestamp(millis));
        let (seconds, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let read: u64 = format!("{seconds}{fraction:0<3}").parse().unwrap();
        prop_assert_eq!(read, millis);
    }
}
