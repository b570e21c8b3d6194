//! From a [`Value`] to an [`Input`]: type coercion, then constraint validation, both by the tables
//! of `shape`. What comes out has the right types and keeps every constraint; operations read it
//! by member name and never check again.
//!
//! Both passes walk the members of the table, in its order: members the table does not know, and
//! nulls, are as good as absent. Of members that occur twice the last one counts.

mod coercion;
mod place;
mod rule;
#[cfg(test)]
mod tests;
mod validation;

use std::borrow::Cow;

use super::Encoding;
use super::exception::Exception;
use super::shape::Structure;
use super::value::Value;
use coercion::Coercion;
use validation::Violations;

/// A coerced and validated structure.
#[derive(Debug, Default)]
pub struct Input<'a> {
    members: Vec<(&'static str, Field<'a>)>,
}

/// Entries of a map from text to text, in the order of the keys, each key once.
pub type TextMap<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// A coerced member.
#[derive(Debug)]
pub enum Field<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// Number.
    Integer(i32),
    /// Boolean.
    Boolean(bool),
    /// Bytes, decoded.
    Blob(Cow<'a, [u8]>),
    /// Milliseconds since the epoch.
    Timestamp(i64),
    /// A null entry of a list, while `read` works; `read` refuses the list and returns none.
    Null,
    /// List; nulls inside were refused.
    List(Vec<Self>),
    /// Map.
    TextMap(TextMap<'a>),
    /// Structure.
    Structure(Input<'a>),
}

/// Coerces and validates `body` (a map) as `shape`.
///
/// # Errors
///
/// `SerializationException` with the first wrong type, or `ValidationException` with up to ten
/// violated constraints, in the service's words.
pub fn read<'a>(
    body: Value<'a>,
    shape: &'static Structure,
    encoding: Encoding,
) -> Result<Input<'a>, Exception> {
    let mut violations = Violations::default();
    let input = Coercion::new(encoding, &mut violations).structure(body, shape, None)?;
    violations.check_structure(&input, shape, None);
    violations.into_result().map(|()| input)
}

impl<'a> Input<'a> {
    fn field(&self, name: &str) -> Option<&Field<'a>> {
        self.members.iter().find(|(member, _)| *member == name).map(|(_, field)| field)
    }

    /// Text member.
    pub fn text(&self, name: &str) -> Option<&str> {
        if let Some(Field::Text(text)) = self.field(name) { Some(text) } else { None }
    }

    /// Number member.
    pub fn integer(&self, name: &str) -> Option<i32> {
        if let Some(Field::Integer(n)) = self.field(name) { Some(*n) } else { None }
    }

    /// Boolean member.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        if let Some(Field::Boolean(b)) = self.field(name) { Some(*b) } else { None }
    }

    /// Blob member.
    pub fn blob(&self, name: &str) -> Option<&[u8]> {
        if let Some(Field::Blob(bytes)) = self.field(name) { Some(bytes) } else { None }
    }

    /// Timestamp member, in milliseconds.
    pub fn timestamp(&self, name: &str) -> Option<i64> {
        if let Some(Field::Timestamp(ms)) = self.field(name) { Some(*ms) } else { None }
    }

    /// List member.
    pub fn list(&self, name: &str) -> Option<&[Field<'a>]> {
        if let Some(Field::List(list)) = self.field(name) { Some(list) } else { None }
    }

    /// Map member.
    pub fn text_map(&self, name: &str) -> Option<&[(Cow<'a, str>, Cow<'a, str>)]> {
        if let Some(Field::TextMap(map)) = self.field(name) { Some(map) } else { None }
    }

    /// Nested structure.
    pub fn structure(&self, name: &str) -> Option<&Self> {
        if let Some(Field::Structure(input)) = self.field(name) { Some(input) } else { None }
    }
}
