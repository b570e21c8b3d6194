//! Streams that scale by themselves. The clock is moved by hand from measurement to measurement.

use kinelog_engine::types::ShardUid;

use super::super::{OnDemandPolicy, Scaler};
use super::*;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Long enough for a change of shards to be done.
const CHANGE_MS: u64 = 3_000;

/// The on-demand stream `s`, and the task that scales it.
struct Demand {
    world: World,
    scaler: Scaler,
}

impl Demand {
    async fn new(settings: &Settings) -> Self {
        let world = World::new(Limits::OFF).await;
        let (context, scaler) = Self::serve(&world, settings);
        let mut demand = Self { world: World { context, ..world }, scaler };
        demand.world.create(json!({"StreamName": "s"})).await;
        demand.measure().await;
        demand
    }

    fn serve(world: &World, settings: &Settings) -> (Context, Scaler) {
        let account = ACCOUNT.to_owned();
        let settings = Settings { account, transition_ms: 500, ..settings.clone() };
        let context = Context::new(world.context.engine.clone(), settings);
        let scaler = Scaler::new(&context);
        (context, scaler)
    }

    async fn aws() -> Self {
        Self::new(&Settings::default()).await
    }

    async fn restart(&mut self) {
        let settings = self.world.context.settings().clone();
        self.world.restart().await;
        let (context, scaler) = Self::serve(&self.world, &settings);
        (self.world.context, self.scaler) = (context, scaler);
    }

    async fn measure(&mut self) {
        self.scaler.measure().await;
    }

    /// Lets time pass with these loads of the open shards, in thousandths of what each carries.
    async fn pass(&mut self, ms: u64, loads: &[u64]) {
        let stream = self.world.stream();
        for (shard, load) in stream.open_shards().zip(loads) {
            let records = usize::try_from(load * ms / 1000).unwrap();
            self.world.context.loads().add(shard.uid, records, 0);
        }
        self.world.clock.advance_ms(ms);
        self.measure().await;
    }

    /// Minutes with the same loads.
    async fn minutes(&mut self, count: u64, loads: &[u64]) {
        for _ in 0..count {
            self.pass(MINUTE_MS, loads).await;
        }
    }

    async fn summary(&self) -> Json {
        let body = json!({"StreamName": "s"});
        let mut answer = self.world.ok(Operation::DescribeStreamSummary, body).await;
        answer["StreamDescriptionSummary"].take()
    }

    /// Open shards once a change that has begun is done.
    async fn shards(&self) -> u64 {
        self.world.clock.advance_ms(CHANGE_MS);
        let summary = self.summary().await;
        assert_eq!(summary["StreamStatus"], "ACTIVE");
        summary["OpenShardCount"].as_u64().unwrap()
    }

    /// Puts so many empty records in one second and tells how many were throttled.
    async fn put_in_a_second(&self, records: usize) -> u64 {
        let mut throttled = 0;
        for _ in 0..records / 500 {
            let record = json!({"Data": "", "PartitionKey": "k"});
            let body = json!({"StreamName": "s", "Records": vec![record; 500]});
            let answer = self.world.ok(Operation::PutRecords, body).await;
            throttled += answer["FailedRecordCount"].as_u64().unwrap();
        }
        self.world.clock.advance_ms(1000);
        throttled
    }

    async fn distribute_evenly(&self) {
        let body = json!({"StreamARN": arn("s"), "RecordDistributionStrategy": "AUTO"});
        self.world.ok(Operation::UpdateStreamRecordDistributionStrategy, body).await;
    }

    async fn commit(&self) {
        let body = json!({"MinimumThroughputBillingCommitment": {"Status": "ENABLED"}});
        self.world.ok(Operation::UpdateAccountSettings, body).await;
    }
}

#[tokio::test]
async fn a_stream_grows_to_twice_its_peak_within_a_quarter_of_an_hour() {
    let mut demand = Demand::aws().await;
    demand.pass(MINUTE_MS, &[1000, 900, 400, 200]).await;
    demand.minutes(13, &[0; 4]).await;
    assert_eq!(demand.summary().await["StreamStatus"], "ACTIVE");
    demand.pass(MINUTE_MS, &[0; 4]).await;
    let summary = demand.summary().await;
    assert_eq!(summary["StreamStatus"], "UPDATING");
    assert_eq!(summary["OpenShardCount"], 4);
    assert_eq!(demand.shards().await, 5);
}

