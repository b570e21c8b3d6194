//! A request body as parsed, before anyone knows what it means. Text and bytes are borrowed from
//! the body where they stand there unescaped and in one piece.

use std::borrow::Cow;

use crate::limits;

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
    List(Vec<Self>),
    /// Map in the order of the body; of equal keys the last one counts.
    Map(Vec<(Cow<'a, str>, Self)>),
}

/// The body is not a sound document of its encoding, or it is past a bound of `limits::BODY_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not a sound document of its encoding")]
pub struct Malformed;

/// How many more values a body may have; both parsers ask it before they build one.
#[derive(Debug)]
pub(super) struct Budget {
    values: usize,
}

impl Budget {
    /// The budget of a whole body.
    pub(super) const fn new() -> Self {
        Self { values: limits::BODY_VALUES_MAX }
    }

    /// Takes one value out of it.
    pub(super) fn take(&mut self) -> Result<(), Malformed> {
        self.values = self.values.checked_sub(1).ok_or(Malformed)?;
        Ok(())
    }
}

/// The depth of what is nested in a list or map at `depth`.
pub(super) fn deeper(depth: usize) -> Result<usize, Malformed> {
    if depth < limits::BODY_DEPTH_MAX { Ok(depth + 1) } else { Err(Malformed) }
}

/// The whole number nearest to zero from `number`, at the ends of the range where it lies outside,
/// 0 for what is not a number.
#[expect(clippy::cast_possible_truncation, reason = "saturating is what is wanted")]
pub(super) fn truncated(number: f64) -> i64 {
    number as i64
}
