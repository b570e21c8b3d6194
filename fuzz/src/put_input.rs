//! What `kinelog put` reads: records are what a naive cut of the input gives, and a record's key is
//! what another walk through its JSON finds.

use kinelog::fuzzing::{key_of, records};
use serde_json::Value;

use crate::Seed;
use crate::block_on;
use crate::choices::Choices;

/// The target: how records stand in the input, a path, and the input.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (is_base64, by_null, path) = (choices.is(), choices.is(), choices.text());
    let input = choices.rest();
    let end = if by_null { 0 } else { b'\n' };
    let mut pieces: Vec<_> = input.split(|byte| *byte == end).collect();
    // What ends the last record begins no other.
    pieces.pop_if(|last| last.is_empty());
    let found = block_on(records(input.to_vec(), is_base64, by_null));
    let read = match &found {
        Ok(records) => {
            assert_eq!(records.len(), pieces.len());
            records
        }
        Err((records, reason)) => {
            assert!(is_base64, "{reason}");
            records
        }
    };
    for (record, piece) in read.iter().zip(&pieces) {
        if is_base64 {
            let text = base64_simd::STANDARD.encode_to_string(record);
            assert_eq!(text.as_bytes(), piece.trim_ascii_end());
        } else {
            assert_eq!(record, piece);
        }
    }
    for piece in pieces {
        check_key(&path, piece);
    }
}

fn check_key(path: &str, record: &[u8]) {
    let found = key_of(path, record);
    let names: Vec<_> = path.strip_prefix("$.").unwrap_or(path).split('.').collect();
    let expected = serde_json::from_slice::<Value>(record).ok().and_then(|record| {
        let mut at = &record;
        for name in &names {
            at = match at {
                Value::Array(list) => list.get(name.parse::<usize>().ok()?)?,
                Value::Object(map) => map.get(*name)?,
                _ => return None,
            };
        }
        match at {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => None,
        }
    });
    let is_path = !names.contains(&"");
    let expected =
        expected.filter(|key| is_path && (1..=256).contains(&key.encode_utf16().count()));
    assert_eq!(found.ok(), expected);
}

/// Records by line and by null, in base64, and with keys inside.
pub fn seeds() -> Vec<Seed> {
    vec![
        ("lines", b"\x00\x00\x01a{\"a\":\"k\"}\n{\"a\":7}\n\nnone".to_vec()),
        ("nulls", b"\x00\x01\x07$.a.0.ba\0{\"a\":[{\"b\":true}]}\0".to_vec()),
        ("base64", b"\x01\x00\x01aaGk=\r\n/w==\naGk".to_vec()),
    ]
}
