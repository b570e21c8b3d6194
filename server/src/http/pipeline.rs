//! From a request to its answer: the steps of the service's dispatch, one function each, in its
//! order. A step either lets the request pass or answers it.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::watch;
use tokio::time::Instant;

use super::answer::{self, Answer};
use super::api::Api;
use super::body::ResponseBody;
use super::bounds::Bounds;
use super::cors;
use super::crowd::Crowd;
use super::event_body::EventBody;
use super::lag::Lag;
use super::media::Media;
use super::request_body::{self, Budget, Longest, Refusal};
use super::transport::InFlight;
use super::worker::Settings;
use crate::aws::Encoding;
use crate::aws::exception::{Exception, Kind};
use crate::aws::input::Body;
use crate::aws::output::{Events, Output};
use crate::aws::shape::Structure;
use crate::aws::sigv4::{self, Principal};
use crate::metrics::Metrics;
use crate::tls::Tls;

/// What all workers share.
pub(super) struct Shared<A> {
    pub(super) api: Arc<A>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) budget: Arc<Budget>,
    pub(super) crowd: Arc<Crowd>,
}

impl<A> Clone for Shared<A> {
    fn clone(&self) -> Self {
        Self {
            api: Arc::clone(&self.api),
            metrics: Arc::clone(&self.metrics),
            budget: Arc::clone(&self.budget),
            crowd: Arc::clone(&self.crowd),
        }
    }
}

/// What all requests of a worker share.
pub(super) struct Front<A> {
    pub(super) api: Arc<A>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) bounds: Rc<Bounds>,
    pub(super) tls: Option<Tls>,
    pub(super) crowd: Arc<Crowd>,
    budget: Arc<Budget>,
    lag: Rc<Lag>,
    clock_skew_seconds: u64,
    /// Turns true when the server stops.
    stop: watch::Receiver<bool>,
}

impl<A: Api> Front<A> {
    pub(super) fn new(shared: Shared<A>, settings: &Settings, stop: watch::Receiver<bool>) -> Self {
        let bounds = Rc::new(settings.bounds.clone());
        let clock_skew_seconds = settings.clock_skew_seconds;
        let tls = settings.tls.clone();
        let Shared { api, metrics, budget, crowd } = shared;
        let lag = Lag::new();
        Self { api, metrics, bounds, tls, crowd, budget, lag, clock_skew_seconds, stop }
    }
}

impl<A> Front<A> {
    fn event_body(&self, events: Events) -> EventBody {
        let patience_max = self.bounds.stalled_time_max;
        EventBody::new(events, self.stop.clone(), patience_max, &self.metrics)
    }
}

/// Answers one request, and says when it has been read to its end.
pub(super) async fn answer<A: Api>(
    front: &Front<A>,
    request: Request<Incoming>,
    in_flight: &mut InFlight,
) -> Response<ResponseBody> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let media = Media::of(&head.headers);
    let operation = target(&head).and_then(|target| front.api.find(target));
    let collected = collect(front, &head, media, body).await;
    in_flight.received();
    let mut response = match collected {
        Ok(body) => respond(&head, dispatch(front, &head, media, operation, body.bytes()).await),
        Err(refusal) => refuse_body(&head, media, refusal),
    };
    answer::add_length(&mut response);
    let name = operation.map_or("-", |operation| front.api.name(operation));
    let seconds = started.elapsed().as_secs_f64();
    let length = response.body().remaining();
    front.metrics.answered(name, response.status(), seconds, length);
    let held = front.budget.hold(response.body().memory());
    response.map(|body| body.holding(held))
}

/// Reads the body: step 1, the cap, and the bounds of pace and memory.
async fn collect<A: Api>(
    front: &Front<A>,
    head: &Parts,
    media: Media,
    body: Incoming,
) -> Result<request_body::Collected, Refusal> {
    if head.headers.contains_key(CONTENT_ENCODING) {
        return Err(Refusal::Encoded);
    }
    let longest = match media {
        Media::Service(Encoding::Cbor) => front.bounds.cbor_body_bytes_max,
        Media::Service(Encoding::Json) | Media::PlainJson | Media::Unsupported => {
            front.bounds.json_body_bytes_max
        }
    };
    let must_shed = front.lag.must_shed(Instant::now(), front.bounds.lag_max);
    let longest = if must_shed { Longest::Nothing } else { Longest::Bytes(longest) };
    let collected = request_body::collect(body, longest, &front.budget, &front.bounds).await;
    if let Ok(collected) = &collected {
        front.metrics.request_bytes.inc_by(collected.bytes().len() as u64);
    }
    collected
}

