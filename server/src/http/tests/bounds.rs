//! Bounds of size, time, memory and number: at them, and beyond them.

use std::rc::Rc;

use tokio::sync::watch::Receiver;

use super::*;
use crate::http::connection::Protocols;
use crate::http::opening;
use crate::http::pipeline::Front;

fn short() -> Duration {
    Duration::from_millis(30)
}

/// A JSON map of exactly `length` bytes.
fn padded(length: usize) -> String {
    format!("{{{}}}", " ".repeat(length - 2))
}

/// The head of a request with a body of `length` bytes.
fn head(length: usize) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {JSON}\r\nX-Amz-Target: Fake.Echo\r\n\
         {SIGNED}Content-Length: {length}\r\n\r\n"
    )
}

fn assert_too_large(reply: &Reply) {
    reply.assert(413, None, "");
    assert_eq!(reply.header("transfer-encoding"), Some("chunked"));
    assert_eq!(reply.header("content-length"), None);
    assert_eq!(reply.header("x-amzn-requestid"), None);
    assert_eq!(reply.header("x-amz-id-2"), None);
}

#[test]
fn body_cap_is_exact_in_each_encoding() {
    let bounds = Bounds { json_body_bytes_max: 9_000, cbor_body_bytes_max: 5, ..Bounds::default() };
    let server = Server::with_bounds(bounds);
    server.post(JSON, "Fake.Echo", padded(9_000)).assert(200, Some(JSON), "{}");
    assert_too_large(&server.post(JSON, "Fake.Echo", padded(9_001)));
    assert_too_large(&server.post("text/plain", "Fake.Echo", padded(9_001)));
    server.post(CBOR, "Fake.Echo", b"\xbf\x61a\x01\xff").assert(200, Some(CBOR), b"\xbf\xff");
    assert_too_large(&server.post(CBOR, "Fake.Echo", b"\xbf\x61a\x18\x20\xff"));
}

#[test]
fn body_cap_counts_chunked_bodies() {
    let bounds = Bounds { json_body_bytes_max: 8, ..Bounds::default() };
    let server = Server::with_bounds(bounds);
    for (rest, status) in [("7\r\n       \r\n", 200), ("8\r\n        \r\n", 413)] {
        let head = head(0).replace("Content-Length: 0", "Transfer-Encoding: chunked");
        let reply =
            server.send(format!("{head}1\r\n{{\r\n{rest}0\r\n\r\n").replace("  \r", " }\r"));
        assert_eq!(reply.status(), status);
    }
}

#[test]
fn large_body_is_read_whole() {
    let server = Server::start();
    server.post(JSON, "Fake.Echo", padded(16 << 20)).assert(200, Some(JSON), "{}");
    assert_too_large(&server.post(JSON, "Fake.Echo", padded((16 << 20) + 1)));
}

#[test]
fn body_that_is_declared_absurdly_long_is_refused_unread() {
    let server = Server::start();
    let mut client = server.connect();
    client.write(head(usize::MAX / 4));
    assert_too_large(&client.reply());
    assert!(client.is_closed());
}

#[test]
fn bodies_over_the_memory_for_all_are_shed() {
    let server = Server::with_bounds(Bounds { body_memory_bytes_max: 100, ..Bounds::default() });
    let expected = r#"{"__type":"ServiceUnavailable"}"#;
    server.post(JSON, "Fake.Echo", padded(100)).assert(200, Some(JSON), "{}");
    let shed = server.post(JSON, "Fake.Echo", padded(101));
    shed.assert(503, Some(JSON), expected);
    shed.assert_ids();
    let held = || server.metrics.body_memory_bytes.get();
    while held() > 0 {}
    let mut holder = server.connect();
    holder.write(head(100) + &padded(100)[..60]);
    while held() < 60 {}
    server.post(JSON, "Fake.Echo", padded(41)).assert(503, Some(JSON), expected);
    drop(holder);
    while server.post(JSON, "Fake.Echo", padded(100)).status() != 200 {} // Until it is gone.
}

