//! The configuration file: the options of `kinelog serve` in TOML, one key for each, of the same
//! name. What the command line or the environment says counts more.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Command;
use toml::{Table, Value};

/// Puts the options of the file named by `--config` (or `KINELOG_CONFIG`) in front of those given.
///
/// # Errors
///
/// One sentence that names the file, and the key where there is one.
pub(crate) fn with_file(given: Vec<OsString>, serve: &Command) -> Result<Vec<OsString>, String> {
    let Some(path) = named(&given) else { return Ok(given) };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        format!("the configuration {} cannot be read: {error}; check --config", path.display())
    })?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        format!("{} is not TOML: {}; correct it", path.display(), error.message())
    })?;
    let options = options(&table, &path, serve)?;
    let at = usize::from(given.get(1).is_some_and(|first| first == "serve")) + 1;
    let mut all = given;
    all.splice(at.min(all.len())..at.min(all.len()), options.into_iter().map(OsString::from));
    Ok(all)
}

fn named(given: &[OsString]) -> Option<PathBuf> {
    let mut words = given.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        if word == "--config" {
            return words.next().map(|path| PathBuf::from(&*path));
        }
        if let Some(path) = word.strip_prefix("--config=") {
            return Some(PathBuf::from(path));
        }
    }
    std::env::var_os("KINELOG_CONFIG").map(PathBuf::from)
}

/// The file's keys as options, without those the environment sets.
fn options(table: &Table, path: &Path, serve: &Command) -> Result<Vec<String>, String> {
    let mut options = Vec::new();
    for (key, value) in table {
        let known = serve.get_arguments().find(|known| known.get_long() == Some(key.as_str()));
        let Some(known) = known.filter(|_| key != "config") else {
            return Err(format!(
                "{} has the key {key}, which is no option; `kinelog serve --help` lists them",
                path.display()
            ));
        };
        if known.get_env().is_some_and(|name| std::env::var_os(name).is_some()) {
            continue;
        }
        for word in words(value).ok_or_else(|| {
            format!(
                "{}: {key} must be a text, a number, a list of texts or a truth",
                path.display()
            )
        })? {
            options.push(match word {
                Some(word) => format!("--{key}={word}"),
                None => format!("--{key}"),
            });
        }
    }
    Ok(options)
}

/// The values of a key; `None` inside stands for an option without a value.
fn words(value: &Value) -> Option<Vec<Option<String>>> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    };
    match value {
        Value::Boolean(true) => Some(vec![None]),
        Value::Boolean(false) => Some(Vec::new()),
        Value::Array(list) => list.iter().map(|value| one(value).map(Some)).collect(),
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Datetime(_)
        | Value::Table(_) => Some(vec![Some(one(value)?)]),
    }
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn command() -> Command {
        let option = |name: &'static str| Arg::new(name).long(name);
        Command::new("serve").args(["limits", "threads", "create-stream", "config"].map(option))
    }

    fn read(text: &str) -> Result<Vec<String>, String> {
        options(&text.parse().unwrap(), Path::new("k.toml"), &command())
    }

    #[test]
    fn keys_become_options_of_the_same_name() {
        let options = read("limits = 'off'\nthreads = 2\ncreate-stream = ['a:1', 'b']").unwrap();
        let expected = ["--create-stream=a:1", "--create-stream=b", "--limits=off", "--threads=2"];
        assert_eq!(options, expected);
    }

    #[test]
    fn unknown_keys_are_named() {
        let sentence = read("limit = 'off'").unwrap_err();
        assert!(sentence.contains("k.toml has the key limit"), "{sentence}");
        assert!(read("config = 'other.toml'").is_err());
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused() {
        assert!(read("limits = { a = 1 }").unwrap_err().contains("limits must be"));
    }
}
