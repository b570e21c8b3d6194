//! Which shard is read when: children after all their parents.

use std::collections::BTreeMap;

/// The shards that are followed.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    shards: BTreeMap<String, Node>,
}

#[derive(Debug)]
struct Node {
    parents: Vec<String>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Reading,
    Finished,
}

impl Lineage {
    /// Follows a shard too, unless it is known.
    pub(super) fn add<'a>(&mut self, shard: &str, parents: impl Iterator<Item = &'a str>) {
        if !self.knows(shard) {
            let parents = parents.map(str::to_owned).collect();
            self.shards.insert(shard.to_owned(), Node { parents, state: State::Waiting });
        }
    }

    /// True if it is followed, or was.
    pub(super) fn knows(&self, shard: &str) -> bool {
        self.shards.contains_key(shard)
    }

    /// How many are, or were.
    pub(super) fn len(&self) -> usize {
        self.shards.len()
    }

    /// A shard whose turn has come, which counts as being read from then on. Parents that are not
    /// followed are not waited for: they have expired, or ended before the output starts.
    pub(super) fn next_ready(&mut self) -> Option<String> {
        let is_done = |parent: &String| {
            self.shards.get(parent).is_none_or(|node| node.state == State::Finished)
        };
        let mut waiting = self.shards.iter().filter(|(_, node)| node.state == State::Waiting);
        let (ready, _) = waiting.find(|(_, node)| node.parents.iter().all(is_done))?;
        let ready = ready.clone();
        self.set(&ready, State::Reading);
        Some(ready)
    }

    /// A shard has been read to its end.
    pub(super) fn finish(&mut self, shard: &str) {
        self.set(shard, State::Finished);
    }

    fn set(&mut self, shard: &str, state: State) {
        if let Some(node) = self.shards.get_mut(shard) {
            node.state = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage(shards: &[(&str, &[&str])]) -> Lineage {
        let mut lineage = Lineage::default();
        for (shard, parents) in shards {
            lineage.add(shard, parents.iter().copied());
        }
        lineage
    }

    fn ready(lineage: &mut Lineage) -> Vec<String> {
        std::iter::from_fn(|| lineage.next_ready()).collect()
    }

    #[test]
    fn shards_without_parents_are_read_at_once_and_once() {
        let mut lineage = lineage(&[("0", &[]), ("1", &[]), ("0", &["1"])]);
        assert_eq!(ready(&mut lineage), ["0", "1"]);
        assert_eq!(ready(&mut lineage), [""; 0]);
        lineage.finish("0");
        lineage.add("0", [].into_iter());
        assert_eq!(ready(&mut lineage), [""; 0]);
    }

    #[test]
    fn children_of_a_split_wait_for_their_parent() {
        let mut lineage = lineage(&[("0", &[]), ("1", &["0"]), ("2", &["0"])]);
        assert_eq!(ready(&mut lineage), ["0"]);
        lineage.finish("0");
        assert_eq!(ready(&mut lineage), ["1", "2"]);
    }

    #[test]
    fn the_child_of_a_merge_waits_for_both_parents() {
        let mut lineage = lineage(&[("0", &[]), ("1", &[]), ("2", &["0", "1"])]);
        assert_eq!(ready(&mut lineage), ["0", "1"]);
        lineage.finish("1");
        assert_eq!(ready(&mut lineage), [""; 0]);
        lineage.finish("0");
        assert_eq!(ready(&mut lineage), ["2"]);
    }

    #[test]
    fn parents_that_are_not_followed_are_not_waited_for() {
        assert_eq!(ready(&mut lineage(&[("3", &["1", "2"])])), ["3"]);
    }
}
