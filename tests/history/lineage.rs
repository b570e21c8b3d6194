//! Shards and what they come from: open ones cover the hash keys once, children come after their
//! parents, what was said of a shard stays true.

use std::collections::{BTreeMap, BTreeSet};

use super::log::{Logs, answered};
use super::{History, Listing, Moment, Number, Shard, ShardId, Violation};

/// Every shard that was ever listed.
pub(super) struct Lineage<'a> {
    shards: BTreeMap<ShardId, &'a Shard>,
}

impl<'a> Lineage<'a> {
    pub(super) fn of(history: &'a History, found: &mut Vec<Violation>) -> Self {
        let mut shards = BTreeMap::<ShardId, &Shard>::new();
        for listing in &history.listings {
            judge_cover(listing, found);
            for shard in &listing.shards {
                let known = shards.entry(shard.id).or_insert(shard);
                if (&known.parents, known.keys) != (&shard.parents, shard.keys) {
                    found.push(Violation::ShardChanged { shard: shard.id });
                }
            }
        }
        judge_states(&history.listings, found);
        judge_closings(history, found);
        Self { shards }
    }

    /// What came out of a shard; `None` where shards were never listed.
    pub(super) fn children(&self, parent: ShardId) -> Option<Vec<ShardId>> {
        let is_child = |shard: &&&Shard| shard.parents.contains(&parent);
        (!self.shards.is_empty())
            .then(|| self.shards.values().filter(is_child).map(|shard| shard.id).collect())
    }

    /// Records against the shards they are in.
    pub(super) fn judge(&self, history: &History, logs: &Logs, found: &mut Vec<Violation>) {
        if self.shards.is_empty() {
            return;
        }
        let mut bounds = BTreeMap::<ShardId, Bounds>::new();
        for (&id, log) in logs {
            let Some(shard) = self.shards.get(&id) else {
                if log.iter().any(|entry| entry.acknowledged.is_some()) {
                    found.push(Violation::UnlistedShard { shard: id });
                }
                continue;
            };
            let bounds = bounds.entry(id).or_default();
            for entry in log {
                let number = entry.number;
                let Some(sender) = entry.sent_by.or(entry.acknowledged) else { continue };
                let attempt = &history.attempts[sender];
                bounds.first.get_or_insert(number);
                bounds.last = Some(number);
                bounds.last_sent = bounds.last_sent.max((attempt.sent, number));
                if let Some(at) = answered(history, sender) {
                    bounds.first_answered = bounds.first_answered.min(at);
                }
                if attempt.hash.is_some_and(|key| key < shard.keys.0 || key > shard.keys.1) {
                    found.push(Violation::WrongShard { shard: id, number });
                }
            }
        }
        for &child in self.shards.keys() {
            let Some(own) = bounds.get(&child) else { continue };
            for ancestor in self.ancestors(child) {
                let Some(above) = bounds.get(&ancestor) else { continue };
                let (sent, number) = above.last_sent;
                if sent > own.first_answered {
                    found.push(Violation::ParentAfterChild { shard: ancestor, number, child });
                }
                if let (Some(first), Some(last)) = (own.first, above.last)
                    && first <= last
                {
                    found.push(Violation::NumberBelowParent { shard: child, number: first });
                }
            }
        }
    }

    fn ancestors(&self, child: ShardId) -> BTreeSet<ShardId> {
        let mut above = BTreeSet::new();
        let mut open = vec![child];
        while let Some(shard) = open.pop().and_then(|id| self.shards.get(&id)) {
            open.extend(shard.parents.iter().filter(|parent| above.insert(**parent)));
        }
        above
    }
}

/// What is known of the records of one shard.
struct Bounds {
    first: Option<Number>,
    last: Option<Number>,
    /// The record that was sent last.
    last_sent: (Moment, Number),
    /// When the first of them was acknowledged.
    first_answered: Moment,
}

impl Default for Bounds {
    fn default() -> Self {
        let last_sent = (0, Number::from(0));
        Self { first: None, last: None, last_sent, first_answered: Moment::MAX }
    }
}

/// Open shards side by side, from the first hash key to the last.
fn judge_cover(listing: &Listing, found: &mut Vec<Violation>) {
    let at = listing.answered;
    let mut ranges: Vec<_> =
        listing.shards.iter().filter(|shard| shard.is_open).map(|shard| shard.keys).collect();
    ranges.sort_unstable();
    let mut next = Some(0);
    for (first, last) in ranges {
        match next {
            Some(key) if key < first => found.push(Violation::KeyUncovered { key, at }),
            Some(key) if key == first => {}
            Some(_) | None => found.push(Violation::KeyCoveredTwice { key: first, at }),
        }
        next = next.and_then(|next| next.max(last).checked_add(u128::from(last >= next)));
    }
    if let Some(key) = next {
        found.push(Violation::KeyUncovered { key, at });
    }
}

/// What was promised to be closed is so in the last listing, which is made when all is settled.
fn judge_closings(history: &History, found: &mut Vec<Violation>) {
    let Some(last) = history.listings.iter().max_by_key(|listing| listing.asked) else { return };
    let promised = history.closings.iter().filter(|(at, _)| *at < last.asked);
    for (_, closing) in promised {
        if last.shards.iter().any(|shard| shard.id == *closing && shard.is_open) {
            found.push(Violation::ReshardLost { shard: *closing });
        }
    }
}

/// A closed shard stays closed; an open one does not vanish.
fn judge_states(listings: &[Listing], found: &mut Vec<Violation>) {
    let mut by_answer: Vec<_> = listings.iter().collect();
    by_answer.sort_by_key(|listing| listing.answered);
    let mut by_asking = by_answer.clone();
    by_asking.sort_by_key(|listing| listing.asked);
    let mut earlier = by_answer.into_iter().peekable();
    let mut known = BTreeMap::<ShardId, bool>::new();
    for listing in by_asking {
        while let Some(before) = earlier.next_if(|before| before.answered < listing.asked) {
            for shard in &before.shards {
                let is_open = known.entry(shard.id).or_insert(true);
                *is_open &= shard.is_open;
            }
        }
        let now: BTreeMap<_, _> =
            listing.shards.iter().map(|shard| (shard.id, shard.is_open)).collect();
        for (&shard, was_open) in &known {
            match (was_open, now.get(&shard)) {
                (true, None) => found.push(Violation::ShardLost { shard }),
                (false, Some(true)) => found.push(Violation::Reopened { shard }),
                (true | false, Some(_)) | (false, None) => {}
            }
        }
    }
}
