//! A disk with a volatile write cache, which loses, tears and keeps what it is told when the power
//! goes, and fails on command. `fuse` shows it to the kernel as one file.
//!
//! A write that was answered sits in the cache until a flush that was asked for later has been
//! answered. A power cut keeps any subset of the cache, by sectors of 512 bytes.

pub(crate) mod fuse;
mod image;

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;

pub(crate) use image::Image;

/// What a disk writes as a whole.
const SECTOR_BYTES: usize = 512;

/// What a power cut leaves of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Only what was flushed.
    None,
    /// The oldest writes.
    Prefix,
    /// Any writes, in the order they came.
    Random,
    /// Any sectors of any writes.
    Torn,
    /// Everything.
    All,
}

impl Kept {
    pub(crate) const ALL: [Self; 5] =
        [Self::None, Self::Prefix, Self::Random, Self::Torn, Self::All];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Prefix => "prefix",
            Self::Random => "random",
            Self::Torn => "torn",
            Self::All => "all",
        }
    }
}

/// Something the disk was asked to do and did.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Bytes that went into the cache.
    Write(Write),
    /// The cache went onto the medium.
    Flush,
}

#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) offset: u64,
    pub(crate) bytes: Arc<[u8]>,
}

/// What fails next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The write after so many others.
    Write(u64),
    /// The flush after so many others, and all that follow until the power is back. What the first
    /// should have made durable never will be, although reads go on to show it. A disk that lost
    /// writes and then answered the flush of whoever wrote them with success would lie: the one
    /// that fails may have been asked for by somebody else.
    Flush(u64),
}

/// The disk refuses; the kernel is told EIO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// The disk.
#[derive(Debug)]
pub(crate) struct Disk {
    bytes: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What a power cut cannot touch.
    durable: Image,
    /// What reads see.
    current: Image,
    cache: Vec<Write>,
    events: Option<Vec<Event>>,
    writes: u64,
    flushes: u64,
    fault: Option<Fault>,
    faults_met: u64,
    bad: Vec<Range<u64>>,
    is_off: bool,
    cannot_flush: bool,
    is_stalled: bool,
}

impl Disk {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { bytes, state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, once the disk answers again.
    fn answering(&self) -> MutexGuard<'_, State> {
        let state = self.changed.wait_while(self.state(), |state| state.is_stalled);
        state.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, Broken> {
        let state = self.answering();
        let end = offset + len as u64;
        if state.is_off || state.bad.iter().any(|bad| bad.start < end && offset < bad.end) {
            return Err(Broken);
        }
        Ok(state.current.read(offset, len))
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Broken> {
        let mut state = self.answering();
        if state.is_off || state.meets(Fault::Write(0)) {
            return Err(Broken);
        }
        state.writes += 1;
        state.current.write(offset, bytes);
        let write = Write { offset, bytes: Arc::from(bytes) };
        if let Some(events) = &mut state.events {
            events.push(Event::Write(write.clone()));
        }
        state.cache.push(write);
        Ok(())
    }

    pub(crate) fn flush(&self) -> Result<(), Broken> {
        let mut state = self.answering();
        if state.is_off || state.cannot_flush {
            return Err(Broken);
        }
        let cache = std::mem::take(&mut state.cache);
        if state.meets(Fault::Flush(0)) {
            state.cannot_flush = true;
            return Err(Broken);
        }
        state.flushes += 1;
        for Write { offset, bytes } in &cache {
            state.durable.write(*offset, bytes);
        }
        if let Some(events) = &mut state.events {
            events.push(Event::Flush);
        }
        Ok(())
    }

    /// From now on nothing is read, written or flushed.
    pub(crate) fn switch_off(&self) {
        self.state().is_off = true;
        self.release();
    }

    /// The power is back, and `kept` of the cache with it.
    pub(crate) fn switch_on(&self, kept: Kept, rng: &mut Rng) {
        let mut state = self.state();
        let cache = std::mem::take(&mut state.cache);
        keep(&mut state.durable, &cache, kept, rng);
        state.current = state.durable.clone();
        (state.is_off, state.cannot_flush, state.fault) = (false, false, None);
    }

    /// Puts this image in place of everything.
    pub(crate) fn load(&self, image: Image) {
        let mut state = self.state();
        state.cache.clear();
        state.current = image.clone();
        state.durable = image;
        state.bad.clear();
        (state.is_off, state.cannot_flush) = (false, false);
        (state.fault, state.events) = (None, None);
    }

    /// What reads see now.
    pub(crate) fn image(&self) -> Image {
        self.state().current.clone()
    }

    /// Begins to take down what happens; all before it counts as durable.
    pub(crate) fn record(&self) -> Image {
        let mut state = self.state();
        state.events = Some(Vec::new());
        state.cache.clear();
        state.durable = state.current.clone();
        state.durable.clone()
    }

    /// How much was taken down.
    pub(crate) fn recorded(&self) -> usize {
        self.state().events.as_ref().map_or(0, Vec::len)
    }

    /// Ends that.
    pub(crate) fn take_events(&self) -> Vec<Event> {
        self.state().events.take().unwrap_or_default()
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    /// Faults that were met so far.
    pub(crate) fn faults_met(&self) -> u64 {
        self.state().faults_met
    }

    /// Reads of this range fail.
    pub(crate) fn spoil(&self, range: Range<u64>) {
        self.state().bad.push(range);
    }

    /// No request is answered until `release`.
    pub(crate) fn stall(&self) {
        self.state().is_stalled = true;
    }

    pub(crate) fn release(&self) {
        self.state().is_stalled = false;
        self.changed.notify_all();
    }

    /// Writes and flushes so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.writes, state.flushes)
    }
}

impl State {
    /// Whether a fault of this sort is due now; counts down to it.
    fn meets(&mut self, sort: Fault) -> bool {
        let left = match (&mut self.fault, sort) {
            (Some(Fault::Write(left)), Fault::Write(_))
            | (Some(Fault::Flush(left)), Fault::Flush(_)) => left,
            (Some(Fault::Write(_) | Fault::Flush(_)) | None, _) => return false,
        };
        if let Some(fewer) = left.checked_sub(1) {
            *left = fewer;
            return false;
        }
        self.fault = None;
        self.faults_met += 1;
        true
    }
}

/// Lays on `image` what a power cut leaves of these writes.
pub(crate) fn keep(image: &mut Image, cache: &[Write], kept: Kept, rng: &mut Rng) {
    let prefix = match kept {
        Kept::None => 0,
        Kept::Prefix => rng.usize(..=cache.len()),
        Kept::Random | Kept::Torn | Kept::All => cache.len(),
    };
    for Write { offset, bytes } in &cache[..prefix] {
        match kept {
            Kept::Random if rng.bool() => {}
            Kept::Torn => {
                for (at, sector) in
                    (*offset..).step_by(SECTOR_BYTES).zip(bytes.chunks(SECTOR_BYTES))
                {
                    if rng.bool() {
                        image.write(at, sector);
                    }
                }
            }
            Kept::None | Kept::Prefix | Kept::Random | Kept::All => image.write(*offset, bytes),
        }
    }
}
