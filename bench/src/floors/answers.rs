//! Answers a constant server gives: what the measured one would say.

use std::convert::Infallible;

use bytes::Bytes;

use crate::arguments::{Encoding, Load};

/// Of a write that stored everything.
pub(crate) fn put(load: &Load) -> Bytes {
    const SHARD: &str = "shardId-000000000000";
    const SEQUENCE: &str = "49669554613075263284170738169223374761157254194237800450";
    if load.batch == 1 {
        return match load.encoding {
            Encoding::Json => {
                format!(r#"{{"ShardId":"{SHARD}","SequenceNumber":"{SEQUENCE}"}}"#).into()
            }
            Encoding::Cbor => cbor(|out| {
                out.map(2)?.str("ShardId")?.str(SHARD)?.str("SequenceNumber")?.str(SEQUENCE)?;
                Ok(())
            }),
        };
    }
    match load.encoding {
        Encoding::Json => {
            let entry = format!(r#"{{"SequenceNumber":"{SEQUENCE}","ShardId":"{SHARD}"}}"#);
            let entries = vec![entry; load.batch].join(",");
            format!(r#"{{"FailedRecordCount":0,"Records":[{entries}]}}"#).into()
        }
        Encoding::Cbor => cbor(|out| {
            out.map(2)?.str("FailedRecordCount")?.u8(0)?.str("Records")?;
            out.array(load.batch as u64)?;
            for _ in 0..load.batch {
                out.map(2)?.str("SequenceNumber")?.str(SEQUENCE)?.str("ShardId")?.str(SHARD)?;
            }
            Ok(())
        }),
    }
}

/// Of a read of so many records.
pub(crate) fn get(load: &Load, records: usize) -> Bytes {
    let data = vec![0x5a; load.record_bytes];
    match load.encoding {
        Encoding::Json => {
            let data = base64_simd::STANDARD.encode_to_string(&data);
            let record = format!(
                r#"{{"SequenceNumber":"49669554613075263284170738169223374761157254194237800450","ApproximateArrivalTimestamp":1733245678.123,"Data":"{data}","PartitionKey":"key-0123456789abcdef"}}"#
            );
            let records = vec![record; records].join(",");
            format!(
                r#"{{"Records":[{records}],"NextShardIterator":"AAAA","MillisBehindLatest":0}}"#
            )
            .into()
        }
        Encoding::Cbor => cbor(|out| {
            out.map(2)?.str("Records")?.array(records as u64)?;
            for _ in 0..records {
                out.map(3)?.str("SequenceNumber")?.str("0123456789")?;
                out.str("Data")?.bytes(&data)?.str("PartitionKey")?.str("key-0123456789abcdef")?;
            }
            out.str("NextShardIterator")?.str("AAAA")?;
            Ok(())
        }),
    }
}

type CborResult = Result<(), minicbor::encode::Error<Infallible>>;

fn cbor(write: impl FnOnce(&mut minicbor::Encoder<Vec<u8>>) -> CborResult) -> Bytes {
    let mut out = minicbor::Encoder::new(Vec::new());
    write(&mut out).expect("writing to memory does not fail");
    out.into_writer().into()
}
