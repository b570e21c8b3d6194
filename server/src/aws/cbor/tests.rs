//! Bodies given as bytes, with the values they must become.

use proptest::prelude::*;

use super::*;
use crate::limits;

fn text(value: &str) -> Value<'_> {
    Value::Text(value.into())
}

#[test]
fn maps_and_lists_of_both_kinds_are_read() {
    let expected = Value::Map(vec![
        ("a".into(), Value::List(vec![Value::Integer(1), Value::Bool(true)])),
        ("b".into(), text("x")),
    ]);
    let definite = b"\xa2\x61a\x82\x01\xf5\x61b\x61x";
    let indefinite = b"\xbf\x61a\x9f\x01\xf5\xff\x61b\x61x\xff";
    assert_eq!(parse(definite), Ok(expected.clone()));
    assert_eq!(parse(indefinite), Ok(expected));
}

#[test]
fn whole_strings_are_borrowed() {
    assert!(matches!(parse(b"\x61x"), Ok(Value::Text(Cow::Borrowed("x")))));
    assert!(matches!(parse(b"\x42\xff\xfe"), Ok(Value::Bytes(Cow::Borrowed(b"\xff\xfe")))));
}

#[test]
fn strings_in_pieces_are_joined() {
    assert_eq!(parse(b"\x7f\x61a\x60\x62bc\xff"), Ok(text("abc")));
    assert_eq!(parse(b"\x5f\x41\x01\x42\x02\x03\xff"), Ok(Value::Bytes(vec![1, 2, 3].into())));
    assert_eq!(
        parse(b"\xbf\x7f\x61a\x61b\xff\xf6\xff"),
        Ok(Value::Map(vec![("ab".into(), Value::Null)]))
    );
}

#[test]
fn null_and_undefined_are_null() {
    assert_eq!(parse(b"\xf6"), Ok(Value::Null));
    assert_eq!(parse(b"\xf7"), Ok(Value::Null));
}

#[test]
fn numbers_of_every_width_are_read() {
    for (body, expected) in [
        (&b"\x17"[..], Value::Integer(23)),
        (b"\x18\xff", Value::Integer(255)),
        (b"\x19\x01\x00", Value::Integer(256)),
        (b"\x1a\x00\x01\x00\x00", Value::Integer(65_536)),
        (b"\x1b\x7f\xff\xff\xff\xff\xff\xff\xff", Value::Integer(i64::MAX)),
        (b"\x1b\x80\x00\x00\x00\x00\x00\x00\x00", Value::Float(9_223_372_036_854_775_808.0)),
        (b"\x20", Value::Integer(-1)),
        (b"\x38\x63", Value::Integer(-100)),
        (b"\x3b\x7f\xff\xff\xff\xff\xff\xff\xff", Value::Integer(i64::MIN)),
        (b"\x3b\xff\xff\xff\xff\xff\xff\xff\xff", Value::Float(-18_446_744_073_709_551_616.0)),
        (b"\xf9\x3e\x00", Value::Float(1.5)),
        (b"\xfa\x3f\xc0\x00\x00", Value::Float(1.5)),
        (b"\xfb\x3f\xf8\x00\x00\x00\x00\x00\x00", Value::Float(1.5)),
    ] {
        assert_eq!(parse(body), Ok(expected), "{body:?}");
    }
}

#[test]
fn tag_1_is_milliseconds() {
    let expected = Ok(Value::Millis(0x1a0_13ac_cc38));
    assert_eq!(parse(b"\xc1\x1b\x00\x00\x01\xa0\x13\xac\xcc\x38"), expected);
    assert_eq!(parse(b"\xc1\xfb\x3f\xf8\x00\x00\x00\x00\x00\x00"), Ok(Value::Millis(2)));
    assert_eq!(parse(b"\xc1\x61x"), Ok(text("x")));
}

#[test]
fn big_numbers_are_whole_where_they_fit() {
    assert_eq!(parse(b"\xc2\x42\x01\x00"), Ok(Value::Integer(256)));
    assert_eq!(parse(b"\xc3\x42\x01\x00"), Ok(Value::Integer(-257)));
    let body = b"\xc2\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00";
    assert_eq!(parse(body), Ok(Value::Float(18_446_744_073_709_551_616.0)));
    let widest = [&[0xc3, 0x51][..], &[0xff; 17]].concat();
    assert_eq!(parse(&widest), Ok(Value::Float(-(2.0_f64.powi(136)))));
    assert_eq!(parse(&[&[0xc2, 0x52][..], &[0xff; 18]].concat()), Err(Malformed));
}

#[test]
fn other_tags_are_skipped() {
    assert_eq!(parse(b"\xd9\xd9\xf7\xc0\x61x"), Ok(text("x")));
    assert_eq!(parse(b"\xd9\xd9\xf7\xc1\x05"), Ok(Value::Millis(5)));
}

#[test]
fn unsound_documents_are_malformed() {
    let bodies: [&[u8]; 15] = [
        b"",
        b"\xf6\xf6",
        b"\xff",
        b"\xbf",
        b"\xbf\x61a\xff",
        b"\xa1\x01\x01",
        b"\xa1\x41a\x01",
        b"\x82\x01",
        b"\x9f\x01",
        b"\x62a",
        b"\x61\xff",
        b"\x7f\x41a\xff",
        b"\xe0",
        b"\xc1",
        b"\x1c",
    ];
    for body in bodies {
        assert_eq!(parse(body), Err(Malformed), "{body:?}");
    }
}

#[test]
fn declared_lengths_are_not_believed() {
    let longest = [0xff; 8];
    for head in [0x5b, 0x7b, 0x9b, 0xbb] {
        let body = [&[head], &longest[..]].concat();
        assert_eq!(parse(&body), Err(Malformed));
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| [vec![0x81; depth], vec![0x01]].concat();
    assert!(parse(&nested(limits::BODY_DEPTH_MAX)).is_ok());
    assert_eq!(parse(&nested(limits::BODY_DEPTH_MAX + 1)), Err(Malformed));
    assert_eq!(parse(&vec![0xbf; 1_000_000]), Err(Malformed));
    assert_eq!(parse(&vec![0xc1; 1_000_000]), Err(Malformed));
}

#[test]
fn number_of_values_is_bounded() {
    let list = |values: usize| [&[0x9f], &vec![0x00; values][..], &[0xff]].concat();
    assert!(parse(&list(limits::BODY_VALUES_MAX - 1)).is_ok());
    assert_eq!(parse(&list(limits::BODY_VALUES_MAX)), Err(Malformed));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body: Vec<u8>) {
        drop(parse(&body));
    }

    #[test]
    fn what_is_read_is_sound_to_another_reader(body in prop::collection::vec(any::<u8>(), 0..12)) {
        if parse(&body).is_ok() {
            let mut reference = Decoder::new(&body);
            prop_assert!(reference.skip().is_ok());
            prop_assert_eq!(reference.position(), body.len());
        }
    }

    #[test]
    fn every_number_is_read_as_written(number: i64) {
        let body = minicbor::to_vec(number).unwrap();
        prop_assert_eq!(parse(&body), Ok(Value::Integer(number)));
    }
}
