//! What an operation answers: a whole body, or an event stream that comes into being while it is
//! sent.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::event_stream::Pieces;
use super::rope::Rope;

/// The answer of an operation that succeeded.
pub enum Output {
    /// A body in the encoding of the request; empty where the operation has no output.
    Whole(Rope),
    /// The messages of an event stream.
    Events(Events),
    /// Nothing: the connection is cut off, or one stream of it, where it has several.
    Cut,
}

impl From<Bytes> for Output {
    fn from(body: Bytes) -> Self {
        Self::Whole(body.into())
    }
}

impl From<Rope> for Output {
    fn from(body: Rope) -> Self {
        Self::Whole(body)
    }
}

impl From<Events> for Output {
    fn from(events: Events) -> Self {
        Self::Events(events)
    }
}

/// Messages made one by one, each only when it is asked for: nothing runs ahead of its reader.
pub struct Events {
    /// What makes them; gone once it has ended.
    work: Option<Pin<Box<dyn Future<Output = ()>>>>,
    made: Rc<Cell<Option<Pieces>>>,
}

impl Events {
    /// The messages that `work` hands to its [`Emitter`]; they end when it does.
    pub fn new<F: Future<Output = ()> + 'static>(work: impl FnOnce(Emitter) -> F) -> Self {
        let made = Rc::default();
        let work = work(Emitter { made: Rc::clone(&made) });
        Self { work: Some(Box::pin(work)), made }
    }

    /// The next message; `None` after the last one.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Pieces>> {
        let Some(work) = &mut self.work else { return Poll::Ready(None) };
        let ended = work.as_mut().poll(context).is_ready();
        if ended {
            self.work = None;
        }
        match self.made.take() {
            Some(message) => Poll::Ready(Some(message)),
            None if ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// The next message; `None` after the last one.
    pub async fn next(&mut self) -> Option<Pieces> {
        poll_fn(|context| self.poll_next(context)).await
    }
}

/// Takes the messages of one stream.
pub struct Emitter {
    made: Rc<Cell<Option<Pieces>>>,
}

impl Emitter {
    /// Hands over a message; completes when the next one is asked for.
    pub async fn emit(&self, message: Pieces) {
        self.made.set(Some(message));
        let mut asked = false;
        poll_fn(
            |_| if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending },
        )
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &'static str) -> Pieces {
        [Bytes::from_static(text.as_bytes()), Bytes::new(), Bytes::new()]
    }

    #[tokio::test]
    async fn messages_are_made_when_they_are_asked_for() {
        let made = Rc::new(Cell::new(0));
        let counter = Rc::clone(&made);
        let mut events = Events::new(|out| async move {
            for text in ["a", "b"] {
                counter.set(counter.get() + 1);
                out.emit(message(text)).await;
            }
        });
        assert_eq!(made.get(), 0);
        for (count, text) in [(1, Some("a")), (2, Some("b")), (2, None), (2, None)] {
            assert_eq!(events.next().await.map(|pieces| pieces[0].clone()), text.map(Bytes::from));
            assert_eq!(made.get(), count);
        }
    }

    #[tokio::test]
    async fn a_last_message_may_come_with_the_end() {
        let mut events = Events::new(|out| async move { out.made.set(Some(message("last"))) });
        assert_eq!(events.next().await, Some(message("last")));
        assert_eq!(events.next().await, None);
    }
}
