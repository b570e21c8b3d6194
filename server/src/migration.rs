//! Moving in from kinesalite, kinesis-mock or `LocalStack`: their options and variables, taken for
//! ours. An option, a variable or a key of our own counts more. Whatever is taken is told, and so is
//! what is not understood.

use std::ffi::OsString;
use std::time::Duration;

use clap::{ArgMatches, Command};

use crate::config_file;

/// What was taken of others, in words to tell.
pub(crate) type Notes = Vec<String>;

/// A variable of others, and the option that does the same.
struct Variable {
    name: &'static str,
    option: &'static str,
    /// The option's value, if this one is understood.
    value: fn(&str) -> Option<String>,
}

const fn variable(
    name: &'static str,
    option: &'static str,
    value: fn(&str) -> Option<String>,
) -> Variable {
    Variable { name, option, value }
}

/// In order of precedence within an option.
static VARIABLES: &[Variable] = &[
    variable("KINESIS_MOCK_TLS_PORT", LISTEN, port),
    variable("KINESIS_MOCK_PLAIN_PORT", LISTEN, port),
    variable("GATEWAY_LISTEN", LISTEN, first_port),
    variable("EDGE_PORT", LISTEN, port),
    variable("INITIALIZE_STREAMS", STREAMS, as_it_is),
    variable("KINESIS_INITIALIZE_STREAMS", STREAMS, as_it_is),
    variable("AWS_REGION", REGION, as_it_is),
    variable("DEFAULT_REGION", REGION, as_it_is),
    variable("AWS_ACCOUNT_ID", "account-id", account),
    variable("SHARD_LIMIT", "shard-quota", number),
    variable("KINESIS_SHARD_LIMIT", "shard-quota", number),
    variable("CREATE_STREAM_DURATION", TRANSITION, milliseconds),
    variable("DELETE_STREAM_DURATION", TRANSITION, milliseconds),
    variable("REGISTER_STREAM_CONSUMER_DURATION", TRANSITION, milliseconds),
    variable("DEREGISTER_STREAM_CONSUMER_DURATION", TRANSITION, milliseconds),
    variable("START_STREAM_ENCRYPTION_DURATION", TRANSITION, milliseconds),
    variable("STOP_STREAM_ENCRYPTION_DURATION", TRANSITION, milliseconds),
    variable("MERGE_SHARDS_DURATION", TRANSITION, milliseconds),
    variable("SPLIT_SHARD_DURATION", TRANSITION, milliseconds),
    variable("UPDATE_SHARD_COUNT_DURATION", TRANSITION, milliseconds),
    variable("UPDATE_STREAM_MODE_DURATION", TRANSITION, milliseconds),
    variable("KINESIS_LATENCY", TRANSITION, milliseconds),
    variable("KINESIS_ERROR_PROBABILITY", "fault", faults),
];

const LISTEN: &str = "listen";
const STREAMS: &str = "create-stream";
const REGION: &str = "region";
const TRANSITION: &str = "transition-ms";

/// Puts our options in the place of kinesalite's in the words of a command line, unless it gives a
/// command of `program` other than `serve`.
pub(crate) fn with_options(given: Vec<OsString>, program: &Command) -> (Vec<OsString>, Notes) {
    let is_command = |word: &OsString| {
        let mut others = program.get_subcommands().map(Command::get_name);
        word != "serve" && others.any(|name| word == name)
    };
    if given.get(1).is_some_and(is_command) { (given, Notes::new()) } else { of_kinesalite(given) }
}

/// Adds to the words of a command line the options that variables of others stand for, where ours
/// leave them open.
pub(crate) fn with_variables(
    mut words: Vec<OsString>,
    program: &Command,
    variable: impl Fn(&str) -> Option<String>,
) -> (Vec<OsString>, Notes) {
    let Ok(matches) = program.clone().try_get_matches_from(&words) else {
        return (words, Notes::new());
    };
    let Some((serve, set, at)) = config_file::serving(program, &matches) else {
        return (words, Notes::new());
    };
    let (taken, notes) = of_variables(serve, set, variable);
    words.splice(at..at, taken);
    (words, notes)
}

