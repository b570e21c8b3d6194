//! `kinelog tail`: the records of a stream, as they come.
//!
//! A reader for each shard, by polling or by enhanced fan-out, sends what it reads to one printer
//! through a bounded channel, so a slow reader of the output slows the reading down. When a shard
//! ends, what it became is read after all its parents have ended: records of a key are printed in
//! order across reshards.

mod fan_out;
mod lineage;
mod polling;
mod printing;
mod start;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use kinelog_engine::device::clock::{Clock, SystemClock};
use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::fan_out::{FanOut, Registration};
use self::lineage::Lineage;
use self::polling::Polling;
use self::printing::{Batch, Form, Printed, Printer};
use self::start::Start;
use super::connection::Connection;
use super::{Sentence, StopSignals};
use crate::aws::exception::Kind;
use crate::client::answers::{ChildShard, Shard};
use crate::client::failure::Failure;
use crate::client::{Client, Position, StreamRef};

/// Batches that wait for the printer; each may hold 10 MiB.
const BATCHES_WAITING_MAX: usize = 2;

/// Time between two looks whether anybody reads the output.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Ends `kinelog tail --help`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  kinelog tail clicks                              what comes from now on
  kinelog tail clicks --from horizon --count 10    the ten oldest records
  kinelog tail clicks --from -15m --json           of the last 15 minutes, with keys and times
  kinelog tail clicks --from 2026-01-31T12:00:00Z | jq .user
  kinelog tail clicks --fan-out                    by enhanced fan-out, apart from other readers
  kinelog tail clicks --endpoint aws --profile work --region eu-west-1

Without fan-out each shard is read at most 5 times a second, the most that all its readers together
are allowed. Ctrl-C ends with exit code 0, and so does a reader of the output that goes away.";

/// Options of `kinelog tail`.
#[derive(Args, Debug)]
pub(crate) struct Tail {
    /// Stream, by its name or ARN
    stream: String,
    /// Where to start: `latest`, `horizon` (the oldest record), a time such as 2026-01-31T12:00:00Z,
    /// or how long ago, such as -15m or -2h
    #[arg(long, value_name = "POSITION", default_value = "latest", allow_hyphen_values = true)]
    from: Start,
    /// Ends after so many records
    #[arg(long, value_name = "RECORDS")]
    count: Option<u64>,
    /// Reads by enhanced fan-out, as the consumer of this name, which is registered if there is none; a
    /// consumer that was registered here is deregistered in the end
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    fan_out: Option<String>,
    /// Prints an object a line: shard, sequenceNumber, key, time, and data as text, or as base64 where
    /// it is no text
    #[arg(long, conflicts_with_all = ["base64", "null"])]
    json: bool,
    /// Prints the data of each record as a line of base64
    #[arg(long)]
    base64: bool,
    /// Ends each record with a NUL byte instead of a line break
    #[arg(long)]
    null: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Tail {
    /// Prints until told to stop.
    pub(crate) async fn run(self) -> Result<ExitCode, Sentence> {
        let mut stop = StopSignals::listen()?;
        let client = Arc::new(self.connection.client()?);
        let stream = StreamRef::new(self.stream.as_str());
        let form = match (self.json, self.base64) {
            (true, _) => Form::Json,
            (_, true) => Form::Base64,
            (false, false) => Form::Data,
        };
        let end = if self.null { b'\0' } else { b'\n' };
        let (sender, batches) = mpsc::channel(BATCHES_WAITING_MAX);
        let printer = Printer::new(form, end, self.count, tokio::io::stdout());
        let start = self.from.position(Timestamp::from_millisecond(now_ms()).unwrap_or_default());
        let consumer = match &self.fan_out {
            Some(name) => Some(Registration::make(&client, &stream, name).await?),
            None => None,
        };
        let reading = Reading::new(&client, &stream, sender, consumer.clone());
        let printed = tokio::select! {
            printed = run(follow(&client, &stream, reading, start), printer.print(batches)) => printed,
            () = reader_gone() => Ok(()),
            _ = stop.received() => Ok(()),
        };
        if let Some(consumer) = consumer {
            tokio::select! {
                () = consumer.give_up(&client) => {}
                _ = stop.received() => {}
            }
        }
        printed.map(|()| ExitCode::SUCCESS)
    }
}

/// How shards are read.
enum Reading {
    Polling(Polling),
    FanOut(FanOut),
}

impl Reading {
    fn new(
        client: &Arc<Client>,
        stream: &StreamRef,
        batches: mpsc::Sender<Batch>,
        consumer: Option<Registration>,
    ) -> Self {
        let client = Arc::clone(client);
        match consumer {
            None => Self::Polling(Polling::new(client, stream.clone(), batches)),
            Some(consumer) => Self::FanOut(FanOut { client, consumer, batches }),
        }
    }

