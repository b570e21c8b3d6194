//! Calls that faults strike on purpose, in the service's words.

use std::time::Duration;

use kinelog_engine::types::{ShardIndex, Timestamp};

use super::Operation;
use super::context::Call;
use super::shard_id::ShardId;
use super::{failures, get_records, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::output::Output;
use crate::faults::{self, End, Manner, Stage};
use crate::limits::SHARD_ITERATOR_AGE_MS_MAX;
use crate::shard_iterator::{ShardIterator, ShardIteratorError};

/// Operations that are throttled shard by shard.
const OF_A_SHARD: [Operation; 4] = [
    Operation::GetRecords,
    Operation::GetShardIterator,
    Operation::PutRecord,
    Operation::PutRecords,
];

/// Answers a valid call while there are fault rules.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(
    operation: Operation,
    mut call: Call<'_>,
    input: &Input<'_>,
) -> Result<Output, Exception> {
    let target = Target::of(&call, input);
    let strikes = call.context.faults().strike(operation.name(), target.stream.as_deref());
    if strikes.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(strikes.delay_ms)).await;
        call.now = call.context.engine.now();
    }
    call.partial = strikes.partial;
    let Some(End { manner, stage }) = strikes.end else {
        return operation.answer(&call, input).await;
    };
    if stage == Stage::After {
        operation.answer(&call, input).await?;
    }
    match manner {
        Manner::Throttle => Err(target.rate_exceeded(operation, &call)),
        Manner::Expire => Err(expired(call.now)),
        Manner::Exception(exception) => Err(target.worded(operation, &call, exception)),
        Manner::Cut => Ok(Output::Cut),
    }
}

/// What a call is about, as far as its input tells.
struct Target {
    stream: Option<String>,
    shard: Option<ShardIndex>,
}

impl Target {
    fn of(call: &Call<'_>, input: &Input<'_>) -> Self {
        if let Some(text) = input.text("ShardIterator") {
            let key = call.context.seal_key();
            let iterator = ShardIterator::open(text, key, &call.namespace, call.now).ok();
            let (stream, shard) = iterator.map(|it| (it.stream_name, it.shard)).unzip();
            return Self { stream, shard };
        }
        let mut arn = ["StreamARN", "ConsumerARN", "ResourceARN"].into_iter();
        let arn = arn.find_map(|member| input.text(member));
        let named = arn.and_then(|arn| arn.split_once(":stream/")?.1.split('/').next());
        let stream = input.text("StreamName").or(named).map(str::to_owned);
        let shard = input.text("ShardId").and_then(ShardId::parse);
        Self { stream, shard: shard.map(|id| id.0) }
    }

    /// The exception for a call that comes too soon.
    fn rate_exceeded(&self, operation: Operation, call: &Call<'_>) -> Exception {
        match &self.stream {
            Some(stream) if OF_A_SHARD.contains(&operation) => {
                let shard = self.shard.unwrap_or_else(|| first_open_shard(call, stream));
                failures::shard_rate(ShardId(shard), stream, call.account)
            }
            Some(stream) => failures::call_rate(stream, call.account),
            None => unconfirmed::bare_rate_exceeded(),
        }
    }

    /// An exception with the words of the service where those are known.
    fn worded(&self, operation: Operation, call: &Call<'_>, exception: Exception) -> Exception {
        let usual = [self.rate_exceeded(operation, call), expired(call.now)];
        let is_meant =
            |usual: &Exception| exception.message.is_none() && usual.kind == exception.kind;
        usual.into_iter().find(is_meant).unwrap_or_else(|| faults::worded(exception))
    }
}

/// The shard that is told to take no more where the call does not name one.
fn first_open_shard(call: &Call<'_>, stream: &str) -> ShardIndex {
    let stream = call.context.engine.stream(&call.key(stream));
    let first = stream.and_then(|stream| {
        let place = *stream.open.first()?;
        stream.shards.get(place).map(|shard| shard.index)
    });
    first.unwrap_or(ShardIndex(0))
}

/// The exception for an iterator that was issued a second too long ago.
fn expired(now: Timestamp) -> Exception {
    let issued = Timestamp(now.0.saturating_sub(SHARD_ITERATOR_AGE_MS_MAX + 1_000));
    get_records::refused(ShardIteratorError::Expired { issued }, now)
}
