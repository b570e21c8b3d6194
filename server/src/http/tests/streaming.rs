//! Event streams over both versions of HTTP: framing, the client's pace, and every way they end.

use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;
use crate::aws::event_stream::{self, Message, Payload, take_message};
use crate::aws::output::Events;

/// Bytes of each payload of `Endless` and `Unread`.
const LARGE: usize = 256 << 10;

/// Messages that the stream of `Endless` was asked for; one test has it.
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// Streams of `Watched` that are open; one test has them.
static WATCHED: AtomicUsize = AtomicUsize::new(0);

struct Open;

impl Drop for Open {
    fn drop(&mut self) {
        WATCHED.fetch_sub(1, Ordering::SeqCst);
    }
}

/// `Events` ends after two, `Waiting` and `Watched` stay silent, `Endless` and `Unread` go on,
/// `Broken` panics after the first.
pub(super) fn events(operation: &'static str, encoding: Encoding) -> Events {
    Events::new(move |out| async move {
        out.emit(event_stream::initial_response(encoding)).await;
        match operation {
            "Events" => {
                out.emit(event_stream::event("E", encoding, Payload::whole(b"1"))).await;
                out.emit(event_stream::event("E", encoding, Payload::whole(b"2"))).await;
            }
            "Waiting" => std::future::pending().await,
            "Watched" => {
                WATCHED.fetch_add(1, Ordering::SeqCst);
                let _open = Open;
                out.emit(event_stream::event("E", encoding, Payload::whole(b"1"))).await;
                std::future::pending::<()>().await;
            }
            "Broken" => panic!("a panic of the test"),
            _ => loop {
                ASKED.fetch_add(usize::from(operation == "Endless"), Ordering::SeqCst);
                let large = vec![b' '; LARGE];
                out.emit(event_stream::event("E", encoding, Payload::whole(&large))).await;
            },
        }
    })
}

/// The bytes of a stream as they come in.
enum Stream {
    Http1(Client),
    Http2(Incoming),
}

struct Reader {
    head: hyper::http::response::Parts,
    stream: Stream,
    received: bytes::BytesMut,
}

/// A connection that carries a stream, by version.
async fn subscribe(server: &Server, version: u8, operation: &str, window: u32) -> Reader {
    let target = format!("Fake.{operation}");
    if version == 1 {
        let headers = format!("Content-Type: {JSON}\r\nX-Amz-Target: {target}\r\n{SIGNED}");
        let mut client = server.connect();
        client.write(request("POST", &headers, "{}"));
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.byte().unwrap());
        }
        let mut response = hyper::Response::builder();
        for line in String::from_utf8(head).unwrap().lines().skip(1) {
            if let Some((name, value)) = line.split_once(": ") {
                response = response.header(name, value);
            }
        }
        let head = response.body(()).unwrap().into_parts().0;
        return Reader { head, stream: Stream::Http1(client), received: bytes::BytesMut::new() };
    }
    let socket = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(socket))
        .await
        .unwrap();
    tokio::spawn(connection);
    let (head, body) = sender.send_request(post(&target)).await.unwrap().into_parts();
    Reader { head, stream: Stream::Http2(body), received: bytes::BytesMut::new() }
}

fn post(target: &str) -> Request<Full<Bytes>> {
    let mut request = Request::post("http://localhost/")
        .header("content-type", JSON)
        .header("x-amz-target", target);
    for (name, value) in SIGNED.lines().filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    request.body(Full::new(Bytes::from_static(b"{}"))).unwrap()
}

impl Reader {
    /// The next piece; `None` at the end, and an error where the stream was broken off.
    async fn piece(&mut self) -> Option<Result<Bytes, ()>> {
        match &mut self.stream {
            Stream::Http1(client) => client.chunk(),
            Stream::Http2(body) => {
                let frame = body.frame().await?;
                Some(frame.map_err(drop).map(|frame| frame.into_data().unwrap()))
            }
        }
    }

