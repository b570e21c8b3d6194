//! Steps 50 to 55: refusals have the types and texts of the service.

use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::operation::create_stream::CreateStreamError;
use aws_sdk_kinesis::operation::get_records::GetRecordsError;
use aws_sdk_kinesis::operation::get_shard_iterator::GetShardIteratorError;
use aws_sdk_kinesis::operation::put_record::PutRecordError;
use aws_sdk_kinesis::types::ShardIteratorType;

use crate::calls::{ACCOUNT, Clients, refused, shard_id};
use crate::settings::open_shards;
use crate::step;

pub(crate) async fn run(clients: &Clients) {
    let kinesis = &clients.kinesis;
    step(50, "dry run");
    let at = clients.iterator("clicks", &shard_id(1), ShardIteratorType::Latest).await;
    let call = clients.record("clicks", b"no").partition_key("z").dry_run(true);
    refused(call.send().await, PutRecordError::is_dry_run_operation_exception, None);
    assert_eq!(clients.read(at).await, []);

    step(51, "validation");
    let text = "1 validation error detected: Value 'bad name' at 'streamName' failed to satisfy \
                constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
    let bad = kinesis.create_stream().stream_name("bad name").shard_count(1).send().await;
    refused(bad, CreateStreamError::is_validation_exception, Some(text));

    step(52, "quota");
    let text = format!(
        "This request would exceed the shard limit for the account {ACCOUNT} in us-east-1. Current \
         shard count for the account: {}. Limit: 20000. Number of additional shards that would \
         have resulted from this request: 100000. Refer to the AWS Service Limits page \
         (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits \
         and how to request higher limits.",
        open_shards(clients).await
    );
    let call = clients.without_retries.create_stream().stream_name("huge").shard_count(100_000);
    refused(call.send().await, CreateStreamError::is_limit_exceeded_exception, Some(&text));

    step(53, "nothing there");
    let text = format!("Stream missing under account {ACCOUNT} not found.");
    let missing = clients.record("missing", b"").send().await;
    refused(missing, PutRecordError::is_resource_not_found_exception, Some(&text));
    let shard = shard_id(99);
    let text = format!("Shard {shard} in stream clicks under account {ACCOUNT} does not exist");
    let call = kinesis.get_shard_iterator().stream_name("clicks").shard_id(shard);
    let missing = call.shard_iterator_type(ShardIteratorType::Latest).send().await;
    refused(missing, GetShardIteratorError::is_resource_not_found_exception, Some(&text));

    step(54, "bad arguments");
    let bad = kinesis.get_records().shard_iterator("AAAA").send().await;
    let text = "Invalid ShardIterator.";
    refused(bad, GetRecordsError::is_invalid_argument_exception, Some(text));
    let text = "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. \
                Current request has no timestamp parameter.";
    let call = kinesis.get_shard_iterator().stream_name("clicks").shard_id(shard_id(1));
    let bad = call.shard_iterator_type(ShardIteratorType::AtTimestamp).send().await;
    refused(bad, GetShardIteratorError::is_invalid_argument_exception, Some(text));

    step(55, "channels");
    let unknown = kinesis.list_channels().send().await;
    refused(unknown, |error| error.code() == Some("UnknownOperationException"), None);
}
