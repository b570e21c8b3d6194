//! Opened things by segment, at most so many at once, least recently used first out.
//!
//! One caller opens while the others that want the same thing wait for it; a failed opening is
//! forgotten, so the next caller tries again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::sync::{Mutex, MutexGuard};
use crate::types::SegmentId;

/// A bounded set of shared values.
#[derive(Debug)]
pub(crate) struct Lru<V> {
    len_max: usize,
    state: Mutex<State<V>>,
}

type Cell<V> = Arc<OnceCell<Arc<V>>>;

#[derive(Debug)]
struct State<V> {
    entries: HashMap<SegmentId, (u64, Cell<V>)>,
    /// Segments by the number of their last use.
    uses: BTreeMap<u64, SegmentId>,
    next_use: u64,
}

impl<V> Lru<V> {
    /// At most `len_max` values, at least one.
    pub(crate) fn new(len_max: usize) -> Self {
        let state = State { entries: HashMap::new(), uses: BTreeMap::new(), next_use: 0 };
        Self { len_max: len_max.max(1), state: Mutex::new(state) }
    }

    /// The value of `segment`, opened by `open` if it is not held.
    pub(crate) async fn get<E>(
        &self,
        segment: SegmentId,
        open: impl Future<Output = Result<V, E>>,
    ) -> Result<Arc<V>, E> {
        let (cell, left) = self.lock().cell(segment, self.len_max);
        drop(left); // Closing and unmapping happen outside the lock.
        let opened = cell.get_or_try_init(async || open.await.map(Arc::new)).await;
        opened.cloned().inspect_err(|_| self.lock().forget_unopened(segment))
    }

    /// Drops the value of `segment`; callers that have it keep it alive.
    pub(crate) fn forget(&self, segment: SegmentId) {
        let dropped = self.lock().remove(segment);
        drop(dropped); // As above: not under the lock.
    }

    /// Values held.
    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().expect("no holder panics")
    }
}

impl<V> State<V> {
    /// The place of `segment`, now the one used last, and what had to leave for it.
    fn cell(&mut self, segment: SegmentId, len_max: usize) -> (Cell<V>, Vec<Cell<V>>) {
        let cell = self.remove(segment).unwrap_or_default();
        let mut left = Vec::new();
        while self.entries.len() >= len_max
            && let Some((_, oldest)) = self.uses.pop_first()
        {
            left.extend(self.entries.remove(&oldest).map(|(_, cell)| cell));
        }
        self.next_use += 1;
        self.uses.insert(self.next_use, segment);
        self.entries.insert(segment, (self.next_use, Arc::clone(&cell)));
        (cell, left)
    }

    fn remove(&mut self, segment: SegmentId) -> Option<Cell<V>> {
        let (last_use, cell) = self.entries.remove(&segment)?;
        self.uses.remove(&last_use);
        Some(cell)
    }

    fn forget_unopened(&mut self, segment: SegmentId) {
        if self.entries.get(&segment).is_some_and(|(_, cell)| !cell.initialized()) {
            self.remove(segment);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn the_least_recently_used_value_leaves_first() {
        let lru = Lru::new(2);
        let opened = AtomicUsize::new(0);
        let get = async |id| {
            let open = async { Ok::<_, ()>(opened.fetch_add(1, Ordering::Relaxed)) };
            *lru.get(SegmentId(id), open).await.unwrap()
        };
        assert_eq!((get(1).await, get(2).await, get(1).await), (0, 1, 0));
        assert_eq!((get(3).await, get(1).await, get(2).await), (2, 0, 3));
        assert_eq!(lru.len(), 2);
    }

    #[tokio::test]
    async fn callers_that_want_the_same_value_open_it_once() {
        let lru = Lru::new(2);
        let (opened, gate) = (AtomicUsize::new(0), tokio::sync::Semaphore::new(0));
        let get = async || {
            let open = async {
                opened.fetch_add(1, Ordering::Relaxed);
                gate.acquire().await.unwrap().forget();
                Ok::<_, ()>(7)
            };
            lru.get(SegmentId(1), open).await
        };
        let open_gate = async || gate.add_permits(2);
        let (a, b, ()) = tokio::join!(get(), get(), open_gate());
        assert_eq!((*a.unwrap(), *b.unwrap()), (7, 7));
        assert_eq!(opened.into_inner(), 1);
    }

    #[tokio::test]
    async fn a_failed_opening_is_tried_again() {
        let lru = Lru::new(2);
        assert_eq!(lru.get(SegmentId(1), async { Err::<u8, _>("no") }).await, Err("no"));
        assert_eq!(lru.len(), 0);
        assert_eq!(lru.get(SegmentId(1), async { Ok::<_, ()>(5) }).await.map(|v| *v), Ok(5));
    }
}
