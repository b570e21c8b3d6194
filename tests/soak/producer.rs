//! The producer: a few records at a time for one shard, one call after the other, so that the order
//! of acknowledgements is the order of sequence numbers within a shard.

use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use tokio::time::{Instant, MissedTickBehavior};

use super::{Failure, STREAM, Soak};

/// Records of one call.
const RECORDS: u64 = 5;
/// Bytes of one record.
const RECORD_BYTES: usize = 200;

/// Writes until `end`.
pub(super) async fn run(soak: &Soak, calls_per_second: u32, end: Instant) -> Result<(), Failure> {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / calls_per_second.max(1));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut call: u64 = 0;
    while Instant::now() < end {
        pace.tick().await;
        put(soak, call).await?;
        call += 1;
    }
    Ok(())
}

async fn put(soak: &Soak, call: u64) -> Result<(), Failure> {
    let mut records = Vec::new();
    for number in 0..RECORDS {
        let mut data = format!("{call}/{number} ").into_bytes();
        data.resize(RECORD_BYTES, b'.');
        let record = PutRecordsRequestEntry::builder().data(Blob::new(data));
        records.push(record.partition_key(format!("key-{call}")).build()?);
    }
    let put = soak.client.put_records().stream_name(STREAM).set_records(Some(records));
    for result in put.send().await?.records() {
        let (Some(shard), Some(number)) = (result.shard_id(), result.sequence_number()) else {
            return Err(format!("a record was refused: {result:?}").into());
        };
        soak.ledger.acknowledged(shard, number);
    }
    Ok(())
}