#[tokio::test]
async fn writes_that_more_than_double_are_throttled_for_a_quarter_of_an_hour() {
    let mut demand = Demand::aws().await;
    demand.distribute_evenly().await;
    assert_eq!(demand.put_in_a_second(4000).await, 0);
    demand.measure().await;
    assert_eq!(demand.put_in_a_second(5000).await, 1000);
    demand.measure().await;
    demand.pass(14 * MINUTE_MS, &[]).await;
    assert_eq!(demand.shards().await, 4);
    demand.pass(MINUTE_MS, &[]).await;
    assert_eq!(demand.shards().await, 8);
    assert_eq!(demand.put_in_a_second(9000).await, 1000);
}

#[tokio::test]
async fn a_shard_too_loaded_for_a_quarter_of_an_hour_is_split() {
    let mut demand = Demand::aws().await;
    demand.minutes(14, &[0, 501, 500, 0]).await;
    assert_eq!(demand.summary().await["StreamStatus"], "ACTIVE");
    demand.pass(MINUTE_MS, &[0, 501, 500, 0]).await;
    assert_eq!(demand.shards().await, 5);
    let body = json!({"StreamName": "s"});
    let answer = demand.world.ok(Operation::DescribeStream, body).await;
    let shards = answer["StreamDescription"]["Shards"].as_array().unwrap();
    assert!(shards[1]["SequenceNumberRange"]["EndingSequenceNumber"].is_string());
    for child in &shards[4..] {
        assert_eq!(child["ParentShardId"], "shardId-000000000001");
    }
    let range = |shard: &Json, end: &str| -> u128 {
        shard["HashKeyRange"][end].as_str().unwrap().parse().unwrap()
    };
    let [parent, low, high] = [1, 4, 5].map(|at| &shards[at]);
    assert_eq!(range(low, "StartingHashKey"), range(parent, "StartingHashKey"));
    assert_eq!(range(low, "EndingHashKey") + 1, range(high, "StartingHashKey"));
    assert_eq!(range(high, "EndingHashKey"), range(parent, "EndingHashKey"));
    assert_eq!(range(high, "StartingHashKey") % (1 << 125), 0, "in the middle");
}

#[tokio::test]
async fn a_load_with_breaks_splits_no_shard() {
    let mut demand = Demand::aws().await;
    for _ in 0..4 {
        demand.minutes(14, &[900, 0, 0, 0]).await;
        demand.minutes(1, &[100, 0, 0, 0]).await;
    }
    assert_eq!(demand.shards().await, 4);
}

#[tokio::test]
async fn a_hot_key_gets_no_more_than_twice_the_shards_needed() {
    let mut demand = Demand::aws().await;
    for _ in 0..200 {
        let stream = demand.world.stream();
        let hottest = stream.open[0];
        let loads: Vec<_> =
            stream.open.iter().map(|&at| if at == hottest { 1000 } else { 0 }).collect();
        demand.pass(MINUTE_MS, &loads).await;
        demand.shards().await;
    }
    assert_eq!(demand.shards().await, 8);
}

#[tokio::test]
async fn a_peak_counts_for_thirty_days_also_after_a_restart() {
    let mut demand = Demand::aws().await;
    demand.pass(MINUTE_MS, &[1000; 4]).await;
    demand.pass(15 * MINUTE_MS, &[]).await;
    assert_eq!(demand.shards().await, 8);
    demand.pass(3 * DAY_MS, &[]).await;
    assert_eq!(demand.shards().await, 8);
    demand.restart().await;
    demand.pass(26 * DAY_MS, &[]).await;
    assert_eq!(demand.shards().await, 8);
    demand.pass(2 * DAY_MS, &[]).await;
    assert_eq!(demand.shards().await, 4);
}

