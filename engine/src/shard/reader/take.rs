//! What one read has gathered so far, and when it has enough.

use bytes::Bytes;

use crate::bugs::{self, Bug};
use crate::format::batch::Batch;
use crate::types::{Marks, Ordinal, ReadLimit, ReadResult, StoredRecord, Timestamp};

/// The state of one read.
pub(super) struct Take {
    /// The record due next.
    pub(super) next: Ordinal,
    /// Nothing at or past this position is returned.
    pub(super) end: Ordinal,
    horizon: Timestamp,
    limit: ReadLimit,
    records: Vec<StoredRecord>,
    bytes: usize,
    next_arrival: Option<Timestamp>,
    is_finished: bool,
    /// The maps it was given bytes of.
    pub(super) marks: Marks,
}

/// What a batch did to the read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Go on: with the next batch, or to the end if the read has enough.
    Records,
    /// All records of the batch have expired.
    Expired,
    /// The record due, and those up to this one, are damaged.
    Damaged(Ordinal),
}

impl Take {
    /// A read from `next` on, of records before `end` that arrived at or after `horizon`.
    pub(super) fn new(next: Ordinal, end: Ordinal, horizon: Timestamp, limit: ReadLimit) -> Self {
        Self {
            next,
            end,
            horizon,
            limit,
            records: Vec::new(),
            bytes: 0,
            next_arrival: None,
            is_finished: false,
            marks: Marks::default(),
        }
    }

    /// True when nothing more is wanted.
    pub(super) fn is_done(&self) -> bool {
        self.is_finished || self.next >= self.end
    }

    /// True while nothing has been gathered.
    pub(super) const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Records that still fit.
    pub(super) fn records_left(&self) -> usize {
        self.limit.records.max(1).saturating_sub(self.records.len())
    }

    /// Bytes that still fit.
    pub(super) const fn bytes_left(&self) -> usize {
        self.limit.bytes.saturating_sub(self.bytes)
    }

    /// Goes on at `next`, which is further on; only before the first record.
    pub(super) fn jump(&mut self, next: Ordinal) {
        assert!(self.records.is_empty() && next >= self.next, "a read only goes forward");
        self.next = next.min(self.end);
    }

    /// Ends the read at the end: nothing that can be read follows.
    pub(super) fn skip_to_end(&mut self) {
        self.next = self.end;
    }

    /// Ends the read before something that cannot be read; the arrival of the record due is not
    /// known then, so that of the last record stands for it.
    pub(super) fn finish(&mut self) {
        self.next_arrival = self.records.last().map(|record| record.arrival);
        self.is_finished = true;
    }

    /// Takes records of `batch`, which holds the record due. `is_verified`: their checksums have
    /// been compared before.
    pub(super) fn batch(&mut self, batch: &Batch, is_verified: bool) -> Taken {
        let base = batch.header.base_ordinal;
        if self.is_empty() && batch.last_arrival() < self.horizon {
            return Taken::Expired;
        }
        if self.is_empty() && batch.header.first_arrival < self.horizon {
            self.next = self.next.max(base.plus(u64::from(batch.first_at(self.horizon))));
        }
        let is_verified = is_verified || bugs::is_on(Bug::RecordUnchecked);
        let stop = self.end.min(batch.end());
        while self.next < stop {
            let i = u32::try_from(self.next.0 - base.0).expect("a batch counts records in 32 bits");
            let arrival = batch.arrival(i);
            if self.records_left() == 0 {
                self.finish_before(arrival);
                break;
            }
            let record = if is_verified { batch.record_unchecked(i) } else { batch.record(i) };
            let Ok(record) = record else {
                if self.is_empty() {
                    return Taken::Damaged(last_damaged(batch, i));
                }
                self.finish_before(arrival);
                break;
            };
            let record = record.record;
            let bytes = record.data.len() + record.partition_key.as_ref().map_or(0, Bytes::len);
            let bytes = self.bytes.saturating_add(bytes);
            if !self.is_empty() && bytes > self.limit.bytes {
                self.finish_before(arrival);
                break;
            }
            self.bytes = bytes;
            self.records.push(StoredRecord {
                ordinal: self.next,
                arrival,
                partition_key: record.partition_key,
                data: record.data,
                encrypted: record.encrypted,
            });
            self.next = self.next.plus(1);
        }
        Taken::Records
    }

