//! Steps 38 to 40: a shard takes what its tank holds; retries get the rest through.

use aws_sdk_kinesis::operation::put_record::PutRecordError;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

use crate::calls::{ACCOUNT, Clients, refused, shard_id};
use crate::step;

fn megabyte(fill: u8) -> Vec<u8> {
    vec![fill; 1_000_000]
}

fn throttled() -> String {
    format!("Rate exceeded for shard {} in stream limited under account {ACCOUNT}.", shard_id(0))
}

pub(crate) async fn run(clients: &Clients) {
    step(38, "throttled entries");
    let failed = throttled_entries(clients).await;

    step(39, "throttled call");
    let call = clients.without_retries.put_record().stream_name("limited").partition_key("a");
    let large = call.data(Blob::new(vec![0; 9_000_000])).send().await;
    let is_typed = PutRecordError::is_provisioned_throughput_exceeded_exception;
    refused(large, is_typed, Some(&throttled()));

    step(40, "retries");
    for fill in failed {
        let call = clients.kinesis.put_record().stream_name("limited").partition_key("a");
        call.data(Blob::new(megabyte(fill))).send().await.unwrap();
    }
    let at = clients.horizon("limited", &shard_id(0)).await;
    let mut records = clients.read(at).await;
    records.sort_by_key(|record| record.data.as_ref()[0]);
    assert_eq!(records.len(), 15);
    for (record, fill) in records.iter().zip(0..) {
        assert!(record.data.as_ref() == megabyte(fill), "record {fill} is missing or altered");
    }
}

/// Returns which of the records 10 to 14 were not stored.
async fn throttled_entries(clients: &Clients) -> Vec<u8> {
    let call = clients.kinesis.create_stream().stream_name("limited").shard_count(1);
    call.max_record_size_in_kib(10240).send().await.unwrap();
    clients.until_active("limited").await;
    let put = async |fills: std::ops::Range<u8>| {
        let records = fills.map(|fill| {
            let entry = PutRecordsRequestEntry::builder().partition_key("a");
            entry.data(Blob::new(megabyte(fill))).build().unwrap()
        });
        let call = clients.kinesis.put_records().stream_name("limited");
        call.set_records(Some(records.collect())).send().await.unwrap()
    };
    assert_eq!(put(0..10).await.failed_record_count, Some(0));
    let answer = put(10..15).await;
    assert_eq!(answer.records.len(), 5);
    let mut failed = Vec::new();
    for (result, fill) in answer.records.iter().zip(10..) {
        let is_stored = result.error_code.is_none();
        assert_eq!(result.shard_id.is_some(), is_stored);
        assert_eq!(result.sequence_number.is_some(), is_stored);
        if !is_stored {
            let code = "ProvisionedThroughputExceededException";
            assert_eq!(result.error_code.as_deref(), Some(code));
            assert_eq!(result.error_message, Some(throttled()));
            failed.push(fill);
        }
    }
    assert_eq!(answer.failed_record_count, i32::try_from(failed.len()).ok());
    assert!(!failed.is_empty(), "nothing was throttled");
    failed
}
