//! Frames of the catalogue's journal: after the page header, back to back.
//!
//! ```text
//!  0 u32 magic "KLJ1"   4 u32 crc (salted with store id, generation and offset; 8..24 and payload)
//!  8 u32 payload bytes 12 u32 zero   16 u64 frame number, from 0   24 payload (JSON), zeros to 8
//! ```

use crate::error::FormatError;
use crate::types::StoreId;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 24;
/// Longest payload, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 20;

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
pub fn encode(
    store: StoreId,
    generation: u64,
    offset: u64,
    number: u64,
    payload: &[u8],
) -> Vec<u8> {
    let _ = (store, generation, offset, number, payload);
    todo!()
}

/// Reads the frame that starts `bytes`, which is the file from `offset` on.
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
    let _ = (bytes, store, generation, offset);
    todo!()
}
