//! The configuration file: what is taken from it is what another reading of its TOML says, and no
//! text makes the program do anything but refuse it in one sentence.

use kinelog::fuzzing::{configured, is_accepted};
use toml::{Table, Value};

use crate::Seed;

/// The target: the text of a file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let words = match configured(text) {
        Ok(words) => words,
        Err(sentence) => {
            assert!(sentence.starts_with("kinelog.toml"), "{sentence}");
            return;
        }
    };
    let table: Table = text.parse().expect("what is taken is TOML");
    let mut expected = Vec::new();
    for (key, value) in &table {
        assert_ne!(key, "config", "a file names no other");
        match value {
            Value::Boolean(true) => expected.push(format!("--{key}")),
            Value::Boolean(false) => {}
            Value::Array(list) => expected.extend(list.iter().map(|it| option(key, it))),
            value => expected.push(option(key, value)),
        }
    }
    assert_eq!(words, expected);
    // A value may be wrong; but it stays the value of its option.
    let all: Vec<_> = ["kinelog".to_owned()].into_iter().chain(words).collect();
    let _is_taken = is_accepted(&all);
}

fn option(key: &str, value: &Value) -> String {
    match value {
        Value::String(text) => format!("--{key}={text}"),
        Value::Integer(number) => format!("--{key}={number}"),
        Value::Float(number) => format!("--{key}={number}"),
        other => panic!("{key} is taken from {other:?}"),
    }
}

/// Files with keys of all kinds, and with wrong ones.
pub fn seeds() -> Vec<Seed> {
    let all = "listen = ['127.0.0.1:0']\nlimits = 'off'\nthreads = 2\nallow-remote = false\n\
               create-stream = ['a:1', 'b']\nfault = ['*:p=0.5:throttle']\n# c\ndata-dir = \"\\u0064\"";
    vec![
        ("all", all.into()),
        ("unknown", b"limit = 'off'".to_vec()),
        ("table", b"[limits]\na = 1".to_vec()),
        ("kind", b"threads = 1979-05-27T07:32:00Z".to_vec()),
        ("broken", b"limits = 'off".to_vec()),
    ]
}
