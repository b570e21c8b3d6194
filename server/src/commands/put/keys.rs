//! Partition keys of lines: one for all, one of chance, or a field of the JSON a line holds.

use std::str::FromStr;

use serde_json::Value;

use crate::limits;

/// Where the key of a record comes from.
#[derive(Clone, Debug)]
pub(super) enum Keys {
    /// All have this one.
    Fixed(String),
    /// From this field of each.
    Field(KeyPath),
    /// Each gets its own.
    Random,
}

impl Keys {
    /// The key of a record.
    ///
    /// # Errors
    ///
    /// What is wrong with the record, to be said after "record N".
    pub(super) fn of(&self, data: &[u8]) -> Result<String, String> {
        match self {
            Self::Fixed(key) => Ok(key.clone()),
            Self::Field(path) => path.of(data),
            Self::Random => Ok(format!("{:016x}", fastrand::u64(..))),
        }
    }
}

/// A key given on the command line.
pub(super) fn fixed(text: &str) -> Result<String, String> {
    check(text).map(|()| text.to_owned())
}

/// Lengths are counted as the service does.
fn check(key: &str) -> Result<(), String> {
    let units = key.encode_utf16().count();
    let most = limits::PARTITION_KEY_UNITS_MAX;
    if (1..=most).contains(&units) {
        return Ok(());
    }
    Err(format!("a partition key has 1 to {most} characters, not {units}"))
}

/// A place in JSON: names of members and numbers of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPath(String);

impl FromStr for KeyPath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_prefix("$.").unwrap_or(text);
        if path.split('.').any(str::is_empty) {
            return Err("a path is names joined by dots, such as user.id");
        }
        Ok(Self(path.to_owned()))
    }
}

impl KeyPath {
    pub(super) fn of(&self, data: &[u8]) -> Result<String, String> {
        let Self(path) = self;
        let record: Value =
            serde_json::from_slice(data).map_err(|error| format!("is not JSON ({error})"))?;
        let step = |value, name: &str| match value {
            Value::Array(list) => list.into_iter().nth(name.parse().ok()?),
            Value::Object(mut map) => map.remove(name),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        let key = match path.split('.').try_fold(record, step) {
            Some(Value::String(text)) => text,
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            Some(Value::Null) | None => return Err(format!("has no {path}")),
            Some(Value::Array(_) | Value::Object(_)) => {
                return Err(format!("has a list or an object as {path}"));
            }
        };
        check(&key).map_err(|reason| format!("has an unusable {path}: {reason}"))?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str, data: &str) -> Result<String, String> {
        path.parse::<KeyPath>().unwrap().of(data.as_bytes())
    }

    #[test]
    fn fields_of_any_depth_are_keys() {
        let record = r#"{"user":{"id":"u1","n":7,"on":true},"items":[{"sku":"a"}],"0":"zero"}"#;
        for (path, expected) in [
            ("user.id", "u1"),
            ("$.user.id", "u1"),
            ("user.n", "7"),
            ("user.on", "true"),
            ("items.0.sku", "a"),
            ("0", "zero"),
        ] {
            assert_eq!(key(path, record).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn records_without_a_key_are_told() {
        for (data, expected) in [
            ("{}", "has no a.b"),
            (r#"{"a":1}"#, "has no a.b"),
            (r#"{"a":{"b":null}}"#, "has no a.b"),
            (r#"{"a":[1]}"#, "has no a.b"),
            (r#"{"a":{"b":{}}}"#, "has a list or an object as a.b"),
            (
                r#"{"a":{"b":""}}"#,
                "has an unusable a.b: a partition key has 1 to 256 characters, not 0",
            ),
            ("", "is not JSON (EOF while parsing a value at line 1 column 0)"),
        ] {
            assert_eq!(key("a.b", data), Err(expected.to_owned()), "{data}");
        }
    }

    #[test]
    fn paths_and_keys_of_the_command_line_are_checked() {
        for text in ["", ".", "a.", ".a", "a..b", "$."] {
            assert!(text.parse::<KeyPath>().is_err(), "{text}");
        }
        assert!(fixed(&"k".repeat(256)).is_ok());
        assert!(fixed("").is_err() && fixed(&"k".repeat(257)).is_err());
        assert!(fixed(&"\u{1f600}".repeat(129)).is_err(), "such a character counts twice");
    }

    #[test]
    fn keys_of_chance_differ() {
        let keys: std::collections::HashSet<_> =
            (0..1000).map(|_| Keys::Random.of(b"same").unwrap()).collect();
        assert_eq!(keys.len(), 1000);
    }
}
