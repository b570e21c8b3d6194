//! Modes, sizes, limits and settings of the account.

use super::*;

const HOUR_MS: u64 = 3_600_000;

async fn summary(world: &World) -> Json {
    let body = json!({"StreamName": "s"});
    let mut answer = world.ok(Operation::DescribeStreamSummary, body).await;
    answer["StreamDescriptionSummary"].take()
}

fn mode(mode: &str) -> Json {
    json!({"StreamARN": arn("s"), "StreamModeDetails": {"StreamMode": mode}})
}

fn commitment(status: &str) -> Json {
    json!({"MinimumThroughputBillingCommitment": {"Status": status}})
}

async fn switch(world: &World, to: &str) {
    assert_eq!(world.ok(Operation::UpdateStreamMode, mode(to)).await, Json::Null);
    world.clock.advance_ms(TRANSITION_MS);
}

#[tokio::test]
async fn a_switch_of_the_mode_keeps_the_shards() {
    let world = World::with_stream(3).await;
    world.ok(Operation::UpdateStreamMode, mode("ON_DEMAND")).await;
    let summary_now = summary(&world).await;
    assert_eq!(summary_now["StreamStatus"], "UPDATING");
    assert_eq!(summary_now["StreamModeDetails"]["StreamMode"], "ON_DEMAND");
    world.clock.advance_ms(TRANSITION_MS);
    let summary_now = summary(&world).await;
    assert_eq!(summary_now["StreamStatus"], "ACTIVE");
    assert_eq!(summary_now["OpenShardCount"], 3);
    assert_eq!(summary_now["RecordDistributionStrategy"], "USER_PARTITION_KEY");
    switch(&world, "PROVISIONED").await;
    let summary = summary(&world).await;
    assert_eq!(summary["StreamModeDetails"]["StreamMode"], "PROVISIONED");
    assert_eq!(summary["OpenShardCount"], 3);
    assert!(summary.get("RecordDistributionStrategy").is_none());
}

#[tokio::test]
async fn the_mode_is_switched_twice_in_a_day() {
    let world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    switch(&world, "ON_DEMAND").await;
    switch(&world, "PROVISIONED").await;
    let text = "The mode of stream s under account 123456789012 cannot be switched more than 2 \
                times in 24 hours.";
    world.refused(Operation::UpdateStreamMode, mode("ON_DEMAND"), Kind::LimitExceeded, text).await;
    world.clock.advance_ms(22 * HOUR_MS - 1);
    world.refused(Operation::UpdateStreamMode, mode("ON_DEMAND"), Kind::LimitExceeded, text).await;
    world.clock.advance_ms(1);
    switch(&world, "ON_DEMAND").await;
}

#[tokio::test]
async fn the_same_mode_is_no_switch() {
    let world = World::new(Limits::AWS).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    for _ in 0..3 {
        world.ok(Operation::UpdateStreamMode, mode("PROVISIONED")).await;
        assert_eq!(summary(&world).await["StreamStatus"], "ACTIVE");
    }
    switch(&world, "ON_DEMAND").await;
    switch(&world, "PROVISIONED").await;
}

#[tokio::test]
async fn fifty_streams_are_on_demand() {
    let world = World::new("1000".parse().unwrap()).await;
    for n in 0..50 {
        world.create(json!({"StreamName": format!("on-demand-{n}")})).await;
    }
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    let text = "Account 123456789012 cannot have more than 50 streams in On-Demand mode.";
    world.refused(Operation::UpdateStreamMode, mode("ON_DEMAND"), Kind::LimitExceeded, text).await;
    let body = json!({"StreamName": "t"});
    world.refused(Operation::CreateStream, body, Kind::LimitExceeded, text).await;
    world.ok(Operation::DeleteStream, json!({"StreamName": "on-demand-7"})).await;
    world.clock.advance_ms(TRANSITION_MS);
    switch(&world, "ON_DEMAND").await;
}

