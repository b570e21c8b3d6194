//! Steps 41 to 49: tags, policies, encryption, retention, monitoring, sizes, modes, the account.

use std::collections::BTreeMap;

use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::operation::decrease_stream_retention_period::DecreaseStreamRetentionPeriodError;
use aws_sdk_kinesis::operation::delete_resource_policy::DeleteResourcePolicyError;
use aws_sdk_kinesis::operation::increase_stream_retention_period::IncreaseStreamRetentionPeriodError;
use aws_sdk_kinesis::operation::split_shard::SplitShardError;
use aws_sdk_kinesis::types::{
    EncryptionType, MetricsName, MinimumThroughputBillingCommitmentOutputStatus, ShardIteratorType,
    StreamMode, StreamModeDetails, Tag,
};

use crate::calls::{ACCOUNT, Clients, HALF, MOST, arn, refused, shard_id};
use crate::records::texts;
use crate::resharding::split;
use crate::step;

pub(crate) async fn run(clients: &Clients, late: &str) {
    step(41, "tags of a stream");
    stream_tags(clients).await;
    step(42, "tags of a resource");
    let others = [("owner", "\u{fc}"), ("team", "web")];
    resource_tags(clients, &arn("clicks"), &others).await;
    resource_tags(clients, late, &[]).await;
    step(43, "policy");
    policy(clients).await;
    step(44, "encryption");
    encryption(clients).await;
    step(45, "retention");
    retention(clients).await;
    step(46, "monitoring");
    monitoring(clients).await;
    step(47, "record size");
    record_size(clients).await;
    step(48, "mode");
    mode(clients).await;

    step(49, "account");
    let limits = clients.kinesis.describe_limits().send().await.unwrap();
    assert_eq!((limits.shard_limit, limits.open_shard_count), (20000, open_shards(clients).await));
    assert_eq!((limits.on_demand_stream_count, limits.on_demand_stream_count_limit), (0, 50));
    let account = clients.kinesis.describe_account_settings().send().await.unwrap();
    let status = account.minimum_throughput_billing_commitment.unwrap().status;
    assert_eq!(status, MinimumThroughputBillingCommitmentOutputStatus::Disabled);
}

pub(crate) async fn open_shards(clients: &Clients) -> i32 {
    let mut count = 0;
    for stream in ["clicks", "growing", "fan", "limited"] {
        count += clients.summary(stream).await.open_shard_count;
    }
    count
}

fn pairs(tags: Vec<Tag>) -> Vec<(String, String)> {
    tags.into_iter().map(|tag| (tag.key, tag.value.unwrap_or_default())).collect()
}

fn owned(tags: &[(&str, &str)]) -> Vec<(String, String)> {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn stream_tags(clients: &Clients) {
    let kinesis = &clients.kinesis;
    let added = [("env", "test"), ("owner", "\u{fc}")];
    let call = kinesis.add_tags_to_stream().stream_name("clicks");
    call.set_tags(Some(owned(&added).into_iter().collect())).send().await.unwrap();
    let list = || kinesis.list_tags_for_stream().stream_name("clicks");
    let page = list().limit(2).send().await.unwrap();
    assert_eq!((pairs(page.tags), page.has_more_tags), (owned(&added), true));
    let page = list().exclusive_start_tag_key("owner").send().await.unwrap();
    assert_eq!((pairs(page.tags), page.has_more_tags), (owned(&[("team", "web")]), false));
    let call = kinesis.remove_tags_from_stream().stream_name("clicks");
    call.tag_keys("env").tag_keys("none").send().await.unwrap();
    let left = pairs(list().send().await.unwrap().tags);
    assert_eq!(left, owned(&[("owner", "\u{fc}"), ("team", "web")]));
}

async fn resource_tags(clients: &Clients, resource: &str, others: &[(&str, &str)]) {
    let kinesis = &clients.kinesis;
    let list = async || -> BTreeMap<String, String> {
        let call = kinesis.list_tags_for_resource().resource_arn(resource);
        pairs(call.send().await.unwrap().tags.unwrap_or_default()).into_iter().collect()
    };
    let mut expected: BTreeMap<_, _> = owned(others).into_iter().collect();
    let before = expected.clone();
    expected.insert("cost".to_owned(), "1".to_owned());
    kinesis.tag_resource().resource_arn(resource).tags("cost", "1").send().await.unwrap();
    assert_eq!(list().await, expected);
    kinesis.untag_resource().resource_arn(resource).tag_keys("cost").send().await.unwrap();
    assert_eq!(list().await, before);
}

async fn policy(clients: &Clients) {
    let kinesis = &clients.kinesis;
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"Read","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:root"}},"Action":["kinesis:DescribeStreamSummary","kinesis:GetRecords"],"Resource":"{}"}}]}}"#,
        arn("clicks")
    );
    let get = async || -> String {
        let call = kinesis.get_resource_policy().resource_arn(arn("clicks"));
        call.send().await.unwrap().policy
    };
    let delete = || kinesis.delete_resource_policy().resource_arn(arn("clicks"));
    assert_eq!(get().await, "{}");
    let call = kinesis.put_resource_policy().resource_arn(arn("clicks"));
    call.policy(&text).send().await.unwrap();
    assert_eq!(get().await, text);
    delete().send().await.unwrap();
    assert_eq!(get().await, "{}");
    let again = delete().send().await;
    refused(again, DeleteResourcePolicyError::is_resource_not_found_exception, None);
}

