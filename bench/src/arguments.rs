//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Loads a Kinesis endpoint and measures it beside its floors.
#[derive(Debug, Parser)]
#[command(name = "kinelog-bench", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Writes with PutRecords, or PutRecord when --batch is 1
    Put(Run),
    /// Fills a stream, then reads it again and again with GetRecords
    Get(Run),
    /// Writes and reads at once: half of the connections each
    Mixed(Run),
    /// Fills a stream, then pushes all of it to every consumer (`SubscribeToShard`)
    FanOut(Run),
    /// Time from the acknowledgement of a record to its delivery, at --rate records a second
    Delivery(Run),
    /// Writes while --idle further connections are open and silent
    Idle(Run),
    /// Writes at several rates, up to the highest that is reached
    Rates(Run),
    /// Reads a stream that is in no cache; starts a server itself
    Replay(Own),
    /// Only the floors: a null server, raw durable device writes, the loopback
    Floor(Run),
    /// The whole table of README and its plots; starts servers itself
    Report(Report),
    /// The same writes to several endpoints, in turns
    Peers(Peers),
    /// A server that answers every request with what it reads from its standard input
    #[command(hide = true)]
    ConstantServer(Constant),
}

/// One load.
#[derive(Clone, Debug, Args)]
pub(crate) struct Load {
    /// Endpoint: http:// or https:// for Kinesis; redis:// and nats:// for other stores (put only)
    #[arg(long, default_value = "http://127.0.0.1:4567")]
    pub(crate) endpoint: String,
    /// Accepts any certificate
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Process that serves the endpoint, whose processor time and memory are then told too
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// Region of the credential scope
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1")]
    pub(crate) region: String,
    /// Streams made for this run
    #[arg(long, default_value_t = 1)]
    pub(crate) streams: u32,
    /// Shards of each stream
    #[arg(long, default_value_t = 64)]
    pub(crate) shards: u32,
    /// Payload of one record, in bytes
    #[arg(long, default_value_t = 1024)]
    pub(crate) record_bytes: usize,
    /// Records in a call; 1 uses PutRecord
    #[arg(long, default_value_t = 500)]
    pub(crate) batch: usize,
    /// Connections, each with one call in flight
    #[arg(long, default_value_t = 16)]
    pub(crate) connections: usize,
    /// Connections that are open and silent meanwhile (idle only)
    #[arg(long, default_value_t = 1000)]
    pub(crate) idle: usize,
    /// Consumers with enhanced fan-out (fan-out only)
    #[arg(long, default_value_t = 20)]
    pub(crate) consumers: usize,
    /// Calls a second over all connections (open loop); absent: as fast as answers come
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Seconds of measured load
    #[arg(long, default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// Seconds of load before measuring
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warm_up: f64,
    /// Encoding of requests and answers
    #[arg(long, value_enum, default_value_t = Encoding::Json)]
    pub(crate) encoding: Encoding,
    /// HTTP version: 1.1, or 2 (with prior knowledge where there is no TLS)
    #[arg(long, value_enum, default_value_t = Http::One)]
    pub(crate) http: Http,
    /// Threads of the generator
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Megabytes written before reading starts
    #[arg(long, default_value_t = 256)]
    pub(crate) fill_mb: usize,
}

impl Default for Load {
    fn default() -> Self {
        #[derive(Parser)]
        struct Only {
            #[command(flatten)]
            load: Load,
        }
        Only::parse_from(["load"]).load
    }
}

impl Load {
    /// The load in words.
    pub(crate) fn words(&self) -> String {
        let pace = self.rate.map_or_else(|| "closed loop".to_owned(), |r| format!("{r} calls/s"));
        format!(
            "{} x {} B, {}, HTTP {}, {} streams of {} shards, {} connections, {pace}",
            self.batch,
            self.record_bytes,
            self.encoding.name(),
            self.http.name(),
            self.streams,
            self.shards,
            self.connections,
        )
    }
}

