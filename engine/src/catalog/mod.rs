//! The catalogue: streams, their shards and settings, durable and crash-safe.
//!
//! State lives in memory as immutable [`Stream`] snapshots; every change is one journal frame,
//! synced into two mirrored files (`catalog.0`, `catalog.1`) before it becomes visible. On open
//! each frame is taken from whichever mirror holds it sound. A journal that has grown well past
//! its snapshot is rewritten as a new generation (temporary file, sync, rename, sync directory).
//! The catalogue does not know segments: removing a stream leaves its files to the store.

use std::path::Path;
use std::sync::Arc;

use crate::device::Device;
use crate::error::{CatalogError, OpenError};
use crate::types::{
    NewStream, Reshard, ShardEnd, ShardIndex, ShardUid, StoreId, Stream, StreamChange, StreamId,
    StreamKey,
};

/// The catalogue of one store. Readers never wait for a writer; changes run one after another.
pub struct Catalog {}

/// What opening found besides the streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogReport {
    /// Frames one mirror had lost and the other served.
    pub healed_frames: u64,
    /// Bits repaired.
    pub repaired_bits: u64,
}

impl Catalog {
    /// Opens the journal in `directory`, creating it when both mirrors are missing and `fresh`.
    ///
    /// # Errors
    ///
    /// `Damaged` when a frame is sound in neither mirror although a later one proves that it was
    /// acknowledged, or when both mirrors are missing in a store that is not fresh; `TooNew`;
    /// `Device`.
    pub async fn open(
        device: &Device,
        directory: &Path,
        store: StoreId,
        fresh: bool,
    ) -> Result<(Self, CatalogReport), OpenError> {
        let _ = (device, directory, store, fresh);
        todo!()
    }

    /// The stream of this key.
    pub fn stream(&self, key: &StreamKey) -> Option<Arc<Stream>> {
        let _ = key;
        todo!()
    }

    /// The stream of this id.
    pub fn stream_by_id(&self, id: StreamId) -> Option<Arc<Stream>> {
        let _ = id;
        todo!()
    }

    /// Up to `limit` streams of a namespace in order of name, those after `after` only.
    pub fn streams(&self, namespace: &str, after: Option<&str>, limit: usize) -> Vec<Arc<Stream>> {
        let _ = (namespace, after, limit);
        todo!()
    }

    /// All streams, in order of id.
    pub fn all(&self) -> Vec<Arc<Stream>> {
        todo!()
    }

    /// True when the shard is catalogued.
    pub fn has_shard(&self, shard: ShardUid) -> bool {
        let _ = shard;
        todo!()
    }

    /// Makes a stream.
    ///
    /// # Errors
    ///
    /// `StreamExists`, `Coverage`, `DiskFull`, `Stopped`.
    pub async fn create(&self, new: NewStream) -> Result<Arc<Stream>, CatalogError> {
        let _ = new;
        todo!()
    }

    /// Applies several changes of one stream in one frame: all or none. A longer retention also
    /// moves `trimmed_before` to the horizon that was in force.
    ///
    /// # Errors
    ///
    /// `StreamNotFound`, `DiskFull`, `Stopped`.
    pub async fn change(
        &self,
        stream: StreamId,
        changes: Vec<StreamChange>,
    ) -> Result<Arc<Stream>, CatalogError> {
        let _ = (stream, changes);
        todo!()
    }

    /// Closes and opens shards in one frame, together with further changes. `ends` gives the end of
    /// each shard closed, in the order of `reshard.close`.
    ///
    /// # Errors
    ///
    /// `StreamNotFound`, `ShardNotOpen`, `Coverage`, `DiskFull`, `Stopped`.
    pub async fn reshard(
        &self,
        stream: StreamId,
        reshard: Reshard,
        ends: Vec<ShardEnd>,
        changes: Vec<StreamChange>,
    ) -> Result<Arc<Stream>, CatalogError> {
        let _ = (stream, reshard, ends, changes);
        todo!()
    }

    /// Forgets closed shards whose data has expired.
    ///
    /// # Errors
    ///
    /// `StreamNotFound`, `DiskFull`, `Stopped`.
    pub async fn expire_shards(
        &self,
        stream: StreamId,
        shards: Vec<ShardIndex>,
    ) -> Result<Arc<Stream>, CatalogError> {
        let _ = (stream, shards);
        todo!()
    }

    /// Forgets a stream; returns its last snapshot.
    ///
    /// # Errors
    ///
    /// `StreamNotFound`, `DiskFull`, `Stopped`.
    pub async fn remove(&self, stream: StreamId) -> Result<Arc<Stream>, CatalogError> {
        let _ = stream;
        todo!()
    }
}