#[tokio::test]
async fn a_stream_that_is_quiet_merges_down_and_keeps_its_lineage() {
    let mut demand = Demand::aws().await;
    demand.pass(MINUTE_MS, &[2000; 4]).await;
    demand.pass(15 * MINUTE_MS, &[]).await;
    assert_eq!(demand.shards().await, 16);
    demand.pass(32 * DAY_MS, &[200; 16]).await;
    assert_eq!(demand.shards().await, 16, "none of them is quiet");
    demand.pass(MINUTE_MS, &[100; 16]).await;
    assert_eq!(demand.shards().await, 8);
    demand.pass(MINUTE_MS, &[]).await;
    assert_eq!(demand.shards().await, 4);
    let stream = demand.world.stream();
    for shard in stream.open_shards() {
        assert_eq!(shard.parents.len(), 2);
    }
    demand.pass(MINUTE_MS, &[]).await;
    assert_eq!(demand.shards().await, 4);
}

#[tokio::test]
async fn a_stream_gives_nothing_back_on_the_day_it_grew() {
    let mut demand = Demand::aws().await;
    demand.minutes(15, &[501, 0, 0, 0]).await;
    assert_eq!(demand.shards().await, 5);
    demand.pass(DAY_MS - MINUTE_MS, &[]).await;
    assert_eq!(demand.shards().await, 5);
    demand.pass(MINUTE_MS, &[]).await;
    assert_eq!(demand.shards().await, 4);
}

#[tokio::test]
async fn on_demand_streams_share_the_ceiling_of_their_account() {
    let mut demand = Demand::aws().await;
    let elsewhere = principal("AKID", "eu-north-1");
    for name in ["s", "t"] {
        let body = json!({"StreamName": name});
        demand.world.run_as(&elsewhere, Operation::CreateStream, body).await.unwrap();
    }
    demand.pass(MINUTE_MS, &[]).await;
    let key = StreamKey { namespace: format!("{ACCOUNT}/eu-north-1"), name: "s".to_owned() };
    let stream = demand.world.context.engine.stream(&key).unwrap();
    demand.world.context.loads().add(stream.shards[0].uid, 60 * 1_000_000, 0);
    demand.pass(MINUTE_MS, &[]).await;
    demand.pass(15 * MINUTE_MS, &[]).await;
    demand.world.clock.advance_ms(10_000);
    let body = json!({"StreamName": "s"});
    let answer =
        demand.world.run_as(&elsewhere, Operation::DescribeStreamSummary, body).await.unwrap();
    assert_eq!(answer["StreamDescriptionSummary"]["OpenShardCount"], 196);
    assert_eq!(demand.shards().await, 4);
}

#[tokio::test]
async fn a_stream_grows_within_the_shard_quota() {
    let mut demand = Demand::new(&Settings { shard_quota: Some(8), ..Settings::default() }).await;
    demand.world.create(json!({"StreamName": "t", "ShardCount": 2})).await;
    demand.measure().await;
    demand.pass(MINUTE_MS, &[1000; 4]).await;
    demand.pass(15 * MINUTE_MS, &[]).await;
    assert_eq!(demand.shards().await, 6);
}

#[tokio::test]
async fn an_open_policy_throttles_no_growth_and_follows_at_once() {
    let settings = Settings { on_demand: OnDemandPolicy::Open, ..Settings::default() };
    let mut demand = Demand::new(&settings).await;
    demand.distribute_evenly().await;
    assert_eq!(demand.put_in_a_second(5000).await, 0);
    demand.measure().await;
    assert_eq!(demand.shards().await, 10);
    demand.world.create(json!({"StreamName": "t", "ShardCount": 1})).await;
    let records = vec![json!({"Data": "", "PartitionKey": "k"}); 500];
    let body = json!({"StreamName": "t", "Records": records});
    let mut throttled = 0;
    for _ in 0..4 {
        let answer = demand.world.ok(Operation::PutRecords, body.clone()).await;
        throttled += answer["FailedRecordCount"].as_u64().unwrap();
    }
    assert_eq!(throttled, 1000, "a provisioned stream has its limits");
}

