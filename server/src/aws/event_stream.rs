//! The messages of an event stream, `application/vnd.amazon.eventstream`.
//!
//! All numbers are big-endian; both sums are CRC-32 (IEEE):
//!
//! ```text
//! | message bytes | header bytes | sum of these 8 | headers | payload | sum of all before |
//! | 4             | 4            | 4              | n       | m       | 4                 |
//!
//! header: | name bytes | name | type | value                            |
//!         | 1          |      | 1    | by type; 7 is text: 2 bytes, text |
//! ```
//!
//! Kinds of message: an event, an exception that ends the stream, and an error that no model names.
//! The first message of a stream is always the event `initial-response`.
//!
//! A payload may have a part that many messages share, such as a list of records that goes to many
//! readers: it is neither copied nor summed again.

use bytes::{Buf, Bytes};
use crc32fast::Hasher;

use super::Encoding;
use super::exception::{Exception, Kind};
use super::writer::Writer;

/// Media type of a stream.
pub const MEDIA_TYPE: &str = "application/vnd.amazon.eventstream";

const PRELUDE_BYTES: usize = 12;
const SUM_BYTES: usize = 4;
const TYPE_TEXT: u8 = 7;
/// Longest message that is taken apart, in bytes: that of other readers.
const MESSAGE_BYTES_MAX: usize = 24 << 20;
/// Longest headers of such a message, in bytes.
const HEADERS_BYTES_MAX: usize = 128 << 10;

/// A message as it is sent, in pieces that follow each other.
pub type Pieces = [Bytes; 3];

/// Part of a payload, with its sum.
#[derive(Clone, Debug)]
pub struct Shared {
    bytes: Bytes,
    sum: Hasher,
}

impl Shared {
    /// Sums `bytes`, once.
    pub fn new(bytes: Bytes) -> Self {
        let mut sum = Hasher::new();
        sum.update(&bytes);
        Self { bytes, sum }
    }

    /// How long it is.
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The same bytes in another guise.
    #[must_use]
    pub fn map_bytes(self, map: impl FnOnce(Bytes) -> Bytes) -> Self {
        Self { bytes: map(self.bytes), ..self }
    }

    /// True when it has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// A payload in three parts.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// What comes first.
    pub before: &'a [u8],
    /// What follows, if anything is shared.
    pub shared: Option<&'a Shared>,
    /// What comes last.
    pub after: &'a [u8],
}

impl<'a> Payload<'a> {
    /// A payload of which nothing is shared.
    pub const fn whole(bytes: &'a [u8]) -> Self {
        Self { before: bytes, shared: None, after: b"" }
    }
}

/// The event that opens every stream.
pub fn initial_response(encoding: Encoding) -> Pieces {
    let mut empty = Writer::new(encoding, 2);
    empty.begin_map();
    empty.end_map();
    event("initial-response", encoding, Payload::whole(&empty.finish()))
}

/// An event of this type.
pub fn event(name: &str, encoding: Encoding, payload: Payload<'_>) -> Pieces {
    message(
        &[
            (":message-type", "event"),
            (":event-type", name),
            (":content-type", encoding.media_type()),
        ],
        payload,
    )
}

/// An exception; nothing follows it.
pub fn exception(exception: &Exception, encoding: Encoding) -> Pieces {
    let is_ours = exception.kind == Kind::InternalFailure;
    let name = if is_ours { "InternalFailureException" } else { exception.kind.name() };
    let mut writer = Writer::new(encoding, 256);
    writer.begin_map();
    if let Some(text) = &exception.message {
        writer.key("message");
        writer.text(text);
    }
    writer.end_map();
    message(
        &[
            (":message-type", "exception"),
            (":exception-type", name),
            (":content-type", encoding.media_type()),
        ],
        Payload::whole(&writer.finish()),
    )
}

