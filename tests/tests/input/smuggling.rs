//! Heads that say twice how long a body is, with a second request hidden where one reading of the two
//! would end the first.

use std::collections::BTreeMap;

use kinelog_tests::raw::{self, Connection};

use super::{STREAM, start, store, stored};

/// Lines that say how long a body is, rightly or wrongly; `N` stands for the length of the first
/// request's body by the reading of `Content-Length`.
const RULES: &[&str] = &[
    "Content-Length: N",
    "content-length:N",
    "Content-Length: 0",
    "Content-Length: 5",
    "Content-Length: +N",
    "Content-Length: 0N",
    "Content-Length: N, N",
    "Content-Length: -1",
    "Content-Length : N",
    "Content-Length:\r\n N",
    "Transfer-Encoding: chunked",
    "transfer-encoding:CHUNKED",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: \x0bchunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding:\r\n chunked",
    "X: y\rTransfer-Encoding: chunked",
];

/// Where the first request ends is right by one of these.
#[derive(Clone, Copy, Debug)]
enum End {
    Length,
    Chunk,
}

fn hidden(number: usize) -> Vec<u8> {
    raw::call("PutRecord", raw::record(STREAM, "key", &format!("{number} hidden")))
}

fn attack(first: &str, rules: [&str; 2], line_end: &str, end: End, number: usize) -> Vec<u8> {
    let body = raw::record(STREAM, "key", &format!("{number} first"));
    let body = match end {
        End::Length => body,
        End::Chunk => format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
    };
    let rules = rules.map(|rule| rule.replace('N', &body.len().to_string()) + line_end).concat();
    let head = format!("{first}\r\n{}{rules}\r\n{body}", raw::headers("PutRecord"));
    [head.into_bytes(), hidden(number)].concat()
}

#[test]
fn http_smuggling_matrix() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let mut good = Connection::open(server.address());
    let mut attacks = Vec::new();
    let firsts =
        ["POST / HTTP/1.1", "POST / HTTP/1.0", "POST / HTTP/1.0\r\nConnection: keep-alive"];
    for (first, line_end) in firsts.into_iter().flat_map(|it| [(it, "\r\n"), (it, "\n")]) {
        for (one, two) in RULES.iter().flat_map(|one| RULES.iter().map(move |two| (*one, *two))) {
            for end in [End::Length, End::Chunk] {
                attacks.push((first, [one, two], line_end, end));
            }
        }
    }
    for (number, (first, rules, line_end, end)) in attacks.iter().enumerate() {
        let mut connection = Connection::open(server.address());
        connection.send(attack(first, *rules, line_end, *end, number));
        connection.finish();
        connection.rest(); // The server has made up its mind.
        if number % 100 == 0 {
            store(&mut good, "good");
        }
    }
    let mut ran: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for data in stored(&server) {
        if let Some((number, which)) = data.split_once(' ') {
            ran.entry(number.parse().unwrap()).or_default().push(which.to_owned());
        }
    }
    eprintln!("{} heads with two lengths: {} requests were run", attacks.len(), ran.len());
    let ran: Vec<_> = ran.iter().map(|(number, which)| (attacks[*number], which)).collect();
    // More than is asked: of two lengths none is believed.
    assert!(ran.is_empty(), "{ran:?}");
    store(&mut good, "good");
}

#[test]
fn one_length_runs_both_requests_and_a_chunked_one_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    for (number, (rule, end)) in
        [("Content-Length: N", End::Length), ("Transfer-Encoding: chunked", End::Chunk)]
            .into_iter()
            .enumerate()
    {
        let mut connection = Connection::open(server.address());
        connection.send(attack("POST / HTTP/1.1", [rule, "X: N"], "\r\n", end, number));
        connection.finish();
        connection.rest();
    }
    assert_eq!(stored(&server), ["0 first", "0 hidden", "1 first"]);
}
