//! The first pass: every known member gets the type of its shape, or the request is refused with
//! the service's words for the first that cannot.
//!
//! Words for what only CBOR can hold are unconfirmed; they follow the pattern of the others.

use std::borrow::Cow;
use std::mem;

use super::blob::Blob;
use super::place::Place;
use super::validation::Violations;
use super::{Field, Input, TextMap};
use crate::aws::Encoding;
use crate::aws::base64;
use crate::aws::exception::{Exception, Kind};
use crate::aws::shape::{Shape, Structure};
use crate::aws::value::{Value, truncated};

const UNEXPECTED_LIST: &str = "Start of list found where not expected";
const UNEXPECTED_MAP: &str = "Start of structure or map found where not expected.";

/// The pass over one input. Nulls where none may be have the right type, so they are no refusal but
/// violations, noted here because afterwards they are gone.
pub(super) struct Coercion<'v> {
    encoding: Encoding,
    violations: &'v mut Violations,
}

impl<'v> Coercion<'v> {
    pub(super) const fn new(encoding: Encoding, violations: &'v mut Violations) -> Self {
        Self { encoding, violations }
    }

    /// Coerces the structure at `place` (none for the input itself).
    pub(super) fn structure<'a>(
        &mut self,
        value: Value<'a>,
        shape: &'static Structure,
        place: Option<&Place<'_>>,
    ) -> Result<Input<'a>, Exception> {
        let Value::Map(mut entries) = value else {
            return Err(not_nested(&value, "Expected null"));
        };
        let mut members = Vec::with_capacity(entries.len().min(shape.members.len()));
        for member in shape.members {
            let entry = entries.iter_mut().rev().find(|(name, _)| name == member.name);
            let value = entry.map_or(Value::Null, |(_, value)| mem::replace(value, Value::Null));
            if value != Value::Null {
                let place = Place::member(place, member);
                members.push((member, self.field(value, &member.shape, &place)?));
            }
        }
        Ok(Input { members })
    }

    /// Coerces a value other than null.
    fn field<'a>(
        &mut self,
        value: Value<'a>,
        shape: &'static Shape,
        place: &Place<'_>,
    ) -> Result<Field<'a>, Exception> {
        match shape {
            Shape::Text { .. } => text(value).map(Field::Text),
            Shape::Integer { .. } => integer(&value).map(Field::Integer),
            Shape::Boolean => boolean(&value).map(Field::Boolean),
            Shape::Blob { .. } => blob(value).map(Field::Blob),
            Shape::Timestamp => self.timestamp(&value).map(Field::Timestamp),
            Shape::List { of, .. } => self.list(value, of, place).map(Field::List),
            Shape::TextMap { .. } => self.text_map(value, place).map(Field::TextMap),
            Shape::Structure(shape) => {
                self.structure(value, shape, Some(place)).map(Field::Structure)
            }
        }
    }

    fn list<'a>(
        &mut self,
        value: Value<'a>,
        of: &'static Shape,
        place: &Place<'_>,
    ) -> Result<Vec<Field<'a>>, Exception> {
        let Value::List(entries) = value else {
            return Err(not_nested(&value, "Expected list or null"));
        };
        let mut list = Vec::with_capacity(entries.len());
        for (index, entry) in entries.into_iter().enumerate() {
            let place = place.entry(index);
            if entry == Value::Null {
                self.violations.add_null(&place);
                list.push(Field::Null);
            } else {
                list.push(self.field(entry, of, &place)?);
            }
        }
        Ok(list)
    }

    fn text_map<'a>(
        &mut self,
        value: Value<'a>,
        place: &Place<'_>,
    ) -> Result<TextMap<'a>, Exception> {
        let Value::Map(mut entries) = value else {
            return Err(not_nested(&value, "Expected map or null"));
        };
        // A stable sort: equal keys keep their order, so that the last of each can be taken.
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut map: TextMap<'a> = Vec::with_capacity(entries.len());
        let mut entries = entries.into_iter().peekable();
        while let Some((key, value)) = entries.next() {
            if entries.peek().is_some_and(|(next, _)| *next == key) {
                continue;
            }
            if value == Value::Null {
                self.violations.add_null(&place.key(&key));
                map.push((key, "".into()));
            } else {
                map.push((key, text(value)?));
            }
        }
        Ok(map)
    }

    /// JSON has seconds, CBOR milliseconds.
    fn timestamp(&self, value: &Value<'_>) -> Result<i64, Exception> {
        match (value, self.encoding) {
            (Value::Millis(millis), _) | (Value::Integer(millis), Encoding::Cbor) => Ok(*millis),
            (Value::Integer(seconds), Encoding::Json) => Ok(seconds.saturating_mul(1000)),
            (Value::Float(millis), Encoding::Cbor) => Ok(truncated(millis.round())),
            (Value::Float(seconds), Encoding::Json) => Ok(truncated((seconds * 1000.0).round())),
            _ => Err(not_convertible(value, "milliseconds since epoch")),
        }
    }
}

