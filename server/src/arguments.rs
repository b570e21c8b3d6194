//! The command line: options, their variables, and what a bad one is told. Everything that ends
//! the program is one sentence on standard error that says what to do, with exit code 2 for the
//! command line and 1 for all else.

mod faults;
mod tls;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use kinelog_engine::config::{Config, Durability};
use kinelog_engine::device::clock::{Clock, FastClock, SystemClock};
use kinelog_engine::recovery::repair::Purpose;
use kinelog_engine::types::Timestamp;

use crate::commands;
use crate::commands::put::{self, Put};
use crate::commands::streams::{self, Streams};
use crate::commands::tail::{self, Tail};
use crate::commands::{Io, LogFormat, Memory, System};
use crate::config_file;
use crate::faults::RuleSet;
use crate::http;
use crate::http::Bounds;
use crate::kinesis::OnDemandPolicy;
use crate::kinesis::context;
use crate::limits;
use crate::migration;
use crate::server;
use crate::server::{AdminListen, StreamToCreate};
use crate::throttle::Limits;
use faults::FaultOptions;
use tls::TlsOptions;

/// Ends `--help`.
const EXAMPLES: &str = "\
Examples:
  kinelog                                        serve on 127.0.0.1:4567, data in ./kinelog-data
  kinelog --create-stream clicks:4 --limits off  with a stream of 4 shards, without limits
  kinelog serve --config kinelog.toml            options from a file, such as limits = \"off\"
  kinelog verify --data-dir ./kinelog-data       check every stored byte of a stopped store
  kinelog repair ./kinelog-data --into ./saved   make a clean store of what can be saved
  kinelog restore ./copy --into ./kinelog-data   go on from a copy of a store that was running
  kinelog inspect kinelog-data/segments/*.seg    print what a stored file holds
  kinelog streams create clicks --wait           make a stream; these three call any endpoint
  kinelog put clicks < clicks.ndjson             a record for each line
  kinelog tail clicks --from -15m                the records of the last 15 minutes and what comes

Point an AWS SDK at it: AWS_ENDPOINT_URL_KINESIS=http://127.0.0.1:4567, any region, any key.
Every option of `serve` is also a variable (KINELOG_DATA_DIR) and a key of the configuration file
(data-dir); the command line counts most, then the variable, then the file.";

/// Runs the program by its command line, environment and configuration file.
pub fn main() -> ExitCode {
    let program = program();
    let (given, mut notes) = migration::with_options(std::env::args_os().collect(), &program);
    let given = match config_file::with_file(given, &program) {
        Ok(given) => given,
        Err(sentence) => {
            commands::say(&sentence);
            return ExitCode::from(2);
        }
    };
    let variable = |name: &str| std::env::var(name).ok();
    let (given, further) = migration::with_variables(given, &program, variable);
    notes.extend(further);
    let arguments = match Arguments::try_parse_from(given) {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    let result = match arguments.command {
        Some(Command::Verify(verify)) => commands::verify(&verify.data_dir),
        Some(Command::Repair(repair)) => {
            commands::repair(&repair.directory, repair.into.as_deref(), Purpose::Repair)
        }
        Some(Command::Restore(restore)) => {
            commands::repair(&restore.copy, Some(&restore.into), Purpose::Restore)
        }
        Some(Command::Inspect(inspect)) => commands::inspect(&inspect.files),
        Some(Command::ApiTable) => Ok(commands::api_table()),
        Some(Command::Serve(serve)) => run(&serve, &notes),
        Some(Command::Put(put)) => commands::run_client(put.run()),
        Some(Command::Tail(tail)) => commands::run_client(tail.run()),
        Some(Command::Streams(streams)) => commands::run_client(streams.run()),
        None => run(&arguments.serve, &notes),
    };
    result.unwrap_or_else(|sentence| {
        commands::say(&sentence);
        ExitCode::FAILURE
    })
}

/// The program as its command line sees it.
pub(crate) fn program() -> clap::Command {
    Arguments::command()
}

/// Serves; `notes` tell what was taken of the options and variables of others.
fn run(serve: &Serve, notes: &[String]) -> Result<ExitCode, String> {
    if let Some(open) = serve.open_to_others() {
        commands::say(&format!(
            "{open} can be reached from other machines and no signature is verified; \
             add --allow-remote if that is meant"
        ));
        return Ok(ExitCode::from(2));
    }
    let settings = server::Settings { faults: serve.faults.rules()?, ..serve.server() };
    commands::start_log(serve.log_format);
    for note in notes {
        tracing::info!("{note}");
    }
    commands::serve(serve.engine(), serve.tls.choice(), settings, serve.system())
}

/// Prints what was asked for, or the first paragraph of what is wrong as one sentence.
fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        commands::print(&text);
        return ExitCode::SUCCESS;
    }
    commands::say(&format!("{}; `kinelog --help` lists all options", first_paragraph(&text)));
    ExitCode::from(2)
}

fn first_paragraph(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let joined = lines.join(" ");
    joined.strip_prefix("error: ").map_or(joined.clone(), str::to_owned)
}

/// A durable stream store that speaks the Amazon Kinesis Data Streams API.
#[derive(Debug, Parser)]
#[command(
    name = "kinelog",
    version,
    args_conflicts_with_subcommands = true,
    after_help = EXAMPLES
)]
struct Arguments {
    #[command(flatten)]
    serve: Serve,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves streams; the same as no command
    Serve(Box<Serve>),
    /// Puts lines into a stream of any Kinesis endpoint
    #[command(after_help = put::EXAMPLES)]
    Put(Box<Put>),
    /// Prints the records of a stream of any Kinesis endpoint as they come
    #[command(after_help = tail::EXAMPLES)]
    Tail(Box<Tail>),
    /// Lists, makes, shows and deletes streams of any Kinesis endpoint
    #[command(after_help = streams::EXAMPLES)]
    Streams(Box<Streams>),
    /// Prints what stored files hold: segments, log files, manifests, journals of the catalogue
    Inspect(Inspect),
    /// Prints the operations served and the constraints of their input as JSON, in the words of the
    /// published service model
    ApiTable,
    /// Checks every stored byte of a data directory that no server has open, and changes nothing;
    /// exit code 1 when anything is lost or in doubt
    Verify(Verify),
    /// Tells what is damaged, what of it can be saved and from where, and writes a clean store into
    /// a new directory; the old one is never changed. Exit code 3 when records are lost
    Repair(Repair),
    /// Makes a store of a copy that was taken of a running one, by a snapshot of its file system or
    /// while that stood still: shards go on with sequence numbers that the other store never
    /// reaches. The copy is never changed. Exit code 3 when records are lost
    Restore(Restore),
}

/// Options of `kinelog restore`.
#[derive(Args, Debug)]
struct Restore {
    /// The copy of a data directory, which no server has open
    copy: PathBuf,
    /// New or empty directory for the store
    #[arg(long, value_name = "NEW_DIRECTORY")]
    into: PathBuf,
}

/// Options of `kinelog repair`.
#[derive(Args, Debug)]
struct Repair {
    /// Directory of the damaged store, which no server has open
    directory: PathBuf,
    /// New or empty directory for the clean store
    #[arg(long, value_name = "NEW_DIRECTORY", required_unless_present = "dry_run")]
    into: Option<PathBuf>,
    /// Tell only, write nothing
    #[arg(long, conflicts_with = "into")]
    dry_run: bool,
}

/// Options of `kinelog verify`.
#[derive(Args, Debug)]
struct Verify {
    /// Directory to check
    #[arg(
        long,
        value_name = "DIRECTORY",
        env = "KINELOG_DATA_DIR",
        default_value = "./kinelog-data"
    )]
    data_dir: PathBuf,
}

/// Options of `kinelog inspect`.
#[derive(Args, Debug)]
struct Inspect {
    /// The files, one after the other; those of a running store may be read as well
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Options of `kinelog serve`.
#[derive(Args, Debug)]
struct Serve {
    /// Address and port of the service; port 0 picks a free one, which the log names; may be given
    /// more than once
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "KINELOG_LISTEN",
        value_delimiter = ',',
        default_value = "127.0.0.1:4567"
    )]
    listen: Vec<SocketAddr>,
    /// Allows addresses that other machines can reach, though no signature is verified yet
    #[arg(long, env = "KINELOG_ALLOW_REMOTE", value_parser = FalseyValueParser::new())]
    allow_remote: bool,
    #[command(flatten)]
    tls: TlsOptions,
    /// Address and port of `/health` and `/metrics`, or `off`; without this option 127.0.0.1:4568,
    /// or a free port, which the log names, if that one is taken
    #[arg(long, value_name = "ADDRESS", env = "KINELOG_ADMIN_LISTEN", value_parser = admin_listen)]
    admin_listen: Option<AdminListen>,
    /// TOML file with any of these options as keys, such as `data-dir = "/var/lib/kinelog"`
    #[arg(long, value_name = "FILE", env = "KINELOG_CONFIG")]
    config: Option<PathBuf>,
    /// Form of the log lines on standard error
    #[arg(long, env = "KINELOG_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Directory that holds everything, made if missing; one process at a time may have it open
    #[arg(
        long,
        value_name = "DIRECTORY",
        env = "KINELOG_DATA_DIR",
        default_value = "./kinelog-data"
    )]
    data_dir: PathBuf,
    /// What a success answer to a write means: `fsync`, the records are on the device; `none`, they
    /// are in memory and a crash may lose them (for tests)
    #[arg(long, env = "KINELOG_DURABILITY", value_enum, default_value = "fsync")]
    durability: DurabilityName,
    /// How the log is written; the promises are the same
    #[arg(long, env = "KINELOG_IO", value_enum, default_value = "auto")]
    io: Io,
    /// Rates of shards and calls: as `aws` enforces them, a factor on those from 0.001 to 100000, or
    /// `off`, which also lifts the quota of shards
    #[arg(long, value_name = "aws|off|FACTOR", env = "KINELOG_LIMITS", default_value = "aws")]
    limits: Limits,
    /// How on-demand streams scale: as `aws` does, where writes that more than double within 15 minutes
    /// are throttled, or `open`, at once and without throttling
    #[arg(long, env = "KINELOG_ON_DEMAND", value_enum, default_value = "aws")]
    on_demand: OnDemandName,
    /// Open shards an account may have in a region, in place of the service's quota
    #[arg(long, value_name = "NUMBER", env = "KINELOG_SHARD_QUOTA", value_parser = clap::value_parser!(u32).range(1..))]
    shard_quota: Option<u32>,
    /// Stream to create at the start unless it exists; on-demand without a number of shards; may be
    /// given more than once
    #[arg(long, env = "KINELOG_CREATE_STREAM", value_name = "NAME[:SHARDS[:REGION]]", value_delimiter = ',', value_parser = stream)]
    create_stream: Vec<StreamToCreate>,
    /// Region of the streams created at the start, where they name none
    #[arg(long, env = "KINELOG_REGION", default_value = "us-east-1")]
    region: String,
    /// Account in ARNs, 12 digits; an access key of 12 digits is an account of its own
    #[arg(long, env = "KINELOG_ACCOUNT_ID", default_value = "000000000000", value_parser = account)]
    account_id: String,
    #[command(flatten)]
    faults: FaultOptions,
    /// Time a stream spends in CREATING, UPDATING and DELETING, in milliseconds
    #[arg(long, value_name = "MS", env = "KINELOG_TRANSITION_MS", default_value_t = 500)]
    transition_ms: u64,
    /// Threads that serve HTTP, 1 to 1024; without this option one for each core
    #[arg(long, value_name = "NUMBER", env = "KINELOG_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Connections of clients that may be open at once; further ones are closed
    #[arg(long, value_name = "NUMBER", env = "KINELOG_CONNECTIONS_MAX", default_value_t = limits::CONNECTIONS_MAX)]
    connections_max: usize,
    /// Connections that one address may have open at once; further ones are closed
    #[arg(long, value_name = "NUMBER", env = "KINELOG_CONNECTIONS_PER_ADDRESS_MAX", default_value_t = limits::CONNECTIONS_PER_ADDRESS_MAX)]
    connections_per_address_max: usize,
    /// Time after which a connection without a request is closed, in seconds
    #[arg(long, value_name = "SECONDS", env = "KINELOG_IDLE_SECONDS", default_value_t = limits::IDLE_TIME_MAX.as_secs(), value_parser = clap::value_parser!(u64).range(1..=86_400))]
    idle_seconds: u64,
    /// Memory that bodies of requests and unread answers may hold at once, in bytes; without this
    /// option 512 MiB, or a quarter of what the process may use if that is less
    #[arg(long, value_name = "BYTES", env = "KINELOG_BODY_MEMORY_BYTES")]
    body_memory_bytes: Option<usize>,
    /// Memory for the newest records of all shards, which are read without the disk, in bytes;
    /// without this option 256 MiB, or an eighth of what the process may use if that is less
    #[arg(long, value_name = "BYTES", env = "KINELOG_CACHE_BYTES")]
    cache_bytes: Option<usize>,
    /// Free disk space below which writes are refused, in bytes
    #[arg(long, value_name = "BYTES", env = "KINELOG_RESERVE_BYTES", default_value_t = 256 << 20)]
    reserve_bytes: u64,
    /// Lets the clock run fast, to test retention and what else takes days: so many seconds for each
    /// one, from the start or from a moment on, in seconds since 1970; never for data that is to last
    #[arg(long, hide = true, value_name = "RATE[@SECONDS]", env = "KINELOG_CLOCK_RATE", value_parser = fast_clock)]
    clock_rate: Option<FastClock>,
    /// How far the date of a request may be off, either way, in seconds
    #[arg(long, value_name = "SECONDS", env = "KINELOG_CLOCK_SKEW_SECONDS", default_value_t = limits::CLOCK_SKEW_SECONDS)]
    clock_skew_seconds: u64,
}

/// Values of `--on-demand`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnDemandName {
    Aws,
    Open,
}

impl From<OnDemandName> for OnDemandPolicy {
    fn from(name: OnDemandName) -> Self {
        match name {
            OnDemandName::Aws => Self::Aws,
            OnDemandName::Open => Self::Open,
        }
    }
}

/// Values of `--durability`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DurabilityName {
    Fsync,
    None,
}

impl Serve {
    /// The first address other machines may reach although nobody said that they may.
    fn open_to_others(&self) -> Option<SocketAddr> {
        let admin = match self.admin_listen {
            Some(AdminListen::At(address) | AdminListen::Preferably(address)) => Some(address),
            Some(AdminListen::Off) | None => None,
        };
        let mut addresses = self.listen.iter().copied().chain(admin);
        addresses.find(|address| !address.ip().is_loopback() && !self.allow_remote)
    }

    /// The engine's part.
    fn engine(&self) -> Config {
        let mut config = Config::new(&self.data_dir);
        config.durability = self.durability();
        config.reserve_bytes = self.reserve_bytes;
        config
    }

    /// What was said about the system's means.
    const fn system(&self) -> System {
        System {
            io: self.io,
            clock: self.clock_rate,
            memory: Memory { body_bytes: self.body_memory_bytes, cache_bytes: self.cache_bytes },
        }
    }

    /// The server's part.
    fn server(&self) -> server::Settings {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let http = http::Settings {
            listen: self.listen.clone(),
            threads: self.threads.map_or_else(cores, usize::from),
            clock_skew_seconds: self.clock_skew_seconds,
            stop_grace: limits::STOP_GRACE,
            bounds: Bounds {
                connections_max: self.connections_max,
                connections_per_address_max: self.connections_per_address_max,
                idle_time_max: Duration::from_secs(self.idle_seconds),
                ..Bounds::default()
            },
            tls: None,
        };
        let kinesis = context::Settings {
            account: self.account_id.clone(),
            transition_ms: self.transition_ms,
            limits: self.limits,
            on_demand: self.on_demand.into(),
            shard_quota: self.shard_quota,
            ..context::Settings::default()
        };
        server::Settings {
            http,
            kinesis,
            durability: self.durability(),
            streams: self.create_stream.clone(),
            region: self.region.clone(),
            faults: RuleSet::default(),
            admin: self.admin_listen.unwrap_or(DEFAULT_ADMIN),
        }
    }

    const fn durability(&self) -> Durability {
        match self.durability {
            DurabilityName::Fsync => Durability::Fsync,
            DurabilityName::None => Durability::None,
        }
    }
}

/// Where operators ask unless told otherwise.
const DEFAULT_ADMIN: AdminListen =
    AdminListen::Preferably(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4568));

fn admin_listen(text: &str) -> Result<AdminListen, &'static str> {
    if text == "off" {
        return Ok(AdminListen::Off);
    }
    let address = text.parse().map_err(|_| "an address such as 127.0.0.1:4568, or `off`")?;
    Ok(AdminListen::At(address))
}

fn account(text: &str) -> Result<String, &'static str> {
    let digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.to_owned()).ok_or("an account is 12 digits")
}

/// Rates go up to a day for each second.
fn fast_clock(text: &str) -> Result<FastClock, &'static str> {
    let told = "a clock's rate is a whole number from 1 to 86400, then perhaps @ and a second";
    let (rate, since) = text.split_once('@').map_or((text, None), |(rate, at)| (rate, Some(at)));
    let rate = rate.parse().ok().filter(|rate| (1..=86_400).contains(rate)).ok_or(told)?;
    let since = since.map(|since| since.parse::<u64>().map_err(|_| told)).transpose()?;
    let since =
        since.map_or_else(|| SystemClock.now(), |since| Timestamp(since.saturating_mul(1_000)));
    Ok(FastClock { since, rate })
}

fn stream(text: &str) -> Result<StreamToCreate, &'static str> {
    let mut parts = text.splitn(3, ':');
    let name = parts.next().unwrap_or_default().to_owned();
    let (shards, region) = (parts.next(), parts.next().map(str::to_owned));
    let shards = match shards {
        Some("") if region.is_some() => None,
        Some(shards) => {
            let number = shards.parse().ok().filter(|number| *number > 0);
            Some(number.ok_or("the number of shards is a whole number from 1")?)
        }
        None => None,
    };
    Ok(StreamToCreate { name, shards, region })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(arguments: &[&str]) -> String {
        let error = Arguments::try_parse_from(arguments).unwrap_err();
        first_paragraph(&error.render().to_string())
    }

    #[test]
    fn options_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_command_serves_with_the_same_options() {
        let bare = Arguments::try_parse_from(["kinelog", "--limits", "off"]).unwrap();
        assert!(bare.command.is_none());
        assert_eq!(bare.serve.server().kinesis.limits.to_string(), "off");
        let named = Arguments::try_parse_from(["kinelog", "serve", "--limits", "off"]).unwrap();
        let Some(Command::Serve(serve)) = named.command else { panic!("serve was given") };
        assert_eq!(serve.server().kinesis.limits.to_string(), "off");
    }

    #[test]
    fn addresses_open_to_others_want_a_word() {
        let open = |given: &[&str]| {
            let given = ["kinelog"].iter().chain(given);
            Arguments::try_parse_from(given).unwrap().serve.open_to_others()
        };
        assert_eq!(open(&["--listen=127.0.0.2:1", "--admin-listen=[::1]:2"]), None);
        assert_eq!(open(&["--listen=0.0.0.0:1"]), Some(([0, 0, 0, 0], 1).into()));
        assert_eq!(open(&["--admin-listen=10.0.0.1:2"]), Some(([10, 0, 0, 1], 2).into()));
        let told = ["--listen=0.0.0.0:1", "--admin-listen=0.0.0.0:2", "--allow-remote"];
        assert_eq!(open(&told), None);
    }

    #[test]
    fn every_option_is_a_variable_of_the_same_name() {
        let serve = Serve::augment_args(clap::Command::new("serve"));
        for option in serve.get_arguments() {
            let name = option.get_long().unwrap().to_uppercase().replace('-', "_");
            assert_eq!(option.get_env().unwrap().to_str(), Some(&*format!("KINELOG_{name}")));
        }
    }

    #[test]
    fn streams_to_create_may_have_shards_and_a_region() {
        let arguments = [
            "kinelog",
            "--create-stream",
            "a:4,b",
            "--create-stream",
            "c:1:eu-west-1",
            "--create-stream=d::eu-west-1",
        ];
        let streams = Arguments::try_parse_from(arguments).unwrap().serve.create_stream;
        let expected = [
            ("a", Some(4), None),
            ("b", None, None),
            ("c", Some(1), Some("eu-west-1")),
            ("d", None, Some("eu-west-1")),
        ]
        .map(|(name, shards, region)| StreamToCreate {
            name: name.to_owned(),
            shards,
            region: region.map(str::to_owned),
        });
        assert_eq!(streams, expected);
    }

    #[test]
    fn bad_values_are_told_in_one_sentence() {
        for (arguments, words) in [
            (["kinelog", "--account-id", "12"], "12 digits"),
            (["kinelog", "--durability", "maybe"], "[possible values: fsync, none]"),
            (["kinelog", "--limits", "some"], "limits are `aws`, `off`, or a factor"),
            (["kinelog", "--create-stream", "a:0"], "whole number from 1"),
            (["kinelog", "--create-stream", "a:"], "whole number from 1"),
            (["kinelog", "--shard-quota", "0"], "1..=4294967295"),
            (["kinelog", "--clock-rate", "0"], "a clock's rate is a whole number"),
            (["kinelog", "--clock-rate", "2@x"], "a clock's rate is a whole number"),
            (["kinelog", "--threads", "0"], "1..=1024"),
            (["kinelog", "--nonsense", "0"], "--nonsense"),
            (["kinelog", "serve", "--listen"], "--listen"),
        ] {
            let sentence = sentence(&arguments);
            assert!(sentence.contains(words) && !sentence.contains('\n'), "{sentence}");
        }
    }
}
