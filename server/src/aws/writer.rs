//! Writing answers: one set of calls, two encodings.

use bytes::Bytes;

use super::Encoding;

/// Builds one answer. Maps and lists are closed by the caller in the order they were opened.
#[derive(Debug)]
pub struct Writer {
    encoding: Encoding,
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty answer; `capacity` is a guess of its bytes.
    pub fn new(encoding: Encoding, capacity: usize) -> Self {
        Self { encoding, bytes: Vec::with_capacity(capacity) }
    }

    /// Encoding it writes.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Opens a map (as a value: at the start, after `key`, or in a list).
    pub fn begin_map(&mut self) {
        todo!()
    }

    /// Closes the innermost map.
    pub fn end_map(&mut self) {
        todo!()
    }

    /// Opens a list.
    pub fn begin_list(&mut self) {
        todo!()
    }

    /// Closes the innermost list.
    pub fn end_list(&mut self) {
        todo!()
    }

    /// Name of the next value of a map.
    pub fn key(&mut self, name: &str) {
        let _ = name;
        todo!()
    }

    /// Text value.
    pub fn text(&mut self, value: &str) {
        let _ = value;
        todo!()
    }

    /// Anything that prints as plain ASCII without characters to escape, such as numbers in
    /// text form and identifiers; written as text.
    pub fn display(&mut self, value: &dyn std::fmt::Display) {
        let _ = value;
        todo!()
    }

    /// Whole number.
    pub fn integer(&mut self, value: i64) {
        let _ = value;
        todo!()
    }

    /// true, false.
    pub fn boolean(&mut self, value: bool) {
        let _ = value;
        todo!()
    }

    /// Bytes: base64 text in JSON, a byte string in CBOR.
    pub fn blob(&mut self, value: &[u8]) {
        let _ = value;
        todo!()
    }

    /// A time in milliseconds: decimal seconds in JSON, tag 1 and an integer in CBOR.
    pub fn timestamp(&mut self, millis: u64) {
        let _ = millis;
        todo!()
    }

    /// The finished body.
    pub fn finish(self) -> Bytes {
        self.bytes.into()
    }
}
