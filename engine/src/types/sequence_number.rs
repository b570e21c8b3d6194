//! The 56-digit sequence number, version 2.
//!
//! 47 hex digits, printed in decimal: `2`, 9 digits creation second of the shard, 1 digit the low
//! 4 bits of the shard index, 16 digits counter, `00`, 9 digits second of the record, 8 digits
//! shard index, `2`. Source: numbers of real streams, decoded.

use std::cmp::Ordering;

use super::{Ordinal, ShardIndex, Timestamp};

/// Decimal digits of every number of this layout.
pub const SEQUENCE_NUMBER_DIGITS: usize = 56;

/// Highest value of the counter: that of an `EndingSequenceNumber`.
const COUNTER_MAX: u64 = 0x7fff_ffff_ffff_ffff;
/// Highest value of a 9-digit second.
const SECONDS_MAX: u64 = (1 << 36) - 1;
/// Creation seconds from here on are refused on input.
///
/// Source: the bound AWS was measured to apply.
const CREATED_SECONDS_LIMIT: u64 = 16_025_175_000;
/// Largest power of ten in 64 bits: numbers are printed and read in pieces of 19 digits.
const PIECE: u64 = 10_000_000_000_000_000_000;
const PIECE_DIGITS: usize = 19;

/// A sequence number of this layout. Ordered as the printed numbers are.
///
/// Values beyond a field's range print as the highest value of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SequenceNumber {
    /// Creation second of the shard, below 2^36.
    pub shard_created_seconds: u64,
    /// The shard.
    pub shard: ShardIndex,
    /// The record's ordinal, below 2^63.
    pub counter: Ordinal,
    /// Second of the record, below 2^36.
    pub seconds: u64,
}

/// The number itself: `high * 2^128 + low`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Value {
    high: u64,
    low: u128,
}

/// Why a text is no sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sequence number")]
pub struct SequenceNumberError;

/// What a text of digits turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParsedSequenceNumber {
    /// The current layout.
    V2(SequenceNumber),
    /// The layout before it (last hex digit 1): it parses, nothing of ours ever has it.
    V1,
    /// The oldest layout (32 hex digits that start with 1; also every number below 2^124).
    V0,
}

impl SequenceNumber {
    /// Number of a record.
    pub const fn of_record(
        shard_created_seconds: u64,
        shard: ShardIndex,
        ordinal: Ordinal,
        arrival: Timestamp,
    ) -> Self {
        Self { shard_created_seconds, shard, counter: ordinal, seconds: arrival.seconds() }
    }

    /// The shard's `StartingSequenceNumber`: no record has it.
    pub const fn starting(shard_created_seconds: u64, shard: ShardIndex) -> Self {
        Self { shard_created_seconds, shard, counter: Ordinal(0), seconds: shard_created_seconds }
    }

    /// The shard's `EndingSequenceNumber`: above every record.
    pub const fn ending(
        shard_created_seconds: u64,
        shard: ShardIndex,
        closed_seconds: u64,
    ) -> Self {
        Self {
            shard_created_seconds,
            shard,
            counter: Ordinal(COUNTER_MAX),
            seconds: closed_seconds,
        }
    }

    /// Parses decimal digits.
    ///
    /// # Errors
    ///
    /// `SequenceNumberError` for anything no version of the layout allows.
    pub fn parse(text: &str) -> Result<ParsedSequenceNumber, SequenceNumberError> {
        let value = Value::parse(text.as_bytes()).ok_or(SequenceNumberError)?;
        if value.high == 0 && value.low < 1 << 125 {
            return Ok(ParsedSequenceNumber::V0);
        }
        let created = (value.high >> 20) & SECONDS_MAX;
        if value.high >> 56 != 2 || created >= CREATED_SECONDS_LIMIT {
            return Err(SequenceNumberError);
        }
        match value.low & 0xf {
            1 => Ok(ParsedSequenceNumber::V1),
            2 => Self::from_value(value).map(ParsedSequenceNumber::V2).ok_or(SequenceNumberError),
            _ => Err(SequenceNumberError),
        }
    }

