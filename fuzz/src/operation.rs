//! `json_op` and `cbor_op`: a body through parsing, coercion and validation by the table of each
//! operation. Whether it parses agrees with another parser; the short way through a body and the long
//! one come to the same; what passes keeps every constraint of the table; and the same body in the
//! other encoding gets the same answer.

use std::borrow::Cow;

use kinelog::aws::exception::{Exception, Kind};
use kinelog::aws::input::{self, Body, Field, Input};
use kinelog::aws::shape::{Shape, Structure};
use kinelog::aws::value::{Malformed, Value};
use kinelog::aws::{Encoding, cbor, json};
use kinelog::kinesis::Operation;

use crate::Seed;

/// Deepest nesting, and most digits of a number and values, that are let through.
const DEPTH_MAX: usize = 32;
const DIGITS_MAX: usize = 40;
const VALUES_MAX: usize = 65_536;

/// The target of JSON: which operation, then the body.
pub fn run_json(data: &[u8]) {
    let Some((operation, body)) = data.split_first() else { return };
    let (parsed, other) = (json::parse(body), serde_json::from_slice::<serde_json::Value>(body));
    match (&parsed, &other) {
        (Ok(value), Ok(other)) => assert!(is_same(value, other), "{value:?}\n{other}"),
        (Ok(value), Err(error)) => panic!("{value:?}: {error}"),
        (Err(_), Ok(other)) => assert!(is_beyond_bounds(body, other), "{other}"),
        (Err(_), Err(_)) => {}
    }
    let shape = shape(*operation);
    let Some(answer) = read(body, parsed.clone(), shape, Encoding::Json) else { return };
    let Ok(value) = parsed else { return };
    if !has_odd_number(&value) {
        let mut bytes = Vec::new();
        write_cbor(&in_cbor_terms(value), &mut bytes);
        let again = read(&bytes, cbor::parse(&bytes), shape, Encoding::Cbor);
        assert_same(&answer, &again.expect("it is a map still"), shape);
    }
}

/// The target of CBOR: which operation, then the body.
pub fn run_cbor(data: &[u8]) {
    let Some((operation, body)) = data.split_first() else { return };
    let parsed = cbor::parse(body);
    if body.first().is_some_and(|first| first >> 5 == 0) {
        assert_eq!(parsed.is_ok(), is_small_number(body), "a number by itself");
    }
    let shape = shape(*operation);
    let answer = read(body, parsed.clone(), shape, Encoding::Cbor);
    let Ok(value) = parsed else { return };
    assert!(depth(&value) <= DEPTH_MAX && count(&value) <= VALUES_MAX, "the bounds hold");
    assert!(weight(&value) <= 64 * body.len(), "memory is bounded by the body");
    if !has_odd_number(&value) {
        let mut bytes = Vec::new();
        write_cbor(&value, &mut bytes);
        let again = cbor::parse(&bytes);
        assert_eq!(again.as_ref(), Ok(&value), "a value has one meaning");
        if let (Some(answer), Some(again)) = (answer, read(&bytes, again, shape, Encoding::Cbor)) {
            assert_same(&answer, &again, shape);
        }
    }
}

fn shape(operation: u8) -> &'static Structure {
    Operation::ALL[usize::from(operation) % Operation::ALL.len()].shape()
}

/// What is read, or told, by both ways; nothing where the body is no map.
fn read<'a>(
    body: &'a [u8],
    parsed: Result<Value<'a>, Malformed>,
    shape: &'static Structure,
    encoding: Encoding,
) -> Option<Answer<'a>> {
    let read = Body::read(body, Some(shape), encoding);
    let Ok(value @ Value::Map(_)) = parsed else {
        assert!(read.is_err(), "the short way takes what is no body");
        return None;
    };
    let read = read.expect("a map is a body");
    let answer = input::read(read, shape, encoding);
    assert_same(&answer, &input::read(value, shape, encoding), shape);
    match &answer {
        Ok(input) => check_structure(input, shape),
        Err(Exception { kind, .. }) => {
            assert!(matches!(kind, Kind::Serialization | Kind::Validation), "{kind:?}");
        }
    }
    Some(answer)
}

type Answer<'a> = Result<Input<'a>, Exception>;

fn assert_same(one: &Answer<'_>, other: &Answer<'_>, shape: &'static Structure) {
    let is_same = match (one, other) {
        (Ok(one), Ok(other)) => is_same_input(one, other, shape),
        (Err(one), Err(other)) => one == other,
        _ => false,
    };
    assert!(is_same, "{one:?}\n{other:?}");
}

