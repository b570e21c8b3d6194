//! The new store: catalogue, segments that are all sealed, both manifests, and last its name.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::plan::{Piece, ShardPlan};
use super::{Repair, RepairError};
use crate::commit_log::{self, BEGINNING};
use crate::device::{Device, File};
use crate::error::DeviceError;
use crate::format::batch::{self, Batch};
use crate::format::manifest::{self, Manifest, ShardFloor};
use crate::format::page_header::{self, FileKind, PageHeader};
use crate::limits::PAGE_BYTES;
use crate::segment;
use crate::segment::index::SparseIndex;
use crate::segment::totals::Totals;
use crate::types::{Epoch, Ordinal, SegmentId, StoreId, Timestamp};

/// Bytes gathered for one write.
const WRITE_BYTES: usize = 4 << 20;
/// A segment ends when it is this large.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// Name of the file `store` until the new store is complete: a directory with it is no store.
const UNFINISHED: &str = "store.repair";

/// Writes the store that `repair` plans.
pub(super) async fn store(
    repair: &Repair,
    device: &Device,
    into: &Path,
) -> Result<(), RepairError> {
    let (segments, log) = (segment::directory(into), commit_log::directory(into));
    for directory in [into, &segments, &log] {
        device.files.create_dir_all(directory).await?;
        if !device.files.list(directory).await?.is_empty() {
            return Err(RepairError::Occupied { path: into.to_owned() });
        }
    }
    let store = StoreId(device.entropy.next_u128());
    let mut fields = [0; 10];
    fields[0] = device.clock.now().0;
    let name = page(FileKind::Store, store, fields);
    write_file(device, &into.join(UNFINISHED), name).await?;
    repair.catalog.write(device, into, store, &repair.lost_by_shard()).await?;
    let mut floors = Vec::new();
    for shard in repair.shards.iter().filter(|shard| shard.next > Ordinal::FIRST) {
        let mut writer = Writer::new(device, &segments, store, shard);
        let last_segment = writer.write_all().await?;
        floors.push(ShardFloor {
            shard: shard.uid,
            next: shard.next,
            first_kept: shard.first_kept,
            active: None,
            last_arrival: shard.last_arrival,
            last_segment,
        });
    }
    floors.sort_by_key(|floor| floor.shard);
    let epoch = Epoch(repair.epoch.0.saturating_add(1));
    for (slot, generation) in (0..).zip([1, 2]) {
        let manifest = Manifest { generation, replay: BEGINNING, epoch, shards: floors.clone() };
        let path = log.join(format!("manifest.{slot}"));
        write_file(device, &path, manifest::encode(&manifest, store).into()).await?;
    }
    for directory in [&*segments, &*log] {
        let above = directory.ancestors().take_while(|above| above.starts_with(into));
        for directory in above {
            device.files.sync_dir(directory).await?;
        }
    }
    device.files.rename(&into.join(UNFINISHED), &into.join("store")).await?;
    device.files.sync_dir(into).await?;
    if let Some(above) = into.parent().filter(|above| !above.as_os_str().is_empty()) {
        device.files.sync_dir(above).await?;
    }
    Ok(())
}

fn page(kind: FileKind, store: StoreId, fields: [u64; 10]) -> Bytes {
    Bytes::copy_from_slice(&page_header::encode(&PageHeader { kind, store, fields }))
}

async fn write_file(device: &Device, path: &Path, bytes: Bytes) -> Result<(), DeviceError> {
    let file = device.files.create(path).await?;
    file.write(0, vec![bytes]).await?;
    file.sync_data().await
}

/// Writes the segments of one shard. A segment never has a gap: after lost records a new one
/// begins.
struct Writer<'a> {
    device: &'a Device,
    segments: &'a Path,
    store: StoreId,
    shard: &'a ShardPlan,
    /// The file read last: neighbours stand in one.
    source: Option<Arc<dyn File>>,
    last: SegmentId,
}

/// A segment being written.
struct Open {
    id: SegmentId,
    file: Arc<dyn File>,
    totals: Totals,
    index: SparseIndex,
    next: Ordinal,
    /// Bytes not written yet, and where they go.
    gathered: Vec<u8>,
    at: u64,
}

impl<'a> Writer<'a> {
    fn new(device: &'a Device, segments: &'a Path, store: StoreId, shard: &'a ShardPlan) -> Self {
        Self { device, segments, store, shard, source: None, last: SegmentId(0) }
    }

