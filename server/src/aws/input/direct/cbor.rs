//! CBOR, read by a table: text and bytes in one piece, whole numbers of 32 bits, no nulls, no tags.

use std::borrow::Cow;

use minicbor::Decoder;

use super::super::blob::Blob;
use super::super::{Field, Input};
use super::entries_max;
use crate::aws::cbor::has_next;
use crate::aws::shape::{Shape, Structure};

pub(super) fn read<'a>(body: &'a [u8], shape: &'static Structure) -> Option<Input<'a>> {
    let mut decoder = Decoder::new(body);
    let input = structure(&mut decoder, shape)?;
    (decoder.position() == body.len()).then_some(input)
}

fn structure<'a>(decoder: &mut Decoder<'a>, shape: &'static Structure) -> Option<Input<'a>> {
    let mut remaining = decoder.map().ok()?;
    let mut input = Input::of(shape);
    while has_next(decoder, &mut remaining).ok()? {
        let member = input.expect(decoder.str().ok()?.as_bytes(), shape)?;
        input.add(member, field(decoder, &member.shape)?);
    }
    Some(input)
}

fn field<'a>(decoder: &mut Decoder<'a>, shape: &'static Shape) -> Option<Field<'a>> {
    match shape {
        Shape::Text { .. } => decoder.str().ok().map(|text| Field::Text(Cow::Borrowed(text))),
        Shape::Integer { .. } => decoder.i32().ok().map(Field::Integer),
        Shape::Boolean => decoder.bool().ok().map(Field::Boolean),
        Shape::Blob { .. } => decoder.bytes().ok().map(|bytes| Field::Blob(Blob::from(bytes))),
        Shape::List { of, .. } => list(decoder, of, entries_max(shape)).map(Field::List),
        Shape::Structure(shape) => structure(decoder, shape).map(Field::Structure),
        Shape::Timestamp | Shape::TextMap { .. } => None,
    }
}

fn list<'a>(decoder: &mut Decoder<'a>, of: &'static Shape, max: usize) -> Option<Vec<Field<'a>>> {
    let mut remaining = decoder.array().ok()?;
    let mut list = Vec::new();
    while has_next(decoder, &mut remaining).ok()? {
        if list.len() == max {
            return None;
        }
        list.push(field(decoder, of)?);
    }
    Some(list)
}
