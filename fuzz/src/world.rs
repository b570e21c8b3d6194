//! A service in this process on a disk in memory, with one caller and a clock that is moved by hand.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use hyper::Request;
use kinelog::aws::Encoding;
use kinelog::aws::event_stream::{Message, take_message};
use kinelog::aws::exception::Exception;
use kinelog::aws::json;
use kinelog::aws::output::{Events, Output};
use kinelog::aws::sigv4::{self, Principal};
use kinelog::kinesis::context::{Context, Settings};
use kinelog::kinesis::{Operation, resume_transitions};
use kinelog::throttle::Limits;
use kinelog_engine::Engine;
use kinelog_engine::config::Config;
use kinelog_engine::device::clock::ManualClock;
use kinelog_engine::device::simulated::{SimulatedDisk, Survive};
use kinelog_engine::types::Timestamp;
use serde_json::Value as Json;

/// 2025-12-03 18:48:54.250 UTC.
pub(crate) const NOW: Timestamp = Timestamp(1_764_787_734_250);
pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "us-east-1";
/// Longer than any wait: only the moved clock completes transitions.
pub(crate) const TRANSITION_MS: u64 = 3_600_000;

pub(crate) struct World {
    pub(crate) context: Context,
    pub(crate) clock: Arc<ManualClock>,
    disk: SimulatedDisk,
    principal: Principal,
}

impl World {
    pub(crate) async fn new(limits: Limits) -> Self {
        let account = ACCOUNT.to_owned();
        let settings =
            Settings { account, transition_ms: TRANSITION_MS, limits, ..Settings::default() };
        let (clock, disk) = (Arc::new(ManualClock::new(NOW)), SimulatedDisk::new(1));
        let context = Self::open(&disk, &clock, settings).await;
        Self { context, clock, disk, principal: principal() }
    }

    async fn open(disk: &SimulatedDisk, clock: &Arc<ManualClock>, settings: Settings) -> Context {
        let clock = Arc::clone(clock);
        let config = Config { log_file_bytes: 1 << 20, ..Config::new("/store") };
        let opened = Engine::open(config, disk.device(clock)).await;
        Context::new(opened.expect("a disk without faults keeps its store"), settings)
    }

    /// Closes the store and opens it again.
    pub(crate) async fn restart(&mut self) {
        self.context.engine.close().await;
        self.reopen().await;
    }

    /// Cuts the power and opens what is left. `seed` must not be 1, which the first disk has.
    pub(crate) async fn cut_power(&mut self, seed: u64, survive: Survive) {
        self.disk = self.disk.power_cut(seed, survive);
        self.reopen().await;
    }

    async fn reopen(&mut self) {
        let settings = self.context.settings().clone();
        self.context = Self::open(&self.disk, &self.clock, settings).await;
        resume_transitions(&self.context);
    }

    async fn output(&self, operation: Operation, body: &Json) -> Result<Output, Exception> {
        let body = body.to_string();
        let value = json::parse(body.as_bytes()).expect("what is printed is JSON");
        operation.run(&self.context, &self.principal, Encoding::Json, value).await
    }

    pub(crate) async fn run(&self, operation: Operation, body: Json) -> Result<Json, Exception> {
        match self.output(operation, &body).await? {
            Output::Whole(body) if !body.has_remaining() => Ok(Json::Null),
            Output::Whole(body) => {
                Ok(serde_json::from_reader(body.reader()).expect("an answer is JSON"))
            }
            Output::Events(_) | Output::Cut => panic!("{operation:?} has no whole body"),
        }
    }

    /// Runs what must succeed.
    pub(crate) async fn ok(&self, operation: Operation, body: Json) -> Json {
        self.run(operation, body).await.expect("nothing stands against it")
    }

    /// Calls `SubscribeToShard`; the first message is read.
    pub(crate) async fn try_subscribe(&self, body: Json) -> Result<Subscriber, Exception> {
        let answer = self.output(Operation::SubscribeToShard, &body).await?;
        let Output::Events(events) = answer else { panic!("a whole body") };
        let mut subscriber = Subscriber(events);
        let first = subscriber.message().await.expect("a stream has a first message");
        assert_eq!(first.header(":event-type"), Some("initial-response"));
        Ok(subscriber)
    }
}

/// The reader of one subscription.
pub(crate) struct Subscriber(Events);

impl Subscriber {
    /// True when there is nothing to read now.
    pub(crate) fn is_silent(&mut self) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        self.0.poll_next(&mut context).is_pending()
    }

    /// The next message; `None` at the end.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        let pieces = self.0.next().await?;
        let mut bytes = Bytes::from(pieces.concat());
        let message = take_message(&mut bytes).expect("the server's messages are sound");
        assert!(bytes.is_empty(), "one piece is one message");
        message
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Json {
        let message = self.message().await.expect("the stream goes on");
        assert_eq!(message.header(":event-type"), Some("SubscribeToShardEvent"), "{message:?}");
        serde_json::from_slice(&message.payload).expect("an event is JSON")
    }
}

/// A caller as the front end lets it through.
fn principal() -> Principal {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKID/20251203/{REGION}/kinesis/aws4_request, \
         SignedHeaders=host, Signature=00"
    );
    let head = Request::post("/")
        .header("authorization", authorization)
        .header("x-amz-date", "20251203T184854Z")
        .body(())
        .expect("the head is sound");
    let principal = sigv4::authenticate(&head.into_parts().0, NOW.seconds(), 300);
    principal.expect("the head is signed")
}

pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}")
}
