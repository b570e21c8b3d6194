//! What the shards of on-demand streams have taken since it was last asked for. A write costs a
//! short lock for each shard it goes to, shared with few other shards.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use kinelog_engine::types::ShardUid;

/// Maps of counters, each behind its own lock.
const STRIPES: usize = 64;

/// What a shard carries in a second, in thousandths of its share of a stream's capacity.
///
/// Source: Kinesis Data Streams Developer Guide, on-demand mode: 4 shards take 4 MB/s or 4,000
/// records a second.
const BYTES_IN_A_THOUSANDTH: u64 = 1000;

/// Counters by shard.
#[derive(Debug)]
pub(in super::super) struct Loads {
    stripes: Vec<Mutex<HashMap<ShardUid, Taken>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    records: u64,
    bytes: u64,
}

impl Default for Loads {
    fn default() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::default()).collect() }
    }
}

impl Loads {
    /// Counts records stored in a shard, and the bytes of their data and partition keys.
    pub(in super::super) fn add(&self, shard: ShardUid, records: usize, bytes: usize) {
        let stripe = &self.stripes[usize::try_from(shard.0 % STRIPES as u64).unwrap_or(0)];
        let mut shards = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = shards.entry(shard).or_default();
        taken.records += records as u64;
        taken.bytes += bytes as u64;
    }

    /// The load of each shard that has taken anything since the last call, `elapsed_ms` ago:
    /// thousandths of what a shard carries in bytes or in records, whichever is more.
    pub(in super::super) fn take(&self, elapsed_ms: u64) -> HashMap<ShardUid, u64> {
        let take = |stripe: &Mutex<HashMap<ShardUid, Taken>>| {
            std::mem::take(&mut *stripe.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let taken = self.stripes.iter().flat_map(take);
        taken.map(|(shard, taken)| (shard, taken.load(elapsed_ms))).collect()
    }
}

impl Taken {
    fn load(self, elapsed_ms: u64) -> u64 {
        let a_second = |count: u64| count.saturating_mul(1000).div_ceil(elapsed_ms.max(1));
        a_second(self.records).max(a_second(self.bytes).div_ceil(BYTES_IN_A_THOUSANDTH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_the_larger_of_records_and_bytes() {
        let loads = Loads::default();
        loads.add(ShardUid(1), 300, 0);
        loads.add(ShardUid(1), 200, 100_000);
        loads.add(ShardUid(65), 1, 1_000_001);
        loads.add(ShardUid(3), 0, 0);
        let expected = [(ShardUid(1), 500), (ShardUid(65), 1001), (ShardUid(3), 0)];
        assert_eq!(loads.take(1000), HashMap::from(expected));
        assert!(loads.take(1000).is_empty());
        loads.add(ShardUid(1), 600, 0);
        assert_eq!(loads.take(60_000), HashMap::from([(ShardUid(1), 10)]));
        loads.add(ShardUid(1), 1, u64::MAX.try_into().unwrap());
        assert_eq!(loads.take(0).len(), 1, "no arithmetic overflows");
    }
}
