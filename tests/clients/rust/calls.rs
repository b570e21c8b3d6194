//! What several steps do: clients, waiting, shards, and refusals by type.

use std::env::var;
use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{Credentials, Region, SharedHttpClient};
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{HashKeyRange, Shard, StreamDescriptionSummary, StreamStatus};

pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const QUARTER: u128 = 1 << 126;
pub(crate) const HALF: u128 = 1 << 127;
pub(crate) const MOST: u128 = u128::MAX;

/// Pause between two looks at something that changes by itself.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);
/// How long the waiters of the SDK may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The client and its variants.
pub(crate) struct Clients {
    pub(crate) kinesis: Client,
    pub(crate) without_retries: Client,
}

impl Clients {
    pub(crate) fn from_environment() -> Self {
        Self { kinesis: clear(15), without_retries: clear(1) }
    }
}

fn clear(attempts: u32) -> Client {
    let url = var("AWS_ENDPOINT_URL_KINESIS").unwrap();
    let http = aws_smithy_http_client::Builder::new().build_http();
    connect(&url, http, attempts, &var("AWS_REGION").unwrap(), &var("AWS_ACCESS_KEY_ID").unwrap())
}

pub(crate) fn connect(
    url: &str,
    http: SharedHttpClient,
    attempts: u32,
    region: &str,
    access_key: &str,
) -> Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version_latest()
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new(access_key, "secret", None, None, "scenario"))
        .endpoint_url(url)
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(attempts))
        .build();
    Client::from_conf(config)
}

/// The call was refused with the exception that `is_typed` knows, and that text unless `None`.
pub(crate) fn refused<T, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E, HttpResponse>>,
    is_typed: impl FnOnce(&E) -> bool,
    text: Option<&str>,
) {
    let Err(error) = result else { panic!("not refused") };
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
    let error = error.as_service_error().unwrap();
    assert!(is_typed(error), "{error:?}");
    assert!(text.is_none() || error.message() == text, "{error:?} does not say {text:?}");
}

pub(crate) fn arn(stream: &str) -> String {
    format!("arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/{stream}")
}

pub(crate) fn shard_id(number: usize) -> String {
    format!("shardId-{number:012}")
}

pub(crate) fn shard_ids(numbers: &[usize]) -> Vec<String> {
    numbers.iter().map(|number| shard_id(*number)).collect()
}

impl Clients {
    pub(crate) async fn create(&self, stream: &str, shards: i32) {
        let call = self.kinesis.create_stream().stream_name(stream).shard_count(shards);
        call.send().await.unwrap();
        self.until_active(stream).await;
    }

    pub(crate) async fn summary(&self, stream: &str) -> StreamDescriptionSummary {
        let call = self.kinesis.describe_stream_summary().stream_name(stream);
        call.send().await.unwrap().stream_description_summary.unwrap()
    }

    pub(crate) async fn until_active(&self, stream: &str) -> StreamDescriptionSummary {
        loop {
            let found = self.summary(stream).await;
            if found.stream_status == StreamStatus::Active {
                return found;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(crate) async fn shards(&self, stream: &str) -> Vec<Shard> {
        self.kinesis.list_shards().stream_name(stream).send().await.unwrap().shards.unwrap()
    }

    /// Ids of shards, page by page.
    pub(crate) async fn shard_pages(&self, stream: &str, size: i32) -> Vec<Vec<String>> {
        let first = self.kinesis.list_shards().stream_name(stream).max_results(size);
        let mut answer = first.send().await.unwrap();
        let mut pages = Vec::new();
        loop {
            pages.push(ids(&answer.shards.unwrap()));
            let Some(token) = answer.next_token else { return pages };
            let next = self.kinesis.list_shards().next_token(token).max_results(size);
            answer = next.send().await.unwrap();
        }
    }
}

pub(crate) fn ids(shards: &[Shard]) -> Vec<String> {
    shards.iter().map(|shard| shard.shard_id.clone()).collect()
}

pub(crate) fn is_closed(shard: &Shard) -> bool {
    shard.sequence_number_range.as_ref().unwrap().ending_sequence_number.is_some()
}

/// First and last key.
pub(crate) fn span(range: Option<&HashKeyRange>) -> (u128, u128) {
    let range = range.unwrap();
    (range.starting_hash_key.parse().unwrap(), range.ending_hash_key.parse().unwrap())
}

/// The shards cover the key space without hole or overlap.
pub(crate) fn assert_tiles(shards: &[Shard]) {
    let mut spans: Vec<_> = shards.iter().map(|it| span(it.hash_key_range.as_ref())).collect();
    spans.sort_unstable();
    assert_eq!((spans[0].0, spans[spans.len() - 1].1), (0, MOST));
    assert!(spans.is_sorted_by(|before, after| before.1 + 1 == after.0), "{spans:?}");
}

#[expect(clippy::disallowed_methods, reason = "it is this clock that the server has to agree with")]
pub(crate) fn assert_recent(time: DateTime) {
    let now = DateTime::from(SystemTime::now()).secs();
    assert!(now.abs_diff(time.secs()) < 3600, "{time} is not now");
}
