//! Token buckets: what a shard takes and gives in a second, and how often an account may call.
//!
//! All arithmetic is in whole numbers, so nothing drifts: a bucket counts millionths of a token,
//! and a rate of one token a second at `Limits::AWS` adds exactly 1000 of them each millisecond.
//! Time is handed in. A bucket that is full again says nothing a new one would not say, so full
//! buckets are forgotten and the maps stay as small as the traffic of the last seconds.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kinelog_engine::types::{ShardUid, Timestamp};

use crate::limits;

/// Millionths: thousandths of the factor times milliseconds in a second.
const TOKEN: i64 = 1_000_000;
/// A clock that falls back by less than this has two callers out of order; by more, it was set.
const CLOCK_STEP_MS: u64 = 1000;
/// Maps of shard buckets, each behind its own lock.
const STRIPES: usize = 64;
/// A map looks for full buckets to forget when it has grown to this many, then at twice what is
/// left.
const SWEEP_AT_LEAST: usize = 1024;
/// Buckets one map may hold. A map that is larger after a sweep starts anew, all buckets full.
const BUCKETS_MAX: usize = 1 << 17;

/// How strictly the service's rates are enforced: `aws`, `off`, or a factor on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Factor on all rates in thousandths; `None` when nothing is limited.
    thousandths: Option<u32>,
}

impl Limits {
    /// The service's own rates.
    pub const AWS: Self = Self { thousandths: Some(1000) };
    /// No rates and no quotas.
    pub const OFF: Self = Self { thousandths: None };

    /// True when nothing is limited.
    pub const fn is_off(self) -> bool {
        self.thousandths.is_none()
    }
}

/// The text is neither `aws` nor `off` nor a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limits are `aws`, `off`, or a factor from 0.001 to 100000 with up to three decimals")]
pub struct LimitsError;

impl FromStr for Limits {
    type Err = LimitsError;

    fn from_str(text: &str) -> Result<Self, LimitsError> {
        match text {
            "aws" => return Ok(Self::AWS),
            "off" => return Ok(Self::OFF),
            _ => {}
        }
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > 3 {
            return Err(LimitsError);
        }
        let whole: u32 = whole.parse().map_err(|_| LimitsError)?;
        let decimals: u32 = format!("{decimals:0<3}").parse().map_err(|_| LimitsError)?;
        let thousandths = whole.checked_mul(1000).and_then(|w| w.checked_add(decimals));
        match thousandths {
            Some(thousandths @ 1..=100_000_000) => Ok(Self { thousandths: Some(thousandths) }),
            _ => Err(LimitsError),
        }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.thousandths {
            None => f.write_str("off"),
            Some(1000) => f.write_str("aws"),
            Some(n) if n % 1000 == 0 => write!(f, "{}", n / 1000),
            Some(n) => write!(f, "{}.{:03}", n / 1000, n % 1000),
        }
    }
}

/// What a bucket is filled with, how fast, and how much it holds; in millionths of a token.
#[derive(Clone, Copy, Debug)]
struct Rate {
    per_ms: i64,
    capacity: i64,
}

impl Rate {
    /// `per_second` tokens at the given factor; holds `capacity` tokens, more when the factor is
    /// above one, and never less than the `least` a single request can ask for.
    fn new(per_second: u64, capacity: u64, least: u64, thousandths: u32) -> Self {
        let scaled = |tokens: u64| whole(tokens).saturating_mul(i64::from(thousandths));
        Self {
            per_ms: scaled(per_second),
            capacity: scaled(capacity).saturating_mul(1000).max(whole(least).saturating_mul(TOKEN)),
        }
    }
}

/// Tokens as a signed number.
fn whole(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// One bucket. Only `overdraw`, and the key of a record that fills the tank, make its level negative.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: i64,
    filled_at: Timestamp,
}

impl Bucket {
    const fn full(rate: Rate, now: Timestamp) -> Self {
        Self { level: rate.capacity, filled_at: now }
    }

