//! GetShardIterator and GetRecords.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use kinelog_engine::types::SequenceNumber;

use super::*;

const MIB: usize = 1 << 20;
const MISSING: &str =
    "Shard shardId-000000000005 in stream s under account 123456789012 does not exist";

fn data(read: &Json) -> Vec<String> {
    let decode = |text: String| {
        String::from_utf8(base64_simd::STANDARD.decode_to_vec(text).unwrap()).unwrap()
    };
    texts(&read["Records"], "Data").into_iter().map(decode).collect()
}

fn next(read: &Json) -> &str {
    read["NextShardIterator"].as_str().unwrap()
}

async fn refused(world: &World, more: Json, text: &str) {
    let mut body = json!({"StreamName": "s", "ShardId": "0"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.refused(Operation::GetShardIterator, body, Kind::InvalidArgument, text).await;
}

/// Stream `s` with one shard and the records 1 to 5, a second apart; returns their numbers.
async fn five_records() -> (World, Vec<String>) {
    let world = World::with_stream(1).await;
    let mut numbers = Vec::new();
    for n in 1..=5 {
        let answer = world.put("k", &n.to_string()).await;
        numbers.push(answer["SequenceNumber"].as_str().unwrap().to_owned());
        world.clock.advance_ms(1000);
    }
    (world, numbers)
}

#[tokio::test]
async fn each_type_of_iterator_starts_at_its_record() {
    let (world, numbers) = five_records().await;
    let first_at = NOW.0 + TRANSITION_MS;
    let starting = SequenceNumber::starting(NOW.seconds(), ShardIndex(0)).to_string();
    let seconds =
        |ms: u64| json!({"Timestamp": f64::from(u32::try_from(ms / 1000).unwrap()) + 0.25});
    for (kind, more, expected) in [
        ("TRIM_HORIZON", json!({}), "12345"),
        ("LATEST", json!({}), ""),
        ("AT_SEQUENCE_NUMBER", json!({"StartingSequenceNumber": numbers[2]}), "345"),
        ("AFTER_SEQUENCE_NUMBER", json!({"StartingSequenceNumber": numbers[2]}), "45"),
        ("AT_SEQUENCE_NUMBER", json!({"StartingSequenceNumber": starting}), "12345"),
        ("AFTER_SEQUENCE_NUMBER", json!({"StartingSequenceNumber": starting}), "12345"),
        ("AFTER_SEQUENCE_NUMBER", json!({"StartingSequenceNumber": numbers[4]}), ""),
        ("AT_TIMESTAMP", json!({"Timestamp": 1}), "12345"),
        ("AT_TIMESTAMP", json!({"Timestamp": -1}), "12345"),
        ("AT_TIMESTAMP", seconds(first_at + 2000), "345"),
        ("AT_TIMESTAMP", json!({"Timestamp": first_at / 1000 + 2}), "345"),
        ("AT_TIMESTAMP", seconds(first_at + 5000), ""),
    ] {
        let iterator = world.iterator("0", kind, more.clone()).await;
        let read = world.read(&iterator).await;
        assert_eq!(data(&read).concat(), expected, "{kind} {more}");
        world.put("other", "").await;
        let on = world.read(next(&read)).await;
        assert!(!data(&on).is_empty(), "{kind} {more} goes on");
        let trimmed: Vec<_> = data(&on).into_iter().filter(|data| !data.is_empty()).collect();
        assert!(trimmed.is_empty(), "{kind} {more} repeats nothing");
    }
}

#[tokio::test]
async fn a_record_is_read_as_it_was_put() {
    let world = World::with_stream(1).await;
    let put = world.put("\u{1F600} key", "data").await;
    let iterator = world.iterator("shardId-000000000000", "TRIM_HORIZON", json!({})).await;
    world.clock.advance_ms(1500);
    let read = world.read(&iterator).await;
    let mut record = read["Records"][0].clone();
    let arrival = record["ApproximateArrivalTimestamp"].take().as_f64().unwrap();
    assert!((arrival * 1000.0 - 1_764_791_334_250.0).abs() < 0.5, "{arrival}");
    assert_eq!(
        record,
        json!({
            "SequenceNumber": put["SequenceNumber"],
            "ApproximateArrivalTimestamp": null,
            "Data": base64(b"data"),
            "PartitionKey": "\u{1F600} key",
        })
    );
    assert_eq!(read["MillisBehindLatest"], 0);
    assert!(read.get("ChildShards").is_none());
}

#[tokio::test]
async fn a_reader_behind_is_told_how_far() {
    let (world, _) = five_records().await;
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    let body = json!({"ShardIterator": iterator, "Limit": 2});
    let read = world.ok(Operation::GetRecords, body).await;
    assert_eq!(data(&read), ["1", "2"]);
    assert_eq!(read["MillisBehindLatest"], 3000);
    let read = world.read(next(&read)).await;
    assert_eq!((data(&read).concat().as_str(), &read["MillisBehindLatest"]), ("345", &json!(0)));
}

#[tokio::test]
async fn an_answer_carries_at_most_ten_mib() {
    let world = World::with_stream(1).await;
    world.put_large(&[MIB - 1; 6]).await.unwrap();
    world.put_large(&[MIB - 1, MIB - 1, MIB - 1, MIB - 1, 0, 0]).await.unwrap();
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    let (read, next) = world.read_large(&iterator).await;
    assert_eq!(read, [MIB - 1; 10], "data and keys together make 10 MiB");
    assert_eq!(world.read_large(&next).await.0, [0, 0]);
}

#[tokio::test]
async fn the_end_of_a_closed_shard_names_its_children() {
    let world = World::with_stream(1).await;
    let put = world.put("k", "last").await;
    world.begin_split().await;
    let before = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    world.next_second().await;
    let half = "170141183460469231731687303715884105727";
    let children = json!([
        {
            "ShardId": "shardId-000000000001",
            "ParentShards": ["shardId-000000000000"],
            "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": half},
        },
        {
            "ShardId": "shardId-000000000002",
            "ParentShards": ["shardId-000000000000"],
            "HashKeyRange": {
                "StartingHashKey": "170141183460469231731687303715884105728",
                "EndingHashKey": "340282366920938463463374607431768211455",
            },
        },
    ]);
    let closed = (NOW.0 + 2 * TRANSITION_MS) / 1000;
    let end = SequenceNumber::ending(NOW.seconds(), ShardIndex(0), closed).to_string();
    let last = &put["SequenceNumber"];
    for (iterator, records) in [
        (before, 1),
        (world.iterator("0", "LATEST", json!({})).await, 0),
        (
            world
                .iterator("0", "AFTER_SEQUENCE_NUMBER", json!({"StartingSequenceNumber": last}))
                .await,
            0,
        ),
        (
            world.iterator("0", "AT_SEQUENCE_NUMBER", json!({"StartingSequenceNumber": end})).await,
            0,
        ),
    ] {
        let read = world.read(&iterator).await;
        assert_eq!(data(&read).len(), records);
        assert!(read.get("NextShardIterator").is_none());
        assert_eq!((&read["ChildShards"], &read["MillisBehindLatest"]), (&children, &json!(0)));
    }
    let text = "Invalid SequenceNumber for ShardIteratorType AFTER_SEQUENCE_NUMBER, SequenceNumber \
                has reached max possible value for the shard.";
    let kind = "AFTER_SEQUENCE_NUMBER";
    refused(&world, json!({"ShardIteratorType": kind, "StartingSequenceNumber": end}), text).await;
}

#[tokio::test]
async fn shard_ids_are_checked_before_the_stream() {
    let world = World::with_stream(1).await;
    let body = |stream: &str, shard: &str| json!({"StreamName": stream, "ShardId": shard, "ShardIteratorType": "LATEST"});
    let missing = async |body: Json, text: &str| {
        world.refused(Operation::GetShardIterator, body, Kind::ResourceNotFound, text).await;
    };
    let text = "Could not find shard shardId-x in stream no under account 123456789012.";
    missing(body("no", "shardId-x"), text).await;
    missing(body("s", "5"), MISSING).await;
    missing(body("no", "a-5"), &MISSING.replace("stream s", "stream no")).await;
}

#[tokio::test]
async fn type_number_and_time_must_fit() {
    let (world, numbers) = five_records().await;
    let begin = "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and \
                 StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no \
                 StartingSequenceNumber. Request specified";
    for kind in ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"] {
        let text = format!("{begin} {kind} and no StartingSequenceNumber.");
        refused(&world, json!({"ShardIteratorType": kind}), &text).await;
    }
    for kind in ["TRIM_HORIZON", "LATEST"] {
        let text = format!("{begin} {kind} and also a StartingSequenceNumber.");
        let body = json!({"ShardIteratorType": kind, "StartingSequenceNumber": numbers[0]});
        refused(&world, body, &text).await;
    }
    let text = "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. \
                Current request has no timestamp parameter.";
    refused(&world, json!({"ShardIteratorType": "AT_TIMESTAMP"}), text).await;
    let text = "The timestampInMillis parameter cannot be greater than the \
                currentTimestampInMillis. timestampInMillis: 1764791340000, \
                currentTimestampInMillis: 1764791339250";
    let body = json!({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 1_764_791_340});
    refused(&world, body, text).await;
}

