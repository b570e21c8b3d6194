//! Bytes of a blob member. Base64 stays as it came until its place in memory is known, so that
//! large data is decoded once, straight to where it is kept.

use std::borrow::Cow;

use crate::aws::base64;

/// Bytes, or base64 that was checked.
#[derive(Clone, Debug)]
pub struct Blob<'a>(Form<'a>);

#[derive(Clone, Debug)]
enum Form<'a> {
    Plain(Cow<'a, [u8]>),
    Base64(&'a [u8]),
}

impl<'a> Blob<'a> {
    /// No bytes.
    pub const EMPTY: Self = Self(Form::Plain(Cow::Borrowed(&[])));

    /// From base64; `None` when it does not decode.
    pub(super) fn of_base64(text: &'a [u8]) -> Option<Self> {
        base64::is_sound(text).then_some(Self(Form::Base64(text)))
    }

    /// Number of bytes, decoded.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Plain(bytes) => bytes.len(),
            Form::Base64(text) => base64::decoded_bytes(text),
        }
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the bytes, decoded, to `out`.
    ///
    /// # Panics
    ///
    /// When checked base64 does not decode: a fault of the program.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Form::Plain(bytes) => out.extend_from_slice(bytes),
            Form::Base64(text) => base64_simd::STANDARD
                .decode_append(text, out)
                .expect("the text was checked when it was taken for base64"),
        }
    }
}

impl<'a, T: Into<Cow<'a, [u8]>>> From<T> for Blob<'a> {
    fn from(bytes: T) -> Self {
        Self(Form::Plain(bytes.into()))
    }
}

impl PartialEq for Blob<'_> {
    fn eq(&self, other: &Self) -> bool {
        let bytes = |blob: &Self| {
            let mut bytes = Vec::with_capacity(blob.len());
            blob.append_to(&mut bytes);
            bytes
        };
        self.len() == other.len() && bytes(self) == bytes(other)
    }
}
