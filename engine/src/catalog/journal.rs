//! The journal's two files: opened and healed, appended to, rewritten.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::CatalogReport;
use super::entry::{Entry, Start};
use super::mirrors::{self, FIRST_FRAME, Merged, NoteKind, Refusal};
use super::state::{Snapshot, State};
use crate::bugs::{self, Bug};
use crate::device::{Device, File};
use crate::error::{DeviceError, OpenError};
use crate::format::journal::{self, HEADER_BYTES, PAYLOAD_BYTES_MAX};
use crate::format::page_header::{self, FileKind, PageHeader};
use crate::types::StoreId;

/// Names of the mirrors in the data directory.
pub(crate) const FILE_NAMES: [&str; 2] = ["catalog.0", "catalog.1"];
/// Names they have while they are written.
pub(crate) const TEMPORARY_NAMES: [&str; 2] = ["catalog.0.new", "catalog.1.new"];

/// A journal is rewritten when it exceeds twice its snapshot by this much, in bytes.
const GROWTH_BYTES: u64 = 1 << 20;
/// Changes that need space are refused when less than this would be left, in bytes: room to take
/// a frame back and to remove streams.
const RESERVE_BYTES: u64 = 1 << 20;

/// The open journal: both mirrors are the same and end at `end`.
pub(super) struct Journal {
    device: Device,
    directory: PathBuf,
    store: StoreId,
    generation: u64,
    files: [Arc<dyn File>; 2],
    /// Offset of the next frame.
    end: u64,
    /// Number of the next frame.
    number: u64,
    /// Length from which on it is rewritten.
    long_bytes: u64,
}

/// Why a frame was not appended.
#[derive(Debug)]
pub(super) enum AppendError {
    /// No space; nothing was changed.
    Full { free: u64, reserve: u64 },
    /// The frame exceeds the format; nothing was changed.
    TooLong(String),
    /// The device failed; what is on it is unknown.
    Failed(String),
}

/// Opens the journal and replays it.
pub(super) async fn open(
    device: &Device,
    directory: &Path,
    store: StoreId,
    fresh: bool,
) -> Result<(Journal, State, CatalogReport), OpenError> {
    let present: Vec<String> =
        device.files.list(directory).await?.into_iter().map(|entry| entry.name).collect();
    let mut images = [None, None];
    for (image, name) in images.iter_mut().zip(FILE_NAMES) {
        if present.iter().any(|other| other == name) {
            *image = Some(read_whole(device, &directory.join(name)).await?);
        }
    }
    for name in TEMPORARY_NAMES.iter().filter(|name| present.iter().any(|other| other == *name)) {
        device.files.remove(&directory.join(name)).await?;
    }
    let merged = match mirrors::merge(&images, store) {
        Ok(Some(merged)) => merged,
        Ok(None) if fresh => {
            let state = State::default();
            let journal = create(device, directory, store, 1, &state.snapshot()).await?;
            return Ok((journal, state, CatalogReport::default()));
        }
        Ok(None) => {
            return Err(damaged(directory, 0, "both mirrors of the catalogue are missing"));
        }
        Err(refusal) => return Err(refused(directory, refusal)),
    };
    let state = replay(&merged.payloads).map_err(|reason| damaged(directory, 0, &reason))?;
    let report = report(&merged);
    let journal = if merged.notes.is_empty() {
        adopt(device, directory, store, &merged).await?
    } else {
        create(
            device,
            directory,
            store,
            newest_generation(&images, &merged).saturating_add(1),
            &state.snapshot(),
        )
        .await?
    };
    Ok((journal, state, report))
}

async fn read_whole(device: &Device, path: &Path) -> Result<Bytes, OpenError> {
    let file = device.files.open_read(path).await?;
    let bytes = file.bytes().await?;
    let len = usize::try_from(bytes).unwrap_or(usize::MAX);
    Ok(file.read(0, len).await?)
}

/// The state the frames lead to.
pub(super) fn replay(payloads: &[Vec<u8>]) -> Result<State, String> {
    let (first, rest) = payloads.split_first().ok_or("the journal is empty")?;
    let start: Start =
        serde_json::from_slice(first).map_err(|error| format!("frame 0: {error}"))?;
    let expected = start.frames();
    if (rest.len() as u64) < expected {
        let missing = expected - rest.len() as u64;
        return Err(format!("{missing} of {expected} frames of the snapshot are missing"));
    }
    let mut state = State::default();
    state.raise_marks(start.last_stream, start.last_shard);
    for (number, payload) in (1..).zip(rest) {
        let entry: Entry =
            serde_json::from_slice(payload).map_err(|error| format!("frame {number}: {error}"))?;
        let outcome = entry.outcome(&state).map_err(|error| format!("frame {number}: {error}"))?;
        state.publish(&entry, outcome);
    }
    Ok(state)
}

fn report(merged: &Merged) -> CatalogReport {
    let count = |kind| merged.notes.iter().filter(|note| note.kind == kind).count() as u64;
    CatalogReport {
        healed_frames: count(NoteKind::Frame),
        repaired_bits: count(NoteKind::Bit) + count(NoteKind::PageHeader),
    }
}

