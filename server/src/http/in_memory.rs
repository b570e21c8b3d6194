//! One connection over a stream that need not be a socket, for fuzz targets.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::api::Api;
use super::bounds::Bounds;
use super::connection::{self, Protocols, Requests};
use super::crowd::Crowd;
use super::pipeline::{Front, Shared};
use super::request_body::Budget;
use super::worker::Settings;
use crate::metrics::Metrics;

/// Serves `stream` in clear text until either side ends it.
pub async fn serve<A: Api>(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    api: Arc<A>,
    metrics: Arc<Metrics>,
) {
    let bounds = Bounds::default();
    let shared = Shared {
        api,
        budget: Budget::new(bounds.body_memory_bytes_max, &metrics.body_memory_bytes),
        crowd: Crowd::new(&bounds, &metrics),
        metrics,
    };
    let settings = Settings {
        listen: Vec::new(),
        threads: 1,
        clock_skew_seconds: 300,
        stop_grace: Duration::ZERO,
        bounds,
        tls: None,
    };
    let (_running, stop) = watch::channel(false);
    let front = Rc::new(Front::new(shared, &settings, stop.clone()));
    let protocols = Protocols::new();
    let connection = connection::serve(stream, Requests::Served, front, &protocols, stop);
    LocalSet::new().run_until(connection).await;
}
