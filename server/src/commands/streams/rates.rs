//! Rates of the moment, from the metrics a Kinelog tells on its admin address: two looks at its
//! counters, a second apart. Where that is not to be had there are no rates.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Uri;
use hyper::http::uri::Scheme;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::Instant;

use super::table;
use crate::client::endpoint::Endpoint;
use crate::commands::figures;
use crate::limits;

/// Time between the two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time an answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// Endpoint whose metrics are looked for without being told where.
const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:4567";
const DEFAULT_METRICS: &str = "http://127.0.0.1:4568/metrics";
const STREAM_PREFIX: &str = "aws_kinesis_";
const SHARD_PREFIX: &str = "aws_kinesis_shard_";

/// Where metrics are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MetricsUrl(Uri);

impl FromStr for MetricsUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "the metrics are at a URL such as http://127.0.0.1:4568/metrics";
        let uri: Uri = text.parse().map_err(|_| FORM)?;
        if uri.scheme() == Some(&Scheme::HTTP) { Ok(Self(uri)) } else { Err(FORM) }
    }
}

impl MetricsUrl {
    /// Where they are by default, if the endpoint is where it is by default.
    pub(super) fn beside(endpoint: &Endpoint) -> Option<Self> {
        let is_default = endpoint.to_string() == DEFAULT_ENDPOINT;
        is_default.then(|| DEFAULT_METRICS.parse().ok()).flatten()
    }
}

/// Records and bytes in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Flow {
    pub(super) records: f64,
    pub(super) bytes: f64,
}

/// Those of one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ShardRates {
    pub(super) incoming: Flow,
    pub(super) outgoing: Flow,
}

/// Those of a stream and of its shards.
#[derive(Debug, PartialEq)]
pub(super) struct Rates {
    stream: ShardRates,
    /// Empty where the stream does not have its shards measured.
    shards: HashMap<String, ShardRates>,
}

impl Rates {
    /// True if those of shards are known.
    pub(super) fn knows_shards(&self) -> bool {
        !self.shards.is_empty()
    }

    pub(super) fn of_shard(&self, shard: &str) -> Option<&ShardRates> {
        self.shards.get(shard)
    }

    /// Lines about the stream.
    pub(super) fn of_stream(&self) -> String {
        let shown = |flow: Flow| {
            format!("{} records/s, {}/s", figures::rate(flow.records), figures::amount(flow.bytes))
        };
        table::fact("In", &shown(self.stream.incoming))
            + &table::fact("Out", &shown(self.stream.outgoing))
    }
}

/// Looks twice.
pub(super) async fn measure(url: &MetricsUrl, stream_arn: &str) -> Option<Rates> {
    let before = look(url).await?;
    let since = Instant::now();
    tokio::time::sleep(INTERVAL).await;
    let after = look(url).await?;
    between(&before, &after, since.elapsed(), stream_arn)
}

async fn look(url: &MetricsUrl) -> Option<String> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let look = async {
        let answer = client.get(url.0.clone()).await.ok()?;
        let is_good = answer.status().is_success();
        let body = Limited::new(answer.into_body(), limits::CLIENT_ANSWER_BYTES_MAX);
        let body = body.collect().await.ok()?.to_bytes();
        is_good.then(|| String::from_utf8_lossy(&body).into_owned())
    };
    tokio::time::timeout(ANSWER_TIME_MAX, look).await.ok().flatten()
}

/// What two looks tell; nothing if the stream is in neither.
fn between(before: &str, after: &str, time: Duration, stream_arn: &str) -> Option<Rates> {
    let mut parts = stream_arn.splitn(6, ':').skip(3);
    let (region, account) = (parts.next()?, parts.next()?);
    let stream = parts.next()?.strip_prefix("stream/")?;
    let wanted = [("StreamName", stream), ("region", region), ("account", account)];
    let mut rates = Rates { stream: ShardRates::default(), shards: HashMap::new() };
    let mut is_told = false;
    let before: HashMap<_, _> = before.lines().filter_map(sample).collect();
    for (series, value) in after.lines().filter_map(sample) {
        if wanted.iter().any(|(name, value)| label(series, name) != Some(value)) {
            continue;
        }
        let name = series.split('{').next().unwrap_or_default();
        let (name, of) = match (name.strip_prefix(SHARD_PREFIX), label(series, "ShardId")) {
            (Some(name), Some(shard)) => (name, rates.shards.entry(shard.to_owned()).or_default()),
            _ => (name.strip_prefix(STREAM_PREFIX).unwrap_or_default(), &mut rates.stream),
        };
        let rate = match name {
            "IncomingRecords" => &mut of.incoming.records,
            "IncomingBytes" => &mut of.incoming.bytes,
            "OutgoingRecords" | "GetRecords_Records" | "SubscribeToShardEvent_Records" => {
                &mut of.outgoing.records
            }
            "OutgoingBytes" | "GetRecords_Bytes" | "SubscribeToShardEvent_Bytes" => {
                &mut of.outgoing.bytes
            }
            _ => continue,
        };
        is_told = true;
        let more = value - before.get(series).copied().unwrap_or_default();
        // Counters start anew with the server.
        *rate += more.max(0.0) / time.as_secs_f64();
    }
    is_told.then_some(rates)
}

