//! From a [`Value`] to an [`Input`]: type coercion, then constraint validation, both by the tables
//! of `shape`. What comes out has the right types and keeps every constraint; operations read it
//! by member name and never check again.
//!
//! Most bodies take a shorter way, `direct`, which is free to give up.
//!
//! Both passes walk the members of the table, in its order: members the table does not know, and
//! nulls, are as good as absent. Of members that occur twice the last one counts.

mod blob;
mod coercion;
mod direct;
mod place;
mod rule;
#[cfg(test)]
mod tests;
mod validation;

use std::borrow::Cow;

use super::Encoding;
use super::exception::Exception;
use super::shape::{Member, Structure};
use super::value::{Malformed, Value};
use super::{cbor, json};
use coercion::Coercion;
use validation::Violations;

pub use blob::Blob;

/// A coerced and validated structure.
#[derive(Debug, Default)]
pub struct Input<'a> {
    members: Vec<(&'static Member, Field<'a>)>,
}

/// So that the three members of a record take no more than the 120 bytes up to which the allocator is
/// quick: a call makes and frees hundreds of such lists.
const _: () = assert!(size_of::<(&Member, Field<'_>)>() <= 40);

/// Entries of a map from text to text, in the order of the keys, each key once.
pub type TextMap<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// A coerced member.
#[derive(Debug, PartialEq)]
pub enum Field<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// Number.
    Integer(i32),
    /// Boolean.
    Boolean(bool),
    /// Bytes.
    Blob(Blob<'a>),
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

/// A sound body, as far as it was read.
#[derive(Debug)]
pub enum Body<'a> {
    /// Its shape was known, and it is coerced and validated.
    Read(Input<'a>),
    /// A map.
    Parsed(Value<'a>),
}

impl<'a> Body<'a> {
    /// Reads `body`, of which a map is expected. With a `shape` it is read as such, if it is without
    /// fault.
    ///
    /// # Errors
    ///
    /// `Malformed`, also for a document that is no map.
    pub fn read(
        body: &'a [u8],
        shape: Option<&'static Structure>,
        encoding: Encoding,
    ) -> Result<Self, Malformed> {
        if let Some(input) = shape.and_then(|shape| direct::read(body, shape, encoding)) {
            return Ok(Self::Read(input));
        }
        let value = match encoding {
            Encoding::Json => json::parse(body)?,
            Encoding::Cbor => cbor::parse(body)?,
        };
        if matches!(value, Value::Map(_)) { Ok(Self::Parsed(value)) } else { Err(Malformed) }
    }
}

impl<'a> From<Value<'a>> for Body<'a> {
    fn from(value: Value<'a>) -> Self {
        Self::Parsed(value)
    }
}

/// Coerces and validates `body` as `shape`, the one it was read with if it was read with one.
///
/// # Errors
///
/// `SerializationException` with the first wrong type, or `ValidationException` with up to ten
/// violated constraints, in the service's words.
pub fn read<'a>(
    body: impl Into<Body<'a>>,
    shape: &'static Structure,
    encoding: Encoding,
) -> Result<Input<'a>, Exception> {
    let value = match body.into() {
        Body::Read(input) => return Ok(input),
        Body::Parsed(value) => value,
    };
    let mut violations = Violations::default();
    let input = Coercion::new(encoding, &mut violations).structure(value, shape, None)?;
    violations.check_structure(&input, shape, None);
    violations.into_result().map(|()| input)
}

/// Members are told apart by their names.
impl PartialEq for Input<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.members.len() == other.members.len()
            && self.members.iter().zip(&other.members).all(|((member, field), (other, others))| {
                member.name == other.name && field == others
            })
    }
}

impl<'a> Input<'a> {
    fn field(&self, name: &str) -> Option<&Field<'a>> {
        self.members.iter().find(|(member, _)| member.name == name).map(|(_, field)| field)
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
    pub fn blob(&self, name: &str) -> Option<&Blob<'a>> {
        if let Some(Field::Blob(blob)) = self.field(name) { Some(blob) } else { None }
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