/// Whether all accessors give the same: the order of the members tells nothing.
fn is_same_input(one: &Input<'_>, other: &Input<'_>, shape: &'static Structure) -> bool {
    shape.members.iter().all(|member| {
        let name = member.name;
        match &member.shape {
            Shape::Text { .. } => one.text(name) == other.text(name),
            Shape::Integer { .. } => one.integer(name) == other.integer(name),
            Shape::Boolean => one.boolean(name) == other.boolean(name),
            Shape::Blob { .. } => one.blob(name) == other.blob(name),
            Shape::Timestamp => one.timestamp(name) == other.timestamp(name),
            Shape::TextMap { .. } => one.text_map(name) == other.text_map(name),
            Shape::List { of, .. } => match (one.list(name), other.list(name)) {
                (Some(one), Some(other)) => {
                    one.len() == other.len()
                        && one.iter().zip(other).all(|it| is_same_field(it.0, it.1, of))
                }
                (one, other) => one.is_none() && other.is_none(),
            },
            Shape::Structure(shape) => match (one.structure(name), other.structure(name)) {
                (Some(one), Some(other)) => is_same_input(one, other, shape),
                (one, other) => one.is_none() && other.is_none(),
            },
        }
    })
}

fn is_same_field(one: &Field<'_>, other: &Field<'_>, shape: &'static Shape) -> bool {
    match (one, other, shape) {
        (Field::Structure(one), Field::Structure(other), Shape::Structure(shape)) => {
            is_same_input(one, other, shape)
        }
        _ => one == other,
    }
}

/// Holds what was read against the table, by the accessors that operations use.
fn check_structure(input: &Input<'_>, shape: &'static Structure) {
    for member in shape.members {
        let name = member.name;
        let is_there = match &member.shape {
            Shape::Text { .. } => input.text(name).map(|it| check_text(it, &member.shape)),
            Shape::Integer { min, max } => input.integer(name).map(|it| {
                let it = i64::from(it);
                assert!(min.is_none_or(|min| min <= it) && max.is_none_or(|max| it <= max));
            }),
            Shape::Boolean => input.boolean(name).map(drop),
            Shape::Blob { max } => input.blob(name).map(|it| assert!(it.len() <= *max)),
            Shape::Timestamp => input.timestamp(name).map(drop),
            Shape::List { of, length } => input.list(name).map(|list| {
                check_length(list.len(), *length);
                for field in list {
                    check_field(field, of);
                }
            }),
            Shape::TextMap { length, key, value } => input.text_map(name).map(|map| {
                check_length(map.len(), *length);
                for (one, other) in map {
                    check_length(one.encode_utf16().count(), Some(*key));
                    check_length(other.encode_utf16().count(), Some(*value));
                }
                assert!(map.is_sorted_by(|one, other| one.0 < other.0), "each key once");
            }),
            Shape::Structure(shape) => input.structure(name).map(|it| check_structure(it, shape)),
        };
        assert!(is_there.is_some() || !member.required, "{name} is missing");
    }
}

fn check_field(field: &Field<'_>, shape: &'static Shape) {
    match (field, shape) {
        (Field::Text(text), Shape::Text { .. }) => check_text(text, shape),
        (Field::Structure(input), Shape::Structure(shape)) => check_structure(input, shape),
        _ => panic!("{field:?} in a list of {shape:?}"),
    }
}

fn check_text(text: &str, shape: &Shape) {
    let Shape::Text { length, pattern, one_of } = shape else { unreachable!() };
    check_length(text.encode_utf16().count(), *length);
    assert!(pattern.is_none_or(|(_, is_match)| is_match(text)), "{text}");
    assert!(one_of.is_none_or(|words| words.contains(&text)), "{text}");
}

fn check_length(length: usize, bounds: Option<(usize, usize)>) {
    assert!(bounds.is_none_or(|(min, max)| (min..=max).contains(&length)), "{length} {bounds:?}");
}

