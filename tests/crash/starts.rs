//! `start_times`: how long a killed server takes until it listens, with much in its log that no
//! segment holds yet, and with many shards; and that reads are answered at once then.

use std::path::Path;
use std::time::{Duration, Instant};

use base64_simd::STANDARD;
use fastrand::Rng;
use serde_json::{Value, json};

use crate::load::{STREAM, Shared, until_active};
use crate::process::Process;
use crate::reader::read_once;
use crate::report::Tally;
use crate::rounds::{Ground, Plan, begin};
use crate::system::{Broken, Failure};

/// Bytes in the log when the server is killed.
const UNSEALED_BYTES: usize = 32 << 20;
/// Bytes of one record.
const RECORD_BYTES: usize = 200 << 10;
/// Shards of each of the streams.
const SHARDS: u32 = 1000;
const STREAMS: u32 = 10;
/// Longest start with that much in the log: a second, and next to nothing for the bytes.
const LOG_TIME_MAX: Duration = Duration::from_secs(1);
/// Longest start with that many shards.
const SHARDS_TIME_MAX: Duration = Duration::from_secs(5);

/// Measures both. A round is one start of each.
pub(crate) async fn run_starts(plan: &Plan) -> Result<Tally, Failure> {
    let mut rng = Rng::with_seed(plan.seed);
    let mut tally = Tally::default();
    let mut ground = Ground::new(plan.stop, &plan.scratch)?;
    while tally.rounds < plan.rounds {
        ground.clear().await?;
        let data = ground.data();
        let (mut server, port, shared) = begin(&plan.program, &data).await?;
        fill(&shared, &mut rng).await?;
        again(plan, &mut server, &shared, (&data, port), LOG_TIME_MAX, &mut tally).await?;
        for number in 0..STREAMS {
            shared.client.create_stream(&format!("wide-{number}"), Some(SHARDS)).await?;
        }
        until_active(&shared).await?;
        again(plan, &mut server, &shared, (&data, port), SHARDS_TIME_MAX, &mut tally).await?;
        tally.rounds += 1;
    }
    Ok(tally)
}

async fn fill(shared: &Shared, rng: &mut Rng) -> Result<(), Failure> {
    let mut data = vec![0; RECORD_BYTES];
    rng.fill(&mut data);
    let data = STANDARD.encode_to_string(&data);
    for number in 0..UNSEALED_BYTES / RECORD_BYTES {
        let input =
            json!({ "StreamName": STREAM, "PartitionKey": number.to_string(), "Data": data });
        let _: Value = shared.client.call_once("PutRecord", &input).await?;
    }
    Ok(())
}

/// Kills the server, starts it, and reads.
async fn again(
    plan: &Plan,
    server: &mut Process,
    shared: &Shared,
    (data, port): (&Path, u16),
    longest: Duration,
    tally: &mut Tally,
) -> Result<(), Failure> {
    server.kill()?;
    let begin = Instant::now();
    *server = Process::spawn(&plan.program, data, port)?;
    let (_, took) = server.listening()?;
    read_once(shared).await?;
    let read = begin.elapsed();
    eprintln!("listened after {took:?}, had answered reads of every shard after {read:?}");
    tally.longest_start = tally.longest_start.max(took);
    if took > longest {
        return Err(Broken(format!("the start took {took:?}, more than {longest:?}")).into());
    }
    Ok(())
}