#[tokio::test]
async fn changes_of_capacity_want_an_active_stream() {
    let world = World::with_stream(1).await;
    let calls = || {
        [
            (Operation::UpdateStreamMode, mode("ON_DEMAND")),
            (Operation::UpdateStreamMode, mode("PROVISIONED")),
            (
                Operation::UpdateMaxRecordSize,
                json!({"StreamARN": arn("s"), "MaxRecordSizeInKiB": 2048}),
            ),
            (
                Operation::UpdateStreamRecordDistributionStrategy,
                json!({"StreamARN": arn("s"), "RecordDistributionStrategy": "USER_PARTITION_KEY"}),
            ),
        ]
    };
    let not_active = |state: &str| {
        format!("Stream s under account 123456789012 not ACTIVE, instead in state {state}")
    };
    let size = json!({"StreamARN": arn("s"), "MaxRecordSizeInKiB": 10_240});
    world.ok(Operation::UpdateMaxRecordSize, size).await;
    for (operation, body) in calls() {
        world.refused(operation, body, Kind::ResourceInUse, &not_active("UPDATING")).await;
    }
    world.clock.advance_ms(TRANSITION_MS);
    world.ok(Operation::DeleteStream, json!({"StreamName": "s"})).await;
    for (operation, body) in calls() {
        world.refused(operation, body, Kind::ResourceInUse, &not_active("DELETING")).await;
    }
    world.clock.advance_ms(TRANSITION_MS);
    for (operation, body) in calls() {
        let text = "Stream s under account 123456789012 not found.";
        world.refused(operation, body, Kind::ResourceNotFound, text).await;
    }
}

#[tokio::test]
async fn calls_of_capacity_have_their_rates() {
    let world = World::new(Limits::AWS).await;
    let of_stream = "Rate exceeded for stream s under account 123456789012.";
    for (operation, body, rate, text) in [
        (Operation::UpdateStreamMode, mode("ON_DEMAND"), 5, of_stream),
        (
            Operation::UpdateMaxRecordSize,
            json!({"StreamARN": arn("s"), "MaxRecordSizeInKiB": 2048}),
            5,
            of_stream,
        ),
        (
            Operation::UpdateStreamRecordDistributionStrategy,
            json!({"StreamARN": arn("s"), "RecordDistributionStrategy": "AUTO"}),
            5,
            of_stream,
        ),
        (Operation::DescribeLimits, json!({}), 1, "Rate exceeded"),
        (Operation::DescribeAccountSettings, json!({}), 5, "Rate exceeded"),
        (Operation::UpdateAccountSettings, commitment("DISABLED"), 5, "Rate exceeded"),
    ] {
        for _ in 0..rate {
            if let Err(refused) = world.run(operation, body.clone()).await {
                assert_eq!(refused.kind, Kind::ResourceNotFound);
            }
        }
        world.refused(operation, body, Kind::LimitExceeded, text).await;
    }
}

#[tokio::test]
async fn a_longer_record_size_lets_ten_mib_in_and_out() {
    let world = World::with_stream(1).await;
    let set = async |kib: u32| {
        let body = json!({"StreamARN": arn("s"), "MaxRecordSizeInKiB": kib});
        assert_eq!(world.ok(Operation::UpdateMaxRecordSize, body).await, Json::Null);
        let seen = summary(&world).await;
        assert_eq!(seen["StreamStatus"], "UPDATING");
        assert_eq!(seen["MaxRecordSizeInKiB"], kib);
        world.clock.advance_ms(TRANSITION_MS);
        assert_eq!(summary(&world).await["StreamStatus"], "ACTIVE");
    };
    set(10_240).await;
    let data = Value::Bytes(vec![7; 10 << 20].into());
    let one = Value::Map(vec![
        ("StreamName".into(), Value::Text("s".into())),
        ("PartitionKey".into(), Value::Text("k".into())),
        ("Data".into(), data),
    ]);
    world.run_cbor(Operation::PutRecord, one).await.unwrap();
    world.put_large(&[(10 << 20) - 1]).await.unwrap();
    set(1024).await;
    let refused = world.put_large(&[1_048_577]).await.unwrap_err();
    let text = "1 validation error detected: Value at 'records.1.member.data' failed to satisfy \
                constraint: Member must have length less than or equal to 1048576";
    assert_eq!(refused, Exception::new(Kind::Validation, text));
    let iterator = world.iterator("0", "TRIM_HORIZON", json!({})).await;
    let (first, next) = world.read_large(&iterator).await;
    assert_eq!(first, [10 << 20]);
    assert_eq!(world.read_large(&next).await.0, [(10 << 20) - 1]);
}

