//! The same port over HTTP/2 with prior knowledge.

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

type Sender = SendRequest<Full<Bytes>>;

async fn connect(server: &Server) -> Sender {
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn post(content_type: &str, target: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::post("http://localhost/")
        .header("content-type", content_type)
        .header("x-amz-target", target);
    for (name, value) in SIGNED.lines().filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    request.body(Full::new(body.into())).unwrap()
}

struct Reply2 {
    head: hyper::http::response::Parts,
    body: Bytes,
}

impl Reply2 {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

async fn send(sender: &mut Sender, request: Request<Full<Bytes>>) -> Reply2 {
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    Reply2 { head, body: body.collect().await.unwrap().to_bytes() }
}

#[tokio::test]
async fn both_encodings_are_answered_on_one_connection() {
    let server = Server::start();
    let mut sender = connect(&server).await;
    for (content_type, body, answer) in
        [(JSON, &b"{}"[..], &b"{}"[..]), (CBOR, b"\xbf\xff", b"\xbf\xff")]
    {
        let reply = send(&mut sender, post(content_type, "Fake.Echo", body)).await;
        assert_eq!(reply.head.status, StatusCode::OK);
        assert_eq!(reply.header("content-type"), Some(content_type));
        assert_eq!(reply.header("content-length"), Some(&*answer.len().to_string()));
        assert_eq!(reply.header("connection"), None);
        assert_eq!(reply.header("transfer-encoding"), None);
        assert!(reply.header("x-amzn-requestid").is_some() && reply.header("date").is_some());
        assert_eq!(reply.body, answer);
    }
}

#[tokio::test]
async fn body_over_the_cap_is_answered_without_ids() {
    let server = Server::with_bounds(Bounds { json_body_bytes_max: 10, ..Bounds::default() });
    let mut sender = connect(&server).await;
    let reply = send(&mut sender, post(JSON, "Fake.Echo", "{         }")).await;
    assert_eq!(reply.head.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(reply.header("x-amzn-requestid").is_none() && reply.header("x-amz-id-2").is_none());
    assert!(reply.body.is_empty());
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let server = Server::start();
    let mut sender = connect(&server).await;
    let body = format!("{{{}}}", " ".repeat(10 << 20));
    let reply = send(&mut sender, post(JSON, "Fake.Large", body)).await;
    assert_eq!((reply.head.status, reply.body.len()), (StatusCode::OK, 64 << 20));
}

#[tokio::test]
async fn panic_ends_its_stream_only() {
    let server = Server::start();
    let mut sender = connect(&server).await;
    let reply = send(&mut sender, post(JSON, "Fake.Panic", "{}")).await;
    assert_eq!(reply.head.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(reply.body, r#"{"__type":"InternalFailure"}"#);
    let reply = send(&mut sender, post(JSON, "Fake.Echo", "{}")).await;
    assert_eq!(reply.head.status, StatusCode::OK);
}

#[tokio::test]
async fn an_answer_to_head_has_a_length_and_no_body() {
    let server = Server::start();
    let mut sender = connect(&server).await;
    let request = Request::head("http://localhost/").body(Full::default()).unwrap();
    let reply = send(&mut sender, request).await;
    assert_eq!(reply.head.status, StatusCode::FORBIDDEN);
    assert_eq!(reply.header("content-length"), Some("130"));
    assert!(reply.body.is_empty());
}

#[tokio::test]
async fn an_answer_that_is_cut_ends_its_stream_only() {
    let server = Server::start();
    let mut sender = connect(&server).await;
    sender.send_request(post(JSON, "Fake.Cut", "{}")).await.unwrap_err();
    let reply = send(&mut sender, post(JSON, "Fake.Echo", "{}")).await;
    assert_eq!(reply.head.status, StatusCode::OK);
}

#[tokio::test]
async fn hundreds_of_streams_run_at_once() {
    let server = Server::start();
    let sender = connect(&server).await;
    let mut replies = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let mut sender = sender.clone();
        replies.spawn(async move { send(&mut sender, post(JSON, "Fake.Echo", "{}")).await });
    }
    let statuses = replies.join_all().await;
    assert!(statuses.iter().all(|reply| reply.head.status == StatusCode::OK));
    assert_eq!(server.metrics.connections.get(), 1);
}

#[tokio::test]
async fn idle_connection_is_told_to_go() {
    let bounds = Bounds { idle_time_max: Duration::from_millis(30), ..Bounds::default() };
    let server = Server::with_bounds(bounds);
    let mut sender = connect(&server).await;
    let reply = send(&mut sender, post(JSON, "Fake.Echo", "{}")).await;
    assert_eq!(reply.head.status, StatusCode::OK);
    while !sender.is_closed() {
        tokio::task::yield_now().await;
    }
}
