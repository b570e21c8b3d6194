//! Steps 12 to 17: records come back by every type of iterator.

use aws_sdk_kinesis::types::{Record, ShardIteratorType};

use crate::calls::{Clients, assert_recent, shard_id};
use crate::records::texts;
use crate::step;
use crate::writing::Stored;

pub(crate) async fn run(clients: &Clients, written: &[Stored]) {
    let shard = shard_id(0);
    step(12, "trim horizon");
    whole_shard(clients, &shard_id(1), written).await;
    let records = whole_shard(clients, &shard, written).await;

    let second = &records[1].sequence_number;
    step(13, "at number");
    let kind = ShardIteratorType::AtSequenceNumber;
    let at = clients.iterator_from("clicks", &shard, kind, second).await;
    assert_eq!(clients.read(at).await, records[1..]);

    step(14, "after number");
    let kind = ShardIteratorType::AfterSequenceNumber;
    let at = clients.iterator_from("clicks", &shard, kind, second).await;
    assert_eq!(clients.read(at).await, records[2..]);

    step(15, "at time");
    let time = records[records.len() - 1].approximate_arrival_timestamp;
    let early = records.iter().take_while(|it| it.approximate_arrival_timestamp < time).count();
    let call = clients.kinesis.get_shard_iterator().stream_name("clicks").shard_id(&shard);
    let call = call.shard_iterator_type(ShardIteratorType::AtTimestamp).set_timestamp(time);
    let at = call.send().await.unwrap().shard_iterator.unwrap();
    assert_eq!(clients.read(at).await, records[early..]);

    step(16, "latest");
    let at = clients.iterator("clicks", &shard, ShardIteratorType::Latest).await;
    clients.put("clicks", "new").await;
    assert_eq!(texts(&clients.read(at).await), ["new"]);

    step(17, "iterator again");
    let at = clients.horizon("clicks", &shard).await;
    let first = clients.read_one(&at).await;
    let again = clients.read_one(&at).await;
    assert_eq!(texts(&first.records), ["first"]);
    assert_eq!(again.records, first.records);
    let next = first.next_shard_iterator.unwrap();
    assert_ne!(next, at);
    assert_eq!(texts(&clients.read_one(&next).await.records), ["plain"]);
}

async fn whole_shard(clients: &Clients, shard: &str, written: &[Stored]) -> Vec<Record> {
    let records = clients.read(clients.horizon("clicks", shard).await).await;
    let found: Vec<_> = records
        .iter()
        .map(|record| Stored {
            shard: shard.to_owned(),
            number: record.sequence_number.clone(),
            key: record.partition_key.clone().unwrap(),
            data: record.data.as_ref().to_vec(),
        })
        .collect();
    let expected: Vec<_> = written.iter().filter(|it| it.shard == shard).collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);
    let times = records.iter().map(|record| record.approximate_arrival_timestamp.unwrap());
    assert!(times.is_sorted());
    assert_recent(records[0].approximate_arrival_timestamp.unwrap());
    assert!(records.iter().all(|record| record.encryption_type.is_none()));
    records
}
