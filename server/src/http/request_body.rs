//! Reading a request body into one contiguous buffer, within bounds of length, pace and memory.
//!
//! One budget holds for all bodies of the server. A request body that does not fit is refused; an
//! answer is always held, and so keeps out new requests until its client has read it. No buffer is
//! made from a declared length. Memory is reserved from the budget of all bodies before bytes are
//! copied, and the buffer doubles as they arrive, so a client pins no more than about twice what it
//! has sent, or one of the few buffers that earlier bodies left behind (`spare`). A body that comes
//! in one frame is used as it is, uncopied.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use prometheus::IntGauge;
use tokio::time::{Instant, timeout_at};

use super::bounds::Bounds;
use crate::limits;
use crate::spare::{self, Spare};

/// First capacity of a body that comes in several frames, in bytes.
const FIRST_CAPACITY: usize = 64 << 10;

/// The part of the budget that spare buffers may hold beside it. Reason: they are not counted in it.
const SPARE_SHARE: usize = 8;

/// Bytes that all bodies may hold together.
#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    used: AtomicUsize,
    gauge: IntGauge,
    spare: Spare,
}

impl Budget {
    /// All free; `gauge` shows what is taken.
    pub(super) fn new(max: usize, gauge: &IntGauge) -> Arc<Self> {
        Arc::new(Self {
            max,
            used: AtomicUsize::new(0),
            gauge: gauge.clone(),
            spare: Spare::new(limits::SPARE_BODY_BYTES_MAX.min(max / SPARE_SHARE)),
        })
    }

    /// Takes `bytes`, also beyond the end.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Reservation {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        self.gauge.add(signed(bytes));
        Reservation { budget: Arc::clone(self), bytes }
    }

    /// True when nothing is left.
    pub(super) fn is_spent(&self) -> bool {
        self.free() == 0
    }

    fn free(&self) -> usize {
        self.max.saturating_sub(self.used.load(Ordering::Relaxed))
    }
}

/// A part of the budget; it returns when this is dropped.
pub(super) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Reservation {
    /// Makes the reservation `bytes` long if it is shorter.
    fn grow_to(&mut self, bytes: usize) -> Result<(), Refusal> {
        let more = bytes.saturating_sub(self.bytes);
        let taken = self.budget.used.try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(more).filter(|sum| *sum <= self.budget.max)
        });
        taken.map_err(|_| Refusal::Overloaded)?;
        self.budget.gauge.add(signed(more));
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.budget.gauge.sub(signed(self.bytes));
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).expect("no allocation is longer than isize::MAX")
}

/// A whole body and its part of the budget.
pub(super) struct Collected {
    bytes: Buffer,
    reservation: Reservation,
}

enum Buffer {
    /// As it came.
    Frame(Bytes),
    /// Joined from frames.
    Joined(Vec<u8>),
}

impl Collected {
    /// The body.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Buffer::Frame(bytes) => bytes,
            Buffer::Joined(bytes) => bytes,
        }
    }
}

impl Drop for Collected {
    fn drop(&mut self) {
        if let Buffer::Joined(buffer) = &mut self.bytes {
            self.reservation.budget.spare.put(std::mem::take(buffer));
        }
    }
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It has a `Content-Encoding`. The service knows none, and decoding would undo the bounds.
    Encoded,
    /// Longer than its encoding allows.
    TooLong,
    /// All bodies together would take too much memory, or requests too much time.
    Overloaded,
    /// Slower than the slowest pace.
    TooSlow,
    /// The connection broke, or the framing is wrong.
    Broken,
}

/// How much of a body is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Longest {
    /// None of it, since the server has more to do than it can.
    Nothing,
    /// As much as this.
    Bytes(usize),
}

/// Reads `body`, which may be `longest` bytes long.
///
/// # Errors
///
/// The refusal; of a body that is too long or finds no memory the rest was read and thrown away
/// where that is cheap, so that the client gets to read the answer.
pub(super) async fn collect(
    body: Incoming,
    longest: Longest,
    budget: &Arc<Budget>,
    bounds: &Bounds,
) -> Result<Collected, Refusal> {
    let mut reader = Reader { body, bounds, started: Instant::now(), received: 0 };
    let declared = reader.body.size_hint().exact();
    let refused = match (longest, declared) {
        (Longest::Nothing, _) => Refusal::Overloaded,
        (Longest::Bytes(longest), Some(length)) if length > longest as u64 => Refusal::TooLong,
        (_, Some(length)) if length > budget.free() as u64 => Refusal::Overloaded,
        (Longest::Bytes(longest), _) => match reader.read_all(longest, budget).await {
            Err(refusal @ (Refusal::TooLong | Refusal::Overloaded)) => refusal,
            other => return other,
        },
    };
    if declared.is_none_or(|length| length <= limits::DISCARDED_BODY_BYTES_MAX) {
        reader.discard().await?;
    }
    Err(refused)
}

