//! Where in an input a value stands, as messages name it: `records.1.member.partitionKey`.

use std::fmt;

use crate::aws::shape::Member;

/// A place in an input. Lives on the stack of the walk; becomes text only for a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'p> {
    within: Option<&'p Self>,
    step: Step<'p>,
    /// Whether messages must not print the value.
    pub(super) is_sensitive: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step<'p> {
    Member(&'static str),
    Entry(usize),
    Key(&'p str),
}

impl<'p> Place<'p> {
    /// A member of the structure at `within`, or of the input itself.
    pub(super) const fn member(within: Option<&'p Self>, member: &Member) -> Self {
        Self { within, step: Step::Member(member.name), is_sensitive: member.sensitive }
    }

    /// The list entry at `index`, counted from 0.
    pub(super) const fn entry(&'p self, index: usize) -> Self {
        Self { within: Some(self), step: Step::Entry(index), is_sensitive: self.is_sensitive }
    }

    /// The map value of `key`.
    pub(super) const fn key(&'p self, key: &'p str) -> Self {
        Self { within: Some(self), step: Step::Key(key), is_sensitive: self.is_sensitive }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(within) = self.within {
            write!(formatter, "{within}.")?;
        }
        match self.step {
            Step::Member(name) => {
                let (first, rest) = name.split_at_checked(1).unwrap_or((name, ""));
                write!(formatter, "{}{rest}", first.to_ascii_lowercase())
            }
            Step::Entry(index) => write!(formatter, "{}.member", index + 1),
            Step::Key(key) => write!(formatter, "{key}.member"),
        }
    }
}