fn refuse_body(head: &Parts, media: Media, refusal: Refusal) -> Response<ResponseBody> {
    match refusal {
        Refusal::TooLong => answer::too_large(),
        Refusal::TooSlow => answer::and_close(StatusCode::REQUEST_TIMEOUT),
        Refusal::Broken => answer::and_close(StatusCode::BAD_REQUEST),
        Refusal::Overloaded => {
            let exception = Exception::bare(Kind::ServiceUnavailable);
            respond(head, Answer::exception(media.json_else_cbor(), &exception))
        }
        Refusal::Encoded => respond(head, Answer::empty(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
    }
}

/// Steps 2 and 3: ids and what browsers want, on the answer of the steps after them.
fn respond(head: &Parts, answer: Answer) -> Response<ResponseBody> {
    if let Some(mut preflight) = cors::preflight(head) {
        answer::add_request_id(preflight.headers_mut());
        return preflight;
    }
    let mut response = answer.into_response();
    let headers = response.headers_mut();
    answer::add_request_id(headers);
    answer::add_extended_id(headers);
    if head.headers.contains_key(ORIGIN) {
        cors::expose(headers);
    }
    response
}

/// Steps 4 to 15.
async fn dispatch<A: Api>(
    front: &Front<A>,
    head: &Parts,
    media: Media,
    operation: Option<A::Operation>,
    body: &[u8],
) -> Answer {
    match admit(front, head, media, operation, body) {
        Ok((operation, principal, encoding, body)) => {
            let result = run(front, operation, &principal, encoding, body).await;
            match result {
                Ok(Output::Whole(body)) => Answer::success(encoding, body),
                Ok(Output::Events(events)) => Answer::events(front.event_body(events)),
                Ok(Output::Cut) => Answer::cut(),
                Err(exception) => Answer::exception(encoding, &exception),
            }
        }
        Err(answer) => answer,
    }
}

type Admitted<'a, O> = (O, Principal, Encoding, Body<'a>);

/// Steps 4 to 10: everything before the operation itself.
fn admit<'a, A: Api>(
    front: &Front<A>,
    head: &Parts,
    media: Media,
    operation: Option<A::Operation>,
    body: &'a [u8],
) -> Result<Admitted<'a, A::Operation>, Answer> {
    require_post(head)?;
    require_body(media, operation.is_some(), body)?;
    let encoding = require_media(head, media, body)?;
    let shape = operation.map(|operation| front.api.shape(operation));
    let body = parse(encoding, shape, body)?;
    let operation = require_operation(encoding, operation)?;
    let principal = authenticate(front, head, encoding)?;
    Ok((operation, principal, encoding, body))
}

/// Step 4.
fn require_post(head: &Parts) -> Result<(), Answer> {
    if head.method == Method::POST { Ok(()) } else { Err(no_operation()) }
}

/// Step 5.
fn require_body(media: Media, known: bool, body: &[u8]) -> Result<(), Answer> {
    if !body.is_empty() {
        return Ok(());
    }
    let kind = if known { Kind::Serialization } else { Kind::UnknownOperation };
    Err(Answer::exception(media.json_else_cbor(), &Exception::bare(kind)))
}

/// Steps 6 and 8.
fn require_media(head: &Parts, media: Media, body: &[u8]) -> Result<Encoding, Answer> {
    match media {
        Media::Service(encoding) => Ok(encoding),
        Media::PlainJson if parse(Encoding::Json, None, body).is_ok() => {
            Err(Answer::wrapped(StatusCode::NOT_FOUND, &Exception::bare(Kind::UnknownOperation)))
        }
        Media::PlainJson => {
            Err(Answer::wrapped(StatusCode::BAD_REQUEST, &Exception::bare(Kind::Serialization)))
        }
        Media::Unsupported if names_operation(head) => {
            Err(Answer::xml(StatusCode::NOT_FOUND, &Exception::bare(Kind::UnknownOperation)))
        }
        Media::Unsupported => Err(no_operation()),
    }
}

/// Step 7. With a `shape` also what steps 11 and 12 do, where they find nothing to refuse.
fn parse<'a>(
    encoding: Encoding,
    shape: Option<&'static Structure>,
    body: &'a [u8],
) -> Result<Body<'a>, Answer> {
    Body::read(body, shape, encoding)
        .map_err(|_| Answer::exception(encoding, &Exception::bare(Kind::Serialization)))
}

/// Step 9.
fn require_operation<O>(encoding: Encoding, operation: Option<O>) -> Result<O, Answer> {
    operation.ok_or_else(|| Answer::exception(encoding, &Exception::bare(Kind::UnknownOperation)))
}

/// Step 10.
fn authenticate<A: Api>(
    front: &Front<A>,
    head: &Parts,
    encoding: Encoding,
) -> Result<Principal, Answer> {
    sigv4::authenticate(head, front.api.now_seconds(), front.clock_skew_seconds)
        .map_err(|exception| Answer::exception(encoding, &exception))
}

/// Steps 11 to 15. A panic ends this request only.
async fn run<A: Api>(
    front: &Front<A>,
    operation: A::Operation,
    principal: &Principal,
    encoding: Encoding,
    body: Body<'_>,
) -> Result<Output, Exception> {
    let mut work = Box::pin(front.api.run(operation, principal, encoding, body));
    let (is_long_read, mut has_begun) = (front.api.is_long_read(operation), false);
    let answer = std::future::poll_fn(|context| {
        if is_long_read && has_begun && front.budget.is_spent() {
            return Poll::Ready(Err(Exception::bare(Kind::ServiceUnavailable)));
        }
        has_begun = true;
        let poll = guarded(&front.metrics, || work.as_mut().poll(context));
        poll.unwrap_or_else(|| Poll::Ready(Err(Exception::bare(Kind::InternalFailure))))
    });
    answer.await
}

/// Runs a part of the work for one request; `None` when it panics.
pub(super) fn guarded<T>(metrics: &Metrics, work: impl FnOnce() -> T) -> Option<T> {
    let result = std::panic::catch_unwind(AssertUnwindSafe(work)).ok();
    if result.is_none() {
        metrics.panics.inc();
        tracing::error!("a request ended by a panic");
    }
    result
}

/// The answer when nothing tells which operation is meant.
fn no_operation() -> Answer {
    let message = "Unable to determine service/operation name to be authorized";
    Answer::xml(StatusCode::FORBIDDEN, &Exception::new(Kind::AccessDenied, message))
}

fn target(head: &Parts) -> Option<&str> {
    head.headers.get("x-amz-target").map(HeaderValue::to_str)?.ok()
}

/// True when the target has the form `Service.Operation`.
fn names_operation(head: &Parts) -> bool {
    let parts = target(head).and_then(|target| target.split_once('.'));
    parts.is_some_and(|(service, operation)| !service.is_empty() && !operation.is_empty())
}
