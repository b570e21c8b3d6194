//! Rows about shard iterators and what is read with them.

use super::*;

/// A call of `GetShardIterator` for shard 0 of stream `s`; `more` adds members.
fn iterator_of(kind: &str, more: &Json) -> Json {
    let mut body = json!({"StreamName": "s", "ShardId": shard_id(0), "ShardIteratorType": kind});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn with_number(kind: &str, number: &str) -> Json {
    iterator_of(kind, &json!({"StartingSequenceNumber": number}))
}

#[test]
fn e7_shard_id_not_parseable() {
    let service = Service::new(Limits::OFF);
    for raw in ["shardId-x", "x", "shardId-", "shardId-1-2", "2147483648"] {
        let mut body = iterator_of("LATEST", &json!({}));
        body["ShardId"] = json!(raw);
        let text = format!("Could not find shard {raw} in stream s under account 123456789012.");
        service.refused("GetShardIterator", &body, NOT_FOUND, &text);
    }
}

#[test]
fn e9_stream_or_shard_to_read_missing() {
    let service = Service::new(Limits::OFF);
    let text = |shard: &str, stream: &str| {
        format!("Shard {shard} in stream {stream} under account 123456789012 does not exist")
    };
    let mut body = iterator_of("LATEST", &json!({}));
    let missing = text("shardId-000000000000", "s");
    service.refused("GetShardIterator", &body, NOT_FOUND, &missing);
    service.create(&json!({"StreamName": "s", "ShardCount": 1}));
    for raw in ["shardId-000000000005", "5", "whatever-00000005"] {
        body["ShardId"] = json!(raw);
        let text = text("shardId-000000000005", "s");
        service.refused("GetShardIterator", &body, NOT_FOUND, &text);
    }
    service.ok("DeleteStream", &json!({"StreamName": "s"}));
    service.advance_ms(TRANSITION_MS - 1);
    let body = json!({"ShardIterator": service.iterator(0, "LATEST", &json!({}))});
    service.ok("GetRecords", &body);
    service.advance_ms(1);
    service.refused("GetRecords", &body, NOT_FOUND, &missing);
}

const COMBINATIONS: &str = "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER \
                            and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no \
                            StartingSequenceNumber.";

#[test]
fn e15_type_that_needs_a_number() {
    let service = Service::with_stream(1);
    for kind in ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"] {
        let text =
            format!("{COMBINATIONS} Request specified {kind} and no StartingSequenceNumber.");
        service.refused("GetShardIterator", &iterator_of(kind, &json!({})), INVALID, &text);
    }
}

#[test]
fn e16_type_that_takes_no_number() {
    let service = Service::with_stream(1);
    for kind in ["TRIM_HORIZON", "LATEST"] {
        let text =
            format!("{COMBINATIONS} Request specified {kind} and also a StartingSequenceNumber.");
        service.refused("GetShardIterator", &with_number(kind, "5"), INVALID, &text);
    }
}

fn used_in(number: &str) -> String {
    format!(
        "StartingSequenceNumber {number} used in GetShardIterator on shard shardId-000000000000 \
         in stream s under account 123456789012 is invalid"
    )
}

#[test]
fn e17_number_not_parseable() {
    let service = Service::with_stream(1);
    let too_late = number(16_025_175_000, 0, 1, 16_025_175_000);
    let leading_3 = format!("3{}", &number(1, 0, 1, 1)[1..]);
    for number in [&leading_3, &"9".repeat(129), &too_late] {
        let text = format!("{}.", used_in(number));
        let body = with_number("AT_SEQUENCE_NUMBER", number);
        service.refused("GetShardIterator", &body, INVALID, &text);
    }
}

#[test]
fn e18_number_of_another_shard() {
    let service = Service::with_stream(2);
    let seconds = NOW.0 / 1000;
    let body = with_number("AFTER_SEQUENCE_NUMBER", &number(seconds, 1, 7, seconds));
    let text = "Invalid StartingSequenceNumber. It encodes shardId-000000000001, while it was used \
                in a call to a shard with shardId-000000000000";
    service.refused("GetShardIterator", &body, INVALID, text);
}

