//! Identities and positions as distinct types, so that none is taken for another.

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Random identity of one data directory; part of every stored header.
    StoreId(u128)
}
number! {
    /// A stream in this store: from 1, never reused, also not by a stream of the same name.
    StreamId(u64)
}
number! {
    /// A shard in this store: from 1, unique over all streams, never reused.
    ShardUid(u64)
}
number! {
    /// A shard in its stream, in creation order from 0; the digits of a shard id.
    ShardIndex(u32)
}
number! {
    /// Random identity of one segment file, never 0 and never reused.
    SegmentId(u64)
}
number! {
    /// How often the store has been opened, from 1.
    Epoch(u32)
}
number! {
    /// Place of a record in its shard: dense, the first record has 1. As a reading position it
    /// names the record to read next. It is also the counter of the record's sequence number.
    Ordinal(u64)
}
number! {
    /// Milliseconds since 1970-01-01 UTC.
    Timestamp(u64)
}

impl Ordinal {
    /// The first record of a shard.
    pub const FIRST: Self = Self(1);

    /// The position `records` further on, saturating.
    #[must_use]
    pub const fn plus(self, records: u64) -> Self {
        Self(self.0.saturating_add(records))
    }
}

impl Timestamp {
    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// `self - earlier` in milliseconds, 0 when `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
