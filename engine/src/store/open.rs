//! Opening a data directory: identity, catalogue, manifest, segments by name, replay.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use super::checkpoint::manifest_path;
use super::identity::{self, Lock};
use super::log_thread::{LogThread, Manifests, Shared, Space};
use super::replay;
use super::segment_files::SegmentFiles;
use super::shard_writer::ShardWriter;
use crate::bugs::{self, Bug};
use crate::catalog::{self, Catalog};
use crate::commit_log::{self, BEGINNING, CommitLog, LogFileEntry};
use crate::device::aligned::BufferPool;
use crate::device::{Device, LogDevice};
use crate::error::{DeviceError, FormatError, OpenError};
use crate::format::manifest::{self, Manifest, ShardFloor};
use crate::recovery::log_scan;
use crate::segment::index::SparseIndex;
use crate::segment::{self, Segment, SegmentState};
use crate::shard::ShardLog;
use crate::shard::tail_cache::TailCache;
use crate::sync::Mutex;
use crate::types::{Epoch, Ordinal, SegmentId, Shard, ShardUid, StoreId, Stream, Timestamp};

/// Unused memory of past groups that is kept for the next ones, in bytes.
const IDLE_BUFFER_BYTES_MAX: usize = 32 << 20;

/// An open store.
pub(super) struct Opened {
    pub(super) log: Rc<LogThread>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) lock: Lock,
}

/// One segment file as its name tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListedSegment {
    pub(super) shard: ShardUid,
    pub(super) base: Ordinal,
    pub(super) bytes: u64,
}

/// The segment files there are.
pub(super) type ListedSegments = BTreeMap<SegmentId, ListedSegment>;

/// Opens or creates the store and recovers it.
///
/// # Errors
///
/// Any `OpenError`.
pub(super) async fn open(
    shared: &Arc<Shared>,
    device: &Device,
    log_device: Rc<dyn LogDevice>,
) -> Result<Opened, OpenError> {
    let start = Instant::now();
    let data = &shared.config.directory;
    let (lock, identity) = identity::claim(device, data).await?;
    identity::create_directory(device, &segment::directory(data)).await?;
    identity::create_directory(device, &commit_log::directory(data)).await?;
    let store = identity.store;
    let (catalog, report) = Catalog::open(device, data, store, identity.is_fresh).await?;
    // No record is taken for shards of which nobody knows what a start will find.
    let told = Arc::clone(shared);
    catalog.on_stop(move |reason| told.stop(reason));
    if report.healed_frames > 0 || report.repaired_bits > 0 {
        tracing::warn!(?report, "the catalogue was damaged and has been healed");
        shared.metrics.repaired_bits.add(report.repaired_bits);
    }
    if identity.is_fresh {
        identity::finish(device, data).await?;
    }
    sync_names(device, data).await?;
    remove_temporaries(device, data).await?;
    let log_files = log_scan::list(&*device.files, data).await?;
    let listed = list_segments(device, data).await?;
    let manifests = read_manifests(device, data, store).await?;
    let (slot, newest) = pick(manifests, data, &log_files, listed.is_empty())?;
    require_start(device, data, store, &newest, &log_files).await?;
    require_catalog(data, &catalog, &newest, &listed)?;
    let log =
        Rc::new(log_thread(shared, device, log_device, store, log_files.clone(), slot, &newest));
    build_shards(&log, &catalog, &newest, &listed);
    let free = device.files.free_bytes(data).await?;
    log.set_space(Space { free, is_low: free < shared.config.reserve_bytes, is_refused: false });
    replay::replay(&log, &newest, log_files, &listed).await?;
    let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    shared.metrics.recovery_ms.set(millis);
    Ok(Opened { log, catalog: Arc::new(catalog), lock })
}

fn log_thread(
    shared: &Arc<Shared>,
    device: &Device,
    log_device: Rc<dyn LogDevice>,
    store: StoreId,
    log_files: Vec<LogFileEntry>,
    slot: u8,
    newest: &Manifest,
) -> LogThread {
    let config = &shared.config;
    let directory = segment::directory(&config.directory);
    LogThread {
        shared: Arc::clone(shared),
        device: device.clone(),
        store,
        writers: RefCell::default(),
        tail: RefCell::new(TailCache::new(
            config.tail_cache_bytes_max,
            Arc::clone(&shared.metrics),
        )),
        files: SegmentFiles::new(device, directory, config.open_segments_max),
        log: CommitLog::new(config, device, log_device, store, log_files),
        pool: BufferPool::new(IDLE_BUFFER_BYTES_MAX),
        due: RefCell::default(),
        pending_bytes: Cell::new(0),
        space: Cell::default(),
        since: RefCell::default(),
        manifests: Cell::new(Manifests {
            slot,
            generation: newest.generation,
            replay_sequence: newest.replay.sequence,
        }),
        checkpoint_requests: RefCell::default(),
        seal_requests: RefCell::default(),
        garbage: RefCell::default(),
        gives_up: Cell::default(),
        keeper: tokio::sync::Notify::new(),
        progress: tokio::sync::Notify::new(),
        is_ending: Cell::new(false),
    }
}

