//! CRC-32/ISO-HDLC with a salt, and repair of a single flipped bit.

/// What a checksum is bound to besides its bytes, so that a frame moved elsewhere is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt {
    /// Identity of the file (segment id, or store id and log sequence mixed).
    pub file: u128,
    /// Offset of the frame in it.
    pub offset: u64,
}

/// Plain sum.
pub fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Sum of the salt followed by `bytes`.
pub fn salted(salt: Salt, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.file.to_le_bytes());
    hasher.update(&salt.offset.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// If flipping exactly one bit of `bytes` or of the stored sum makes `computed` (the sum of
/// `bytes` as found) equal `stored`, flips that bit back in `bytes` (when it lies there) and
/// returns true. Linear in the number of bits. Bounded: `bytes` longer than `REPAIR_BYTES_MAX`
/// are left alone.
pub fn repair_single_bit(bytes: &mut [u8], computed: u32, stored: u32) -> bool {
    let _ = (bytes, computed, stored);
    todo!()
}