#[tokio::test]
async fn a_stream_switched_to_on_demand_keeps_its_shards_for_thirty_days() {
    let mut demand = Demand::aws().await;
    demand.world.create(json!({"StreamName": "p", "ShardCount": 7})).await;
    let count = async |world: &World| {
        world.clock.advance_ms(CHANGE_MS);
        let answer = world.ok(Operation::DescribeStreamSummary, json!({"StreamName": "p"})).await;
        answer["StreamDescriptionSummary"]["OpenShardCount"].as_u64().unwrap()
    };
    let mode =
        |mode: &str| json!({"StreamARN": arn("p"), "StreamModeDetails": {"StreamMode": mode}});
    demand.world.ok(Operation::UpdateStreamMode, mode("ON_DEMAND")).await;
    demand.pass(CHANGE_MS, &[]).await;
    demand.pass(30 * DAY_MS - CHANGE_MS, &[]).await;
    assert_eq!(count(&demand.world).await, 7);
    demand.pass(DAY_MS, &[]).await;
    assert_eq!(count(&demand.world).await, 4);
    demand.world.ok(Operation::UpdateStreamMode, mode("PROVISIONED")).await;
    demand.pass(90 * DAY_MS, &[]).await;
    assert_eq!(count(&demand.world).await, 4);
}

#[tokio::test]
async fn a_switched_stream_keeps_its_shards_for_a_whole_interval_at_first() {
    let mut demand = Demand::aws().await;
    demand.world.create(json!({"StreamName": "p", "ShardCount": 3})).await;
    let body = json!({"StreamARN": arn("p"), "StreamModeDetails": {"StreamMode": "ON_DEMAND"}});
    demand.world.ok(Operation::UpdateStreamMode, body).await;
    for shards in [3, 4] {
        demand.pass(MINUTE_MS, &[]).await;
        demand.world.clock.advance_ms(CHANGE_MS);
        let body = json!({"StreamName": "p"});
        let answer = demand.world.ok(Operation::DescribeStreamSummary, body).await;
        assert_eq!(answer["StreamDescriptionSummary"]["OpenShardCount"], shards);
    }
}

#[tokio::test]
async fn a_provisioned_stream_stays_as_it_is() {
    let mut demand = Demand::aws().await;
    let body = json!({"StreamARN": arn("s"), "StreamModeDetails": {"StreamMode": "PROVISIONED"}});
    demand.world.ok(Operation::UpdateStreamMode, body).await;
    demand.world.clock.advance_ms(CHANGE_MS);
    demand.minutes(20, &[1000; 4]).await;
    assert_eq!(demand.shards().await, 4);
}

#[tokio::test]
async fn a_clock_set_back_stops_no_measurement() {
    let mut demand = Demand::aws().await;
    demand.world.clock.set(Timestamp(demand.world.context.engine.now().0 - HOUR_MS));
    demand.measure().await;
    demand.pass(MINUTE_MS, &[1000; 4]).await;
    demand.pass(15 * MINUTE_MS, &[]).await;
    demand.world.clock.advance_ms(2 * HOUR_MS);
    assert_eq!(demand.shards().await, 8);
}

#[tokio::test]
async fn a_peak_that_could_not_be_stored_counts_when_it_can_be() {
    let mut demand = Demand::aws().await;
    demand.pass(MINUTE_MS, &[1000; 4]).await;
    demand.world.disk.set_capacity(Some(0));
    demand.pass(15 * MINUTE_MS, &[]).await;
    assert_eq!(demand.shards().await, 4);
    demand.world.disk.set_capacity(None);
    demand.pass(MINUTE_MS, &[]).await;
    assert_eq!(demand.shards().await, 8);
}

#[tokio::test]
async fn a_stream_that_is_gone_is_measured_no_more() {
    let mut demand = Demand::aws().await;
    demand.pass(MINUTE_MS, &[1000; 4]).await;
    demand.world.context.loads().add(ShardUid(999), 1, 1);
    demand.world.ok(Operation::DeleteStream, json!({"StreamName": "s"})).await;
    demand.world.clock.advance_ms(15 * MINUTE_MS);
    demand.measure().await;
    let answer = demand.world.ok(Operation::ListStreams, json!({})).await;
    assert_eq!(answer["StreamNames"], json!([]));
}

