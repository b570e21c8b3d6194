//! The bytes of one connection, with a record of when they moved; and the bounds on that.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::bounds::Bounds;
use super::head_screen::HeadScreen;

/// What a connection is doing; written by its transport and its requests, read by its watch.
pub(super) struct Activity {
    screen: RefCell<HeadScreen>,
    /// When the head that is being received began; a new connection counts as one.
    head_since: Cell<Option<Instant>>,
    /// When the last request ended, or the connection began.
    idle_since: Cell<Instant>,
    /// When the client last took bytes, or had none to take.
    taken_at: Cell<Instant>,
    /// True while the client's side of the connection is full.
    blocked: Cell<bool>,
    requests: Cell<u64>,
    in_flight: Cell<usize>,
    unread_answers: Cell<usize>,
    /// Those of them that are event streams, which a client may let wait for longer.
    event_streams: Cell<usize>,
}

/// Why a connection is closed by its watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Its head takes too long.
    Head,
    /// It has had no request for too long.
    Idle,
    /// Its client reads nothing.
    Unread,
}

impl Activity {
    pub(super) fn new() -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            screen: RefCell::default(),
            head_since: Cell::new(Some(now)),
            idle_since: Cell::new(now),
            taken_at: Cell::new(now),
            blocked: Cell::new(false),
            requests: Cell::new(0),
            in_flight: Cell::new(0),
            unread_answers: Cell::new(0),
            event_streams: Cell::new(0),
        })
    }

    /// Counts a request in; the guard counts it out. True when its head must be refused.
    pub(super) fn begin_request(self: &Rc<Self>) -> (InFlight, bool) {
        let number = self.requests.replace(self.requests.get() + 1);
        self.in_flight.set(self.in_flight.get() + 1);
        let refused = self.screen.borrow().refused() == Some(number);
        (InFlight { activity: Rc::clone(self), answered: false, is_events: false }, refused)
    }

    /// True when neither a request nor an answer is on its way.
    fn is_idle(&self) -> bool {
        self.in_flight.get() == 0 && !self.blocked.get()
    }

    /// Counts idle time from now.
    pub(super) fn restart_idle_time(&self) {
        self.idle_since.set(Instant::now());
    }

    /// What is overdue at `now`, else when something may be.
    pub(super) fn overdue(&self, now: Instant, bounds: &Bounds) -> Result<Instant, Overdue> {
        let unread = self.blocked.get() || self.unread_answers.get() > 0;
        let has_events = self.event_streams.get() > 0;
        let unread_time_max =
            if has_events { bounds.stalled_time_max } else { bounds.unread_time_max };
        let waits = [
            (Overdue::Head, self.head_since.get(), bounds.head_time_max),
            (Overdue::Unread, unread.then_some(self.taken_at.get()), unread_time_max),
            (Overdue::Idle, self.is_idle().then_some(self.idle_since.get()), bounds.idle_time_max),
        ];
        let mut next = now + bounds.shortest_watch();
        for (kind, since, max) in waits {
            let Some(since) = since else { continue };
            if since + max <= now {
                return Err(kind);
            }
            next = next.min(since + max);
        }
        Ok(next)
    }

    fn note_read(&self, bytes: &[u8]) {
        let mut screen = self.screen.borrow_mut();
        screen.see(bytes);
        let since = self.head_since.get().filter(|_| !bytes.is_empty());
        self.head_since.set(screen.in_head().then(|| since.unwrap_or_else(Instant::now)));
    }

    fn note_write<T>(&self, written: Poll<T>) -> Poll<T> {
        self.blocked.set(written.is_pending());
        if written.is_ready() {
            self.taken_at.set(Instant::now());
        }
        written
    }
}

/// One request from its head to the last byte of its answer.
pub(super) struct InFlight {
    activity: Rc<Activity>,
    answered: bool,
    is_events: bool,
}

impl InFlight {
    /// From here on it is the client's turn to read, an event stream or a whole answer.
    pub(super) fn answered(mut self, is_events: bool) -> Self {
        if self.activity.unread_answers.get() == 0 {
            self.activity.taken_at.set(Instant::now());
        }
        self.activity.unread_answers.set(self.activity.unread_answers.get() + 1);
        let event_streams = &self.activity.event_streams;
        event_streams.set(event_streams.get() + usize::from(is_events));
        (self.answered, self.is_events) = (true, is_events);
        self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let activity = &self.activity;
        activity.in_flight.set(activity.in_flight.get() - 1);
        if self.answered {
            activity.unread_answers.set(activity.unread_answers.get() - 1);
        }
        activity.event_streams.set(activity.event_streams.get() - usize::from(self.is_events));
        activity.restart_idle_time();
    }
}

/// A stream that reports to an [`Activity`].
pub(super) struct Transport<T> {
    stream: T,
    activity: Rc<Activity>,
}

impl<T> Transport<T> {
    pub(super) const fn new(stream: T, activity: Rc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Transport<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.activity.note_read(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Transport<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.activity.note_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.activity.note_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
