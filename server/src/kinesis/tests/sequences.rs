//! Random sequences of calls, pauses, restarts and power cuts against a small model of the
//! reference, beginning with an active stream `s` of two shards: every answer must be the model's, and every refusal must have its type. What fails is printed as the shortest sequence that does. `PROPTEST_CASES` sets how
//! many sequences are tried.

mod model;
mod steps;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, TestCaseError};

use super::*;
use model::Model;
use steps::Step;

/// Sequences tried unless told otherwise.
const SEQUENCES: u32 = 48;
const STEPS_MAX: usize = 60;
/// Members whose values are opaque: words in the model, tokens in the service.
const OPAQUE: &[&str] = &["NextShardIterator", "NextToken", "ShardIterator"];

/// The service and the model, in step.
struct Pair {
    world: World,
    model: Model,
    /// What the service gave for the model's words.
    tokens: BTreeMap<String, String>,
}

impl Pair {
    async fn new() -> Self {
        let world = World::new(Limits::OFF).await;
        Self { world, model: Model::new(NOW.0), tokens: BTreeMap::new() }
    }

    async fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Call(operation, body) => return self.call(operation, body).await,
            Step::CallAndWait(operation, body) => {
                self.call(operation, body).await?;
                let settled_at = Timestamp(self.model.settled_at());
                self.world.clock.advance_ms(settled_at.since(self.world.context.engine.now()));
                return Ok(());
            }
            Step::Wait(ms) => self.world.clock.advance_ms(*ms),
            Step::Restart => self.world.restart().await,
            Step::PowerCut(seed, survive) => self.world.cut_power(*seed, *survive).await,
        }
        if matches!(step, Step::Wait(_)) {
            return Ok(());
        }
        // A restart takes some time.
        self.world.clock.advance_ms(1);
        self.survey().await
    }

    /// Looks at everything there is to be seen.
    async fn survey(&mut self) -> Result<(), TestCaseError> {
        self.call("ListStreams", &json!({})).await?;
        self.call("DescribeAccountSettings", &json!({})).await?;
        for name in ["s", "t"] {
            let (named, arn) = (json!({"StreamName": name}), arn(name));
            for operation in ["DescribeStream", "DescribeStreamSummary", "ListTagsForStream"] {
                self.call(operation, &named).await?;
            }
            self.call("ListStreamConsumers", &json!({"StreamARN": arn})).await?;
            for consumer in ["c", "d"] {
                let body = json!({"ResourceARN": {"stream": name, "consumer": consumer}});
                self.call("ListTagsForResource", &body).await?;
            }
            for kind in ["AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST"] {
                let body = json!({"StreamName": name, "ShardFilter": {"Type": kind}});
                self.call("ListShards", &body).await?;
            }
            for index in 0..self.model.shards(name) {
                self.survey_records(name, index).await?;
            }
        }
        Ok(())
    }

    /// Reads a shard from its beginning, the first record by itself.
    async fn survey_records(&mut self, stream: &str, index: usize) -> Result<(), TestCaseError> {
        let shard = format!("shardId-{index:012}");
        let body = json!({
            "StreamName": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON",
        });
        self.call("GetShardIterator", &body).await?;
        for limit in [1, 10_000] {
            let body = json!({"ShardIterator": {"pick": 0}, "Limit": limit});
            self.call("GetRecords", &body).await?;
        }
        Ok(())
    }

    async fn call(&mut self, name: &str, body: &Json) -> Result<(), TestCaseError> {
        self.model.now = self.world.context.engine.now().0;
        let asked = self.filled_in("", body);
        let operation = Operation::of_target(&format!("Kinesis_20131202.{name}")).unwrap();
        let sent = self.with_tokens(&asked);
        let actual = self.world.run(operation, sent).await;
        let expected = self.model.call(name, &asked, actual.as_ref().unwrap_or(&Json::Null));
        match (expected, actual) {
            (Ok(expected), Ok(actual)) => {
                let same = self.same("", &expected, &actual);
                prop_assert!(same, "{name} {asked}\nexpected: {expected}\nactual:   {actual}");
                if name == "UpdateShardCount" {
                    self.adopt_shards(&actual).await;
                }
            }
            (Err(kind), Err(actual)) => {
                let same = kind == actual.kind.name();
                prop_assert!(same, "{name} {asked}\nexpected: {kind}\nactual:   {actual}");
            }
            (expected, actual) => {
                let actual = actual.map_err(|exception| exception.to_string());
                let message =
                    format!("{name} {asked}\nexpected: {expected:?}\nactual:   {actual:?}");
                return Err(TestCaseError::fail(message));
            }
        }
        Ok(())
    }

    /// Waits until the stream has the shards that `UpdateShardCount` chose, and tells the model.
    async fn adopt_shards(&mut self, answer: &Json) {
        if answer["CurrentShardCount"] == answer["TargetShardCount"] {
            return;
        }
        self.world.clock.advance_ms(TRANSITION_MS + 60_000);
        self.model.now = self.world.context.engine.now().0;
        let (name, target) = (&answer["StreamName"], answer["TargetShardCount"].as_u64().unwrap());
        let body = json!({"StreamName": name, "MaxResults": 1000});
        let listed = self.world.ok(Operation::ListShards, body).await;
        self.model.adopt(name.as_str().unwrap(), target, listed["Shards"].as_array().unwrap());
    }

    /// The body with something that was handed out in each open place.
    fn filled_in(&self, member: &str, value: &Json) -> Json {
        let pick = |from: usize| {
            let ago = usize::try_from(value["pick"].as_u64()?).unwrap();
            (from > 0).then(|| from - 1 - ago % from)
        };
        match (member, value) {
            ("ShardIterator", _) => match pick(self.model.iterators()) {
                Some(index) => json!(format!("iterator {index}")),
                None => json!("none"),
            },
            ("NextToken", _) => match pick(self.model.pages()) {
                Some(index) => json!(format!("page {index}")),
                None => json!("none"),
            },
            ("StartingSequenceNumber", _) => {
                let mut numbers = self.model.numbers();
                json!(numbers.nth(pick(numbers.len()).unwrap()))
            }
            (_, Json::Object(members)) if members.contains_key("ago") => {
                let at = self.model.now.saturating_sub(value["ago"].as_u64().unwrap());
                model::seconds(at)
            }
            (_, Json::Object(members)) if members.contains_key("consumer") => {
                let [stream, consumer] =
                    ["stream", "consumer"].map(|it| value[it].as_str().unwrap());
                json!(self.model.consumer_arn(stream, consumer))
            }
            (_, Json::Object(members)) => {
                let members = members.iter();
                let members =
                    members.map(|(name, value)| (name.clone(), self.filled_in(name, value)));
                Json::Object(members.collect())
            }
            _ => value.clone(),
        }
    }

    /// The body with what the service gave in place of the model's words.
    fn with_tokens(&self, body: &Json) -> Json {
        let mut body = body.clone();
        for member in OPAQUE {
            if let Some(token) = body[member].as_str().and_then(|word| self.tokens.get(word)) {
                body[member] = json!(token);
            }
        }
        body
    }

    /// Whether the service answered what the model did; keeps the tokens it gave.
    fn same(&mut self, member: &str, expected: &Json, actual: &Json) -> bool {
        match (expected, actual) {
            (Json::String(word), Json::String(token)) if OPAQUE.contains(&member) => {
                let is_new = self.tokens.values().all(|before| before != token);
                self.tokens.insert(word.clone(), token.clone());
                is_new || member == "NextToken"
            }
            (Json::Number(one), Json::Number(other)) => one.as_f64() == other.as_f64(),
            (Json::Array(one), Json::Array(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|(one, other)| self.same("", one, other))
            }
            (Json::Object(one), Json::Object(other)) => {
                one.len() == other.len()
                    && one.iter().all(|(name, value)| {
                        other.get(name).is_some_and(|other| self.same(name, value, other))
                    })
            }
            _ => expected == actual,
        }
    }
}

