//! Requests whose bytes are no request, or could be taken for more than one.

use kinelog_tests::raw;

use super::{Bad, good_looking, record};

pub(super) fn all() -> Vec<Bad> {
    let groups = [framing(), length(), chunks(), smuggling(), pipelining(), size()];
    groups.into_iter().flatten().collect()
}

/// A head with further lines, whatever they end with, and what follows it.
fn head(first: &str, lines: &str, rest: &str) -> Vec<u8> {
    format!("{first}\r\n{}{lines}\r\n{rest}", raw::headers("PutRecord")).into_bytes()
}

/// A `PutRecord` with these lines in place of its length, and this body.
fn post(lines: &str, body: &str) -> Vec<u8> {
    head("POST / HTTP/1.1", lines, body)
}

/// First lines of heads that are wrong.
const FIRST_LINES: &[&str] = &[
    "POST / HTTP/9.9",
    "POST / HTTP/1.2",
    "POST / http/1.1",
    "POST / HTTP/1",
    "POST / HTTP/11",
    "POST / HTP/1.1",
    "POST / HTTP/1.1 x",
    "POST  / HTTP/1.1",
    "POST /  HTTP/1.1",
    "POST\t/\tHTTP/1.1",
    "POST / /x HTTP/1.1",
    "POST /\x7f HTTP/1.1",
    "POST /\x01 HTTP/1.1",
    "P\x01ST / HTTP/1.1",
    "P(ST / HTTP/1.1",
    "P:ST / HTTP/1.1",
    " POST / HTTP/1.1",
    "POST",
    "POST /",
    "/ HTTP/1.1",
    "HTTP/1.1 200 OK",
    "POST http:// HTTP/1.1",
    "POST ht^tp://a/ HTTP/1.1",
    "POST / HTTP/1.1\r",
    "\0",
    "{}",
    "PRI * HTTP/2.0",
];

/// Further lines of heads that are wrong.
const LINES: &[&str] = &[
    "No colon",
    ": no name",
    "Na me: x",
    "Name : x",
    "Na\x01me: x",
    "Na\0me: x",
    "Name: \0",
    "Name: \x01",
    "Name: \x7f",
    "Name: a\rb",
    "Name: a\r\n folded",
    "Name: a\r\n\tfolded",
    "(x): y",
    "\"x\": y",
    "x\u{e9}: y",
    "\u{200b}: y",
    "x[]: y",
    "x@y: z",
    "x=y: z",
    "x;y: z",
    "x,y: z",
    "{x}: y",
];

fn framing() -> Vec<Bad> {
    let length = format!("Content-Length: {}\r\n", record().len());
    let mut all = Vec::new();
    for first in FIRST_LINES {
        all.push(Bad::unbounded("framing", format!("{first:?}"), head(first, &length, &record())));
    }
    for line in LINES {
        let bytes = post(&format!("{length}{line}\r\n"), &record());
        all.push(Bad::unbounded("framing", format!("{line:?}"), bytes));
    }
    for garbage in [
        "\0\0\0\0\0\0\0\0",
        "\r\n\r\n\r\n",
        "hello",
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}",
        "PRI",
        "\u{1f4a3}",
    ] {
        all.push(Bad::cut("framing", format!("{garbage:?}"), garbage.as_bytes().to_vec()));
    }
    let whole = good_looking();
    let head_bytes = whole.len() - record().len();
    for cut in (1..head_bytes).step_by(7) {
        all.push(Bad::cut("framing", format!("cut after {cut}"), whole[..cut].to_vec()));
    }
    all
}