mod warm_throughput {
    use super::*;

    fn update(mibps: u32) -> Json {
        json!({"StreamName": "s", "WarmThroughputMiBps": mibps})
    }

    fn answer(target: u32, current: u32) -> Json {
        json!({
            "StreamARN": arn("s"), "StreamName": "s",
            "WarmThroughput": {"TargetMiBps": target, "CurrentMiBps": current},
        })
    }

    async fn refused(demand: &Demand, body: Json, kind: Kind, text: &str) {
        demand.world.refused(Operation::UpdateStreamWarmThroughput, body, kind, text).await;
    }

    #[tokio::test]
    async fn shards_come_ahead_of_traffic() {
        let mut demand = Demand::aws().await;
        demand.commit().await;
        let seen = demand.world.ok(Operation::UpdateStreamWarmThroughput, update(21)).await;
        assert_eq!(seen, answer(21, 4));
        let summary = demand.summary().await;
        assert_eq!(summary["StreamStatus"], "UPDATING");
        assert_eq!(summary["WarmThroughput"], json!({"TargetMiBps": 21, "CurrentMiBps": 4}));
        assert_eq!(demand.shards().await, 21);
        let expected = json!({"TargetMiBps": 21, "CurrentMiBps": 21});
        assert_eq!(demand.summary().await["WarmThroughput"], expected);
        demand.pass(40 * DAY_MS, &[]).await;
        assert_eq!(demand.shards().await, 21);
    }

    #[tokio::test]
    async fn the_same_or_less_gives_back_what_is_not_needed() {
        let mut demand = Demand::aws().await;
        demand.commit().await;
        demand.world.ok(Operation::UpdateStreamWarmThroughput, update(8)).await;
        assert_eq!(demand.shards().await, 8);
        let seen = demand.world.ok(Operation::UpdateStreamWarmThroughput, update(6)).await;
        assert_eq!(seen, answer(6, 6));
        assert_eq!(demand.summary().await["StreamStatus"], "UPDATING");
        assert_eq!(demand.shards().await, 8);
        demand.pass(MINUTE_MS, &[]).await;
        assert_eq!(demand.shards().await, 6);
        demand.minutes(15, &[600, 0, 0, 0, 0, 0]).await;
        assert_eq!(demand.shards().await, 7);
        demand.pass(MINUTE_MS, &[]).await;
        assert_eq!(demand.shards().await, 7);
        demand.world.ok(Operation::UpdateStreamWarmThroughput, update(6)).await;
        assert_eq!(demand.shards().await, 7);
        demand.pass(MINUTE_MS, &[]).await;
        assert_eq!(demand.shards().await, 6);
    }

    #[tokio::test]
    async fn a_switch_to_on_demand_can_bring_it() {
        let demand = Demand::aws().await;
        demand.commit().await;
        demand.world.create(json!({"StreamName": "p", "ShardCount": 2})).await;
        let body = json!({
            "StreamARN": arn("p"), "StreamModeDetails": {"StreamMode": "ON_DEMAND"},
            "WarmThroughputMiBps": 5,
        });
        demand.world.ok(Operation::UpdateStreamMode, body).await;
        let body = json!({"StreamName": "p"});
        demand.world.clock.advance_ms(CHANGE_MS);
        let answer = demand.world.ok(Operation::DescribeStreamSummary, body).await;
        let summary = &answer["StreamDescriptionSummary"];
        assert_eq!(
            (&summary["StreamStatus"], &summary["OpenShardCount"]),
            (&json!("ACTIVE"), &json!(5))
        );
        assert_eq!(summary["WarmThroughput"], json!({"TargetMiBps": 5, "CurrentMiBps": 5}));
    }

    #[tokio::test]
    async fn a_switch_to_provisioned_ends_it() {
        let demand = Demand::aws().await;
        demand.commit().await;
        demand.world.ok(Operation::UpdateStreamWarmThroughput, update(5)).await;
        assert_eq!(demand.shards().await, 5);
        for mode in ["PROVISIONED", "ON_DEMAND"] {
            let body = json!({"StreamARN": arn("s"), "StreamModeDetails": {"StreamMode": mode}});
            demand.world.ok(Operation::UpdateStreamMode, body).await;
            assert_eq!(demand.shards().await, 5);
            assert!(demand.summary().await.get("WarmThroughput").is_none(), "{mode}");
        }
    }

