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
    /// Writes with PutRecords, or PutRecord when --batch is 1.
    Put(Load),
    /// Fills a stream, then reads it again and again with GetRecords.
    Get(Load),
    /// Writes and reads at once.
    Mixed(Load),
    /// Only the floors: a null server and raw durable device writes.
    Floor(Load),
    /// The table of README: starts a server itself and runs every row beside its floors.
    Table(Table),
}

/// One load.
#[derive(Clone, Debug, Args)]
pub(crate) struct Load {
    /// Endpoint, http only.
    #[arg(long, default_value = "http://127.0.0.1:4567")]
    pub(crate) endpoint: String,
    /// Region of the credential scope.
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1")]
    pub(crate) region: String,
    /// Shards of the stream made for this run.
    #[arg(long, default_value_t = 64)]
    pub(crate) shards: u32,
    /// Payload of one record, in bytes.
    #[arg(long, default_value_t = 1024)]
    pub(crate) record_bytes: usize,
    /// Records in a call; 1 uses PutRecord.
    #[arg(long, default_value_t = 500)]
    pub(crate) batch: usize,
    /// Connections, each with one call in flight.
    #[arg(long, default_value_t = 16)]
    pub(crate) connections: usize,
    /// Calls a second over all connections (open loop); absent: as fast as answers come.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Seconds of measured load.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// Seconds of load before measuring.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warm_up: f64,
    /// Encoding of requests and answers.
    #[arg(long, value_enum, default_value_t = Encoding::Json)]
    pub(crate) encoding: Encoding,
    /// HTTP version: 1.1, or 2 with prior knowledge.
    #[arg(long, value_enum, default_value_t = Http::One)]
    pub(crate) http: Http,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Megabytes written before reading starts (get only).
    #[arg(long, default_value_t = 256)]
    pub(crate) fill_mb: usize,
    /// Reads everything back afterwards and compares each record (put only).
    #[arg(long)]
    pub(crate) verify: bool,
    /// Also measures the floors of this load in the same run.
    #[arg(long)]
    pub(crate) floors: bool,
    /// Directory for raw device writes; on the file system the server uses.
    #[arg(long, default_value = ".")]
    pub(crate) device_dir: PathBuf,
    /// Writes the result as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// The table of README.
#[derive(Clone, Debug, Args)]
pub(crate) struct Table {
    /// The server's binary.
    #[arg(long)]
    pub(crate) server: PathBuf,
    /// Parent of the data directories; on the device to be measured.
    #[arg(long, default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Seconds for one cell of one round.
    #[arg(long, default_value_t = 4.0)]
    pub(crate) seconds: f64,
    /// Rounds; the median counts.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Shard counts.
    #[arg(long, value_delimiter = ',', default_value = "1,64,1024")]
    pub(crate) shards: Vec<u32>,
    /// Durability mode of the server.
    #[arg(long, default_value = "fsync")]
    pub(crate) durability: String,
    /// Writes the result as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Http {
    #[value(name = "1")]
    One,
    #[value(name = "2")]
    Two,
}
