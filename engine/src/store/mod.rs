//! One open data directory: the log thread that owns all shards, checkpoints, retention.
//!
//! One dedicated thread runs `log_thread`: the commit loop (`commit`), which turns queued appends
//! into groups, and the keeper (`keeper`), which copies durable batches into segments, makes
//! checkpoints, seals and watches the free space. Both share state on that thread without locks;
//! everybody else talks to it through the queue.

mod checkpoint;
mod commit;
mod copy;
mod group_builder;
mod handle;
mod identity;
mod keeper;
mod log_end;
mod log_thread;
mod maintenance;
mod open;
mod queue;
mod replay;
mod retention;
mod segment_files;
mod shard_writer;
mod totals;

pub(crate) use handle::LogHandle;
pub(crate) use maintenance::Maintenance;
