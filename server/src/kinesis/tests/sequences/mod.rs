//! Random sequences of calls, pauses, restarts and power cuts against a small model of what AWS does,
//! beginning with a stream `s` of two shards and its consumer `c`: every answer must be the model's,
//! and every refusal must have its type. What fails is printed as the shortest sequence that does.
//! `PROPTEST_CASES` sets how many sequences are tried. The fuzz target `api_sequence` tries others: it
//! includes this module over a world of its own, and chooses the steps by the bytes of its input.

mod model;
mod steps;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config as ProptestConfig, RngAlgorithm, TestCaseError};
use proptest::test_runner::{TestRng, TestRunner};

use super::subscribing::Subscriber;
use super::*;
use kinelog_engine::types::{ParsedSequenceNumber, SequenceNumber};
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

    /// What each sequence begins with.
    async fn begin(&mut self) -> Result<(), TestCaseError> {
        let stream = json!({"StreamName": "s", "ShardCount": 2});
        self.step(&Step::CallAndWait("CreateStream", stream)).await?;
        let consumer = json!({"StreamARN": arn("s"), "ConsumerName": "c"});
        self.call("RegisterStreamConsumer", &consumer).await?;
        self.step(&Step::Wait(TRANSITION_MS)).await
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
        self.model.restart();
        // A restart takes some time.
        self.world.clock.advance_ms(1);
        self.survey().await
    }

    /// Looks at everything there is to be seen.
    async fn survey(&mut self) -> Result<(), TestCaseError> {
        self.call("ListStreams", &json!({})).await?;
        self.call("DescribeAccountSettings", &json!({})).await?;
        self.call("DescribeLimits", &json!({})).await?;
        for name in ["s", "t"] {
            let (named, arn) = (json!({"StreamName": name}), arn(name));
            for operation in ["DescribeStream", "DescribeStreamSummary", "ListTagsForStream"] {
                self.call(operation, &named).await?;
            }
            self.call("ListStreamConsumers", &json!({"StreamARN": arn})).await?;
            for consumer in ["c", "d"] {
                let body = json!({"ResourceARN": {"stream": name, "consumer": consumer}});
                self.call("ListTagsForResource", &body).await?;
                self.call("GetResourcePolicy", &body).await?;
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
        let mut asked = self.filled_in("", body);
        if let Some(version) = body["Policy"].as_u64() {
            asked["Policy"] = json!(policy(asked["ResourceARN"].as_str().unwrap(), version));
        }
        let operation = Operation::of_target(&format!("Kinesis_20131202.{name}")).unwrap();
        let sent = self.with_tokens(&asked);
        let (expected, actual) = if operation == Operation::SubscribeToShard {
            let expected = self.model.call(name, &asked, &Json::Null);
            let actual = self.world.try_subscribe(sent).await;
            let actual = match (&expected, actual) {
                (Ok(expected), Ok(subscriber)) => Ok(self.received(subscriber, expected).await),
                (_, actual) => actual.map(|_| Json::Null),
            };
            (expected, actual)
        } else {
            let actual = self.world.run(operation, sent).await;
            let is = actual.as_ref().unwrap_or(&Json::Null);
            (self.model.call(name, &asked, is), actual)
        };
        match (expected, actual) {
            (Ok(expected), Ok(actual)) => {
                let same = self.same("", &expected, &actual);
                prop_assert!(same, "{name} {asked}\nexpected: {expected}\nactual:   {actual}");
                if matches!(name, "UpdateShardCount" | "UpdateStreamWarmThroughput") {
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

    /// What a subscriber gets that reads until it has as many records as expected, and until the
    /// end where that is expected; the model learns where it could go on.
    async fn received(&mut self, mut subscriber: Subscriber, expected: &Json) -> Json {
        let count = expected["Records"].as_array().unwrap().len();
        let mut records = Vec::new();
        loop {
            let event = subscriber.event().await;
            let sent = event["Records"].as_array().unwrap();
            records.extend(sent.iter().cloned());
            let Some(number) = event["ContinuationSequenceNumber"].as_str() else {
                assert!(subscriber.message().await.is_none(), "the end follows");
                return json!({"Records": records, "ChildShards": event["ChildShards"]});
            };
            let Ok(ParsedSequenceNumber::V2(parsed)) = SequenceNumber::parse(number) else {
                panic!("{number} is no number of ours");
            };
            self.model.learn(number, parsed);
            let is_whole = records.len() >= count && expected.get("ChildShards").is_none();
            if is_whole || sent.is_empty() {
                assert!(subscriber.is_silent(), "there is more than {records:?}");
                return json!({"Records": records});
            }
        }
    }

    /// Waits until the stream has the shards that the service chose, and tells the model.
    async fn adopt_shards(&mut self, answer: &Json) {
        let asked = [&answer["TargetShardCount"], &answer["WarmThroughput"]["TargetMiBps"]];
        let asked = asked.into_iter().find_map(Json::as_u64).unwrap();
        self.world.clock.advance_ms(TRANSITION_MS + 60_000);
        self.model.now = self.world.context.engine.now().0;
        let name = answer["StreamName"].as_str().unwrap();
        let has = self.model.open_shards(name);
        let target = if answer.get("WarmThroughput").is_some() { asked.max(has) } else { asked };
        let body = json!({"StreamName": name, "MaxResults": 1000});
        let listed = self.world.ok(Operation::ListShards, body).await;
        self.model.adopt(name, target, listed["Shards"].as_array().unwrap());
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
            ("StartingSequenceNumber" | "SequenceNumber", _) => {
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

/// A policy for a stream or consumer; the version only makes it another one.
fn policy(arn: &str, version: u64) -> String {
    let statement = json!({
        "Sid": version.to_string(), "Effect": "Allow", "Principal": "*",
        "Action": "kinesis:DescribeStreamConsumer", "Resource": arn,
    });
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// Tries one sequence in a runtime of its own.
fn try_sequence(steps: &[Step]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut pair = Pair::new().await;
        pair.begin().await?;
        for step in steps {
            pair.step(step).await?;
        }
        pair.survey().await
    })
}

/// Tries the sequence that these bytes choose: each four of them are the seed of a step, so that a
/// change of some changes one step.
///
/// # Errors
///
/// What the service did that the model did not, after the steps that led there.
pub(super) fn try_chosen_by(bytes: &[u8]) -> Result<(), String> {
    let step = steps::step();
    let choose = |seed: &[u8]| {
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed.repeat(8));
        let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), random);
        step.new_tree(&mut runner).ok().map(|step| step.current())
    };
    let steps: Vec<_> = bytes.chunks_exact(4).take(STEPS_MAX).filter_map(choose).collect();
    try_sequence(&steps).map_err(|error| format!("{steps:#?}\n{error}"))
}

fn config() -> ProptestConfig {
    let told = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if told { config } else { ProptestConfig { cases: SEQUENCES, ..config } }
}

#[test]
fn the_service_does_what_the_model_does() {
    proptest!(config(), |(steps in steps::sequences(STEPS_MAX))| {
        try_sequence(&steps)?;
    });
}

#[test]
fn any_bytes_choose_a_sequence() {
    for bytes in [&b""[..], &[0; 16], &[0xff; 9], b"a few bytes of no meaning"] {
        assert_eq!(try_chosen_by(bytes), Ok(()));
    }
}

#[test]
fn sequences_are_made_of_all_operations() {
    let tried = steps::operations();
    let names = Operation::ALL.iter().map(|operation| operation.name());
    let left_out: Vec<_> = names.filter(|name| !tried.contains(name)).collect();
    assert_eq!(left_out, [""; 0]);
}
