//! What names the store, its streams and its last checkpoint.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use bytes::Bytes;

use super::{LOCK, Verifier, lineage};
use crate::catalog::{self, Inspected, mirrors};
use crate::commit_log;
use crate::device::DirEntry;
use crate::error::{FormatError, OpenError};
use crate::format::manifest::{self, Manifest, ReplayStart, ShardFloor};
use crate::format::page_header::{self, FileKind};
use crate::limits::PAGE_BYTES;
use crate::segment;
use crate::types::{LostRange, Ordinal, ShardUid, StoreId, Timestamp};

/// The file that names a store, and its name while the store is being made.
const STORE: &str = "store";
const UNFINISHED: &str = "store.tmp";

/// One catalogued shard.
pub(super) struct KnownShard {
    /// For messages.
    pub(super) label: String,
    /// The position after its last record, once it is closed.
    pub(super) end: Option<Ordinal>,
    /// Between which times its records arrive.
    pub(super) arrivals: RangeInclusive<Timestamp>,
    /// What repairs have recorded as lost.
    pub(super) lost: Vec<LostRange>,
    /// True when the stream's oldest records may have expired by now.
    pub(super) may_have_expired: bool,
}

type KnownShards = HashMap<ShardUid, KnownShard>;

/// What the other checks build on.
pub(super) struct Known {
    pub(super) store: StoreId,
    /// The catalogued shards; `None` when the catalogue cannot be read.
    shards: Option<KnownShards>,
    /// The highest shard uid ever given out, as the catalogue knows.
    pub(super) last_shard: ShardUid,
    /// True when there has been a checkpoint.
    pub(super) is_checkpointed: bool,
    /// True when a manifest is damaged: the newest one may be, and more may have expired.
    pub(super) may_be_outdated: bool,
    /// The newest checkpoint.
    pub(super) replay: ReplayStart,
    /// Where the log is kept from: the replay start of the older manifest.
    pub(super) log_start: ReplayStart,
    /// Shards as the newest checkpoint states them.
    pub(super) floors: HashMap<ShardUid, ShardFloor>,
}

impl Known {
    /// False only when it is certain that the shard has been given up.
    pub(super) fn is_kept(&self, shard: ShardUid) -> bool {
        self.shards.as_ref().is_none_or(|shards| shards.contains_key(&shard))
    }

    /// The shard, if the catalogue tells of it.
    pub(super) fn shard(&self, shard: ShardUid) -> Option<&KnownShard> {
        self.shards.as_ref()?.get(&shard)
    }

    /// The shard in words.
    pub(super) fn label(&self, shard: ShardUid) -> String {
        self.shard(shard).map_or_else(|| format!("shard uid {shard}"), |known| known.label.clone())
    }

    /// True when a record of the shard cannot have arrived from `first` to `last`.
    pub(super) fn is_untimely(&self, shard: ShardUid, first: Timestamp, last: Timestamp) -> bool {
        self.shard(shard).is_some_and(|known| {
            !known.arrivals.contains(&first) || !known.arrivals.contains(&last)
        })
    }

    /// The first record retention has kept.
    pub(super) fn first_kept(&self, shard: ShardUid) -> Ordinal {
        self.floors.get(&shard).map_or(Ordinal::FIRST, |floor| floor.first_kept)
    }

