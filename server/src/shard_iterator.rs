//! The shard iterator: a reading position in one shard as an opaque, sealed text.
//!
//! Standard base64 with padding of
//!
//! ```text
//! | prefix 00..01 | form | shard | issued | stream | position | serial | name | zeros | seal |
//! | 8             | 1    | 4     | 8      | 8      | 8        | 4      | n    |       | 16   |
//! ```
//!
//! in big-endian; everything after the prefix fills whole blocks of 16 bytes, as in the service's
//! own iterators. The seal binds it to the account and region it was issued to. An iterator is
//! never used up: it stays good for `SHARD_ITERATOR_AGE_MS_MAX`, so that a lost answer can be asked
//! for again.

#[cfg(test)]
mod tests;

use kinelog_engine::types::{Ordinal, ShardIndex, StreamId, Timestamp};

use crate::limits::SHARD_ITERATOR_AGE_MS_MAX;
use crate::seal::{SEAL_BYTES, SealKey};

const PREFIX: [u8; 8] = 1u64.to_be_bytes();
const BLOCK_BYTES: usize = 16;
const FORM: u8 = 2;
const FIXED_BYTES: usize = 33;
const PURPOSE: &str = "shard iterator";

/// A reading position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardIterator {
    /// When it was issued.
    pub issued: Timestamp,
    /// The stream, as this very stream: a later one of the same name has another id.
    pub stream: StreamId,
    /// The stream's name, for messages once the stream is gone.
    pub stream_name: String,
    /// The shard.
    pub shard: ShardIndex,
    /// The record to read next.
    pub position: Ordinal,
    /// Tells it from others issued in the same millisecond: no answer repeats an iterator.
    pub serial: u32,
}

/// Why an iterator is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardIteratorError {
    /// It is none of ours, or was issued to someone else.
    Invalid,
    /// It is too old.
    Expired {
        /// When it was issued.
        issued: Timestamp,
    },
}

impl ShardIterator {
    /// The text to hand out to `owner`.
    pub fn seal(&self, key: &SealKey, owner: &str) -> String {
        let name = self.stream_name.as_bytes();
        let mut bytes =
            Vec::with_capacity(PREFIX.len() + FIXED_BYTES + name.len() + 2 * BLOCK_BYTES);
        bytes.extend_from_slice(&PREFIX);
        bytes.push(FORM);
        bytes.extend_from_slice(&self.shard.0.to_be_bytes());
        bytes.extend_from_slice(&self.issued.0.to_be_bytes());
        bytes.extend_from_slice(&self.stream.0.to_be_bytes());
        bytes.extend_from_slice(&self.position.0.to_be_bytes());
        bytes.extend_from_slice(&self.serial.to_be_bytes());
        bytes.extend_from_slice(name);
        let body_bytes = (bytes.len() - PREFIX.len()).next_multiple_of(BLOCK_BYTES);
        bytes.resize(PREFIX.len() + body_bytes, 0);
        let seal = key.seal(PURPOSE, owner, &bytes);
        bytes.extend_from_slice(&seal);
        base64_simd::STANDARD.encode_to_string(bytes)
    }

    /// Takes back what `seal` handed out to `owner`. A pair of double quotes around it is ignored,
    /// as the service does.
    ///
    /// # Errors
    ///
    /// See [`ShardIteratorError`].
    pub fn open(
        text: &str,
        key: &SealKey,
        owner: &str,
        now: Timestamp,
    ) -> Result<Self, ShardIteratorError> {
        let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let iterator =
            Self::decode(quoted.unwrap_or(text), key, owner).ok_or(ShardIteratorError::Invalid)?;
        if iterator.issued > now {
            return Err(ShardIteratorError::Invalid);
        }
        if now.since(iterator.issued) > SHARD_ITERATOR_AGE_MS_MAX {
            return Err(ShardIteratorError::Expired { issued: iterator.issued });
        }
        Ok(iterator)
    }

    fn decode(text: &str, key: &SealKey, owner: &str) -> Option<Self> {
        let bytes = decode_base64(text)?;
        let (sealed, seal) = bytes.split_last_chunk::<SEAL_BYTES>()?;
        let body = sealed.strip_prefix(PREFIX.as_slice())?;
        if body.len() % BLOCK_BYTES != 0 || !key.verify(PURPOSE, owner, sealed, seal) {
            return None;
        }
        let (fixed, rest) = body.split_first_chunk::<FIXED_BYTES>()?;
        let name_bytes = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let number = |at: usize| fixed[at..].first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let short = |at: usize| fixed[at..].first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        (fixed[0] == FORM).then_some(())?;
        Some(Self {
            shard: ShardIndex(short(1)?),
            issued: Timestamp(number(5)?),
            stream: StreamId(number(13)?),
            position: Ordinal(number(21)?),
            serial: short(29)?,
            stream_name: String::from_utf8(rest[..name_bytes].to_vec()).ok()?,
        })
    }
}

/// Bytes of canonical base64: standard alphabet, padded, no stray bits.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let bytes = base64_simd::STANDARD.decode_to_vec(text).ok()?;
    (base64_simd::STANDARD.encode_to_string(&bytes) == text).then_some(bytes)
}