    fn refill(&mut self, rate: Rate, now: Timestamp) {
        if now < self.filled_at && self.filled_at.since(now) < CLOCK_STEP_MS {
            return;
        }
        let elapsed_ms = whole(now.since(self.filled_at));
        let gained = elapsed_ms.saturating_mul(rate.per_ms);
        self.level = self.level.saturating_add(gained).min(rate.capacity);
        self.filled_at = now;
    }

    const fn is_full(&self, rate: Rate) -> bool {
        self.level >= rate.capacity
    }

    fn holds(&self, tokens: u64) -> bool {
        self.level >= whole(tokens).saturating_mul(TOKEN)
    }

    fn take(&mut self, tokens: u64) {
        self.level -= whole(tokens).saturating_mul(TOKEN);
    }

    /// Takes more than there is: credit is forfeited and the whole debit must be earned again, so
    /// that 10 MiB at 2 MiB/s block for exactly 5 s whatever was left before.
    fn overdraw(&mut self, tokens: u64) {
        let debit = whole(tokens).saturating_mul(TOKEN);
        self.level =
            if debit > self.level { self.level.min(0) } else { self.level }.saturating_sub(debit);
    }
}

/// The rates of one shard in force.
#[derive(Clone, Copy, Debug)]
struct ShardRates {
    write_bytes: Rate,
    write_records: Rate,
    read_bytes: Rate,
    read_calls: Rate,
    iterator_calls: Rate,
}

impl ShardRates {
    fn new(thousandths: u32) -> Self {
        let even = |per_second| Rate::new(per_second, per_second, 1, thousandths);
        Self {
            write_bytes: Rate::new(
                limits::WRITE_BYTES_PER_SECOND,
                limits::WRITE_BYTES_TANK,
                limits::WRITE_BYTES_TANK,
                thousandths,
            ),
            write_records: even(limits::WRITE_RECORDS_PER_SECOND),
            read_bytes: even(limits::READ_BYTES_PER_SECOND),
            read_calls: even(limits::READ_CALLS_PER_SECOND),
            iterator_calls: even(limits::ITERATOR_CALLS_PER_SECOND),
        }
    }
}

/// The buckets of one shard.
#[derive(Clone, Copy, Debug)]
struct ShardBuckets {
    write_bytes: Bucket,
    write_records: Bucket,
    read_bytes: Bucket,
    read_calls: Bucket,
    iterator_calls: Bucket,
}

impl ShardBuckets {
    const fn full(rates: &ShardRates, now: Timestamp) -> Self {
        Self {
            write_bytes: Bucket::full(rates.write_bytes, now),
            write_records: Bucket::full(rates.write_records, now),
            read_bytes: Bucket::full(rates.read_bytes, now),
            read_calls: Bucket::full(rates.read_calls, now),
            iterator_calls: Bucket::full(rates.iterator_calls, now),
        }
    }

    fn refill(&mut self, rates: &ShardRates, now: Timestamp) {
        self.write_bytes.refill(rates.write_bytes, now);
        self.write_records.refill(rates.write_records, now);
        self.read_bytes.refill(rates.read_bytes, now);
        self.read_calls.refill(rates.read_calls, now);
        self.iterator_calls.refill(rates.iterator_calls, now);
    }

    const fn is_full(&self, rates: &ShardRates) -> bool {
        self.write_bytes.is_full(rates.write_bytes)
            && self.write_records.is_full(rates.write_records)
            && self.read_bytes.is_full(rates.read_bytes)
            && self.read_calls.is_full(rates.read_calls)
            && self.iterator_calls.is_full(rates.iterator_calls)
    }
}

/// Buckets by key, without those that are full.
#[derive(Debug)]
struct Buckets<K, B> {
    map: HashMap<K, B>,
    sweep_at: usize,
}

impl<K, B> Default for Buckets<K, B> {
    fn default() -> Self {
        Self { map: HashMap::new(), sweep_at: SWEEP_AT_LEAST }
    }
}