#[tokio::test]
async fn a_record_size_has_its_bounds_and_needs_a_stream() {
    let world = World::with_stream(1).await;
    for (kib, rule) in [
        (1023, "Member must have value greater than or equal to 1024"),
        (10_241, "Member must have value less than or equal to 10240"),
    ] {
        let text = format!(
            "1 validation error detected: Value '{kib}' at 'maxRecordSizeInKiB' failed to satisfy \
             constraint: {rule}"
        );
        let body = json!({"StreamARN": arn("s"), "MaxRecordSizeInKiB": kib});
        world.refused(Operation::UpdateMaxRecordSize, body, Kind::Validation, &text).await;
    }
    let text = "1 validation error detected: Value null at 'maxRecordSizeInKiB' failed to satisfy \
                constraint: Member must not be null";
    let body = json!({"StreamARN": arn("s")});
    world.refused(Operation::UpdateMaxRecordSize, body, Kind::Validation, text).await;
    let text = "Either StreamName or StreamARN should be provided.";
    let body = json!({"MaxRecordSizeInKiB": 2048});
    world.refused(Operation::UpdateMaxRecordSize, body, Kind::InvalidArgument, text).await;
}

#[tokio::test]
async fn the_distribution_changes_at_once_and_only_on_demand() {
    let world = World::with_stream(2).await;
    let set = |strategy: &str| {
        let body = json!({"StreamARN": arn("s"), "RecordDistributionStrategy": strategy});
        world.run(Operation::UpdateStreamRecordDistributionStrategy, body)
    };
    let text =
        "RecordDistributionStrategy AUTO can be provided only for a stream in On-Demand mode.";
    assert_eq!(set("AUTO").await, Err(Exception::new(Kind::InvalidArgument, text)));
    assert_eq!(set("USER_PARTITION_KEY").await, Ok(Json::Null));
    switch(&world, "ON_DEMAND").await;
    assert_eq!(set("AUTO").await, Ok(Json::Null));
    let seen = summary(&world).await;
    assert_eq!(seen["StreamStatus"], "ACTIVE");
    assert_eq!(seen["RecordDistributionStrategy"], "AUTO");
    let record = json!({"Data": "", "PartitionKey": "k"});
    let body = json!({"StreamName": "s", "Records": vec![record; 4]});
    let put =
        async || texts(&world.ok(Operation::PutRecords, body.clone()).await["Records"], "ShardId");
    let [zero, one] = [0, 1].map(|n| format!("shardId-{n:012}"));
    let spread = put().await;
    assert_eq!(spread.iter().filter(|shard| **shard == zero).count(), 2);
    assert_eq!(spread.iter().filter(|shard| **shard == one).count(), 2);
    set("USER_PARTITION_KEY").await.unwrap();
    let keyed = put().await;
    assert!(keyed.iter().all(|shard| *shard == keyed[0]));
    set("AUTO").await.unwrap();
    switch(&world, "PROVISIONED").await;
    let keyed = put().await;
    assert!(keyed.iter().all(|shard| *shard == keyed[0]), "a provisioned stream goes by the key");
}

#[tokio::test]
async fn limits_are_those_in_force() {
    let world = World::new("10".parse().unwrap()).await;
    world.create(json!({"StreamName": "s", "ShardCount": 3})).await;
    world.create(json!({"StreamName": "t"})).await;
    let expected = json!({
        "ShardLimit": 20_000, "OpenShardCount": 7, "OnDemandStreamCount": 1,
        "OnDemandStreamCountLimit": 50, "ChannelCount": 0, "ChannelCountLimit": 0,
    });
    assert_eq!(world.ok(Operation::DescribeLimits, json!({})).await, expected);
    let elsewhere = principal("AKID", "eu-north-1");
    let answer = world.run_as(&elsewhere, Operation::DescribeLimits, json!({})).await.unwrap();
    assert_eq!((&answer["ShardLimit"], &answer["OpenShardCount"]), (&json!(6000), &json!(0)));
    let open = World::with_stream(1).await;
    let answer = open.ok(Operation::DescribeLimits, json!({})).await;
    assert_eq!(answer["ShardLimit"], 100_000);
    assert_eq!(answer["OnDemandStreamCountLimit"], 25_000);
}

