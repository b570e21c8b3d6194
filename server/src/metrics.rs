//! Counters of the server and their export in the text format of Prometheus.

pub mod cloudwatch;
pub mod traffic;

use hyper::StatusCode;
use kinelog_engine::metrics::HistogramValues;
use prometheus::core::Collector;
use prometheus::proto;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

/// Bounds of the duration histogram, in seconds: from a cache hit to a stalled disk.
const DURATION_BUCKETS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// The counters of one server.
#[derive(Debug)]
pub struct Metrics {
    /// Connections open now.
    pub connections: IntGauge,
    /// Connections closed at once because there were too many.
    pub refused_connections: IntCounter,
    /// TLS handshakes under way.
    pub handshakes: IntGauge,
    /// TLS handshakes that came to nothing.
    pub failed_handshakes: IntCounter,
    /// Bytes that request bodies and unread answers hold in memory now.
    pub body_memory_bytes: IntGauge,
    /// Bytes of request bodies read whole.
    pub request_bytes: IntCounter,
    /// Bytes of answer bodies.
    pub response_bytes: IntCounter,
    /// Requests that ended by a panic.
    pub panics: IntCounter,
    requests: IntCounterVec,
    durations: HistogramVec,
    registry: Registry,
}

impl Metrics {
    /// All at zero.
    #[expect(clippy::missing_panics_doc, reason = "the names are constants, and differ")]
    pub fn new() -> Self {
        Self::register().expect("the names are valid, and differ")
    }

    fn register() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let requests = Opts::new("kinelog_requests_total", "Requests answered.");
        let durations = HistogramOpts::new(
            "kinelog_request_seconds",
            "Time from a request's head to its answer.",
        )
        .buckets(DURATION_BUCKETS.to_vec());
        Ok(Self {
            connections: registered(
                &registry,
                IntGauge::new("kinelog_connections", "Connections open now.")?,
            )?,
            refused_connections: counter(
                &registry,
                "kinelog_refused_connections_total",
                "Connections closed at once because there were too many.",
            )?,
            handshakes: registered(
                &registry,
                IntGauge::new("kinelog_tls_handshakes", "TLS handshakes under way now.")?,
            )?,
            failed_handshakes: counter(
                &registry,
                "kinelog_tls_failed_handshakes_total",
                "TLS handshakes that failed or took too long.",
            )?,
            body_memory_bytes: registered(
                &registry,
                IntGauge::new("kinelog_body_memory_bytes", "Bytes held by bodies in memory now.")?,
            )?,
            request_bytes: counter(
                &registry,
                "kinelog_request_bytes_total",
                "Bytes of request bodies.",
            )?,
            response_bytes: counter(
                &registry,
                "kinelog_response_bytes_total",
                "Bytes of answer bodies.",
            )?,
            panics: counter(&registry, "kinelog_panics_total", "Requests ended by a panic.")?,
            requests: registered(
                &registry,
                IntCounterVec::new(requests, &["operation", "status"])?,
            )?,
            durations: registered(&registry, HistogramVec::new(durations, &["operation"])?)?,
            registry,
        })
    }

    /// Counts one answer. `operation` is "-" where none was recognised.
    pub fn answered(&self, operation: &str, status: StatusCode, seconds: f64, bytes: usize) {
        self.requests.with_label_values(&[operation, status.as_str()]).inc();
        self.durations.with_label_values(&[operation]).observe(seconds);
        self.response_bytes.inc_by(bytes as u64);
    }

    /// Everything as text; what is observed of the store as `kinelog_engine_<name>`.
    pub fn render(&self, observed: Observed) -> String {
        let Observed { labels, values, histograms, families: further } = observed;
        let mut families = self.registry.gather();
        families.extend(further);
        let info = labels.into_iter().fold(
            Opts::new("kinelog_info", "What this server is; always 1."),
            |info, (name, value)| info.const_label(name, value),
        );
        families.extend(gauge(info, 1));
        for (name, value) in values {
            let help = "Counter or gauge of the store.";
            families.extend(gauge(Opts::new(format!("kinelog_engine_{name}"), help), value));
        }
        families.extend(histograms.into_iter().map(|(name, values)| histogram(name, &values)));
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            tracing::error!(%error, "metrics not rendered");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// What is asked of the service and the store whenever metrics are exported.
#[derive(Debug, Default)]
pub struct Observed {
    /// What does not change while the server runs: labels of `kinelog_info`.
    pub labels: Vec<(&'static str, String)>,
    /// Counters and gauges of the store.
    pub values: Vec<(&'static str, u64)>,
    /// Histograms of the store.
    pub histograms: Vec<(&'static str, HistogramValues)>,
    /// Whatever else is exported.
    pub families: Vec<proto::MetricFamily>,
}

fn gauge(options: Opts, value: u64) -> Vec<proto::MetricFamily> {
    let Ok(gauge) = IntGauge::with_opts(options) else { return Vec::new() };
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    gauge.collect()
}

/// The crate's own histograms cannot be set to what others have counted.
#[expect(clippy::cast_precision_loss, reason = "the text format has no other numbers")]
fn histogram(name: &str, values: &HistogramValues) -> proto::MetricFamily {
    let bucket = |&(bound, count): &(u64, u64)| {
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(bound as f64);
        bucket.set_cumulative_count(count);
        bucket
    };
    let mut histogram = proto::Histogram::default();
    histogram.set_bucket(values.up_to.iter().map(bucket).collect());
    histogram.set_sample_count(values.count);
    histogram.set_sample_sum(values.sum as f64);
    let mut family = proto::MetricFamily::default();
    family.set_name(format!("kinelog_engine_{name}"));
    family.set_help("Histogram of the store.".to_owned());
    family.set_field_type(proto::MetricType::HISTOGRAM);
    let mut metric = proto::Metric::default();
    metric.set_histogram(histogram);
    family.set_metric(vec![metric]);
    family
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn counter(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    registered(registry, IntCounter::new(name, help)?)
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_gauges_are_rendered() {
        let metrics = Metrics::new();
        metrics.answered("PutRecord", StatusCode::OK, 0.002, 10);
        metrics.answered("PutRecord", StatusCode::OK, 0.002, 5);
        let sizes = HistogramValues { up_to: vec![(1, 2), (2, 3)], count: 4, sum: 30 };
        let text = metrics.render(Observed {
            labels: vec![("io", "posix".to_owned())],
            values: vec![("groups", 7)],
            histograms: vec![("group_bytes", sizes)],
            families: Vec::new(),
        });
        for line in [
            r#"kinelog_requests_total{operation="PutRecord",status="200"} 2"#,
            "kinelog_response_bytes_total 15",
            r#"kinelog_request_seconds_bucket{operation="PutRecord",le="0.0025"} 2"#,
            r#"kinelog_request_seconds_bucket{operation="PutRecord",le="0.001"} 0"#,
            "kinelog_engine_groups 7",
            r#"kinelog_info{io="posix"} 1"#,
            r#"kinelog_engine_group_bytes_bucket{le="2"} 3"#,
            r#"kinelog_engine_group_bytes_bucket{le="+Inf"} 4"#,
            "kinelog_engine_group_bytes_sum 30",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
    }
}
