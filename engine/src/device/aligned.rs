//! Page-aligned buffers for direct writes, shared without a copy once they are written.
//!
//! A group is built in a [`GroupBuffer`], frozen into `Bytes`, written, and then sliced by the tail
//! cache. When the last slice is dropped the memory goes back to its [`BufferPool`].

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::limits::PAGE_BYTES;

/// Most idle buffers a pool keeps, whatever their size; bounds the search in `take`.
const IDLE_BUFFERS_MAX: usize = 64;

/// A byte buffer whose start and length are multiples of 4096.
pub struct GroupBuffer {
    memory: Vec<u8>,
    start: usize,
    bytes: usize,
    home: Option<Arc<Idle>>,
}

impl GroupBuffer {
    /// A zeroed buffer outside any pool: `len` bytes, rounded up to whole pages.
    pub fn zeroed(len: usize) -> Self {
        let bytes = whole_pages(len);
        Self::over(vec![0; bytes + PAGE_BYTES - 1], bytes, None)
    }

    fn over(memory: Vec<u8>, bytes: usize, home: Option<Arc<Idle>>) -> Self {
        let start = memory.as_ptr().align_offset(PAGE_BYTES);
        debug_assert!(start + bytes <= memory.len(), "the memory holds one page more than is used");
        Self { memory, start, bytes, home }
    }

    /// Length in bytes; a multiple of 4096.
    pub const fn len(&self) -> usize {
        self.bytes
    }

    /// True when it holds no bytes.
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// All bytes, padding included.
    pub fn as_slice(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.bytes]
    }

    /// All bytes, padding included, for writing.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.bytes]
    }

    /// Keeps the first `len` bytes, at most the present length; the rest of their last page
    /// becomes zeros and pages after it are cut off.
    pub fn truncate(&mut self, len: usize) {
        let len = len.min(self.bytes);
        self.bytes = whole_pages(len);
        self.as_mut_slice()[len..].fill(0);
    }

    /// The bytes, shared; slices of it cost no copy. The memory returns to its pool, if it has
    /// one, when the last slice is dropped.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for GroupBuffer {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for GroupBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupBuffer").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Drop for GroupBuffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.put(std::mem::take(&mut self.memory));
        }
    }
}

/// Memory of past groups, kept for the next ones. Clones share it.
#[derive(Clone, Debug)]
pub struct BufferPool {
    idle: Arc<Idle>,
}

impl BufferPool {
    /// A pool that keeps at most `idle_bytes_max` bytes of unused memory. Buffers in use are not
    /// counted; whoever holds their bytes bounds them.
    pub fn new(idle_bytes_max: usize) -> Self {
        Self { idle: Arc::new(Idle { bytes_max: idle_bytes_max, kept: Mutex::default() }) }
    }

    /// A buffer of `len` bytes, rounded up to whole pages. The padding is zero; the first `len`
    /// bytes may hold anything and the caller must overwrite every one of them, or `truncate`.
    pub fn take(&self, len: usize) -> GroupBuffer {
        let bytes = whole_pages(len);
        let needed = bytes + PAGE_BYTES - 1;
        let memory = self.idle.get(needed).unwrap_or_else(|| vec![0; needed]);
        let mut buffer = GroupBuffer::over(memory, bytes, Some(Arc::clone(&self.idle)));
        buffer.truncate(len);
        buffer
    }

    /// Bytes of unused memory in the pool.
    pub fn idle_bytes(&self) -> usize {
        self.idle.with(|kept| kept.bytes)
    }
}

