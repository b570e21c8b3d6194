//! NATS `JetStream`: `PUB` with an inbox for its acknowledgement, all of a batch sent together and its
//! acknowledgements awaited together.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::redis::read_more;
use crate::arguments::Load;
use crate::client::{Failure, host_of};
use crate::drive::Place;
use crate::latency::Call;
use crate::payload::Payloads;

/// Batches one connection keeps ready: each names the inbox of its connection.
const BATCHES: usize = 4;
const INBOX: &str = "_INBOX.kinelog-bench";

/// A connection that writes.
pub(crate) struct Lane {
    connection: Connection,
    batches: Vec<Bytes>,
    payloads: Arc<Payloads>,
}

impl Lane {
    pub(crate) async fn connect(
        load: &Load,
        payloads: &Arc<Payloads>,
        subject: &str,
        place: Place,
    ) -> Result<Self, Failure> {
        let connection = Connection::open(load, place.number).await?;
        let batches = payloads.records().take(BATCHES).map(|records| {
            let mut commands = Vec::new();
            for record in records {
                publish(&mut commands, subject, &connection.inbox, record);
            }
            commands.into()
        });
        Ok(Self { batches: batches.collect(), payloads: Arc::clone(payloads), connection })
    }

    pub(crate) async fn call(&mut self, turn: usize) -> Result<Call, Failure> {
        let batch = &self.batches[turn % self.batches.len()];
        self.connection.stream.write_all(batch).await?;
        let (mut records, mut failed_records) = (0, 0);
        while records + failed_records < self.payloads.batch as u64 {
            let answer = self.connection.answer().await?;
            // An acknowledgement names the stream and the number; a refusal has an error.
            match memmem::find(&answer, b"\"error\"") {
                Some(_) => failed_records += 1,
                None => records += 1,
            }
        }
        let bytes = records * self.payloads.record_bytes as u64;
        Ok(Call { success: true, records, failed_records, bytes })
    }
}

/// Makes a stream in files that holds what is published to the subject of its name.
pub(crate) async fn create(load: &Load, stream: &str) -> Result<(), Failure> {
    let settings = json!({
        "name": stream, "subjects": [stream], "storage": "file", "retention": "limits",
        "num_replicas": 1, "max_msgs": -1, "max_bytes": -1, "discard": "old",
    });
    ask(load, &format!("$JS.API.STREAM.CREATE.{stream}"), settings.to_string().as_bytes()).await
}

/// Deletes a stream.
pub(crate) async fn delete(load: &Load, stream: &str) -> Result<(), Failure> {
    ask(load, &format!("$JS.API.STREAM.DELETE.{stream}"), b"").await
}

async fn ask(load: &Load, subject: &str, body: &[u8]) -> Result<(), Failure> {
    let mut connection = Connection::open(load, usize::MAX).await?;
    let mut command = Vec::new();
    publish(&mut command, subject, &connection.inbox, body);
    connection.stream.write_all(&command).await?;
    let answer = connection.answer().await?;
    let told: Value = serde_json::from_slice(&answer)?;
    match told.get("error") {
        Some(error) => Err(format!("{subject}: {error}").into()),
        None => Ok(()),
    }
}

fn publish(out: &mut Vec<u8>, subject: &str, inbox: &str, body: &[u8]) {
    out.extend_from_slice(format!("PUB {subject} {inbox} {}\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

struct Connection {
    stream: TcpStream,
    received: BytesMut,
    inbox: String,
}

impl Connection {
    async fn open(load: &Load, number: usize) -> Result<Self, Failure> {
        let stream = TcpStream::connect(host_of(&load.endpoint)?).await?;
        stream.set_nodelay(true)?;
        let inbox = format!("{INBOX}.{}.{number}", fastrand::u32(..));
        let mut connection = Self { stream, received: BytesMut::new(), inbox };
        let hello = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB {} 1\r\nPING\r\n",
            connection.inbox
        );
        connection.stream.write_all(hello.as_bytes()).await?;
        while connection.line().await? != "PONG" {}
        Ok(connection)
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(end) = memmem::find(&self.received, b"\r\n") {
                let line = self.received.split_to(end);
                self.received.advance(2);
                return Ok(String::from_utf8(line.to_vec())?);
            }
            read_more(&mut self.stream, &mut self.received).await?;
        }
    }

    /// The payload of the next message.
    async fn answer(&mut self) -> Result<Bytes, Failure> {
        loop {
            let line = self.line().await?;
            match line.split(' ').next() {
                Some("MSG") => {
                    let length: usize = line.rsplit(' ').next().unwrap_or_default().parse()?;
                    while self.received.len() < length + 2 {
                        read_more(&mut self.stream, &mut self.received).await?;
                    }
                    let payload = self.received.split_to(length).freeze();
                    self.received.advance(2);
                    return Ok(payload);
                }
                Some("PING") => self.stream.write_all(b"PONG\r\n").await?,
                Some("-ERR") => return Err(line.into()),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_names_its_inbox_and_its_length() {
        let mut out = Vec::new();
        publish(&mut out, "s", "inbox", b"abc");
        assert_eq!(out, b"PUB s inbox 3\r\nabc\r\n");
    }
}
