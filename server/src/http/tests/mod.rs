//! The front end through real sockets, with an [`Api`] that needs no store.

mod admin;
mod both;
mod bounds;
mod dispatch;
mod framing;
mod http2;
mod http2_frames;
mod signatures;
mod streaming;
mod tls;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::{Api, Bounds, Health, Running, Settings, Status, start};
use crate::aws::Encoding;
use crate::aws::exception::{Exception, Kind};
use crate::aws::input::Body;
use crate::aws::output::Output;
use crate::aws::rope::Rope;
use crate::aws::shape::Structure;
use crate::aws::sigv4::Principal;
use crate::faults::Faults;
use crate::metrics::{Metrics, Observed};
use crate::tls::Tls;

/// 2023-11-14T22:13:20Z, the time of [`Fake`].
const NOW_SECONDS: u64 = 1_700_000_000;

const JSON: &str = "application/x-amz-json-1.1";
const CBOR: &str = "application/x-amz-cbor-1.1";

/// Headers that pass authentication at [`NOW_SECONDS`].
const SIGNED: &str = "X-Amz-Date: 20231114T221320Z\r\n\
    Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20231114/us-east-1/kinesis/aws4_request, \
    SignedHeaders=host;x-amz-date, Signature=0123456789abcdef\r\n";

/// Those of [`Fake`]: `Echo` and `Slow` answer an empty map, those from `Events` to `Broken` event
/// streams; `Late` is a long read that waits to be let go on.
const OPERATIONS: &[&str] = &[
    "Echo", "Fail", "Panic", "Nothing", "Large", "Cut", "Events", "Waiting", "Watched", "Endless",
    "Unread", "Broken", "Slow", "Late", "Roomy",
];

/// Bytes of the answer of `Roomy`, and of the memory it lies in.
const ROOMY_BYTES: (usize, usize) = (20 << 20, 30 << 20);

/// An API without a store.
#[derive(Default)]
struct Fake {
    faults: Faults,
    /// Calls of `Late` that have begun.
    late_begun: AtomicUsize,
    /// Lets one of them go on.
    late: Notify,
}

impl Api for Fake {
    type Operation = &'static str;

    fn find(&self, target: &str) -> Option<&'static str> {
        let name = target.strip_prefix("Fake.")?;
        OPERATIONS.iter().copied().find(|known| *known == name)
    }

    fn name(&self, operation: &'static str) -> &'static str {
        operation
    }

    fn shape(&self, _: &'static str) -> &'static Structure {
        &Structure { name: "Anything", members: &[] }
    }

    fn is_long_read(&self, operation: &'static str) -> bool {
        operation == "Late"
    }

    async fn run(
        &self,
        operation: &'static str,
        _: &Principal,
        encoding: Encoding,
        _: Body<'_>,
    ) -> Result<Output, Exception> {
        let body = match operation {
            "Fail" => return Err(Exception::new(Kind::LimitExceeded, "no")),
            "Panic" => panic!("a panic of the test"),
            "Nothing" => Bytes::new(),
            "Cut" => return Ok(Output::Cut),
            "Large" => vec![b' '; 64 << 20].into(),
            "Roomy" => {
                let mut rope = Rope::default();
                rope.push_in(vec![b' '; ROOMY_BYTES.0].into(), ROOMY_BYTES.1);
                return Ok(rope.into());
            }
            "Late" => {
                self.late_begun.fetch_add(1, Ordering::SeqCst);
                self.late.notified().await;
                Bytes::from_static(b"{}")
            }
            "Events" | "Waiting" | "Watched" | "Endless" | "Unread" | "Broken" => {
                return Ok(streaming::events(operation, encoding).into());
            }
            "Slow" => {
                // The connection looks for more of the client meanwhile, again and again.
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                }
                Bytes::from_static(b"{}")
            }
            _ if encoding == Encoding::Json => Bytes::from_static(b"{}"),
            _ => Bytes::from_static(b"\xbf\xff"),
        };
        Ok(body.into())
    }

    fn now_seconds(&self) -> u64 {
        NOW_SECONDS
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
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
            limits: "aws".to_owned(),
            on_demand: "aws",
            tls: None,
            faults: Vec::new(),
        }
    }

    fn observed(&self) -> Observed {
        Observed {
            labels: vec![("io", "simulated".to_owned())],
            values: vec![("groups", 7)],
            ..Observed::default()
        }
    }
}

