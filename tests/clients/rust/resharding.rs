//! Steps 18 to 29: shards are split, merged and counted anew, and readers follow.

use std::collections::BTreeSet;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::merge_shards::MergeShardsError;
use aws_sdk_kinesis::operation::merge_shards::builders::MergeShardsFluentBuilder;
use aws_sdk_kinesis::operation::split_shard::SplitShardError;
use aws_sdk_kinesis::operation::split_shard::builders::SplitShardFluentBuilder;
use aws_sdk_kinesis::operation::update_shard_count::UpdateShardCountError;
use aws_sdk_kinesis::operation::update_shard_count::builders::UpdateShardCountFluentBuilder;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    PutRecordsRequestEntry, ScalingType, Shard, ShardFilter, ShardFilterType, ShardIteratorType,
};

use crate::calls::{
    ACCOUNT, Clients, HALF, QUARTER, arn, assert_tiles, ids, is_closed, refused, shard_id,
    shard_ids, span,
};
use crate::records::{child_ids, child_spans, data_of, texts};
use crate::step;

pub(crate) fn split(
    client: &Client,
    stream: &str,
    shard: usize,
    key: u128,
) -> SplitShardFluentBuilder {
    let call = client.split_shard().stream_name(stream).shard_to_split(shard_id(shard));
    call.new_starting_hash_key(key.to_string())
}

fn merge(client: &Client, shard: usize, adjacent: usize) -> MergeShardsFluentBuilder {
    let call = client.merge_shards().stream_name("clicks").shard_to_merge(shard_id(shard));
    call.adjacent_shard_to_merge(shard_id(adjacent))
}

pub(crate) async fn run(clients: &Clients) {
    split_and_drain(clients).await;
    merge_and_drain(clients).await;
    step(26, "update shard count");
    let extra = update_shard_count(clients).await;
    step(27, "drain the lineage");
    drain_the_lineage(clients, &extra).await;
    step(28, "filters");
    filters(clients).await;

    step(29, "too many at once");
    let many = resize(&clients.without_retries, 7).send().await;
    refused(many, UpdateShardCountError::is_limit_exceeded_exception, None);
}

async fn split_and_drain(clients: &Clients) {
    let kinesis = &clients.kinesis;
    step(18, "split refused");
    let text = format!(
        "NewStartingHashKey 1 used in SplitShard() on shard {} in stream clicks under account \
         {ACCOUNT} is not both greater than one plus the shard's StartingHashKey 0 and less than \
         the shard's EndingHashKey {}.",
        shard_id(0),
        HALF - 1
    );
    let low = split(kinesis, "clicks", 0, 1).send().await;
    refused(low, SplitShardError::is_invalid_argument_exception, Some(&text));

    step(19, "split");
    split(kinesis, "clicks", 0, QUARTER).send().await.unwrap();
    clients.until_active("clicks").await;
    let shards = clients.shards("clicks").await;
    assert_eq!(ids(&shards), shard_ids(&[0, 1, 2, 3]));
    assert!(shards.iter().map(is_closed).eq([true, false, false, false]));
    let children = &shards[2..];
    let spans = children.iter().map(|child| span(child.hash_key_range.as_ref()));
    assert!(spans.eq([(0, QUARTER - 1), (QUARTER, HALF - 1)]));
    for child in children {
        assert_eq!(child.parent_shard_id, Some(shard_id(0)));
        assert_eq!(child.adjacent_parent_shard_id, None);
    }

    step(20, "closed");
    let text = format!(
        "Shard {} in stream clicks under account {ACCOUNT} has already been merged or split, and \
         thus is not eligible for merging or splitting.",
        shard_id(0)
    );
    let again = split(kinesis, "clicks", 0, QUARTER).send().await;
    refused(again, SplitShardError::is_invalid_argument_exception, Some(&text));

    step(21, "move over");
    let moved = clients.put_until("clicks", &shard_id(2), "move").await;
    assert!(moved[..moved.len() - 1].iter().all(|it| it.shard == shard_id(0)));

    step(22, "drain");
    let (mut records, children) =
        clients.drain(clients.horizon("clicks", &shard_id(0)).await).await;
    assert_eq!(child_ids(&children), shard_ids(&[2, 3]));
    assert!(children.iter().all(|child| child.parent_shards == shard_ids(&[0])));
    assert_eq!(child_spans(&children), [(0, QUARTER - 1), (QUARTER, HALF - 1)]);
    records.extend(clients.read(clients.horizon("clicks", &shard_id(2)).await).await);
    let mut found = texts(&records);
    found.retain(|data| data.starts_with("move"));
    assert_eq!(found, data_of(&moved));
}

