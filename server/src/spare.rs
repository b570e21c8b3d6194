//! Buffers that are done with, kept for the next body: the system clears the pages of a new one, which
//! costs as much as reading a body or writing an answer. Few, and few bytes; the newest is given out
//! first, since it is likeliest to be in the processor's cache.

use std::sync::{Mutex, PoisonError};

/// Capacities are multiples of this, so that bodies of nearly the same length share buffers.
const STEP: usize = 64 << 10;

/// The buffers, oldest first.
#[derive(Debug)]
pub struct Spare {
    kept: Mutex<Vec<Vec<u8>>>,
    bytes_max: usize,
}

/// The capacity to give a buffer for `length` bytes.
pub const fn rounded(length: usize) -> usize {
    length.next_multiple_of(STEP)
}

impl Spare {
    /// None; `bytes_max` bytes of them are kept at most.
    pub const fn new(bytes_max: usize) -> Self {
        Self { kept: Mutex::new(Vec::new()), bytes_max }
    }

    /// An empty buffer with room for `length` bytes and not for much more, if one is kept.
    pub fn take(&self, length: usize) -> Option<Vec<u8>> {
        let fits = length..=rounded(length) + STEP;
        self.with(|kept| {
            let place = kept.iter().rposition(|buffer| fits.contains(&buffer.capacity()))?;
            Some(kept.remove(place))
        })
    }

    /// Keeps `buffer`, for which the oldest ones go if there are too many.
    pub fn put(&self, mut buffer: Vec<u8>) {
        let freed: Vec<_> = self.with(|kept| {
            buffer.clear();
            kept.push(buffer);
            let mut bytes: usize = kept.iter().map(Vec::capacity).sum();
            let excess = kept.iter().take_while(|buffer| {
                let is_excess = bytes > self.bytes_max;
                bytes -= buffer.capacity();
                is_excess
            });
            let excess = excess.count();
            kept.drain(..excess).collect()
        });
        drop(freed); // Outside the lock.
    }

    fn with<T>(&self, action: impl FnOnce(&mut Vec<Vec<u8>>) -> T) -> T {
        // An empty buffer is as good as any other, so a panic elsewhere spoils nothing.
        action(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = 16 << 20;

    #[test]
    fn a_buffer_serves_the_next_body_of_about_its_length() {
        let spare = Spare::new(BYTES_MAX);
        let mut buffer = Vec::with_capacity(rounded(150_000));
        buffer.push(1);
        let address = buffer.as_ptr();
        spare.put(buffer);
        assert_eq!(spare.take(rounded(150_000) + 1), None, "it is too short");
        assert_eq!(spare.take(10), None, "it is too long");
        let taken = spare.take(140_000).unwrap();
        assert!(taken.is_empty() && taken.as_ptr() == address);
        assert_eq!(spare.take(140_000), None, "it is gone");
    }

    #[test]
    fn the_oldest_leave_when_there_are_too_many_bytes() {
        let spare = Spare::new(BYTES_MAX);
        spare.put(Vec::with_capacity(STEP));
        for _ in 0..40 {
            spare.put(Vec::with_capacity(1 << 20));
            let held: usize = spare.with(|kept| kept.iter().map(Vec::capacity).sum());
            assert!(held <= BYTES_MAX);
        }
        assert_eq!(spare.take(STEP), None);
        assert!(spare.take(1 << 20).is_some());
        spare.put(Vec::with_capacity(BYTES_MAX + 1));
        assert_eq!(spare.with(|kept| kept.len()), 0, "a buffer above the bound is not kept");
    }
}