async fn encryption(clients: &Clients) {
    let key = "alias/aws/kinesis";
    let call = clients.kinesis.start_stream_encryption().stream_name("clicks");
    call.encryption_type(EncryptionType::Kms).key_id(key).send().await.unwrap();
    let found = clients.until_active("clicks").await;
    assert_eq!(found.encryption_type, Some(EncryptionType::Kms));
    assert_eq!(found.key_id.as_deref(), Some(key));
    let secret = clients.put_at(MOST, "clicks", "secret").await;
    assert_eq!(secret.encryption_type, Some(EncryptionType::Kms));
    assert_eq!(secret.shard_id, shard_id(1));

    let call = clients.kinesis.stop_stream_encryption().stream_name("clicks");
    call.encryption_type(EncryptionType::Kms).key_id(key).send().await.unwrap();
    let found = clients.until_active("clicks").await;
    assert_eq!((found.encryption_type, found.key_id), (Some(EncryptionType::None), None));
    assert_eq!(clients.put_at(MOST, "clicks", "open").await.encryption_type, None);

    let (kind, number) = (ShardIteratorType::AtSequenceNumber, &secret.sequence_number);
    let at = clients.iterator_from("clicks", &shard_id(1), kind, number).await;
    let records = clients.read(at).await;
    assert_eq!(texts(&records), ["secret", "open"]);
    let types = records.into_iter().map(|record| record.encryption_type);
    assert!(types.eq([Some(EncryptionType::Kms), None]));
}

async fn retention(clients: &Clients) {
    let kinesis = &clients.kinesis;
    let increase = |hours| {
        let call = kinesis.increase_stream_retention_period().stream_name("clicks");
        call.retention_period_hours(hours).send()
    };
    let decrease = |hours| {
        let call = kinesis.decrease_stream_retention_period().stream_name("clicks");
        call.retention_period_hours(hours).send()
    };
    increase(48).await.unwrap();
    assert_eq!(clients.until_active("clicks").await.retention_period_hours, 48);
    let text = "Requested retention period (24 hours) for stream clicks can not be shorter than \
                existing retention period (48 hours). Use DecreaseRetentionPeriod API.";
    let is_invalid = IncreaseStreamRetentionPeriodError::is_invalid_argument_exception;
    refused(increase(24).await, is_invalid, Some(text));
    let text = "Maximum allowed retention period is 8760 hours. Requested retention period \
                (9000 hours) is too long.";
    refused(increase(9000).await, is_invalid, Some(text));
    decrease(24).await.unwrap();
    assert_eq!(clients.until_active("clicks").await.retention_period_hours, 24);
    let text = "Minimum allowed retention period is 24 hours. Requested retention period \
                (12 hours) is too short.";
    let is_invalid = DecreaseStreamRetentionPeriodError::is_invalid_argument_exception;
    refused(decrease(12).await, is_invalid, Some(text));
}

