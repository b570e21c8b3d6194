//! Splits and merges, in turn, around the number of shards there were at first.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{Shard, ShardFilter, ShardFilterType, StreamStatus};
use tokio::time::Instant;

use super::{Failure, STREAM};

/// Pause between two looks at a state.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Reshards every `every` until `end`.
pub(super) async fn run(
    client: &Client,
    shards: i32,
    every: Duration,
    end: Instant,
) -> Result<(), Failure> {
    let mut turn = 0;
    while Instant::now() + every < end {
        tokio::time::sleep(every).await;
        let open = open_shards(client).await?;
        let surplus = i32::try_from(open.len())? - shards;
        if surplus > 2 || (surplus > -2 && turn % 2 == 1) {
            merge(client, &open, turn).await?;
        } else {
            split(client, &open, turn).await?;
        }
        active(client).await?;
        turn += 1;
    }
    Ok(())
}

/// Waits until the stream is ACTIVE.
pub(super) async fn active(client: &Client) -> Result<(), Failure> {
    loop {
        let summary = client.describe_stream_summary().stream_name(STREAM).send().await?;
        let status = summary.stream_description_summary().map(|it| it.stream_status().clone());
        if status == Some(StreamStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Start and end of a shard's hash keys.
fn range(shard: &Shard) -> Result<(u128, u128), Failure> {
    let range = shard.hash_key_range().ok_or("a shard without hash keys")?;
    Ok((range.starting_hash_key().parse()?, range.ending_hash_key().parse()?))
}

/// The open shards in order of their hash keys.
async fn open_shards(client: &Client) -> Result<Vec<Shard>, Failure> {
    let latest = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build()?;
    let listed = client.list_shards().stream_name(STREAM).shard_filter(latest).send().await?;
    let mut open = listed.shards().to_vec();
    let starts: Result<Vec<_>, _> = open.iter().map(range).collect();
    starts?;
    open.sort_by_key(|shard| range(shard).unwrap_or_default());
    Ok(open)
}

async fn split(client: &Client, open: &[Shard], turn: usize) -> Result<(), Failure> {
    let shard = &open[(turn * 7) % open.len()];
    let (start, end) = range(shard)?;
    let middle = start + (end - start) / 2;
    let split = client.split_shard().stream_name(STREAM).shard_to_split(shard.shard_id());
    split.new_starting_hash_key(middle.to_string()).send().await?;
    Ok(())
}

async fn merge(client: &Client, open: &[Shard], turn: usize) -> Result<(), Failure> {
    let lower = (turn * 5) % (open.len() - 1);
    let merge = client.merge_shards().stream_name(STREAM);
    let merge = merge.shard_to_merge(open[lower].shard_id());
    merge.adjacent_shard_to_merge(open[lower + 1].shard_id()).send().await?;
    Ok(())
}