    #[tokio::test]
    async fn the_mode_it_has_and_warm_throughput_is_no_switch() {
        let demand = Demand::aws().await;
        demand.commit().await;
        for mibps in [5, 6, 7] {
            let mut body =
                json!({"StreamARN": arn("s"), "StreamModeDetails": {"StreamMode": "ON_DEMAND"}});
            body["WarmThroughputMiBps"] = json!(mibps);
            demand.world.ok(Operation::UpdateStreamMode, body).await;
            assert_eq!(demand.shards().await, mibps);
        }
    }

    #[tokio::test]
    async fn it_needs_an_active_on_demand_stream_and_the_commitment() {
        let demand = Demand::aws().await;
        let text = "WarmThroughputMiBps requires the minimum throughput billing commitment of the \
                    account.";
        refused(&demand, update(8), Kind::InvalidArgument, text).await;
        demand.commit().await;
        let text = "WarmThroughputMiBps cannot be more than 10240.";
        refused(&demand, update(10_241), Kind::LimitExceeded, text).await;
        let text = "Stream t under account 123456789012 not found.";
        let missing = json!({"StreamName": "t", "WarmThroughputMiBps": 8});
        refused(&demand, missing, Kind::ResourceNotFound, text).await;
        demand.world.ok(Operation::UpdateStreamWarmThroughput, update(8)).await;
        let text = "Stream s under account 123456789012 not ACTIVE, instead in state UPDATING";
        refused(&demand, update(8), Kind::ResourceInUse, text).await;
        demand.world.clock.advance_ms(CHANGE_MS);
        let mode =
            json!({"StreamARN": arn("s"), "StreamModeDetails": {"StreamMode": "PROVISIONED"}});
        demand.world.ok(Operation::UpdateStreamMode, mode).await;
        demand.world.clock.advance_ms(CHANGE_MS);
        let text = "WarmThroughputMiBps can be provided only for a stream in On-Demand mode.";
        refused(&demand, update(8), Kind::InvalidArgument, text).await;
        let text = "Rate exceeded for stream s under account 123456789012.";
        demand.world.clock.set(Timestamp(demand.world.context.engine.now().0));
        for _ in 0..4 {
            let refused = demand.world.run(Operation::UpdateStreamWarmThroughput, update(8)).await;
            assert_eq!(refused.unwrap_err().kind, Kind::InvalidArgument);
        }
        refused(&demand, update(8), Kind::LimitExceeded, text).await;
    }

    #[tokio::test]
    async fn it_stays_within_the_shard_quota() {
        let demand = Demand::new(&Settings { shard_quota: Some(9), ..Settings::default() }).await;
        demand.commit().await;
        let text = "This request would exceed the shard limit for the account 123456789012 in \
                    us-east-1. Current shard count for the account: 4. Limit: 9. Number of \
                    additional shards that would have resulted from this request: 6. Refer to the \
                    AWS Service Limits page \
                    (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for \
                    current limits and how to request higher limits.";
        refused(&demand, update(10), Kind::LimitExceeded, text).await;
        demand.world.ok(Operation::UpdateStreamWarmThroughput, update(9)).await;
        assert_eq!(demand.shards().await, 9);
    }

    #[tokio::test]
    async fn without_the_commitment_it_counts_no_more() {
        let mut demand = Demand::aws().await;
        demand.commit().await;
        demand.world.ok(Operation::UpdateStreamWarmThroughput, update(8)).await;
        assert_eq!(demand.shards().await, 8);
        let body = json!({"MinimumThroughputBillingCommitment": {"Status": "DISABLED"}});
        demand.world.ok(Operation::UpdateAccountSettings, body).await;
        demand.pass(DAY_MS - HOUR_MS, &[]).await;
        assert_eq!(demand.shards().await, 8);
        demand.pass(HOUR_MS, &[]).await;
        assert_eq!(demand.shards().await, 4);
    }
}