/// Whether both parsers read the same.
fn is_same(value: &Value<'_>, other: &serde_json::Value) -> bool {
    match (value, other) {
        (Value::Null, serde_json::Value::Null) => true,
        (Value::Bool(one), serde_json::Value::Bool(other)) => one == other,
        (Value::Integer(one), serde_json::Value::Number(other)) => other.as_i64() == Some(*one),
        (Value::Float(one), serde_json::Value::Number(other)) => other.as_f64() == Some(*one),
        (Value::Text(one), serde_json::Value::String(other)) => one == other,
        (Value::List(one), serde_json::Value::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Map(one), serde_json::Value::Object(other)) => {
            one.iter().all(|(key, _)| other.contains_key(&**key))
                && other.iter().all(|(key, other)| {
                    let last = one.iter().rev().find(|(name, _)| name == key);
                    last.is_some_and(|(_, value)| is_same(value, other))
                })
        }
        _ => false,
    }
}

/// Whether a sound document may be refused: it is too deep, has too many values, or a number of too
/// many digits.
fn is_beyond_bounds(body: &[u8], value: &serde_json::Value) -> bool {
    fn depth(value: &serde_json::Value) -> usize {
        match value {
            serde_json::Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
            serde_json::Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }
    let in_number = |byte: &u8| byte.is_ascii_digit() || b".eE+-".contains(byte);
    let has_long_number = body
        .split(|byte| !in_number(byte))
        .any(|number| number.iter().filter(|byte| byte.is_ascii_digit()).count() > DIGITS_MAX);
    // Members that are named twice are gone from this parser's value: the bytes may hide more.
    let has_doubles =
        body.iter().filter(|byte| **byte == b'[' || **byte == b'{').count() > DEPTH_MAX;
    depth(value) > DEPTH_MAX || has_doubles || has_long_number || body.len() > VALUES_MAX
}

/// The same value as a CBOR client would send it: times in milliseconds.
fn in_cbor_terms(value: Value<'_>) -> Value<'_> {
    let time = |value| match value {
        Value::Integer(seconds) => Value::Millis(seconds.saturating_mul(1000)),
        #[expect(clippy::cast_possible_truncation, reason = "times saturate")]
        Value::Float(seconds) => Value::Millis((seconds * 1000.0).round() as i64),
        other => other,
    };
    match value {
        Value::List(list) => Value::List(list.into_iter().map(in_cbor_terms).collect()),
        Value::Map(map) => {
            let member = |(name, value): (Cow<'_, str>, _)| {
                let is_time = matches!(&*name, "Timestamp" | "StreamCreationTimestamp");
                let value = in_cbor_terms(value);
                (name.into_owned().into(), if is_time { time(value) } else { value })
            };
            Value::Map(map.into_iter().map(member).collect())
        }
        other => other,
    }
}

/// Writes a value by the rules of RFC 8949, in the shortest form.
fn write_cbor(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(truth) => out.push(0xf4 + u8::from(*truth)),
        Value::Integer(number) => write_integer(*number, out),
        Value::Float(number) => {
            out.push(0xfb);
            out.extend(number.to_bits().to_be_bytes());
        }
        Value::Millis(number) => {
            out.push(0xc1);
            write_integer(*number, out);
        }
        Value::Bytes(bytes) => {
            write_head(2, bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
        Value::Text(text) => {
            write_head(3, text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::List(list) => {
            write_head(4, list.len() as u64, out);
            for entry in list {
                write_cbor(entry, out);
            }
        }
        Value::Map(map) => {
            write_head(5, map.len() as u64, out);
            for (key, value) in map {
                write_head(3, key.len() as u64, out);
                out.extend_from_slice(key.as_bytes());
                write_cbor(value, out);
            }
        }
    }
}

fn write_integer(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        write_head(1, (-1 - number).unsigned_abs(), out);
    } else {
        write_head(0, number.unsigned_abs(), out);
    }
}

fn write_head(major: u8, number: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    if let Ok(small @ 0..24) = u8::try_from(number) {
        out.push(major | small);
    } else if let Ok(number) = u8::try_from(number) {
        out.extend([major | 0x18, number]);
    } else if let Ok(number) = u16::try_from(number) {
        out.push(major | 0x19);
        out.extend(number.to_be_bytes());
    } else if let Ok(number) = u32::try_from(number) {
        out.push(major | 0x1a);
        out.extend(number.to_be_bytes());
    } else {
        out.push(major | 0x1b);
        out.extend(number.to_be_bytes());
    }
}

/// Whether `body` is one whole unsigned number.
fn is_small_number(body: &[u8]) -> bool {
    let bytes = match body[0] & 31 {
        0..24 => 0,
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return false,
    };
    body.len() == 1 + bytes
}

/// Whether it holds a number that is not equal to itself.
fn has_odd_number(value: &Value<'_>) -> bool {
    match value {
        Value::Float(number) => number.is_nan(),
        Value::List(list) => list.iter().any(has_odd_number),
        Value::Map(map) => map.iter().any(|(_, value)| has_odd_number(value)),
        _ => false,
    }
}

fn depth(value: &Value<'_>) -> usize {
    match value {
        Value::List(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Map(map) => 1 + map.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
        _ => 0,
    }
}

fn count(value: &Value<'_>) -> usize {
    match value {
        Value::List(list) => 1 + list.iter().map(count).sum::<usize>(),
        Value::Map(map) => 1 + map.iter().map(|(_, value)| count(value)).sum::<usize>(),
        _ => 1,
    }
}

/// Bytes it has room for.
fn weight(value: &Value<'_>) -> usize {
    const ENTRY: usize = size_of::<(Cow<'_, str>, Value<'_>)>();
    match value {
        Value::List(list) => {
            list.capacity() * size_of::<Value<'_>>() / 4 + list.iter().map(weight).sum::<usize>()
        }
        Value::Map(map) => {
            map.capacity() * ENTRY / 4 + map.iter().map(|(_, value)| weight(value)).sum::<usize>()
        }
        Value::Text(Cow::Owned(text)) => text.capacity(),
        Value::Bytes(Cow::Owned(bytes)) => bytes.capacity(),
        _ => 0,
    }
}

/// A sound body of each operation, as JSON text.
fn bodies() -> Vec<(&'static str, u8, serde_json::Value)> {
    let numbered = (0_u8..).zip(Operation::ALL);
    numbered.map(|(number, it)| (it.name(), number, structure(it.shape()))).collect()
}

fn structure(shape: &'static Structure) -> serde_json::Value {
    let members = shape.members.iter();
    members.map(|member| (member.name.to_owned(), sample(&member.shape))).collect()
}

fn sample(shape: &'static Shape) -> serde_json::Value {
    use serde_json::json;
    match shape {
        Shape::Text { one_of: Some(words), .. } => json!(words[0]),
        Shape::Text { pattern, length, .. } => {
            let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/s";
            let consumer = format!("{arn}/consumer/c:1");
            let id = "aaaaaaaaaaaaaaaaaaaa-bbb";
            let texts = ["s", "0", arn, &consumer, id];
            let fits = |text: &&&str| {
                pattern.is_none_or(|(_, is_match)| is_match(text))
                    && length.is_none_or(|(min, max)| (min..=max).contains(&text.len()))
            };
            json!(texts.iter().find(fits).expect("a sample fits each pattern"))
        }
        Shape::Integer { min, .. } => json!(min.unwrap_or(1).max(1)),
        Shape::Boolean => json!(true),
        Shape::Blob { .. } => json!("aGk="),
        Shape::Timestamp => json!(1_764_787_734.25),
        Shape::List { of, .. } => json!([sample(of)]),
        Shape::TextMap { .. } => json!({ "k": "v" }),
        Shape::Structure(shape) => structure(shape),
    }
}

/// A sound body of each operation, and odd ones.
pub fn json_seeds() -> Vec<Seed> {
    let whole = bodies().into_iter();
    let mut seeds: Vec<_> = whole
        .map(|(name, number, body)| (name, [&[number][..], body.to_string().as_bytes()].concat()))
        .collect();
    let odd =
        r#"{"Limit":1e400,"StreamName":null,"Limit":-0.5,"a":[[{}]],"\u0061":"\ud83d\ude00"}"#;
    seeds.push(("odd", [&[16], odd.as_bytes()].concat()));
    seeds
}

/// The same in CBOR, and with lengths that are not told.
pub fn cbor_seeds() -> Vec<Seed> {
    let encoded = |number, body: &serde_json::Value| {
        let text = body.to_string();
        let value = json::parse(text.as_bytes()).expect("samples are sound");
        let mut bytes = vec![number];
        write_cbor(&in_cbor_terms(value), &mut bytes);
        bytes
    };
    let whole = bodies().into_iter();
    let mut seeds: Vec<_> =
        whole.map(|(name, number, body)| (name, encoded(number, &body))).collect();
    let odd = b"\x10\xbf\x7f\x61a\x61b\xff\x5f\x41x\xff\x61t\xc1\xfb\x41\xd0\0\0\0\0\0\0\x61b\xc2\x43\x01\0\0\x61u\xf7\xff";
    seeds.push(("odd", odd.to_vec()));
    seeds
}
