//! `kinelog streams`: which there are, one of them in detail, and making and deleting them.

mod rates;
mod shards;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use kinelog_engine::device::clock::{Clock, SystemClock};

use self::rates::MetricsUrl;
use self::table::Table;
use super::connection::Connection;
use super::terminal::StatusLine;
use super::{Sentence, StopSignals, print, say};
use crate::aws::exception::Kind;
use crate::client::answers::{ModeDetails, StreamDescription, StreamSummary};
use crate::client::failure::Failure;
use crate::client::{Client, StreamRef};

/// Time between two questions for the state of a stream.
const ASK_INTERVAL: Duration = Duration::from_millis(500);
/// State of a stream that can be used.
const ACTIVE: &str = "ACTIVE";

/// Ends `kinelog streams --help`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  kinelog streams                                  all streams
  kinelog streams create clicks --shards 4 --wait  ends when it can be used
  kinelog streams describe clicks                  its shards, their lineage and, of Kinelog, rates
  kinelog streams delete clicks
  kinelog streams --endpoint aws --region eu-west-1";

/// Options of `kinelog streams`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Streams {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists all streams; the same as no command
    List(List),
    /// Makes a stream
    Create(Create),
    /// Shows a stream and its shards
    Describe(Describe),
    /// Deletes a stream and all its records
    Delete(Delete),
}

/// Options of `kinelog streams list`.
#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    connection: Connection,
}