/// A line `name{labels} value`.
fn sample(line: &str) -> Option<(&str, f64)> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    Some((series, value.parse().ok()?))
}

/// The value of a label. Names of streams and shards need no escapes.
fn label<'s>(series: &'s str, name: &str) -> Option<&'s str> {
    let (_, labels) = series.split_once('{')?;
    let mut labels = labels.trim_end_matches('}').split(',');
    labels.find_map(|label| {
        let value = label.strip_prefix(name)?.strip_prefix("=\"")?;
        value.strip_suffix('"')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:kinesis:r:0:stream/s";

    fn text(incoming: u64, read: u64, pushed: u64, of_shard: u64) -> String {
        format!(
            "# TYPE aws_kinesis_IncomingBytes counter\n\
             aws_kinesis_IncomingBytes{{account=\"0\",region=\"r\",StreamName=\"s\"}} {incoming}\n\
             aws_kinesis_IncomingBytes{{account=\"0\",region=\"r\",StreamName=\"t\"}} 999\n\
             aws_kinesis_IncomingBytes{{account=\"0\",region=\"q\",StreamName=\"s\"}} 999\n\
             aws_kinesis_GetRecords_Records{{account=\"0\",region=\"r\",StreamName=\"s\"}} {read}\n\
             aws_kinesis_SubscribeToShardEvent_Records{{account=\"0\",region=\"r\",\
             StreamName=\"s\",ConsumerName=\"c\"}} {pushed}\n\
             aws_kinesis_shard_IncomingRecords{{account=\"0\",region=\"r\",StreamName=\"s\",\
             ShardId=\"shardId-000000000000\"}} {of_shard}\n"
        )
    }

    #[test]
    fn rates_are_what_counters_gained() {
        let time = Duration::from_secs(2);
        let rates = between(&text(10, 0, 5, 7), &text(110, 40, 9, 9), time, ARN).unwrap();
        let incoming = Flow { records: 0.0, bytes: 50.0 };
        let outgoing = Flow { records: 22.0, bytes: 0.0 };
        assert_eq!(rates.stream, ShardRates { incoming, outgoing });
        let shard = rates.of_shard("shardId-000000000000").unwrap();
        assert_eq!(shard.incoming, Flow { records: 1.0, bytes: 0.0 });
        let lines = "In          0 records/s, 50 B/s\nOut         22 records/s, 0 B/s\n";
        assert_eq!(rates.of_stream(), lines);
        assert!(rates.knows_shards());
    }

    #[test]
    fn streams_that_are_not_told_have_no_rates_and_restarts_count_nothing() {
        let time = Duration::from_secs(1);
        assert_eq!(between("", &text(1, 1, 1, 1), time, &ARN.replace("/s", "/t2")), None);
        assert_eq!(between("", "<html>\nno metrics\n", time, ARN), None);
        let rates = between(&text(9, 9, 9, 9), &text(0, 0, 0, 0), time, ARN).unwrap();
        assert_eq!(rates.stream, ShardRates::default());
    }

    #[test]
    fn metrics_are_looked_for_beside_the_default_endpoint_only() {
        let beside = |url: &str| MetricsUrl::beside(&url.parse().unwrap());
        assert_eq!(beside("http://127.0.0.1:4567"), "http://127.0.0.1:4568/metrics".parse().ok());
        assert_eq!(beside("https://kinesis.eu-west-1.amazonaws.com"), None);
        assert!("https://a/metrics".parse::<MetricsUrl>().is_err());
    }
}
