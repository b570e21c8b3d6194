//! Sequence numbers as whole numbers of up to 192 bits, for the 56 digits of a real one fit no
//! machine word.

use std::fmt;
use std::str::FromStr;

/// A sequence number. Ordered by value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number {
    high: u64,
    low: u128,
}

/// A text that is no number, or too large a one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a number of at most 192 bits")]
pub struct NumberError;

impl Number {
    /// The highest number that differs from this one in its lowest `bits` only, at most 127.
    #[must_use]
    pub const fn highest_of(self, bits: u32) -> Self {
        Self { high: self.high, low: self.low | ((1 << bits) - 1) }
    }

    /// Ten times this and a digit; `None` when that is too large.
    fn with_digit(self, digit: u32) -> Option<Self> {
        const HALF: u32 = u64::BITS;
        let mask = u128::from(u64::MAX);
        let lowest = (self.low & mask) * 10 + u128::from(digit);
        let middle = (self.low >> HALF) * 10 + (lowest >> HALF);
        let carry = u64::try_from(middle >> HALF).ok()?;
        let high = self.high.checked_mul(10)?.checked_add(carry)?;
        Some(Self { high, low: (middle & mask) << HALF | lowest & mask })
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self { high: 0, low: value.into() }
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        if text.is_empty() {
            return Err(NumberError);
        }
        text.chars().try_fold(Self::from(0), |number, character| {
            let digit = character.to_digit(10).ok_or(NumberError)?;
            number.with_digit(digit).ok_or(NumberError)
        })
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Pieces of 64 bits, highest first, divided by ten until nothing is left.
        let mask = u128::from(u64::MAX);
        let mut words = [self.high.into(), self.low >> u64::BITS, self.low & mask];
        let mut digits = Vec::new();
        while digits.is_empty() || words.iter().any(|word| *word > 0) {
            let mut rest = 0;
            for word in &mut words {
                let value = rest << u64::BITS | *word;
                (*word, rest) = (value / 10, value % 10);
            }
            let digit = u32::try_from(rest).ok().and_then(|rest| char::from_digit(rest, 10));
            digits.push(digit.ok_or(fmt::Error)?);
        }
        f.write_str(&digits.into_iter().rev().collect::<String>())
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
