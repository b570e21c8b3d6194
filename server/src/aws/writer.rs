//! Writing answers: one set of calls, two encodings.
//!
//! JSON is compact; CBOR has maps and lists of indefinite length, as the service writes them. The
//! writer places commas itself and never looks back at what it wrote.

use std::fmt::Display;
use std::io::Write;

use bytes::Bytes;

use super::Encoding;

/// CBOR major types, in the upper three bits of a head.
const UNSIGNED: u8 = 0x00;
const NEGATIVE: u8 = 0x20;
const BYTE_STRING: u8 = 0x40;
const TEXT_STRING: u8 = 0x60;
/// CBOR heads and values of one byte.
const LIST_OF_ANY_LENGTH: u8 = 0x9f;
const MAP_OF_ANY_LENGTH: u8 = 0xbf;
const TAG_TIME: u8 = 0xc1;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const BREAK: u8 = 0xff;
/// CBOR head of an unsigned number whose value follows in 8 bytes.
const UNSIGNED_IN_8: u8 = 0x1b;

/// Builds one answer. Maps and lists are closed by the caller in the order they were opened.
#[derive(Debug)]
pub struct Writer {
    encoding: Encoding,
    bytes: Vec<u8>,
    /// JSON: whether what comes next in the open map or list follows something.
    needs_comma: bool,
}

impl Writer {
    /// An empty answer; `capacity` is a guess of its bytes.
    pub fn new(encoding: Encoding, capacity: usize) -> Self {
        Self { encoding, bytes: Vec::with_capacity(capacity), needs_comma: false }
    }

    /// Encoding it writes.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Opens a map (as a value: at the start, after `key`, or in a list).
    pub fn begin_map(&mut self) {
        self.begin(b'{', MAP_OF_ANY_LENGTH);
    }

    /// Closes the innermost map.
    pub fn end_map(&mut self) {
        self.end(b'}');
    }

    /// Opens a list.
    pub fn begin_list(&mut self) {
        self.begin(b'[', LIST_OF_ANY_LENGTH);
    }

    /// Closes the innermost list.
    pub fn end_list(&mut self) {
        self.end(b']');
    }

    /// Name of the next value of a map: ASCII without characters to escape.
    pub fn key(&mut self, name: &str) {
        self.ascii(name.as_bytes());
        if self.encoding == Encoding::Json {
            self.bytes.push(b':');
            self.needs_comma = false;
        }
    }

    /// Text value.
    pub fn text(&mut self, value: &str) {
        match self.encoding {
            Encoding::Json if is_plain(value) => self.ascii(value.as_bytes()),
            Encoding::Json => self.json(value),
            Encoding::Cbor => {
                self.head(TEXT_STRING, value.len() as u64);
                self.bytes.extend_from_slice(value.as_bytes());
            }
        }
    }

    /// Text of ASCII without characters to escape.
    pub fn ascii(&mut self, text: &[u8]) {
        match self.encoding {
            Encoding::Json => {
                self.separate();
                self.bytes.reserve(text.len() + 2);
                self.bytes.push(b'"');
                self.bytes.extend_from_slice(text);
                self.bytes.push(b'"');
            }
            Encoding::Cbor => {
                self.head(TEXT_STRING, text.len() as u64);
                self.bytes.extend_from_slice(text);
            }
        }
    }

    /// Anything that prints as plain ASCII without characters to escape, such as numbers in
    /// text form and identifiers; written as text.
    pub fn display(&mut self, value: &dyn Display) {
        match self.encoding {
            Encoding::Json => {
                self.separate();
                self.bytes.push(b'"');
                self.print(value);
                self.bytes.push(b'"');
            }
            Encoding::Cbor => {
                // The head holds the length, known only after printing: it moves in front then.
                let start = self.bytes.len();
                self.print(value);
                let length = self.bytes.len() - start;
                self.head(TEXT_STRING, length as u64);
                self.bytes[start..].rotate_left(length);
            }
        }
    }

    /// Leaves out one value, which the caller puts there when this is finished: at which place.
    pub fn leave_out(&mut self) -> usize {
        if self.encoding == Encoding::Json {
            self.separate();
        }
        self.bytes.len()
    }

    /// Whole number.
    pub fn integer(&mut self, value: i64) {
        match self.encoding {
            Encoding::Json => self.json(&value),
            // Complement: CBOR stores a negative number n as -1 - n.
            Encoding::Cbor if value < 0 => self.head(NEGATIVE, (!value).unsigned_abs()),
            Encoding::Cbor => self.head(UNSIGNED, value.unsigned_abs()),
        }
    }

