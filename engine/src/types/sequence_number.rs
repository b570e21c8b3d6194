//! The 56-digit sequence number, version 2.
//!
//! 47 hex digits, printed in decimal: `2`, 9 digits creation second of the shard, 1 digit the low
//! 4 bits of the shard index, 16 digits counter, `00`, 9 digits second of the record, 8 digits
//! shard index, `2`. Source: numbers of real streams, decoded.

use super::{Ordinal, ShardIndex, Timestamp};

/// A sequence number of this layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
            counter: Ordinal(0x7fff_ffff_ffff_ffff),
            seconds: closed_seconds,
        }
    }

    /// Parses decimal digits.
    ///
    /// # Errors
    ///
    /// `SequenceNumberError` for anything no version of the layout allows.
    pub fn parse(text: &str) -> Result<ParsedSequenceNumber, SequenceNumberError> {
        let _ = text;
        todo!()
    }
}

impl std::fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let _ = f;
        todo!()
    }
}
