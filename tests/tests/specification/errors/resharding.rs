//! Rows about splits and merges.

use super::*;

fn split(shard: &str, at: &str) -> Json {
    json!({"StreamName": "s", "ShardToSplit": shard, "NewStartingHashKey": at})
}

fn merge(shard: &str, adjacent: &str) -> Json {
    json!({"StreamName": "s", "ShardToMerge": shard, "AdjacentShardToMerge": adjacent})
}

const HALF: &str = "170141183460469231731687303715884105728";

#[test]
fn e8_shard_not_in_stream() {
    let service = Service::with_stream(1);
    let text = "Could not find shard shardId-000000000005 in stream s under account 123456789012.";
    for raw in ["shardId-000000000005", "5", "whatever-00000005"] {
        service.refused("SplitShard", &split(raw, HALF), NOT_FOUND, text);
        service.refused("MergeShards", &merge("0", raw), NOT_FOUND, text);
        service.refused("MergeShards", &merge(raw, "shardId-9"), NOT_FOUND, text);
    }
}

#[test]
fn e10_split_key_out_of_bounds() {
    let service = Service::with_stream(2);
    let bounds = [("0", "0", "170141183460469231731687303715884105727"), ("1", HALF, LAST)];
    for (shard, start, end) in bounds {
        let above = |n: u128| (start.parse::<u128>().unwrap() + n).to_string();
        for key in [start, &above(1), end, "0", "999999999999999999999999999999999999999"] {
            let text = format!(
                "NewStartingHashKey {key} used in SplitShard() on shard shardId-00000000000{shard} \
                 in stream s under account 123456789012 is not both greater than one plus the \
                 shard's StartingHashKey {start} and less than the shard's EndingHashKey {end}."
            );
            service.refused("SplitShard", &split(shard, key), INVALID, &text);
        }
    }
    service.ok("SplitShard", &split("0", "2"));
}

const LAST: &str = "340282366920938463463374607431768211455";

#[test]
fn e11_shard_closed() {
    let service = Service::with_stream(2);
    service.ok("SplitShard", &split("0", "9"));
    service.advance_ms(TRANSITION_MS);
    let text = "Shard shardId-000000000000 in stream s under account 123456789012 has already been \
                merged or split, and thus is not eligible for merging or splitting.";
    service.refused("SplitShard", &split("0", "9"), INVALID, text);
    service.refused("MergeShards", &merge("0", "1"), INVALID, text);
    service.refused("MergeShards", &merge("1", "0"), INVALID, text);
}

#[test]
fn e12_shards_not_adjacent() {
    let service = Service::with_stream(3);
    for (lower, upper) in [("0", "2"), ("1", "0"), ("1", "1")] {
        let text = format!(
            "Shards shardId-00000000000{lower} and shardId-00000000000{upper} in stream s under \
             account 123456789012 are not an adjacent pair of shards eligible for merging"
        );
        service.refused("MergeShards", &merge(lower, upper), INVALID, &text);
    }
    service.ok("MergeShards", &merge("1", "2"));
}

#[test]
fn e34_stream_on_demand() {
    let service = Service::new(Limits::OFF);
    service.create(&json!({"StreamName": "s"}));
    let text = "Request is invalid. Stream s under account 123456789012 is in On-Demand mode.";
    service.refused("SplitShard", &split("0", HALF), VALIDATION, text);
    service.refused("MergeShards", &merge("0", "1"), VALIDATION, text);
    let body = json!({"StreamName": "s", "TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"});
    service.refused("UpdateShardCount", &body, VALIDATION, text);
}
