//! The HTTP front over a connection in memory, with an API that notes what it is asked. Where the
//! input reads as HTTP/1.1 in one way only, just the requests that an independent reader finds may
//! run, in their order; nothing behind an ambiguous head runs; a good request runs and is answered.
//! No request makes a panic or a 5xx.

use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;
use kinelog::aws::Encoding;
use kinelog::aws::exception::Exception;
use kinelog::aws::input::Body;
use kinelog::aws::json;
use kinelog::aws::output::Output;
use kinelog::aws::shape::{Member, Shape, Structure};
use kinelog::aws::sigv4::Principal;
use kinelog::aws::value::Value;
use kinelog::faults::Faults;
use kinelog::fuzzing::serve;
use kinelog::http::{Api, Health, Status};
use kinelog::metrics::{Metrics, Observed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Seed;

/// 2023-11-14T22:13:20Z.
const NOW_SECONDS: u64 = 1_700_000_000;
/// What a good request has beside its length.
const GOOD: [(&str, &str); 5] = [
    ("host", "h"),
    ("content-type", "application/x-amz-json-1.1"),
    ("x-amz-target", "Fake.Echo"),
    ("x-amz-date", "20231114T221320Z"),
    (
        "authorization",
        "AWS4-HMAC-SHA256 Credential=K/20231114/r/kinesis/aws4_request, SignedHeaders=host, Signature=0",
    ),
];

/// The body of the answer to a body that is too large.
const NO_CHUNKS: &[u8] = b"0\r\n\r\n";

#[derive(Default)]
struct Fake {
    /// Bodies of the requests that ran.
    ran: Mutex<Vec<String>>,
    faults: Faults,
}

impl Api for Fake {
    type Operation = ();

    fn find(&self, target: &str) -> Option<()> {
        (target == "Fake.Echo").then_some(())
    }

    fn name(&self, (): ()) -> &'static str {
        "Echo"
    }

    fn is_long_read(&self, (): ()) -> bool {
        false
    }

    fn shape(&self, (): ()) -> &'static Structure {
        // A member nobody sends: all bodies are read as values.
        static SHAPE: Structure = Structure {
            name: "EchoRequest",
            members: &[Member {
                name: "never",
                required: true,
                sensitive: false,
                shape: Shape::Boolean,
            }],
        };
        &SHAPE
    }

    async fn run(
        &self,
        (): (),
        _: &Principal,
        _: Encoding,
        body: Body<'_>,
    ) -> Result<Output, Exception> {
        let Body::Parsed(body) = body else { panic!("it was read by a shape it does not have") };
        self.ran.lock().expect("no holder panics").push(format!("{body:?}"));
        Ok(Bytes::from_static(b"{}").into())
    }

    fn now_seconds(&self) -> u64 {
        NOW_SECONDS
    }

    fn operations(&self) -> &'static [&'static str] {
        &["Echo"]
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn health(&self) -> Health {
        Health {
            version: "0",
            status: Status::Ok,
            durability: "none",
            io: "simulated",
            flush_micros: None,
            stopped: None,
            disk_full: false,
            limits: String::new(),
            on_demand: "aws",
            tls: None,
            faults: Vec::new(),
        }
    }

    fn observed(&self) -> Observed {
        Observed::default()
    }
}

/// The target: how long the pieces are that the bytes come in, and the bytes of a connection.
pub fn run(data: &[u8]) {
    static METRICS: LazyLock<Arc<Metrics>> = LazyLock::new(|| Arc::new(Metrics::new()));
    let Some((piece, input)) = data.split_first() else { return };
    let api = Arc::new(Fake::default());
    let answers = converse(input, usize::from(*piece), &api, &METRICS);
    assert_eq!(METRICS.panics.get(), 0, "a request ended by a panic");
    let ran = std::mem::take(&mut *api.ran.lock().expect("no holder panics"));
    if !input.starts_with(b"PRI * HTTP/2") {
        check(input, &answers, &ran);
    }
}