impl<K: Hash + Eq, B> Buckets<K, B> {
    /// The bucket of `key`. `forget` says of a bucket that it is full.
    fn of(
        &mut self,
        key: K,
        full: impl FnOnce() -> B,
        mut forget: impl FnMut(&mut B) -> bool,
    ) -> &mut B {
        if self.map.len() >= self.sweep_at {
            self.map.retain(|_, bucket| !forget(bucket));
            if self.map.len() >= BUCKETS_MAX {
                self.map.clear();
            }
            self.sweep_at = (self.map.len() * 2).max(SWEEP_AT_LEAST);
        }
        self.map.entry(key).or_insert_with(full)
    }
}

/// Who calls what: the operation, and the account and region or the stream that is limited.
type CallKey = (&'static str, String);

/// What one consumer may still be sent of one shard.
#[derive(Debug)]
pub struct PushCredit {
    /// `None` when nothing is limited.
    rate: Option<Rate>,
    bucket: Mutex<Bucket>,
}

impl PushCredit {
    /// Milliseconds until records may be sent; as many as make one event, on credit.
    pub fn wait_ms(&self, now: Timestamp) -> u64 {
        let Some(rate) = self.rate else { return 0 };
        let level = self.filled(rate, now).level;
        if level > 0 { 0 } else { (level.unsigned_abs() / rate.per_ms.unsigned_abs().max(1)) + 1 }
    }

    /// Debits `bytes` sent; no more are sent until they are earned.
    pub fn charge(&self, now: Timestamp, bytes: usize) {
        if let Some(rate) = self.rate {
            self.filled(rate, now).take(bytes as u64);
        }
    }

    fn filled(&self, rate: Rate, now: Timestamp) -> MutexGuard<'_, Bucket> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.refill(rate, now);
        bucket
    }
}

/// All buckets of the server.
#[derive(Debug)]
pub struct Throttle {
    limits: Limits,
    rates: ShardRates,
    shards: Vec<Mutex<Buckets<ShardUid, ShardBuckets>>>,
    calls: Mutex<Buckets<CallKey, (Bucket, Rate)>>,
    pushes: Mutex<Buckets<String, Arc<PushCredit>>>,
    refused_records: AtomicU64,
    refused_reads: AtomicU64,
    refused_calls: AtomicU64,
}

