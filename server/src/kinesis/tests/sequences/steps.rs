//! Random steps: calls of all operations, pauses, restarts and power cuts. Bodies are chosen from
//! few names and numbers, so that calls meet; `{"pick": n}` stands for what was handed out `n` times
//! ago.

use kinelog_engine::device::simulated::Survive;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use serde_json::{Map, Value as Json, json};

use super::super::{TRANSITION_MS, arn};

#[derive(Clone)]
pub(super) enum Step {
    Call(&'static str, Json),
    /// A call, and then a wait until the stream it was about has left the state it was put in.
    CallAndWait(&'static str, Json),
    /// Milliseconds go by.
    Wait(u64),
    /// The store is closed and opened again.
    Restart,
    /// The power goes, with this seed for what is left of what was not synced.
    PowerCut(u64, Survive),
}

/// As one would write it down.
impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Call(operation, body) => write!(f, "{operation} {body}"),
            Self::CallAndWait(operation, body) => write!(f, "{operation} {body}, and wait"),
            Self::Wait(ms) => write!(f, "wait {ms} ms"),
            Self::Restart => write!(f, "restart"),
            Self::PowerCut(seed, survive) => write!(f, "power cut {seed} {survive:?}"),
        }
    }
}

/// A value to choose, by the member it is for.
type Choice = BoxedStrategy<Json>;

fn one_of(values: &[Json]) -> Choice {
    select(values.to_vec()).boxed()
}

/// One of what was handed out, mostly of the last.
fn pick() -> Choice {
    let ago = prop_oneof![5 => 0..3_u64, 2 => 3..12_u64, 1 => 12..200_u64];
    ago.prop_map(|n| json!({"pick": n})).boxed()
}

/// A body with these members, each of which may be left out where it ends in `?`.
fn body(members: Vec<(&'static str, Choice)>) -> Choice {
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, choice)| match name.strip_suffix('?') {
            Some(name) => {
                let absent = Just(Json::Null).boxed();
                (Just(name), prop_oneof![absent, choice].boxed())
            }
            None => (Just(name), choice),
        })
        .collect();
    let whole = |members: Vec<(&str, Json)>| {
        let given = members.into_iter().filter(|(_, value)| !value.is_null());
        Json::Object(given.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
    };
    members.prop_map(whole).boxed()
}

const STREAMS: [&str; 6] = ["s", "s", "s", "s", "s", "t"];

fn stream_name() -> Choice {
    one_of(&STREAMS.map(|name| json!(name)))
}

fn stream_arn() -> Choice {
    one_of(&STREAMS.map(|name| json!(arn(name))))
}

