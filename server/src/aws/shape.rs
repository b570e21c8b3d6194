//! What an operation's input looks like: constant tables that drive coercion and validation, so
//! that an operation only adds rows.

/// An operation's input, or a nested structure.
#[derive(Debug)]
pub struct Structure {
    /// Java class the service prints for it, e.g. `PutRecordsRequestEntry`; for messages.
    pub name: &'static str,
    /// Members, in the model's order.
    pub members: &'static [Member],
}

/// One member of a structure.
#[derive(Debug)]
pub struct Member {
    /// Wire name, in upper camel case.
    pub name: &'static str,
    /// True when it must be present and not null.
    pub required: bool,
    /// True when messages never print its value.
    pub sensitive: bool,
    /// Kind and constraints.
    pub shape: Shape,
}

/// A pattern as the service prints it, and its check of a whole text.
pub type Pattern = (&'static str, fn(&str) -> bool);

/// Kind of a member with its constraints.
#[derive(Debug)]
pub enum Shape {
    /// Text: length in UTF-16 units, pattern (checked by a function, printed as given), enum.
    Text {
        /// Shortest and longest, if constrained.
        length: Option<(usize, usize)>,
        /// Pattern as the service prints it, and its check.
        pattern: Option<Pattern>,
        /// Enum values in the order the service prints.
        one_of: Option<&'static [&'static str]>,
    },
    /// 32-bit number with smallest and largest value.
    Integer {
        /// Smallest.
        min: Option<i64>,
        /// Largest.
        max: Option<i64>,
    },
    /// true, false.
    Boolean,
    /// Bytes with longest length.
    Blob {
        /// Longest, decoded.
        max: usize,
    },
    /// A time.
    Timestamp,
    /// List of one kind, with fewest and most entries.
    List {
        /// Kind of the entries.
        of: &'static Self,
        /// Fewest and most.
        length: Option<(usize, usize)>,
    },
    /// Map from text to text, with fewest and most entries and the bounds of keys and values.
    TextMap {
        /// Fewest and most entries.
        length: Option<(usize, usize)>,
        /// Length of keys.
        key: (usize, usize),
        /// Length of values.
        value: (usize, usize),
    },
    /// A nested structure.
    Structure(&'static Structure),
}
