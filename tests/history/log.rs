//! The log of each shard as all readers and producers together have seen it, and what is wrong with
//! it whoever reads.

use std::collections::{BTreeMap, HashMap};

use super::{Content, Fate, History, Moment, Number, ShardId, Step, Violation};

/// A record that was read or acknowledged.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: Number,
    /// Time of arrival and content as read first; `None` where nobody has read it.
    pub(super) seen: Option<(u64, Content)>,
    /// When the first answer that held it came.
    pub(super) first_read: Moment,
    /// The attempt that was answered with this number.
    pub(super) acknowledged: Option<usize>,
    /// The attempt that sent what was read here, for the first time.
    pub(super) sent_by: Option<usize>,
}

impl Entry {
    /// From when on every reader has to be given it.
    pub(super) fn known(&self, history: &History) -> Moment {
        let answered = self.acknowledged.and_then(|it| answered(history, it));
        answered.map_or(self.first_read, |at| at.min(self.first_read))
    }
}

/// When an attempt was answered with success.
pub(super) fn answered(history: &History, attempt: usize) -> Option<Moment> {
    match history.attempts[attempt].fate {
        Fate::Stored { at, .. } => Some(at),
        Fate::Refused { .. } | Fate::Unknown => None,
    }
}

/// All entries of all shards, by number.
pub(super) type Logs = BTreeMap<ShardId, Vec<Entry>>;

/// Lays all reads and answers on top of each other.
pub(super) fn build(history: &History, found: &mut Vec<Violation>) -> Logs {
    let mut logs = Logs::new();
    for walk in &history.walks {
        let log = logs.entry(walk.shard).or_default();
        for Step { answered, records, .. } in &walk.steps {
            log.extend(records.iter().map(|record| Entry {
                number: record.number,
                seen: Some((record.arrival_ms, record.content.clone())),
                first_read: *answered,
                acknowledged: None,
                sent_by: None,
            }));
        }
    }
    for (attempt, it) in history.attempts.iter().enumerate() {
        if let Fate::Stored { shard, number, .. } = it.fate {
            logs.entry(shard).or_default().push(Entry {
                number,
                seen: None,
                first_read: Moment::MAX,
                acknowledged: Some(attempt),
                sent_by: None,
            });
        }
    }
    for (&shard, log) in &mut logs {
        // Every walk is in order already, which this sort makes use of.
        log.sort_by_key(|entry| entry.number);
        log.dedup_by(|next, kept| {
            let is_same = next.number == kept.number;
            if is_same {
                merge(shard, next, kept, found);
            }
            is_same
        });
    }
    attribute(history, &mut logs, found);
    logs
}

/// Adds what `next` knows to `kept`, of the same number.
fn merge(shard: ShardId, next: &mut Entry, kept: &mut Entry, found: &mut Vec<Violation>) {
    let number = kept.number;
    match (&kept.seen, next.seen.take()) {
        (Some(before), Some(now)) if *before != now => {
            found.push(Violation::ReadsDiffer { shard, number });
        }
        (None, now) => kept.seen = now,
        (Some(_), _) => {}
    }
    kept.first_read = kept.first_read.min(next.first_read);
    if kept.acknowledged.is_some() && next.acknowledged.is_some() {
        found.push(Violation::NumberGivenTwice { shard, number });
    }
    kept.acknowledged = kept.acknowledged.or(next.acknowledged);
}

/// Finds who sent what was read, and what is there that nobody sent, or twice.
fn attribute(history: &History, logs: &mut Logs, found: &mut Vec<Violation>) {
    let mut senders = HashMap::with_capacity(history.attempts.len());
    for (second, attempt) in history.attempts.iter().enumerate() {
        if let Some(first) = senders.insert(&attempt.content, second) {
            found.push(Violation::SameContent { first, second });
        }
    }
    let mut places: Vec<Option<(ShardId, Number)>> = vec![None; history.attempts.len()];
    let mut is_twice = vec![false; history.attempts.len()];
    for (&shard, log) in logs.iter_mut() {
        for entry in log.iter_mut() {
            let number = entry.number;
            let Some((_, content)) = &entry.seen else { continue };
            let Some(&sender) = senders.get(content) else {
                found.push(if entry.acknowledged.is_some() {
                    Violation::Altered { shard, number }
                } else {
                    Violation::NeverSent { shard, number }
                });
                continue;
            };
            if let Some((first_shard, first)) = places[sender] {
                // A copy is reported as such and takes no part in any order.
                is_twice[sender] = true;
                found.push(Violation::StoredTwice { first_shard, first, shard, number });
            } else {
                places[sender] = Some((shard, number));
                entry.sent_by = Some(sender);
            }
            let attempt = &history.attempts[sender];
            if matches!(attempt.fate, Fate::Refused { .. }) {
                found.push(Violation::RefusedYetStored { shard, number });
            }
            if entry.first_read < attempt.sent {
                found.push(Violation::ReadBeforeSent { shard, number });
            }
        }
    }
    for (sender, attempt) in history.attempts.iter().enumerate() {
        if let Fate::Stored { shard, number, .. } = attempt.fate
            && let Some((other_shard, other)) = places[sender]
            && (other_shard, other) != (shard, number)
            && !is_twice[sender]
        {
            found.push(Violation::Misplaced { shard, number, other_shard, other });
        }
    }
}