/// Options of `kinelog streams create`.
#[derive(Args, Debug)]
struct Create {
    /// Its name
    name: String,
    /// Shards it has; without this option it is on demand
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    shards: Option<u32>,
    /// Capacity follows the traffic, which is the default
    #[arg(long, conflicts_with = "shards")]
    on_demand: bool,
    /// Ends only when it can be used
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `kinelog streams describe`.
#[derive(Args, Debug)]
struct Describe {
    /// Stream, by its name or ARN
    stream: String,
    /// Where a Kinelog tells its metrics; without this option `http://127.0.0.1:4568/metrics` if the
    /// endpoint is `http://127.0.0.1:4567`
    #[arg(long, value_name = "URL", env = "KINELOG_METRICS_URL")]
    metrics: Option<MetricsUrl>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `kinelog streams delete`.
#[derive(Args, Debug)]
struct Delete {
    /// Stream, by its name or ARN
    stream: String,
    /// Deletes it although consumers are registered
    #[arg(long)]
    with_consumers: bool,
    /// Ends only when it is gone
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Streams {
    /// Does what is asked.
    pub(crate) async fn run(self) -> Result<ExitCode, Sentence> {
        let mut stop = StopSignals::listen()?;
        let work = async {
            match self.command {
                None => list(&self.connection).await,
                Some(Command::List(list)) => self::list(&list.connection).await,
                Some(Command::Create(create)) => create.run().await,
                Some(Command::Describe(describe)) => describe.run().await,
                Some(Command::Delete(delete)) => delete.run().await,
            }
        };
        tokio::select! {
            done = work => done.map(|()| ExitCode::SUCCESS),
            _ = stop.received() => Ok(ExitCode::from(130)),
        }
    }
}

async fn list(connection: &Connection) -> Result<(), Sentence> {
    let client = connection.client()?;
    let (names, summaries) = client.list_streams().await.map_err(sentence)?;
    print(&listed(&names, &summaries));
    Ok(())
}

/// Older endpoints tell names only.
fn listed(names: &[String], summaries: &[StreamSummary]) -> String {
    if summaries.len() != names.len() {
        return names.iter().map(|name| name.to_owned() + "\n").collect();
    }
    let mut table = Table::new(&["NAME", "STATUS", "MODE", "CREATED"]);
    for stream in summaries {
        table.add(vec![
            stream.stream_name.clone(),
            stream.stream_status.clone(),
            mode(stream.stream_mode_details.as_ref()),
            time(stream.stream_creation_timestamp),
        ]);
    }
    table.to_string()
}

impl Create {
    async fn run(self) -> Result<(), Sentence> {
        let client = self.connection.client()?;
        client.create_stream(&self.name, self.shards).await.map_err(sentence)?;
        let stream = StreamRef::new(self.name.as_str());
        if self.wait {
            wait_until(&client, &stream, |state| state == Some(ACTIVE)).await?;
        }
        let state = if self.wait { "can be used" } else { "is being made" };
        say(&format!("{} {state}", self.name));
        Ok(())
    }
}

impl Delete {
    async fn run(self) -> Result<(), Sentence> {
        let client = self.connection.client()?;
        let stream = StreamRef::new(self.stream.as_str());
        client.delete_stream(&stream, self.with_consumers).await.map_err(sentence)?;
        if self.wait {
            wait_until(&client, &stream, |state| state.is_none()).await?;
        }
        let state = if self.wait { "is gone" } else { "is being deleted" };
        say(&format!("{} {state}", self.stream));
        Ok(())
    }
}

/// Asks for the state of the stream again and again, and shows it; none when it is gone.
async fn wait_until(
    client: &Client,
    stream: &StreamRef,
    is_wanted: impl Fn(Option<&str>) -> bool,
) -> Result<(), Sentence> {
    let mut line = StatusLine::new();
    let mut asks = tokio::time::interval(ASK_INTERVAL);
    let mut asked = 0_u32;
    loop {
        asks.tick().await;
        let state = match client.describe(stream).await {
            Ok(description) => Some(description.stream_status),
            Err(failure) if failure.is(Kind::ResourceNotFound) => None,
            Err(failure) => return Err(sentence(failure)),
        };
        if is_wanted(state.as_deref()) {
            return Ok(());
        }
        let Some(state) = state else { return Err(format!("{} is gone", stream.as_str())) };
        asked += 1;
        let seconds = (ASK_INTERVAL * asked).as_secs();
        line.show(format!("{} is {state}, {seconds} s", stream.as_str()));
    }
}

impl Describe {
    async fn run(self) -> Result<(), Sentence> {
        let client = self.connection.client()?;
        let stream = StreamRef::new(self.stream);
        let description = client.describe(&stream).await.map_err(sentence)?;
        let shards = client.list_shards(&stream).await.map_err(sentence)?;
        let url = self.metrics.or_else(|| MetricsUrl::beside(client.endpoint()));
        let rates = match url {
            Some(url) => rates::measure(&url, &description.stream_arn).await,
            None => None,
        };
        let now_seconds = SystemClock.now().seconds();
        let closed = shards.iter().filter(|shard| !shard.is_open()).count();
        let mut text = described(&description, closed);
        if let Some(rates) = &rates {
            text += &rates.of_stream();
        }
        text.push('\n');
        text += &shards::table(&shards, rates.as_ref(), now_seconds).to_string();
        print(&text);
        Ok(())
    }
}

fn described(stream: &StreamDescription, closed: usize) -> String {
    let encryption = stream.encryption_type.as_deref().unwrap_or("NONE");
    let consumers = stream.consumer_count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let facts = [
        ("Name", stream.stream_name.clone()),
        ("ARN", stream.stream_arn.clone()),
        ("Status", stream.stream_status.clone()),
        ("Mode", mode(stream.stream_mode_details.as_ref())),
        ("Shards", format!("{} open, {closed} closed", stream.open_shard_count)),
        ("Retention", format!("{} h", stream.retention_period_hours)),
        ("Consumers", consumers),
        ("Encryption", encryption.to_owned()),
        ("Created", time(stream.stream_creation_timestamp)),
    ];
    facts.into_iter().map(|(name, fact)| table::fact(name, &fact)).collect()
}

fn mode(details: Option<&ModeDetails>) -> String {
    details.map_or("-", |details| &details.stream_mode).to_owned()
}

#[expect(clippy::cast_possible_truncation, reason = "what is out of range is no time")]
fn time(seconds: Option<f64>) -> String {
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn sentence(failure: Failure) -> Sentence {
    failure.to_string()
}
