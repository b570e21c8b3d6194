//! CBOR bodies into values.
//!
//! `minicbor` reads the items; this file builds the values and keeps the bounds. Lengths that a body
//! declares are never used to allocate. What the service does with floats after tag 1 is
//! unconfirmed: they are milliseconds here, as whole numbers are.

use std::borrow::Cow;

use minicbor::Decoder;
use minicbor::data::Type;

use super::value::{Budget, Malformed, Value, deeper, truncated};

/// Tag of a time.
const TAG_TIME: u64 = 1;
/// Tag of a byte string that is a whole number from zero upwards.
const TAG_BIG: u64 = 2;
/// Tag of a byte string that is a whole number from -1 downwards.
const TAG_BIG_NEGATIVE: u64 = 3;
/// Longest such byte string: what `limits::BODY_NUMBER_DIGITS_MAX` digits need.
const BIG_BYTES_MAX: usize = 17;

/// Parses a whole body.
///
/// # Errors
///
/// `Malformed`.
pub fn parse(body: &[u8]) -> Result<Value<'_>, Malformed> {
    let mut parser = Parser { decoder: Decoder::new(body), budget: Budget::new() };
    let value = parser.value(0)?;
    if parser.decoder.position() == body.len() { Ok(value) } else { Err(Malformed) }
}

impl From<minicbor::decode::Error> for Malformed {
    fn from(_: minicbor::decode::Error) -> Self {
        Self
    }
}

struct Parser<'a> {
    decoder: Decoder<'a>,
    budget: Budget,
}

impl<'a> Parser<'a> {
    /// One value that stands inside `depth` lists and maps.
    fn value(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        self.budget.take()?;
        let decoder = &mut self.decoder;
        Ok(match decoder.datatype()? {
            Type::Null => decoder.null().map(|()| Value::Null)?,
            Type::Undefined => decoder.undefined().map(|()| Value::Null)?,
            Type::Bool => Value::Bool(decoder.bool()?),
            Type::U8
            | Type::U16
            | Type::U32
            | Type::U64
            | Type::I8
            | Type::I16
            | Type::I32
            | Type::I64
            | Type::Int => integer(decoder.int()?.into()),
            Type::F16 => Value::Float(decoder.f16()?.into()),
            Type::F32 => Value::Float(decoder.f32()?.into()),
            Type::F64 => Value::Float(decoder.f64()?),
            Type::String | Type::StringIndef => Value::Text(self.text()?),
            Type::Bytes | Type::BytesIndef => Value::Bytes(self.bytes()?),
            Type::Array | Type::ArrayIndef => Value::List(self.list(deeper(depth)?)?),
            Type::Map | Type::MapIndef => Value::Map(self.map(deeper(depth)?)?),
            Type::Tag => self.tagged(depth)?,
            Type::Simple | Type::Break | Type::Unknown(_) => return Err(Malformed),
        })
    }

    fn text(&mut self) -> Result<Cow<'a, str>, Malformed> {
        if self.decoder.datatype()? == Type::String {
            return Ok(Cow::Borrowed(self.decoder.str()?));
        }
        let whole: Result<String, _> = self.decoder.str_iter()?.collect();
        Ok(Cow::Owned(whole?))
    }

    fn bytes(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        if self.decoder.datatype()? == Type::Bytes {
            return Ok(Cow::Borrowed(self.decoder.bytes()?));
        }
        let mut whole = Vec::new();
        for piece in self.decoder.bytes_iter()? {
            whole.extend_from_slice(piece?);
        }
        Ok(Cow::Owned(whole))
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value<'a>>, Malformed> {
        let mut remaining = self.decoder.array()?;
        let mut list = Vec::new();
        while has_next(&mut self.decoder, &mut remaining)? {
            list.push(self.value(depth)?);
        }
        Ok(list)
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Cow<'a, str>, Value<'a>)>, Malformed> {
        let mut remaining = self.decoder.map()?;
        let mut map = Vec::new();
        while has_next(&mut self.decoder, &mut remaining)? {
            map.push((self.text()?, self.value(depth)?));
        }
        Ok(map)
    }

    /// A value behind one or more tags, of which the last one counts.
    fn tagged(&mut self, depth: usize) -> Result<Value<'a>, Malformed> {
        let mut tag = self.decoder.tag()?.as_u64();
        while self.decoder.datatype()? == Type::Tag {
            tag = self.decoder.tag()?.as_u64();
        }
        match (tag, self.value(depth)?) {
            (TAG_TIME, Value::Integer(millis)) => Ok(Value::Millis(millis)),
            (TAG_TIME, Value::Float(millis)) => Ok(Value::Millis(truncated(millis.round()))),
            (TAG_BIG, Value::Bytes(magnitude)) => big_integer(&magnitude, false),
            (TAG_BIG_NEGATIVE, Value::Bytes(magnitude)) => big_integer(&magnitude, true),
            (_, value) => Ok(value),
        }
    }
}

/// Whether a list or map has another entry, given how many it declared to have left (none when
/// it ends with a break, which is read here).
pub(super) fn has_next(
    decoder: &mut Decoder<'_>,
    remaining: &mut Option<u64>,
) -> Result<bool, Malformed> {
    if let Some(remaining) = remaining {
        let has_next = *remaining > 0;
        *remaining = remaining.saturating_sub(1);
        return Ok(has_next);
    }
    let at_break = decoder.datatype()? == Type::Break;
    if at_break {
        decoder.set_position(decoder.position() + 1);
    }
    Ok(!at_break)
}

#[expect(clippy::cast_precision_loss, reason = "numbers past 63 bits are floats by contract")]
fn integer<'a>(number: i128) -> Value<'a> {
    i64::try_from(number).map_or(Value::Float(number as f64), Value::Integer)
}

/// The number of a tagged byte string, most significant byte first.
fn big_integer<'a>(magnitude: &[u8], negative: bool) -> Result<Value<'a>, Malformed> {
    if magnitude.len() > BIG_BYTES_MAX {
        return Err(Malformed);
    }
    let exact = magnitude
        .iter()
        .try_fold(0_i128, |number, byte| number.checked_mul(256)?.checked_add(i128::from(*byte)));
    if let Some(number) = exact {
        return Ok(integer(if negative { -1 - number } else { number }));
    }
    let number = magnitude.iter().fold(0.0, |number, byte| number * 256.0 + f64::from(*byte));
    Ok(Value::Float(if negative { -1.0 - number } else { number }))
}

#[cfg(test)]
mod tests;
