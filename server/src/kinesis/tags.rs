//! Tags: what is allowed beyond their length, and how they are added, removed and written.

use std::collections::BTreeMap;

use super::resource::ResourceRef;
use super::shapes;
use crate::aws::exception::{Exception, Kind};
use crate::aws::input::{Field, Input};
use crate::aws::shape::{Member, Shape};
use crate::aws::writer::Writer;
use crate::limits::TAGS_MAX;

/// The shape of `Tags`.
pub(super) const TAGS: Shape =
    Shape::TextMap { length: Some((1, 200)), key: (1, 128), value: (0, 256) };
/// One tag key.
pub(super) const TAG_KEY: Shape = shapes::text(1, 128);
/// `TagKeys`.
pub(super) const TAG_KEYS: Member =
    shapes::required("TagKeys", Shape::List { of: &TAG_KEY, length: Some((1, TAGS_MAX)) });

/// Adds the member `Tags` to `tags` of `resource`.
///
/// # Errors
///
/// `InvalidArgumentException` for forbidden characters and for too many tags; `tags` may then hold
/// some of the new ones and is not to be used.
pub(super) fn add(
    resource: &ResourceRef,
    tags: &mut BTreeMap<String, String>,
    input: &Input<'_>,
) -> Result<(), Exception> {
    let new = input.text_map("Tags").unwrap_or_default();
    check(new.iter().flat_map(|(key, value)| [&**key, &**value]), "add tags to", resource)?;
    tags.extend(new.iter().map(|(key, value)| (key.to_string(), value.to_string())));
    if tags.len() > TAGS_MAX {
        let kind = resource.kind();
        return Err(Exception::new(
            Kind::InvalidArgument,
            format!(
                "Failed to add tags to {resource} because a given {kind} cannot have more than \
                 {TAGS_MAX} tags associated with it."
            ),
        ));
    }
    Ok(())
}

/// Removes the member `TagKeys` from `tags` of `resource`. A key that is not there is no fault.
///
/// # Errors
///
/// `InvalidArgumentException` for forbidden characters; nothing is removed then.
pub(super) fn remove(
    resource: &ResourceRef,
    tags: &mut BTreeMap<String, String>,
    input: &Input<'_>,
) -> Result<(), Exception> {
    let keys = input.list("TagKeys").unwrap_or_default();
    let keys = || {
        keys.iter().filter_map(|key| if let Field::Text(key) = key { Some(&**key) } else { None })
    };
    check(keys(), "remove tags from", resource)?;
    tags.retain(|key, _| !keys().any(|removed| removed == key));
    Ok(())
}

/// Writes the list `Tags`.
pub(super) fn write<'t>(writer: &mut Writer, tags: impl Iterator<Item = (&'t String, &'t String)>) {
    writer.key("Tags");
    writer.begin_list();
    for (key, value) in tags {
        writer.begin_map();
        writer.key("Key");
        writer.text(key);
        writer.key("Value");
        writer.text(value);
        writer.end_map();
    }
    writer.end_list();
}

/// Two checks, of which the first lets `%` pass and the second does not.
fn check<'t>(
    mut texts: impl Iterator<Item = &'t str> + Clone,
    doing: &str,
    resource: &ResourceRef,
) -> Result<(), Exception> {
    let invalid = |message: String| Err(Exception::new(Kind::InvalidArgument, message));
    if !texts.clone().all(is_plain) {
        return invalid(
            "Some tags contain invalid characters. Valid characters: \
             Unicode letters, digits, white space, _ . / = + - % @."
                .to_owned(),
        );
    }
    if texts.any(|text| text.contains('%')) {
        return invalid(format!(
            "Failed to {doing} {resource} because some tags contained illegal characters. The \
             allowed characters are Unicode letters, white-spaces, '_',',','/','=','+','-','@'."
        ));
    }
    Ok(())
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-%@".contains(c))
}