/// A process before this one may have been killed before it synced a name that is found here: from
/// now on none of them goes.
async fn sync_names(device: &Device, data: &Path) -> Result<(), DeviceError> {
    if bugs::is_on(Bug::FoundNamesNotSynced) {
        return Ok(());
    }
    let log = commit_log::directory(data);
    for directory in log.ancestors().take(3).chain([&*segment::directory(data)]) {
        device.files.sync_dir(directory).await?;
    }
    Ok(())
}

/// Files that never got their name.
async fn remove_temporaries(device: &Device, data: &Path) -> Result<(), DeviceError> {
    for directory in [segment::directory(data), commit_log::directory(data)] {
        for entry in device.files.list(&directory).await? {
            let path = directory.join(entry.name);
            if path.extension().is_some_and(|extension| extension == "tmp") {
                device.files.remove(&path).await?;
            }
        }
    }
    Ok(())
}

async fn list_segments(device: &Device, data: &Path) -> Result<ListedSegments, DeviceError> {
    let listed = device.files.list(&segment::directory(data)).await?;
    let named = listed.into_iter().filter_map(|entry| {
        let (shard, base, id) = segment::parse_file_name(&entry.name)?;
        Some((id, ListedSegment { shard, base, bytes: entry.bytes }))
    });
    Ok(named.collect())
}

/// One slot: `None` when there is no file.
type Slot = Option<Result<Manifest, FormatError>>;

