//! One request over both versions of HTTP: what is answered does not depend on it.

use std::collections::BTreeMap;

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

/// Headers that differ from answer to answer, or belong to one version.
const OF_ONE_ANSWER: &[&str] =
    &["connection", "date", "transfer-encoding", "x-amz-id-2", "x-amzn-requestid"];

/// A server that is asked everything twice.
pub(super) struct Both(Server);

impl Both {
    pub(super) fn start() -> Self {
        Self(Server::start())
    }

    pub(super) fn with_bounds(bounds: Bounds) -> Self {
        Self(Server::with_bounds(bounds))
    }

    /// Sends a request written as HTTP/1.1 as it is, and over HTTP/2 with prior knowledge; returns
    /// the first answer once the other is the same.
    #[track_caller]
    pub(super) fn send(&self, request: impl AsRef<[u8]>) -> Reply {
        let reply = self.0.send(&request);
        let other = over_http2(self.0.address(), request.as_ref());
        assert_eq!(reply.status(), other.status(), "{other:?}");
        assert_eq!(reply.body, other.body, "{other:?}");
        assert_eq!(lasting_headers(&reply), lasting_headers(&other), "{other:?}");
        for name in ["x-amz-id-2", "x-amzn-requestid", "date"] {
            assert_eq!(reply.header(name).is_some(), other.header(name).is_some(), "{name}");
        }
        assert_eq!(other.header("connection").or(other.header("transfer-encoding")), None);
        reply
    }

    /// Posts `body` with a content type and a target.
    #[track_caller]
    pub(super) fn post(&self, content_type: &str, target: &str, body: impl AsRef<[u8]>) -> Reply {
        let headers = format!("Content-Type: {content_type}\r\nX-Amz-Target: {target}\r\n{SIGNED}");
        self.send(request("POST", &headers, body))
    }
}

fn lasting_headers(reply: &Reply) -> BTreeMap<String, &str> {
    let lines = reply.head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let headers = lines.map(|(name, value)| (name.to_lowercase(), value));
    headers.filter(|(name, _)| !OF_ONE_ANSWER.contains(&name.as_str())).collect()
}

/// Sends a request written as HTTP/1.1 over HTTP/2; the answer is written as one of HTTP/1.1.
fn over_http2(address: SocketAddr, request: &[u8]) -> Reply {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let (head, body) = (std::str::from_utf8(&request[..end]).unwrap(), &request[end + 4..]);
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let (method, path) = (first.next().unwrap(), first.next().unwrap());
    let mut request =
        hyper::Request::builder().method(method).uri(format!("http://localhost{path}"));
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if !name.eq_ignore_ascii_case("host") {
            request = request.header(name, value);
        }
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let lines = head.headers.iter().map(|(name, value)| (name, value.to_str().unwrap()));
        let lines: Vec<_> = lines.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("HTTP/2 {} \r\n{}", head.status.as_u16(), lines.concat());
        Reply { head, body: body.collect().await.unwrap().to_bytes().to_vec() }
    })
}