    /// The next message; `None` at the end.
    async fn message(&mut self) -> Option<Result<Message, ()>> {
        loop {
            let mut received = self.received.clone().freeze();
            if let Some(message) = take_message(&mut received).unwrap() {
                self.received = received.as_ref().into();
                return Some(Ok(message));
            }
            match self.piece().await {
                Some(Ok(piece)) => self.received.extend_from_slice(&piece),
                Some(Err(())) => return Some(Err(())),
                None => {
                    assert!(self.received.is_empty(), "the stream ends between two messages");
                    return None;
                }
            }
        }
    }

    async fn event(&mut self) -> (String, Bytes) {
        let message = self.message().await.unwrap().unwrap();
        assert_eq!(message.header(":message-type"), Some("event"));
        assert_eq!(message.header(":content-type"), Some(JSON));
        (message.header(":event-type").unwrap().to_owned(), message.payload)
    }

    async fn expect_first(&mut self) {
        let (name, payload) = self.event().await;
        assert_eq!((name.as_str(), &payload[..]), ("initial-response", &b"{}"[..]));
    }
}

impl Client {
    /// The next chunk; `None` after the last one.
    fn chunk(&mut self) -> Option<Result<Bytes, ()>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let Some(byte) = self.byte() else { return Some(Err(())) };
            line.push(byte);
        }
        let length = std::str::from_utf8(&line).unwrap().trim_end();
        let length = usize::from_str_radix(length, 16).unwrap();
        let mut chunk = vec![0; length + 2];
        if self.0.read_exact(&mut chunk).is_err() {
            return Some(Err(()));
        }
        assert_eq!(chunk.split_off(length), b"\r\n");
        (length > 0).then(|| Ok(chunk.into()))
    }
}

const WINDOW: u32 = 64 << 10;

#[tokio::test]
async fn a_stream_has_its_media_type_its_ids_and_no_length() {
    let server = Server::start();
    for version in [1, 2] {
        let reader = subscribe(&server, version, "Waiting", WINDOW).await;
        let header = |name: &str| reader.head.headers.get(name).map(|it| it.to_str().unwrap());
        assert_eq!(header("content-type"), Some("application/vnd.amazon.eventstream"));
        assert_eq!(header("content-length"), None);
        assert_eq!(header("transfer-encoding"), (version == 1).then_some("chunked"));
        assert!(header("x-amzn-requestid").is_some() && header("x-amz-id-2").is_some());
    }
}

