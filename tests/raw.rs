//! Requests as bytes, for clients that break the rules: a connection that sends whatever it is given
//! and reads what comes back, and the heads and bodies of calls that keep the rules.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use kinelog::aws::basic_date;

/// Media type of JSON calls.
pub const JSON: &str = "application/x-amz-json-1.1";
/// Media type of CBOR calls.
pub const CBOR: &str = "application/x-amz-cbor-1.1";

/// Seconds since the epoch, by the clock of this machine.
///
/// # Panics
///
/// When that is before the epoch.
#[expect(clippy::disallowed_methods, reason = "a client signs by the clock of its machine")]
pub fn now_seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("it is after 1970").as_secs()
}

/// The header lines that sign a call; nobody verifies the signature.
pub fn signed() -> String {
    let date = basic_date::format(now_seconds());
    format!(
        "X-Amz-Date: {date}\r\nAuthorization: AWS4-HMAC-SHA256 \
         Credential=AKIDEXAMPLE/{}/us-east-1/kinesis/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=00\r\n",
        &date[..8]
    )
}

/// The header lines of a call in JSON, but for those that say how long it is.
pub fn headers(operation: &str) -> String {
    format!(
        "Host: localhost\r\nContent-Type: {JSON}\r\n\
         X-Amz-Target: Kinesis_20131202.{operation}\r\n{}",
        signed()
    )
}

/// A request of these header lines, whole ones, with its body's length.
pub fn request(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A call in JSON.
pub fn call(operation: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    request(&headers(operation), body)
}

/// The body of a `PutRecord`.
pub fn record(stream: &str, key: &str, data: &str) -> String {
    let data = base64_simd::STANDARD.encode_to_string(data);
    format!(r#"{{"StreamName":"{stream}","PartitionKey":"{key}","Data":"{data}"}}"#)
}

/// One connection.
#[derive(Debug)]
pub struct Connection(pub TcpStream);

impl Connection {
    /// To a server.
    ///
    /// # Panics
    ///
    /// When it does not listen.
    pub fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).expect("the server listens"))
    }

    /// Sends bytes. True unless the server has closed by then.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends no more. True unless the server has closed by then.
    pub fn finish(&mut self) -> bool {
        self.0.shutdown(Shutdown::Write).is_ok()
    }

    fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.0.read_exact(&mut byte).ok()?;
        Some(byte[0])
    }

    /// Status line and header lines of the next answer; `None` when the server closes first.
    ///
    /// # Panics
    ///
    /// When they are not ASCII.
    pub fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.byte()?);
        }
        Some(String::from_utf8(head).expect("heads of answers are ASCII"))
    }

    /// The next answer; `None` when the server closes first.
    ///
    /// # Panics
    ///
    /// When what comes is no answer.
    pub fn answer(&mut self) -> Option<Answer> {
        let head = self.head()?;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let mut answer = Answer { status: status.expect("a status line"), head, body: Vec::new() };
        if let Some(length) = answer.header("content-length") {
            let length = length.parse().expect("a length is a number");
            answer.body = vec![0; length];
            self.0.read_exact(&mut answer.body).ok()?;
        } else if answer.header("transfer-encoding").is_some() {
            while !answer.body.ends_with(b"0\r\n\r\n") {
                answer.body.push(self.byte()?);
            }
        }
        Some(answer)
    }

    /// Sends a request and reads its answer.
    pub fn exchange(&mut self, request: impl AsRef<[u8]>) -> Option<Answer> {
        self.send(request);
        self.answer()
    }

    /// Calls what must succeed; its body.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn ok(&mut self, operation: &str, body: impl AsRef<[u8]>) -> serde_json::Value {
        let answer = self.exchange(call(operation, body)).expect("a good call is answered");
        answer.expect_good(operation)
    }

    /// As `ok`, again and again while the server sheds.
    ///
    /// # Panics
    ///
    /// As `ok`.
    #[track_caller]
    pub fn ok_at_last(&mut self, operation: &str, body: impl AsRef<[u8]>) -> serde_json::Value {
        let request = call(operation, body);
        loop {
            let answer = self.exchange(&request).expect("a good call is answered");
            if answer.status != 503 {
                return answer.expect_good(operation);
            }
        }
    }

    /// What comes until the server closes; a reset ends it as well.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut piece = [0; 16 << 10];
        while let Ok(count @ 1..) = self.0.read(&mut piece) {
            bytes.extend_from_slice(&piece[..count]);
        }
        bytes
    }
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Status line and header lines.
    pub head: String,
    /// Its body, with the last chunk if it came in chunks.
    pub body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    fn expect_good(&self, operation: &str) -> serde_json::Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, 200, "{operation}: {text}");
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Creates a stream and waits until it is ACTIVE.
pub fn create_stream(connection: &mut Connection, name: &str, shards: u32) {
    connection.ok("CreateStream", format!(r#"{{"StreamName":"{name}","ShardCount":{shards}}}"#));
    let body = format!(r#"{{"StreamName":"{name}"}}"#);
    loop {
        let answer = connection.ok("DescribeStreamSummary", &body);
        if answer["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE" {
            return;
        }
    }
}

/// Data of all records of a shard, in order, as text, however often the server sheds.
///
/// # Panics
///
/// When it is not text.
pub fn records(connection: &mut Connection, stream: &str, shard: u32) -> Vec<String> {
    let body = format!(
        r#"{{"StreamName":"{stream}","ShardId":"shardId-{shard:012}","ShardIteratorType":"TRIM_HORIZON"}}"#
    );
    let mut iterator = connection.ok_at_last("GetShardIterator", body)["ShardIterator"].clone();
    let mut found = Vec::new();
    loop {
        let answer =
            connection.ok_at_last("GetRecords", format!(r#"{{"ShardIterator":{iterator}}}"#));
        for record in answer["Records"].as_array().into_iter().flatten() {
            let data = record["Data"].as_str().unwrap_or_default();
            let data = base64_simd::STANDARD.decode_to_vec(data).expect("data is base64");
            found.push(String::from_utf8(data).expect("these tests store text"));
        }
        if answer["MillisBehindLatest"] == 0 {
            return found;
        }
        iterator = answer["NextShardIterator"].clone();
    }
}