    /// Returns the newest segment.
    async fn write_all(&mut self) -> Result<SegmentId, DeviceError> {
        let mut open: Option<Open> = None;
        for piece in &self.shard.pieces {
            let batch = self.read(piece).await?;
            let base = batch.header.base_ordinal;
            let place = |at: Ordinal| u32::try_from(at.0 - base.0).unwrap_or(u32::MAX);
            let range = place(piece.from)..place(piece.until);
            let arrival = batch.arrival(range.start);
            let fits = open.as_ref().is_some_and(|open| open.takes(&batch, piece, arrival));
            if !fits {
                if let Some(open) = open.take() {
                    self.seal(open).await?;
                }
                open = Some(self.begin(piece.from, arrival).await?);
            }
            let Some(open) = open.as_mut() else { continue };
            let position = open.at + open.gathered.len() as u64;
            let bytes = batch.excerpt(range, batch::salt(open.id, position));
            open.add(&bytes, position).await?;
        }
        if let Some(open) = open {
            self.seal(open).await?;
        }
        Ok(self.last)
    }

    async fn read(&mut self, piece: &Piece) -> Result<Batch, DeviceError> {
        let copy = &self.shard.copies[piece.copy];
        let bytes = if let Some(held) = &copy.held {
            held.clone()
        } else {
            let held = self.source.take().filter(|source| source.path() == &*copy.file);
            let file = match held {
                Some(file) => file,
                None => self.device.files.open_read(&copy.file).await?,
            };
            let bytes = file.read(copy.offset, copy.bytes as usize).await?;
            self.source = Some(file);
            bytes
        };
        let changed = |what: String| {
            let error = std::io::Error::other(what);
            DeviceError::new("read again", &*copy.file, &error).at(copy.offset)
        };
        let batch = Batch::open(&bytes, batch::salt(copy.segment, copy.position))
            .map_err(|error| changed(error.to_string()))?;
        let is_wanted = |i: u32| {
            let record = batch.header.base_ordinal.plus(u64::from(i));
            piece.from <= record && record < piece.until
        };
        if batch.damaged().into_iter().any(is_wanted) {
            return Err(changed("a record was sound before and is not now".to_owned()));
        }
        Ok(batch)
    }

    async fn begin(&mut self, base: Ordinal, arrival: Timestamp) -> Result<Open, DeviceError> {
        let id = SegmentId(self.device.entropy.next_u64().max(1));
        let path = self.segments.join(segment::file_name(self.shard.uid, base, id));
        let file = self.device.files.create(&path).await?;
        let mut fields = [0; 10];
        fields[..6].copy_from_slice(&[
            self.shard.stream.0,
            self.shard.uid.0,
            id.0,
            base.0,
            arrival.0,
            self.last.0,
        ]);
        self.last = id;
        Ok(Open {
            id,
            file,
            totals: Totals::new(base, arrival, PAGE_BYTES as u64),
            index: SparseIndex::new(),
            next: base,
            gathered: page(FileKind::Segment, self.store, fields).to_vec(),
            at: 0,
        })
    }

    async fn seal(&self, mut open: Open) -> Result<(), DeviceError> {
        let footer = open.totals.footer(&open.index, open.id, self.shard.uid);
        open.gathered.extend(footer);
        open.flush().await?;
        open.file.sync_data().await
    }
}

impl Open {
    /// True when records `piece` of `batch` may follow here.
    fn takes(&self, batch: &Batch, piece: &Piece, arrival: Timestamp) -> bool {
        let bytes = self.at + (self.gathered.len() + batch.bytes().len()) as u64;
        let deltas = [
            piece.until.0 - self.totals.base.0,
            batch.last_arrival().max(arrival).since(self.totals.first_arrival),
        ];
        self.next == piece.from
            && bytes <= SEGMENT_BYTES_MAX
            && deltas.iter().all(|delta| u32::try_from(*delta).is_ok())
    }

    async fn add(&mut self, bytes: &[u8], position: u64) -> Result<(), DeviceError> {
        let salt = batch::salt(self.id, position);
        let header = batch::decode_header(bytes, salt).map_err(|error| {
            let error = std::io::Error::other(error.to_string());
            DeviceError::new("lay out", self.file.path(), &error)
        })?;
        self.index.offer(self.totals.add(&header, batch::header_crc(bytes), position));
        self.next = header.base_ordinal.plus(u64::from(header.count));
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= WRITE_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), DeviceError> {
        let bytes = std::mem::take(&mut self.gathered);
        let len = bytes.len() as u64;
        self.file.write(self.at, vec![bytes.into()]).await?;
        self.at += len;
        Ok(())
    }
}
