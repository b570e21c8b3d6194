//! What operators ask on the same port, by GET: health and metrics. Neither touches the service's
//! own pipeline; a GET of anything else is answered there.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use super::api::{Api, Status};
use super::body::ResponseBody;
use super::pipeline::Front;

/// The answer if this is a request of an operator.
pub(super) fn answer<A: Api>(front: &Front<A>, head: &Parts) -> Option<Response<ResponseBody>> {
    if head.method != Method::GET {
        return None;
    }
    match head.uri.path() {
        "/_kinelog/health" => Some(health(front)),
        "/_kinelog/metrics" => Some(metrics(front)),
        _ => None,
    }
}

/// 503 when writes have stopped for good, so that checks by status notice.
fn health<A: Api>(front: &Front<A>) -> Response<ResponseBody> {
    let health = front.api.health();
    let status = match health.status {
        Status::Ok | Status::DiskFull => StatusCode::OK,
        Status::Stopped => StatusCode::SERVICE_UNAVAILABLE,
    };
    let text = serde_json::to_string(&health).expect("a structure of text and booleans is JSON");
    respond(status, "application/json", text)
}

fn metrics<A: Api>(front: &Front<A>) -> Response<ResponseBody> {
    let text = front.metrics.render(&front.api.gauges());
    respond(StatusCode::OK, "text/plain; version=0.0.4", text)
}

fn respond(status: StatusCode, media: &'static str, text: String) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::whole(bytes::Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}