fn of_kinesalite(given: Vec<OsString>) -> (Vec<OsString>, Notes) {
    let (mut words, mut notes, mut longest_ms) = (Vec::new(), Notes::new(), None::<u64>);
    let mut given = given.into_iter().peekable();
    while let Some(word) = given.next() {
        let text = word.to_str().unwrap_or_default();
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        let option = match name {
            "--ssl" => Some("tls"),
            "--port" => Some(LISTEN),
            "--path" => Some("data-dir"),
            "--shardLimit" => Some("shard-quota"),
            "--createStreamMs" | "--deleteStreamMs" | "--updateStreamMs" => Some(TRANSITION),
            _ => None,
        };
        let Some(option) = option else {
            words.push(word);
            continue;
        };
        let name = name.to_owned();
        let value = || attached.or_else(|| given.next()?.into_string().ok()).unwrap_or_default();
        let value = match option {
            "tls" => "self-signed".to_owned(),
            LISTEN => format!("127.0.0.1:{}", value()),
            _ => value(),
        };
        notes.push(format!("{name} is taken for --{option}={value}"));
        match value.parse() {
            Ok(ms) if option == TRANSITION => longest_ms = longest_ms.max(Some(ms)),
            _ => words.push(format!("--{option}={value}").into()),
        }
    }
    words.extend(longest_ms.map(|ms| OsString::from(format!("--{TRANSITION}={ms}"))));
    (words, notes)
}

/// The options that variables of others stand for and that `set`, what is set by ours, leaves open.
fn of_variables(
    serve: &Command,
    set: &ArgMatches,
    variable: impl Fn(&str) -> Option<String>,
) -> (Vec<OsString>, Notes) {
    let is_set = |option: &str| {
        let mut known = serve.get_arguments();
        let known = known.find(|known| known.get_long() == Some(option));
        known.is_some_and(|known| config_file::is_set(set, known))
    };
    let mut taken = Taken::default();
    for known in VARIABLES.iter().filter(|known| !is_set(known.option)) {
        let Some(given) = variable(known.name).filter(|given| !given.trim().is_empty()) else {
            continue;
        };
        let makes_streams = is_set(STREAMS) || taken.has(STREAMS);
        match (known.value)(given.trim()) {
            // It says where streams are made, and most shells have it for other reasons.
            Some(_) if known.option == REGION && !makes_streams => {}
            Some(value) if value.is_empty() => {}
            Some(value) => taken.take(known, &given, &value),
            None => taken.notes.push(format!("{}={given} is not understood", known.name)),
        }
    }
    if is_set("allow-remote") {
        taken.open_to_others();
    }
    let is_port = |name| variable(name).is_some_and(|given| port(given.trim()).is_some());
    let by_tls = taken.has(LISTEN) && is_port("KINESIS_MOCK_TLS_PORT");
    if by_tls && !is_set("tls") && !is_set("tls-cert") {
        taken.speak_tls(is_port("KINESIS_MOCK_PLAIN_PORT") && !is_set("plaintext"));
    }
    (taken.words(), taken.notes)
}

/// Options as they are found.
#[derive(Default)]
struct Taken {
    options: Vec<(&'static str, Option<String>)>,
    notes: Notes,
}

impl Taken {
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|(taken, _)| *taken == option)
    }

    /// Takes a value: each of them for addresses, the longest time, else the first.
    fn take(&mut self, known: &Variable, given: &str, value: &str) {
        let Variable { name, option, .. } = known;
        let before = self.options.iter_mut().find(|(taken, _)| taken == option);
        match before {
            Some((_, Some(before))) if *option == TRANSITION => {
                let ms = |text: &str| text.parse::<u64>().unwrap_or(0);
                *before = ms(before).max(ms(value)).to_string();
            }
            Some(_) if *option != LISTEN => return,
            Some(_) | None => self.options.push((option, Some(value.to_owned()))),
        }
        self.notes.push(format!("{name}={given} is taken for --{option}={value}"));
    }

    /// Addresses are those of all interfaces.
    fn open_to_others(&mut self) {
        for (option, value) in &mut self.options {
            if *option == LISTEN {
                *value = value.take().map(|value| value.replace("127.0.0.1", "0.0.0.0"));
            }
        }
    }

    fn speak_tls(&mut self, plaintext: bool) {
        self.options.push(("tls", Some("self-signed".to_owned())));
        if plaintext {
            self.options.push(("plaintext", None));
        }
        self.notes.push("a port with TLS makes it --tls=self-signed on each".to_owned());
    }

    fn words(&self) -> Vec<OsString> {
        let word = |(option, value): &(&str, Option<String>)| match value {
            Some(value) => OsString::from(format!("--{option}={value}")),
            None => OsString::from(format!("--{option}")),
        };
        self.options.iter().map(word).collect()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "one form for all variables")]
