//! Every copy of every batch in a data directory, and what the metadata says of the shards.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::damaged_log::{self, LogEnd};
use super::{Origin, RepairError};
use crate::catalog::{self, salvage::Salvaged};
use crate::commit_log;
use crate::device::{Device, DirEntry};
use crate::error::{DeviceError, FormatError, OpenError};
use crate::format::batch::{self, Batch, HEADER_BYTES};
use crate::format::manifest::{self, Manifest};
use crate::format::page_header::{self, FileKind, PageHeader};
use crate::limits::PAGE_BYTES;
use crate::segment;
use crate::types::{Epoch, Ordinal, SegmentId, ShardUid, StoreId, Timestamp};

const LOCK: &str = "LOCK";
const STORE: &str = "store";
const MANIFESTS: [&str; 2] = ["manifest.0", "manifest.1"];

/// A batch whose header and table are sound, where it was found.
pub(super) struct Copy {
    pub(super) origin: Origin,
    pub(super) file: Arc<Path>,
    pub(super) offset: u64,
    pub(super) bytes: u32,
    /// The place its sums name.
    pub(super) segment: SegmentId,
    pub(super) position: u64,
    pub(super) base: Ordinal,
    /// When its damaged records arrived.
    pub(super) arrivals: Vec<(Ordinal, Timestamp)>,
    pub(super) first_arrival: Timestamp,
    pub(super) last_arrival: Timestamp,
    /// Stretches of sound records, by their place in the batch.
    pub(super) sound: Vec<std::ops::Range<u32>>,
    pub(super) log_position: u64,
    pub(super) end: Ordinal,
    /// Its bytes, where the file has a flipped bit in them.
    pub(super) held: Option<Bytes>,
}

impl Copy {
    /// Describes a batch that was opened at a place in a file.
    pub(super) fn of(
        batch: &Batch,
        origin: Origin,
        file: &Arc<Path>,
        offset: u64,
        (segment, position): (SegmentId, u64),
    ) -> Self {
        let header = &batch.header;
        let mut copy = Self {
            origin,
            file: Arc::clone(file),
            offset,
            bytes: header.frame_bytes,
            segment,
            position,
            base: header.base_ordinal,
            arrivals: Vec::new(),
            first_arrival: header.first_arrival,
            last_arrival: batch.last_arrival(),
            sound: Vec::new(),
            log_position: header.log_position,
            end: batch.end(),
            held: None,
        };
        let mut from = 0;
        for i in batch.damaged() {
            if from < i {
                copy.sound.push(from..i);
            }
            // The table still tells when it arrived.
            copy.arrivals.push((header.base_ordinal.plus(u64::from(i)), batch.arrival(i)));
            from = i + 1;
        }
        if from < header.count {
            copy.sound.push(from..header.count);
        }
        copy
    }
}

/// All that was found.
pub(super) struct Sources {
    pub(super) notes: Vec<String>,
    pub(super) catalog: Salvaged,
    /// The newest manifest, if one is sound.
    pub(super) newest: Option<Manifest>,
    pub(super) log: LogEnd,
    pub(super) copies: HashMap<ShardUid, Vec<Copy>>,
    /// The newest epoch anything names.
    pub(super) epoch: Epoch,
    pub(super) lock: Box<dyn Send + Sync>,
}

/// Reads everything once.
pub(super) async fn gather(device: &Device, directory: &Path) -> Result<Sources, RepairError> {
    let names = device.files.list(directory).await?;
    let is_ours = |name: &str| name == STORE || catalog::FILE_NAMES.contains(&name);
    if !names.iter().any(|entry| is_ours(&entry.name)) {
        let file = names.into_iter().next().map(|entry| entry.name).unwrap_or_default();
        return Err(OpenError::Foreign { path: directory.to_owned(), file }.into());
    }
    let lock = device.files.lock(&directory.join(LOCK)).await?;
    let lock = lock.ok_or_else(|| OpenError::Locked { path: directory.to_owned() })?;
    let mut reader = Reader { device, directory, notes: Vec::new() };
    let store = reader.identify().await?;
    let mut catalog = reader.catalog(store).await?;
    let newest = reader.newest_manifest(store).await?;
    let mut copies = HashMap::new();
    let log = damaged_log::read(&mut reader, store, newest.as_ref(), &mut copies).await?;
    let mut epoch = newest.as_ref().map_or(Epoch(0), |manifest| manifest.epoch).max(log.epoch);
    let seen = reader.segments(store, &mut copies, &mut epoch).await?;
    let highest = copies.keys().map(|shard| shard.0).max().unwrap_or(0);
    catalog.raise_marks(seen.stream, seen.shard.max(highest));
    Ok(Sources { notes: reader.notes, catalog, newest, log, copies, epoch, lock })
}