#[test]
fn answers_that_nobody_reads_keep_requests_out() {
    let bounds = Bounds { body_memory_bytes_max: 32 << 20, ..Bounds::default() };
    let server = Server::with_bounds(bounds);
    let mut lazy = server.connect();
    lazy.write(head(2).replace("Echo", "Large") + "{}");
    while server.post(JSON, "Fake.Echo", "{}").status() != 503 {} // Until the answer is made.
    drop(lazy);
    while server.post(JSON, "Fake.Echo", "{}").status() != 200 {} // Until it is given up.
}

#[test]
fn an_unread_answer_counts_as_the_memory_it_lies_in() {
    let server = Server::with_bounds(Bounds::default());
    let mut lazy = server.connect();
    lazy.write(head(2).replace("Echo", "Roomy") + "{}");
    let held = || usize::try_from(server.metrics.body_memory_bytes.get()).unwrap();
    while held() < ROOMY_BYTES.0 {} // Until the answer is made.
    assert_eq!(held() >> 20, ROOMY_BYTES.1 >> 20);
    drop(lazy);
    while held() > 0 {} // Until it is given up.
}

#[test]
fn a_long_read_is_given_up_where_memory_has_run_out_since_it_began() {
    let bounds = Bounds { body_memory_bytes_max: 32 << 20, ..Bounds::default() };
    let server = Server::with_bounds(bounds);
    let [mut late, mut lazy, mut in_time] = [(); 3].map(|()| server.connect());
    let call = |operation| head(2).replace("Echo", operation) + "{}";
    in_time.write(call("Late"));
    while server.api.late_begun.load(Ordering::SeqCst) < 1 {}
    server.api.late.notify_one();
    in_time.reply().assert(200, Some(JSON), "{}");
    late.write(call("Late"));
    while server.api.late_begun.load(Ordering::SeqCst) < 2 {}
    lazy.write(call("Large"));
    while server.post(JSON, "Fake.Echo", "{}").status() != 503 {} // Until the answer is made.
    server.api.late.notify_one();
    late.reply().assert(503, Some(JSON), r#"{"__type":"ServiceUnavailable"}"#);
}

#[test]
fn connection_without_a_head_is_closed() {
    let server = Server::with_bounds(Bounds { head_time_max: short(), ..Bounds::default() });
    for start in ["", "P", "PRI", "POST / HTTP/1.1\r\nHost: a\r\n"] {
        let mut client = server.connect();
        client.write(start);
        assert!(client.is_closed(), "{start}");
    }
}

#[test]
fn head_in_drips_is_closed() {
    let server = Server::with_bounds(Bounds { head_time_max: short(), ..Bounds::default() });
    let mut client = server.connect();
    client.write("POST / HTTP/1.1\r\n");
    client.0.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    // Every millisecond one byte, and never enough of them for another refusal.
    while client.0.write_all(b"x").is_ok() {
        match client.0.read(&mut [0]) {
            Ok(0) => return,
            Ok(_) => panic!("the head was answered"),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

#[test]
fn second_head_has_its_own_time() {
    let bounds = Bounds { head_time_max: short(), ..Bounds::default() };
    let server = Server::with_bounds(bounds);
    let mut client = server.connect();
    client.write(head(2) + "{}POST / HT");
    assert_eq!(client.reply().status(), 200);
    assert!(client.is_closed());
}

#[test]
fn idle_connection_is_closed_after_its_answer() {
    let server = Server::with_bounds(Bounds { idle_time_max: short(), ..Bounds::default() });
    let mut client = server.connect();
    client.write(head(2) + "{}");
    assert_eq!(client.reply().status(), 200);
    assert!(client.is_closed());
}

#[test]
fn slow_body_is_answered_and_closed() {
    let bounds =
        Bounds { body_grace: short(), body_bytes_per_second_min: 1_000, ..Bounds::default() };
    let server = Server::with_bounds(bounds);
    for sent in ["", "{   "] {
        let mut client = server.connect();
        client.write(head(100) + sent);
        let reply = client.reply();
        assert_eq!(reply.status(), 408);
        assert!(client.is_closed());
    }
}

#[test]
fn body_at_the_slowest_pace_is_taken() {
    let bounds =
        Bounds { body_grace: Duration::ZERO, body_bytes_per_second_min: 1, ..Bounds::default() };
    let server = Server::with_bounds(bounds);
    let mut client = server.connect();
    client.write(head(1_000) + &padded(1_000)[..999]);
    client.write("}");
    assert_eq!(client.reply().status(), 200);
}

#[test]
fn answer_that_nobody_reads_is_given_up() {
    let server = Server::with_bounds(Bounds { unread_time_max: short(), ..Bounds::default() });
    let mut client = server.connect();
    client.write(head(2).replace("Echo", "Large") + "{}");
    assert_eq!(client.byte(), Some(b'H'));
    while server.metrics.connections.get() > 0 {
        std::thread::yield_now();
    }
    let mut read = Vec::new();
    let complete = client.0.read_to_end(&mut read).is_ok() && read.len() >= 64 << 20;
    assert!(!complete);
}

#[test]
fn answer_that_is_read_arrives_whole() {
    let server = Server::start();
    let reply = server.post(JSON, "Fake.Large", "{}");
    assert_eq!((reply.status(), reply.body.len()), (200, 64 << 20));
}

#[test]
fn connections_beyond_the_bound_are_closed_at_once() {
    let server = Server::with_bounds(Bounds { connections_max: 2, ..Bounds::default() });
    let (mut one, mut two) = (server.connect(), server.connect());
    for client in [&mut one, &mut two] {
        client.write(head(2) + "{}");
        assert_eq!(client.reply().status(), 200);
    }
    assert!(server.connect().is_closed());
    assert_eq!(server.metrics.refused_connections.get(), 1);
    drop(one);
    while server.metrics.connections.get() > 1 {}
    let mut three = server.connect();
    three.write(head(2) + "{}");
    assert_eq!(three.reply().status(), 200);
}

#[test]
fn head_is_bounded_in_lines_and_bytes() {
    let server = Server::start();
    let lines = |count: usize| "X-Line: 1\r\n".repeat(count);
    let bytes = |count: usize| format!("X-Long: {}\r\n", "x".repeat(count));
    let send = |headers: String| {
        let mut client = server.connect();
        client.write(format!("GET / HTTP/1.1\r\n{headers}\r\n"));
        client.reply().status()
    };
    assert_eq!(send(lines(100)), 403);
    assert_eq!(send(lines(101)), 431);
    assert_eq!(send(bytes(60_000)), 403);
    assert_eq!(send(bytes(66_000)), 431);
}

#[test]
fn stop_lets_a_request_finish_and_takes_no_new_connection() {
    let server = Server::with_grace(Bounds::default(), Duration::from_mins(10));
    let (address, metrics) = (server.address(), Arc::clone(&server.metrics));
    let mut busy = server.connect();
    let mut idle = server.connect();
    busy.write(head(100) + &padded(100)[..50]);
    idle.write(head(2) + "{}");
    assert_eq!(idle.reply().status(), 200);
    while metrics.connections.get() < 2 {}
    let stopping = std::thread::spawn(move || server.running.stop());
    assert!(idle.is_closed());
    while TcpStream::connect(address).is_ok() {}
    busy.write(&padded(100)[50..]);
    busy.reply().assert(200, Some(JSON), "{}");
    assert!(busy.is_closed());
    stopping.join().unwrap();
}

#[test]
fn a_connection_at_rest_keeps_no_room_for_handshakes_and_requests() {
    fn bytes<F, S>(_: F) -> usize
    where
        F: FnOnce(tokio::net::TcpStream, Rc<Front<Fake>>, &'static Protocols, Receiver<bool>) -> S,
    {
        size_of::<S>()
    }
    let bytes = bytes(opening::serve::<Fake>);
    assert!(bytes <= 1024, "{bytes}");
}