/// The highest generation any mirror names, so that a new one exceeds it.
fn newest_generation(images: &[Option<Bytes>; 2], merged: &Merged) -> u64 {
    let named = images.iter().flatten().filter_map(|image| {
        page_header::decode(image.get(..crate::limits::PAGE_BYTES)?, FileKind::Journal).ok()
    });
    named.map(|(header, _)| header.fields[0]).fold(merged.generation, u64::max)
}

fn refused(directory: &Path, refusal: Refusal) -> OpenError {
    match refusal {
        Refusal::TooNew { mirror, found, newest } => {
            OpenError::TooNew { file: directory.join(FILE_NAMES[mirror]), found, newest }
        }
        Refusal::Damaged { mirror, reason, .. } => damaged(directory, mirror, &reason),
    }
}

fn damaged(directory: &Path, mirror: usize, reason: &str) -> OpenError {
    OpenError::Damaged { file: directory.join(FILE_NAMES[mirror]), reason: reason.to_owned() }
}

/// Opens clean mirrors for appending. The last frame is written to mirror 1 once more: the process
/// that put it there may have been killed before it synced it, or been told that the sync failed,
/// and then it stands in the system's cache only. In mirror 0 it was synced before.
async fn adopt(
    device: &Device,
    directory: &Path,
    store: StoreId,
    merged: &Merged,
) -> Result<Journal, DeviceError> {
    let files = open_mirrors(device, directory).await?;
    let (generation, count) = (merged.generation, merged.payloads.len());
    if let Some(payload) = merged.payloads.last() {
        let offset = merged.end - frame_bytes(payload);
        let frame = journal::encode(store, generation, offset, count as u64 - 1, payload);
        files[1].write(offset, vec![frame.into()]).await?;
        files[1].sync_data().await?;
    }
    Ok(Journal {
        device: device.clone(),
        directory: directory.to_owned(),
        store,
        generation,
        files,
        end: merged.end,
        number: count as u64,
        long_bytes: long_bytes(snapshot_end(merged)),
    })
}

/// Bytes of the frame that holds `payload`.
fn frame_bytes(payload: &[u8]) -> u64 {
    (HEADER_BYTES + payload.len()).next_multiple_of(8) as u64
}

/// Offset after the snapshot the generation began with.
fn snapshot_end(merged: &Merged) -> u64 {
    let first =
        merged.payloads.first().and_then(|first| serde_json::from_slice::<Start>(first).ok());
    let following = first.and_then(|start| usize::try_from(start.frames()).ok()).unwrap_or(0);
    let frames = merged.payloads.iter().take(following.saturating_add(1));
    FIRST_FRAME + frames.map(|payload| frame_bytes(payload)).sum::<u64>()
}

async fn open_mirrors(
    device: &Device,
    directory: &Path,
) -> Result<[Arc<dyn File>; 2], DeviceError> {
    Ok([
        device.files.open(&directory.join(FILE_NAMES[0])).await?,
        device.files.open(&directory.join(FILE_NAMES[1])).await?,
    ])
}

const fn long_bytes(snapshot_bytes: u64) -> u64 {
    snapshot_bytes.saturating_mul(2).saturating_add(GROWTH_BYTES)
}

/// Writes a new generation and puts it in place.
pub(super) async fn create(
    device: &Device,
    directory: &Path,
    store: StoreId,
    generation: u64,
    snapshot: &Snapshot,
) -> Result<Journal, DeviceError> {
    let image = encode_generation(store, generation, snapshot)
        .map_err(|reason| DeviceError::new("encode", directory, &std::io::Error::other(reason)))?;
    write_temporaries(device, directory, &image).await?;
    let files = put_in_place(device, directory).await?;
    let end = image.len() as u64;
    Ok(Journal {
        device: device.clone(),
        directory: directory.to_owned(),
        store,
        generation,
        files,
        end,
        number: snapshot.start().frames() + 1,
        long_bytes: long_bytes(end),
    })
}

/// A file that holds the snapshot.
fn encode_generation(
    store: StoreId,
    generation: u64,
    snapshot: &Snapshot,
) -> Result<Bytes, String> {
    let mut fields = [0; 10];
    fields[0] = generation;
    let header = PageHeader { kind: FileKind::Journal, store, fields };
    let mut image = page_header::encode(&header).to_vec();
    let first = serde_json::to_vec(&snapshot.start()).map_err(|error| error.to_string())?;
    let offset = image.len() as u64;
    image.extend(journal::encode(store, generation, offset, 0, &first));
    for (number, entry) in (1..).zip(snapshot.entries()) {
        let payload = encode_payload(&entry)?;
        let offset = image.len() as u64;
        image.extend(journal::encode(store, generation, offset, number, &payload));
    }
    Ok(image.into())
}

fn encode_payload(entry: &Entry) -> Result<Vec<u8>, String> {
    let payload = serde_json::to_vec(entry).map_err(|error| error.to_string())?;
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(format!(
            "a change takes {} bytes, the catalogue allows {PAYLOAD_BYTES_MAX}",
            payload.len()
        ));
    }
    Ok(payload)
}

