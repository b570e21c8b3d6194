//! Redis Streams: `XADD` over RESP, all of a batch pipelined and its answers awaited together.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::arguments::Load;
use crate::client::{Failure, host_of};
use crate::drive::Place;
use crate::latency::Call;
use crate::payload::Payloads;

/// A connection that writes.
pub(crate) struct Lane {
    stream: TcpStream,
    received: BytesMut,
    /// Pipelined commands, one string for each batch.
    batches: Vec<Bytes>,
    payloads: Arc<Payloads>,
    place: Place,
}

impl Lane {
    pub(crate) async fn connect(
        load: &Load,
        payloads: &Arc<Payloads>,
        key: &str,
        place: Place,
    ) -> Result<Self, Failure> {
        let batches = payloads.records().map(|records| {
            let mut commands = Vec::new();
            for record in records {
                let parts: [&[u8]; 5] = [b"XADD", key.as_bytes(), b"*", b"d", record];
                command(&mut commands, &parts);
            }
            commands.into()
        });
        Ok(Self {
            batches: batches.collect(),
            stream: connect(load).await?,
            received: BytesMut::new(),
            payloads: Arc::clone(payloads),
            place,
        })
    }

    pub(crate) async fn call(&mut self, turn: usize) -> Result<Call, Failure> {
        let batch = &self.batches[self.place.call(turn) % self.batches.len()];
        self.stream.write_all(batch).await?;
        let (mut records, mut failed_records) = (0, 0);
        while records + failed_records < self.payloads.batch as u64 {
            match take_reply(&mut self.received) {
                Some(Reply::Value) => records += 1,
                Some(Reply::Refusal) => failed_records += 1,
                None => read_more(&mut self.stream, &mut self.received).await?,
            }
        }
        let bytes = records * self.payloads.record_bytes as u64;
        Ok(Call { success: true, records, failed_records, bytes })
    }
}

/// Deletes a stream.
pub(crate) async fn delete(load: &Load, key: &str) -> Result<(), Failure> {
    let mut stream = connect(load).await?;
    let mut commands = Vec::new();
    command(&mut commands, &[b"UNLINK", key.as_bytes()]);
    stream.write_all(&commands).await?;
    read_more(&mut stream, &mut BytesMut::new()).await
}

async fn connect(load: &Load) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(host_of(&load.endpoint)?).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub(super) async fn read_more(
    stream: &mut TcpStream,
    received: &mut BytesMut,
) -> Result<(), Failure> {
    received.reserve(64 << 10);
    match stream.read_buf(received).await? {
        0 => Err("the store closed the connection".into()),
        _ => Ok(()),
    }
}

/// A command as an array of strings.
fn command(out: &mut Vec<u8>, parts: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", parts.len()).as_bytes());
    for part in parts {
        out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Value,
    Refusal,
}

/// Takes one reply off: a bulk string (`$5`, its bytes), an error (`-`), or one line.
fn take_reply(received: &mut BytesMut) -> Option<Reply> {
    let end = memchr::memmem::find(received, b"\r\n")?;
    let line = &received[..end];
    let (reply, length) = match line.split_first()? {
        (b'$', digits) => {
            let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
            (Reply::Value, end + 2 + length + 2)
        }
        (b'-', _) => (Reply::Refusal, end + 2),
        _ => (Reply::Value, end + 2),
    };
    (received.len() >= length).then(|| received.advance(length))?;
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_taken_when_they_are_whole() {
        let mut received = BytesMut::from(&b"$4\r\n1-12\r\n-ERR no\r\n:1\r\n$4\r\n1-"[..]);
        assert_eq!(take_reply(&mut received), Some(Reply::Value));
        assert_eq!(take_reply(&mut received), Some(Reply::Refusal));
        assert_eq!(take_reply(&mut received), Some(Reply::Value));
        assert_eq!(take_reply(&mut received), None);
        received.extend_from_slice(b"13\r\n");
        assert_eq!(take_reply(&mut received), Some(Reply::Value));
        assert!(received.is_empty());
    }

    #[test]
    fn a_command_tells_its_lengths() {
        let mut out = Vec::new();
        command(&mut out, &[b"DEL", b"key"]);
        assert_eq!(out, b"*2\r\n$3\r\nDEL\r\n$3\r\nkey\r\n");
    }
}
