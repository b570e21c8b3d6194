//! The malformed requests of the barrage, by group. Whatever could be stored of one, were it taken,
//! has the data `bad`.

mod bodies;
mod calls;
mod framing;

use kinelog_tests::raw::{self, CBOR};

/// One malformed request.
pub(crate) struct Bad {
    pub(crate) group: &'static str,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// It is a whole request, of a length nobody can doubt: it must get an answer.
    pub(crate) whole: bool,
    /// Nothing after it may be taken for a request: it gets one answer at most, and the connection
    /// ends.
    pub(crate) ends: bool,
}

/// All of them.
pub(crate) fn all() -> Vec<Bad> {
    [framing::all(), calls::all(), bodies::all()].into_iter().flatten().collect()
}

impl Bad {
    /// One whose end is known.
    fn whole(group: &'static str, name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { group, name: name.into(), bytes, whole: true, ends: false }
    }

    /// One whose end is anybody's guess. A good call follows that must not be taken for one.
    fn unbounded(group: &'static str, name: impl Into<String>, mut bytes: Vec<u8>) -> Self {
        bytes.extend(good_looking());
        Self { group, name: name.into(), bytes, whole: false, ends: true }
    }

    /// One that is not there to its end.
    fn cut(group: &'static str, name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { group, name: name.into(), bytes, whole: false, ends: true }
    }
}

/// A call that would store `bad`.
fn good_looking() -> Vec<u8> {
    raw::call("PutRecord", record())
}

fn record() -> String {
    raw::record(super::STREAM, "key", "bad")
}

/// The same in CBOR.
fn cbor_record() -> Vec<u8> {
    let mut body = vec![0xa3];
    for (name, value) in [("StreamName", super::STREAM), ("PartitionKey", "key")] {
        body.extend(cbor_text(name));
        body.extend(cbor_text(value));
    }
    body.extend(cbor_text("Data"));
    body.extend_from_slice(b"\x43bad");
    body
}

/// A text of less than 24 bytes.
fn cbor_text(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 24, "{text}");
    [&[0x60 + length], text.as_bytes()].concat()
}

/// A call in CBOR.
fn cbor_call(operation: &str, body: &[u8]) -> Vec<u8> {
    raw::request(&raw::headers(operation).replace(raw::JSON, CBOR), body)
}
