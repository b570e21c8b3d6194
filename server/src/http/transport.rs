//! The bytes of one connection, with a record of when they moved; and the bounds on that. The first
//! of them tell its protocol.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use hyper::Version;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::bounds::Bounds;
use super::frame_screen::{self, FrameScreen};
use super::head_screen::HeadScreen;

/// What a connection is doing; written by its transport and its requests, read by its watch.
pub(super) struct Activity {
    screen: RefCell<HeadScreen>,
    frames: RefCell<FrameScreen>,
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
    /// Those of them that have come to their end and get a whole answer.
    answering: Cell<usize>,
    /// To be woken when one of these has got it, since the client will send no more.
    ending: Cell<Option<Waker>>,
    /// True between two looks at the end of what the client sends.
    has_looked_again: Cell<bool>,
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
            frames: RefCell::new(FrameScreen::new(now)),
            head_since: Cell::new(Some(now)),
            idle_since: Cell::new(now),
            taken_at: Cell::new(now),
            blocked: Cell::new(false),
            requests: Cell::new(0),
            in_flight: Cell::new(0),
            answering: Cell::new(0),
            ending: Cell::new(None),
            has_looked_again: Cell::new(false),
            unread_answers: Cell::new(0),
            event_streams: Cell::new(0),
        })
    }

    /// Counts a request in; the guard counts it out. True when its head must be refused.
    pub(super) fn begin_request(self: &Rc<Self>) -> (InFlight, bool) {
        let number = self.requests.replace(self.requests.get() + 1);
        self.in_flight.set(self.in_flight.get() + 1);
        let refused = self.screen.borrow().refused() == Some(number);
        let state = State::default();
        (InFlight { activity: Rc::clone(self), state }, refused)
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

    /// Looks at what came in.
    ///
    /// # Errors
    ///
    /// It is a flood of frames.
    fn note_read(&self, bytes: &[u8], bounds: &Bounds) -> io::Result<()> {
        let mut screen = self.screen.borrow_mut();
        screen.see(bytes);
        let since = self.head_since.get().filter(|_| !bytes.is_empty());
        self.head_since.set(screen.in_head().then(|| since.unwrap_or_else(Instant::now)));
        let is_flood = self.frames.borrow_mut().see(bytes, bounds);
        if is_flood { Err(io::Error::other("a flood of control frames")) } else { Ok(()) }
    }

    /// True while the client's end of sending must be kept from hyper, which would drop the requests:
    /// to it, who sends no more has gone. `context` is woken when that may have changed.
    fn must_wait_to_end(&self, context: &Context<'_>) -> bool {
        if self.answering.get() > 0 {
            self.ending.set(Some(context.waker().clone()));
            self.has_looked_again.set(false);
            return true;
        }
        // The last request may be on its way from hyper to the one who counts it.
        let must_look_again = !self.has_looked_again.replace(true);
        if must_look_again {
            context.waker().wake_by_ref();
        }
        must_look_again
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
    state: State,
}

/// In which counts a request is.
#[derive(Default)]
struct State {
    answering: bool,
    answered: bool,
    is_events: bool,
}

impl InFlight {
    /// The request is there to its end, and will be answered also if it is the client's last.
    pub(super) fn received(&mut self) {
        if !std::mem::replace(&mut self.state.answering, true) {
            self.activity.answering.set(self.activity.answering.get() + 1);
        }
    }

    /// A client that ends an event stream's connection has had enough of the stream.
    fn end_answering(&mut self) {
        if std::mem::take(&mut self.state.answering) {
            self.activity.answering.set(self.activity.answering.get() - 1);
            if let Some(waker) = self.activity.ending.take() {
                waker.wake();
            }
        }
    }

    /// From here on it is the client's turn to read, an event stream or a whole answer.
    pub(super) fn answered(mut self, is_events: bool) -> Self {
        if self.activity.unread_answers.get() == 0 {
            self.activity.taken_at.set(Instant::now());
        }
        self.activity.unread_answers.set(self.activity.unread_answers.get() + 1);
        let event_streams = &self.activity.event_streams;
        event_streams.set(event_streams.get() + usize::from(is_events));
        (self.state.answered, self.state.is_events) = (true, is_events);
        if is_events {
            self.end_answering();
        }
        self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.end_answering();
        let activity = &self.activity;
        activity.in_flight.set(activity.in_flight.get() - 1);
        if self.state.answered {
            activity.unread_answers.set(activity.unread_answers.get() - 1);
        }
        activity
            .event_streams
            .set(activity.event_streams.get() - usize::from(self.state.is_events));
        activity.restart_idle_time();
    }
}

/// A stream that reports to an [`Activity`].
pub(super) struct Transport<T> {
    stream: T,
    activity: Rc<Activity>,
    bounds: Rc<Bounds>,
    /// What was read to learn the protocol, until it is read again.
    first: Bytes,
}

impl<T> Transport<T> {
    pub(super) const fn new(stream: T, activity: Rc<Activity>, bounds: Rc<Bounds>) -> Self {
        Self { stream, activity, bounds, first: Bytes::new() }
    }

    pub(super) fn activity(&self) -> Rc<Activity> {
        Rc::clone(&self.activity)
    }
}

impl<T: AsyncRead + Unpin> Transport<T> {
    /// The protocol that the first bytes tell, which are left to be read: HTTP/2 when they are its
    /// opening, else HTTP/1.1, also when they end too early to be either.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub(super) async fn version(&mut self) -> io::Result<Version> {
        let mut first = [0; frame_screen::OPENING.len()];
        let (mut seen, mut is_end) = (0, false);
        while seen < first.len() && first[..seen] == frame_screen::OPENING[..seen] && !is_end {
            let more = self.read(&mut first[seen..]).await?;
            (seen, is_end) = (seen + more, more == 0);
        }
        self.first = Bytes::copy_from_slice(&first[..seen]);
        Ok(if first == *frame_screen::OPENING { Version::HTTP_2 } else { Version::HTTP_11 })
    }

    /// Hands out again what was read to learn the protocol; what has come since is read with it, so
    /// that a head which came in one piece is seen in one.
    fn poll_read_first(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first.split_to(count));
        let before = buffer.filled().len();
        // An end or a failure shows again at the next read.
        let more = Pin::new(&mut self.stream).poll_read(context, buffer);
        if matches!(more, Poll::Ready(Ok(()))) {
            self.activity.note_read(&buffer.filled()[before..], &self.bounds)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Transport<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            return self.poll_read_first(context, buffer);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let is_end = buffer.filled().len() == before && buffer.remaining() > 0;
        if is_end && self.activity.must_wait_to_end(context) {
            return Poll::Pending;
        }
        Poll::Ready(self.activity.note_read(&buffer.filled()[before..], &self.bounds))
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// What a client's bytes, which come `at_once` by so many, tell; and how they are read after it.
    async fn told(bytes: &'static [u8], at_once: usize) -> (Version, Vec<u8>) {
        let (mut client, server) = tokio::io::duplex(at_once);
        let sending = async move { client.write_all(bytes).await.unwrap() };
        let reading = async move {
            let mut transport = Transport::new(server, Activity::new(), Rc::default());
            let version = transport.version().await.unwrap();
            let mut read = Vec::new();
            transport.read_to_end(&mut read).await.unwrap();
            (version, read)
        };
        tokio::join!(sending, reading).1
    }

    #[tokio::test]
    async fn the_first_bytes_tell_the_protocol_and_are_read_all_the_same() {
        let one = [b"POST / HTTP/1.1\r\n\r\n".as_slice(), b"P", b"PRI * HTTP/1.1\r\n\r\n", b""];
        let cases = one.map(|bytes| (bytes, Version::HTTP_11));
        let two = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".as_slice();
        for (bytes, version) in cases.into_iter().chain([(two, Version::HTTP_2)]) {
            for at_once in [1, 2, 5, 24, 25, 100] {
                assert_eq!(told(bytes, at_once).await, (version, bytes.to_vec()), "{at_once}");
            }
        }
    }

    #[tokio::test]
    async fn a_head_that_came_in_one_piece_is_read_in_one() {
        let head = b"POST / HTTP/1.1\r\nHost: here\r\n\r\n";
        let (mut client, server) = tokio::io::duplex(100);
        client.write_all(head).await.unwrap();
        let mut transport = Transport::new(server, Activity::new(), Rc::default());
        transport.version().await.unwrap();
        let mut read = [0; 100];
        let count = transport.read(&mut read).await.unwrap();
        assert_eq!(&read[..count], head);
    }
}