impl Throttle {
    /// All buckets full.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            rates: ShardRates::new(limits.thousandths.unwrap_or(1000)),
            shards: (0..STRIPES).map(|_| Mutex::default()).collect(),
            calls: Mutex::default(),
            pushes: Mutex::default(),
            refused_records: AtomicU64::new(0),
            refused_reads: AtomicU64::new(0),
            refused_calls: AtomicU64::new(0),
        }
    }

    /// How much was refused so far: records, calls that read a shard, and all other calls.
    pub fn refused(&self) -> [(&'static str, u64); 3] {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("throttled_records", count(&self.refused_records)),
            ("throttled_reads", count(&self.refused_reads)),
            ("throttled_calls", count(&self.refused_calls)),
        ]
    }

    /// Decides for records of `bytes` each (data and partition key), in order, whether the shard
    /// takes them, and tells `decide` for each. A smaller record may pass after one that did not.
    pub fn admit_writes(
        &self,
        shard: ShardUid,
        now: Timestamp,
        bytes: impl Iterator<Item = usize>,
        mut decide: impl FnMut(bool),
    ) {
        if self.limits.is_off() {
            bytes.for_each(|_| decide(true));
            return;
        }
        self.with_shard(shard, now, |buckets| {
            for bytes in bytes {
                let bytes = bytes as u64;
                // The key of a largest record comes on top of a full tank, and is owed.
                let needed = bytes.min(limits::WRITE_BYTES_TANK);
                let admitted = buckets.write_records.holds(1) && buckets.write_bytes.holds(needed);
                if admitted {
                    buckets.write_records.take(1);
                    buckets.write_bytes.take(bytes);
                }
                counted(admitted, &self.refused_records);
                decide(admitted);
            }
        });
    }

    /// True when the shard answers one more `GetRecords` now. What it then gives is told by
    /// `charge_read`.
    pub fn admit_read(&self, shard: ShardUid, now: Timestamp) -> bool {
        self.limits.is_off()
            || self.with_shard(shard, now, |buckets| {
                let admitted = buckets.read_bytes.holds(0) && buckets.read_calls.holds(1);
                if admitted {
                    buckets.read_calls.take(1);
                }
                counted(admitted, &self.refused_reads)
            })
    }

    /// Debits `bytes` read from the shard; calls are refused until they are earned again.
    pub fn charge_read(&self, shard: ShardUid, now: Timestamp, bytes: usize) {
        if !self.limits.is_off() {
            self.with_shard(shard, now, |buckets| buckets.read_bytes.overdraw(bytes as u64));
        }
    }

    /// True when the shard answers one more `GetShardIterator` now.
    pub fn admit_iterator(&self, shard: ShardUid, now: Timestamp) -> bool {
        self.limits.is_off()
            || self.with_shard(shard, now, |buckets| {
                let admitted = buckets.iterator_calls.holds(1);
                if admitted {
                    buckets.iterator_calls.take(1);
                }
                counted(admitted, &self.refused_calls)
            })
    }

    /// True when `operation` may be called once more for `scope` (an account and region, or a
    /// stream), which may do so `per_second` times a second.
    pub fn admit_call(
        &self,
        operation: &'static str,
        scope: &str,
        per_second: u64,
        now: Timestamp,
    ) -> bool {
        let Some(thousandths) = self.limits.thousandths else { return true };
        let rate = Rate::new(per_second, per_second, 1, thousandths);
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let (bucket, _) = calls.of(
            (operation, scope.to_owned()),
            || (Bucket::full(rate, now), rate),
            |(bucket, rate)| {
                bucket.refill(*rate, now);
                bucket.is_full(*rate)
            },
        );
        bucket.refill(rate, now);
        let admitted = bucket.holds(1);
        if admitted {
            bucket.take(1);
        }
        counted(admitted, &self.refused_calls)
    }

    /// The credit of `scope`, a consumer and a shard: the same one for as long as it is used or not
    /// yet full again.
    pub fn push_credit(&self, scope: String, now: Timestamp) -> Arc<PushCredit> {
        let per_second = limits::PUSH_BYTES_PER_SECOND;
        let new = |thousandths| Rate::new(per_second, per_second, 1, thousandths);
        let rate = self.limits.thousandths.map(new);
        let mut pushes = self.pushes.lock().unwrap_or_else(PoisonError::into_inner);
        let full = || {
            let bucket =
                rate.map_or(Bucket { level: 0, filled_at: now }, |it| Bucket::full(it, now));
            Arc::new(PushCredit { rate, bucket: Mutex::new(bucket) })
        };
        let is_full = |credit: &mut Arc<PushCredit>| {
            let is_full = |rate| credit.filled(rate, now).is_full(rate);
            Arc::strong_count(credit) == 1 && credit.rate.is_none_or(is_full)
        };
        Arc::clone(pushes.of(scope, full, is_full))
    }

    fn with_shard<T>(
        &self,
        shard: ShardUid,
        now: Timestamp,
        work: impl FnOnce(&mut ShardBuckets) -> T,
    ) -> T {
        let stripe = &self.shards[usize::try_from(shard.0 % STRIPES as u64).unwrap_or(0)];
        let mut buckets = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = buckets.of(
            shard,
            || ShardBuckets::full(&self.rates, now),
            |buckets| {
                buckets.refill(&self.rates, now);
                buckets.is_full(&self.rates)
            },
        );
        buckets.refill(&self.rates, now);
        work(buckets)
    }
}

/// Passes a decision on; counts it when it is a refusal.
fn counted(admitted: bool, refused: &AtomicU64) -> bool {
    if !admitted {
        refused.fetch_add(1, Ordering::Relaxed);
    }
    admitted
}