/// The highest ids that segments name.
#[derive(Default)]
struct Seen {
    stream: u64,
    shard: u64,
}

/// Reads files; what cannot be read is a note.
pub(super) struct Reader<'a> {
    pub(super) device: &'a Device,
    pub(super) directory: &'a Path,
    pub(super) notes: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn note(&mut self, path: &Path, what: impl std::fmt::Display) {
        self.notes.push(format!("{}: {what}", path.display()));
    }

    async fn list(&self, directory: &Path) -> Result<Vec<DirEntry>, DeviceError> {
        match self.device.files.list(directory).await {
            Ok(mut entries) => {
                entries.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(entries)
            }
            Err(error) if error.kind == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The first `limit` bytes of a file that is there.
    async fn read(&mut self, path: &Path, limit: u64) -> Option<Bytes> {
        let read = async {
            let file = self.device.files.open_read(path).await?;
            let len = file.bytes().await?.min(limit);
            file.read(0, usize::try_from(len).unwrap_or(usize::MAX)).await
        };
        match read.await {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.note(path, format_args!("cannot be read: {error}"));
                None
            }
        }
    }

    /// The store that most files say they belong to: one of another store may be among them.
    async fn identify(&mut self) -> Result<StoreId, RepairError> {
        const KINDS: [FileKind; 5] = [
            FileKind::Store,
            FileKind::Segment,
            FileKind::Log,
            FileKind::Manifest,
            FileKind::Journal,
        ];
        let mut votes: BTreeMap<u128, usize> = BTreeMap::new();
        let (log, segments) =
            (commit_log::directory(self.directory), segment::directory(self.directory));
        for directory in [self.directory.to_owned(), log, segments] {
            for entry in self.list(&directory).await? {
                let path = directory.join(&entry.name);
                if entry.bytes < PAGE_BYTES as u64 {
                    continue;
                }
                let Some(page) = self.read(&path, PAGE_BYTES as u64).await else { continue };
                for kind in KINDS {
                    match page_header::decode(&page, kind) {
                        Ok((header, _)) => *votes.entry(header.store.0).or_default() += 1,
                        Err(FormatError::Version { found, newest, .. }) => {
                            return Err(OpenError::TooNew { file: path, found, newest }.into());
                        }
                        Err(_) => {}
                    }
                }
            }
        }
        let most = votes.into_iter().max_by_key(|(_, votes)| *votes);
        let reason = "no file of the directory tells which store it is";
        most.map(|(store, _)| StoreId(store)).ok_or_else(|| self.hopeless(STORE, reason))
    }

    fn hopeless(&self, name: &str, reason: &str) -> RepairError {
        let file = self.directory.join(name);
        OpenError::Damaged { file, reason: reason.to_owned() }.into()
    }

    async fn catalog(&mut self, store: StoreId) -> Result<Salvaged, RepairError> {
        let mut images = [None, None];
        let names = self.list(self.directory).await?;
        for (image, name) in images.iter_mut().zip(catalog::FILE_NAMES) {
            if names.iter().any(|entry| entry.name == name) {
                *image = self.read(&self.directory.join(name), u64::MAX).await;
            }
            let head = image.as_ref().map(|image| page_header::decode(image, FileKind::Journal));
            if head.is_some_and(|head| head.is_ok_and(|(header, _)| header.store != store)) {
                self.note(&self.directory.join(name), "belongs to another store and is left out");
                *image = None;
            }
        }
        let reason = "neither mirror of the catalogue tells of any stream";
        let salvaged = catalog::salvage::salvage(&images, store);
        let salvaged = salvaged.ok_or_else(|| self.hopeless(catalog::FILE_NAMES[0], reason))?;
        self.notes.extend(salvaged.notes.iter().cloned());
        Ok(salvaged)
    }

    async fn newest_manifest(&mut self, store: StoreId) -> Result<Option<Manifest>, RepairError> {
        let directory = commit_log::directory(self.directory);
        let names = self.list(&directory).await?;
        let mut newest: Option<Manifest> = None;
        let mut unsound = 0;
        for slot in MANIFESTS.iter().filter(|slot| names.iter().any(|e| e.name == **slot)) {
            let path = directory.join(slot);
            let Some(bytes) = self.read(&path, u64::MAX).await else { continue };
            match manifest::decode(&bytes, store) {
                Ok(manifest) => {
                    let is_newer =
                        newest.as_ref().is_none_or(|n| n.generation < manifest.generation);
                    newest = if is_newer { Some(manifest) } else { newest };
                }
                Err(FormatError::Version { found, newest, .. }) => {
                    return Err(OpenError::TooNew { file: path, found, newest }.into());
                }
                Err(_) => unsound += 1,
            }
        }
        if newest.is_none() && unsound > 0 {
            let what = "no manifest is sound: each shard is taken to end with its last copy, and \
                        what had expired may come back until its time is checked again";
            self.note(&directory, what);
        }
        Ok(newest)
    }

    /// All batches of all segment files of the store.
    async fn segments(
        &mut self,
        store: StoreId,
        copies: &mut HashMap<ShardUid, Vec<Copy>>,
        epoch: &mut Epoch,
    ) -> Result<Seen, RepairError> {
        let directory = segment::directory(self.directory);
        let mut seen = Seen::default();
        for entry in self.list(&directory).await? {
            let path = directory.join(&entry.name);
            let Some(bytes) = self.read(&path, u64::MAX).await else { continue };
            let header = page_header::decode(&bytes, FileKind::Segment).ok();
            let header = header.map(|(header, _)| header);
            if header.is_some_and(|header| header.store != store) {
                self.note(&path, "belongs to another store and is left out");
                continue;
            }
            if let Some(header) = header {
                seen.stream = seen.stream.max(header.fields[0]);
                seen.shard = seen.shard.max(header.fields[1]);
            }
            for id in ids(&entry.name, header.as_ref()) {
                take_batches(&path, &bytes, id, copies, epoch);
            }
        }
        Ok(seen)
    }
}