async fn write_temporaries(
    device: &Device,
    directory: &Path,
    image: &Bytes,
) -> Result<(), DeviceError> {
    for name in TEMPORARY_NAMES {
        let file = device.files.create(&directory.join(name)).await?;
        file.write(0, vec![image.clone()]).await?;
        file.sync_data().await?;
    }
    Ok(())
}

/// Renames the temporary files one after the other. A crash in between leaves one mirror of each
/// generation, both complete.
async fn put_in_place(
    device: &Device,
    directory: &Path,
) -> Result<[Arc<dyn File>; 2], DeviceError> {
    for (temporary, name) in TEMPORARY_NAMES.iter().zip(FILE_NAMES) {
        device.files.rename(&directory.join(temporary), &directory.join(name)).await?;
        device.files.sync_dir(directory).await?;
    }
    open_mirrors(device, directory).await
}

impl Journal {
    /// Makes `entry` durable in both mirrors.
    pub(super) async fn append(&mut self, entry: &Entry) -> Result<(), AppendError> {
        let payload = encode_payload(entry).map_err(AppendError::TooLong)?;
        let frame: Bytes =
            journal::encode(self.store, self.generation, self.end, self.number, &payload).into();
        let reserve = 2 * frame.len() as u64 + RESERVE_BYTES;
        if !entry.frees_space() {
            self.require_space(reserve).await?;
        }
        let mirrors = if bugs::is_on(Bug::OneMirror) { 1 } else { self.files.len() };
        for file in &self.files[..mirrors] {
            if let Err(error) = file.write(self.end, vec![frame.clone()]).await {
                return Err(self.take_back(error, reserve).await);
            }
            if bugs::is_on(Bug::CatalogNotSynced) {
                continue;
            }
            let synced = match file.sync_data().await {
                Err(_) if bugs::is_on(Bug::CatalogSyncRetried) => file.sync_data().await,
                synced => synced,
            };
            synced.map_err(|error| AppendError::Failed(error.to_string()))?;
        }
        self.end += frame.len() as u64;
        self.number += 1;
        Ok(())
    }

    /// Refuses early: a refusal leaves nothing to take back.
    async fn require_space(&self, reserve: u64) -> Result<(), AppendError> {
        match self.device.files.free_bytes(&self.directory).await {
            Ok(free) if free < reserve => Err(AppendError::Full { free, reserve }),
            // When the question fails, the write itself gives the answer.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// After a failed write: on a full disk, undoes what it may have left.
    async fn take_back(&self, error: DeviceError, reserve: u64) -> AppendError {
        if !error.is_full() {
            return AppendError::Failed(error.to_string());
        }
        match self.erase_tail().await {
            Ok(()) => {
                let free = self.device.files.free_bytes(&self.directory).await.unwrap_or(0);
                AppendError::Full { free, reserve }
            }
            Err(second) => AppendError::Failed(format!("{error}; taking it back: {second}")),
        }
    }

    /// Overwrites whatever stands after the last frame with zeros, durably, so that no later open
    /// takes it for a frame, nor for the remains of one when a shorter frame ends inside of it.
    /// Mirror 1 goes first: while it holds anything, mirror 0 still holds the frame. Writes only
    /// inside the files, which needs no space.
    async fn erase_tail(&self) -> Result<(), DeviceError> {
        for file in self.files.iter().rev() {
            let left = file.bytes().await?.saturating_sub(self.end);
            if left > 0 {
                let zeros = vec![0; usize::try_from(left).unwrap_or(usize::MAX)];
                file.write(self.end, vec![zeros.into()]).await?;
                file.sync_data().await?;
            }
        }
        Ok(())
    }

    /// The generation in place.
    #[cfg(test)]
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// True when a rewrite would make it much shorter.
    pub(super) const fn is_long(&self) -> bool {
        self.end >= self.long_bytes
    }

    /// Replaces the journal by a new generation that holds `snapshot`. When there is no space for
    /// that, the old one goes on.
    ///
    /// # Errors
    ///
    /// The reason when it is unknown which generation is in place.
    pub(super) async fn compact(&mut self, snapshot: &Snapshot) -> Result<(), String> {
        let generation = self.generation.saturating_add(1);
        let image = encode_generation(self.store, generation, snapshot)?;
        if write_temporaries(&self.device, &self.directory, &image).await.is_err() {
            self.long_bytes = self.end.saturating_mul(2);
            return self.remove_temporaries().await.map_err(|error| error.to_string());
        }
        let files = put_in_place(&self.device, &self.directory).await;
        self.files = files.map_err(|error| error.to_string())?;
        self.generation = generation;
        self.end = image.len() as u64;
        self.number = snapshot.start().frames() + 1;
        self.long_bytes = long_bytes(self.end);
        Ok(())
    }

    async fn remove_temporaries(&self) -> Result<(), DeviceError> {
        let entries = self.device.files.list(&self.directory).await?;
        for entry in entries.iter().filter(|entry| TEMPORARY_NAMES.contains(&entry.name.as_str())) {
            self.device.files.remove(&self.directory.join(&entry.name)).await?;
        }
        Ok(())
    }
}
