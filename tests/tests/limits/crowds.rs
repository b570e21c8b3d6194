//! Very many connections at once.

use std::time::{Duration, Instant};

use kinelog_tests::raw::{self, Connection};
use kinelog_tests::{Server, process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::{BINARY, STREAM, latency};

/// Idle connections of the good client's neighbours.
const IDLE: usize = 10_000;
/// Memory an idle connection that has been used may hold, in bytes, in a build without
/// optimisation, whose futures are larger.
const IDLE_BYTES_MAX: u64 = 32 << 10;
/// Calls of the good client in each part.
const CALLS: usize = 2_000;
/// Clients that come back at once.
const STORM: usize = 5_000;

fn start(directory: &std::path::Path, flags: &[&str]) -> Server {
    let flags = [&["--limits", "off", "--transition-ms", "1"], flags].concat();
    let server = Server::start(BINARY, &directory.join("data"), &flags);
    raw::create_stream(&mut Connection::open(server.address()), STREAM, 1);
    server
}

#[test]
fn conn_10k() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path(), &["--idle-seconds", "3600"]);
    let mut good = Connection::open(server.address());
    let before = latency(&mut good, CALLS);
    let (memory, descriptors) =
        (process::resident_kib(server.id()), process::descriptors(server.id()));
    let used = |_| {
        let mut connection = Connection::open(server.address());
        connection.ok("ListStreams", "{}");
        connection
    };
    let mut idle: Vec<_> = (0..IDLE).map(used).collect();
    let during = latency(&mut good, CALLS);
    let each = (process::resident_kib(server.id()) - memory) * 1024 / IDLE as u64;
    for connection in &mut idle {
        connection.ok("ListStreams", "{}");
    }
    drop(idle);
    // The store opens and closes files of its own meanwhile.
    while process::descriptors(server.id()) > descriptors + IDLE / 100 {}
    let after = latency(&mut good, CALLS);
    eprintln!(
        "{IDLE} idle connections: {each} bytes each; the good client's p50 and p99 before {before:?}, \
         during {during:?}, after {after:?}"
    );
    assert!(each <= IDLE_BYTES_MAX, "{each} bytes for a connection");
}

/// Connects and calls, again and again until it is answered.
async fn come_back(address: std::net::SocketAddr, call: &[u8]) -> u64 {
    let mut tries = 0;
    loop {
        tries += 1;
        if let Ok(mut stream) = TcpStream::connect(address).await {
            let mut status = [0; 12];
            let is_sent = stream.write_all(call).await.is_ok();
            if is_sent && stream.read_exact(&mut status).await.is_ok() {
                match &status {
                    b"HTTP/1.1 200" => return tries,
                    b"HTTP/1.1 503" => {} // It has too many at once, and says so.
                    other => panic!("{}", String::from_utf8_lossy(other)),
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // As a client backs off.
    }
}

#[tokio::test]
async fn reconnect_storm() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = start(directory.path(), &[]);
    let address = server.address();
    server.kill();
    let call: &'static [u8] = raw::call("PutRecord", raw::record(STREAM, "key", "storm")).leak();
    let mut storm = JoinSet::new();
    for _ in 0..STORM {
        storm.spawn(come_back(address, call));
    }
    // The storm is there before the server is.
    tokio::task::yield_now().await;
    let start = Instant::now();
    server = tokio::task::spawn_blocking(move || {
        server.start_again();
        server
    })
    .await
    .unwrap();
    let mut tries = Vec::new();
    while let Some(served) = storm.join_next().await {
        tries.push(served.unwrap());
    }
    let (most, all) = (tries.iter().max(), start.elapsed());
    eprintln!("{STORM} clients are served {all:?} after a restart began, at most {most:?} tries");
    let mut good = Connection::open(server.address());
    assert_eq!(raw::records(&mut good, STREAM, 0).len(), STORM, "each is stored once");
}