fn length() -> Vec<Bad> {
    let right = record().len();
    let values = [
        "-1",
        "+1",
        "0x10",
        "1e2",
        "1.0",
        "1 0",
        "1,1",
        "one",
        "",
        " ",
        "\t",
        "1;1",
        "'1'",
        "\"1\"",
        "01x",
        "18446744073709551616",
        "99999999999999999999999999",
        "9223372036854775808",
        "\u{661}",
        "1_000",
    ];
    let mut all: Vec<_> = values
        .into_iter()
        .map(|value| {
            let bytes = post(&format!("Content-Length: {value}\r\n"), &record());
            Bad::unbounded("length", format!("{value:?}"), bytes)
        })
        .collect();
    for (name, line) in [
        ("sign", format!("Content-Length: +{right}")),
        ("list", format!("Content-Length: {right}, {right}")),
        ("twice", format!("Content-Length: {right}\r\nContent-Length: {right}")),
        ("twice, other", format!("Content-Length: {right}\r\nContent-Length: 0")),
        ("space before the colon", format!("Content-Length : {right}")),
        ("folded", format!("Content-Length:\r\n {right}")),
    ] {
        all.push(Bad::unbounded("length", name, post(&format!("{line}\r\n"), &record())));
    }
    for missing in [1, 10, right / 2, right - 1, right] {
        let bytes = post(&format!("Content-Length: {right}\r\n"), &record()[..right - missing]);
        all.push(Bad::cut("length", format!("{missing} bytes too few"), bytes));
    }
    // What is left of the body is no request.
    for less in [1, 10, right / 2] {
        let bytes = post(&format!("Content-Length: {}\r\n", right - less), &record());
        all.push(Bad::whole("length", format!("{less} bytes too many"), bytes));
    }
    all
}

/// A body in one chunk.
fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

fn chunks() -> Vec<Bad> {
    let (body, size) = (record(), format!("{:x}", record().len()));
    let mut all = Vec::new();
    for (name, chunks) in [
        ("no size", format!("\r\n{body}\r\n0\r\n\r\n")),
        ("size of no digits", format!("xyz\r\n{body}\r\n0\r\n\r\n")),
        ("size with a prefix", format!("0x{size}\r\n{body}\r\n0\r\n\r\n")),
        ("size with a sign", format!("+{size}\r\n{body}\r\n0\r\n\r\n")),
        ("negative size", format!("-{size}\r\n{body}\r\n0\r\n\r\n")),
        ("space before the size", format!(" {size}\r\n{body}\r\n0\r\n\r\n")),
        ("size of 64 bits", format!("ffffffffffffffff\r\n{body}\r\n0\r\n\r\n")),
        ("size of 68 bits", format!("10000000000000000\r\n{body}\r\n0\r\n\r\n")),
        ("size of 400 digits", format!("{}\r\n{body}\r\n0\r\n\r\n", "f".repeat(400))),
        ("chunk too short", format!("{size}\r\n{}\r\n0\r\n\r\n", &body[1..])),
        ("chunk too long", format!("{size}\r\n{body}x\r\n0\r\n\r\n")),
        ("no end of the chunk", format!("{size}\r\n{body}0\r\n\r\n")),
        ("line ends by a lone return", format!("{size}\r{body}\r0\r\r")),
        ("a control byte in an extension", format!("{size};a=\x01\0\r\n{body}")),
        (
            "an extension of 64 KiB",
            format!("{size};a={}\r\n{body}\r\n0\r\n\r\n", "x".repeat(65_536)),
        ),
        ("a broken trailer", format!("{size}\r\n{body}\r\n0\r\nno colon\r\n\r\n")),
        (
            "a trailer of 64 KiB",
            format!("{size}\r\n{body}\r\n0\r\nx: {}\r\n\r\n", "x".repeat(65_536)),
        ),
        ("2000 trailers", format!("{size}\r\n{body}\r\n0\r\n{}\r\n", "x: y\r\n".repeat(2_000))),
    ] {
        let bytes = post("Transfer-Encoding: chunked\r\n", &chunks);
        all.push(Bad::unbounded("chunks", name, bytes));
    }
    let whole = chunked(&body);
    for cut in (0..whole.len()).step_by(5) {
        let bytes = post("Transfer-Encoding: chunked\r\n", &whole[..cut]);
        all.push(Bad::cut("chunks", format!("cut after {cut}"), bytes));
    }
    all
}