#[derive(Debug)]
struct Idle {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

/// Oldest first.
#[derive(Debug, Default)]
struct Kept {
    buffers: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Idle {
    fn with<T>(&self, action: impl FnOnce(&mut Kept) -> T) -> T {
        // Memory of any content is as good as any other, so a panic elsewhere spoils nothing.
        action(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest buffer that fits without wasting more than half of it.
    fn get(&self, needed: usize) -> Option<Vec<u8>> {
        self.with(|kept| {
            let fits = |held: &Vec<u8>| (needed..=needed.saturating_mul(2)).contains(&held.len());
            let index = kept.buffers.iter().rposition(fits)?;
            let memory = kept.buffers.remove(index)?;
            kept.bytes -= memory.len();
            Some(memory)
        })
    }

    fn put(&self, memory: Vec<u8>) {
        let evicted = self.with(|kept| {
            kept.bytes += memory.len();
            kept.buffers.push_back(memory);
            let mut evicted = Vec::new();
            while kept.bytes > self.bytes_max || kept.buffers.len() > IDLE_BUFFERS_MAX {
                let Some(oldest) = kept.buffers.pop_front() else { break };
                kept.bytes -= oldest.len();
                evicted.push(oldest);
            }
            evicted
        });
        // Returning large memory to the system takes a while: outside the lock.
        drop(evicted);
    }
}

const fn whole_pages(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_aligned(bytes: &[u8]) -> bool {
        bytes.as_ptr().addr().is_multiple_of(PAGE_BYTES) && bytes.len().is_multiple_of(PAGE_BYTES)
    }

    #[test]
    fn start_and_length_are_whole_pages_before_and_after_freezing() {
        for len in [0, 1, 4095, 4096, 4097, 1 << 20, (4 << 20) + 1] {
            let mut buffer = BufferPool::new(0).take(len);
            assert!(is_aligned(buffer.as_mut_slice()), "{len}");
            assert_eq!(buffer.len(), len.next_multiple_of(PAGE_BYTES));
            assert!(is_aligned(&buffer.freeze()), "{len}");
        }
    }

    #[test]
    fn padding_is_zero_in_memory_that_was_used_before() {
        let pool = BufferPool::new(1 << 20);
        let mut dirty = pool.take(8192);
        dirty.as_mut_slice().fill(0xff);
        drop(dirty);
        let reused = pool.take(5000);
        assert_eq!(reused.as_slice()[4999], 0xff, "the memory comes from the pool");
        assert!(reused.as_slice()[5000..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn truncate_keeps_the_head_and_zeroes_the_rest_of_its_page() {
        let mut buffer = GroupBuffer::zeroed(3 * PAGE_BYTES);
        buffer.as_mut_slice().fill(7);
        buffer.truncate(PAGE_BYTES + 10);
        assert_eq!(buffer.len(), 2 * PAGE_BYTES);
        assert!(buffer.as_slice()[..PAGE_BYTES + 10].iter().all(|byte| *byte == 7));
        assert!(buffer.as_slice()[PAGE_BYTES + 10..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn memory_returns_only_when_the_last_slice_is_dropped() {
        let pool = BufferPool::new(1 << 20);
        let bytes = pool.take(8192).freeze();
        let slice = bytes.slice(4096..4100);
        drop(bytes);
        assert_eq!(pool.idle_bytes(), 0);
        drop(slice);
        assert!(pool.idle_bytes() >= 8192);
    }

    #[test]
    fn idle_memory_stays_within_its_bounds() {
        let pool = BufferPool::new(64 << 10);
        let taken: Vec<_> = (0..200).map(|index| pool.take(index * 100)).collect();
        drop(taken);
        assert!(pool.idle_bytes() <= 64 << 10);
        assert!(pool.idle.with(|kept| kept.buffers.len()) <= IDLE_BUFFERS_MAX);
        drop(pool.take(128 << 10));
        assert_eq!(pool.idle_bytes(), 0, "a buffer above the bound is not kept, nor any before it");
    }

    #[test]
    fn a_small_group_does_not_hold_large_memory() {
        let pool = BufferPool::new(64 << 20);
        drop(pool.take(4 << 20));
        let small = pool.take(4096);
        assert!(small.memory.len() < 3 * PAGE_BYTES);
    }
}
