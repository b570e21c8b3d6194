//! What was written: the acknowledged records of each shard, and when they were acknowledged.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_sdk_kinesis::types::Shard;
use tokio::time::Instant;

use super::consumer::Seen;
use super::{Failure, STREAM};

/// One acknowledged record.
#[derive(Clone, Debug)]
struct Written {
    number: String,
    at: Instant,
}

#[derive(Debug, Default)]
struct Inner {
    shards: BTreeMap<String, Vec<Written>>,
    /// Shards that are open once everything is written.
    open: Option<Vec<String>>,
}

/// The record of a run.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    inner: Mutex<Inner>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record was acknowledged now.
    pub(super) fn acknowledged(&self, shard: &str, number: &str) {
        let written = Written { number: number.to_owned(), at: Instant::now() };
        self.lock().shards.entry(shard.to_owned()).or_default().push(written);
    }

    /// When a record was acknowledged, as far as that is known by now.
    pub(super) fn acknowledged_at(&self, shard: &str, number: &str) -> Option<Instant> {
        let inner = self.lock();
        let written = inner.shards.get(shard)?;
        let at = written.binary_search_by(|it| it.number.as_str().cmp(number)).ok()?;
        Some(written[at].at)
    }

    /// Nothing more is written: notes which shards are open for good.
    pub(super) async fn close(&self, client: &aws_sdk_kinesis::Client) -> Result<(), Failure> {
        let listed = client.list_shards().stream_name(STREAM).send().await?;
        let is_open = |shard: &&Shard| {
            let range = shard.sequence_number_range();
            range.is_some_and(|range| range.ending_sequence_number().is_none())
        };
        let open = listed.shards().iter().filter(is_open);
        let open = open.map(|shard| shard.shard_id().to_owned()).collect();
        self.lock().open = Some(open);
        Ok(())
    }

    /// True when everything of `shard` was written and `last` is the last of it; also for a shard
    /// without records.
    pub(super) fn is_complete(&self, shard: &str, last: Option<&str>) -> bool {
        let inner = self.lock();
        let is_open = inner.open.as_ref().is_some_and(|open| open.iter().any(|it| it == shard));
        let written = inner.shards.get(shard).and_then(|it| it.last()).map(|it| it.number.as_str());
        is_open && written.is_none_or(|written| last.is_some_and(|last| last >= written))
    }

    /// Records acknowledged in all.
    pub(super) fn written(&self) -> usize {
        self.lock().shards.values().map(Vec::len).sum()
    }

    /// Shards that took at least one.
    pub(super) fn shards(&self) -> usize {
        self.lock().shards.len()
    }

    /// Compares what a consumer saw.
    pub(super) fn check(&self, seen: &Seen) -> Result<(), String> {
        let inner = self.lock();
        for (shard, written) in &inner.shards {
            let numbers = seen.shards.get(shard).map(Vec::as_slice).unwrap_or_default();
            let different = written.iter().zip(numbers).find(|(it, seen)| it.number != **seen);
            if let Some((it, seen)) = different {
                return Err(format!("{shard} has {seen} where {} was written", it.number));
            }
            if written.len() != numbers.len() {
                let (seen, written) = (numbers.len(), written.len());
                return Err(format!("{shard} has {seen} records of {written}"));
            }
        }
        let strange = seen
            .shards
            .iter()
            .find(|(shard, numbers)| !numbers.is_empty() && !inner.shards.contains_key(*shard));
        strange.map_or(Ok(()), |(shard, _)| Err(format!("{shard} has records nobody wrote")))
    }
}
