//! A body in pieces that are written one behind the other without joining them.

use std::any::Any;
use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Bytes in pieces; writes are vectored. No piece is empty.
#[derive(Debug, Default)]
pub struct Rope {
    first: Bytes,
    rest: VecDeque<Bytes>,
    remaining: usize,
    /// Memory the pieces lie in beyond their own bytes, as far as it was told.
    excess: usize,
    _held: Option<Box<dyn Any>>,
}

impl Rope {
    /// Adds a piece at the end.
    pub fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        self.remaining += piece.len();
        if self.first.is_empty() {
            self.first = piece;
        } else {
            self.rest.push_back(piece);
        }
    }

    /// Adds a piece at the end that lies in `memory` bytes, which stay until it is written.
    pub fn push_in(&mut self, piece: Bytes, memory: usize) {
        self.excess += memory - piece.len();
        self.push(piece);
    }

    /// Bytes of memory it takes, at first.
    pub const fn memory(&self) -> usize {
        self.remaining + self.excess
    }

    /// Keeps `held`, and nothing it kept before, until it is written or given up.
    #[must_use]
    pub fn holding(self, held: Option<Box<dyn Any>>) -> Self {
        Self { _held: held, ..self }
    }
}

impl From<Bytes> for Rope {
    fn from(piece: Bytes) -> Self {
        Self { remaining: piece.len(), first: piece, ..Self::default() }
    }
}

impl Buf for Rope {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        &self.first
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = std::iter::once(&self.first).filter(|piece| !piece.is_empty());
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces.chain(&self.rest)) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "a rope never advances past its end");
        self.remaining -= count;
        while count >= self.first.len() && !self.first.is_empty() {
            count -= self.first.len();
            self.first = self.rest.pop_front().unwrap_or_default();
        }
        self.first.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope() -> Rope {
        let mut rope = Rope::default();
        for piece in ["ab", "", "c", "def"] {
            rope.push(Bytes::from_static(piece.as_bytes()));
        }
        rope
    }

    #[test]
    fn rope_advances_through_every_split() {
        for first in 0..=6 {
            for second in 0..=6 - first {
                let mut rope = rope();
                rope.advance(first);
                rope.advance(second);
                let rest = rope.copy_to_bytes(rope.remaining());
                assert_eq!(rest, "abcdef".as_bytes()[first + second..]);
                assert!(!rope.has_remaining());
            }
        }
    }

    #[test]
    fn rope_offers_all_pieces_to_a_vectored_write() {
        let rope = rope();
        let mut slices = [IoSlice::new(b""); 8];
        assert_eq!(rope.chunks_vectored(&mut slices), 3);
        assert_eq!(slices[..3].iter().map(|s| s.len()).collect::<Vec<_>>(), [2, 1, 3]);
        assert_eq!(rope.chunks_vectored(&mut slices[..2]), 2);
        assert_eq!(Rope::default().chunks_vectored(&mut slices), 0);
    }
}
