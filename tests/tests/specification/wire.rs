//! Calls as bytes on the wire, in each version of HTTP and each encoding.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kinelog::aws::basic_date;
use kinelog::aws::event_stream::{Message, take_message};
use serde_json::Value as Json;

use crate::service::{Answer, Encoding, REGION};

/// Version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    /// In clear text, by prior knowledge.
    Http2,
}

/// The forms in which clients call, and which ones do.
pub(crate) const FORMS: [(Version, Encoding); 4] = [
    // boto3, the command line, Go, Rust.
    (Version::Http1, Encoding::Json),
    // Java, synchronous.
    (Version::Http1, Encoding::Cbor),
    // JavaScript.
    (Version::Http2, Encoding::Json),
    // Java, asynchronous; the consumer library.
    (Version::Http2, Encoding::Cbor),
];

/// The headers of a signed call; nobody verifies the signature.
pub(crate) fn headers(
    encoding: Encoding,
    operation: &str,
    now: u64,
) -> [(&'static str, String); 4] {
    let date = basic_date::format(now);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{}/{REGION}/kinesis/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=00",
        &date[..8]
    );
    [
        ("Content-Type", encoding.content_type().to_owned()),
        ("X-Amz-Target", format!("Kinesis_20131202.{operation}")),
        ("X-Amz-Date", date),
        ("Authorization", authorization),
    ]
}

/// Sends a POST request on a connection of its own.
pub(crate) async fn post(
    address: SocketAddr,
    version: Version,
    headers: &[(&str, String)],
    body: Vec<u8>,
) -> Response<Incoming> {
    let mut request = match version {
        Version::Http1 => Request::post("/").header("host", address.to_string()),
        Version::Http2 => Request::post(format!("http://{address}/")),
    };
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let stream = TokioIo::new(tokio::net::TcpStream::connect(address).await.unwrap());
    match version {
        Version::Http1 => {
            let (mut sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        }
        Version::Http2 => {
            let (mut sender, connection) =
                http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        }
    }
}

/// The whole body of an answer.
pub(crate) async fn whole(response: Response<Incoming>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

/// One caller in one form.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) address: SocketAddr,
    pub(crate) version: Version,
    pub(crate) encoding: Encoding,
}

impl Caller {
    async fn send(&self, operation: &str, body: &Json) -> Response<Incoming> {
        let headers = headers(self.encoding, operation, now());
        post(self.address, self.version, &headers, self.encoding.body(body)).await
    }

    pub(crate) async fn call(&self, operation: &str, body: &Json) -> Answer {
        let response = self.send(operation, body).await;
        let status = response.status().as_u16();
        if status != 413 {
            let content_type = response.headers()["content-type"].to_str().unwrap();
            assert_eq!(content_type, self.encoding.content_type(), "{operation}");
        }
        Answer { status, body: self.encoding.read(&whole(response).await) }
    }

    /// Calls what must succeed.
    pub(crate) async fn ok(&self, operation: &str, body: &Json) -> Json {
        let Answer { status, body: answer } = self.call(operation, body).await;
        assert_eq!(status, 200, "{operation} {body}: {answer}");
        answer
    }

    /// Subscribes to a shard.
    pub(crate) async fn subscribe(&self, body: &Json) -> Events {
        let response = self.send("SubscribeToShard", body).await;
        assert_eq!(response.status(), 200);
        let content_type = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(content_type, "application/vnd.amazon.eventstream");
        assert!(response.headers().get("content-length").is_none());
        let mut events = Events { body: response.into_body(), received: Bytes::new() };
        let first = events.message().await.unwrap();
        assert_eq!(first.header(":event-type"), Some("initial-response"));
        events
    }
}

/// What a subscription sends.
pub(crate) struct Events {
    body: Incoming,
    received: Bytes,
}

impl Events {
    /// The next message; `None` at the end.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = take_message(&mut self.received).unwrap() {
                return Some(message);
            }
            let frame = self.body.frame().await?.unwrap();
            let data = frame.into_data().unwrap();
            self.received = Bytes::from([&self.received[..], &data].concat());
        }
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Json {
        let message = self.message().await.unwrap();
        assert_eq!(message.header(":event-type"), Some("SubscribeToShardEvent"), "{message:?}");
        let encoding = Encoding::BOTH.into_iter();
        let told = message.header(":content-type").unwrap();
        let mut encoding = encoding.filter(|encoding| encoding.content_type() == told);
        encoding.next().unwrap().read(&message.payload)
    }
}

/// Seconds since the epoch, by the clock of this machine.
#[expect(clippy::disallowed_methods, reason = "a client signs by the clock of its machine")]
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs()
}