#[tokio::test]
async fn messages_leave_at_once_and_the_stream_ends_cleanly() {
    let server = Server::start();
    for version in [1, 2] {
        let mut waiting = subscribe(&server, version, "Waiting", WINDOW).await;
        waiting.expect_first().await;
        let mut reader = subscribe(&server, version, "Events", WINDOW).await;
        reader.expect_first().await;
        for payload in ["1", "2"] {
            assert_eq!(reader.event().await, ("E".to_owned(), payload.into()));
        }
        assert!(reader.message().await.is_none());
    }
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_stream() {
    let server = Server::start();
    let mut reader = subscribe(&server, 1, "Events", WINDOW).await;
    while reader.message().await.is_some() {}
    let Stream::Http1(mut client) = reader.stream else { unreachable!() };
    let headers = format!("Content-Type: {JSON}\r\nX-Amz-Target: Fake.Echo\r\n{SIGNED}");
    client.write(request("POST", &headers, "{}"));
    client.reply().assert(200, Some(JSON), "{}");
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_stream_at_its_source() {
    let server = Server::start();
    let mut reader = subscribe(&server, 2, "Endless", WINDOW).await;
    reader.expect_first().await;
    while ASKED.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    // The window has room for a part of one message: nobody asks for the next one.
    for read in 1..=20 {
        let mut other = subscribe(&server, 2, "Waiting", WINDOW).await;
        other.expect_first().await;
        assert!(ASKED.load(Ordering::SeqCst) <= read);
        assert_eq!(reader.event().await.1.len(), LARGE);
    }
}

#[tokio::test]
async fn a_stream_that_nobody_reads_is_broken_off_after_its_own_time() {
    for version in [1, 2] {
        let bounds = Bounds {
            stalled_time_max: Duration::from_millis(30),
            unread_time_max: Duration::from_mins(10),
            idle_time_max: Duration::from_mins(10),
            ..Bounds::default()
        };
        let server = Server::with_bounds(bounds);
        let mut reader = subscribe(&server, version, "Unread", WINDOW).await;
        // Over HTTP/1.1 the connection ends, over HTTP/2 the stream does.
        match &mut reader.stream {
            Stream::Http1(_) => {
                while server.metrics.connections.get() > 0 {
                    tokio::task::yield_now().await;
                }
            }
            Stream::Http2(body) => while !matches!(body.frame().await, Some(Err(_))) {},
        }
    }
}

#[tokio::test]
async fn a_silent_stream_is_neither_idle_nor_unread() {
    for version in [1, 2] {
        // Long enough for a busy machine to bring the head of a request in.
        let short = Duration::from_millis(200);
        let bounds = Bounds { unread_time_max: short, idle_time_max: short, ..Bounds::default() };
        let server = Server::with_bounds(bounds);
        let mut reader = subscribe(&server, version, "Waiting", WINDOW).await;
        reader.expect_first().await;
        // Connections without a stream are closed one after the other, long after that time.
        for _ in 0..3 {
            let mut idle = server.connect();
            let headers = format!("Content-Type: {JSON}\r\nX-Amz-Target: Fake.Echo\r\n{SIGNED}");
            idle.write(request("POST", &headers, "{}"));
            assert_eq!(idle.reply().status(), 200);
            assert!(idle.is_closed());
        }
        server.running.stop();
        assert!(reader.message().await.is_none(), "it is there to be ended by the stop");
    }
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams_cleanly() {
    for version in [1, 2] {
        let server = Server::with_grace(Bounds::default(), Duration::from_mins(10));
        let mut waiting = subscribe(&server, version, "Waiting", WINDOW).await;
        waiting.expect_first().await;
        let running = server.running;
        let stopping = std::thread::spawn(move || running.stop());
        assert!(waiting.message().await.is_none());
        drop(waiting);
        stopping.join().unwrap();
    }
}

#[tokio::test]
async fn a_panic_breaks_off_its_stream_only() {
    let server = Server::start();
    for version in [1, 2] {
        let mut reader = subscribe(&server, version, "Broken", WINDOW).await;
        reader.expect_first().await;
        assert_eq!(reader.message().await, Some(Err(())));
        assert_eq!(server.metrics.panics.get(), u64::from(version));
    }
    server.post(JSON, "Fake.Echo", "{}").assert(200, Some(JSON), "{}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_stream() {
    let server = Server::start();
    for version in [1, 2] {
        let mut reader = subscribe(&server, version, "Waiting", WINDOW).await;
        reader.expect_first().await;
        drop(reader);
        while server.metrics.connections.get() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_client_that_cancels_ends_its_stream_and_keeps_its_connection() {
    let server = Server::start();
    let socket = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let mut body = sender.send_request(post("Fake.Watched")).await.unwrap().into_body();
        assert!(body.frame().await.unwrap().is_ok());
        while WATCHED.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        drop(body);
        while WATCHED.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    }
    let reply = sender.send_request(post("Fake.Echo")).await.unwrap();
    assert_eq!(reply.status(), hyper::StatusCode::OK);
}

#[tokio::test]
async fn hundreds_of_streams_share_a_connection() {
    let server = Server::start();
    let socket = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    let mut streams = Vec::new();
    for _ in 0..400 {
        let request = post("Fake.Waiting");
        let mut body = sender.clone().send_request(request).await.unwrap().into_body();
        assert!(body.frame().await.unwrap().is_ok());
        streams.push(body);
    }
    assert!(streams.iter().all(|body| !body.is_end_stream()));
    assert_eq!(server.metrics.connections.get(), 1);
}
