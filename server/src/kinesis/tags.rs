//! Rules for tags that go beyond their length.

use std::collections::BTreeMap;

use super::stream_ref::StreamRef;
use crate::aws::exception::{Exception, Kind};
use crate::limits::TAGS_MAX;

/// Adds `new` to `tags` of a stream.
///
/// # Errors
///
/// `InvalidArgumentException` for forbidden characters and for too many tags; `tags` may then hold
/// some of `new` and is not to be used.
pub(super) fn add<'a>(
    stream: &StreamRef,
    tags: &mut BTreeMap<String, String>,
    new: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Result<(), Exception> {
    let invalid = |message: String| Err(Exception::new(Kind::InvalidArgument, message));
    let StreamRef { name, account, .. } = stream;
    if !new.clone().all(|(key, value)| is_plain(key) && is_plain(value)) {
        return invalid(
            "Some tags contain invalid characters. Valid characters: \
             Unicode letters, digits, white space, _ . / = + - % @."
                .to_owned(),
        );
    }
    if new.clone().any(|(key, value)| key.contains('%') || value.contains('%')) {
        return invalid(format!(
            "Failed to add tags to stream {name} under account {account} because some tags \
             contained illegal characters. The allowed characters are Unicode letters, \
             white-spaces, '_',',','/','=','+','-','@'."
        ));
    }
    tags.extend(new.map(|(key, value)| (key.to_owned(), value.to_owned())));
    if tags.len() > TAGS_MAX {
        return invalid(format!(
            "Failed to add tags to stream {name} under account {account} because a given stream \
             cannot have more than {TAGS_MAX} tags associated with it."
        ));
    }
    Ok(())
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-%@".contains(c))
}