/// The ids a segment file may have: that of its name and that of its header.
fn ids(name: &str, header: Option<&PageHeader>) -> Vec<SegmentId> {
    let named = segment::parse_file_name(name).map(|(_, _, id)| id);
    let mut ids: Vec<_> = header.map(|header| SegmentId(header.fields[2])).into_iter().collect();
    ids.extend(named.filter(|id| !ids.contains(id)));
    ids
}

fn take_batches(
    path: &Path,
    bytes: &Bytes,
    id: SegmentId,
    copies: &mut HashMap<ShardUid, Vec<Copy>>,
    epoch: &mut Epoch,
) {
    let file: Arc<Path> = path.into();
    let mut at = PAGE_BYTES;
    while at + HEADER_BYTES <= bytes.len() {
        let position = at as u64;
        let Some(batch) = open_at(bytes, at, id) else {
            at += 8;
            continue;
        };
        *epoch = (*epoch).max(batch.header.epoch);
        let mut copy = Copy::of(&batch, Origin::Segment, &file, position, (id, position));
        at += batch.bytes().len();
        copy.held = (at > bytes.len()).then(|| batch.bytes().clone());
        copies.entry(batch.header.shard).or_default().push(copy);
    }
}

/// The batch at `at`. One that the end of the file cuts has zeros in place of what is missing: the
/// records before are whole.
fn open_at(bytes: &Bytes, at: usize, id: SegmentId) -> Option<Batch> {
    let (rest, salt) = (bytes.slice(at..), batch::salt(id, at as u64));
    match Batch::open(&rest, salt) {
        Ok(batch) => Some(batch),
        Err(FormatError::Short { .. }) => {
            let (header, _) = batch::decode_header_repairing(&rest, salt).ok()?;
            let mut whole = rest.to_vec();
            whole.resize(header.frame_bytes as usize, 0);
            Batch::open(&whole.into(), salt).ok()
        }
        Err(_) => None,
    }
}