fn smuggling() -> Vec<Bad> {
    let body = record();
    let right = format!("Content-Length: {}", body.len());
    let encodings = [
        "chunked, chunked",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, identity",
        "identity",
        "gzip",
        "xchunked",
        "chunkedx",
        "chunked;q=1",
        "\"chunked\"",
        "chu\0nked",
        "chunked,",
        ",chunked",
        "",
        "chunked\x0b",
        "deflate",
        "compress, chunked",
        "trailers",
    ];
    let mut all = Vec::new();
    for encoding in encodings {
        let bytes = post(&format!("Transfer-Encoding: {encoding}\r\n"), &chunked(&body));
        all.push(Bad::unbounded("smuggling", format!("encoding {encoding:?}"), bytes));
        let lines = format!("{right}\r\nTransfer-Encoding: {encoding}\r\n");
        all.push(Bad::unbounded(
            "smuggling",
            format!("length and {encoding:?}"),
            post(&lines, &body),
        ));
    }
    for (name, lines) in [
        ("length, then chunked", format!("{right}\r\nTransfer-Encoding: chunked\r\n")),
        ("chunked, then length", format!("Transfer-Encoding: chunked\r\n{right}\r\n")),
        (
            "chunked twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        ),
        (
            "length 0, then chunked",
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        ),
        ("space before the colon", "Transfer-Encoding : chunked\r\n".to_owned()),
        ("folded", "Transfer-Encoding:\r\n chunked\r\n".to_owned()),
        ("behind a lone return", format!("X: y\rTransfer-Encoding: chunked\r\n{right}\r\n")),
        ("in capitals beside a length", format!("TRANSFER-ENCODING: CHUNKED\r\n{right}\r\n")),
        ("lone line feeds", format!("{right}\nTransfer-Encoding: chunked\n")),
    ] {
        all.push(Bad::unbounded("smuggling", name, post(&lines, &chunked(&body))));
    }
    let old = head("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n", &chunked(&body));
    all.push(Bad::unbounded("smuggling", "chunked in HTTP/1.0", old));
    all
}

fn pipelining() -> Vec<Bad> {
    let refused = raw::call("PutRecord", "{}");
    let broken = post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
    let mut all = Vec::new();
    for count in [1, 2, 10, 100] {
        let many = refused.repeat(count);
        all.push(Bad::whole("pipelining", format!("{count} refused ones"), many.clone()));
        for (name, last) in [
            ("a broken one", [&broken[..], &good_looking()].concat()),
            ("a cut one", good_looking()[..50].to_vec()),
            ("garbage", b"\0\0\0\r\n\r\n".to_vec()),
            ("a body without a head", record().into_bytes()),
        ] {
            let bytes = [&many[..], &last].concat();
            let name = format!("{count} refused ones, then {name}");
            all.push(Bad::whole("pipelining", name, bytes));
        }
    }
    all
}

fn size() -> Vec<Bad> {
    let large = |bytes: usize| {
        format!(r#"{{"StreamName":"s","PartitionKey":"k","Data":"{}"}}"#, "YmFk".repeat(bytes / 4))
    };
    let lines = |count: usize| "X-Line: x\r\n".repeat(count);
    let length = format!("Content-Length: {}\r\n", record().len());
    vec![
        Bad::whole("size", "a body of 16 MiB and more", raw::call("PutRecord", large(16 << 20))),
        Bad::whole("size", "a body of 20 MiB", raw::call("PutRecord", large(20 << 20))),
        Bad::whole(
            "size",
            "a record of 1 MiB and more",
            raw::call("PutRecord", large((1 << 20) / 3 * 4 + 400)),
        ),
        Bad::whole("size", "13 MiB of CBOR", super::cbor_call("PutRecord", &vec![0x60; 13 << 20])),
        Bad::whole("size", "101 lines", post(&format!("{}{length}", lines(101)), &record())),
        Bad::whole("size", "1,000 lines", post(&format!("{}{length}", lines(1_000)), &record())),
        Bad::cut("size", "a head of 1 MiB", post(&format!("X: {}\r\n", "x".repeat(1 << 20)), "")),
        Bad::cut(
            "size",
            "a path of 100 KiB",
            head(&format!("POST /{} HTTP/1.1", "x".repeat(100 << 10)), "", ""),
        ),
        Bad::cut(
            "size",
            "a path without an end",
            format!("POST /{}", "x".repeat(100 << 10)).into_bytes(),
        ),
        Bad::cut("size", "a method of 100 KiB", "P".repeat(100 << 10).into_bytes()),
        Bad::cut("size", "a TiB announced", post("Content-Length: 1099511627776\r\n", &record())),
        Bad::cut(
            "size",
            "an EiB announced",
            post("Content-Length: 1152921504606846976\r\n", &record()),
        ),
        Bad::cut(
            "size",
            "a TiB in a chunk",
            post("Transfer-Encoding: chunked\r\n", "10000000000\r\nx"),
        ),
    ]
}
