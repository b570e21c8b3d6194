//! For tests: a shard whose log is written as the log thread would write it, on real files.

use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::ShardLog;
use super::reader::Reader;
use super::tail_cache::{TailBatch, TailCache};
use crate::config::Config;
use crate::device::clock::{ManualClock, SystemEntropy};
use crate::device::posix::{PosixFiles, PosixLog};
use crate::device::simulated::SimulatedDisk;
use crate::device::{Device, File};
use crate::format::batch::{self, Batch, Plan};
use crate::format::footer::{self, IndexEntry, Trailer};
use crate::format::record::{self, RecordRef};
use crate::metrics::Metrics;
use crate::segment::index::{FIRST_POSITION, SparseIndex};
use crate::segment::{self, Segment, SegmentState};
use crate::types::{
    Epoch, Ordinal, SegmentId, ShardIndex, ShardUid, StoreId, StoredRecord, StreamId, Timestamp,
};

const UID: ShardUid = ShardUid(7);

/// One shard and everything around it.
pub(crate) struct Fixture {
    /// Removed with the fixture.
    directory: Option<tempfile::TempDir>,
    config: Config,
    device: Device,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) shard: Arc<ShardLog>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) cache: TailCache,
    /// Every record ever appended.
    pub(crate) model: Vec<StoredRecord>,
    /// Position and length of every batch, by segment.
    pub(crate) places: Vec<(Arc<Segment>, Place)>,
    log_position: u64,
    active: Option<Active>,
    next_segment: u64,
}

/// Where a batch stands in its segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) position: u64,
    pub(crate) end_position: u64,
    pub(crate) base: Ordinal,
    pub(crate) end: Ordinal,
}

struct Active {
    segment: Arc<Segment>,
    file: Arc<dyn File>,
    position: u64,
    first_arrival: Timestamp,
    index: SparseIndex,
    header_crcs: Vec<u8>,
    batches: u32,
}

impl Fixture {
    /// An empty shard on real files; the tail keeps `tail_bytes`, the reader maps `maps_max`
    /// segments.
    pub(crate) async fn new(tail_bytes: usize, maps_max: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let device = Device {
            files: Arc::new(PosixFiles::new(1).unwrap()),
            log: Arc::new(PosixLog),
            clock: Arc::new(ManualClock::new(Timestamp(0))),
            entropy: Arc::new(SystemEntropy),
        };
        let mut fixture = Self::on(device, directory.path(), tail_bytes, maps_max).await;
        fixture.directory = Some(directory);
        fixture
    }

    /// The same on a simulated disk.
    pub(crate) async fn simulated(
        disk: &SimulatedDisk,
        tail_bytes: usize,
        maps_max: usize,
    ) -> Self {
        let device = disk.device(Arc::new(ManualClock::new(Timestamp(0))));
        Self::on(device, Path::new("/data"), tail_bytes, maps_max).await
    }

    async fn on(device: Device, directory: &Path, tail_bytes: usize, maps_max: usize) -> Self {
        let mut config = Config::new(directory);
        config.tail_cache_bytes_max = tail_bytes;
        config.mapped_segments_max = maps_max;
        config.open_segments_max = 2;
        device.files.create_dir_all(&segment::directory(directory)).await.unwrap();
        let metrics = Arc::new(Metrics::default());
        Self {
            directory: None,
            shard: new_shard(Ordinal::FIRST, Ordinal::FIRST, Timestamp(0)),
            reader: Arc::new(Reader::new(&config, &device, Arc::clone(&metrics), StoreId(1))),
            cache: TailCache::new(tail_bytes, Arc::clone(&metrics)),
            config,
            device,
            metrics,
            model: Vec::new(),
            places: Vec::new(),
            log_position: 0,
            active: None,
            next_segment: 100,
        }
    }

    pub(crate) fn end(&self) -> Ordinal {
        Ordinal(self.model.len() as u64 + 1)
    }

