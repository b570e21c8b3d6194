//! What the salted frames have in common: they start with a magic number and a sum over all that
//! follows up to an end that one of their own fields may decide.
//!
//! ```text
//! 0 u32 magic   4 u32 crc (salted; bytes 8 to the end of the block)   8 the rest
//! ```

use std::borrow::Cow;

use super::checksum::{self, FlippedBit, REPAIR_BYTES_MAX, Salt};
use super::fields::u32_at;
use crate::bugs::{self, Bug};
use crate::error::FormatError;

const CRC_AT: usize = 4;
const SUMMED_FROM: usize = 8;

/// One kind of block.
pub(super) struct Block {
    /// Its name in errors.
    pub(super) what: &'static str,
    /// Its magic number.
    pub(super) magic: u32,
    /// Bytes every block of this kind has.
    pub(super) fixed_bytes: usize,
    /// Where the field stands that decides its length.
    pub(super) length_at: usize,
    /// Length of the block in bytes by that field, at least `fixed_bytes`; `None` when the field
    /// has an impossible value.
    pub(super) length: fn(u32) -> Option<usize>,
}

impl Block {
    /// Sum of a whole block.
    pub(super) fn crc(block: &[u8], salt: Salt) -> u32 {
        checksum::salted(salt, &block[SUMMED_FROM..])
    }

    /// The block that starts `bytes`, its magic number and its sum checked.
    pub(super) fn check<'a>(&self, bytes: &'a [u8], salt: Salt) -> Result<&'a [u8], FormatError> {
        let what = self.what;
        let short = |needed: usize| FormatError::Short {
            what,
            needed: needed as u64,
            available: bytes.len() as u64,
        };
        if bytes.len() < self.fixed_bytes {
            return Err(short(self.fixed_bytes));
        }
        let magic = u32_at(bytes, 0);
        if magic != self.magic {
            return Err(FormatError::Magic { what, found: u64::from(magic) });
        }
        let length = u32_at(bytes, self.length_at);
        let block_bytes = (self.length)(length).ok_or(FormatError::Field {
            what,
            field: "length",
            found: u64::from(length),
        })?;
        let block = bytes.get(..block_bytes).ok_or_else(|| short(block_bytes))?;
        let (found, expected) = (Self::crc(block, salt), u32_at(block, CRC_AT));
        let is_unchecked = match what {
            "batch" => bugs::is_on(Bug::BatchUnchecked),
            "group" => bugs::is_on(Bug::GroupUnchecked),
            "journal frame" => bugs::is_on(Bug::CatalogUnchecked),
            _ => false,
        };
        if found != expected && !is_unchecked {
            return Err(FormatError::Checksum { what, found, expected });
        }
        Ok(block)
    }

    /// As `check`; a block with one flipped bit is returned as a repaired copy.
    pub(super) fn check_or_repair<'a>(
        &self,
        bytes: &'a [u8],
        salt: Salt,
    ) -> Result<Cow<'a, [u8]>, FormatError> {
        match self.check(bytes, salt) {
            Ok(block) => Ok(Cow::Borrowed(block)),
            Err(error) => match self.find_flipped(bytes, salt) {
                Some((_, repaired)) => Ok(Cow::Owned(repaired)),
                None => Err(error),
            },
        }
    }

    /// The one flipped bit that explains why the block fails its check, and the block without it.
    pub(super) fn find_flipped(&self, bytes: &[u8], salt: Salt) -> Option<(FlippedBit, Vec<u8>)> {
        if bytes.len() < self.fixed_bytes {
            return None;
        }
        let magic = u32_at(bytes, 0) ^ self.magic;
        if magic.is_power_of_two() {
            return self.without(bytes, salt, FlippedBit::of_number(0, magic.trailing_zeros()));
        }
        if magic != 0 {
            return None;
        }
        self.located(bytes, salt)
            .and_then(|flipped| self.without(bytes, salt, flipped))
            .or_else(|| self.length_flipped(bytes, salt))
    }

    /// The flipped bit by its syndrome, if the field of the length is right.
    fn located(&self, bytes: &[u8], salt: Salt) -> Option<FlippedBit> {
        let block = bytes.get(..(self.length)(u32_at(bytes, self.length_at))?)?;
        let syndrome = Self::crc(block, salt) ^ u32_at(block, CRC_AT);
        if syndrome.is_power_of_two() {
            return Some(FlippedBit::of_number(CRC_AT, syndrome.trailing_zeros()));
        }
        let flipped = checksum::locate(block.len() - SUMMED_FROM, syndrome)?;
        Some(flipped.moved_by(SUMMED_FROM))
    }

    /// Tries each bit of the field of the length: when it is wrong, so is the summed stretch.
    fn length_flipped(&self, bytes: &[u8], salt: Salt) -> Option<(FlippedBit, Vec<u8>)> {
        (0..u32::BITS)
            .find_map(|bit| self.without(bytes, salt, FlippedBit::of_number(self.length_at, bit)))
    }

    /// The block after flipping a bit of it back, if it is sound then.
    fn without(
        &self,
        bytes: &[u8],
        salt: Salt,
        flipped: FlippedBit,
    ) -> Option<(FlippedBit, Vec<u8>)> {
        let mut fixed = bytes.get(..self.fixed_bytes)?.to_vec();
        flipped.repair(&mut fixed);
        let block_bytes = (self.length)(u32_at(&fixed, self.length_at))?;
        if block_bytes > REPAIR_BYTES_MAX {
            return None;
        }
        let mut block = bytes.get(..block_bytes)?.to_vec();
        flipped.repair(&mut block);
        self.check(&block, salt).is_ok().then_some((flipped, block))
    }
}
