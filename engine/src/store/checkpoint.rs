//! A checkpoint: what the log holds is copied and synced, a manifest says so, and the log before
//! it may be written over. Appends go on meanwhile.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;

use super::copy::copy_shards;
use super::keeper::shards_with_work;
use super::log_thread::{LogThread, Manifests, Since};
use crate::bugs::{self, Bug};
use crate::commit_log;
use crate::device::again;
use crate::error::DeviceError;
use crate::format::manifest::{self, Manifest, ReplayStart};
use crate::types::SegmentId;

/// Path of a manifest slot.
pub(super) fn manifest_path(data: &Path, slot: u8) -> PathBuf {
    commit_log::directory(data).join(format!("manifest.{slot}"))
}

/// Makes a checkpoint. A full disk leaves it for later; any other failure stops writes, since a
/// failed sync leaves in doubt what is on the disk.
pub(super) async fn checkpoint(log: &Rc<LogThread>) {
    let requests = std::mem::take(&mut *log.checkpoint_requests.borrow_mut());
    match run(log).await {
        Ok(()) => {
            log.shared.metrics.checkpoints.add(1);
            for request in requests {
                request.send(()).ok();
            }
        }
        Err(error) => {
            log.touch();
            log.gives_up.set(true); // It may have: the next one writes both slots.
            log.checkpoint_requests.borrow_mut().extend(requests);
            if !bugs::is_on(Bug::CheckpointFailureIgnored) {
                log.failed(&error);
            }
        }
    }
}

async fn run(log: &Rc<LogThread>) -> Result<(), DeviceError> {
    let replay = log.log.cursor();
    *log.since.borrow_mut() = Since { position: replay.position, first_change: None };
    if bugs::is_on(Bug::LogReleasedEarly) {
        log.log.release_before(replay.sequence).await;
    }
    copy_shards(log, shards_with_work(log)).await?;
    let replay = if bugs::is_on(Bug::ReplayStartsLate) { log.log.cursor() } else { replay };
    // From here to the first await is one moment: the floors, what must be synced for them, and
    // what they no longer name.
    let dirty = log.files.take_dirty();
    let garbage = log.garbage.borrow().len();
    let gives_up = log.gives_up.take() || garbage > 0;
    let mut manifest = manifest(log, replay);
    if bugs::is_on(Bug::GarbageRemovedEarly) {
        let garbage = log.garbage.borrow().clone();
        remove(log, garbage).await;
    }
    log.files.sync(dirty).await.map_err(final_error)?;
    let before = write_manifest(log, &manifest).await?;
    // What is given up neither comes back nor counts as damage when one of the two is damaged.
    if gives_up {
        manifest.generation += 1;
        write_manifest(log, &manifest).await?;
    }
    let garbage = log.garbage.borrow_mut().drain(..garbage).collect();
    remove(log, garbage).await;
    // The manifest before this one is kept for the case that this one is damaged.
    let is_newest = bugs::is_on(Bug::LogReleasedForNewest);
    let needed = if is_newest { replay.sequence } else { before.replay_sequence };
    log.log.release_before(needed).await;
    Ok(())
}

/// A failed sync is final whatever its reason: the pages may be gone.
fn final_error(error: DeviceError) -> DeviceError {
    DeviceError { kind: std::io::ErrorKind::Other, ..error }
}

fn manifest(log: &LogThread, replay: ReplayStart) -> Manifest {
    let writers = log.writers.borrow();
    Manifest {
        generation: log.manifests.get().generation + 1,
        replay,
        epoch: log.log.epoch(),
        shards: writers.values().filter_map(|writer| writer.borrow().floor()).collect(),
    }
}

/// Writes the manifest into the slot whose turn it is; tells what was true before. A slot has its
/// name once it is whole: while one is missing, the log goes back to its beginning.
async fn write_manifest(log: &LogThread, manifest: &Manifest) -> Result<Manifests, DeviceError> {
    let files = &*log.device.files;
    let before = log.manifests.get();
    let path = manifest_path(&log.config().directory, before.slot);
    let (file, unnamed) = match files.open(&path).await {
        Err(error) if error.kind == std::io::ErrorKind::NotFound => {
            let unnamed = path.with_extension(format!("{}.tmp", before.slot));
            (again::create_anew(files, &unnamed).await?, Some(unnamed))
        }
        opened => (opened?, None),
    };
    file.write(0, vec![Bytes::from(manifest::encode(manifest, log.store))]).await?;
    if !bugs::is_on(Bug::ManifestNotSynced) {
        let synced = match file.sync_data().await {
            Err(_) if bugs::is_on(Bug::ManifestSyncRetried) => file.sync_data().await,
            synced => synced,
        };
        synced.map_err(final_error)?;
    }
    if let Some(unnamed) = unnamed {
        files.rename(&unnamed, &path).await?;
    }
    let directory = commit_log::directory(&log.config().directory);
    files.sync_dir(&directory).await.map_err(final_error)?;
    log.manifests.set(Manifests {
        slot: if bugs::is_on(Bug::OneManifestSlot) { 0 } else { 1 - before.slot },
        generation: manifest.generation,
        replay_sequence: manifest.replay.sequence,
    });
    Ok(before)
}

/// Removes segment files that nothing refers to any more. A failure costs space only: the next
/// start finds them.
async fn remove(log: &LogThread, garbage: Vec<(SegmentId, PathBuf)>) {
    for (segment, path) in garbage {
        log.files.forget(segment);
        if let Err(error) = log.device.files.remove(&path).await
            && error.kind != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "an expired segment stays for now");
        }
    }
}
