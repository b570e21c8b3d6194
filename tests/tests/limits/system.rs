//! What the system lends: threads, descriptors and memory run out without harm.

use std::time::{Duration, Instant};

use kinelog_tests::raw::{self, Connection};
use kinelog_tests::{Server, process};

use crate::{BINARY, STREAM, store};

fn start(directory: &std::path::Path, limits: &str) -> Server {
    let flags = ["--limits", "off", "--transition-ms", "1"];
    let server = Server::start_within(limits, BINARY, &directory.join("data"), &flags);
    raw::create_stream(&mut Connection::open(server.address()), STREAM, 1);
    server
}

#[test]
fn threads_fixed() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path(), "true");
    let mut good = Connection::open(server.address());
    store(&mut good, "good");
    let at_rest = process::threads(server.id());
    let mut most = 0;
    let mut crowd = Vec::new();
    for number in 0..500 {
        let mut connection = Connection::open(server.address());
        store(&mut connection, "crowd");
        if number % 10 == 0 {
            raw::create_stream(&mut connection, &format!("stream-{number}"), 20);
        }
        crowd.push(connection);
    }
    for connection in &mut crowd {
        connection.send(raw::call("PutRecord", raw::record(STREAM, "key", "crowd")));
        most = most.max(process::threads(server.id()));
    }
    for connection in &mut crowd {
        let status = connection.answer().unwrap().status;
        assert!(matches!(status, 200 | 503), "{status}");
    }
    raw::records(&mut good, STREAM, 0);
    most = most.max(process::threads(server.id()));
    eprintln!("{at_rest} threads at rest, {most} under load");
    assert!(most <= at_rest, "{at_rest} threads became {most}");
}

#[test]
fn fd_limit_256() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path(), "ulimit -n 256");
    let mut good = Connection::open(server.address());
    store(&mut good, "good");
    let mut crowd: Vec<_> = (0..1_000).map(|_| Connection::open(server.address())).collect();
    let (mut served, mut refused) = (0, 0);
    for connection in &mut crowd {
        match connection.exchange(raw::call("ListStreams", "{}")) {
            Some(answer) => {
                assert_eq!(answer.status, 200);
                served += 1;
            }
            None => refused += 1,
        }
    }
    eprintln!(
        "256 descriptors: {served} connections served, {refused} refused, {} open",
        process::descriptors(server.id())
    );
    assert!(served >= 64 && refused > 0, "{served} {refused}");
    // Meanwhile the store has what it needs: new files and old ones.
    for number in 0..20 {
        raw::create_stream(&mut good, &format!("stream-{number}"), 10);
        let body = raw::record(&format!("stream-{number}"), "key", "good");
        good.ok("PutRecord", body);
        store(&mut good, "good");
    }
    assert_eq!(raw::records(&mut good, STREAM, 0).len(), 21);
    let (ticks, start) = (process::cpu_ticks(server.id()), Instant::now());
    wait(Duration::from_millis(500));
    let busy = Duration::from_millis(10 * (process::cpu_ticks(server.id()) - ticks));
    assert!(busy < start.elapsed() / 2, "it spins: {busy:?}");
    drop(crowd);
    loop {
        let again = Connection::open(server.address()).exchange(raw::call("ListStreams", "{}"));
        if again.is_some_and(|answer| answer.status == 200) {
            break;
        }
    }
    store(&mut good, "good");
}

/// Lets time pass, to measure what happens in it.
fn wait(time: Duration) {
    let (_nobody, silence) = std::sync::mpsc::channel::<()>();
    silence.recv_timeout(time).unwrap_err();
}

/// Bodies that are never finished and answers that are never read, far more than there is memory for.
#[test]
fn mem_limit_256m() {
    const LIMIT_KIB: u64 = 256 << 10;
    let directory = tempfile::tempdir().unwrap();
    // Private memory, which the system refuses beyond it: a server that asks for more dies.
    let server = start(directory.path(), &format!("ulimit -d {LIMIT_KIB}"));
    let record = raw::record(STREAM, "key", &"x".repeat(1 << 20));
    let mut hoard = Vec::new();
    let (mut stored, mut shed) = (0, 0);
    for _ in 0..60 {
        // 13 MiB of a body of 16.
        let mut body = Connection::open(server.address());
        let head = format!(
            "POST / HTTP/1.1\r\n{}Content-Length: 16000000\r\n\r\n",
            raw::headers("PutRecords")
        );
        body.send(head + &" ".repeat(13 << 20));
        hoard.push(body);
        let mut put = Connection::open(server.address());
        match put.exchange(raw::call("PutRecord", &record)).map(|answer| answer.status) {
            Some(200) => stored += 1,
            Some(503 | 400) => shed += 1,
            other => panic!("{other:?}"),
        }
    }
    let peak = process::peak_kib(server.id());
    eprintln!("256 MiB: {stored} stored, {shed} shed, {peak} KiB at most");
    assert!(stored > 0 && peak <= LIMIT_KIB, "{stored} stored, {peak} KiB");
    drop(hoard);
    // Opened only now: the server ends a connection that waits too long with its first request.
    let mut good = Connection::open(server.address());
    while good.exchange(raw::call("PutRecord", &record)).unwrap().status != 200 {}
    // Answers that nobody reads: 10 MiB each.
    let body = format!(
        r#"{{"StreamName":"{STREAM}","ShardId":"shardId-000000000000","ShardIteratorType":"TRIM_HORIZON"}}"#
    );
    let iterator = good.ok("GetShardIterator", body)["ShardIterator"].clone();
    let call = raw::call("GetRecords", format!(r#"{{"ShardIterator":{iterator}}}"#));
    let unread: Vec<_> = (0..60)
        .map(|_| {
            let mut connection = Connection::open(server.address());
            connection.send(&call);
            connection
        })
        .collect();
    for _ in 0..20 {
        let status = good.exchange(raw::call("ListStreams", "{}")).unwrap().status;
        assert!(matches!(status, 200 | 503), "{status}");
    }
    let peak = process::peak_kib(server.id());
    eprintln!("and 60 answers unread: {peak} KiB at most");
    assert!(peak <= LIMIT_KIB, "{peak} KiB");
    drop(unread);
    while good.exchange(raw::call("PutRecord", &record)).unwrap().status != 200 {}
}