/// The stream by name or by ARN, and these members.
fn about_stream(members: &[(&'static str, Choice)]) -> Choice {
    let by = |name, choice| body([members, &[(name, choice)]].concat());
    prop_oneof![by("StreamName", stream_name()), by("StreamARN", stream_arn())].boxed()
}

/// A stream or a consumer by its ARN.
fn resource() -> Choice {
    prop_oneof![stream_arn(), consumer_arn()].boxed()
}

fn consumer_name() -> Choice {
    one_of(&[json!("c"), json!("d"), json!("d")])
}

fn consumer_arn() -> Choice {
    let names = (select(STREAMS.to_vec()), select(vec!["c", "c", "c", "d"]));
    names.prop_map(|(stream, consumer)| json!({"stream": stream, "consumer": consumer})).boxed()
}

fn shard() -> Choice {
    let index = prop_oneof![3 => 0..3_u64, 1 => 3..8_u64];
    index.prop_map(|index| json!(format!("shardId-{index:012}"))).boxed()
}

fn tags() -> Choice {
    let tags = prop::collection::btree_map("[ab]", "[xy]?", 1..3);
    tags.prop_map(|tags| json!(tags)).boxed()
}

fn tag_keys() -> Choice {
    one_of(&[json!(["a"]), json!(["b", "nothing"])])
}

fn metrics() -> Choice {
    one_of(&[json!(["IncomingBytes"]), json!(["OutgoingRecords", "IncomingBytes"]), json!(["ALL"])])
}

fn mode() -> Choice {
    one_of(&["ON_DEMAND", "PROVISIONED"].map(|mode| json!({"StreamMode": mode})))
}

fn strategy() -> Choice {
    one_of(&[json!("AUTO"), json!("USER_PARTITION_KEY")])
}

fn hash_key() -> Choice {
    prop_oneof![
        4 => (1..8_u128).prop_map(|eighth| json!((eighth << 125).to_string())),
        4 => any::<u128>().prop_map(|key| json!(key.to_string())),
        2 => one_of(&[json!("0"), json!(u128::MAX.to_string())]),
        1 => Just(json!("340282366920938463463374607431768211456")),
    ]
    .boxed()
}

/// A time in seconds, given as how many of these ago.
fn time() -> Choice {
    let ago = [0, 1, 1000, 2000, TRANSITION_MS, 24 * TRANSITION_MS, 30 * TRANSITION_MS];
    one_of(&ago.map(|ms| json!({"ago": ms})))
}

fn record() -> Vec<(&'static str, Choice)> {
    let keys = one_of(&["a", "pk", "\u{fc}", "\u{1f600}"].map(|key| json!(key)));
    let data = one_of(&[json!(""), json!("YQ=="), json!("8J+YgA==")]);
    vec![("PartitionKey", keys), ("Data", data), ("ExplicitHashKey?", hash_key())]
}

fn shard_filter() -> Choice {
    let plain = ["AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST"];
    let plain = one_of(&plain.map(|kind| json!(kind)));
    let timed = one_of(&[json!("AT_TIMESTAMP"), json!("FROM_TIMESTAMP")]);
    prop_oneof![
        body(vec![("Type", plain)]),
        body(vec![("Type", timed), ("Timestamp", time())]),
        body(vec![("Type", one_of(&[json!("AFTER_SHARD_ID")])), ("ShardId", shard())]),
    ]
    .boxed()
}

/// Calls of one operation, and how often they come.
type Calls = Vec<(u32, &'static str, Choice)>;

fn few() -> Choice {
    (1..4_u64).prop_map(|n| json!(n)).boxed()
}

fn next_page() -> Choice {
    body(vec![("NextToken", pick())])
}

fn calls_about_records() -> Calls {
    let records = prop::collection::vec(body(record()), 1..5).prop_map(|it| json!(it)).boxed();
    let words = |words: &[&str]| one_of(&words.iter().map(|word| json!(word)).collect::<Vec<_>>());
    let iterator = |kinds: &[&str], more: &[(&'static str, Choice)]| {
        let kind = ("ShardIteratorType", words(kinds));
        about_stream(&[&[("ShardId", shard()), kind], more].concat())
    };
    let by_number = ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"];
    let iterators = prop_oneof![
        iterator(&["TRIM_HORIZON", "LATEST"], &[]),
        iterator(&by_number, &[("StartingSequenceNumber", pick())]),
        iterator(&["AT_TIMESTAMP"], &[("Timestamp", time())]),
    ];
    vec![
        (20, "PutRecord", about_stream(&record())),
        (10, "PutRecords", about_stream(&[("Records", records)])),
        (20, "GetShardIterator", iterators.boxed()),
        (30, "GetRecords", body(vec![("ShardIterator", pick()), ("Limit?", few())])),
    ]
}

fn calls_about_streams() -> Calls {
    let enforce = one_of(&[json!(true), json!(false)]);
    let creation = body(vec![
        ("StreamName", stream_name()),
        ("ShardCount?", few()),
        ("StreamModeDetails?", mode()),
        ("Tags?", tags()),
        ("RecordDistributionStrategy?", strategy()),
    ]);
    let shards_page = [("Limit?", few()), ("ExclusiveStartShardId?", shard())];
    let streams_page = vec![("Limit?", few()), ("ExclusiveStartStreamName?", stream_name())];
    vec![
        (9, "CreateStream", creation),
        (2, "DeleteStream", about_stream(&[("EnforceConsumerDeletion?", enforce)])),
        (6, "DescribeStream", about_stream(&shards_page)),
        (6, "DescribeStreamSummary", about_stream(&[])),
        (4, "ListStreams", body(streams_page)),
        (1, "ListStreams", next_page()),
    ]
}

fn calls_about_shards() -> Calls {
    let first_page = about_stream(&[
        ("MaxResults?", few()),
        ("ExclusiveStartShardId?", shard()),
        ("ShardFilter?", shard_filter()),
    ]);
    let split = [("ShardToSplit", shard()), ("NewStartingHashKey", hash_key())];
    let neighbours = (0..6_u64).prop_map(|index| {
        let id = |index| format!("shardId-{index:012}");
        json!({"ShardToMerge": id(index), "AdjacentShardToMerge": id(index + 1)})
    });
    let merge = (stream_name(), neighbours).prop_map(|(name, mut body)| {
        body["StreamName"] = name;
        body
    });
    let any_two = [("ShardToMerge", shard()), ("AdjacentShardToMerge", shard())];
    let target = (1..7_u64).prop_map(|n| json!(n)).boxed();
    let uniform = one_of(&[json!("UNIFORM_SCALING")]);
    let count = [("TargetShardCount", target), ("ScalingType", uniform)];
    vec![
        (8, "ListShards", first_page),
        (2, "ListShards", next_page()),
        (12, "SplitShard", about_stream(&split)),
        (8, "MergeShards", merge.boxed()),
        (2, "MergeShards", about_stream(&any_two)),
        (2, "UpdateShardCount", about_stream(&count)),
    ]
}

fn calls_about_consumers() -> Calls {
    let arn = || ("StreamARN", stream_arn());
    let consumer = || {
        let by_name = body(vec![arn(), ("ConsumerName", consumer_name())]);
        prop_oneof![by_name, body(vec![("ConsumerARN", consumer_arn())])].boxed()
    };
    let registration = vec![arn(), ("ConsumerName", consumer_name()), ("Tags?", tags())];
    let kinds = ["TRIM_HORIZON", "LATEST"].map(|kind| json!({"Type": kind}));
    let by_number = |kind: &'static str| {
        pick().prop_map(move |it| json!({"Type": kind, "SequenceNumber": it})).boxed()
    };
    let by_time = time().prop_map(|it| json!({"Type": "AT_TIMESTAMP", "Timestamp": it}));
    let position = prop_oneof![
        one_of(&kinds),
        by_number("AT_SEQUENCE_NUMBER"),
        by_number("AFTER_SEQUENCE_NUMBER"),
        by_time,
    ];
    let subscription = vec![
        ("ConsumerARN", consumer_arn()),
        ("ShardId", shard()),
        ("StartingPosition", position.boxed()),
    ];
    vec![
        (20, "SubscribeToShard", body(subscription)),
        (4, "RegisterStreamConsumer", body(registration)),
        (3, "DescribeStreamConsumer", consumer()),
        (1, "DeregisterStreamConsumer", consumer()),
        (2, "ListStreamConsumers", body(vec![arn(), ("MaxResults?", few())])),
        (1, "ListStreamConsumers", body(vec![arn(), ("NextToken", pick())])),
    ]
}

fn calls_about_metadata() -> Calls {
    let after = one_of(&[json!("a")]);
    let page = [("Limit?", few()), ("ExclusiveStartTagKey?", after)];
    let of_resource = |more| body([vec![("ResourceARN", resource())], more].concat());
    vec![
        (2, "AddTagsToStream", about_stream(&[("Tags", tags())])),
        (1, "RemoveTagsFromStream", about_stream(&[("TagKeys", tag_keys())])),
        (2, "ListTagsForStream", about_stream(&page)),
        (2, "TagResource", of_resource(vec![("Tags", tags())])),
        (1, "UntagResource", of_resource(vec![("TagKeys", tag_keys())])),
        (2, "ListTagsForResource", of_resource(vec![])),
        (2, "PutResourcePolicy", of_resource(vec![("Policy", few())])),
        (1, "GetResourcePolicy", of_resource(vec![])),
        (1, "DeleteResourcePolicy", of_resource(vec![])),
    ]
}

fn calls_about_settings() -> Calls {
    let hours = || {
        let hours = one_of(&[23, 24, 25, 48, 8760, 8761].map(|hours| json!(hours)));
        about_stream(&[("RetentionPeriodHours", hours)])
    };
    let metrics = || about_stream(&[("ShardLevelMetrics", metrics())]);
    let commitment =
        one_of(&["ENABLED", "ENABLED", "DISABLED"].map(|status| json!({"Status": status})));
    let of_arn = |member, choice| body(vec![("StreamARN", stream_arn()), (member, choice)]);
    let strategies = of_arn("RecordDistributionStrategy", strategy());
    let key = || {
        let keys = one_of(&[json!("alias/a"), json!("alias/b")]);
        about_stream(&[("EncryptionType", one_of(&[json!("KMS")])), ("KeyId", keys)])
    };
    let warm = about_stream(&[("WarmThroughputMiBps", few())]);
    vec![
        (2, "IncreaseStreamRetentionPeriod", hours()),
        (2, "DecreaseStreamRetentionPeriod", hours()),
        (2, "EnableEnhancedMonitoring", metrics()),
        (1, "DisableEnhancedMonitoring", metrics()),
        (
            1,
            "UpdateMaxRecordSize",
            of_arn("MaxRecordSizeInKiB", one_of(&[json!(1024), json!(2048)])),
        ),
        (2, "UpdateStreamMode", of_arn("StreamModeDetails", mode())),
        (2, "UpdateStreamRecordDistributionStrategy", strategies),
        (2, "StartStreamEncryption", key()),
        (1, "StopStreamEncryption", key()),
        (3, "UpdateStreamWarmThroughput", warm),
        (1, "DescribeLimits", body(vec![])),
        (1, "DescribeAccountSettings", body(vec![])),
        (
            3,
            "UpdateAccountSettings",
            body(vec![("MinimumThroughputBillingCommitment", commitment)]),
        ),
    ]
}

fn calls() -> Calls {
    [
        calls_about_records(),
        calls_about_streams(),
        calls_about_shards(),
        calls_about_consumers(),
        calls_about_metadata(),
        calls_about_settings(),
    ]
    .concat()
}

/// Names of the operations that sequences are made of.
pub(super) fn operations() -> Vec<&'static str> {
    calls().into_iter().map(|(_, operation, _)| operation).collect()
}

/// Up to so many steps.
pub(super) fn sequences(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..most)
}

/// One step.
pub(super) fn step() -> impl Strategy<Value = Step> {
    let call = |(weight, operation, body): (u32, &'static str, Choice)| {
        let step = (any::<bool>(), body).prop_map(move |(and_wait, body)| {
            if and_wait { Step::CallAndWait(operation, body) } else { Step::Call(operation, body) }
        });
        (weight, step.boxed())
    };
    let mut steps: Vec<_> = calls().into_iter().map(call).collect();
    let day = 24 * TRANSITION_MS;
    let waits = [1, 500, 999, 1000, 2000, 300_000, 300_001, TRANSITION_MS, day, day + 1];
    let survive = [Survive::None, Survive::All, Survive::Random, Survive::Torn];
    steps.push((14, select(waits.to_vec()).prop_map(Step::Wait).boxed()));
    steps.push((3, Just(Step::Restart).boxed()));
    // The seed of the first disk is 1.
    let cut = (2..u64::MAX, select(survive.to_vec()));
    steps.push((3, cut.prop_map(|(seed, survive)| Step::PowerCut(seed, survive)).boxed()));
    Union::new_weighted(steps)
}