/// The seven metrics, in the order of their names.
fn all_metrics() -> Vec<MetricsName> {
    vec![
        MetricsName::IncomingBytes,
        MetricsName::IncomingRecords,
        MetricsName::IteratorAgeMilliseconds,
        MetricsName::OutgoingBytes,
        MetricsName::OutgoingRecords,
        MetricsName::ReadProvisionedThroughputExceeded,
        MetricsName::WriteProvisionedThroughputExceeded,
    ]
}

fn sorted(metrics: Option<Vec<MetricsName>>) -> Vec<MetricsName> {
    let mut metrics = metrics.unwrap_or_default();
    metrics.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    metrics
}

async fn monitoring(clients: &Clients) {
    let two = vec![MetricsName::IncomingBytes, MetricsName::OutgoingRecords];
    for (names, current, desired) in
        [(two.clone(), vec![], two.clone()), (vec![MetricsName::All], two, all_metrics())]
    {
        let call = clients.kinesis.enable_enhanced_monitoring().stream_name("clicks");
        let answer = call.set_shard_level_metrics(Some(names)).send().await.unwrap();
        assert_eq!(answer.stream_name.as_deref(), Some("clicks"));
        assert_eq!(answer.stream_arn, Some(arn("clicks")));
        assert_eq!(sorted(answer.current_shard_level_metrics), current);
        assert_eq!(sorted(answer.desired_shard_level_metrics), desired);
        clients.until_active("clicks").await;
    }
    let found = clients.summary("clicks").await.enhanced_monitoring.remove(0);
    assert_eq!(sorted(found.shard_level_metrics), all_metrics());
    let call = clients.kinesis.disable_enhanced_monitoring().stream_name("clicks");
    let answer = call.shard_level_metrics(MetricsName::All).send().await.unwrap();
    assert_eq!(sorted(answer.current_shard_level_metrics), all_metrics());
    assert_eq!(sorted(answer.desired_shard_level_metrics), []);
    clients.until_active("clicks").await;
}

async fn record_size(clients: &Clients) {
    let text = "1 validation error detected: Value at 'data' failed to satisfy constraint: \
                Member must have length less than or equal to 1048576";
    let large = clients.record("clicks", &vec![0; 1_048_577]).send().await;
    refused(large, |error| error.code() == Some("ValidationException"), Some(text));
    let call = clients.kinesis.update_max_record_size().stream_arn(arn("clicks"));
    call.max_record_size_in_kib(10240).send().await.unwrap();
    let found = clients.until_active("clicks").await;
    assert_eq!(found.max_record_size_in_kib, Some(10240));

    let largest: Vec<u8> = (0..=255).cycle().take(10 << 20).collect();
    let call = clients.kinesis.put_record().stream_name("clicks").partition_key("a");
    let call = call.explicit_hash_key(MOST.to_string());
    let data = aws_sdk_kinesis::primitives::Blob::new(largest.clone());
    let answer = call.data(data).send().await.unwrap();
    let (kind, number) = (ShardIteratorType::AtSequenceNumber, &answer.sequence_number);
    let at = clients.iterator_from("clicks", &answer.shard_id, kind, number).await;
    let records = clients.kinesis.get_records().shard_iterator(at).send().await.unwrap().records;
    assert_eq!(records.len(), 1);
    assert!(records[0].data.as_ref() == largest, "the largest record came back altered");
}

async fn mode(clients: &Clients) {
    let switch_to = async |mode: StreamMode| {
        let details = StreamModeDetails::builder().stream_mode(mode.clone()).build().unwrap();
        let call = clients.kinesis.update_stream_mode().stream_arn(arn("growing"));
        call.stream_mode_details(details).send().await.unwrap();
        let found = clients.until_active("growing").await;
        assert_eq!(found.stream_mode_details.unwrap().stream_mode, mode);
        assert_eq!(found.open_shard_count, 3);
    };
    switch_to(StreamMode::OnDemand).await;
    let text =
        format!("Request is invalid. Stream growing under account {ACCOUNT} is in On-Demand mode.");
    let refusal = split(&clients.kinesis, "growing", 6, HALF).send().await;
    refused(refusal, SplitShardError::is_validation_exception, Some(&text));
    switch_to(StreamMode::Provisioned).await;
}
