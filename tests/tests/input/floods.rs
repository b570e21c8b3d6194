//! Floods of HTTP/2 frames that cost the client nothing: each ends its connection, soon, and costs
//! the server no memory to speak of.

use kinelog_tests::raw::Connection;
use kinelog_tests::{Server, process};

use super::{start, store};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const UNKNOWN: u8 = 0x77;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Frames of one flood.
const FRAMES: u32 = 100_000;
/// What all floods together may add to the server's memory, in KiB.
const MEMORY_KIB_MAX: u64 = 32 << 10;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `POST http://a/` without further headers, whole or not.
fn post(stream: u32, flags: u8) -> Vec<u8> {
    frame(HEADERS, flags, stream, b"\x83\x86\x84\x41\x01a")
}

/// A connection that speaks HTTP/2.
fn connect(server: &Server) -> Connection {
    let mut connection = Connection::open(server.address());
    connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    connection.send(frame(SETTINGS, 0, 0, &[]));
    connection
}

/// The nth frame of a flood, behind what opens it.
type Flood = (&'static str, fn() -> Vec<u8>, fn(u32) -> Vec<u8>);

const FLOODS: &[Flood] = &[
    ("rapid reset", Vec::new, |n| {
        let (stream, cancel) = (2 * n + 1, 8_u32.to_be_bytes());
        [post(stream, END_STREAM | END_HEADERS), frame(RST_STREAM, 0, stream, &cancel)].concat()
    }),
    ("resets by nonsense", Vec::new, |n| {
        // A window update of nothing makes the server reset the stream.
        let stream = 2 * n + 1;
        [post(stream, END_HEADERS), frame(8, 0, stream, &[0; 4])].concat()
    }),
    ("settings", Vec::new, |_| frame(SETTINGS, 0, 0, &[])),
    ("large settings", Vec::new, |n| {
        let entry = [&4_u16.to_be_bytes()[..], &(65_535 + n % 2).to_be_bytes()].concat();
        frame(SETTINGS, 0, 0, &entry.repeat(100))
    }),
    ("ping", Vec::new, |n| frame(PING, 0, 0, &u64::from(n).to_be_bytes())),
    ("priority", Vec::new, |n| frame(PRIORITY, 0, 2 * n + 1, &[0, 0, 0, 0, 1])),
    ("unknown frames", Vec::new, |_| frame(UNKNOWN, 0, 0, b"x")),
    ("empty data", || post(1, END_HEADERS), |_| frame(DATA, 0, 1, &[])),
    ("continuation", || post(1, 0), |_| frame(CONTINUATION, 0, 1, &[])),
    (
        "continuation with headers",
        || post(1, 0),
        |n| {
            let name = format!("{n:08}");
            let field = [&[0x40, 8], name.as_bytes(), &[127, 128, 7], &[b'x'; 1_023]].concat();
            frame(CONTINUATION, 0, 1, &field)
        },
    ),
    ("headers without an end", Vec::new, |n| post(2 * n + 1, 0)),
    ("streams without an end", Vec::new, |n| post(2 * n + 1, END_HEADERS)),
];

/// Sends a flood until the server has closed; how many frames it took.
fn flood(server: &Server, (name, opening, frame): &Flood) -> u32 {
    let mut connection = connect(server);
    connection.send(opening());
    for n in 0..FRAMES {
        if !connection.send(frame(n)) {
            return n;
        }
    }
    panic!("the server takes all frames of the flood: {name}");
}

#[test]
fn h2_floods() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let mut good = Connection::open(server.address());
    store(&mut good, "before");
    let before = process::peak_kib(server.id());
    for attack in FLOODS {
        let (cpu, frames) = (process::cpu_ticks(server.id()), flood(&server, attack));
        let cpu = (process::cpu_ticks(server.id()) - cpu) * 10;
        eprintln!("{}: ended after {frames} frames or fewer, {cpu} ms of the server", attack.0);
        store(&mut good, "meanwhile");
    }
    let grown = process::peak_kib(server.id()) - before;
    eprintln!("all floods: {grown} KiB of memory");
    assert!(grown <= MEMORY_KIB_MAX, "{grown} KiB");
}

/// Indexed fields that each stand for a kilobyte: a bomb of 100 MB in 100 kB.
#[test]
fn a_head_that_grows_when_it_is_unpacked_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let before = process::peak_kib(server.id());
    let mut connection = connect(&server);
    let field = [&[0x40, 1, b'x', 127, 128, 7][..], &[b'x'; 1_023]].concat();
    let block = [b"\x83\x86\x84\x41\x01a", &field[..], &vec![0xbe; 100_000]].concat();
    connection.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, &block));
    connection.finish();
    connection.rest();
    let grown = process::peak_kib(server.id()) - before;
    assert!(grown <= 8 << 10, "{grown} KiB");
    store(&mut Connection::open(server.address()), "after");
}