/// Sends all and reads until the other side closes, in a time that stands still unless both sides wait
/// for it.
fn converse(input: &[u8], piece: usize, api: &Arc<Fake>, metrics: &Arc<Metrics>) -> Vec<u8> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    runtime.expect("the system starts a runtime").block_on(async {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (mut answers, mut requests) = tokio::io::split(ours);
        let send = async {
            for piece in input.chunks(if piece == 0 { usize::MAX } else { piece }) {
                // The other side may have closed.
                if requests.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let mut read = Vec::new();
        let serve = serve(theirs, Arc::clone(api), Arc::clone(metrics));
        let ((), (), received) = tokio::join!(serve, send, answers.read_to_end(&mut read));
        received.expect("a pipe in memory can be read");
        read
    })
}

fn check(input: &[u8], answers: &[u8], ran: &[String]) {
    let (requests, end) = requests(input);
    let statuses = if requests.iter().any(|it| it.method == b"HEAD") {
        Vec::new() // Their answers have a length and no body.
    } else {
        statuses(answers)
    };
    for status in &statuses {
        assert!(*status < 500 || *status == 505, "{status} for {:?}", text(input));
    }
    if end != End::Unclear {
        let mut expected = requests.iter().map(Request::told);
        for ran in ran {
            assert!(expected.any(|it| it.as_ref() == Some(ran)), "{ran} of {:?}", text(input));
        }
    }
    if let Some(first) = requests.first().filter(|it| it.is_good) {
        let told = first.told();
        let expected = if told.is_some() { 200 } else { 400 };
        assert!(told.is_none() || ran.first() == told.as_ref(), "it runs: {:?}", text(input));
        assert!(statuses.is_empty() || statuses[0] == expected, "it is answered: {statuses:?}");
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Statuses of the answers; interim ones left out. All are whole.
fn statuses(mut answers: &[u8]) -> Vec<u16> {
    let mut all = Vec::new();
    while !answers.is_empty() {
        let end = answers.windows(4).position(|it| it == b"\r\n\r\n").expect("heads are whole");
        let head = std::str::from_utf8(&answers[..end]).expect("heads are text");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        let status: u16 = status.expect("a head begins with its status");
        let body = &answers[end + 4..];
        let length = head.lines().find_map(|it| it.strip_prefix("content-length: "));
        let length = if head.lines().any(|it| it == "transfer-encoding: chunked") {
            assert!(body.starts_with(NO_CHUNKS), "only an empty body is chunked");
            NO_CHUNKS.len()
        } else {
            length.map_or(0, |it| it.parse().expect("a length is a number"))
        };
        answers = body.get(length..).expect("bodies are whole");
        if status >= 200 {
            all.push(status);
        }
    }
    all
}

/// How the requests of an input end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With the input, between two or within one.
    Input,
    /// Before a head of several meanings, or after one whose connection is closed.
    Closed,
    /// Before something this reader does not judge.
    Unclear,
}

/// A request as this reader finds it.
struct Request<'a> {
    method: &'a [u8],
    is_good: bool,
    body: Vec<u8>,
}

impl Request<'_> {
    /// The body as the API would tell it, if it is one.
    fn told(&self) -> Option<String> {
        let body = json::parse(&self.body).ok();
        body.filter(|body| matches!(body, Value::Map(_))).map(|body| format!("{body:?}"))
    }
}

/// Reads requests by RFC 9112, as far as they have one meaning.
fn requests(mut input: &[u8]) -> (Vec<Request<'_>>, End) {
    let mut all = Vec::new();
    loop {
        while let Some(rest) = input.strip_prefix(b"\r\n") {
            input = rest;
        }
        if input.is_empty() {
            return (all, End::Input);
        }
        let Some(length) = input.windows(4).position(|it| it == b"\r\n\r\n") else {
            return (all, End::Unclear);
        };
        let Some(head) = Head::parse(&input[..length]) else { return (all, End::Unclear) };
        input = &input[length + 4..];
        if head.lengths.len() + head.codings.len() > 1 {
            return (all, End::Closed);
        }
        let is_good = head.is_good();
        if let Some(coding) = head.codings.first() {
            if !coding.eq_ignore_ascii_case(b"chunked") {
                return (all, End::Closed);
            }
            let Some(body) = unchunked(input) else { return (all, End::Unclear) };
            all.push(Request { method: head.method, is_good, body });
            return (all, End::Closed);
        }
        let length = match head.lengths.first() {
            None => 0,
            Some(text) if !text.is_empty() && text.iter().all(u8::is_ascii_digit) => {
                let Some(length) = std::str::from_utf8(text).ok().and_then(|it| it.parse().ok())
                else {
                    return (all, End::Closed);
                };
                length
            }
            Some(_) => return (all, End::Closed),
        };
        let Some((body, rest)) = input.split_at_checked(length) else { return (all, End::Input) };
        all.push(Request { method: head.method, is_good, body: body.to_vec() });
        input = rest;
    }
}

struct Head<'a> {
    method: &'a [u8],
    is_post: bool,
    lines: Vec<(String, &'a [u8])>,
    lengths: Vec<&'a [u8]>,
    codings: Vec<&'a [u8]>,
}