    const fn finish_before(&mut self, next_arrival: Timestamp) {
        self.next_arrival = Some(next_arrival);
        self.is_finished = true;
    }

    /// The answer. `is_closed`: no record follows `end`.
    pub(super) fn into_result(self, is_closed: bool) -> ReadResult {
        ReadResult {
            records: self.records,
            next: self.next,
            next_arrival: self.next_arrival,
            at_end: is_closed && self.next >= self.end,
            marks: self.marks,
        }
    }
}

/// The last of the damaged records that follow each other from record `i` on.
fn last_damaged(batch: &Batch, i: u32) -> Ordinal {
    let damaged = batch.damaged();
    let run = damaged.iter().skip_while(|d| **d < i).zip(i..).take_while(|(d, due)| *d == due);
    batch.header.base_ordinal.plus(u64::from(run.last().map_or(i, |(last, _)| *last)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::batch::{self, HEADER_BYTES, Plan, TABLE_ENTRY_BYTES};
    use crate::format::record::{self, RecordRef};
    use crate::types::{Epoch, SegmentId, ShardUid};

    const ALL: ReadLimit = ReadLimit { records: 100, bytes: 1000 };

    /// Records 10, 11 and on, which arrived that long after 1000.
    fn batch(arrivals: &[u32]) -> Batch {
        let (mut stored, mut entries) = (Vec::new(), Vec::new());
        for _ in arrivals {
            let record = RecordRef {
                partition_key: None,
                explicit_hash_key: None,
                data: b"data",
                encrypted: false,
            };
            entries.push(record::encode(&record, &mut stored));
        }
        let mut bytes = vec![0; batch::frame_bytes(entries.len(), stored.len())];
        let plan = Plan {
            base_ordinal: Ordinal(10),
            arrival: Timestamp(1000),
            epoch: Epoch(1),
            log_position: 0,
            shard: ShardUid(1),
            salt: batch::salt(SegmentId(1), 0),
        };
        let runs = [(&entries[..], &stored[..])].into_iter();
        let mut header = batch::encode(&plan, runs, &mut bytes);
        for (i, arrival) in arrivals.iter().enumerate() {
            let at = HEADER_BYTES + i * TABLE_ENTRY_BYTES + 4;
            bytes[at..at + 4].copy_from_slice(&arrival.to_le_bytes());
        }
        header.last_arrival_delta = *arrivals.last().unwrap();
        Batch::trusted(header, bytes.into())
    }

    #[test]
    fn records_of_a_batch_expire_one_by_one() {
        let batch = batch(&[0, 5, 5, 9]);
        for (horizon, first) in [(999, 10), (1000, 10), (1001, 11), (1005, 11), (1009, 13)] {
            let mut take = Take::new(Ordinal(10), Ordinal(99), Timestamp(horizon), ALL);
            assert_eq!(take.batch(&batch, true), Taken::Records);
            assert_eq!(take.records[0].ordinal, Ordinal(first));
            assert_eq!((take.next, take.next_arrival), (Ordinal(14), None));
        }
        let mut take = Take::new(Ordinal(10), Ordinal(99), Timestamp(1010), ALL);
        assert_eq!(take.batch(&batch, true), Taken::Expired);
    }

    #[test]
    fn the_arrival_of_the_record_due_is_told_when_the_read_ends_inside_a_batch() {
        let limit = ReadLimit { records: 2, ..ALL };
        let mut take = Take::new(Ordinal(11), Ordinal(99), Timestamp(0), limit);
        assert_eq!(take.batch(&batch(&[0, 5, 5, 9]), true), Taken::Records);
        assert!(take.is_done());
        assert_eq!((take.next, take.next_arrival), (Ordinal(13), Some(Timestamp(1009))));
    }
}
