//! The body of an answer that is an event stream.
//!
//! A message is asked for only once the one before has left for the system's buffers: a client that
//! stops reading stops the stream at its source, and keeps one message in memory at most. How long
//! it may do so is bounded. A server that stops ends the stream between two messages.
//!
//! Messages take nothing from the budget of bodies: many streams may share their bytes, which are
//! counted, and bounded, where they are made.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Buf;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

use super::body::BrokenOff;
use super::pipeline;
use crate::aws::event_stream::Pieces;
use crate::aws::output::Events;
use crate::aws::rope::Rope;
use crate::metrics::Metrics;

/// A stream on its way out.
pub(super) struct EventBody {
    events: Events,
    stopped: Pin<Box<dyn Future<Output = ()>>>,
    /// The last message, until it has left.
    leaving: Option<Rc<Left>>,
    /// Runs out when it has not left for too long.
    patience: Pin<Box<Sleep>>,
    patience_max: Duration,
    metrics: Arc<Metrics>,
}

/// Told by [`Leaving`] that the last byte of a message has left.
#[derive(Default)]
struct Left {
    waker: Cell<Option<Waker>>,
    has: Cell<bool>,
}

impl Left {
    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        if self.has.get() {
            return Poll::Ready(());
        }
        self.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// Goes with a message, and is dropped with it.
struct Leaving(Rc<Left>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.has.set(true);
        if let Some(waker) = self.0.waker.take() {
            waker.wake();
        }
    }
}

impl EventBody {
    /// The messages of `events` until `stop` turns true. A client may let one wait for
    /// `patience_max`.
    pub(super) fn new(
        events: Events,
        mut stop: watch::Receiver<bool>,
        patience_max: Duration,
        metrics: &Arc<Metrics>,
    ) -> Self {
        // Whoever could say stop is gone once the server is.
        let stopped = Box::pin(async move { drop(stop.wait_for(|stop| *stop).await) });
        let patience = Box::pin(sleep(patience_max));
        let metrics = Arc::clone(metrics);
        Self { events, stopped, leaving: None, patience, patience_max, metrics }
    }

    /// The next message; `None` after the last one.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Rope, BrokenOff>>> {
        if self.stopped.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        if let Some(left) = &self.leaving {
            if left.poll(context).is_pending() {
                let is_over = self.patience.as_mut().poll(context).is_ready();
                return if is_over { Poll::Ready(Some(Err(BrokenOff))) } else { Poll::Pending };
            }
            self.leaving = None;
        }
        match pipeline::guarded(&self.metrics, || self.events.poll_next(context)) {
            Some(message) => message.map(|message| message.map(|pieces| Ok(self.send(pieces)))),
            None => Poll::Ready(Some(Err(BrokenOff))),
        }
    }

    fn send(&mut self, pieces: Pieces) -> Rope {
        let left = Rc::<Left>::default();
        self.leaving = Some(Rc::clone(&left));
        self.patience.as_mut().reset(Instant::now() + self.patience_max);
        let mut rope = Rope::default().holding(Some(Box::new(Leaving(left))));
        for piece in pieces {
            rope.push(piece);
        }
        self.metrics.response_bytes.inc_by(rope.remaining() as u64);
        rope
    }
}
