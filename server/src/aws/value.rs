//! A request body as parsed, before anyone knows what it means. Text and bytes are borrowed from
//! the body where they stand there unescaped and in one piece.

use std::borrow::Cow;

/// One value of a body.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// null (CBOR: also undefined)
    Null,
    /// true, false
    Bool(bool),
    /// A whole number; larger ones are floats.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// CBOR tag 1 with a number: milliseconds since the epoch.
    Millis(i64),
    /// Text.
    Text(Cow<'a, str>),
    /// CBOR byte string.
    Bytes(Cow<'a, [u8]>),
    /// List.
    List(Vec<Value<'a>>),
    /// Map in the order of the body; of equal keys the last one counts.
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// The body is not a sound document of its encoding (or is nested deeper than
/// `limits::BODY_DEPTH_MAX`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;
