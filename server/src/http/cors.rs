//! Cross-origin requests: the answer to a preflight, and what other answers carry.

use bytes::Bytes;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN,
};
use hyper::http::request::Parts;
use hyper::{Method, Response};

use super::body::ResponseBody;

const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("172800");
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date",
);

/// The answer if the request is a preflight. It has no `x-amz-id-2`.
pub(super) fn preflight(head: &Parts) -> Option<Response<ResponseBody>> {
    if head.method != Method::OPTIONS || !head.headers.contains_key(ORIGIN) {
        return None;
    }
    let mut response = Response::new(ResponseBody::whole(Bytes::new()));
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
    for (asked, granted) in [
        (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
        (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
    ] {
        if let Some(value) = head.headers.get(asked) {
            headers.insert(granted, value.clone());
        }
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
    Some(response)
}

/// What any other answer to a request with an `Origin` carries.
pub(super) fn expose(answer: &mut HeaderMap) {
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
    answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}