#[tokio::test]
async fn a_starting_number_must_be_of_this_shard() {
    let world = World::with_stream(2).await;
    let body = |number: &str| json!({"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": number});
    let used = |number: &str, end: &str| {
        format!(
            "StartingSequenceNumber {number} used in GetShardIterator on shard \
             shardId-000000000000 in stream s under account 123456789012 is invalid{end}"
        )
    };
    let nonsense = "9".repeat(56);
    refused(&world, body(&nonsense), &used(&nonsense, ".")).await;
    let of = |created, shard| SequenceNumber::starting(created, ShardIndex(shard)).to_string();
    let text = "Invalid StartingSequenceNumber. It encodes shardId-000000000001, while it was used \
                in a call to a shard with shardId-000000000000";
    refused(&world, body(&of(NOW.seconds(), 1)), text).await;
    let foreign = of(NOW.seconds() - 1, 0);
    let end = " because it did not come from this stream.";
    refused(&world, body(&foreign), &used(&foreign, end)).await;
    let mut oldest = body("1");
    oldest["StreamName"] = json!("s");
    oldest["ShardId"] = json!("0");
    let failure = world.run(Operation::GetShardIterator, oldest).await.unwrap_err();
    assert_eq!(failure, Exception::bare(Kind::InternalFailure));
}

