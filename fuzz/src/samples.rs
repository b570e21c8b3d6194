//! Sound values the seeds are made of.

use kinelog_engine::format::record::{self, RecordRef};
use kinelog_engine::format::{batch, group};
use kinelog_engine::types::{Epoch, Ordinal, RecordEntry, SegmentId, ShardUid, StoreId, Timestamp};

pub(crate) const STORE: StoreId = StoreId(0x00aa_bb11_22cc_dd33_44ee_ff55_6677_8899);
pub(crate) const SEGMENT: SegmentId = SegmentId(17);
pub(crate) const OFFSET: u64 = 4096;

/// Records of all shapes, the last one with `data_bytes` of data.
pub(crate) fn records(data_bytes: usize) -> Vec<(RecordEntry, Vec<u8>)> {
    let plain = RecordRef {
        partition_key: Some(b"key"),
        explicit_hash_key: None,
        data: b"some data",
        encrypted: false,
    };
    let long = vec![0x61; data_bytes];
    let shapes = [
        plain,
        RecordRef { partition_key: None, explicit_hash_key: Some(7), ..plain },
        RecordRef { partition_key: Some(b""), data: b"", encrypted: true, ..plain },
        RecordRef { data: &long, ..plain },
    ];
    let encode = |record| {
        let mut out = Vec::new();
        (record::encode(record, &mut out), out)
    };
    shapes.iter().map(encode).collect()
}

/// A batch of `records` for this place.
pub(crate) fn batch(
    records: &[(RecordEntry, Vec<u8>)],
    segment: SegmentId,
    offset: u64,
) -> Vec<u8> {
    let stored = records.iter().map(|(_, bytes)| bytes.len()).sum();
    let plan = batch::Plan {
        base_ordinal: Ordinal(5),
        arrival: Timestamp(1_700_000_000_000),
        epoch: Epoch(1),
        log_position: 8192,
        shard: ShardUid(3),
        salt: batch::salt(segment, offset),
    };
    let mut out = vec![0; batch::frame_bytes(records.len(), stored)];
    let runs = records.iter().map(|(entry, bytes)| (std::slice::from_ref(entry), &bytes[..]));
    batch::encode(&plan, runs, &mut out);
    out
}

/// A group of one batch for each of `data_bytes`.
pub(crate) fn group(
    header: &group::Header,
    sequence: u64,
    offset: u64,
    data_bytes: &[usize],
) -> (group::Header, Vec<u8>) {
    let mut prefixes = Vec::new();
    let mut out = vec![0; group::head_bytes(data_bytes.len())];
    for (i, bytes) in (1..).zip(data_bytes) {
        let batch = batch(&records(*bytes), SegmentId(i), OFFSET);
        out.extend_from_slice(&batch);
        prefixes.push(group::Prefix {
            shard: ShardUid(i),
            segment: SegmentId(i),
            offset: OFFSET,
            bytes: length(&batch),
            first_of_segment: i == 1,
        });
    }
    let payload_bytes = length(&out);
    out.resize(out.len().next_multiple_of(4096), 0);
    let header = group::Header { bytes: length(&out), payload_bytes, ..*header };
    let header = group::seal(&header, &prefixes, group::salt(STORE, sequence, offset), &mut out);
    (header, out)
}

/// Header of the first group of a log.
pub(crate) const FIRST_GROUP: group::Header = group::Header {
    bytes: 0,
    entries: 0,
    number: 1,
    position: 0,
    durable_position: 0,
    previous_crc: 0,
    epoch: Epoch(1),
    payload_bytes: 0,
    crc: 0,
};

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("samples are short")
}
