//! `kinelog put`: lines into a stream.
//!
//! Records are dealt to lanes by their key. A lane has one call in flight and sends what was refused
//! again before anything newer, so that records of a key arrive in order however many lanes there
//! are; within a call the endpoint may refuse one and take a later one, which is counted, and which
//! `--ordered` rules out. Whatever waits when an answer comes makes the next call: batches need no
//! timer.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod input;
mod keys;
mod lane;
mod tally;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use self::input::{Feed, Framing};
use self::keys::{KeyPath, Keys};
use self::lane::{Lane, Stuck};
use self::tally::Tally;
use super::connection::Connection;
use super::terminal::StatusLine;
use super::{Sentence, StopSignals, say};
use crate::client::StreamRef;
use crate::limits;

/// Time between two pictures of the progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Ends `kinelog put --help`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  kinelog put clicks < clicks.ndjson                    a record for each line, spread by chance
  tail -f app.log | kinelog put logs --key web-1        all with one key: in one shard, in order
  kinelog put clicks --file c.json --key-field user.id  each with its user as key
  printf 'a\\0b' | kinelog put raw --null                records may hold line breaks
  kinelog put clicks --endpoint aws --rate 500 < big    slowly, to AWS itself

Exit code: 0 when all is stored; 1 when something is not, and it says from which record on; 2 for a
wrong command line; 130 when interrupted, after what was read is stored. An answer that gets lost may
leave records stored twice, as with every Kinesis producer.";

/// Options of `kinelog put`.
#[derive(Args, Debug)]
pub(crate) struct Put {
    /// Stream, by its name or ARN
    stream: String,
    /// File to read instead of standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Partition key of all records; without a key option each gets one by chance
    #[arg(long, value_parser = keys::fixed, conflicts_with = "key_field")]
    key: Option<String>,
    /// Takes the key from each record, which is JSON: names and numbers joined by dots, such as
    /// `user.id` or `items.0.sku`
    #[arg(long, value_name = "PATH")]
    key_field: Option<KeyPath>,
    /// Lines are base64 of the data
    #[arg(long)]
    base64: bool,
    /// Records end with a NUL byte instead of a line break
    #[arg(long)]
    null: bool,
    /// Sends a record only when the one before it with the same key is stored; slow with few keys
    #[arg(long)]
    ordered: bool,
    /// Records to put in a second, at most
    #[arg(long, value_name = "RECORDS", value_parser = rate)]
    rate: Option<f64>,
    #[command(flatten)]
    connection: Connection,
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or("a rate is a number above 0")
}

impl Put {
    /// Puts until the input ends.
    pub(crate) async fn run(self) -> Result<ExitCode, Sentence> {
        let mut stop = StopSignals::listen()?;
        let client = Arc::new(self.connection.client()?);
        let keys = match (&self.key, &self.key_field) {
            (Some(key), _) => Keys::Fixed(key.clone()),
            (None, Some(path)) => Keys::Field(path.clone()),
            (None, None) => Keys::Random,
        };
        let framing = Framing { is_base64: self.base64, ends_with_null: self.null };
        let is_typed = self.file.is_none() && std::io::stdin().is_terminal();
        if is_typed {
            say("reading records from this terminal, a line each; Ctrl-D ends");
        }
        let source = input::open(self.file.as_deref()).await?;
        let tally = Arc::new(Tally::new());
        let stream = StreamRef::new(self.stream);
        let (mut lanes, mut senders) = (JoinSet::new(), Vec::new());
        for _ in 0..limits::CLIENT_LANES {
            let (sender, records) = mpsc::channel(limits::PUT_RECORDS_MAX);
            let (client, stream) = (Arc::clone(&client), stream.clone());
            let lane = Lane::new(client, stream, records, Arc::clone(&tally), self.ordered);
            lanes.spawn(lane.run());
            senders.push(sender);
        }
        let feed = Feed::new(source, framing, keys, self.rate, senders);
        let feed = tokio::spawn(feed.run());
        // A line that changes would be in the way of one that is being typed.
        let line = if is_typed { StatusLine::unseen() } else { StatusLine::new() };
        let end = follow(lanes, feed, &mut stop, &tally, line).await;
        say(&tally.summary(stream.as_str()));
        match end {
            End::Done => Ok(ExitCode::SUCCESS),
            End::Interrupted => Ok(ExitCode::from(130)),
            End::Failed(reason) => Err(reason),
        }
    }
}

/// How it ended.
enum End {
    Done,
    Interrupted,
    Failed(Sentence),
}

type FeedTask = tokio::task::JoinHandle<Result<(), Sentence>>;

/// Watches until the lanes have ended, which they do when there is no more input.
async fn follow(
    mut lanes: JoinSet<Result<(), Stuck>>,
    feed: FeedTask,
    stop: &mut StopSignals,
    tally: &Tally,
    mut line: StatusLine,
) -> End {
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut stuck, mut interrupted) = (None::<Stuck>, false);
    loop {
        tokio::select! {
            ended = lanes.join_next() => match ended {
                None => break,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(this))) => {
                    feed.abort();
                    stuck = Some(stuck.map_or(this.clone(), |before| before.earlier(this)));
                }
                Some(Err(error)) => return End::Failed(format!("a lane broke off: {error}")),
            },
            _ = stop.received() => {
                feed.abort();
                if interrupted {
                    return End::Interrupted;
                }
                interrupted = true;
            }
            _ = ticks.tick() => line.show(tally.progress()),
        }
    }
    drop(line);
    let fed = feed.await;
    match (stuck, fed) {
        (Some(stuck), _) => End::Failed(stuck.to_string()),
        (None, Ok(Err(sentence))) => End::Failed(sentence),
        (None, _) if interrupted => End::Interrupted,
        (None, Ok(Ok(()))) => End::Done,
        (None, Err(error)) => End::Failed(format!("reading the input broke off: {error}")),
    }
}