fn text(value: Value<'_>) -> Result<Cow<'_, str>, Exception> {
    let Value::Text(text) = value else { return Err(not_convertible(&value, "an String")) };
    Ok(text)
}

fn integer(value: &Value<'_>) -> Result<i32, Exception> {
    let number = if let Value::Float(number) = value {
        truncated(number.floor())
    } else if let Value::Integer(number) | Value::Millis(number) = value {
        *number
    } else {
        return Err(not_convertible(value, "an Integer"));
    };
    let nearest = if number < 0 { i32::MIN } else { i32::MAX };
    Ok(i32::try_from(number).unwrap_or(nearest))
}

fn boolean(value: &Value<'_>) -> Result<bool, Exception> {
    if let Value::Bool(value) = value {
        return Ok(*value);
    }
    let Value::Text(text) = value else { return Err(not_convertible(value, "an Boolean")) };
    let is_one_of = |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(["true", "1", "yes"]) {
        Ok(true)
    } else if is_one_of(["false", "0", "no"]) {
        Ok(false)
    } else {
        Err(refusal(format!("'{}' can not be converted to an Boolean", text.to_uppercase())))
    }
}

fn blob(value: Value<'_>) -> Result<Blob<'_>, Exception> {
    if let Value::Bytes(bytes) = value {
        return Ok(bytes.into());
    }
    let Value::Text(text) = value else { return Err(not_convertible(&value, "a Blob")) };
    base64::decode(&text).map(Blob::from)
}

/// What is answered where a list, map or structure was wanted and `value` is another kind.
fn not_nested(value: &Value<'_>, words_for_scalars: &'static str) -> Exception {
    if matches!(value, Value::List(_)) {
        refusal(UNEXPECTED_LIST)
    } else if matches!(value, Value::Map(_)) {
        refusal(UNEXPECTED_MAP)
    } else {
        refusal(words_for_scalars)
    }
}

/// What is answered where a scalar was wanted and `value` cannot become it.
fn not_convertible(value: &Value<'_>, target: &str) -> Exception {
    let class = match value {
        Value::List(_) => return refusal(UNEXPECTED_LIST),
        Value::Map(_) => return refusal(UNEXPECTED_MAP),
        Value::Null => return refusal("Expected null"),
        Value::Bool(_) => "java.lang.Boolean",
        Value::Text(_) => "java.lang.String",
        Value::Bytes(_) => "java.nio.HeapByteBuffer",
        Value::Integer(_) | Value::Float(_) | Value::Millis(_) => {
            "com.amazon.coral.value.json.numbers.TruncatingBigNumber"
        }
    };
    refusal(format!("class {class} can not be converted to {target}"))
}

fn refusal(message: impl Into<Cow<'static, str>>) -> Exception {
    Exception::new(Kind::Serialization, message)
}
