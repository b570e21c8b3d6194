//! `aws::event_stream`: agrees with an independent decoder on what is a message, and what it
//! encodes the other one decodes.

use bytes::Bytes;
use kinelog::aws::Encoding;
use kinelog::aws::event_stream::{self, Payload, Shared, take_message};
use kinelog::aws::exception::{Exception, Kind};

use crate::Seed;
use crate::choices::Choices;

type Headers = Vec<(String, String)>;

/// The target: bytes as they are received, the same with both sums of the first message put right,
/// and a message made of them.
pub fn run(data: &[u8]) {
    check(data);
    let mut sealed = data.to_vec();
    if seal(&mut sealed).is_some() {
        check(&sealed);
    }
    check_encoding(data);
}

fn check(data: &[u8]) {
    let mut received = Bytes::copy_from_slice(data);
    let mut rest = data;
    for _ in 0..=data.len() {
        let (found, expected) = (take_message(&mut received), decode(rest));
        let Ok(Some(message)) = found else {
            assert_eq!(found.map(|_| ()), expected.map(|_| ()));
            return;
        };
        let Ok(Some((headers, payload, bytes))) = expected else { panic!("{message:?}") };
        assert_eq!((message.headers, &message.payload[..]), (headers, payload));
        rest = &rest[bytes..];
        assert_eq!(received, rest, "a message takes its own bytes");
    }
    panic!("a message takes at least one byte");
}

/// Puts both sums right.
fn seal(data: &mut [u8]) -> Option<()> {
    let total = number(data, 0)?;
    let sum = sum(data.get(..8)?);
    data.get_mut(8..12)?.copy_from_slice(&sum.to_be_bytes());
    let end = total.checked_sub(4)?;
    let sum = self::sum(data.get(..end)?);
    data.get_mut(end..end.checked_add(4)?)?.copy_from_slice(&sum.to_be_bytes());
    Some(())
}

fn number(data: &[u8], at: usize) -> Option<usize> {
    let bytes = data.get(at..at.checked_add(4)?)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*bytes)).ok()
}

/// CRC-32 of IEEE, bit by bit.
fn sum(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

type Decoded<'a> = Option<(Headers, &'a [u8], usize)>;

/// The first message, by the drawing of the format: its text headers, its payload, its length.
fn decode(data: &[u8]) -> Result<Decoded<'_>, event_stream::MessageError> {
    const WRONG: event_stream::MessageError = event_stream::MessageError;
    let right = |is: bool| is.then_some(()).ok_or(WRONG);
    if data.len() < 12 {
        return Ok(None);
    }
    let field = |at| number(data, at).ok_or(WRONG);
    let (total, headers_bytes) = (field(0)?, field(4)?);
    right(field(8)? == sum(&data[..8]) as usize)?;
    right(headers_bytes <= 131_072 && total <= 25_165_824 + 131_072)?;
    right(total >= headers_bytes + 16)?;
    if data.len() < total {
        return Ok(None);
    }
    right(field(total - 4)? == sum(&data[..total - 4]) as usize)?;
    let (mut headers, mut at) = (Headers::new(), &data[12..12 + headers_bytes]);
    while !at.is_empty() {
        let name = text(&mut at, 1).ok_or(WRONG)?;
        let kind = take(&mut at, 1).ok_or(WRONG)?[0];
        match kind {
            7 => headers.push((name, text(&mut at, 2).ok_or(WRONG)?)),
            6 => drop(sized(&mut at, 2).ok_or(WRONG)?),
            0..=5 | 8 | 9 => {
                let bytes = [0, 0, 1, 2, 4, 8, 0, 0, 8, 16][usize::from(kind)];
                take(&mut at, bytes).ok_or(WRONG)?;
            }
            _ => return Err(WRONG),
        }
    }
    Ok(Some((headers, &data[12 + headers_bytes..total - 4], total)))
}

fn take<'a>(at: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (taken, rest) = at.split_at_checked(bytes)?;
    *at = rest;
    Some(taken)
}

/// What has its length in front, in so many bytes.
fn sized<'a>(at: &mut &'a [u8], length_bytes: usize) -> Option<&'a [u8]> {
    let length = take(at, length_bytes)?;
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    take(at, length)
}

fn text(at: &mut &[u8], length_bytes: usize) -> Option<String> {
    String::from_utf8(sized(at, length_bytes)?.to_vec()).ok()
}

fn check_encoding(data: &[u8]) {
    let mut choices = Choices::new(data);
    let encoding = if choices.is() { Encoding::Json } else { Encoding::Cbor };
    let kind = Kind::ALL[choices.below(Kind::ALL.len())];
    let name: String = choices.text().chars().take(60).collect();
    let shared = Shared::new(Bytes::copy_from_slice(choices.bytes()));
    let (before, after) = (choices.bytes(), choices.rest());
    let payload = Payload { before, shared: Some(&shared), after };
    let bytes = event_stream::event(&name, encoding, payload).concat();
    let (headers, whole, length) = decode(&bytes).expect("it is sound").expect("it is whole");
    assert_eq!(length, bytes.len());
    assert_eq!(whole.len(), before.len() + shared.len() + after.len());
    assert!(whole.starts_with(before) && whole.ends_with(after));
    let of = |header: &str| headers.iter().find(|it| it.0 == header).map(|it| it.1.as_str());
    assert_eq!((of(":message-type"), of(":event-type")), (Some("event"), Some(&*name)));
    assert_eq!(of(":content-type"), Some(encoding.media_type()));
    let exception = Exception::new(kind, String::from_utf8_lossy(after).into_owned());
    let bytes = event_stream::exception(&exception, encoding).concat();
    let (headers, ..) = decode(&bytes).expect("it is sound").expect("it is whole");
    assert_eq!(headers[0], (":message-type".to_owned(), "exception".to_owned()));
}

/// Messages with headers of all types, two in a row, and one that is not whole.
pub fn seeds() -> Vec<Seed> {
    let event = event_stream::event("e", Encoding::Json, Payload::whole(b"{}")).concat();
    let exception = Exception::new(Kind::ResourceNotFound, "no");
    let exception = event_stream::exception(&exception, Encoding::Cbor).concat();
    let mut headers = Vec::new();
    for (kind, bytes) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)] {
        headers.extend([1, b'a', kind]);
        headers.resize(headers.len() + bytes, 7);
    }
    headers.extend(b"\x01b\x06\x00\x02xy\x01c\x07\x00\x02xy");
    let length = |bytes: usize| u32::try_from(bytes).expect("samples are short").to_be_bytes();
    let head = [length(16 + headers.len() + 3), length(headers.len()), [0; 4]].concat();
    let mut all = [&head[..], &headers, b"abc", &[0; 4]].concat();
    seal(&mut all).expect("its lengths are right");
    vec![
        ("event", event.clone()),
        ("exception", exception.clone()),
        ("headers", all),
        ("two", [&event[..], &exception].concat()),
        ("part", event[..event.len() - 1].to_vec()),
    ]
}
