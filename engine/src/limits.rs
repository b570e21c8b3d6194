//! Hard bounds of the engine and of its formats; each with its unit and its source.

/// Alignment of direct writes and of stored pages, in bytes.
///
/// Source: open(2), `O_DIRECT`; 4096 satisfies every device with 512-byte or 4096-byte blocks.
pub const PAGE_BYTES: usize = 4096;

/// Longest payload of one record, in bytes.
///
/// Source: Kinesis Data Streams API Reference, `MaxRecordSizeInKiB`, 10,240.
pub const RECORD_DATA_BYTES_MAX: usize = 10 << 20;

/// Longest partition key, in bytes of UTF-8: 256 characters of at most 4 bytes.
///
/// Source: Kinesis Data Streams API Reference, `PartitionKey`.
pub const PARTITION_KEY_BYTES_MAX: usize = 1024;

/// Most records one append call may hold.
///
/// Source: Kinesis Data Streams API Reference, PutRecords: 500; kept wider here.
pub const APPEND_RECORDS_MAX: usize = 10_000;

/// Largest stored batch, in bytes. One append is at most about 11 MiB; a group adds others to it.
///
/// Reason: far above any real batch, far below what would hurt to allocate.
pub const BATCH_BYTES_MAX: usize = 64 << 20;

/// Largest group, in bytes.
///
/// Reason: a group of the usual 8 MiB and one largest append fit many times over.
pub const GROUP_BYTES_MAX: usize = 128 << 20;

/// Most batches in one group.
///
/// Reason: more shards than one group can touch; bounds what a damaged head may claim.
pub const GROUP_ENTRIES_MAX: usize = 65_536;

/// Distance between index entries of a segment, in bytes.
///
/// Source: Redpanda's segment index; see docs/format.md.
pub const INDEX_STRIDE_BYTES: u64 = 32 << 10;

/// Most bytes a reader takes from a file at a time, but for one larger batch; and the length of the
/// buffers that are kept for it.
///
/// Reason: a tenth of what one GetRecords call gives; longer reads gain nothing on any device.
pub const READ_PIECE_BYTES_MAX: usize = 1 << 20;

/// Read buffers kept while nobody uses them. Reason: nearly what one such call takes, and no more
/// than 8 MiB.
pub const READ_BUFFERS_MAX: usize = 8;

/// Ordinals of each open shard that a store restored from a copy never gives out: the store the copy
/// was taken of may have.
///
/// Reason: half a year at a million records a second in one shard, and 2^19 restores fit 63 bits.
pub const ORDINALS_PER_RESTORE: u64 = 1 << 44;
