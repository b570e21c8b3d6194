//! Pure values: no input, no output, no clock.

mod appended;
mod hash_key;
mod ids;
mod read;
mod sequence_number;
mod stream;

pub use appended::{AppendedRun, Durable, RecordEntry};
pub use hash_key::{HashKey, HashKeyRange, uniform_ranges};
pub use ids::{Epoch, Ordinal, SegmentId, ShardIndex, ShardUid, StoreId, StreamId, Timestamp};
pub use read::{Mark, Marks, ReadLimit, ReadResult, StoredRecord};
pub use sequence_number::{
    ParsedSequenceNumber, SEQUENCE_NUMBER_DIGITS, SequenceNumber, SequenceNumberError,
};
pub use stream::{
    LostRange, NewShard, NewStream, Reshard, Shard, ShardEnd, Stream, StreamChange, StreamKey,
    StreamStatus,
};