struct Reader<'a> {
    body: Incoming,
    bounds: &'a Bounds,
    started: Instant,
    received: u64,
}

impl Reader<'_> {
    async fn read_all(
        &mut self,
        longest: usize,
        budget: &Arc<Budget>,
    ) -> Result<Collected, Refusal> {
        let mut reservation = budget.hold(0);
        let first = self.next().await?.unwrap_or_default();
        check_length(first.len(), longest)?;
        reservation.grow_to(first.len())?;
        let Some(second) = self.next().await? else {
            return Ok(Collected { bytes: Buffer::Frame(first), reservation });
        };
        let declared = self.body.size_hint().exact().and_then(|rest| usize::try_from(rest).ok());
        let total =
            declared.and_then(|rest| rest.checked_add(first.len())?.checked_add(second.len()));
        let mut joined = total.and_then(|total| budget.spare.take(total)).unwrap_or_default();
        reservation.grow_to(joined.capacity())?;
        let mut next = Some(first);
        let mut queued = Some(second);
        while let Some(piece) = next {
            let length = joined.len() + piece.len();
            check_length(length, longest)?;
            if length > joined.capacity() {
                let doubled = length.max(joined.capacity() * 2).max(FIRST_CAPACITY);
                let capacity =
                    total.map_or(doubled, |total| doubled.min(spare::rounded(total).max(length)));
                reservation.grow_to(capacity)?;
                joined.reserve_exact(capacity - joined.len());
            }
            joined.extend_from_slice(&piece);
            next = match queued.take() {
                Some(piece) => Some(piece),
                None => self.next().await?,
            };
        }
        Ok(Collected { bytes: Buffer::Joined(joined), reservation })
    }

    /// Reads on to the end and keeps nothing.
    async fn discard(&mut self) -> Result<(), Refusal> {
        while self.received <= limits::DISCARDED_BODY_BYTES_MAX && self.next().await?.is_some() {}
        Ok(())
    }

    /// The next piece that is not empty, `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        while !self.body.is_end_stream() {
            let frame = std::future::poll_fn(|context| {
                std::pin::Pin::new(&mut self.body).poll_frame(context)
            });
            let frame = timeout_at(deadline(self.bounds, self.started, self.received), frame)
                .await
                .map_err(|_| Refusal::TooSlow)?;
            let Some(frame) = frame else { break };
            let data = frame.map_err(|_| Refusal::Broken)?;
            let data = Frame::into_data(data).unwrap_or_default();
            if !data.is_empty() {
                self.received += data.len() as u64;
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

fn check_length(length: usize, longest: usize) -> Result<(), Refusal> {
    if length > longest { Err(Refusal::TooLong) } else { Ok(()) }
}

/// Until when the byte after the first `received` ones must be here.
fn deadline(bounds: &Bounds, started: Instant, received: u64) -> Instant {
    let earned_ms =
        received.saturating_mul(1_000) / u64::from(bounds.body_bytes_per_second_min.max(1));
    started + bounds.body_grace + std::time::Duration::from_millis(earned_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budget_is_taken_to_the_byte_and_returned() {
        let budget = Budget::new(100, &IntGauge::new("held", "held").unwrap());
        let (mut one, mut two) = (budget.hold(0), budget.hold(0));
        one.grow_to(60).unwrap();
        one.grow_to(50).unwrap();
        assert_eq!(two.grow_to(41), Err(Refusal::Overloaded));
        two.grow_to(40).unwrap();
        assert_eq!(budget.free(), 0);
        drop(one);
        assert_eq!(budget.free(), 60);
        assert_eq!(two.grow_to(usize::MAX), Err(Refusal::Overloaded));
        let answer = budget.hold(100);
        assert_eq!((budget.free(), two.grow_to(41)), (0, Err(Refusal::Overloaded)));
        drop(answer);
        two.grow_to(100).unwrap();
    }

    #[test]
    fn pace_counts_after_the_grace() {
        let bounds = Bounds::default();
        let started = Instant::now();
        assert_eq!(deadline(&bounds, started, 0) - started, limits::BODY_GRACE);
        let later = deadline(&bounds, started, 5_000) - started;
        assert_eq!(later, limits::BODY_GRACE + std::time::Duration::from_secs(5));
    }
}