impl<'a> Head<'a> {
    /// A head of plain lines only.
    fn parse(head: &'a [u8]) -> Option<Self> {
        let is_plain = |byte: &u8| (0x20..0x7f).contains(byte) || matches!(byte, b'\r' | b'\n');
        let mut lines = head.split(|byte| *byte == b'\n');
        let first = lines.next()?;
        let first = first.strip_suffix(b"\r").unwrap_or(first);
        let words: Vec<_> = first.split(|byte| *byte == b' ').collect();
        let [method, target, b"HTTP/1.1"] = words[..] else { return None };
        let is_token = |name: &[u8]| {
            let odd = |byte: &u8| b"!#$%&'*+-.^_`|~".contains(byte);
            !name.is_empty() && name.iter().all(|it| it.is_ascii_alphanumeric() || odd(it))
        };
        if !is_token(method) || target != b"/" || !head.iter().all(is_plain) || head.len() > 9000 {
            return None;
        }
        let mut all = Self {
            method,
            is_post: method == b"POST",
            lines: Vec::new(),
            lengths: Vec::new(),
            codings: Vec::new(),
        };
        for line in lines {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let at = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = (&line[..at], line[at + 1..].trim_ascii());
            let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
            // Both change what follows, in ways this reader leaves alone.
            let is_left_alone = ["connection", "expect", "upgrade", "te", "trailer"];
            if !is_token(name.as_bytes())
                || value.contains(&b'\r')
                || is_left_alone.contains(&&*name)
            {
                return None;
            }
            match name.as_str() {
                "content-length" => all.lengths.push(value),
                "transfer-encoding" => all.codings.push(value),
                _ => all.lines.push((name, value)),
            }
        }
        (all.lines.len() < 60).then_some(all)
    }

    /// Whether it is what a client would send.
    fn is_good(&self) -> bool {
        let of = |name: &str| self.lines.iter().filter(|(it, _)| it == name).count();
        self.is_post
            && self.lines.len() == GOOD.len()
            && GOOD.iter().all(|(name, _)| of(name) == 1)
            && self.lines.iter().all(|(name, value)| {
                GOOD.iter().any(|(good, text)| good == name && text.as_bytes() == *value)
            })
    }
}

/// A whole chunked body of plain chunks without trailers.
fn unchunked(mut input: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = input.windows(2).position(|it| it == b"\r\n")?;
        let digits = std::str::from_utf8(&input[..end]).ok()?;
        if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|it| it.is_ascii_hexdigit())
        {
            return None;
        }
        let length = usize::from_str_radix(digits, 16).ok()?;
        let (chunk, rest) = input[end + 2..].split_at_checked(length)?;
        body.extend_from_slice(chunk);
        input = rest.strip_prefix(b"\r\n")?;
        if length == 0 {
            return Some(body);
        }
    }
}

/// Good requests, by length and in chunks, several in a row, and the shapes of smuggling.
pub fn seeds() -> Vec<Seed> {
    let lines: String = GOOD.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request =
        |framing: &str, body: &str| format!("POST / HTTP/1.1\r\n{lines}{framing}\r\n{body}");
    let good = request("content-length: 7\r\n", "{\"a\":1}");
    let chunked = request("transfer-encoding: chunked\r\n", "3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n");
    let both = request("content-length: 7\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\nGET");
    let twice = request("content-length: 7\r\ncontent-length: 6\r\n", "{\"a\":1}");
    let expect = request("expect: 100-continue\r\ncontent-length: 7\r\n", "{\"a\":1}");
    let broken = request("content-length: 2\r\n", "{x");
    let settings =
        b"\0PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x08\x06\0\0\0\0\0pingpong";
    let whole = |piece: u8, text: &[&str]| [&[piece], text.concat().as_bytes()].concat();
    vec![
        ("good", whole(0, &[&good])),
        ("pieces", whole(3, &[&good])),
        ("chunked", whole(0, &[&chunked, &good])),
        ("row", whole(0, &[&good, &broken, &good])),
        ("both", whole(0, &[&both, &good])),
        ("twice", whole(7, &[&good, &twice, &good])),
        ("expect", whole(0, &[&expect])),
        ("get", whole(0, &["GET / HTTP/1.1\r\nhost: h\r\n\r\n", &good])),
        ("options", whole(0, &["OPTIONS / HTTP/1.1\r\nhost: h\r\norigin: o\r\n\r\n"])),
        ("http2", settings.to_vec()),
        ("tls", b"\0\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec()),
    ]
}