    /// Appends one batch of records with payloads of these lengths.
    pub(crate) async fn append(&mut self, lengths: &[usize], arrival: Timestamp) {
        self.roll_if_none(arrival).await;
        let (base, position) = (self.end(), self.active.as_ref().unwrap().position);
        let (mut stored, mut entries) = (Vec::new(), Vec::new());
        for (i, len) in lengths.iter().enumerate() {
            let ordinal = base.plus(i as u64);
            let fill = u8::try_from(ordinal.0 % 251).unwrap();
            let key = ordinal.0.to_string().into_bytes();
            let (key, data) = ((i % 3 != 2).then_some(key), vec![fill; *len]);
            let partition_key = key.as_deref();
            let record =
                RecordRef { partition_key, explicit_hash_key: None, data: &data, encrypted: false };
            entries.push(record::encode(&record, &mut stored));
            self.model.push(StoredRecord {
                ordinal,
                arrival,
                partition_key: key.map(Bytes::from),
                data: data.into(),
                encrypted: false,
            });
        }
        let active = self.active.as_mut().unwrap();
        let mut frame = vec![0; batch::frame_bytes(entries.len(), stored.len())];
        let plan = Plan {
            base_ordinal: base,
            arrival,
            epoch: Epoch(1),
            log_position: self.log_position,
            shard: UID,
            salt: batch::salt(active.segment.id, position),
        };
        let header = batch::encode(&plan, [(&entries[..], &stored[..])].into_iter(), &mut frame);
        self.log_position += (frame.len() as u64 + 96).next_multiple_of(4096);
        active.add(&frame, &header);
        let (end_position, end) = (active.position, base.plus(u64::from(header.count)));
        let place = Place { position, end_position, base, end };
        self.places.push((Arc::clone(&active.segment), place));
        let batch = Batch::trusted(header, frame.into());
        let admitted = TailBatch { batch, segment: active.segment.id, offset: position };
        self.cache.admit(&self.shard, admitted);
        self.shard.advance(self.end(), arrival);
    }

    /// Copies what is pending into the active segment.
    pub(crate) async fn copy(&mut self) {
        let Some(active) = &self.active else { return };
        let pending: Vec<_> = self.shard.tail.lock().unwrap().pending().cloned().collect();
        for held in &pending {
            active.file.write(held.offset, vec![held.batch.bytes().clone()]).await.unwrap();
        }
        if let SegmentState::Active { readable_bytes, index } =
            &mut *active.segment.state.lock().unwrap()
        {
            *readable_bytes = active.position;
            let from_position = index.from_position;
            let whole = active.index.entries.iter();
            let known = whole.filter(|entry| u64::from(entry.position) >= from_position);
            index.entries = known.copied().collect();
        }
        self.cache.copied(&self.shard, self.end());
    }

    /// Copies what is pending and seals the active segment.
    pub(crate) async fn seal(&mut self) {
        self.copy().await;
        let Some(active) = self.active.take() else { return };
        let trailer = Trailer {
            index_entries: u32::try_from(active.index.entries.len()).unwrap(),
            index_position: active.position,
            base_ordinal: active.segment.base,
            records: self.end().0 - active.segment.base.0,
            first_arrival: active.first_arrival,
            last_arrival: self.shard.last_arrival(),
            batches: active.batches,
            batches_crc: crate::format::checksum::crc(&active.header_crcs),
            segment: active.segment.id,
            shard: UID,
        };
        let footer = footer::encode(&active.index.entries, &trailer);
        active.file.write(active.position, vec![footer.into()]).await.unwrap();
        *active.segment.state.lock().unwrap() = SegmentState::Sealed;
    }

    /// Everything copied; then memory is lost and the active segment's index with it.
    pub(crate) async fn restart(&mut self) {
        self.copy().await;
        let old = Arc::clone(&self.shard);
        self.shard = new_shard(old.first_kept(), self.end(), old.last_arrival());
        self.shard.tail.lock().unwrap().copied_to = self.end();
        *self.shard.segments.write().unwrap() = old.segments.read().unwrap().clone();
        if let Some(active) = &self.active
            && let SegmentState::Active { index, .. } = &mut *active.segment.state.lock().unwrap()
        {
            *index = SparseIndex { entries: Vec::new(), from_position: active.position };
        }
        self.cache = TailCache::new(self.config.tail_cache_bytes_max, Arc::clone(&self.metrics));
        self.forget_reads();
    }