/// A front end on a free port.
struct Server {
    running: Running,
    api: Arc<Fake>,
    metrics: Arc<Metrics>,
}

impl Server {
    fn start() -> Self {
        Self::with_bounds(Bounds::default())
    }

    fn with_bounds(bounds: Bounds) -> Self {
        Self::with_grace(bounds, Duration::from_millis(10))
    }

    fn with_grace(bounds: Bounds, stop_grace: Duration) -> Self {
        Self::with(bounds, stop_grace, None)
    }

    fn with(bounds: Bounds, stop_grace: Duration, tls: Option<Tls>) -> Self {
        let listen = vec![(Ipv4Addr::LOCALHOST, 0).into()];
        let (threads, clock_skew_seconds) = (2, 300);
        Self::of(&Settings { listen, threads, clock_skew_seconds, stop_grace, bounds, tls })
    }

    fn listening(listen: Vec<SocketAddr>) -> Self {
        Self::of(&Settings {
            listen,
            threads: 2,
            clock_skew_seconds: 300,
            stop_grace: Duration::from_millis(10),
            bounds: Bounds::default(),
            tls: None,
        })
    }

    fn of(settings: &Settings) -> Self {
        let (api, metrics) = (Arc::new(Fake::default()), Arc::new(Metrics::new()));
        let running = start(settings, &api, &metrics).unwrap();
        Self { running, api, metrics }
    }

    fn address(&self) -> SocketAddr {
        self.running.addresses()[0]
    }

    fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address()).unwrap())
    }

    /// Sends one request on its own connection.
    fn send(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut client = self.connect();
        client.write(request);
        client.reply()
    }

    /// Posts `body` with a content type and a target.
    fn post(&self, content_type: &str, target: &str, body: impl AsRef<[u8]>) -> Reply {
        let headers = format!("Content-Type: {content_type}\r\nX-Amz-Target: {target}\r\n{SIGNED}");
        self.send(request("POST", &headers, body))
    }
}

/// A whole HTTP/1.1 request; `headers` are whole lines.
fn request(method: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head = format!(
        "{method} / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

struct Client(TcpStream);

impl Client {
    fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        match self.0.read(&mut byte) {
            Ok(1) => Some(byte[0]),
            Ok(_) | Err(_) => None,
        }
    }

    /// Reads one answer, chunked or with a length.
    fn reply(&mut self) -> Reply {
        self.try_reply().expect("the server answers before it closes")
    }

    fn try_reply(&mut self) -> Option<Reply> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.byte()?);
        }
        let head = String::from_utf8(head).unwrap();
        let mut reply = Reply { head, body: Vec::new() };
        if let Some(length) = reply.header("content-length") {
            reply.body = vec![0; length.parse().unwrap()];
            self.0.read_exact(&mut reply.body).unwrap();
        } else if reply.header("transfer-encoding") == Some("chunked") {
            while !reply.body.ends_with(b"0\r\n\r\n") {
                reply.body.push(self.byte()?);
            }
            reply.body.truncate(reply.body.len() - 5);
        }
        Some(reply)
    }

    /// True when the server closes without another byte.
    fn is_closed(&mut self) -> bool {
        self.byte().is_none()
    }

    fn finish_writing(&mut self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }
}

#[derive(Debug)]
struct Reply {
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    #[track_caller]
    fn assert(&self, status: u16, content_type: Option<&str>, body: impl AsRef<[u8]>) {
        assert_eq!(self.status(), status, "{self:?}");
        assert_eq!(self.header("content-type"), content_type, "{self:?}");
        assert_eq!(self.body, body.as_ref(), "{self:?}");
    }

    #[track_caller]
    fn assert_ids(&self) {
        let id = self.header("x-amzn-requestid").unwrap();
        let id = id.parse::<uuid::Uuid>().unwrap();
        assert_eq!(id.get_version_num(), 4);
        assert_eq!(self.header("x-amz-id-2").unwrap().len(), 96);
    }
}

/// A CBOR map of text to text.
fn cbor_map(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = vec![0xbf];
    for text in entries.iter().flat_map(|(key, value)| [key, value]) {
        match u8::try_from(text.len()) {
            Ok(length @ ..24) => bytes.push(0x60 + length),
            Ok(length) => bytes.extend_from_slice(&[0x78, length]),
            Err(_) => {
                bytes.push(0x79);
                bytes.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
            }
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.push(0xff);
    bytes
}
