//! HTTP/2 frame by frame: what the server announces, and how it ends floods.

use super::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const ACK: u8 = 1;
const END_STREAM_AND_HEADERS: u8 = 5;

const ENHANCE_YOUR_CALM: u32 = 0xb;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// `POST http://a/` without further headers.
fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM_AND_HEADERS, stream, b"\x83\x86\x84\x41\x01a")
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

fn connect(server: &Server) -> Client {
    let mut client = server.connect();
    client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.write(frame(SETTINGS, 0, 0, &[]));
    client
}

fn read(client: &mut Client) -> Option<Frame> {
    let mut head = [0; 9];
    client.0.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    client.0.read_exact(&mut payload).ok()?;
    let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
    Some(Frame { kind: head[3], flags: head[4], stream, payload })
}

/// Reads on to a frame of this kind.
fn read_until(client: &mut Client, kind: u8) -> Frame {
    loop {
        let frame = read(client).expect("the server sends the frame before it closes");
        if frame.kind == kind {
            return frame;
        }
    }
}

/// Reads to the end; tells the error code the server left with.
fn reason_of_end(client: &mut Client) -> Option<u32> {
    let mut reason = None;
    while let Some(frame) = read(client) {
        if frame.kind == GOAWAY {
            reason = Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()));
        }
    }
    reason
}

#[test]
fn settings_allow_long_bodies_and_many_streams() {
    let server = Server::start();
    let settings = read_until(&mut connect(&server), SETTINGS);
    let value = |id: u16| {
        let found =
            settings.payload.chunks_exact(6).find(|setting| setting[..2] == id.to_be_bytes());
        found.map(|setting| u32::from_be_bytes(setting[2..].try_into().unwrap()))
    };
    let (max_streams, window, max_head) = (value(3), value(4), value(6));
    assert_eq!(max_streams, Some(1_024));
    assert_eq!(window, Some(16 << 20));
    assert_eq!(max_head, Some(64 << 10));
}

#[test]
fn ping_is_answered_once_with_its_bytes() {
    let server = Server::start();
    let mut client = connect(&server);
    client.write(frame(PING, 0, 0, b"12345678"));
    let pong = read_until(&mut client, PING);
    assert_eq!((pong.flags, pong.payload.as_slice()), (ACK, &b"12345678"[..]));
}

#[test]
fn request_in_frames_is_answered_in_frames() {
    let server = Server::start();
    let mut client = connect(&server);
    client.write(post(1));
    assert_eq!(read_until(&mut client, HEADERS).stream, 1);
    let body = read_until(&mut client, DATA).payload;
    assert_eq!(body, cbor_map(&[("__type", "UnknownOperationException")]));
}

#[test]
fn reset_flood_ends_the_connection() {
    let server = Server::start();
    let mut client = connect(&server);
    let cancel = 8_u32.to_be_bytes();
    let flood: Vec<u8> = (0..1_000)
        .map(|number| 2 * number + 1)
        .flat_map(|stream| [post(stream), frame(RST_STREAM, 0, stream, &cancel)].concat())
        .collect();
    if client.0.write_all(&flood).is_ok() {
        // A reset by what was still on its way may overtake the reason.
        assert!(matches!(reason_of_end(&mut client), None | Some(ENHANCE_YOUR_CALM)));
    }
    server.post(JSON, "Fake.Echo", "{}").assert(200, Some(JSON), "{}");
}

#[test]
fn frames_that_make_no_sense_end_the_connection() {
    let server = Server::start();
    for nonsense in [
        frame(DATA, 0, 0, b"x"),
        frame(HEADERS, END_STREAM_AND_HEADERS, 2, b"\x83"),
        frame(HEADERS, END_STREAM_AND_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
        frame(PING, 0, 0, b"short"),
        frame(SETTINGS, 0, 0, b"odd"),
    ] {
        let mut client = connect(&server);
        client.write(&nonsense);
        assert!(reason_of_end(&mut client).is_some_and(|reason| reason != 0), "{nonsense:?}");
    }
}