/// A load, what it is compared with, and where the result goes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) load: Load,
    /// Rounds; the median counts
    #[arg(long, default_value_t = 1)]
    pub(crate) rounds: usize,
    /// Runs the same load in turns against this endpoint too and tells ratios
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) compare: Option<String>,
    /// Name of the first endpoint in the result
    #[arg(long, default_value = "ours")]
    pub(crate) label: String,
    /// Name of the endpoint it is compared with
    #[arg(long, default_value = "theirs")]
    pub(crate) compare_label: String,
    /// Reads everything back afterwards and compares each record (put only)
    #[arg(long)]
    pub(crate) verify: bool,
    /// Also measures the floors of this load, in turns with it
    #[arg(long)]
    pub(crate) floors: bool,
    /// Directory for raw device writes; on the file system the server uses
    #[arg(long, default_value = ".")]
    pub(crate) device_dir: PathBuf,
    /// Writes the result as JSON
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Writes the result as CSV
    #[arg(long)]
    pub(crate) csv: Option<PathBuf>,
}

/// Which server is started, and where.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServerChoice {
    /// Binary of the server; absent: the one beside this program, built if it is missing
    #[arg(long)]
    pub(crate) server: Option<PathBuf>,
    /// Parent of the data directories; on the device to be measured
    #[arg(long, default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Durability mode of the server
    #[arg(long, default_value = "fsync")]
    pub(crate) durability: String,
}

/// A run that needs a server of its own.
#[derive(Clone, Debug, Args)]
pub(crate) struct Own {
    #[command(flatten)]
    pub(crate) run: Run,
    #[command(flatten)]
    pub(crate) choice: ServerChoice,
}

/// The report.
#[derive(Clone, Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) choice: ServerChoice,
    /// Every measurement once and briefly: shows that all of them work, not how fast anything is
    #[arg(long)]
    pub(crate) quick: bool,
    /// Seconds of one measurement in one round
    #[arg(long, default_value_t = 2.0)]
    pub(crate) seconds: f64,
    /// Rounds; medians and spreads are over them
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Goes on with further rounds until so many hours have passed
    #[arg(long, default_value_t = 0.0)]
    pub(crate) hours: f64,
    /// Largest number of shards
    #[arg(long, default_value_t = 2000)]
    pub(crate) scale_shards: u32,
    /// Largest number of connections
    #[arg(long, default_value_t = 2000)]
    pub(crate) scale_connections: usize,
    /// Size of the largest store, in GiB
    #[arg(long, default_value_t = 2.0)]
    pub(crate) store_gib: f64,
    /// Only measurements whose group starts so, such as `put` or `scaling`; repeatable
    #[arg(long)]
    pub(crate) only: Vec<String>,
    /// Directory for report.md, report.html, report.json and report.csv
    #[arg(long, default_value = "kinelog-report")]
    pub(crate) out: PathBuf,
}

/// Several endpoints.
#[derive(Clone, Debug, Args)]
pub(crate) struct Peers {
    /// `NAME=URL` or `NAME=URL@PID`: an endpoint, the first one being compared with the others;
    /// repeatable
    #[arg(long = "target", required = true)]
    pub(crate) targets: Vec<String>,
    /// Region of the credential scope
    #[arg(long, default_value = "us-east-1")]
    pub(crate) region: String,
    /// Shards of the stream
    #[arg(long, default_value_t = 4)]
    pub(crate) shards: u32,
    /// Seconds of one measurement in one round
    #[arg(long, default_value_t = 4.0)]
    pub(crate) seconds: f64,
    /// Seconds of load before measuring
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warm_up: f64,
    /// Rounds; medians and spreads are over them
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Directory for raw device writes; on the file system the stores use
    #[arg(long, default_value = ".")]
    pub(crate) device_dir: PathBuf,
    /// Writes the table as Markdown
    #[arg(long)]
    pub(crate) markdown: Option<PathBuf>,
    /// Writes the result as JSON
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Writes the result as CSV
    #[arg(long)]
    pub(crate) csv: Option<PathBuf>,
}

/// A server that always answers the same.
#[derive(Clone, Debug, Args)]
pub(crate) struct Constant {
    /// Media type of the answer
    #[arg(long)]
    pub(crate) content_type: String,
    /// Length of the answer, which comes from the standard input
    #[arg(long)]
    pub(crate) answer_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encoding {
    Json,
    Cbor,
}

impl Encoding {
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => "application/x-amz-cbor-1.1",
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Cbor => "CBOR",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Http {
    #[value(name = "1")]
    One,
    #[value(name = "2")]
    Two,
}

impl Http {
    const fn name(self) -> &'static str {
        match self {
            Self::One => "1.1",
            Self::Two => "2",
        }
    }
}