async fn merge_and_drain(clients: &Clients) {
    let kinesis = &clients.kinesis;
    step(23, "merge refused");
    let text = format!(
        "Shards {} and {} in stream clicks under account {ACCOUNT} are not an adjacent pair of \
         shards eligible for merging",
        shard_id(3),
        shard_id(2)
    );
    let wrong = merge(kinesis, 3, 2).send().await;
    refused(wrong, MergeShardsError::is_invalid_argument_exception, Some(&text));

    step(24, "merge");
    merge(kinesis, 2, 3).send().await.unwrap();
    clients.until_active("clicks").await;
    let shards = clients.shards("clicks").await;
    let child = &shards[4];
    assert_eq!(child.shard_id, shard_id(4));
    assert_eq!(span(child.hash_key_range.as_ref()), (0, HALF - 1));
    assert_eq!(child.parent_shard_id, Some(shard_id(2)));
    assert_eq!(child.adjacent_parent_shard_id, Some(shard_id(3)));
    for parent in [2, 3] {
        let at = clients.horizon("clicks", &shard_id(parent)).await;
        let (_, children) = clients.drain(at).await;
        assert_eq!(child_ids(&children), shard_ids(&[4]));
        assert_eq!(children[0].parent_shards, shard_ids(&[2, 3]));
    }

    step(25, "latest of a closed shard");
    let at = clients.iterator("clicks", &shard_id(2), ShardIteratorType::Latest).await;
    let answer = clients.read_one(&at).await;
    assert_eq!(answer.next_shard_iterator, None);
    assert_eq!(child_ids(&answer.child_shards.unwrap()), shard_ids(&[4]));
}

fn resize(client: &Client, target: i32) -> UpdateShardCountFluentBuilder {
    let call = client.update_shard_count().stream_name("growing").target_shard_count(target);
    call.scaling_type(ScalingType::UniformScaling)
}

/// Returns what came after the first 200 records, all of it with key `key-0`.
async fn update_shard_count(clients: &Clients) -> Vec<usize> {
    clients.create("growing", 2).await;
    let records = (0..200).map(|number: usize| {
        let entry = PutRecordsRequestEntry::builder().partition_key(format!("key-{number}"));
        entry.data(Blob::new(number.to_string())).build().unwrap()
    });
    let call = clients.kinesis.put_records().stream_name("growing");
    let answer = call.set_records(Some(records.collect())).send().await.unwrap();
    assert_eq!(answer.failed_record_count, Some(0));

    let answer = resize(&clients.kinesis, 3).send().await.unwrap();
    assert_eq!((answer.current_shard_count, answer.target_shard_count), (Some(2), Some(3)));
    assert_eq!(answer.stream_name.as_deref(), Some("growing"));
    assert_eq!(answer.stream_arn, Some(arn("growing")));
    assert_eq!(clients.until_active("growing").await.open_shard_count, 3);
    let mut open = clients.shards("growing").await;
    assert_eq!(open.len(), 7);
    open.retain(|shard| !is_closed(shard));

    let mut extra = Vec::new();
    for number in 200.. {
        let call = clients.record("growing", number.to_string().as_bytes()).partition_key("key-0");
        let landed = call.send().await.unwrap().shard_id;
        extra.push(number);
        if ids(&open).contains(&landed) {
            break;
        }
    }
    extra
}

async fn drain_the_lineage(clients: &Clients, extra: &[usize]) {
    let shards = clients.shards("growing").await;
    let mut waiting: Vec<_> =
        shards.iter().filter(|shard| shard.parent_shard_id.is_none()).cloned().collect();
    let mut met = BTreeSet::new();
    let mut records = Vec::new();
    while let Some(shard) = waiting.pop() {
        met.insert(shard.shard_id.clone());
        let at = clients.horizon("growing", &shard.shard_id).await;
        if !is_closed(&shard) {
            records.extend(clients.read(at).await);
            continue;
        }
        let (found, children) = clients.drain(at).await;
        records.extend(found);
        for child in children {
            if child.parent_shards.iter().all(|parent| met.contains(parent)) {
                let known = shards.iter().find(|shard| shard.shard_id == child.shard_id);
                waiting.push(known.unwrap().clone());
            }
        }
    }
    assert!(met.iter().eq(&ids(&shards)));
    let number = |data: &String| data.parse::<usize>().unwrap();
    let mut all: Vec<_> = texts(&records).iter().map(number).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..200 + extra.len()));
    records.retain(|record| record.partition_key.as_deref() == Some("key-0"));
    let of_key_0 = texts(&records);
    assert!(of_key_0.iter().map(number).eq([0].into_iter().chain(extra.iter().copied())));
}

async fn filters(clients: &Clients) {
    let filtered = async |filter: ShardFilter| -> Vec<Shard> {
        let call = clients.kinesis.list_shards().stream_name("growing").shard_filter(filter);
        call.send().await.unwrap().shards.unwrap()
    };
    let of_type = |kind| ShardFilter::builder().r#type(kind);
    let latest = filtered(of_type(ShardFilterType::AtLatest).build().unwrap()).await;
    assert_eq!(latest.len(), 3);
    assert_tiles(&latest);
    assert_tiles(&filtered(of_type(ShardFilterType::AtTrimHorizon).build().unwrap()).await);
    let after = of_type(ShardFilterType::AfterShardId).shard_id(shard_id(3)).build().unwrap();
    assert_eq!(ids(&filtered(after).await), shard_ids(&[4, 5, 6]));
    let pages = clients.shard_pages("growing", 2).await;
    assert!(pages.iter().map(Vec::len).eq([2, 2, 2, 1]));
}
