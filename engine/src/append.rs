//! Records on their way in: encoded once by the caller's thread, grouped by shard.
//!
//! An [`Append`] holds the stored bytes of its records (`format::record`) in one buffer, shard by
//! shard, so that the log thread copies whole runs and never looks inside.

use std::ops::Range;
use std::sync::Arc;

use crate::format::record;
use crate::types::{RecordEntry, Shard};

/// The records of one call for one shard, in the caller's order.
#[derive(Clone, Debug)]
pub struct Run {
    /// The shard they go to.
    pub shard: Arc<Shard>,
    /// Their bytes in [`Append::bytes`].
    pub bytes: Range<usize>,
    /// Their entries in [`Append::entries`].
    pub entries: Range<usize>,
}

/// Encoded records of one call, grouped by shard.
#[derive(Clone, Debug, Default)]
pub struct Append {
    /// Stored records, run after run.
    pub bytes: Vec<u8>,
    /// One entry for each record, in the order of `bytes`.
    pub entries: Vec<RecordEntry>,
    /// One run for each shard touched.
    pub runs: Vec<Run>,
}

/// Builds an [`Append`]: name a shard, push its records, name the next one.
#[derive(Debug, Default)]
pub struct AppendBuilder {
    append: Append,
}

impl AppendBuilder {
    /// With room for `records` records and `payload_bytes` of keys and data.
    pub fn with_capacity(records: usize, payload_bytes: usize) -> Self {
        Self {
            append: Append {
                bytes: Vec::with_capacity(payload_bytes + records * record::OVERHEAD_BYTES_MAX),
                entries: Vec::with_capacity(records),
                runs: Vec::new(),
            },
        }
    }

    /// Starts the run of `shard`; the records pushed next go there.
    pub fn begin_run(&mut self, shard: Arc<Shard>) {
        let (bytes, entries) = (self.append.bytes.len(), self.append.entries.len());
        self.append.runs.push(Run { shard, bytes: bytes..bytes, entries: entries..entries });
    }

    /// Adds one record to the current run.
    ///
    /// # Panics
    ///
    /// When no run was begun: a fault of the program.
    pub fn push(&mut self, record: &record::RecordRef<'_>) {
        let append_data = |out: &mut Vec<u8>| out.extend_from_slice(record.data);
        self.push_made(&record.attributes(), record.data.len(), append_data);
    }

    /// Adds one record to the current run, whose `data_bytes` bytes of data are made where they are
    /// stored: `append_data` adds them to what it is given.
    ///
    /// # Panics
    ///
    /// As `push`, and when it adds another number of bytes.
    pub fn push_made(
        &mut self,
        attributes: &record::Attributes<'_>,
        data_bytes: usize,
        append_data: impl FnOnce(&mut Vec<u8>),
    ) {
        let entry =
            record::encode_made(attributes, data_bytes, append_data, &mut self.append.bytes);
        self.append.entries.push(entry);
        let run = self.append.runs.last_mut().expect("a run was begun before its records");
        run.bytes.end = self.append.bytes.len();
        run.entries.end = self.append.entries.len();
    }

    /// The finished append.
    pub fn finish(self) -> Append {
        self.append
    }
}