fn as_it_is(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn number(text: &str) -> Option<String> {
    text.parse::<u32>().ok().map(|number| number.to_string())
}

fn port(text: &str) -> Option<String> {
    text.parse::<u16>().ok().map(|port| format!("127.0.0.1:{port}"))
}

/// The port of the first address of a list such as `0.0.0.0:4566,0.0.0.0:443`.
fn first_port(text: &str) -> Option<String> {
    let first = text.split(',').next()?;
    port(first.rsplit(':').next()?)
}

fn account(text: &str) -> Option<String> {
    let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_account.then(|| text.to_owned())
}

/// A number of milliseconds, or a time with its unit such as `1s` or `2 seconds`.
fn milliseconds(text: &str) -> Option<String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number = number.parse().ok()?;
    let time = match unit.trim() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => {
            Duration::from_millis(number)
        }
        "s" | "sec" | "secs" | "second" | "seconds" => Duration::from_secs(number),
        "m" | "min" | "mins" | "minute" | "minutes" => Duration::from_secs(number.checked_mul(60)?),
        _ => return None,
    };
    u64::try_from(time.as_millis()).ok().map(|ms| ms.to_string())
}

/// `LocalStack` lets puts fail whole, with this probability.
fn faults(text: &str) -> Option<String> {
    let p = text.parse::<f64>().ok().filter(|p| (0.0..=1.0).contains(p))?;
    let rules = format!("PutRecord:p={p}:throttle;PutRecords:p={p}:partial=1");
    Some(if p > 0.0 { rules } else { String::new() })
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction};

    use super::*;

    fn program() -> Command {
        let valued = ["shard-quota", "transition-ms", "account-id", "region", "tls", "tls-cert"];
        let mut serve: Vec<_> = valued.map(|name| Arg::new(name).long(name)).to_vec();
        let repeated = ["listen", "create-stream", "fault"];
        serve.extend(repeated.map(|name| Arg::new(name).long(name).action(ArgAction::Append)));
        let switches = ["allow-remote", "plaintext"];
        serve.extend(switches.map(|name| Arg::new(name).long(name).action(ArgAction::SetTrue)));
        Command::new("kinelog")
            .args(serve.clone())
            .subcommand(Command::new("serve").args(serve))
            .subcommand(Command::new("put").arg(Arg::new("port").long("port")))
    }

    fn texts(words: Vec<OsString>) -> Vec<String> {
        words.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    fn words(given: &[&str]) -> Vec<OsString> {
        given.iter().map(OsString::from).collect()
    }

    /// The options added for these variables to this command line, and what is told.
    fn taken(given: &[&str], variables: &[(&str, &str)]) -> (Vec<String>, Notes) {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let (all, notes) = with_variables(words(given), &program(), variable);
        let mut all = texts(all);
        let at = if given.get(1) == Some(&"serve") { 2 } else { 1 };
        assert_eq!(all.drain(..at).collect::<Vec<_>>(), given[..at]);
        let rest = all.split_off(all.len() - (given.len() - at));
        assert_eq!(rest, given[at..]);
        (all, notes)
    }

    #[test]
    fn options_of_kinesalite_are_taken() {
        let given = [
            "kinelog",
            "--port",
            "4568",
            "--limits=off",
            "--path=./data",
            "--ssl",
            "--createStreamMs",
            "50",
            "--deleteStreamMs=200",
            "--updateStreamMs",
            "100",
            "--shardLimit",
            "20",
        ];
        let (all, notes) = with_options(words(&given), &program());
        let expected = [
            "kinelog",
            "--listen=127.0.0.1:4568",
            "--limits=off",
            "--data-dir=./data",
            "--tls=self-signed",
            "--shard-quota=20",
            "--transition-ms=200",
        ];
        assert_eq!(texts(all), expected);
        assert_eq!(notes.len(), 7);
        assert_eq!(notes[0], "--port is taken for --listen=127.0.0.1:4568");
    }

    #[test]
    fn other_commands_and_command_lines_are_left_alone() {
        for given in [
            &["kinelog", "put", "--port", "1"][..],
            &["kinelog"],
            &["kinelog", "serve", "--limits", "off"],
        ] {
            let (all, notes) = with_options(words(given), &program());
            assert_eq!(
                (texts(all), notes),
                (given.iter().map(ToString::to_string).collect(), vec![])
            );
        }
        let variables = [("KINESIS_LATENCY", "7")];
        assert!(taken(&["kinelog", "--nonsense"], &variables).0.is_empty());
        let (all, _) = with_variables(words(&["kinelog", "put"]), &program(), |_| Some("7".into()));
        assert_eq!(texts(all), ["kinelog", "put"]);
    }

    #[test]
    fn ports_of_kinesis_mock_are_addresses_of_one_server() {
        let tls = ("KINESIS_MOCK_TLS_PORT", "4567");
        let plain = ("KINESIS_MOCK_PLAIN_PORT", "4568");
        let (both, notes) = taken(&["kinelog"], &[tls, plain]);
        let expected = [
            "--listen=127.0.0.1:4567",
            "--listen=127.0.0.1:4568",
            "--tls=self-signed",
            "--plaintext",
        ];
        assert_eq!(both, expected);
        assert_eq!(notes[0], "KINESIS_MOCK_TLS_PORT=4567 is taken for --listen=127.0.0.1:4567");
        assert_eq!(taken(&["kinelog"], &[plain]).0, ["--listen=127.0.0.1:4568"]);
        let (open, _) = taken(&["kinelog", "serve", "--allow-remote"], &[plain]);
        assert_eq!(open, ["--listen=0.0.0.0:4568"]);
        let (own, _) = taken(&["kinelog", "--tls-cert=c.pem"], &[tls]);
        assert_eq!(own, ["--listen=127.0.0.1:4567"]);
        assert!(taken(&["kinelog", "--listen=[::1]:1"], &[tls, plain]).0.is_empty());
    }

    #[test]
    fn the_port_of_localstack_is_taken() {
        for (name, value) in [
            ("GATEWAY_LISTEN", "0.0.0.0:4566,0.0.0.0:443"),
            ("GATEWAY_LISTEN", ":4566"),
            ("EDGE_PORT", "4566"),
        ] {
            assert_eq!(taken(&["kinelog"], &[(name, value)]).0, ["--listen=127.0.0.1:4566"]);
        }
    }

    #[test]
    fn the_longest_of_several_times_is_taken() {
        let variables = [
            ("CREATE_STREAM_DURATION", "1s"),
            ("SPLIT_SHARD_DURATION", "2 seconds"),
            ("KINESIS_LATENCY", "300"),
        ];
        assert_eq!(taken(&["kinelog"], &variables).0, ["--transition-ms=2000"]);
        assert!(taken(&["kinelog", "--transition-ms=1"], &variables).0.is_empty());
        for (text, expected) in [
            ("500ms", Some("500")),
            ("1 minute", Some("60000")),
            ("0", Some("0")),
            ("soon", None),
            ("1h", None),
            ("99999999999999999999", None),
            ("18446744073709551615m", None),
        ] {
            assert_eq!(milliseconds(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn streams_accounts_and_quotas_are_taken() {
        let variables = [
            ("INITIALIZE_STREAMS", "a:1,b::us-west-2"),
            ("KINESIS_INITIALIZE_STREAMS", "c"),
            ("AWS_REGION", "eu-west-1"),
            ("DEFAULT_REGION", "eu-west-2"),
            ("AWS_ACCOUNT_ID", "123456789012"),
            ("SHARD_LIMIT", "50"),
        ];
        let expected = [
            "--create-stream=a:1,b::us-west-2",
            "--region=eu-west-1",
            "--account-id=123456789012",
            "--shard-quota=50",
        ];
        assert_eq!(taken(&["kinelog"], &variables).0, expected);
        assert!(taken(&["kinelog"], &[("AWS_REGION", "eu-west-1")]).0.is_empty());
        let (own, _) = taken(&["kinelog", "--create-stream=s"], &[("AWS_REGION", "eu-west-1")]);
        assert_eq!(own, ["--region=eu-west-1"]);
    }

    #[test]
    fn failing_puts_of_localstack_are_faults() {
        let probability = |value| taken(&["kinelog"], &[("KINESIS_ERROR_PROBABILITY", value)]);
        let (rules, _) = probability("0.5");
        assert_eq!(rules, ["--fault=PutRecord:p=0.5:throttle;PutRecords:p=0.5:partial=1"]);
        assert_eq!(probability("0.0"), (vec![], vec![]));
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for (name, value) in [
            ("KINESIS_MOCK_TLS_PORT", "https"),
            ("AWS_ACCOUNT_ID", "12"),
            ("SHARD_LIMIT", "many"),
            ("KINESIS_ERROR_PROBABILITY", "2"),
        ] {
            let expected = (vec![], vec![format!("{name}={value} is not understood")]);
            assert_eq!(taken(&["kinelog"], &[(name, value)]), expected);
        }
        assert_eq!(taken(&["kinelog"], &[("KINESIS_LATENCY", " ")]), (vec![], vec![]));
    }
}