#[tokio::test]
async fn iterators_are_checked_in_order() {
    let world = World::with_stream(1).await;
    let iterator = world.iterator("0", "LATEST", json!({})).await;
    let body = |iterator: &str| json!({"ShardIterator": iterator});
    for bad in ["x", "AAAA", "AAAAAAAAAAE=", &iterator[4..], &iterator.replace('A', "B")] {
        let text = "Invalid ShardIterator.";
        world.refused(Operation::GetRecords, body(bad), Kind::InvalidArgument, text).await;
    }
    world.ok(Operation::GetRecords, body(&format!("\"{iterator}\""))).await;
    world.clock.advance_ms(300_000);
    let read = world.read(&iterator).await;
    world.clock.advance_ms(1);
    let text = "Iterator expired. The iterator was created at time Wed Dec 03 19:48:54 UTC 2025 \
                while right now it is Wed Dec 03 19:53:54 UTC 2025 which is further in the future \
                than the tolerated delay of 300000 milliseconds.";
    world.refused(Operation::GetRecords, body(&iterator), Kind::ExpiredIterator, text).await;
    world.read(next(&read)).await;
}

/// Iterators of every type, those that came with records, and page tokens, over a close and a power cut.
#[tokio::test]
async fn iterator_across_restart() {
    let (mut world, numbers) = five_records().await;
    world.create(json!({"StreamName": "t", "ShardCount": 2})).await;
    let third = json!({"StartingSequenceNumber": numbers[2]});
    let mut iterators = Vec::new();
    for (kind, more, expected) in [
        ("TRIM_HORIZON", json!({}), "123456"),
        ("LATEST", json!({}), "6"),
        ("AT_SEQUENCE_NUMBER", third.clone(), "3456"),
        ("AFTER_SEQUENCE_NUMBER", third, "456"),
        ("AT_TIMESTAMP", json!({"Timestamp": (NOW.0 + TRANSITION_MS) / 1000 + 4}), "56"),
    ] {
        iterators.push((world.iterator("0", kind, more).await, expected));
    }
    let some = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    let some = world.ok(Operation::GetRecords, json!({"ShardIterator": some, "Limit": 3})).await;
    iterators.push((next(&some).to_owned(), "456"));
    let list = json!({"StreamName": "t", "MaxResults": 1});
    let token = world.ok(Operation::ListShards, list).await["NextToken"].clone();

    world.restart().await;
    world.put("k", "6").await;
    world.cut_power(2, Survive::None).await;
    for (iterator, expected) in iterators {
        assert_eq!(data(&world.read(&iterator).await).concat(), expected);
    }
    let page = world.ok(Operation::ListShards, json!({"NextToken": token})).await;
    assert_eq!(texts(&page["Shards"], "ShardId"), ["shardId-000000000001"]);
}

