//! What operators ask, on an address of their own: `GET /health`, `GET /metrics`, and the faults
//! that are injected on purpose, `GET`, `PUT` and `DELETE /faults`. One thread, apart from the service's workers, so that it answers also when they are busy.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::LocalSet;

use super::api::{Api, Status};
use super::listener;
use crate::faults::RuleSet;
use crate::limits;
use crate::metrics::Metrics;

/// The admin server. Dropping it ends its thread and cuts its connections.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Binds `address` (port 0 picks a free one) and answers from now on.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or the system refuses a thread.
    pub fn start<A: Api>(
        address: SocketAddr,
        api: Arc<A>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let listener = listener::bind(address, 1)?.remove(0);
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(move || {
            LocalSet::new().block_on(&runtime, work(listener, api, metrics, stopped));
        })?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the admin thread ended by a panic");
        }
    }
}

async fn work<A: Api>(
    listener: std::net::TcpListener,
    api: Arc<A>,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let listener = TcpListener::from_std(listener)
        .expect("the runtime of this thread has its I/O driver enabled");
    let places = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS_MAX));
    let accept = async || {
        let place = Arc::clone(&places).acquire_owned().await;
        listener.accept().await.map(|(stream, _)| (stream, place))
    };
    loop {
        tokio::select! {
            accepted = accept() => match accepted {
                Ok((stream, place)) => {
                    let (api, metrics) = (Arc::clone(&api), Arc::clone(&metrics));
                    tokio::task::spawn_local(async move {
                        serve(stream, &*api, &metrics).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "admin connection not accepted");
                    tokio::time::sleep(limits::ACCEPT_PAUSE).await;
                }
            },
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// One request; the connection closes after its answer, and at the latest after the idle time.
async fn serve<A: Api>(stream: tokio::net::TcpStream, api: &A, metrics: &Metrics) {
    let service = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(answer(api, metrics, request).await)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_TIME_MAX)
        .max_headers(limits::HEAD_LINES_MAX)
        .max_buf_size(limits::HEAD_BYTES_MAX as usize)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if !matches!(tokio::time::timeout(limits::IDLE_TIME_MAX, connection).await, Ok(Ok(()))) {
        tracing::debug!("admin connection ended early");
    }
}

async fn answer<A: Api>(
    api: &A,
    metrics: &Metrics,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/health") => health(api),
        (&Method::GET, "/metrics") => {
            let text = metrics.render(api.observed());
            respond(StatusCode::OK, "text/plain; version=0.0.4", text)
        }
        (&Method::GET, "/faults") => faults(api),
        (&Method::PUT, "/faults") => replace_faults(api, body).await,
        (&Method::DELETE, "/faults") => {
            api.faults().replace(RuleSet::default());
            faults(api)
        }
        (_, "/faults") => refuse(StatusCode::METHOD_NOT_ALLOWED, "GET, PUT or DELETE"),
        (&Method::GET, _) => refuse(StatusCode::NOT_FOUND, "ask /health, /metrics or /faults"),
        _ => refuse(StatusCode::METHOD_NOT_ALLOWED, "GET only"),
    }
}

/// The rules in force, and how often each has struck.
fn faults<A: Api>(api: &A) -> Response<Full<Bytes>> {
    let text = serde_json::json!({ "rules": api.faults().shown() }).to_string();
    respond(StatusCode::OK, "application/json", text)
}

async fn replace_faults<A: Api>(api: &A, body: Incoming) -> Response<Full<Bytes>> {
    let Ok(body) = Limited::new(body, limits::FAULT_RULES_BYTES_MAX).collect().await else {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "these are too many bytes");
    };
    match RuleSet::from_json(&body.to_bytes(), api.operations()) {
        Ok(set) => {
            api.faults().replace(set);
            faults(api)
        }
        Err(sentence) => refuse(StatusCode::BAD_REQUEST, &sentence),
    }
}

fn refuse(status: StatusCode, sentence: &str) -> Response<Full<Bytes>> {
    respond(status, "text/plain", format!("{sentence}\n"))
}

/// 503 when writes have stopped for good, so that checks by status notice.
fn health<A: Api>(api: &A) -> Response<Full<Bytes>> {
    let health = api.health();
    let status = match health.status {
        Status::Ok | Status::DiskFull => StatusCode::OK,
        Status::Stopped => StatusCode::SERVICE_UNAVAILABLE,
    };
    let text = serde_json::to_string(&health).expect("a structure of text and booleans is JSON");
    respond(status, "application/json", text)
}

fn respond(status: StatusCode, media: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}
