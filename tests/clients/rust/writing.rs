//! Steps 8 to 11: records go where their keys say.

use aws_sdk_kinesis::operation::put_record::PutRecordOutput;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

use crate::calls::{Clients, MOST, shard_id};
use crate::step;

const AGGREGATED: &[u8] = b"\xf3\x89\x9a\xc2\n\x06user-1\n\x06user-2\x1a\x07\x08\x00\x1a\x03one\
    \x1a\x07\x08\x01\x1a\x03twos\x95y\xe9.41\xb6\xe6\xd0\xe0\x06\xdc\xbaJx";

/// What steps 8 to 11 put.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) shard: String,
    pub(crate) number: String,
    pub(crate) key: String,
    pub(crate) data: Vec<u8>,
}

impl Stored {
    fn of(answer: PutRecordOutput, shard: usize, key: &str, data: &str) -> Self {
        assert_eq!(answer.shard_id, shard_id(shard));
        assert_eq!(answer.encryption_type, None);
        let (shard, number) = (answer.shard_id, answer.sequence_number);
        Self { shard, number, key: key.to_owned(), data: data.as_bytes().to_vec() }
    }
}

pub(crate) async fn run(clients: &Clients) -> Vec<Stored> {
    step(8, "put");
    let mut shards = clients.shards("clicks").await;
    let start = shards.remove(0).sequence_number_range.unwrap().starting_sequence_number;
    let answer = clients.put("clicks", "first").await;
    // All numbers have 56 digits, so their texts compare as they do.
    assert!(answer.sequence_number > start);
    let mut written = vec![Stored::of(answer, 0, "a", "first")];

    step(9, "explicit hash key");
    let answer = clients.put_at(MOST, "clicks", "last").await;
    written.push(Stored::of(answer, 1, "a", "last"));

    step(10, "put many");
    written.extend(put_many(clients).await);

    step(11, "ordering");
    let plain = &written[2].number;
    let call = clients.record("clicks", b"later").partition_key("pk");
    let answer = call.sequence_number_for_ordering(plain).send().await.unwrap();
    assert!(answer.sequence_number > *plain);
    written.push(Stored::of(answer, 0, "pk", "later"));
    written
}

async fn put_many(clients: &Clients) -> Vec<Stored> {
    let all_bytes: Vec<u8> = (0..=255).collect();
    let entries: [(&str, Option<&str>, &[u8], usize); 5] = [
        ("pk", None, b"plain", 0),
        ("\u{fc}", None, b"", 1),
        ("\u{1f986} duck", None, "quack \u{1f986}".as_bytes(), 1),
        ("\u{65e5}\u{672c}", None, &all_bytes, 0),
        ("a", Some("0"), AGGREGATED, 0),
    ];
    let records = entries.iter().map(|(key, hash_key, data, _)| {
        let entry = PutRecordsRequestEntry::builder().partition_key(*key);
        let entry = entry.set_explicit_hash_key(hash_key.map(str::to_owned));
        entry.data(Blob::new(*data)).build().unwrap()
    });
    let call = clients.kinesis.put_records().stream_name("clicks");
    let answer = call.set_records(Some(records.collect())).send().await.unwrap();
    assert_eq!((answer.failed_record_count, answer.encryption_type), (Some(0), None));
    assert_eq!(answer.records.len(), entries.len());
    let results = answer.records.into_iter().zip(entries);
    results
        .map(|(result, (key, _, data, shard))| {
            assert_eq!((result.error_code, result.error_message), (None, None));
            assert_eq!(result.shard_id, Some(shard_id(shard)));
            Stored {
                shard: shard_id(shard),
                number: result.sequence_number.unwrap(),
                key: key.to_owned(),
                data: data.to_vec(),
            }
        })
        .collect()
}
