//! JSON, read by a table: text without escapes, whole numbers of few digits, no nulls.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::super::blob::Blob;
use super::super::{Field, Input};
use super::entries_max;
use crate::aws::shape::{Shape, Structure};

/// Digits that fit 32 bits whatever they are.
const DIGITS_MAX: usize = 9;

pub(super) fn read<'a>(body: &'a [u8], shape: &'static Structure) -> Option<Input<'a>> {
    let mut reader = Reader { rest: body };
    let input = reader.structure(shape)?;
    reader.next().is_none().then_some(input)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn structure(&mut self, shape: &'static Structure) -> Option<Input<'a>> {
        self.take(b'{')?;
        let mut input = Input::of(shape);
        let mut is_open = !self.takes(b'}');
        while is_open {
            let name = self.quoted(|rest| memchr(b'"', rest))?;
            let member = input.expect(name, shape)?;
            self.take(b':')?;
            input.add(member, self.field(&member.shape)?);
            is_open = self.goes_on(b'}')?;
        }
        Some(input)
    }

    fn field(&mut self, shape: &'static Shape) -> Option<Field<'a>> {
        match shape {
            Shape::Text { .. } => self.text().map(Field::Text),
            Shape::Integer { .. } => self.integer().map(Field::Integer),
            Shape::Boolean => self.boolean().map(Field::Boolean),
            Shape::Blob { .. } => self.blob().map(Field::Blob),
            Shape::List { of, .. } => self.list(of, entries_max(shape)).map(Field::List),
            Shape::Structure(shape) => self.structure(shape).map(Field::Structure),
            Shape::Timestamp | Shape::TextMap { .. } => None,
        }
    }

    fn list(&mut self, of: &'static Shape, max: usize) -> Option<Vec<Field<'a>>> {
        self.take(b'[')?;
        let mut list = Vec::new();
        let mut is_open = !self.takes(b']');
        while is_open {
            if list.len() == max {
                return None;
            }
            list.push(self.field(of)?);
            is_open = self.goes_on(b']')?;
        }
        Some(list)
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        let text = self.quoted(|rest| memchr2(b'"', b'\\', rest).filter(|&at| rest[at] == b'"'))?;
        let is_plain = text.iter().all(|&byte| byte >= b' ');
        std::str::from_utf8(text).ok().filter(|_| is_plain).map(Cow::Borrowed)
    }

    /// No byte of base64 has a meaning in JSON.
    fn blob(&mut self) -> Option<Blob<'a>> {
        self.quoted(|rest| memchr(b'"', rest)).and_then(Blob::of_base64)
    }

    fn integer(&mut self) -> Option<i32> {
        self.next()?;
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(count);
        let has_idle_zero = count > 1 && digits[0] == b'0';
        if count > DIGITS_MAX || has_idle_zero {
            return None;
        }
        self.rest = rest;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    fn boolean(&mut self) -> Option<bool> {
        let (word, value): (&[u8], _) =
            if self.next()? == b't' { (b"true", true) } else { (b"false", false) };
        self.rest = self.rest.strip_prefix(word)?;
        Some(value)
    }

    /// What stands between a quote and the one that `end` finds behind it.
    fn quoted(&mut self, end: impl FnOnce(&[u8]) -> Option<usize>) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let (text, rest) = self.rest.split_at_checked(end(self.rest)?)?;
        self.rest = &rest[1..];
        Some(text)
    }

    /// After an entry: whether another one follows, or `close`.
    fn goes_on(&mut self, close: u8) -> Option<bool> {
        let ends = self.takes(close);
        if !ends {
            self.take(b',')?;
        }
        Some(!ends)
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.takes(byte).then_some(())
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_next = self.next() == Some(byte);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    /// The byte after white space, which is skipped.
    fn next(&mut self) -> Option<u8> {
        while let [b' ' | b'\n' | b'\t' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.rest.first().copied()
    }
}