    /// Reads a shard to its end; what it became, as far as the endpoint tells. Nothing when the
    /// output ended first.
    async fn read(&self, shard: &str, start: Position) -> Result<Option<Vec<ChildShard>>, Failure> {
        match self {
            Self::Polling(polling) => polling.read(shard, start).await,
            Self::FanOut(fan_out) => fan_out.read(shard, start).await,
        }
    }
}

/// Now, in milliseconds since the epoch.
fn now_ms() -> i64 {
    i64::try_from(SystemClock.now().0).unwrap_or(i64::MAX)
}

/// Waits until nobody can read the output any more, which writing would tell only with the next
/// record.
async fn reader_gone() {
    let output = io::stdout();
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    loop {
        looks.tick().await;
        let mut asked = [PollFd::new(&output, PollFlags::empty())];
        let answered = rustix::event::poll(&mut asked, Some(&Timespec::default()));
        if answered.is_ok() && asked[0].revents().contains(PollFlags::ERR) {
            return;
        }
    }
}

/// Both at once. When the printer has enough, reading ends; when reading ends, what was read is
/// printed first.
async fn run(
    follow: impl Future<Output = Result<(), Failure>>,
    print: impl Future<Output = io::Result<Printed>>,
) -> Result<(), Sentence> {
    tokio::pin!(print);
    let followed = tokio::select! {
        printed = &mut print => return told(printed),
        followed = follow => followed,
    };
    // The last sender is gone, so this ends.
    let printed = told(print.await);
    followed.map_err(|failure| failure.to_string()).and(printed)
}

/// A reader of the output that went away had enough.
fn told(printed: io::Result<Printed>) -> Result<(), Sentence> {
    match printed {
        Ok(Printed::Everything | Printed::Enough) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(format!("the output cannot be written: {error}")),
    }
}

/// Reads all shards, parents before children, until there are no more.
async fn follow(
    client: &Client,
    stream: &StreamRef,
    reading: Reading,
    start: Position,
) -> Result<(), Failure> {
    let shards = first_list(client, stream).await?;
    let mut lineage = Lineage::default();
    // From now on means: of what takes records now, and of what that becomes.
    let wanted = shards.iter().filter(|shard| start != Position::Latest || shard.is_open());
    wanted.for_each(|shard| lineage.add(&shard.shard_id, shard.parents()));
    let reading = Arc::new(reading);
    let mut readers = JoinSet::new();
    let mut position = start.clone();
    loop {
        while let Some(shard) = lineage.next_ready() {
            let (reading, position) = (Arc::clone(&reading), position.clone());
            readers.spawn(async move { (shard.clone(), reading.read(&shard, position).await) });
        }
        // All shards that follow are read from where the output starts.
        if start == Position::Latest {
            position = Position::Horizon;
        }
        let Some(ended) = readers.join_next().await else { return Ok(()) };
        let (shard, children) = match ended {
            Ok(ended) => ended,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let Some(children) = children? else { return Ok(()) };
        lineage.finish(&shard);
        descend(&mut lineage, &client.list_shards(stream).await?, &children);
    }
}

/// Adds what descends from known shards: what the list says, and what the end of a shard said, since
/// some endpoints say it in one place only.
fn descend(lineage: &mut Lineage, shards: &[Shard], children: &[ChildShard]) {
    let mut before = usize::MAX;
    while before != lineage.len() {
        before = lineage.len();
        for shard in shards {
            if shard.parents().any(|parent| lineage.knows(parent)) {
                lineage.add(&shard.shard_id, shard.parents());
            }
        }
    }
    for child in children {
        lineage.add(&child.shard_id, child.parent_shards.iter().map(String::as_str));
    }
}

/// The shards at the start. A stream that is being made is waited for.
async fn first_list(client: &Client, stream: &StreamRef) -> Result<Vec<Shard>, Failure> {
    let mut retries = client.retries();
    loop {
        match client.list_shards(stream).await {
            Err(failure) if failure.is(Kind::ResourceInUse) => match retries.pause() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(failure),
            },
            listed => return listed,
        }
    }
}
