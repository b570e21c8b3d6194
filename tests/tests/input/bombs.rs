//! Bodies that are small and mean much: each is refused, at the cost of its own length.

use kinelog_tests::raw::{self, Answer, CBOR, Connection};
use kinelog_tests::{Server, process};

use super::{start, store};

const MIB: usize = 1 << 20;
/// What a bomb of 12 MiB may take of memory: itself while it doubles, and a few values.
const MEMORY_KIB_MAX: u64 = 64 << 10;

fn cbor(body: &[u8]) -> Vec<u8> {
    raw::request(&raw::headers("PutRecord").replace(raw::JSON, CBOR), body)
}

fn json(body: impl AsRef<[u8]>) -> Vec<u8> {
    raw::call("PutRecord", body)
}

/// Sends each to a server that has seen none; a good client is served after each.
fn explode(bombs: Vec<(&str, Vec<u8>)>, is_refusal: fn(&Answer) -> bool) {
    let directory = tempfile::tempdir().unwrap();
    let server: Server = start(directory.path());
    let mut good = Connection::open(server.address());
    store(&mut good, "before");
    let before = process::peak_kib(server.id());
    for (name, bomb) in bombs {
        let cpu = process::cpu_ticks(server.id());
        let answer = Connection::open(server.address()).exchange(bomb).expect(name);
        assert!(is_refusal(&answer), "{name}: {answer:?}");
        store(&mut good, "after");
        let cpu = (process::cpu_ticks(server.id()) - cpu) * 10;
        let grown = process::peak_kib(server.id()) - before;
        eprintln!("{name}: {cpu} ms of the server, {grown} KiB in all");
        assert!(grown <= MEMORY_KIB_MAX, "{name}: {grown} KiB");
    }
}

fn is_unreadable(answer: &Answer) -> bool {
    answer.status == 400 && answer.body.windows(13).any(|part| part == b"Serialization")
}

#[test]
fn bomb_depth() {
    let nested = |open: &str, close: &str, depth: usize| {
        json(format!("{{\"x\":{}1{}}}", open.repeat(depth), close.repeat(depth)))
    };
    let bombs = vec![
        ("lists", json("[".repeat(12 * MIB))),
        ("maps", json(r#"{"":"#.repeat(2 * MIB))),
        ("lists in a map", nested("[", "]", MIB)),
        ("maps in a map", nested(r#"{"a":"#, "}", MIB)),
        ("a depth of 32", nested("[", "]", 32)),
        ("CBOR lists", cbor(&[0x81; 11 * MIB])),
        ("CBOR lists without an end", cbor(&[0x9f; 11 * MIB])),
        ("CBOR maps", cbor(&b"\xa1\x60".repeat(5 * MIB))),
        ("CBOR tags", cbor(&[0xc1; 11 * MIB])),
    ];
    explode(bombs, is_unreadable);
}

/// One below the bound of depth: unknown members are passed over.
#[test]
fn a_body_at_the_depth_that_is_allowed_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let mut connection = Connection::open(server.address());
    let nested = format!("{{\"x\":{}{}}}", "[".repeat(31), "]".repeat(31));
    connection.ok("ListStreams", nested);
    let values = format!("{{\"x\":[{}0]}}", "0,".repeat(65_533));
    connection.ok("ListStreams", values);
    let digits = format!("{{\"x\":{}}}", "9".repeat(40));
    connection.ok("ListStreams", digits);
}

#[test]
fn bomb_numbers() {
    let member = |value: &str| json(format!("{{\"Limit\":{value}}}"));
    let bombs = vec![
        ("12 MiB of digits", member(&"9".repeat(12 * MIB))),
        ("41 digits", member(&"9".repeat(41))),
        ("12 MiB of decimals", member(&format!("0.{}", "1".repeat(12 * MIB)))),
        ("an exponent of 12 MiB", member(&format!("1e{}", "9".repeat(12 * MIB)))),
        ("12 MiB of zeros", member(&format!("0.{}1", "0".repeat(12 * MIB)))),
        ("an exponent past all", member("1e999999999")),
        ("65,537 values", member(&format!("[{}0]", "0,".repeat(65_536)))),
        ("6 million numbers", member(&format!("[{}0]", "0,".repeat(6 * MIB)))),
        ("4 million texts", member(&format!("[{}0]", r#""","#.repeat(4 * MIB)))),
        ("4 million lists", member(&format!("[{}0]", "[],".repeat(4 * MIB)))),
        ("CBOR numbers", cbor(&[&b"\xa1\x61x\x9f"[..], &[0; 11 * MIB]].concat())),
    ];
    explode(bombs, is_unreadable);
}

#[test]
fn bomb_lengths() {
    let huge = [0xff; 8];
    let claims = |kind: u8| [b"\xa1\x61x", &[kind][..], &huge].concat();
    let less = |kind: u8| [b"\xa1\x61x", &[kind][..], &0x7fff_ffff_u32.to_be_bytes()].concat();
    let bombs = vec![
        ("bytes", cbor(&claims(0x5b))),
        ("a text", cbor(&claims(0x7b))),
        ("a list", cbor(&claims(0x9b))),
        ("a map", cbor(&claims(0xbb))),
        ("2 GiB of bytes", cbor(&less(0x5a))),
        ("2 GiB of text", cbor(&less(0x7a))),
        ("2 billion entries", cbor(&less(0x9a))),
        ("2 billion members", cbor(&less(0xba))),
        ("a million pieces of bytes", cbor(&[&b"\xa1\x61x\x5f"[..], &[0x40; MIB]].concat())),
    ];
    explode(bombs, is_unreadable);
}

/// What a length announces takes no memory until it is there.
#[test]
fn a_length_that_is_only_announced_costs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let mut good = Connection::open(server.address());
    store(&mut good, "before");
    let before = process::peak_kib(server.id());
    let announcements: Vec<_> = (0..200)
        .map(|number| {
            let mut connection = Connection::open(server.address());
            let line = if number % 2 == 0 {
                "Content-Length: 16000000\r\n\r\n{"
            } else {
                "Transfer-Encoding: chunked\r\n\r\nf00000\r\n{"
            };
            connection.send(format!("POST / HTTP/1.1\r\n{}{line}", raw::headers("PutRecord")));
            connection
        })
        .collect();
    store(&mut good, "meanwhile");
    let grown = process::peak_kib(server.id()) - before;
    eprintln!("{} bodies of 16 MB announced: {grown} KiB", announcements.len());
    assert!(grown <= 32 << 10, "{grown} KiB");
}

#[test]
fn bomb_gzip() {
    let encoded = |encoding: &str| {
        let headers = format!("{}Content-Encoding: {encoding}\r\n", raw::headers("PutRecord"));
        raw::request(&headers, vec![0x1f; MIB])
    };
    let bombs = ["gzip", "deflate", "br", "zstd", "gzip, gzip, gzip", "identity", "x", ""]
        .map(|encoding| (encoding, encoded(encoding)));
    explode(bombs.into(), |answer| answer.status == 415);
}
