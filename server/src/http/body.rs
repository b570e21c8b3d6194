//! Answer bodies: nothing, a rope of pieces, or an event stream.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use hyper::body::{Body, Frame, SizeHint};

use super::event_body::EventBody;
use crate::aws::rope::Rope;

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
        Self { content: Content::Whole(rope.has_remaining().then_some(rope)), held: None }
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

    /// Memory of what is still to be handed out, as far as it is there already.
    pub fn memory(&self) -> usize {
        match &self.content {
            Content::Whole(rope) => rope.as_ref().map_or(0, Rope::memory),
            Content::EmptyOfUnknownLength | Content::Events(_) | Content::Cut => 0,
        }
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
        Poll::Ready(rope.map(|rope| Ok(Frame::data(rope.holding(self.held.take())))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(rope) => {
                SizeHint::with_exact(rope.as_ref().map_or(0, |rope| rope.remaining() as u64))
            }
            Content::EmptyOfUnknownLength | Content::Events(_) | Content::Cut => SizeHint::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn empty_body_has_length_zero_and_unknown_one_has_none() {
        assert_eq!(ResponseBody::whole(Bytes::new()).size_hint().exact(), Some(0));
        assert!(ResponseBody::whole(Bytes::new()).is_end_stream());
        assert_eq!(ResponseBody::empty_of_unknown_length().size_hint().exact(), None);
        assert!(!ResponseBody::empty_of_unknown_length().is_end_stream());
    }
}
