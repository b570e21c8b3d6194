//! Frames of the catalogue's journal: after the page header, back to back.
//!
//! ```text
//!  0 u32 magic "KLJ1"   4 u32 crc (salted with store id, generation and offset; 8..24 and payload)
//!  8 u32 payload bytes 12 u32 zero   16 u64 frame number, from 0   24 payload (JSON), zeros to 8
//! ```

use std::borrow::Cow;

use super::block::Block;
use super::checksum::Salt;
use super::fields::{put, u32_at, u64_at};
use crate::error::FormatError;
use crate::types::StoreId;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 24;
/// Longest payload, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 20;

const WHAT: &str = "journal frame";
const FRAME: Block = Block {
    what: WHAT,
    magic: u32::from_le_bytes(*b"KLJ1"),
    fixed_bytes: HEADER_BYTES,
    length_at: 8,
    length: |payload| {
        let payload = payload as usize;
        if payload <= PAYLOAD_BYTES_MAX { Some(HEADER_BYTES + payload) } else { None }
    },
};

/// A decoded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its number in the file.
    pub number: u64,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Bytes it takes in the file.
    pub bytes: u64,
    /// True when a flipped bit was repaired.
    pub repaired: bool,
}

/// The frame as stored at `offset`.
///
/// # Panics
///
/// When `payload` is longer than `PAYLOAD_BYTES_MAX`: a fault of the program.
pub fn encode(
    store: StoreId,
    generation: u64,
    offset: u64,
    number: u64,
    payload: &[u8],
) -> Vec<u8> {
    assert!(payload.len() <= PAYLOAD_BYTES_MAX, "a frame is planned within its limit");
    let payload_bytes = u32::try_from(payload.len()).expect("the payload was asserted to be short");
    let block_bytes = HEADER_BYTES + payload.len();
    let mut out = Vec::with_capacity(block_bytes.next_multiple_of(8));
    out.resize(HEADER_BYTES, 0);
    put(&mut out, 0, &FRAME.magic.to_le_bytes());
    put(&mut out, 8, &payload_bytes.to_le_bytes());
    put(&mut out, 16, &number.to_le_bytes());
    out.extend_from_slice(payload);
    let crc = Block::crc(&out, Salt::numbered(store, generation, offset));
    put(&mut out, 4, &crc.to_le_bytes());
    out.resize(block_bytes.next_multiple_of(8), 0);
    out
}

/// Reads the frame that starts `bytes`, which is the file from `offset` on; repairs one flipped
/// bit. The zeros after the payload carry nothing: damage there only counts as repaired.
///
/// # Errors
///
/// Any `FormatError`.
pub fn decode(
    bytes: &[u8],
    store: StoreId,
    generation: u64,
    offset: u64,
) -> Result<Frame, FormatError> {
    let block = FRAME.check_or_repair(bytes, Salt::numbered(store, generation, offset))?;
    let zero = u32_at(&block, 12);
    if zero != 0 {
        return Err(FormatError::Field { what: WHAT, field: "zero", found: u64::from(zero) });
    }
    let frame_bytes = block.len().next_multiple_of(8);
    let padding = bytes.get(block.len()..frame_bytes).ok_or(FormatError::Short {
        what: WHAT,
        needed: frame_bytes as u64,
        available: bytes.len() as u64,
    })?;
    let padded = padding.iter().all(|&byte| byte == 0);
    Ok(Frame {
        number: u64_at(&block, 16),
        payload: block[HEADER_BYTES..].to_vec(),
        bytes: frame_bytes as u64,
        repaired: !padded || matches!(block, Cow::Owned(_)),
    })
}
