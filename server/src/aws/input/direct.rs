//! The short way to an [`Input`]: one pass from the body, led by the table, without a [`Value`]
//! between. It takes only what is written in the plainest way and breaks no constraint, which is
//! nearly all there is to read, and gives up at anything else: then the long way reads the body
//! from its start and finds the words for what is wrong. So whatever is read here, the long way
//! reads alike.
//!
//! [`Value`]: crate::aws::value::Value

mod cbor;
mod json;

use super::validation::Violations;
use super::{Field, Input};
use crate::aws::Encoding;
use crate::aws::shape::{Member, Shape, Structure};

/// Reads a whole body, if this is the way for it.
pub(super) fn read<'a>(
    body: &'a [u8],
    shape: &'static Structure,
    encoding: Encoding,
) -> Option<Input<'a>> {
    let input = match encoding {
        Encoding::Json => json::read(body, shape)?,
        Encoding::Cbor => cbor::read(body, shape)?,
    };
    let mut violations = Violations::default();
    violations.check_structure(&input, shape, None);
    violations.into_result().is_ok().then_some(input)
}

impl<'a> Input<'a> {
    /// Without members yet.
    fn of(shape: &'static Structure) -> Self {
        Self { members: Vec::with_capacity(shape.members.len().min(4)) }
    }

    /// The member `name`, if the table has it and it was not read before.
    fn expect(&self, name: &[u8], shape: &'static Structure) -> Option<&'static Member> {
        let member = shape.members.iter().find(|member| member.name.as_bytes() == name)?;
        self.field(member.name).is_none().then_some(member)
    }

    fn add(&mut self, member: &'static Member, field: Field<'a>) {
        self.members.push((member, field));
    }
}

/// Most entries of a list; none of a list that may be of any length.
fn entries_max(shape: &Shape) -> usize {
    let Shape::List { length: Some((_, max)), .. } = shape else { return 0 };
    *max
}
