//! A small set of byte ranges: which parts of a file something has been done for.

use std::collections::BTreeMap;
use std::ops::Range;

/// Most separate ranges remembered. What is forgotten is only done again.
const RANGES_MAX: usize = 1024;

/// Ranges of positions; those that touch are joined.
#[derive(Debug, Default)]
pub(crate) struct RangeSet(BTreeMap<u64, u64>);

impl RangeSet {
    /// True when every position of `range` is in the set.
    pub(crate) fn contains(&self, range: &Range<u64>) -> bool {
        let at_or_before = self.0.range(..=range.start).next_back();
        range.is_empty() || at_or_before.is_some_and(|(_, end)| *end >= range.end)
    }

    /// Adds `range`.
    pub(crate) fn insert(&mut self, mut range: Range<u64>) {
        if range.is_empty() || self.contains(&range) {
            return;
        }
        while let Some((&start, &end)) = self.0.range(..=range.end).next_back()
            && end >= range.start
        {
            self.0.remove(&start);
            range = range.start.min(start)..range.end.max(end);
        }
        if self.0.len() >= RANGES_MAX {
            self.0.clear();
        }
        self.0.insert(range.start, range.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_holds_exactly_what_was_inserted(
            inserted in proptest::collection::vec((0u64..64, 0u64..12), 0..24),
            asked in (0u64..64, 1u64..12),
        ) {
            let mut set = RangeSet::default();
            let mut model = [false; 80];
            for (start, len) in inserted {
                set.insert(start..start + len);
                (start..start + len).for_each(|i| model[usize::try_from(i).unwrap()] = true);
            }
            let asked = asked.0..asked.0 + asked.1;
            let expected = asked.clone().all(|i| model[usize::try_from(i).unwrap()]);
            prop_assert_eq!(set.contains(&asked), expected);
        }
    }

    #[test]
    fn scattered_ranges_stay_bounded() {
        let mut set = RangeSet::default();
        for i in 0..10_000 {
            set.insert(i * 10..i * 10 + 1);
        }
        assert!(set.0.len() <= RANGES_MAX);
    }
}