async fn read_manifests(
    device: &Device,
    data: &Path,
    store: StoreId,
) -> Result<[Slot; 2], OpenError> {
    let mut slots = [None, None];
    for (slot, read) in (0u8..).zip(&mut slots) {
        let path = manifest_path(data, slot);
        let file = match device.files.open(&path).await {
            Ok(file) => file,
            Err(error) if error.kind == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        let len = usize::try_from(file.bytes().await?).unwrap_or(usize::MAX);
        let decoded = manifest::decode(&file.read(0, len).await?, store);
        // It may have been written by a process that was killed before it synced it, or that was
        // told that syncing it failed: then it stands in the system's cache only, and a sync that
        // succeeds now says nothing. What is written again is there for certain.
        if let Ok(found) = &decoded
            && !bugs::is_on(Bug::FoundManifestNotSynced)
        {
            if !bugs::is_on(Bug::FoundManifestNotWritten) {
                file.write(0, vec![manifest::encode(found, store).into()]).await?;
            }
            file.sync_data().await?;
        }
        if let Err(error) = &decoded {
            if matches!(error, FormatError::Version { .. }) {
                return Err(identity::unreadable(path, error));
            }
            tracing::warn!(file = %path.display(), %error, "a manifest slot is not sound");
        }
        *read = Some(decoded);
    }
    Ok(slots)
}

/// The newest sound manifest and the slot the next one goes to. Without one, as before the first
/// checkpoint, the log itself must be whole: from its first file on.
fn pick(
    slots: [Slot; 2],
    data: &Path,
    log_files: &[LogFileEntry],
    has_no_segments: bool,
) -> Result<(u8, Manifest), OpenError> {
    // Nothing of the log is given up before both slots have been written, and a slot has its name
    // only then.
    let is_early = slots[1].is_none();
    let sound = (0u8..).zip(slots).filter_map(|(slot, read)| Some((slot, read?.ok()?)));
    if let Some((slot, newest)) = sound.max_by_key(|(_, manifest)| manifest.generation) {
        return Ok((1 - slot, newest));
    }
    let is_whole = log_files.first().map_or(has_no_segments, |first| first.sequence == 1);
    if is_early && is_whole {
        let (replay, epoch, shards) = (BEGINNING, Epoch(0), Vec::new());
        return Ok((0, Manifest { generation: 0, replay, epoch, shards }));
    }
    Err(OpenError::Damaged {
        file: manifest_path(data, 0),
        reason: "neither this manifest nor the other one is sound, and the log before them is gone"
            .to_owned(),
    })
}

/// A shard that is newer than the catalogue proves that an older catalogue was put back: its data
/// would be taken for that of a shard that is gone.
fn require_catalog(
    data: &Path,
    catalog: &Catalog,
    newest: &Manifest,
    listed: &ListedSegments,
) -> Result<(), OpenError> {
    let in_files = listed.values().map(|file| file.shard);
    let highest = newest.shards.iter().map(|floor| floor.shard).chain(in_files).max();
    let Some(shard) = highest.filter(|shard| *shard > catalog.last_shard()) else {
        return Ok(());
    };
    let file = data.join(catalog::FILE_NAMES[0]);
    let reason = format!("shard uid {shard} is newer than the catalogue, which was put back");
    Err(OpenError::Damaged { file, reason })
}

/// The log file where replay starts must be there, unless the log goes on in the next one without
/// a gap.
async fn require_start(
    device: &Device,
    data: &Path,
    store: StoreId,
    newest: &Manifest,
    log_files: &[LogFileEntry],
) -> Result<(), OpenError> {
    let first = newest.replay.sequence;
    let is_there = log_files.iter().any(|file| file.sequence == first);
    if first == BEGINNING.sequence
        || is_there
        || log_scan::goes_on_at(&*device.files, store, &newest.replay, log_files).await?
    {
        return Ok(());
    }
    let file = commit_log::directory(data).join(commit_log::file_name(first));
    let reason = "this log file, where the manifest's replay starts, is missing".to_owned();
    Err(OpenError::Damaged { file, reason })
}

/// Makes the state of every catalogued shard from the manifest and the names of its segments;
/// what belongs to no shard, or to records that have expired, is garbage.
fn build_shards(
    log: &Rc<LogThread>,
    catalog: &Catalog,
    newest: &Manifest,
    listed: &ListedSegments,
) {
    let floors: BTreeMap<_, _> = newest.shards.iter().map(|floor| (floor.shard, *floor)).collect();
    let mut files: BTreeMap<ShardUid, Vec<SegmentId>> = BTreeMap::new();
    for (id, file) in listed {
        files.entry(file.shard).or_default().push(*id);
    }
    for stream in catalog.all() {
        for shard in &stream.shards {
            let mut mine = files.remove(&shard.uid).unwrap_or_default();
            mine.sort_by_key(|id| listed[id].base);
            let floor = floors.get(&shard.uid).copied().unwrap_or_else(|| new_floor(shard.uid));
            build_shard(log, shard, &stream, floor, &mine, listed);
        }
    }
    for id in files.into_values().flatten() {
        discard(log, id, listed);
    }
}

/// A shard that never had a record.
pub(super) fn new_floor(shard: ShardUid) -> ShardFloor {
    ShardFloor {
        shard,
        next: Ordinal::FIRST,
        first_kept: Ordinal::FIRST,
        active: None,
        last_arrival: Timestamp(0),
        last_segment: SegmentId(0),
    }
}

fn build_shard(
    log: &Rc<LogThread>,
    shard: &Shard,
    stream: &Stream,
    mut floor: ShardFloor,
    mine: &[SegmentId],
    listed: &ListedSegments,
) {
    floor.active = floor.active.filter(|active| listed.contains_key(&active.segment));
    let active = floor.active.map(|active| (active.segment, active.bytes));
    // Files that start later were made after the manifest: replay makes them again.
    let known: Vec<_> = mine.iter().filter(|id| listed[id].base < floor.next).collect();
    let mut segments = Vec::with_capacity(known.len());
    for (i, &&id) in known.iter().enumerate() {
        // Of two with the same base one is of another store; which one, only their headers tell.
        let later = known[i + 1..].iter().map(|next| listed[next].base);
        let end = later.into_iter().find(|base| *base > listed[&id].base).unwrap_or(floor.next);
        let active_bytes = active.filter(|(active, _)| *active == id).map(|(_, bytes)| bytes);
        if end <= floor.first_kept && active_bytes.is_none() {
            discard(log, id, listed);
        } else {
            segments.push(Arc::new(listed_segment(log, id, listed, active_bytes)));
        }
    }
    let (first_kept, end) = (floor.first_kept, floor.next);
    let mut shard_log =
        ShardLog::new(shard.uid, shard.index, stream.id, first_kept, end, floor.last_arrival);
    shard_log.lost.clone_from(&shard.lost);
    if shard.closed.is_some() && !bugs::is_on(Bug::ClosedShardReopened) {
        shard_log.close();
    }
    let shared = active.and_then(|(id, _)| segments.iter().find(|s| s.id == id).cloned());
    *shard_log.segments.write().expect("no holder panics") = segments;
    let shard_log = Arc::new(shard_log);
    log.shared.shards.insert(Arc::clone(&shard_log));
    let mut writer = ShardWriter::new(shard_log, floor, shared);
    writer.closed_end = shard.closed.map(|closed| closed.end);
    if !bugs::is_on(Bug::ArrivalLimitForgotten) {
        writer.bind(shard, stream.trimmed_before);
    }
    if let Some(front) = writer.open.front_mut() {
        front.stale_bytes = listed.get(&front.id).map_or(0, |file| file.bytes);
    }
    log.writers.borrow_mut().insert(shard.uid, Rc::new(RefCell::new(writer)));
}

fn listed_segment(
    log: &LogThread,
    id: SegmentId,
    listed: &ListedSegments,
    active_bytes: Option<u64>,
) -> Segment {
    let file = &listed[&id];
    let state = match active_bytes {
        Some(readable_bytes) => {
            let index = SparseIndex { entries: Vec::new(), from_position: readable_bytes };
            SegmentState::Active { readable_bytes, index }
        }
        None => SegmentState::Sealed,
    };
    let path = log.files.directory().join(segment::file_name(file.shard, file.base, id));
    Segment {
        id,
        shard: file.shard,
        base: file.base,
        path,
        state: Mutex::new(state),
        is_foreign: false.into(),
    }
}

/// Leaves a file to be removed after the next checkpoint.
pub(super) fn discard(log: &LogThread, id: SegmentId, listed: &ListedSegments) {
    let file = &listed[&id];
    let path = log.files.directory().join(segment::file_name(file.shard, file.base, id));
    log.garbage.borrow_mut().push((id, path));
    log.touch();
}