    /// Every shard of the catalogue or the checkpoint that is kept.
    pub(super) fn kept_shards(&self) -> Vec<ShardUid> {
        let mut all: Vec<_> = self.shards.iter().flat_map(HashMap::keys).copied().collect();
        all.extend(self.floors.keys().filter(|shard| self.is_kept(**shard)));
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// True when the names in a directory are those of a store, if an unfinished one.
pub(super) fn is_store(names: &[DirEntry]) -> bool {
    names.iter().any(|entry| {
        [STORE, UNFINISHED].contains(&entry.name.as_str())
            || catalog::FILE_NAMES.contains(&entry.name.as_str())
    })
}

/// Checks the files that everything else depends on; `None` when there is no store to go on with.
pub(super) async fn check(
    verifier: &mut Verifier<'_>,
    names: &[DirEntry],
) -> Result<Option<Known>, OpenError> {
    let own = [STORE, UNFINISHED, LOCK];
    for entry in names {
        let name = entry.name.as_str();
        if !own.contains(&name) && !catalog::FILE_NAMES.contains(&name) {
            let path = verifier.directory.join(name);
            verifier.harmless(&path, 0, "the file is none of the store's, or left over");
        }
    }
    let has = |name: &str| names.iter().any(|entry| entry.name == name);
    if has(UNFINISHED) && !has(STORE) {
        let path = verifier.directory.join(UNFINISHED);
        verifier.harmless(&path, 0, "the store was never finished and holds no record");
        return Ok(None);
    }
    let mut images = [None, None];
    for (image, name) in images.iter_mut().zip(catalog::FILE_NAMES) {
        if has(name) {
            *image = verifier.read(&verifier.directory.join(name)).await;
        }
    }
    let Some(store) = store_id(verifier, &images).await? else { return Ok(None) };
    let catalog = check_catalog(verifier, &images, store)?;
    let (shards, last_shard) = catalog.unzip();
    let (manifests, may_be_outdated) = check_manifests(verifier, store).await?;
    let newest = manifests.iter().max_by_key(|manifest| manifest.generation);
    let oldest = manifests.iter().min_by_key(|manifest| manifest.generation);
    let start = |manifest: Option<&Manifest>| {
        manifest.map_or(commit_log::BEGINNING, |manifest| manifest.replay)
    };
    let floors = newest.into_iter().flat_map(|manifest| &manifest.shards);
    Ok(Some(Known {
        store,
        shards,
        last_shard: last_shard.unwrap_or(ShardUid(u64::MAX)),
        is_checkpointed: newest.is_some(),
        may_be_outdated,
        replay: start(newest),
        log_start: start(oldest),
        floors: floors.map(|floor| (floor.shard, *floor)).collect(),
    }))
}

/// The identity of the store; from the catalogue when its own file is damaged.
async fn store_id(
    verifier: &mut Verifier<'_>,
    images: &[Option<Bytes>; 2],
) -> Result<Option<StoreId>, OpenError> {
    let path = verifier.directory.join(STORE);
    let page = verifier.read(&path).await.unwrap_or_default();
    match page_header::decode(&page, FileKind::Store) {
        Ok((header, repaired)) => {
            if repaired {
                verifier.harmless(&path, 0, "one copy of the header is damaged, the other serves");
            }
            Ok(Some(header.store))
        }
        Err(FormatError::Version { found, newest, .. }) => {
            Err(OpenError::TooNew { file: path, found, newest })
        }
        Err(error) => {
            verifier.damage(&path, 0, format!("the store cannot be opened without it: {error}"));
            let mut headers = images
                .iter()
                .flatten()
                .filter_map(|image| page_header::decode(image, FileKind::Journal).ok());
            Ok(headers.next().map(|(header, _)| header.store))
        }
    }
}

fn check_catalog(
    verifier: &mut Verifier<'_>,
    images: &[Option<Bytes>; 2],
    store: StoreId,
) -> Result<Option<(KnownShards, ShardUid)>, OpenError> {
    let path = |mirror: usize| verifier.directory.join(catalog::FILE_NAMES[mirror]);
    let paths: [PathBuf; 2] = [path(0), path(1)];
    match catalog::inspect(images, store) {
        Ok(Inspected { notes, streams, last_shard }) => {
            for note in notes {
                verifier.harmless(&paths[note.mirror], note.offset, note.kind.to_string());
            }
            let now = verifier.device.clock.now();
            let shards = streams.iter().flat_map(|stream| {
                stream.shards.iter().map(|shard| {
                    let label = format!("shard {} of stream {}", shard.index, stream.key.name);
                    let from = Timestamp(shard.created_seconds.saturating_mul(1000));
                    let until = shard.arrivals_until.unwrap_or(Timestamp(u64::MAX));
                    let known = KnownShard {
                        label,
                        end: shard.closed.map(|end| end.end),
                        arrivals: from..=until,
                        lost: shard.lost.clone(),
                        may_have_expired: stream.horizon(now) > from,
                    };
                    (shard.uid, known)
                })
            });
            let shards = shards.collect();
            for stream in &streams {
                lineage::check(verifier, &paths[0], stream);
            }
            Ok(Some((shards, last_shard)))
        }
        Err(mirrors::Refusal::TooNew { mirror, found, newest }) => {
            Err(OpenError::TooNew { file: paths[mirror].clone(), found, newest })
        }
        Err(mirrors::Refusal::Damaged { mirror, offset, reason }) => {
            verifier.damage(&paths[mirror], offset, format!("the catalogue is damaged: {reason}"));
            Ok(None)
        }
    }
}

/// The manifests that are sound, and whether there is one that is not.
async fn check_manifests(
    verifier: &mut Verifier<'_>,
    store: StoreId,
) -> Result<(Vec<Manifest>, bool), OpenError> {
    let directory = commit_log::directory(verifier.directory);
    let names = verifier.list(&directory).await?;
    let mut sound = Vec::new();
    let (mut bad, mut missing) = (Vec::new(), Vec::new());
    for slot in ["manifest.0", "manifest.1"] {
        let path = directory.join(slot);
        if !names.iter().any(|entry| entry.name == slot) {
            missing.push(path);
            continue;
        }
        let Some(bytes) = verifier.read(&path).await else { continue };
        let head = page_header::decode(&bytes[..bytes.len().min(PAGE_BYTES)], FileKind::Manifest);
        match manifest::decode(&bytes, store) {
            Ok(manifest) => {
                if head.is_ok_and(|(_, repaired)| repaired) {
                    verifier.harmless(&path, 0, "one copy of the page header is damaged");
                }
                sound.push(manifest);
            }
            Err(FormatError::Version { found, newest, .. }) => {
                return Err(OpenError::TooNew { file: path, found, newest });
            }
            Err(error) => bad.push((path, error)),
        }
    }
    let generations = || sound.iter().map(|manifest| manifest.generation);
    // The first checkpoint writes one, the second the other, and from then on they take turns.
    let are_both_due = generations().any(|generation| generation > 1);
    if let Some(path) = missing.first().filter(|_| are_both_due) {
        verifier.harmless(path, 0, "the manifest is missing, the other one serves");
    }
    let newest = generations().max().unwrap_or(0);
    if sound.len() == 2 && generations().all(|generation| generation.abs_diff(newest) != 1) {
        let message = format!(
            "one manifest is of an older time: their generations are {} and {}",
            sound[0].generation, sound[1].generation
        );
        verifier.harmless(&directory, 0, message);
    }
    let is_second_missing = missing.iter().any(|path| path.ends_with("manifest.1"));
    let is_early = is_second_missing && has_whole_log(verifier, &names).await?;
    let is_damaged = !bad.is_empty() || (are_both_due && !missing.is_empty());
    for (path, error) in bad {
        if sound.is_empty() && is_early {
            verifier.harmless(
                &path,
                0,
                "the only manifest is damaged, the log serves, which is whole",
            );
        } else if sound.is_empty() {
            verifier.damage(&path, 0, format!("no manifest is sound: {error}"));
        } else {
            verifier.harmless(&path, 0, format!("the other manifest serves: {error}"));
        }
    }
    Ok((sound, is_damaged))
}

/// As a start sees it before both manifests have been written: the log goes back to its beginning,
/// or nothing was ever written to it.
async fn has_whole_log(verifier: &Verifier<'_>, names: &[DirEntry]) -> Result<bool, OpenError> {
    let sequences = names.iter().filter_map(|entry| commit_log::parse_file_name(&entry.name));
    if let Some(first) = sequences.min() {
        return Ok(first == 1);
    }
    let segments = verifier.list(&segment::directory(verifier.directory)).await?;
    Ok(segments.iter().all(|entry| segment::parse_file_name(&entry.name).is_none()))
}
