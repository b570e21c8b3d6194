//! Records as the API shows them.

use bytes::Bytes;
use kinelog_engine::types::{SequenceNumber, Shard, StoredRecord};

use crate::aws::Encoding;
use crate::aws::event_stream::Shared;
use crate::aws::sheets::Sheets;
use crate::aws::writer::Writer;

/// Bytes of a record's data and partition key: what limits and counters count.
pub(super) fn payload_bytes(record: &StoredRecord) -> usize {
    record.data.len() + record.partition_key.as_ref().map_or(0, Bytes::len)
}

/// About how long a list of them gets.
pub(super) fn encoded_bytes(encoding: Encoding, records: &[StoredRecord]) -> usize {
    let payload: usize = records.iter().map(payload_bytes).sum();
    let payload = match encoding {
        Encoding::Json => payload.div_ceil(3) * 4,
        Encoding::Cbor => payload,
    };
    payload + 224 * records.len() + 16
}

/// Writes records of `shard` as a list.
pub(super) fn write_list(sheets: &mut Sheets, shard: &Shard, records: &[StoredRecord]) {
    sheets.writer(16).begin_list();
    for record in records {
        let bytes = encoded_bytes(sheets.encoding(), std::slice::from_ref(record));
        write_record(sheets.writer(bytes), shard, record);
    }
    sheets.writer(16).end_list();
}

/// The same list as a part of messages.
pub(super) fn encode_shared(encoding: Encoding, shard: &Shard, records: &[StoredRecord]) -> Shared {
    let mut writer = Writer::new(encoding, encoded_bytes(encoding, records));
    writer.begin_list();
    for record in records {
        write_record(&mut writer, shard, record);
    }
    writer.end_list();
    Shared::new(writer.finish())
}

fn write_record(writer: &mut Writer, shard: &Shard, record: &StoredRecord) {
    let number = SequenceNumber::of_record(
        shard.created_seconds,
        shard.index,
        record.ordinal,
        record.arrival,
    );
    writer.begin_map();
    writer.key("SequenceNumber");
    writer.ascii(&number.digits());
    writer.key("ApproximateArrivalTimestamp");
    writer.timestamp(record.arrival.0);
    writer.key("Data");
    writer.blob(&record.data);
    if let Some(key) = &record.partition_key {
        writer.key("PartitionKey");
        writer.text(&String::from_utf8_lossy(key));
    }
    if record.encrypted {
        writer.key("EncryptionType");
        writer.text("KMS");
    }
    writer.end_map();
}