#[tokio::test]
async fn a_commitment_begins_at_once_and_ends_after_a_day() {
    let mut world = World::new(Limits::OFF).await;
    let never = json!({"MinimumThroughputBillingCommitment": {"Status": "DISABLED"}});
    let describe =
        async |world: &World| world.ok(Operation::DescribeAccountSettings, json!({})).await;
    let update = async |world: &World, status| {
        let answer = world.ok(Operation::UpdateAccountSettings, commitment(status)).await;
        assert_eq!(answer, describe(world).await);
        answer
    };
    assert_eq!(describe(&world).await, never);
    assert_eq!(update(&world, "DISABLED").await, never);
    let start = json!(1_764_787_734.25);
    let end = json!(1_764_787_734.25 + 86_400.0);
    let answer = |status: &str, end_name: &str, end: &Json| {
        json!({"MinimumThroughputBillingCommitment": {
            "Status": status, "StartedAt": start, end_name: end,
        }})
    };
    let enabled = answer("ENABLED", "EarliestAllowedEndAt", &end);
    let until = answer("ENABLED_UNTIL_EARLIEST_ALLOWED_END", "EarliestAllowedEndAt", &end);
    assert_eq!(update(&world, "ENABLED").await, enabled);
    world.clock.advance_ms(HOUR_MS);
    assert_eq!(update(&world, "DISABLED").await, until);
    world.restart().await;
    assert_eq!(describe(&world).await, until);
    assert_eq!(update(&world, "ENABLED").await, enabled);
    world.clock.advance_ms(23 * HOUR_MS - 1);
    assert_eq!(update(&world, "DISABLED").await, until);
    world.clock.advance_ms(1);
    assert_eq!(describe(&world).await, answer("DISABLED", "EndedAt", &end));
}

#[tokio::test]
async fn settings_belong_to_one_account_in_one_region() {
    let world = World::new(Limits::OFF).await;
    world.ok(Operation::UpdateAccountSettings, commitment("ENABLED")).await;
    for (key, region) in [("999999999999", REGION), ("AKID", "eu-west-1")] {
        let other = principal(key, region);
        let answer =
            world.run_as(&other, Operation::DescribeAccountSettings, json!({})).await.unwrap();
        assert_eq!(answer["MinimumThroughputBillingCommitment"]["Status"], "DISABLED");
    }
}

#[tokio::test]
async fn a_commitment_is_one_of_two_words() {
    let world = World::new(Limits::OFF).await;
    let text = "1 validation error detected: Value null at 'minimumThroughputBillingCommitment' \
                failed to satisfy constraint: Member must not be null";
    world.refused(Operation::UpdateAccountSettings, json!({}), Kind::Validation, text).await;
    let text = "1 validation error detected: Value 'ENABLED_UNTIL_EARLIEST_ALLOWED_END' at \
                'minimumThroughputBillingCommitment.status' failed to satisfy constraint: Member \
                must satisfy enum value set: [ENABLED, DISABLED]";
    let body = commitment("ENABLED_UNTIL_EARLIEST_ALLOWED_END");
    world.refused(Operation::UpdateAccountSettings, body, Kind::Validation, text).await;
}

#[tokio::test]
async fn warm_throughput_goes_with_the_commitment() {
    let world = World::new(Limits::OFF).await;
    let body = json!({"StreamName": "s", "WarmThroughputMiBps": 6});
    let text = "WarmThroughputMiBps requires the minimum throughput billing commitment of the \
                account.";
    world.refused(Operation::CreateStream, body.clone(), Kind::InvalidArgument, text).await;
    world.ok(Operation::UpdateAccountSettings, commitment("ENABLED")).await;
    let much = json!({"StreamName": "s", "WarmThroughputMiBps": 10_241});
    let too_much = "WarmThroughputMiBps cannot be more than 10240.";
    world.refused(Operation::CreateStream, much, Kind::LimitExceeded, too_much).await;
    world.create(body).await;
    let seen = summary(&world).await;
    assert_eq!(seen["OpenShardCount"], 6);
    assert_eq!(seen["WarmThroughput"], json!({"TargetMiBps": 6, "CurrentMiBps": 6}));
    world.ok(Operation::UpdateAccountSettings, commitment("DISABLED")).await;
    assert!(summary(&world).await.get("WarmThroughput").is_some());
    world.clock.advance_ms(24 * HOUR_MS);
    assert!(summary(&world).await.get("WarmThroughput").is_none());
    world.create(json!({"StreamName": "t", "ShardCount": 1})).await;
    let mut body = mode("PROVISIONED");
    body["WarmThroughputMiBps"] = json!(1);
    let on_demand = "WarmThroughputMiBps can be provided only for a stream in On-Demand mode.";
    world.refused(Operation::UpdateStreamMode, body, Kind::InvalidArgument, on_demand).await;
    let mut body = mode("ON_DEMAND");
    body["WarmThroughputMiBps"] = json!(1);
    world.refused(Operation::UpdateStreamMode, body, Kind::InvalidArgument, text).await;
}

