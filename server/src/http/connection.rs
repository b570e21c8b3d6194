//! One connection from its first byte to its close.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, Response, StatusCode, Version, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::answer;
use super::api::Api;
use super::body::{BrokenOff, ResponseBody};
use super::bounds::Bounds;
use super::pipeline::{self, Front};
use super::transport::{Activity, Overdue, Transport};
use crate::limits;

/// Spawns on the current thread; connections never leave theirs.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalExecutor;

impl<F: Future<Output: 'static> + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// The protocols, with the settings that hold for all connections.
pub(super) struct Protocols {
    one: http1::Builder,
    two: http2::Builder<LocalExecutor>,
}

/// A connection at work. It is boxed, since what it needs depends on its protocol.
type Connection =
    Pin<Box<dyn GracefulConnection<Error = hyper::Error, Output = hyper::Result<()>>>>;

impl Protocols {
    pub(super) fn new() -> Self {
        let mut one = http1::Builder::new();
        one.timer(TokioTimer::new())
            .header_read_timeout(None) // It also counts idle time; `Activity` tells the two apart.
            .max_headers(limits::HEAD_LINES_MAX)
            .max_header_size(limits::HEAD_BYTES_MAX as usize)
            .max_buf_size(limits::HEAD_BYTES_MAX as usize); // What is not yet a head is bounded too.
        let mut two = http2::Builder::new(LocalExecutor);
        two.timer(TokioTimer::new())
            .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
            .max_header_list_size(limits::HEAD_BYTES_MAX)
            .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW_BYTES)
            .max_frame_size(limits::HTTP2_FRAME_BYTES_MAX)
            .max_pending_accept_reset_streams(limits::HTTP2_PENDING_RESETS_MAX)
            .max_local_error_reset_streams(limits::HTTP2_ERROR_RESETS_MAX)
            .keep_alive_interval(limits::HTTP2_PING_INTERVAL)
            .keep_alive_timeout(limits::HTTP2_PING_INTERVAL);
        Self { one, two }
    }

    /// Serves what `transport` speaks by `service`, once that is known.
    fn serve<T, S>(&self, version: Version, transport: Transport<T>, service: S) -> Connection
    where
        T: AsyncRead + AsyncWrite + Unpin + 'static,
        S: Service<Request<Incoming>, Response = Response<ResponseBody>, Error = BrokenOff>,
        S: 'static,
        S::Future: 'static,
    {
        let transport = TokioIo::new(transport);
        if version == Version::HTTP_2 {
            Box::pin(self.two.serve_connection(transport, service))
        } else {
            Box::pin(self.one.serve_connection(transport, service))
        }
    }
}

/// What becomes of the requests of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requests {
    /// They are served.
    Served,
    /// Each is told to come back over TLS.
    SentToTls,
}

/// Serves `stream` until either side ends it, or `stop` turns true and its requests are answered.
pub(super) async fn serve<A: Api, T: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: T,
    requests: Requests,
    front: Rc<Front<A>>,
    protocols: &Protocols,
    mut stop: watch::Receiver<bool>,
) {
    let activity = Activity::new();
    let transport = Transport::new(stream, Rc::clone(&activity), Rc::clone(&front.bounds));
    let Some(mut connection) = open(transport, requests, &front, protocols, &mut stop).await else {
        return;
    };
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            overdue = watch_over(&activity, &front.bounds) => {
                tracing::debug!(?overdue, "connection closed");
                if stopping || overdue != Overdue::Idle {
                    return;
                }
                stopping = true;
                activity.restart_idle_time(); // The client gets as long again to take its leave.
                connection.as_mut().graceful_shutdown();
            }
            _ = stop.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Waits for what tells the protocol; `None` when that takes too long, or nothing comes.
async fn open<A: Api, T: AsyncRead + AsyncWrite + Unpin + 'static>(
    mut transport: Transport<T>,
    requests: Requests,
    front: &Rc<Front<A>>,
    protocols: &Protocols,
    stop: &mut watch::Receiver<bool>,
) -> Option<Connection> {
    let activity = transport.activity();
    let version = tokio::select! {
        biased;
        version = transport.version() => version,
        overdue = watch_over(&activity, &front.bounds) => {
            tracing::debug!(?overdue, "connection closed");
            return None;
        }
        _ = stop.wait_for(|stop| *stop) => return None,
    };
    let version = version.inspect_err(|error| tracing::debug!(%error, "connection ended")).ok()?;
    let front = Rc::clone(front);
    // Boxed, so that a connection that waits for its next request keeps no room for it.
    let answer =
        move |request| Box::pin(answer(request, requests, Rc::clone(&front), Rc::clone(&activity)));
    Some(protocols.serve(version, transport, service_fn(answer)))
}

/// Ends when the connection has kept us waiting for too long.
async fn watch_over(activity: &Activity, bounds: &Bounds) -> Overdue {
    loop {
        match activity.overdue(Instant::now(), bounds) {
            Ok(next) => sleep_until(next).await,
            Err(overdue) => return overdue,
        }
    }
}

async fn answer<A: Api>(
    request: Request<Incoming>,
    requests: Requests,
    front: Rc<Front<A>>,
    activity: Rc<Activity>,
) -> Result<Response<ResponseBody>, BrokenOff> {
    let (mut in_flight, refused) = activity.begin_request();
    let one = request.version() < Version::HTTP_2;
    let chunked = one && request.headers().contains_key(header::TRANSFER_ENCODING);
    let head_only = !one && request.method() == Method::HEAD;
    let mut response = if one && refused {
        answer::and_close(StatusCode::BAD_REQUEST)
    } else if requests == Requests::SentToTls {
        answer::tls_only()
    } else {
        pipeline::answer(&front, request, &mut in_flight).await
    };
    if response.body().is_cut() {
        return Err(BrokenOff);
    }
    if chunked {
        answer::close(&mut response); // Nothing after a chunked body is taken for a request.
    }
    if head_only {
        // hyper leaves the body out over HTTP/1.1 only, and clients take it for an error.
        response = response.map(|_| ResponseBody::whole(Bytes::new()));
    }
    let in_flight = in_flight.answered(response.body().is_events());
    Ok(response.map(|body| body.holding(in_flight)))
}
