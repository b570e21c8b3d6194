//! Answer bodies: nothing, one piece, a rope of pieces that is written without joining it, or an
//! event stream.

use std::any::Any;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};

use super::event_body::EventBody;

/// Bytes in pieces; writes are vectored. No piece is empty.
#[derive(Debug, Default)]
pub struct Rope {
    first: Bytes,
    rest: VecDeque<Bytes>,
    remaining: usize,
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
}

impl Rope {
    /// An empty one that keeps `value` until it is written or given up.
    pub(super) fn holding(value: impl Any) -> Self {
        Self { _held: Some(Box::new(value)), ..Self::default() }
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

/// The body of an answer.
pub struct ResponseBody {
    content: Content,
    held: Option<Box<dyn Any>>,
}

enum Content {
    /// Of known length, possibly zero; `None` once it was handed out.
    Whole(Option<Rope>),
    /// Empty, but announced as a body of unknown length.
    EmptyOfUnknownLength,
    /// Made while it is sent.
    Events(Box<EventBody>),
    /// Never sent, nor is the head before it.
    Cut,
}

/// The answer cannot be sent to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is broken off")]
pub struct BrokenOff;

impl ResponseBody {
    /// A body of known length; no bytes make an empty body with `Content-Length: 0`.
    pub fn whole(rope: impl Into<Rope>) -> Self {
        let rope = rope.into();
        Self { content: Content::Whole((rope.remaining > 0).then_some(rope)), held: None }
    }

    /// An empty body that goes out as chunked.
    pub fn empty_of_unknown_length() -> Self {
        Self { content: Content::EmptyOfUnknownLength, held: None }
    }

    /// A body that is made while it is sent.
    pub(super) fn events(events: Box<EventBody>) -> Self {
        Self { content: Content::Events(events), held: None }
    }

    /// The body of an answer that is not sent.
    pub(super) const fn cut() -> Self {
        Self { content: Content::Cut, held: None }
    }

    /// True when the answer is not to be sent.
    pub(super) const fn is_cut(&self) -> bool {
        matches!(self.content, Content::Cut)
    }

    /// True when it is made while it is sent, and so takes as long as that takes.
    pub fn is_events(&self) -> bool {
        matches!(self.content, Content::Events(_))
    }

    /// Keeps `value` until the last byte is with the system, or the answer is given up.
    #[must_use]
    pub fn holding(mut self, value: impl Any) -> Self {
        self.held = Some(Box::new((self.held, value)));
        self
    }

    /// Bytes still to be handed out, as far as they are there already.
    pub fn remaining(&self) -> usize {
        match &self.content {
            Content::Whole(rope) => rope.as_ref().map_or(0, Buf::remaining),
            Content::EmptyOfUnknownLength | Content::Events(_) | Content::Cut => 0,
        }
    }
}

impl Body for ResponseBody {
    type Data = Rope;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Rope>, BrokenOff>>> {
        let rope = match &mut self.content {
            Content::Whole(rope) => rope.take(),
            Content::EmptyOfUnknownLength => None,
            Content::Cut => return Poll::Ready(Some(Err(BrokenOff))),
            Content::Events(events) => {
                let message = events.poll_next(context);
                return message.map(|message| message.map(|rope| rope.map(Frame::data)));
            }
        };
        Poll::Ready(rope.map(|rope| Ok(Frame::data(Rope { _held: self.held.take(), ..rope }))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(rope) => {
                SizeHint::with_exact(rope.as_ref().map_or(0, |rope| rope.remaining as u64))
            }
            Content::EmptyOfUnknownLength | Content::Events(_) | Content::Cut => SizeHint::new(),
        }
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

    #[test]
    fn empty_body_has_length_zero_and_unknown_one_has_none() {
        assert_eq!(ResponseBody::whole(Bytes::new()).size_hint().exact(), Some(0));
        assert!(ResponseBody::whole(Bytes::new()).is_end_stream());
        assert_eq!(ResponseBody::empty_of_unknown_length().size_hint().exact(), None);
        assert!(!ResponseBody::empty_of_unknown_length().is_end_stream());
    }
}
