//! Clients that are slow on purpose. The times are those of the bounds, made short; at less than its
//! time a client is served however slow it is.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use kinelog::http::Bounds;
use kinelog_tests::raw::{self, Connection};

use crate::service::Service;
use crate::store;

/// Clients of one kind at once.
const CLIENTS: usize = 20;

fn short() -> Duration {
    Duration::from_millis(500)
}

/// Sends `bytes` one by one, for ever the last one, until the connection ends or answers; a good
/// client is served meanwhile. The first byte of the answer, and the time.
fn drip(service: &Service, bytes: &[u8]) -> (Option<u8>, Duration) {
    let mut good = used(service);
    let mut slow: Vec<_> = (0..CLIENTS).map(|_| (service.connect(), None)).collect();
    let start = Instant::now();
    for (connection, _) in &slow {
        connection.0.set_nonblocking(true).unwrap();
    }
    for round in 0.. {
        store(&mut good, "good");
        let byte = bytes.get(round).or(bytes.last()).copied();
        for (connection, end) in slow.iter_mut().filter(|(_, end)| end.is_none()) {
            *end = step(connection, byte).map(|answer| (answer, start.elapsed()));
        }
        if slow.iter().all(|(_, end)| end.is_some()) {
            break;
        }
    }
    let first = slow.iter().filter_map(|(_, end)| *end).min_by_key(|(_, time)| *time);
    first.unwrap()
}

/// Sends one byte; what came, once the connection ended (nothing) or answered (its first byte).
#[expect(clippy::option_option, reason = "the end of a connection may come without an answer")]
fn step(connection: &mut Connection, byte: Option<u8>) -> Option<Option<u8>> {
    use std::io::{Read, Write};
    let mut answer = [0];
    match connection.0.read(&mut answer) {
        Ok(0) => return Some(None),
        Ok(_) => return Some(Some(answer[0])),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(_) => return Some(None),
    }
    let sent = byte.map(|byte| connection.0.write_all(&[byte]));
    sent.is_some_and(|sent| sent.is_err()).then_some(None)
}

fn head(length: usize) -> String {
    format!("POST / HTTP/1.1\r\n{}Content-Length: {length}\r\n\r\n", raw::headers("ListStreams"))
}

#[test]
fn slow_head() {
    let service = Service::start(Bounds { head_time_max: short(), ..Bounds::default() });
    for start in ["P", "POST / HTTP/1.1\r\nX: y"] {
        let (answer, time) = drip(&service, start.as_bytes());
        assert!(answer.is_none(), "{start:?}: {answer:?}");
        assert!(time >= short(), "{start:?}: {time:?}");
    }
}

#[test]
fn slow_body() {
    let service = Service::start(Bounds {
        body_grace: short(),
        body_bytes_per_second_min: 1_000_000,
        ..Bounds::default()
    });
    let (answer, time) = drip(&service, (head(1 << 20) + "{ ").as_bytes());
    assert_eq!(answer, Some(b'H'), "it is told that it is too slow");
    assert!(time >= short(), "{time:?}");
}

#[test]
fn a_slow_client_is_served_within_its_time() {
    let service = Service::start(Bounds::default());
    let mut good = service.connect();
    let mut slow = service.connect();
    slow.0.set_nodelay(true).unwrap();
    for byte in (head(2) + "{}").bytes() {
        slow.send([byte]);
        store(&mut good, "good");
    }
    assert_eq!(slow.answer().unwrap().status, 200);
}

/// Stores 8 MiB; the call that reads them.
fn large_answer(service: &Service) -> Vec<u8> {
    let mut connection = service.connect();
    let data = "x".repeat(1 << 20);
    for _ in 0..8 {
        store(&mut connection, &data);
    }
    let body = format!(
        r#"{{"StreamName":"{}","ShardId":"shardId-000000000000","ShardIteratorType":"TRIM_HORIZON"}}"#,
        crate::STREAM
    );
    let iterator = connection.ok("GetShardIterator", body)["ShardIterator"].clone();
    raw::call("GetRecords", format!(r#"{{"ShardIterator":{iterator}}}"#))
}

#[test]
fn slow_reader() {
    let service = Service::start(Bounds { unread_time_max: short(), ..Bounds::default() });
    let call = large_answer(&service);
    let mut good = service.connect();
    let start = Instant::now();
    let mut slow: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut connection = service.connect();
            connection.send(&call);
            connection
        })
        .collect();
    store(&mut good, "good");
    service.wait_for_connections(1);
    assert!(start.elapsed() >= short());
    store(&mut good, "good");
    for connection in &mut slow {
        let read = connection.rest().len();
        assert!(read < 8 << 20, "{read} bytes of an answer that was given up");
    }
    assert_eq!(service.metric("kinelog_body_memory_bytes "), 0);
    // Whoever reads gets it all, at whatever pace.
    let mut reader = service.connect();
    assert!(reader.exchange(&call).unwrap().body.len() > 8 << 20);
}

#[test]
fn silent() {
    let service = Service::start(Bounds {
        head_time_max: short(),
        idle_time_max: 2 * short(),
        ..Bounds::default()
    });
    let start = Instant::now();
    let mut never: Vec<_> = (0..CLIENTS).map(|_| service.connect()).collect();
    let mut idle: Vec<_> = (0..CLIENTS).map(|_| used(&service)).collect();
    // Over HTTP/2, after whole settings and after half of a frame.
    let openings: [&[u8]; 2] = [b"\0\0\0\x04\0\0\0\0\0", b"\0\0\x04\x08\0\0\0\0\0\0"];
    let mut idle_2: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let mut connection = service.connect();
            connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            connection.send(openings[number % 2]);
            connection
        })
        .collect();
    drop(used(&service));
    for connection in &mut never {
        assert!(connection.rest().is_empty());
    }
    assert!(start.elapsed() >= short());
    for connection in &mut idle {
        assert!(connection.rest().is_empty());
    }
    assert!(start.elapsed() >= 2 * short());
    for connection in &mut idle_2 {
        // Its settings, the answer to ours, and word of the end.
        assert!(!connection.rest().is_empty());
    }
    drop(used(&service));
}

/// A connection that has had an answer; another one where the machine was too slow for this one.
fn used(service: &Service) -> Connection {
    loop {
        let mut connection = service.connect();
        if let Some(answer) = connection.exchange(head(2) + "{}") {
            assert_eq!(answer.status, 200);
            return connection;
        }
    }
}
