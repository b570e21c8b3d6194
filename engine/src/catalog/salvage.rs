//! The catalogue as far as its mirrors can tell it, and the same written anew elsewhere.
//!
//! Sound mirrors give all of it. Else every frame that either mirror holds sound is applied in
//! order; frames that are in neither, and those that make no sense without them, are told.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::entry::{Entry, Start};
use super::journal as journal_files;
use super::mirrors::{self, FIRST_FRAME};
use super::state::State;
use crate::device::Device;
use crate::error::DeviceError;
use crate::format::journal::{self, HEADER_BYTES};
use crate::format::page_header::{self, FileKind};
use crate::limits::PAGE_BYTES;
use crate::types::{LostRange, ShardUid, StoreId, Stream};

/// What could be told.
pub(crate) struct Salvaged {
    state: State,
    /// What is missing, in sentences; empty when nothing is.
    pub(crate) notes: Vec<String>,
}

/// Reads the mirrors of `store`; `None` when not one frame is sound.
pub(crate) fn salvage(images: &[Option<Bytes>; 2], store: StoreId) -> Option<Salvaged> {
    let merged = mirrors::merge(images, store).ok().flatten();
    if let Some(state) = merged.and_then(|merged| journal_files::replay(&merged.payloads).ok()) {
        return Some(Salvaged { state, notes: Vec::new() });
    }
    let frames = generations(images, store).into_iter().map(|g| frames(images, store, g));
    // The newest generation that has its beginning, else whatever has most.
    let frames: Vec<_> = frames.collect();
    let whole = frames.iter().find(|frames| frames.contains_key(&0));
    let best = whole.or_else(|| frames.iter().max_by_key(|frames| frames.len()))?;
    (!best.is_empty()).then(|| apply(best))
}

/// Generations the mirrors name, newest first.
fn generations(images: &[Option<Bytes>; 2], store: StoreId) -> Vec<u64> {
    let heads = images.iter().flatten().filter_map(|image| {
        let page = &image[..image.len().min(PAGE_BYTES)];
        page_header::decode(page, FileKind::Journal).ok()
    });
    let ours = heads.filter(|(header, _)| header.store == store);
    let mut named: Vec<_> = ours.map(|(header, _)| header.fields[0]).collect();
    named.sort_unstable_by(|a, b| b.cmp(a));
    named.dedup();
    named
}

/// The sound frames of a generation in either mirror, by number.
fn frames(images: &[Option<Bytes>; 2], store: StoreId, generation: u64) -> BTreeMap<u64, Vec<u8>> {
    let mut found = BTreeMap::new();
    for image in images.iter().flatten() {
        let mut offset = FIRST_FRAME;
        loop {
            let rest = usize::try_from(offset).ok().and_then(|at| image.get(at..));
            let Some(rest) = rest.filter(|rest| rest.len() >= HEADER_BYTES) else { break };
            match journal::decode(rest, store, generation, offset) {
                Ok(frame) => {
                    offset += frame.bytes;
                    found.entry(frame.number).or_insert(frame.payload);
                }
                Err(_) => offset += 8,
            }
        }
    }
    found
}

fn apply(frames: &BTreeMap<u64, Vec<u8>>) -> Salvaged {
    let mut salvaged = Salvaged { state: State::default(), notes: Vec::new() };
    let last = frames.last_key_value().map_or(0, |(number, _)| *number);
    for number in 0..=last {
        let told = match frames.get(&number) {
            None => Err("it is in neither mirror".to_owned()),
            Some(payload) if number == 0 => salvaged.start(payload),
            Some(payload) => salvaged.apply(payload),
        };
        if let Err(reason) = told {
            salvaged.notes.push(format!("frame {number} of the catalogue is lost: {reason}"));
        }
    }
    let end = "changes after the last frame found may be lost";
    salvaged.notes.push(end.to_owned());
    salvaged
}

impl Salvaged {
    fn start(&mut self, payload: &[u8]) -> Result<(), String> {
        let start: Start = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
        self.state.raise_marks(start.last_stream, start.last_shard);
        Ok(())
    }

    fn apply(&mut self, payload: &[u8]) -> Result<(), String> {
        let entry: Entry = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
        let outcome = entry.outcome(&self.state).map_err(|error| error.to_string())?;
        self.state.publish(&entry, outcome);
        Ok(())
    }

    /// The streams, in order of id.
    pub(crate) fn streams(&self) -> Vec<Arc<Stream>> {
        self.state.all().cloned().collect()
    }

    /// No shard uid up to this one, nor stream id, is given out again.
    pub(crate) fn raise_marks(&mut self, stream: u64, shard: u64) {
        self.state.raise_marks(stream, shard);
    }

    /// Lets `change` alter each stream, but not its identity, its key or which shards it has.
    pub(crate) fn amend(&mut self, change: impl FnMut(&mut Stream)) {
        self.state.amend(change);
    }

    /// Writes the catalogue into `directory`, which has none, with what each shard has lost.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(crate) async fn write(
        &self,
        device: &Device,
        directory: &Path,
        store: StoreId,
        lost: &HashMap<ShardUid, Vec<LostRange>>,
    ) -> Result<(), DeviceError> {
        let mut snapshot = self.state.snapshot();
        for stream in &mut snapshot.streams {
            for shard in &mut Arc::make_mut(stream).shards {
                Arc::make_mut(shard).lost = lost.get(&shard.uid).cloned().unwrap_or_default();
            }
        }
        journal_files::create(device, directory, store, 1, &snapshot).await.map(drop)
    }
}
