//! Single constraints: what they say and whether a value keeps them.

use std::fmt;

use super::Field;
use crate::aws::shape::Shape;

/// One constraint.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    LongestLength(usize),
    ShortestLength(usize),
    LargestValue(i64),
    SmallestValue(i64),
    Pattern(&'static str, fn(&str) -> bool),
    OneOf(&'static [&'static str]),
    NotNull,
    /// Every entry of a list keeps the rules of this shape.
    Entries(&'static Shape),
    /// The length of every key of a map lies within.
    Keys(usize, usize),
    /// The length of every value of a map lies within.
    Values(usize, usize),
}

impl Rule {
    /// The rules of `shape` itself, in the order the service lists them. Structures, and the
    /// structures and lists in a list, have rules at places of their own.
    #[inline]
    pub(super) fn all_of(shape: &'static Shape) -> [Option<Self>; 4] {
        let length = |length: Option<(usize, usize)>| match length {
            Some((min, max)) => [Some(Self::LongestLength(max)), Some(Self::ShortestLength(min))],
            None => [None, None],
        };
        match shape {
            Shape::Text { length: bounds, pattern, one_of } => {
                let [longest, shortest] = length(*bounds);
                let pattern = pattern.map(|(printed, is_match)| Self::Pattern(printed, is_match));
                [longest, shortest, pattern, one_of.map(Self::OneOf)]
            }
            Shape::Integer { min, max } => {
                [max.map(Self::LargestValue), min.map(Self::SmallestValue), None, None]
            }
            Shape::Blob { max } => [Some(Self::LongestLength(*max)), None, None, None],
            Shape::List { of, length: bounds } => {
                let [longest, shortest] = length(*bounds);
                [longest, shortest, Self::told_at_list(of).then_some(Self::Entries(of)), None]
            }
            Shape::TextMap { length: bounds, key, value } => {
                let [longest, shortest] = length(*bounds);
                let [keys, values] = [Self::Keys(key.0, key.1), Self::Values(value.0, value.1)];
                [longest, shortest, Some(keys), Some(values)]
            }
            Shape::Boolean | Shape::Timestamp | Shape::Structure(_) => [None; 4],
        }
    }

    /// Whether the rules of a list's entries are told at the list, as one, not at each entry.
    pub(super) const fn told_at_list(of: &Shape) -> bool {
        !matches!(of, Shape::Structure(_) | Shape::List { .. } | Shape::TextMap { .. })
    }

    /// Whether `field` keeps it. A rule for another kind of field is kept.
    pub(super) fn is_kept_by(self, field: &Field<'_>) -> bool {
        match (self, field) {
            (Self::LongestLength(max), Field::Text(text)) => is_at_most(text, max),
            (Self::ShortestLength(min), Field::Text(text)) => is_at_least(text, min),
            (Self::LongestLength(max), Field::Blob(bytes)) => bytes.len() <= max,
            (Self::LongestLength(max), Field::List(list)) => list.len() <= max,
            (Self::ShortestLength(min), Field::List(list)) => list.len() >= min,
            (Self::LongestLength(max), Field::TextMap(map)) => map.len() <= max,
            (Self::ShortestLength(min), Field::TextMap(map)) => map.len() >= min,
            (Self::LargestValue(max), Field::Integer(number)) => i64::from(*number) <= max,
            (Self::SmallestValue(min), Field::Integer(number)) => i64::from(*number) >= min,
            (Self::Pattern(_, is_match), Field::Text(text)) => is_match(text),
            (Self::OneOf(values), Field::Text(text)) => values.contains(&text.as_ref()),
            (Self::NotNull, Field::Null) => false,
            (Self::Entries(of), Field::List(list)) => {
                let rules = Self::all_of(of);
                list.iter().all(|entry| rules.iter().flatten().all(|rule| rule.is_kept_by(entry)))
            }
            (Self::Keys(min, max), Field::TextMap(map)) => {
                map.iter().all(|(key, _)| is_at_least(key, min) && is_at_most(key, max))
            }
            (Self::Values(min, max), Field::TextMap(map)) => {
                map.iter().all(|(_, value)| is_at_least(value, min) && is_at_most(value, max))
            }
            _ => true,
        }
    }
}

/// Whether `text` has at most `max` UTF-16 units. It never has more units than bytes.
fn is_at_most(text: &str, max: usize) -> bool {
    text.len() <= max || text.encode_utf16().count() <= max
}

/// Whether `text` has at least `min` UTF-16 units. A unit never takes more than three bytes.
fn is_at_least(text: &str, min: usize) -> bool {
    text.len() / 3 >= min || text.encode_utf16().count() >= min
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LongestLength(max) => {
                write!(formatter, "Member must have length less than or equal to {max}")
            }
            Self::ShortestLength(min) => {
                write!(formatter, "Member must have length greater than or equal to {min}")
            }
            Self::LargestValue(max) => {
                write!(formatter, "Member must have value less than or equal to {max}")
            }
            Self::SmallestValue(min) => {
                write!(formatter, "Member must have value greater than or equal to {min}")
            }
            Self::Pattern(printed, _) => {
                write!(formatter, "Member must satisfy regular expression pattern: {printed}")
            }
            Self::OneOf(values) => {
                write!(formatter, "Member must satisfy enum value set: [{}]", values.join(", "))
            }
            Self::NotNull => formatter.write_str("Member must not be null"),
            Self::Entries(of) => {
                let rules: Vec<_> =
                    Self::all_of(of).iter().flatten().map(Self::to_string).collect();
                write!(formatter, "Member must satisfy constraint: [{}]", rules.join(", "))
            }
            Self::Keys(min, max) => {
                let [longest, shortest] = [Self::LongestLength(*max), Self::ShortestLength(*min)];
                write!(formatter, "Map keys must satisfy constraint: [{longest}, {shortest}]")
            }
            Self::Values(min, max) => {
                let [longest, shortest] = [Self::LongestLength(*max), Self::ShortestLength(*min)];
                write!(formatter, "Map value must satisfy constraint: [{longest}, {shortest}]")
            }
        }
    }
}