fn config() -> ProptestConfig {
    let told = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if told { config } else { ProptestConfig { cases: SEQUENCES, ..config } }
}

#[test]
fn the_service_does_what_the_model_of_the_reference_does() {
    proptest!(config(), |(steps in steps::sequences(STEPS_MAX))| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome: Result<(), TestCaseError> = runtime.block_on(async {
            let mut pair = Pair::new().await;
            let beginning = json!({"StreamName": "s", "ShardCount": 2});
            pair.step(&Step::CallAndWait("CreateStream", beginning)).await?;
            for step in &steps {
                pair.step(step).await?;
            }
            pair.survey().await
        });
        outcome?;
    });
}

/// Operations that sequences do not call yet.
const TO_COME: &[&str] = &[
    "DeleteResourcePolicy",
    "DescribeLimits",
    "GetResourcePolicy",
    "PutResourcePolicy",
    "StartStreamEncryption",
    "StopStreamEncryption",
    "SubscribeToShard",
    "UpdateStreamWarmThroughput",
];

#[test]
fn sequences_are_made_of_all_operations() {
    let tried = steps::operations();
    let names = Operation::ALL.iter().map(|operation| operation.name());
    let left_out: Vec<_> = names.filter(|name| !tried.contains(name)).collect();
    assert_eq!(left_out, TO_COME);
}
