//! CRC-32/ISO-HDLC with a salt, and repair of a single flipped bit.
//!
//! The sum is linear: what a flipped bit does to it depends on the bit's distance from the end
//! only, not on the other bytes nor on the salt, which stands before them. This change, the
//! syndrome, is another one for each bit of anything shorter than 512 MiB, the bits of the stored
//! sum included; so a syndrome names the one bit that explains it, or none.

use crate::limits::{GROUP_ENTRIES_MAX, PAGE_BYTES};
use crate::types::StoreId;

/// What a checksum is bound to besides its bytes, so that a frame moved elsewhere is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt {
    /// Identity of the file (segment id, or store id and log sequence mixed).
    pub file: u128,
    /// Offset of the frame in it.
    pub offset: u64,
}

impl Salt {
    /// Salt of a frame at `offset` in one of a store's numbered files.
    pub const fn numbered(store: StoreId, number: u64, offset: u64) -> Self {
        let number = number as u128;
        Self { file: store.0 ^ (number << 64 | number), offset }
    }
}

/// Longest stretch whose single flipped bit is looked for, in bytes: the largest head of a group,
/// and a record of 2 MiB. Random damage of `n` bits looks like one flipped bit with a chance of
/// `n / 2^32`, which this bound keeps under 1 in 250.
pub const REPAIR_BYTES_MAX: usize = GROUP_ENTRIES_MAX * 32 + PAGE_BYTES;

/// The reflected generator polynomial: the syndrome of the last bit.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// Plain sum.
pub fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Sum of the salt followed by `bytes`.
pub fn salted(salt: Salt, bytes: &[u8]) -> u32 {
    salted_parts(salt, &[bytes])
}

/// Sum of the salt followed by the `parts` in order.
pub fn salted_parts(salt: Salt, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.file.to_le_bytes());
    hasher.update(&salt.offset.to_le_bytes());
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// One bit of a stretch of bytes, found flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlippedBit {
    /// The byte it lies in.
    pub offset: usize,
    /// The bit in that byte.
    pub mask: u8,
}

impl FlippedBit {
    /// Bit `bit` (0 is the lowest) of a little-endian number stored at `offset`.
    pub(super) const fn of_number(offset: usize, bit: u32) -> Self {
        Self { offset: offset + (bit / 8) as usize, mask: 1 << (bit % 8) }
    }

    /// The same bit of a stretch that starts `bytes` earlier.
    pub(crate) const fn moved_by(self, bytes: usize) -> Self {
        Self { offset: self.offset + bytes, mask: self.mask }
    }

    /// Flips the bit back, if it lies in `bytes`.
    pub fn repair(self, bytes: &mut [u8]) {
        if let Some(byte) = bytes.get_mut(self.offset) {
            *byte ^= self.mask;
        }
    }
}

/// The one flipped bit among `length` summed bytes that explains a `syndrome` (sum of the bytes as
/// found, xor the true sum). `None` when no single bit does, or when there are more than
/// `REPAIR_BYTES_MAX` bytes.
pub fn locate(length: usize, syndrome: u32) -> Option<FlippedBit> {
    if syndrome == 0 || length > REPAIR_BYTES_MAX {
        return None;
    }
    let mut of_bit = POLYNOMIAL;
    for offset in (0..length).rev() {
        for bit in (0..8).rev() {
            if of_bit == syndrome {
                return Some(FlippedBit { offset, mask: 1 << bit });
            }
            let carry = if of_bit & 1 == 1 { POLYNOMIAL } else { 0 };
            of_bit = of_bit >> 1 ^ carry;
        }
    }
    None
}

/// If flipping exactly one bit of `bytes` or of the stored sum makes `computed` (the sum of
/// `bytes` as found) equal `stored`, flips that bit back in `bytes` (when it lies there) and
/// returns true. Linear in the number of bits. Bounded: `bytes` longer than `REPAIR_BYTES_MAX`
/// are left alone.
pub fn repair_single_bit(bytes: &mut [u8], computed: u32, stored: u32) -> bool {
    let syndrome = computed ^ stored;
    if syndrome.is_power_of_two() {
        return bytes.len() <= REPAIR_BYTES_MAX;
    }
    let Some(flipped) = locate(bytes.len(), syndrome) else { return false };
    flipped.repair(bytes);
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{REPAIR_BYTES_MAX, Salt, crc, locate, repair_single_bit, salted};

    const SALT: Salt = Salt { file: 77, offset: 4096 };

    #[test]
    fn the_sum_is_the_well_known_one() {
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn long_stretches_are_left_alone() {
        let mut bytes = vec![0; REPAIR_BYTES_MAX + 1];
        let stored = crc(&bytes);
        *bytes.last_mut().unwrap() ^= 1;
        let computed = crc(&bytes);
        assert!(!repair_single_bit(&mut bytes, computed, stored));
        assert!(locate(REPAIR_BYTES_MAX, computed ^ stored).is_some());
    }

    proptest! {
        #[test]
        fn single_bits_of_bytes_and_of_the_sum_are_repaired(
            bytes in prop::collection::vec(any::<u8>(), 1..200),
            bit in any::<prop::sample::Index>(),
            sum_bit in 0..32_u32,
        ) {
            let stored = salted(SALT, &bytes);
            let bit = bit.index(bytes.len() * 8);
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let computed = salted(SALT, &damaged);
            prop_assert!(repair_single_bit(&mut damaged, computed, stored));
            prop_assert_eq!(&damaged, &bytes);
            prop_assert!(repair_single_bit(&mut damaged, stored, stored ^ 1 << sum_bit));
            prop_assert_eq!(&damaged, &bytes);
        }

        #[test]
        fn two_flipped_bits_are_no_single_one(
            bytes in prop::collection::vec(any::<u8>(), 1..200),
            first in any::<prop::sample::Index>(),
            second in any::<prop::sample::Index>(),
        ) {
            let bits = bytes.len() * 8;
            let (first, second) = (first.index(bits), second.index(bits));
            prop_assume!(first != second);
            let mut damaged = bytes.clone();
            damaged[first / 8] ^= 1 << (first % 8);
            damaged[second / 8] ^= 1 << (second % 8);
            let (computed, stored) = (crc(&damaged), crc(&bytes));
            let before = damaged.clone();
            prop_assert!(!repair_single_bit(&mut damaged, computed, stored));
            prop_assert_eq!(before, damaged);
        }
    }
}
