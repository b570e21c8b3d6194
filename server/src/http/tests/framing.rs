//! Framing of HTTP/1.1: what could be read in two ways is refused and ends the connection.

use super::*;

fn post(headers: &str, rest: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {JSON}\r\nX-Amz-Target: Fake.Echo\r\n\
         {SIGNED}{headers}\r\n{rest}"
    )
}

#[test]
fn every_address_is_served() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = Server::listening(vec![any, any, any]);
    let addresses = server.running.addresses().to_vec();
    assert_eq!(addresses.len(), 3);
    for address in addresses.iter().chain(&addresses) {
        let mut client = Client(TcpStream::connect(address).unwrap());
        client.write(request("GET", "", ""));
        assert_eq!(client.reply().status(), 403);
    }
}

#[test]
fn ambiguous_framing_is_refused_and_ends_the_connection() {
    let server = Server::start();
    let chunks = "2\r\n{}\r\n0\r\n\r\n";
    for headers in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Content-Length: 12\r\nContent-Length: 12\r\n",
        "Content-Length: 12\r\nContent-Length: 2\r\n",
        "Content-Length: +12\r\n",
        "Content-Length: 12, 12\r\n",
        "Content-Length : 12\r\n",
        "Content-Length: 0xc\r\n",
        "X-Folded: a\r\n Content-Length: 12\r\n",
        "X-Return: a\rContent-Length: 12\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        let mut client = server.connect();
        client.write(post(headers, chunks));
        let reply = client.reply();
        assert_eq!(reply.status(), 400, "{headers}");
        assert_eq!(reply.header("x-amzn-requestid"), None, "{headers}");
        assert!(client.is_closed(), "{headers}");
    }
}

#[test]
fn ambiguous_framing_is_found_behind_other_requests() {
    let server = Server::start();
    let mut client = server.connect();
    let good = post("Content-Length: 2\r\n", "{}");
    let bad = post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
    client.write(format!("{good}{good}{bad}{good}"));
    assert_eq!(client.reply().status(), 200);
    assert_eq!(client.reply().status(), 200);
    assert_eq!(client.reply().status(), 400);
    assert!(client.is_closed());
}

#[test]
fn chunked_body_is_taken_and_ends_the_connection() {
    let server = Server::start();
    let mut client = server.connect();
    let chunked = post("Transfer-Encoding: chunked\r\n", "1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n");
    client.write(format!("{chunked}{chunked}"));
    let reply = client.reply();
    reply.assert(200, Some(JSON), "{}");
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn broken_chunks_are_refused() {
    let server = Server::start();
    for chunks in ["x\r\n{}\r\n0\r\n\r\n", "2\r\n{}x\r\n0\r\n\r\n", "11111111111111111\r\n"] {
        let mut client = server.connect();
        client.write(post("Transfer-Encoding: chunked\r\n", chunks));
        assert_eq!(client.reply().status(), 400, "{chunks}");
        assert!(client.is_closed(), "{chunks}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start();
    let mut client = server.connect();
    let targets = ["Fake.Echo", "Fake.Fail", "Fake.Nothing", "Fake.Unknown", "Fake.Echo"];
    let requests = targets.map(|target| {
        let headers = format!("Content-Type: {JSON}\r\nX-Amz-Target: {target}\r\n{SIGNED}");
        request("POST", &headers, "{}")
    });
    client.write(requests.concat());
    let statuses: Vec<_> = targets.iter().map(|_| client.reply().status()).collect();
    assert_eq!(statuses, [200, 400, 200, 400, 200]);
}

#[test]
fn request_in_single_bytes_is_answered() {
    let server = Server::start();
    let mut client = server.connect();
    client.0.set_nodelay(true).unwrap();
    for byte in post("Content-Length: 2\r\n", "{}").bytes() {
        client.write([byte]);
    }
    client.reply().assert(200, Some(JSON), "{}");
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let server = Server::start();
    let mut client = server.connect();
    client.write(post("Content-Length: 2\r\n", "{}").replace("HTTP/1.1", "HTTP/1.0"));
    client.reply().assert(200, Some(JSON), "{}");
    assert!(client.is_closed());
}

#[test]
fn garbage_is_refused() {
    let server = Server::start();
    for garbage in
        ["\0\0\0\0\r\n\r\n", "hello\r\n\r\n", "POST / HTTP/9.9\r\n\r\n", "PRI * HTTP/1.1\r\n"]
    {
        let mut client = server.connect();
        client.write(garbage);
        client.finish_writing();
        if let Some(reply) = client.try_reply() {
            assert_eq!(reply.status(), 400, "{garbage:?}");
        }
        assert!(client.is_closed(), "{garbage:?}");
    }
}

#[test]
fn content_encoding_is_refused() {
    let server = Server::start();
    let reply = server.send(post("Content-Length: 2\r\nContent-Encoding: gzip\r\n", "{}"));
    reply.assert(415, None, "");
    reply.assert_ids();
}

#[test]
fn expect_continue_is_answered_before_the_body() {
    let server = Server::start();
    let mut client = server.connect();
    client.write(post("Content-Length: 2\r\nExpect: 100-continue\r\n", ""));
    assert_eq!(client.reply().status(), 100);
    client.write("{}");
    client.reply().assert(200, Some(JSON), "{}");
}

#[test]
fn requests_are_answered_also_when_the_client_sends_no_more() {
    let server = Server::start();
    let slow = |operation| post("Content-Length: 2\r\n", "{}").replace("Echo", operation);
    for requests in [vec!["Slow"], vec!["Slow"; 3], vec!["Echo", "Slow", "Echo"]] {
        let mut client = server.connect();
        client.write(requests.iter().map(|operation| slow(operation)).collect::<String>());
        client.finish_writing();
        for operation in &requests {
            let reply = client.try_reply().unwrap_or_else(|| panic!("{operation} of {requests:?}"));
            reply.assert(200, Some(JSON), "{}");
        }
        assert!(client.is_closed());
    }
}

#[test]
fn half_a_request_ends_with_its_connection() {
    let server = Server::start();
    for headers in ["Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut client = server.connect();
        client.write(post(headers, "2"));
        client.finish_writing();
        if let Some(reply) = client.try_reply() {
            assert_eq!(reply.status(), 400);
        }
        assert!(client.is_closed(), "long before the time of a slow body");
    }
}