    /// The decimal digits, without allocation.
    pub fn digits(&self) -> [u8; SEQUENCE_NUMBER_DIGITS] {
        let (rest, last) = self.value().divide_by_piece();
        let (first, middle) = (rest / u128::from(PIECE), rest % u128::from(PIECE));
        let mut digits = [b'0'; SEQUENCE_NUMBER_DIGITS];
        let (head, tail) = digits.split_at_mut(SEQUENCE_NUMBER_DIGITS - PIECE_DIGITS);
        let (head, centre) = head.split_at_mut(SEQUENCE_NUMBER_DIGITS - 2 * PIECE_DIGITS);
        // Quotient and remainder are below 10^19, which 64 bits hold.
        write_digits(low_half(first), head);
        write_digits(low_half(middle), centre);
        write_digits(last, tail);
        digits
    }

    fn value(&self) -> Value {
        let created = self.shard_created_seconds.min(SECONDS_MAX);
        let counter = self.counter.0.min(COUNTER_MAX);
        let nibble = u64::from(self.shard.0 & 0xf);
        Value {
            high: (2 << 56) | (created << 20) | (nibble << 16) | (counter >> 48),
            low: (u128::from(counter) << 80)
                | (u128::from(self.seconds.min(SECONDS_MAX)) << 36)
                | (u128::from(self.shard.0) << 4)
                | 2,
        }
    }

    /// The reverse of `value`; `None` when the digits that repeat or stay zero do not.
    fn from_value(value: Value) -> Option<Self> {
        let number = Self {
            shard_created_seconds: (value.high >> 20) & SECONDS_MAX,
            shard: ShardIndex(u32::try_from((value.low >> 4) & 0xffff_ffff).ok()?),
            counter: Ordinal(((value.high & 0xffff) << 48) | low_half(value.low >> 80)),
            seconds: low_half(value.low >> 36) & SECONDS_MAX,
        };
        (number.counter.0 <= COUNTER_MAX && number.value() == value).then_some(number)
    }
}

impl Value {
    /// Reads canonical decimal digits: no sign, no leading zero but for `0` itself.
    fn parse(text: &[u8]) -> Option<Self> {
        let canonical = match text {
            [b'0'] => true,
            [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        if !canonical || text.len() > SEQUENCE_NUMBER_DIGITS {
            return None;
        }
        // 56 digits stay below 2^187: nothing here overflows 192 bits.
        let mut value = Self { high: 0, low: 0 };
        for piece in text.chunks(PIECE_DIGITS) {
            let (factor, number) = piece.iter().fold((1u64, 0u64), |(factor, number), digit| {
                (factor.wrapping_mul(10), number * 10 + u64::from(digit - b'0'))
            });
            value = value.times_plus(factor, number);
        }
        Some(value)
    }

    fn times_plus(self, factor: u64, addend: u64) -> Self {
        let factor = u128::from(factor);
        let bottom = u128::from(low_half(self.low)) * factor + u128::from(addend);
        let middle = (self.low >> 64) * factor + (bottom >> 64);
        let top = u128::from(self.high) * factor + (middle >> 64);
        Self { high: low_half(top), low: (middle << 64) | u128::from(low_half(bottom)) }
    }

    /// Quotient and remainder of the division by 10^19; the quotient of 188 bits takes 125.
    fn divide_by_piece(self) -> (u128, u64) {
        debug_assert!(self.high < PIECE, "188 bits leave nothing for a third quotient digit");
        let piece = u128::from(PIECE);
        let middle = (u128::from(self.high) << 64) | (self.low >> 64);
        let bottom = ((middle % piece) << 64) | u128::from(low_half(self.low));
        (((middle / piece) << 64) | (bottom / piece), low_half(bottom % piece))
    }
}

/// The lower 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "the upper half is cut off on purpose")]
const fn low_half(value: u128) -> u64 {
    value as u64
}

/// Fills `out` with the last digits of `number`, two at a time: half the divisions.
fn write_digits(mut number: u64, out: &mut [u8]) {
    let mut pairs = out.rchunks_exact_mut(2);
    for pair in &mut pairs {
        let two = usize::try_from(number % 100).expect("two digits fit any word");
        pair.copy_from_slice(&PAIRS[two]);
        number /= 100;
    }
    for digit in pairs.into_remainder() {
        *digit = PAIRS[usize::try_from(number % 10).expect("a digit fits any word")][1];
    }
}

/// The digits of 0 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0u8;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value().cmp(&other.value())
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).expect("decimal digits are ASCII"))
    }
}

#[cfg(test)]
#[path = "sequence_number_tests.rs"]
mod tests;
