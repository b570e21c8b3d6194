//! The configuration file: the options of `kinelog serve` in TOML, one key for each, of the same
//! name. What the command line or the environment says counts more.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use toml::{Table, Value};

/// Adds to the words of a command line what the file named by `--config` says of options that
/// neither the command line nor the environment sets. What `program` would refuse stays as it is.
///
/// # Errors
///
/// One sentence that names the file, and the key where there is one.
pub(crate) fn with_file(given: Vec<OsString>, program: &Command) -> Result<Vec<OsString>, String> {
    let Ok(matches) = program.clone().try_get_matches_from(&given) else { return Ok(given) };
    let Some((serve, set, at)) = serving(program, &matches) else { return Ok(given) };
    let Some(path) = set.get_one::<PathBuf>("config") else { return Ok(given) };
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!("the configuration {} cannot be read: {error}; check --config", path.display())
    })?;
    let from_file = options(&text, path, serve, set)?;
    let mut all = given;
    let at = at.min(all.len());
    all.splice(at..at, from_file.into_iter().map(OsString::from));
    Ok(all)
}

/// The command that serves, what it was given, and where in the words of the command line its
/// options may begin; `None` when another command was given.
pub(crate) fn serving<'a>(
    program: &'a Command,
    matches: &'a ArgMatches,
) -> Option<(&'a Command, &'a ArgMatches, usize)> {
    match matches.subcommand() {
        None => Some((program, matches, 1)),
        Some(("serve", set)) => Some((program.find_subcommand("serve")?, set, 2)),
        Some(_) => None,
    }
}

/// The keys of a file's text as options, without those that are set already.
///
/// # Errors
///
/// As `with_file`.
pub(crate) fn options(
    text: &str,
    path: &Path,
    serve: &Command,
    set: &ArgMatches,
) -> Result<Vec<String>, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        format!("{} is not TOML: {}; correct it", path.display(), error.message())
    })?;
    let mut options = Vec::new();
    for (key, value) in &table {
        let known = serve.get_arguments().find(|known| known.get_long() == Some(key.as_str()));
        let Some(known) = known.filter(|_| key != "config") else {
            return Err(format!(
                "{} has the key {key}, which is no option; `kinelog serve --help` lists them",
                path.display()
            ));
        };
        let words = words(known, value)
            .map_err(|expected| format!("{}: {key} must be {expected}", path.display()))?;
        if !is_set(set, known) {
            options.extend(words.into_iter().map(|word| match word {
                Some(word) => format!("--{key}={word}"),
                None => format!("--{key}"),
            }));
        }
    }
    Ok(options)
}

/// True when the command line or the environment gives `option`.
pub(crate) fn is_set(set: &ArgMatches, option: &Arg) -> bool {
    let source = set.value_source(option.get_id().as_str());
    matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

/// The values an option is given, `None` where it is given without one.
///
/// # Errors
///
/// What would be right.
fn words(option: &Arg, value: &Value) -> Result<Vec<Option<String>>, &'static str> {
    if !option.get_action().takes_values() {
        let given = value.as_bool().ok_or("true or false")?;
        return Ok(if given { vec![None] } else { Vec::new() });
    }
    if let Some(list) = value.as_array()
        && matches!(option.get_action(), ArgAction::Append)
    {
        let words: Option<_> = list.iter().map(|value| word(value).map(Some)).collect();
        return words.ok_or("a list of texts");
    }
    Ok(vec![Some(word(value).ok_or("a text or a number")?)])
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Command {
        let option = |name: &'static str| Arg::new(name).long(name);
        let serve = [
            option("limits"),
            option("threads"),
            option("create-stream").action(ArgAction::Append),
            option("allow-remote").action(ArgAction::SetTrue),
            option("config").value_parser(clap::value_parser!(PathBuf)),
        ];
        let verify = Command::new("verify").arg(option("data-dir"));
        Command::new("kinelog")
            .args(serve.clone())
            .subcommand(Command::new("serve").args(serve))
            .subcommand(verify)
    }

    /// The command line with a file of this text; `CONFIG` in it names the file.
    #[expect(clippy::disallowed_methods, reason = "the file is made as a user does")]
    fn read(text: &str, given: &[&str]) -> Result<Vec<String>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("k.toml");
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let given = given.iter().map(|word| word.replace("CONFIG", path).into()).collect();
        let all = with_file(given, &program())?;
        Ok(all
            .into_iter()
            .map(|word| word.into_string().unwrap().replace(path, "CONFIG"))
            .collect())
    }

    #[test]
    fn keys_become_options_of_the_same_name() {
        let text = "limits = 'off'\nthreads = 2\ncreate-stream = ['a:1', 'b']\nallow-remote = true";
        let from_file = [
            "--allow-remote",
            "--create-stream=a:1",
            "--create-stream=b",
            "--limits=off",
            "--threads=2",
        ];
        for (given, at) in [
            (&["kinelog", "--config", "CONFIG"][..], 1),
            (&["kinelog", "serve", "--config=CONFIG"], 2),
        ] {
            let expected = [&given[..at], &from_file, &given[at..]].concat();
            assert_eq!(read(text, given).unwrap(), expected);
        }
    }

    #[test]
    fn the_command_line_counts_more_than_the_file() {
        let given = ["kinelog", "--limits", "4", "--create-stream=c", "--config=CONFIG"];
        let all = read("limits = 'off'\ncreate-stream = ['a']\nthreads = 2", &given).unwrap();
        assert_eq!(all, [&["kinelog", "--threads=2"], &given[1..]].concat());
    }

    #[test]
    fn false_leaves_a_switch_off() {
        let given = ["kinelog", "--config=CONFIG"];
        assert_eq!(read("allow-remote = false", &given).unwrap(), given);
    }

    #[test]
    fn other_commands_and_wrong_lines_are_left_alone() {
        for given in [&["kinelog", "verify"][..], &["kinelog", "--nonsense", "--config=CONFIG"]] {
            assert_eq!(read("limits = 'off'", given).unwrap(), given);
        }
    }

    #[test]
    fn unknown_keys_are_named() {
        let given = ["kinelog", "--config=CONFIG"];
        let sentence = read("limit = 'off'", &given).unwrap_err();
        assert!(sentence.contains("k.toml has the key limit, which is no option"), "{sentence}");
        assert!(read("config = 'other.toml'", &given).is_err());
    }

    #[test]
    fn values_of_the_wrong_kind_are_refused() {
        let given = ["kinelog", "--config=CONFIG"];
        for (text, words) in [
            ("limits = { a = 1 }", "limits must be a text or a number"),
            ("limits = false", "limits must be a text or a number"),
            ("limits = ['off']", "limits must be a text or a number"),
            ("create-stream = [true]", "create-stream must be a list of texts"),
            ("allow-remote = 'no'", "allow-remote must be true or false"),
            ("limits", "is not TOML"),
        ] {
            let sentence = read(text, &given).unwrap_err();
            assert!(sentence.contains(words) && !sentence.contains('\n'), "{sentence}");
        }
        let missing = read("", &["kinelog", "--config=CONFIG.missing"]).unwrap_err();
        assert!(missing.contains("cannot be read"), "{missing}");
    }
}
