//! JSON bodies into values.
//!
//! `serde_json` reads the text; this file only builds the values and keeps the bounds. It promises to
//! return for every input, with memory bounded by the body and `limits::BODY_VALUES_MAX`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::value::{Budget, Malformed, Value, deeper};
use crate::limits;

/// Parses a whole body.
///
/// # Errors
///
/// `Malformed`.
pub fn parse(body: &[u8]) -> Result<Value<'_>, Malformed> {
    let mut state = State { budget: Budget::new(), has_float: false };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = ValueSeed { state: &mut state, depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    if state.has_float && has_long_number(body) { Err(Malformed) } else { Ok(value) }
}

impl From<serde_json::Error> for Malformed {
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

/// What is known of the body so far.
struct State {
    budget: Budget,
    /// Whether a number did not fit 64 bits or had a fraction: every number of too many digits did.
    has_float: bool,
}

/// Builds one value that stands inside `depth` lists and maps.
struct ValueSeed<'s> {
    state: &'s mut State,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        self.state.budget.take().map_err(D::Error::custom)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Integer(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers past 63 bits are floats by contract")]
    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'de>, E> {
        self.state.has_float = true;
        Ok(Value::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value<'de>, A::Error> {
        let Self { state, depth } = self;
        let depth = deeper(depth).map_err(A::Error::custom)?;
        let mut list = Vec::new();
        while let Some(value) = entries.next_element_seed(ValueSeed { state, depth })? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value<'de>, A::Error> {
        let Self { state, depth } = self;
        let depth = deeper(depth).map_err(A::Error::custom)?;
        let mut map = Vec::new();
        while let Some(key) = entries.next_key_seed(KeySeed)? {
            map.push((key, entries.next_value_seed(ValueSeed { state, depth })?));
        }
        Ok(Value::Map(map))
    }
}

/// Builds the key of a map entry. (serde's own `Cow<str>` never borrows.)
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

/// Whether a number of a sound document has more digits than allowed. The parser hands over values,
/// not digits, so this reads the text again; only bodies with floats pay for it.
fn has_long_number(body: &[u8]) -> bool {
    let mut bytes = body.iter();
    let mut digits = 0;
    while let Some(byte) = bytes.next() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'.' | b'e' | b'E' | b'+' | b'-' => {}
            b'"' => {
                skip_text(&mut bytes);
                digits = 0;
            }
            _ => digits = 0,
        }
        if digits > limits::BODY_NUMBER_DIGITS_MAX {
            return true;
        }
    }
    false
}

/// Moves past the text whose opening quote was just read.
fn skip_text(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(value: &str) -> Value<'_> {
        Value::Text(value.into())
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let body = br#"{"a":null,"b":[true,false],"c":-7,"d":1.5,"e":"x","f":{}} "#;
        let expected = Value::Map(vec![
            ("a".into(), Value::Null),
            ("b".into(), Value::List(vec![Value::Bool(true), Value::Bool(false)])),
            ("c".into(), Value::Integer(-7)),
            ("d".into(), Value::Float(1.5)),
            ("e".into(), text("x")),
            ("f".into(), Value::Map(vec![])),
        ]);
        assert_eq!(parse(body), Ok(expected));
    }

    #[test]
    fn plain_text_is_borrowed_and_escaped_text_is_not() {
        let Ok(Value::Map(map)) = parse(br#"{"plain":"a","esc\u0061ped":"\n"}"#) else { panic!() };
        assert!(matches!(map[0], (Cow::Borrowed("plain"), Value::Text(Cow::Borrowed("a")))));
        assert!(matches!(&map[1], (Cow::Owned(key), Value::Text(Cow::Owned(value)))
            if key == "escaped" && value == "\n"));
    }

    #[test]
    fn equal_keys_are_kept_in_order() {
        let expected = vec![("a".into(), Value::Integer(1)), ("a".into(), Value::Integer(2))];
        assert_eq!(parse(br#"{"a":1,"a":2}"#), Ok(Value::Map(expected)));
    }

    #[test]
    fn whole_numbers_past_64_bits_are_floats() {
        assert_eq!(parse(b"9223372036854775807"), Ok(Value::Integer(i64::MAX)));
        assert_eq!(parse(b"9223372036854775808"), Ok(Value::Float(9_223_372_036_854_775_808.0)));
        assert_eq!(parse(b"99999999999999999999"), Ok(Value::Float(1e20)));
    }

    #[test]
    fn unsound_documents_are_malformed() {
        let bodies: [&[u8]; 10] =
            [b"", b" ", b"{", b"{}x", b"{} {}", b"[1,]", b"{1:2}", b"\"\xff\"", b"01", b"{\"a\"}"];
        for body in bodies {
            assert_eq!(parse(body), Err(Malformed), "{body:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(limits::BODY_DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(parse(nested(limits::BODY_DEPTH_MAX + 1).as_bytes()), Err(Malformed));
        assert_eq!(parse("{\"a\":".repeat(1_000_000).as_bytes()), Err(Malformed));
    }

    #[test]
    fn number_of_values_is_bounded() {
        let list = |values: usize| format!("[{}0]", "0,".repeat(values - 1));
        assert!(parse(list(limits::BODY_VALUES_MAX - 1).as_bytes()).is_ok());
        assert_eq!(parse(list(limits::BODY_VALUES_MAX).as_bytes()), Err(Malformed));
    }

    #[test]
    fn digits_of_numbers_are_bounded_and_digits_of_text_are_not() {
        let longest = "1".repeat(limits::BODY_NUMBER_DIGITS_MAX);
        assert!(parse(longest.as_bytes()).is_ok());
        assert_eq!(parse(format!("[{longest}1]").as_bytes()), Err(Malformed));
        assert_eq!(parse(format!("[0.{longest}]").as_bytes()), Err(Malformed));
        assert!(parse(format!("[0.5,\"\\\"{longest}1\",{longest}]").as_bytes()).is_ok());
    }

    /// The same value as another parser built it.
    fn from_reference(value: &serde_json::Value) -> Value<'_> {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => number
                .as_i64()
                .map_or_else(|| Value::Float(number.as_f64().unwrap()), Value::Integer),
            serde_json::Value::String(value) => text(value),
            serde_json::Value::Array(list) => {
                Value::List(list.iter().map(from_reference).collect())
            }
            serde_json::Value::Object(map) => Value::Map(
                map.iter().map(|(key, value)| (key.into(), from_reference(value))).collect(),
            ),
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            // Quarters: the parser may be off by the last bit of other fractions.
            any::<i32>().prop_map(|quarters| (f64::from(quarters) / 4.0).into()),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..8)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn written_documents_are_read_back(document in any_json()) {
            let body = document.to_string();
            prop_assert_eq!(parse(body.as_bytes()), Ok(from_reference(&document)));
        }

        #[test]
        fn arbitrary_bytes_never_panic(body: Vec<u8>) {
            drop(parse(&body));
        }

        #[test]
        fn damaged_documents_never_panic(document in any_json(), at: prop::sample::Index, byte: u8) {
            let mut body = document.to_string().into_bytes();
            let at = at.index(body.len());
            body[at] = byte;
            drop(parse(&body));
        }
    }
}