#[tokio::test]
async fn reads_from_the_disk_wait_for_their_turn_and_those_from_memory_do_not() {
    let (mut world, _) = five_records().await;
    world.restart().await;
    let settings = Settings { cold_reads_max: 1, ..world.context.settings().clone() };
    world.context = Context::new(world.context.engine.clone(), settings);
    let cold = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    let warm = world.iterator("0", "LATEST", json!({})).await;
    world.put("k", "6").await;

    let turn = world.context.cold_read().await;
    let mut read = pin!(world.read(&cold));
    for _ in 0..100 {
        let polled = poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await;
        assert!(polled.is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(data(&world.read(&warm).await), ["6"]);
    drop(turn);
    assert_eq!(data(&read.await).concat(), "123456");
}

#[tokio::test]
async fn a_stream_arn_must_be_that_of_the_iterator() {
    let world = World::with_stream(1).await;
    let iterator = world.iterator("0", "LATEST", json!({})).await;
    let body = |arn: &str| json!({"ShardIterator": iterator, "StreamARN": arn});
    world.ok(Operation::GetRecords, body(&arn("s"))).await;
    for other in [arn("t"), arn("s").replace("us-east-1", "us-east-2")] {
        let text = format!("The ShardIterator does not belong to the stream {other}.");
        world.refused(Operation::GetRecords, body(&other), Kind::InvalidArgument, &text).await;
    }
}

#[tokio::test]
async fn a_shard_is_read_five_times_a_second() {
    let world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    let mut iterator = String::new();
    for _ in 0..5 {
        iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    }
    let text =
        "Rate exceeded for shard shardId-000000000000 in stream s under account 123456789012.";
    let kind = Kind::ProvisionedThroughputExceeded;
    let get = json!({"StreamName": "s", "ShardId": "0", "ShardIteratorType": "LATEST"});
    world.refused(Operation::GetShardIterator, get, kind, text).await;
    for _ in 0..5 {
        world.read(&iterator).await;
    }
    let body = json!({"ShardIterator": iterator});
    world.refused(Operation::GetRecords, body, kind, text).await;
}

#[tokio::test]
async fn a_large_answer_blocks_its_shard() {
    let world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1, "MaxRecordSizeInKiB": 10_240})).await;
    world.put_large(&[10 * MIB - 1]).await.unwrap();
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    assert_eq!(world.read_large(&iterator).await.0, [10 * MIB - 1]);
    world.clock.advance_ms(4999);
    let text =
        "Rate exceeded for shard shardId-000000000000 in stream s under account 123456789012.";
    let body = json!({"ShardIterator": iterator});
    let kind = Kind::ProvisionedThroughputExceeded;
    world.refused(Operation::GetRecords, body, kind, text).await;
    world.clock.advance_ms(1);
    world.read_large(&iterator).await;
}

#[tokio::test]
async fn an_expired_shard_is_gone() {
    let world = World::with_stream(1).await;
    world.split().await;
    let day_ms = 24 * 3_600_000;
    // Its last millisecond is the one before its children began.
    world.clock.advance_ms(day_ms - 1);
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    assert!(world.read(&iterator).await.get("NextShardIterator").is_none());
    world.clock.advance_ms(1);
    let text = "Shard shardId-000000000000 in stream s under account 123456789012 does not exist";
    let body = json!({"StreamName": "s", "ShardId": "0", "ShardIteratorType": "LATEST"});
    world.refused(Operation::GetShardIterator, body, Kind::ResourceNotFound, text).await;
    let body = json!({"ShardIterator": iterator});
    world.refused(Operation::GetRecords, body, Kind::ResourceNotFound, text).await;
    let answer = world.ok(Operation::ListShards, json!({"StreamName": "s"})).await;
    assert_eq!(
        texts(&answer["Shards"], "ShardId"),
        ["shardId-000000000001", "shardId-000000000002"]
    );
}

#[tokio::test]
async fn no_answer_repeats_an_iterator() {
    let world = World::with_stream(1).await;
    let first = world.iterator("0", "LATEST", json!({})).await;
    let again = world.iterator("0", "LATEST", json!({})).await;
    let read = world.read(&first).await;
    let read_again = world.read(&first).await;
    let all = [first.as_str(), &again, next(&read), next(&read_again)];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), 4, "also within one millisecond");
}
