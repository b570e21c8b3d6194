//! Answers in the forms the service knows, and the headers all of them carry.

use bytes::Bytes;
use hyper::body::Body;
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::ResponseBody;
use super::event_body::EventBody;
use crate::aws::exception::Exception;
use crate::aws::rope::Rope;
use crate::aws::{Encoding, event_stream};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const EXTENDED_ID: HeaderName = HeaderName::from_static("x-amz-id-2");

/// Random words in an extended request id: 72 bytes, 96 characters.
const EXTENDED_ID_WORDS: usize = 9;

/// One answer before it gets its headers.
pub(super) struct Answer {
    status: StatusCode,
    content_type: Option<&'static str>,
    body: Content,
}

enum Content {
    Whole(Rope),
    Events(Box<EventBody>),
    Cut,
}

impl Answer {
    /// Success of an operation.
    pub(super) fn success(encoding: Encoding, body: Rope) -> Self {
        Self::whole(StatusCode::OK, Some(encoding.media_type()), body)
    }

    /// Success of an operation that answers with an event stream.
    pub(super) fn events(body: EventBody) -> Self {
        let content_type = Some(event_stream::MEDIA_TYPE);
        Self { status: StatusCode::OK, content_type, body: Content::Events(Box::new(body)) }
    }

    fn whole(
        status: StatusCode,
        content_type: Option<&'static str>,
        body: impl Into<Rope>,
    ) -> Self {
        Self { status, content_type, body: Content::Whole(body.into()) }
    }

    /// None; the status is for the counters alone.
    pub(super) const fn cut() -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self { status, content_type: None, body: Content::Cut }
    }

    /// An exception in the encoding of the request.
    pub(super) fn exception(encoding: Encoding, exception: &Exception) -> Self {
        let body = exception.body(encoding);
        Self::whole(exception.kind.status(), Some(encoding.media_type()), body)
    }

    /// An exception in XML, for requests without a usable encoding.
    pub(super) fn xml(status: StatusCode, exception: &Exception) -> Self {
        Self::whole(status, None, exception.xml_body())
    }

    /// An exception in the wrapper of `application/json`.
    pub(super) fn wrapped(status: StatusCode, exception: &Exception) -> Self {
        Self::whole(status, Some("application/json"), exception.wrapped_body())
    }

    /// No content.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self::whole(status, None, Bytes::new())
    }

    /// As a response.
    pub(super) fn into_response(self) -> Response<ResponseBody> {
        let mut response = Response::new(match self.body {
            Content::Whole(body) => ResponseBody::whole(body),
            Content::Events(body) => ResponseBody::events(body),
            Content::Cut => ResponseBody::cut(),
        });
        *response.status_mut() = self.status;
        if let Some(content_type) = self.content_type {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        response
    }
}

/// Says how long the body is, if that is known; hyper leaves out a length of 0 over HTTP/2.
pub(super) fn add_length(response: &mut Response<ResponseBody>) {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
}

/// The answer to a body over the front end's cap: no ids, no body, chunked.
pub(super) fn too_large() -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::empty_of_unknown_length());
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    response
}

/// The answer in clear text on a port that takes TLS only.
pub(super) fn tls_only() -> Response<ResponseBody> {
    let body = Bytes::from_static(b"this port takes TLS only: use https://\n");
    let (status, content_type) = (StatusCode::BAD_REQUEST, Some("text/plain"));
    let mut response = Answer::whole(status, content_type, body).into_response();
    close(&mut response);
    response
}

/// A bare status after which an HTTP/1.1 connection ends: what follows cannot be trusted.
pub(super) fn and_close(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Answer::empty(status).into_response();
    close(&mut response);
    response
}

/// Makes an HTTP/1.1 connection end after this answer.
pub(super) fn close(response: &mut Response<ResponseBody>) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}

/// Adds the request id.
pub(super) fn add_request_id(headers: &mut HeaderMap) {
    let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid();
    headers.insert(REQUEST_ID, ascii(id.hyphenated().to_string()));
}

/// Adds the extended request id.
pub(super) fn add_extended_id(headers: &mut HeaderMap) {
    let mut bytes = [0; EXTENDED_ID_WORDS * 8];
    fastrand::fill(&mut bytes);
    headers.insert(EXTENDED_ID, ascii(base64_simd::STANDARD.encode_to_string(bytes)));
}

fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("hex, dashes and base64 are visible ASCII")
}