    /// Retention: the first `count` sealed segments go.
    pub(crate) async fn expire(&mut self, count: usize) {
        let gone: Vec<_> = {
            let segments = self.shard.segments.read().unwrap();
            let Some(kept) = segments.get(count) else { return };
            self.shard.trim(kept.base);
            segments[..count].to_vec()
        };
        self.shard.segments.write().unwrap().drain(..count);
        for segment in gone {
            self.device.files.remove(&segment.path).await.unwrap();
            self.reader.forget(segment.id);
        }
    }

    /// Changes one byte of a segment's file and forgets what was read of it.
    pub(crate) async fn damage(&mut self, segment: &Segment, position: u64, mask: u8) {
        let file = self.device.files.open(&segment.path).await.unwrap();
        let byte = file.read(position, 1).await.unwrap()[0] ^ mask;
        file.write(position, vec![vec![byte].into()]).await.unwrap();
        self.forget_reads();
    }

    /// Changes trailer and first index entry of a sealed segment; their sums are right again.
    pub(crate) async fn forge_footer(
        &mut self,
        segment: &Segment,
        forge: impl FnOnce(&mut Trailer, &mut IndexEntry),
    ) {
        let file = self.device.files.open(&segment.path).await.unwrap();
        let len = file.bytes().await.unwrap();
        let bytes = file.read(0, usize::try_from(len).unwrap()).await.unwrap();
        let mut trailer = footer::decode(&bytes, len, segment.id).unwrap();
        let position = trailer.index_position;
        let index = &bytes[usize::try_from(position).unwrap()..];
        let mut entries: Vec<_> =
            (0..trailer.index_entries as usize).map(|i| footer::index_entry(index, i)).collect();
        forge(&mut trailer, &mut entries[0]);
        file.write(position, vec![footer::encode(&entries, &trailer).into()]).await.unwrap();
        self.forget_reads();
    }

    /// Cuts a segment's file, or removes it.
    pub(crate) async fn cut(&mut self, path: &Path, len: Option<usize>) {
        let files = &self.device.files;
        let kept = files.open_read(path).await.unwrap().read(0, len.unwrap_or(0)).await.unwrap();
        files.remove(path).await.unwrap();
        if len.is_some() {
            files.create(path).await.unwrap().write(0, vec![kept]).await.unwrap();
        }
        self.forget_reads();
    }

    /// A new reader: nothing is mapped, nothing is known to be sound.
    fn forget_reads(&mut self) {
        let reader = Reader::new(&self.config, &self.device, Arc::clone(&self.metrics), StoreId(1));
        self.reader = Arc::new(reader);
    }

    async fn roll_if_none(&mut self, arrival: Timestamp) {
        if self.active.is_some() {
            return;
        }
        self.next_segment += 1;
        let (id, base) = (SegmentId(self.next_segment), self.end());
        let path = segment::directory(&self.config.directory);
        let path = path.join(segment::file_name(UID, base, id));
        let file = self.device.files.create(&path).await.unwrap();
        file.write(0, vec![vec![0xaa; 4096].into()]).await.unwrap();
        let state =
            SegmentState::Active { readable_bytes: FIRST_POSITION, index: SparseIndex::new() };
        let state = Mutex::new(state);
        let segment =
            Arc::new(Segment { id, shard: UID, base, path, state, is_foreign: false.into() });
        self.shard.segments.write().unwrap().push(Arc::clone(&segment));
        self.active = Some(Active {
            segment,
            file,
            position: FIRST_POSITION,
            first_arrival: arrival,
            index: SparseIndex::new(),
            header_crcs: Vec::new(),
            batches: 0,
        });
    }
}

impl Active {
    fn add(&mut self, frame: &[u8], header: &batch::Header) {
        let header_crc = batch::header_crc(frame);
        self.index.offer(IndexEntry {
            ordinal_delta: u32::try_from(header.base_ordinal.0 - self.segment.base.0).unwrap(),
            arrival_delta: u32::try_from(header.first_arrival.since(self.first_arrival)).unwrap(),
            position: u32::try_from(self.position).unwrap(),
            header_crc,
        });
        self.header_crcs.extend(header_crc.to_le_bytes());
        self.batches += 1;
        self.position += frame.len() as u64;
    }
}

fn new_shard(first_kept: Ordinal, end: Ordinal, last_arrival: Timestamp) -> Arc<ShardLog> {
    let (index, stream) = (ShardIndex(3), StreamId(1));
    Arc::new(ShardLog::new(UID, index, stream, first_kept, end, last_arrival))
}