#[tokio::test]
async fn little_warm_throughput_makes_no_small_stream() {
    let world = World::new(Limits::OFF).await;
    world.ok(Operation::UpdateAccountSettings, commitment("ENABLED")).await;
    world.create(json!({"StreamName": "s", "WarmThroughputMiBps": 0})).await;
    let seen = summary(&world).await;
    assert_eq!(seen["OpenShardCount"], 4);
    assert_eq!(seen["WarmThroughput"], json!({"TargetMiBps": 0, "CurrentMiBps": 0}));
}

#[tokio::test]
async fn the_advantage_lets_an_on_demand_stream_have_fifty_consumers() {
    let world = World::new("1000".parse().unwrap()).await;
    world.create(json!({"StreamName": "s"})).await;
    let register = |n| {
        let body = json!({"StreamARN": arn("s"), "ConsumerName": format!("c-{n}")});
        world.clock.advance_ms(TRANSITION_MS);
        world.run(Operation::RegisterStreamConsumer, body)
    };
    let refused = |most| {
        let text =
            format!("Stream s under account 123456789012 cannot have more than {most} consumers.");
        Exception::new(Kind::LimitExceeded, text)
    };
    for n in 0..20 {
        register(n).await.unwrap();
    }
    assert_eq!(register(20).await, Err(refused(20)));
    world.ok(Operation::UpdateAccountSettings, commitment("ENABLED")).await;
    for n in 20..50 {
        register(n).await.unwrap();
    }
    assert_eq!(register(50).await, Err(refused(50)));
    world.ok(Operation::UpdateStreamMode, mode("PROVISIONED")).await;
    assert_eq!(register(50).await, Err(refused(20)));
}

#[tokio::test]
async fn automatic_distribution_ignores_keys_and_gives_them_back() {
    let world = World::new(Limits::OFF).await;
    world.create(json!({"StreamName": "s", "RecordDistributionStrategy": "AUTO"})).await;
    let beyond = "340282366920938463463374607431768211456";
    let entry = json!({"Data": "", "PartitionKey": "k", "ExplicitHashKey": beyond});
    let body = json!({"StreamName": "s", "Records": vec![entry; 4]});
    let answer = world.ok(Operation::PutRecords, body).await;
    let mut shards = texts(&answer["Records"], "ShardId");
    shards.sort_unstable();
    assert_eq!(shards, [0, 1, 2, 3].map(|n| format!("shardId-{n:012}")));
    let one = json!({"StreamName": "s", "Data": "", "ExplicitHashKey": beyond});
    let answer = world.ok(Operation::PutRecord, one.clone()).await;
    let iterator =
        world.iterator(answer["ShardId"].as_str().unwrap(), "TRIM_HORIZON", json!({})).await;
    let read = world.read(&iterator).await;
    assert_eq!(read["Records"][0]["PartitionKey"], "k");
    assert!(read["Records"][1].get("PartitionKey").is_none());
    let mut ordered = one;
    ordered["SequenceNumberForOrdering"] = answer["SequenceNumber"].clone();
    let text =
        "SequenceNumberForOrdering cannot be used with the record distribution strategy AUTO.";
    world.refused(Operation::PutRecord, ordered, Kind::InvalidArgument, text).await;
}

#[tokio::test]
async fn streams_that_take_turns_are_each_distributed_evenly() {
    let world = World::new(Limits::OFF).await;
    for name in ["s", "t"] {
        world.create(json!({"StreamName": name, "RecordDistributionStrategy": "AUTO"})).await;
    }
    let mut shards = Vec::new();
    for _ in 0..8 {
        for name in ["s", "t"] {
            let answer =
                world.ok(Operation::PutRecord, json!({"StreamName": name, "Data": ""})).await;
            shards.push((name, answer["ShardId"].as_str().unwrap().to_owned()));
        }
    }
    shards.sort_unstable();
    assert!(shards.chunks(2).all(|pair| pair[0] == pair[1]), "{shards:?}");
    shards.dedup();
    assert_eq!(shards.len(), 8);
}