/// A message with these headers, names and values below 256 bytes, and a payload below 4 GiB.
fn message(headers: &[(&str, &str)], payload: Payload<'_>) -> Pieces {
    let Payload { before, shared, after } = payload;
    let headers_bytes: usize =
        headers.iter().map(|(name, value)| 4 + name.len() + value.len()).sum();
    let shared_bytes = shared.map_or(0, Shared::len);
    let payload_bytes = before.len() + shared_bytes + after.len();
    let total = PRELUDE_BYTES + headers_bytes + payload_bytes + SUM_BYTES;
    let mut head = Vec::with_capacity(PRELUDE_BYTES + headers_bytes + before.len());
    head.extend_from_slice(&length_4(total));
    head.extend_from_slice(&length_4(headers_bytes));
    let prelude_sum = crc32fast::hash(&head);
    head.extend_from_slice(&prelude_sum.to_be_bytes());
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        head.extend_from_slice(name.as_bytes());
        head.push(TYPE_TEXT);
        head.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    head.extend_from_slice(before);
    let mut sum = Hasher::new();
    sum.update(&head);
    if let Some(shared) = shared {
        sum.combine(&shared.sum);
    }
    sum.update(after);
    let mut tail = Vec::with_capacity(after.len() + SUM_BYTES);
    tail.extend_from_slice(after);
    tail.extend_from_slice(&sum.finalize().to_be_bytes());
    [head.into(), shared.map_or_else(Bytes::new, |shared| shared.bytes.clone()), tail.into()]
}

fn length_4(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// A message taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its headers of type text.
    pub headers: Vec<(String, String)>,
    /// Its payload.
    pub payload: Bytes,
}

impl Message {
    /// The header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What was received is no event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message in an event stream")]
pub struct MessageError;

/// Takes the first message off `received`; `None` while it is not there whole.
///
/// # Errors
///
/// [`MessageError`] when lengths or sums are wrong.
pub fn take_message(received: &mut Bytes) -> Result<Option<Message>, MessageError> {
    let Some(prelude) = received.first_chunk::<PRELUDE_BYTES>() else { return Ok(None) };
    let (mut fields, mut sum) = prelude.split_at(8);
    if crc32fast::hash(fields) != sum.get_u32() {
        return Err(MessageError);
    }
    let total = usize::try_from(fields.get_u32()).map_err(|_| MessageError)?;
    let headers_bytes = usize::try_from(fields.get_u32()).map_err(|_| MessageError)?;
    if headers_bytes > HEADERS_BYTES_MAX
        || total > MESSAGE_BYTES_MAX + HEADERS_BYTES_MAX
        || total < PRELUDE_BYTES + headers_bytes + SUM_BYTES
    {
        return Err(MessageError);
    }
    if received.len() < total {
        return Ok(None);
    }
    let mut message = received.split_to(total);
    let mut sum = message.split_off(total - SUM_BYTES);
    if crc32fast::hash(&message) != sum.get_u32() {
        return Err(MessageError);
    }
    message.advance(PRELUDE_BYTES);
    let headers = take_headers(message.split_to(headers_bytes)).ok_or(MessageError)?;
    Ok(Some(Message { headers, payload: message }))
}

fn take_headers(mut bytes: Bytes) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while bytes.has_remaining() {
        let name_bytes = usize::from(bytes.try_get_u8().ok()?);
        let name = take_text(&mut bytes, name_bytes)?;
        let value_bytes = match bytes.try_get_u8().ok()? {
            0 | 1 => 0,
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8,
            6 => usize::from(bytes.try_get_u16().ok()?),
            TYPE_TEXT => {
                let value_bytes = usize::from(bytes.try_get_u16().ok()?);
                headers.push((name, take_text(&mut bytes, value_bytes)?));
                continue;
            }
            9 => 16,
            _ => return None,
        };
        (value_bytes <= bytes.len()).then(|| bytes.advance(value_bytes))?;
    }
    Some(headers)
}

fn take_text(bytes: &mut Bytes, length: usize) -> Option<String> {
    let text = (length <= bytes.len()).then(|| bytes.split_to(length))?;
    String::from_utf8(text.into()).ok()
}

#[cfg(test)]
mod tests;