#[test]
fn e19_number_of_another_stream() {
    let service = Service::with_stream(1);
    let seconds = NOW.0 / 1000 - 1;
    let number = number(seconds, 0, 7, seconds);
    let text = format!("{} because it did not come from this stream.", used_in(&number));
    let body = with_number("AT_SEQUENCE_NUMBER", &number);
    service.refused("GetShardIterator", &body, INVALID, &text);
}

#[test]
fn e20_after_the_end_of_a_closed_shard() {
    let service = Service::with_stream(1);
    let split = json!({"StreamName": "s", "ShardToSplit": "0", "NewStartingHashKey": "9"});
    service.ok("SplitShard", &split);
    service.advance_ms(TRANSITION_MS);
    let listed = service.ok("ListShards", &json!({"StreamName": "s"}));
    let end = &listed["Shards"][0]["SequenceNumberRange"]["EndingSequenceNumber"];
    let end = end.as_str().unwrap();
    let text = "Invalid SequenceNumber for ShardIteratorType AFTER_SEQUENCE_NUMBER, SequenceNumber \
                has reached max possible value for the shard.";
    let body = with_number("AFTER_SEQUENCE_NUMBER", end);
    service.refused("GetShardIterator", &body, INVALID, text);
    service.ok("GetShardIterator", &with_number("AT_SEQUENCE_NUMBER", end));
}

#[test]
fn e21_timestamp_missing() {
    let service = Service::with_stream(1);
    let text = "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. \
                Current request has no timestamp parameter.";
    let body = iterator_of("AT_TIMESTAMP", &json!({}));
    service.refused("GetShardIterator", &body, INVALID, text);
}

#[test]
fn e22_timestamp_in_the_future() {
    let service = Service::with_stream(1);
    let (now, at) = (service.now(), service.now() + 1);
    let text = format!(
        "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. \
         timestampInMillis: {at}, currentTimestampInMillis: {now}"
    );
    let timestamp =
        |millis| iterator_of("AT_TIMESTAMP", &json!({"Timestamp": millis_as_seconds(millis)}));
    service.refused("GetShardIterator", &timestamp(at), INVALID, &text);
    service.ok("GetShardIterator", &timestamp(now));
}

#[test]
fn e23_iterator_undecodable() {
    let service = Service::with_stream(1);
    let good = service.iterator(0, "LATEST", &json!({}));
    let (short, long) = (good[..good.len() - 4].to_owned(), format!("{good}AAAA"));
    let flipped = if good.starts_with('B') {
        good.replacen('B', "C", 1)
    } else {
        good.replacen(&good[..1], "B", 1)
    };
    for iterator in ["x", "AAAA", "!!!!", "\"", &short, &long, &flipped, &format!(" {good}")] {
        let body = json!({"ShardIterator": iterator});
        service.refused("GetRecords", &body, INVALID, "Invalid ShardIterator.");
    }
    // One of the future.
    service.clock.set(Timestamp(service.now() - 1));
    let body = json!({"ShardIterator": good});
    service.refused("GetRecords", &body, INVALID, "Invalid ShardIterator.");
}

#[test]
fn e24_iterator_expired() {
    let service = Service::new(Limits::OFF);
    // 2015-12-10 01:59:39 UTC, when the stream is active.
    service.clock.set(Timestamp(1_449_712_779_000 - TRANSITION_MS));
    service.create(&json!({"StreamName": "s", "ShardCount": 1}));
    let body = json!({"ShardIterator": service.iterator(0, "LATEST", &json!({}))});
    service.advance_ms(300_000);
    service.ok("GetRecords", &body);
    service.advance_ms(1000);
    let text = "Iterator expired. The iterator was created at time Thu Dec 10 01:59:39 UTC 2015 \
                while right now it is Thu Dec 10 02:04:40 UTC 2015 which is further in the future \
                than the tolerated delay of 300000 milliseconds.";
    service.refused("GetRecords", &body, "ExpiredIteratorException", text);
}
