//! One connection from its first byte to its close.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
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

/// The protocol settings of all connections.
pub(super) fn builder() -> Builder<LocalExecutor> {
    let mut builder = Builder::new(LocalExecutor);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None) // It also counts idle time; `Activity` tells the two apart.
        .max_headers(limits::HEAD_LINES_MAX)
        .max_buf_size(limits::HEAD_BYTES_MAX as usize); // A head must fit in the read buffer.
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
        .max_header_list_size(limits::HEAD_BYTES_MAX)
        .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW_BYTES)
        .max_frame_size(limits::HTTP2_FRAME_BYTES_MAX)
        .max_pending_accept_reset_streams(limits::HTTP2_PENDING_RESETS_MAX)
        .max_local_error_reset_streams(limits::HTTP2_ERROR_RESETS_MAX)
        .keep_alive_interval(limits::HTTP2_PING_INTERVAL)
        .keep_alive_timeout(limits::HTTP2_PING_INTERVAL);
    builder
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
    builder: &Builder<LocalExecutor>,
    mut stop: watch::Receiver<bool>,
) {
    let activity = Activity::new();
    let transport =
        TokioIo::new(Transport::new(stream, Rc::clone(&activity), Rc::clone(&front.bounds)));
    let service =
        service_fn(|request| answer(request, requests, Rc::clone(&front), Rc::clone(&activity)));
    let mut connection = pin!(builder.serve_connection(transport, service));
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
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
