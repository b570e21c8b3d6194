//! `repair`: what of a damaged store can be saved, from which copy, and the same as a new store in
//! a new place. The old one is only read.
//!
//! A batch may stand in three places: in its segment below what a checkpoint has covered, in the
//! commit log, and in its segment beyond the last checkpoint. `sources` finds all copies of all
//! batches, whatever names and places their files have; `plan` takes for each record the first
//! copy that is sound; `write` lays them out as segments of a store that is whole. Ordinals and
//! arrivals stay. What no copy has is recorded with its shard, and readers go on after it.
//! Numbers that may have been answered are never given out again, as after any damage
//! (`recovery::losses`).
//!
//! `restore` is the same for a copy of a store that went on after the copy was taken.
//!
//! The new store has an identity of its own: no file of the old one is taken for one of its.

mod damaged_log;
mod plan;
mod sources;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::catalog::salvage::Salvaged;
use crate::device::Device;
use crate::error::{DeviceError, OpenError};
use crate::types::{Epoch, Ordinal, ShardIndex, ShardUid, Stream, StreamKey, Timestamp};

/// What the new store is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It goes on where the old one has stopped.
    Repair,
    /// The old one is a copy of a store that went on: what that one has answered since must not be
    /// answered again, so that each open shard leaves room for it
    /// ([`ORDINALS_PER_RESTORE`](crate::limits::ORDINALS_PER_RESTORE)).
    Restore,
}

/// Why a repair was not done. The old store is as it was; a new one that was begun has no name and
/// is no store.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The old store cannot be read at all.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new place is not empty, or is inside the old one.
    #[error("{path} is not an empty directory outside the damaged one; choose a new directory", path = path.display())]
    Occupied {
        /// The new place.
        path: PathBuf,
    },
}

impl From<DeviceError> for RepairError {
    fn from(error: DeviceError) -> Self {
        Self::Open(OpenError::Device(error))
    }
}

/// A shard as messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardName {
    /// Its stream.
    pub stream: StreamKey,
    /// Its number in the stream.
    pub index: ShardIndex,
    /// Its creation, as sequence numbers carry it.
    pub created_seconds: u64,
}

/// Records saved from another copy than the one a server would read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedRange {
    /// The shard.
    pub shard: ShardName,
    /// The first record.
    pub first: Ordinal,
    /// The last record.
    pub last: Ordinal,
    /// What kind of copy serves.
    pub origin: Origin,
    /// The file it stands in.
    pub file: PathBuf,
    /// Where.
    pub offset: u64,
}

/// What kind of copy of a batch, in the order in which they are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In a segment, and a checkpoint has made it the one that counts.
    Segment,
    /// In the commit log.
    Log,
    /// In a segment, beyond the last checkpoint.
    Uncovered,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Segment => "the segment",
            Self::Log => "the commit log",
            Self::Uncovered => "the segment, beyond the last checkpoint",
        })
    }
}

/// Records of which no sound copy was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostRecords {
    /// The shard.
    pub shard: ShardName,
    /// The first one.
    pub first: Ordinal,
    /// The last one.
    pub last: Ordinal,
    /// The first one did not arrive before this.
    pub arrived_from: Timestamp,
    /// The last one did not arrive after this.
    pub arrived_until: Timestamp,
    /// False when nothing proves that there were such records: numbers that may have been answered
    /// and are not given out again.
    pub is_certain: bool,
}

/// What a repair finds; `write` makes a store of it.
pub struct Repair {
    /// What else is lost or was chosen, in sentences.
    pub notes: Vec<String>,
    /// Saved from another copy than the usual one, by shard.
    pub saved: Vec<SavedRange>,
    /// Lost, by shard.
    pub lost: Vec<LostRecords>,
    /// Records the new store has.
    pub records: u64,
    catalog: Salvaged,
    shards: Vec<plan::ShardPlan>,
    epoch: Epoch,
    _lock: Box<dyn Send + Sync>,
}

/// Looks for all that can be saved of the store in `directory`, which no process may have open, for
/// a new one that serves `purpose`.
///
/// # Errors
///
/// `Locked`, `Foreign`, `TooNew`, `Device`; `Damaged` when nothing names a stream.
pub async fn plan(
    device: &Device,
    directory: &Path,
    purpose: Purpose,
) -> Result<Repair, RepairError> {
    let sources = sources::gather(device, directory).await?;
    Ok(plan::make(sources, purpose))
}

impl Repair {
    /// Lets `change` alter what the new store says of each stream: its document, and until when its
    /// shards take records; not its identity, its key or which shards it has.
    pub fn amend_streams(&mut self, change: impl FnMut(&mut Stream)) {
        self.catalog.amend(change);
    }

    /// Writes the new store into `into`, a new or an empty directory outside the old one.
    ///
    /// # Errors
    ///
    /// `Occupied`; `Open` when the device fails.
    pub async fn write(
        &self,
        device: &Device,
        directory: &Path,
        into: &Path,
    ) -> Result<(), RepairError> {
        if into.starts_with(directory) {
            return Err(RepairError::Occupied { path: into.to_owned() });
        }
        write::store(self, device, into).await
    }

    /// True when nothing that was ever acknowledged is known to be lost.
    pub fn is_lossless(&self) -> bool {
        self.lost.is_empty() && self.catalog.notes.is_empty()
    }

    /// What each shard has lost, as the new catalogue records it.
    fn lost_by_shard(&self) -> HashMap<ShardUid, Vec<crate::types::LostRange>> {
        self.shards.iter().map(|shard| (shard.uid, shard.lost.clone())).collect()
    }
}
