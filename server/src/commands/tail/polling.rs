//! Reading a shard by asking again and again.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::printing::Batch;
use crate::aws::exception::Kind;
use crate::client::answers::{ChildShard, Records};
use crate::client::failure::Failure;
use crate::client::{Client, Position, StreamRef};

/// Time between two reads of a shard that has more: five a second are all that all its readers
/// together are allowed.
const READ_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two reads at the tip of a shard, which leaves some of the five to others.
const TIP_INTERVAL: Duration = Duration::from_millis(500);
/// Reads in flight at once, over all shards.
const READS_MAX: usize = 32;

/// What the readers of all shards share.
pub(super) struct Polling {
    client: Arc<Client>,
    stream: StreamRef,
    batches: mpsc::Sender<Batch>,
    reads: Semaphore,
}

impl Polling {
    pub(super) fn new(
        client: Arc<Client>,
        stream: StreamRef,
        batches: mpsc::Sender<Batch>,
    ) -> Self {
        Self { client, stream, batches, reads: Semaphore::new(READS_MAX) }
    }

    /// Reads a shard to its end; what it became, as far as the endpoint tells. Nothing when the
    /// output ended first.
    pub(super) async fn read(
        &self,
        shard: &str,
        start: Position,
    ) -> Result<Option<Vec<ChildShard>>, Failure> {
        let name: Arc<str> = shard.into();
        let mut position = start;
        let mut retries = self.client.retries();
        let mut iterator = None;
        loop {
            let at = match iterator.take() {
                Some(at) => at,
                None => match self.iterator(shard, &mut position).await? {
                    Some(at) => at,
                    None => return Ok(Some(Vec::new())),
                },
            };
            let asked = Instant::now();
            let pause = match self.ask(&at).await {
                Ok(answer) => {
                    retries.succeeded();
                    if let Some(last) = answer.records.last() {
                        position = Position::After(last.sequence_number.clone());
                    }
                    let is_tip =
                        answer.records.is_empty() && answer.millis_behind_latest == Some(0);
                    let Records { records, next_shard_iterator, child_shards, .. } = answer;
                    let batch = Batch { shard: Arc::clone(&name), records };
                    if !batch.records.is_empty() && self.batches.send(batch).await.is_err() {
                        return Ok(None);
                    }
                    if next_shard_iterator.is_none() {
                        return Ok(Some(child_shards));
                    }
                    iterator = next_shard_iterator;
                    let interval = if is_tip { TIP_INTERVAL } else { READ_INTERVAL };
                    interval.saturating_sub(asked.elapsed())
                }
                Err(failure) if failure.is(Kind::ExpiredIterator) => Duration::ZERO,
                // It has expired, or the stream is gone, which the list of shards will tell.
                Err(failure) if failure.is(Kind::ResourceNotFound) => return Ok(Some(Vec::new())),
                Err(failure) => {
                    iterator = Some(at);
                    self.client.pause_after(&failure, &mut retries).ok_or(failure)?
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn ask(&self, iterator: &str) -> Result<Records, Failure> {
        // Never closed.
        let _permit = self.reads.acquire().await.ok();
        self.client.get_records(iterator).await
    }

    /// An iterator at a position; nothing where there is no such shard any more. "From now on" means
    /// the same "now" if it is asked for again.
    async fn iterator(
        &self,
        shard: &str,
        position: &mut Position,
    ) -> Result<Option<String>, Failure> {
        let now = Timestamp::from_millisecond(super::now_ms()).unwrap_or_default();
        match self.client.shard_iterator(&self.stream, shard, position).await {
            Err(failure) if failure.is(Kind::ResourceNotFound) => Ok(None),
            found => {
                if *position == Position::Latest {
                    *position = Position::At(now);
                }
                found
            }
        }
    }
}