    /// true, false.
    pub fn boolean(&mut self, value: bool) {
        match self.encoding {
            Encoding::Json => self.json(&value),
            Encoding::Cbor => self.bytes.push(if value { TRUE } else { FALSE }),
        }
    }

    /// Bytes: base64 text in JSON, a byte string in CBOR.
    pub fn blob(&mut self, value: &[u8]) {
        match self.encoding {
            Encoding::Json => {
                self.separate();
                // Appending base64 grows the buffer to the exact need; growing it here first keeps
                // an answer of many blobs from being copied once a blob.
                self.bytes.reserve(base64_simd::STANDARD.encoded_length(value.len()) + 2);
                self.bytes.push(b'"');
                base64_simd::STANDARD.encode_append(value, &mut self.bytes);
                self.bytes.push(b'"');
            }
            Encoding::Cbor => {
                self.head(BYTE_STRING, value.len() as u64);
                self.bytes.extend_from_slice(value);
            }
        }
    }

    /// A time in milliseconds: decimal seconds in JSON, tag 1 and an integer in CBOR.
    pub fn timestamp(&mut self, millis: u64) {
        match self.encoding {
            Encoding::Json => {
                self.json(&(millis / 1000));
                let fraction = millis % 1000;
                if fraction > 0 {
                    let digit = |unit| b'0' + u8::try_from(fraction / unit % 10).unwrap_or(0);
                    let digits = [b'.', digit(100), digit(10), digit(1)];
                    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
                    self.bytes.extend_from_slice(&digits[..digits.len() - zeros]);
                }
            }
            Encoding::Cbor => {
                self.bytes.extend_from_slice(&[TAG_TIME, UNSIGNED_IN_8]);
                self.bytes.extend_from_slice(&millis.to_be_bytes());
            }
        }
    }

    /// Bytes written so far, but for what `continue_in` gave away.
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True when there are none.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that fit before what is written moves to a longer buffer.
    pub fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// What has been written so far; it goes on in `buffer`, which is empty. Places that `leave_out`
    /// told are in what is given away.
    #[must_use]
    pub fn continue_in(&mut self, buffer: Vec<u8>) -> Vec<u8> {
        std::mem::replace(&mut self.bytes, buffer)
    }

    /// The finished body.
    pub fn finish(self) -> Bytes {
        self.bytes.into()
    }

    fn begin(&mut self, json: u8, cbor: u8) {
        match self.encoding {
            Encoding::Json => {
                self.separate();
                self.bytes.push(json);
                self.needs_comma = false;
            }
            Encoding::Cbor => self.bytes.push(cbor),
        }
    }

    fn end(&mut self, json: u8) {
        match self.encoding {
            Encoding::Json => {
                self.bytes.push(json);
                self.needs_comma = true;
            }
            Encoding::Cbor => self.bytes.push(BREAK),
        }
    }

    /// JSON: what must stand between the last value and the next.
    fn separate(&mut self) {
        if self.needs_comma {
            self.bytes.push(b',');
        }
        self.needs_comma = true;
    }

    /// JSON: a scalar.
    fn json<T: serde::Serialize + ?Sized>(&mut self, value: &T) {
        self.separate();
        serde_json::to_writer(&mut self.bytes, value)
            .expect("text, numbers and booleans always serialise, and a Vec takes every byte");
    }

    fn print(&mut self, value: &dyn Display) {
        write!(self.bytes, "{value}").expect("a Vec takes every byte");
    }

    /// CBOR: the shortest head of a major type with its number.
    fn head(&mut self, major: u8, number: u64) {
        let [.., b3, b2, b1, b0] = number.to_be_bytes();
        match number {
            0..=23 => self.bytes.push(major | b0),
            24..=0xff => self.bytes.extend_from_slice(&[major | 0x18, b0]),
            0x100..=0xffff => self.bytes.extend_from_slice(&[major | 0x19, b1, b0]),
            0x1_0000..=0xffff_ffff => self.bytes.extend_from_slice(&[major | 0x1a, b3, b2, b1, b0]),
            _ => {
                self.bytes.push(major | 0x1b);
                self.bytes.extend_from_slice(&number.to_be_bytes());
            }
        }
    }
}

/// Whether JSON holds the text unescaped.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests;
