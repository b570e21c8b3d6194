//! The second pass: every constraint of every member, told in the service's words.

use std::fmt;

use super::place::Place;
use super::rule::Rule;
use super::{Field, Input};
use crate::aws::exception::{Exception, Kind};
use crate::aws::shape::{Shape, Structure};
use crate::limits;

/// Java package of the service's classes, printed with the name of a structure.
const JAVA_PACKAGE: &str = "com.amazonaws.kinesis.v20131202";

/// Violated constraints, told as they were found; past `limits::VIOLATIONS_MAX` none is added.
#[derive(Debug, Default)]
pub(super) struct Violations {
    entries: Vec<String>,
}

impl Violations {
    /// Nothing, or the exception with all of them.
    pub(super) fn into_result(self) -> Result<(), Exception> {
        let count = self.entries.len();
        if count == 0 {
            return Ok(());
        }
        let noun = if count == 1 { "error" } else { "errors" };
        let message = format!("{count} validation {noun} detected: {}", self.entries.join("; "));
        Err(Exception::new(Kind::Validation, message))
    }

    /// Adds that the value at `place` is null or absent.
    pub(super) fn add_null(&mut self, place: &Place<'_>) {
        self.add(place, Rule::NotNull, || "null".to_owned());
    }

    /// Checks the structure at `place` (none for the input itself).
    pub(super) fn check_structure(
        &mut self,
        input: &Input<'_>,
        shape: &'static Structure,
        place: Option<&Place<'_>>,
    ) {
        for member in shape.members {
            let place = Place::member(place, member);
            match input.field(member.name) {
                Some(field) => self.check(field, &member.shape, &place),
                None if member.required => self.add_null(&place),
                None => {}
            }
        }
    }

    fn check(&mut self, field: &Field<'_>, shape: &'static Shape, place: &Place<'_>) {
        for rule in Rule::all_of(shape).iter().flatten().filter(|rule| !rule.is_kept_by(field)) {
            self.add(place, *rule, || format!("'{}'", Printed { field, shape }));
        }
        match (field, shape) {
            (Field::Structure(input), Shape::Structure(shape)) => {
                self.check_structure(input, shape, Some(place));
            }
            (Field::List(list), Shape::List { of, .. }) if !Rule::told_at_list(of) => {
                for (index, entry) in list.iter().enumerate() {
                    self.check(entry, of, &place.entry(index));
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, place: &Place<'_>, rule: Rule, printed: impl Fn() -> String) {
        if self.entries.len() == limits::VIOLATIONS_MAX {
            return;
        }
        let value = if place.is_sensitive { String::new() } else { format!(" {}", printed()) };
        let entry = format!("Value{value} at '{place}' failed to satisfy constraint: {rule}");
        self.entries.push(entry);
    }
}

/// A value as messages print it, which is what Java prints for it.
struct Printed<'f, 'a> {
    field: &'f Field<'a>,
    shape: &'static Shape,
}

impl fmt::Display for Printed<'_, '_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.field, self.shape) {
            (Field::Text(text), _) => formatter.write_str(text),
            (Field::Integer(number), _) => write!(formatter, "{number}"),
            (Field::Boolean(value), _) => write!(formatter, "{value}"),
            (Field::Timestamp(millis), _) => write!(formatter, "{millis}"),
            (Field::Blob(bytes), _) => {
                let length = bytes.len();
                write!(formatter, "java.nio.HeapByteBuffer[pos=0 lim={length} cap={length}]")
            }
            (Field::List(list), Shape::List { of, .. }) => {
                let entries = list.iter().map(|field| Printed { field, shape: of });
                write_enclosed(formatter, '[', entries, ']')
            }
            (Field::TextMap(map), _) => {
                let entries = map.iter().map(|(key, value)| format!("{key}={value}"));
                write_enclosed(formatter, '{', entries, '}')
            }
            (Field::Structure(_), Shape::Structure(shape)) => {
                write!(formatter, "{JAVA_PACKAGE}.{}@{:x}", shape.name, java_hash(shape.name))
            }
            // Only a null is left: coercion gave every other field the kind of its shape.
            _ => formatter.write_str("null"),
        }
    }
}

fn write_enclosed(
    formatter: &mut fmt::Formatter<'_>,
    open: char,
    entries: impl Iterator<Item = impl fmt::Display>,
    close: char,
) -> fmt::Result {
    write!(formatter, "{open}")?;
    for (index, entry) in entries.enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        write!(formatter, "{separator}{entry}")?;
    }
    write!(formatter, "{close}")
}

/// Java prints an object's hash after its class. Ours is that of the class name: it means nothing,
/// and the same input gets the same message.
fn java_hash(text: &str) -> u32 {
    text.bytes().fold(0, |hash: u32, byte| hash.wrapping_mul(31).wrapping_add(byte.into()))
}
