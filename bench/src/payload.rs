//! Request bodies, made before the clock starts, and the comparison of what is read with them.
//!
//! A record's payload starts with the number of its body and of its place in it (two u32,
//! little-endian), so that a reader finds the original and compares every byte.

use bytes::Bytes;
use kinelog::aws::sigv4::signing;

use crate::arguments::{Encoding, Load};

/// Distinct bodies; calls take them in turn.
const BODIES: usize = 64;
/// Bytes of a record that name it.
const HEAD_BYTES: usize = 8;
/// Bytes of all bodies together, about; large bodies mean fewer of them.
const BODIES_BYTES_MAX: usize = 64 << 20;

/// One body ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) hash: [u8; 32],
}

/// All bodies of a load.
pub(crate) struct Payloads {
    pub(crate) bodies: Vec<Body>,
    pub(crate) batch: usize,
    pub(crate) record_bytes: usize,
    records: Vec<Vec<u8>>,
}

impl Payloads {
    /// Bodies for these streams, each as often as any other.
    pub(crate) fn new(load: &Load, streams: &[String]) -> Self {
        let record_bytes = load.record_bytes.max(HEAD_BYTES);
        let fitting = (BODIES_BYTES_MAX / (record_bytes * load.batch)).clamp(4, BODIES);
        let count = fitting.next_multiple_of(streams.len().max(1));
        let mut random = fastrand::Rng::with_seed(0x6b69_6e65);
        let mut records = Vec::new();
        let mut bodies = Vec::new();
        for (body, stream) in (0..count).zip(streams.iter().cycle()) {
            let first = records.len();
            for place in 0..load.batch {
                records.push(record(body, place, record_bytes, &mut random));
            }
            let keys: Vec<_> =
                (0..load.batch).map(|_| format!("key-{:016x}", random.u64(..))).collect();
            let bytes = match load.encoding {
                Encoding::Json => json(stream, &keys, &records[first..]),
                Encoding::Cbor => cbor(stream, &keys, &records[first..]),
            };
            bodies.push(Body { hash: signing::hash(&bytes), bytes: bytes.into() });
        }
        Self { bodies, batch: load.batch, record_bytes, records }
    }

    /// The records of each body, for stores that take them raw.
    pub(crate) fn records(&self) -> std::slice::Chunks<'_, Vec<u8>> {
        self.records.chunks(self.batch)
    }

    pub(crate) const fn target(&self) -> &'static str {
        if self.batch == 1 { "Kinesis_20131202.PutRecord" } else { "Kinesis_20131202.PutRecords" }
    }

    /// True when `data` is, byte for byte, a record of this load.
    pub(crate) fn is_ours(&self, data: &[u8]) -> bool {
        let Some((head, _)) = data.split_first_chunk::<8>() else { return false };
        let body = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let place = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        place < self.batch
            && self.records.get(body * self.batch + place).is_some_and(|record| record == data)
    }
}

fn record(body: usize, place: usize, bytes: usize, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut record = Vec::with_capacity(bytes);
    for number in [body, place] {
        let number = u32::try_from(number).expect("bodies and places are few");
        record.extend_from_slice(&number.to_le_bytes());
    }
    let head = record.len();
    record.resize(bytes, 0);
    random.fill(&mut record[head..]);
    record
}

fn json(stream: &str, keys: &[String], records: &[Vec<u8>]) -> Vec<u8> {
    let entry = |key: &String, record: &Vec<u8>| {
        let data = base64_simd::STANDARD.encode_to_string(record);
        format!(r#""Data":"{data}","PartitionKey":"{key}""#)
    };
    if let ([key], [record]) = (keys, records) {
        return format!(r#"{{"StreamName":"{stream}",{}}}"#, entry(key, record)).into_bytes();
    }
    let entries: Vec<_> = keys
        .iter()
        .zip(records)
        .map(|(key, record)| format!("{{{}}}", entry(key, record)))
        .collect();
    format!(r#"{{"StreamName":"{stream}","Records":[{}]}}"#, entries.join(",")).into_bytes()
}

fn cbor(stream: &str, keys: &[String], records: &[Vec<u8>]) -> Vec<u8> {
    let mut out = minicbor::Encoder::new(Vec::new());
    let written = write_cbor(&mut out, stream, keys, records);
    written.expect("writing to memory does not fail");
    out.into_writer()
}

type CborOut = minicbor::Encoder<Vec<u8>>;
type CborError = minicbor::encode::Error<std::convert::Infallible>;

fn write_cbor(
    out: &mut CborOut,
    stream: &str,
    keys: &[String],
    records: &[Vec<u8>],
) -> Result<(), CborError> {
    out.begin_map()?.str("StreamName")?.str(stream)?;
    if let ([key], [record]) = (keys, records) {
        out.str("Data")?.bytes(record)?.str("PartitionKey")?.str(key)?.end()?;
        return Ok(());
    }
    out.str("Records")?.begin_array()?;
    for (key, record) in keys.iter().zip(records) {
        out.begin_map()?.str("Data")?.bytes(record)?.str("PartitionKey")?.str(key)?.end()?;
    }
    out.end()?.end()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        Load { batch: 3, record_bytes: 20, ..Load::default() }
    }

    #[test]
    fn a_record_is_known_again_and_a_changed_one_is_not() {
        let payloads = Payloads::new(&load(), &["a".to_owned()]);
        let mut record = payloads.records().nth(2).unwrap()[1].clone();
        assert!(payloads.is_ours(&record));
        record[19] ^= 1;
        assert!(!payloads.is_ours(&record));
        assert!(!payloads.is_ours(b"short"));
    }

    #[test]
    fn every_stream_has_its_share_of_the_bodies() {
        let streams: Vec<_> = (0..100).map(|n| format!("stream-{n:03}")).collect();
        let payloads = Payloads::new(&load(), &streams);
        for stream in &streams {
            let name = format!("\"{stream}\"");
            let hits = payloads
                .bodies
                .iter()
                .filter(|body| memchr::memmem::find(&body.bytes, name.as_bytes()).is_some());
            assert_eq!(hits.count() * streams.len(), payloads.bodies.len());
        }
    }
}
