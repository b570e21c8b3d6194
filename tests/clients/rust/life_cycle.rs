//! Steps 1 to 7: streams come, are described, and go.

use aws_sdk_kinesis::client::Waiters;
use aws_sdk_kinesis::operation::create_stream::CreateStreamError;
use aws_sdk_kinesis::operation::describe_stream::DescribeStreamError;
use aws_sdk_kinesis::operation::list_shards::ListShardsError;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{EncryptionType, StreamMode, StreamStatus};

use crate::calls::{
    ACCOUNT, Clients, HALF, MOST, PATIENCE, arn, assert_recent, ids, is_closed, refused, shard_id,
    shard_ids, span,
};
use crate::step;

pub(crate) async fn run(clients: &Clients) {
    let kinesis = &clients.kinesis;
    step(1, "create");
    let call = kinesis.create_stream().stream_name("clicks").shard_count(2);
    call.tags("team", "web").send().await.unwrap();
    kinesis.wait_until_stream_exists().stream_name("clicks").wait(PATIENCE).await.unwrap();

    step(2, "name taken");
    let again = kinesis.create_stream().stream_name("clicks").shard_count(2).send().await;
    let text = format!("Stream clicks under account {ACCOUNT} already exists.");
    refused(again, CreateStreamError::is_resource_in_use_exception, Some(&text));

    step(3, "describe");
    let created_at = describe(clients).await;

    step(4, "summary");
    let call = kinesis.describe_stream_summary().stream_arn(arn("clicks"));
    let found = call.send().await.unwrap().stream_description_summary.unwrap();
    assert_eq!(found.stream_name, "clicks");
    assert_eq!(found.open_shard_count, 2);
    assert_eq!(found.consumer_count, Some(0));
    assert_eq!(found.max_record_size_in_kib, Some(1024));
    assert_eq!(found.stream_creation_timestamp, created_at);
    assert_eq!(found.stream_id, None, "a client with a StreamId ignores its endpoint");

    step(5, "list");
    clients.create("archive", 1).await;
    let mut pages = kinesis.list_streams().limit(1).into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        names.push(page.unwrap().stream_names);
    }
    assert_eq!(names, [["archive"], ["clicks"]]);

    step(6, "delete");
    kinesis.delete_stream().stream_name("archive").send().await.unwrap();
    kinesis.wait_until_stream_not_exists().stream_name("archive").wait(PATIENCE).await.unwrap();
    let gone = kinesis.describe_stream().stream_name("archive").send().await;
    let text = format!("Stream archive under account {ACCOUNT} not found.");
    refused(gone, DescribeStreamError::is_resource_not_found_exception, Some(&text));

    step(7, "pages");
    let expected = [shard_ids(&[0]), shard_ids(&[1])];
    assert_eq!(clients.shard_pages("clicks", 1).await, expected);
    let call = kinesis.list_shards().stream_name("clicks").max_results(1);
    let token = call.clone().send().await.unwrap().next_token.unwrap();
    let text = "NextToken and StreamName cannot be provided together.";
    let both = call.next_token(token).send().await;
    refused(both, ListShardsError::is_invalid_argument_exception, Some(text));
    let call = kinesis.describe_stream().stream_name("clicks").limit(1);
    let found = call.send().await.unwrap().stream_description.unwrap();
    assert_eq!((found.shards.len(), found.has_more_shards), (1, true));
}

/// Returns the time of creation.
async fn describe(clients: &Clients) -> DateTime {
    let answer = clients.kinesis.describe_stream().stream_name("clicks").send().await.unwrap();
    let found = answer.stream_description.unwrap();
    assert_eq!(found.stream_arn, arn("clicks"));
    assert_eq!(found.stream_status, StreamStatus::Active);
    assert_eq!(found.stream_mode_details.unwrap().stream_mode, StreamMode::Provisioned);
    assert_eq!(found.retention_period_hours, 24);
    assert_eq!(found.encryption_type, Some(EncryptionType::None));
    assert_eq!(found.enhanced_monitoring.len(), 1);
    assert_eq!(found.enhanced_monitoring[0].shard_level_metrics(), []);
    assert!(!found.has_more_shards);
    assert_eq!(ids(&found.shards), [shard_id(0), shard_id(1)]);
    let spans = found.shards.iter().map(|shard| span(shard.hash_key_range.as_ref()));
    assert!(spans.eq([(0, HALF - 1), (HALF, MOST)]));
    for shard in found.shards {
        assert!(!is_closed(&shard));
        assert_eq!(shard.sequence_number_range.unwrap().starting_sequence_number.len(), 56);
        assert_eq!((shard.parent_shard_id, shard.adjacent_parent_shard_id), (None, None));
    }
    assert_recent(found.stream_creation_timestamp);
    found.stream_creation_timestamp
}
