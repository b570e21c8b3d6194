//! Maps whose file was cut, or whose page the disk cannot give: the signal that would end the
//! process puts zeros in their place and marks the map.
//!
//! The handler takes no lock and calls nothing but mmap. It finds the map in a table of fixed size
//! that is written under a lock elsewhere: an entry whose start is not zero is in force. The mark is
//! set before the zeros can be seen, so who reads first and then looks at the mark cannot miss it.
//! A fault outside all registered maps goes to whoever handled it before.
#![expect(unsafe_code, reason = "signals and maps are unsafe by nature; see `mapping`")]

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::types::Mark;

/// Maps there may be at once: twice what the cache of maps holds by default.
const SLOTS: usize = 32 << 10;

/// One map that is in force.
struct Slot {
    /// First address; zero while the slot is free.
    start: AtomicUsize,
    /// Address after the last.
    end: AtomicUsize,
    is_lost: AtomicBool,
}

static TABLE: [Slot; SLOTS] = [const {
    Slot { start: AtomicUsize::new(0), end: AtomicUsize::new(0), is_lost: AtomicBool::new(false) }
}; SLOTS];
/// Slots that were ever used; the handler looks no further.
static USED: AtomicUsize = AtomicUsize::new(0);
/// Slots below `USED` that are free.
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());
/// Bytes of a page of the system.
static PAGE_BYTES: AtomicUsize = AtomicUsize::new(4096);
/// Who handled the signal before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// A map in the table; leaves it when dropped, which must come before the map is undone.
pub(super) struct Registered(usize);

impl Registered {
    /// Enters the map at `range`.
    ///
    /// # Errors
    ///
    /// The table is full, or the system takes no handler.
    pub(super) fn new(range: Range<usize>) -> io::Result<Self> {
        install()?;
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let used = USED.load(Ordering::Relaxed);
        let place = match free.pop() {
            Some(place) => place,
            None if used < SLOTS => {
                USED.store(used + 1, Ordering::Release);
                used
            }
            None => return Err(io::Error::other("too many maps at once")),
        };
        drop(free);
        let slot = &TABLE[place];
        slot.is_lost.store(false, Ordering::Relaxed);
        slot.end.store(range.end, Ordering::Relaxed);
        slot.start.store(range.start, Ordering::Release);
        Ok(Self(place))
    }

    /// Set for ever once bytes of this map are not those of the file.
    pub(super) fn mark(&self) -> Mark {
        Mark::new(&TABLE[self.0].is_lost)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        TABLE[self.0].start.store(0, Ordering::Release);
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
    }
}

/// Makes `handle` the handler of SIGBUS, once.
fn install() -> io::Result<()> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut is_installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if *is_installed {
        return Ok(());
    }
    // SAFETY: All fields of a sigaction may be zero.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: With a new action of null this only tells what is in force.
    if unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut before) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // Both before they can be needed.
    PAGE_BYTES.store(rustix::param::page_size(), Ordering::Relaxed);
    BEFORE.get_or_init(|| before);
    // SAFETY: All fields of a sigaction may be zero.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handle as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: The handler is of the form SA_SIGINFO asks for and keeps to what a handler may do.
    if unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    *is_installed = true;
    Ok(())
}

/// Puts zeros under the rest of the map that faulted, so that the instruction can go on.
extern "C" fn handle(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: The kernel hands over a siginfo that lives as long as the handler runs.
    let info = unsafe { &*info };
    // SAFETY: That of this signal carries an address.
    let address = unsafe { info.si_addr() } as usize;
    let page = address & !(PAGE_BYTES.load(Ordering::Relaxed) - 1);
    let mut end = 0;
    for slot in &TABLE[..USED.load(Ordering::Acquire).min(SLOTS)] {
        let start = slot.start.load(Ordering::Acquire);
        let slot_end = slot.end.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        // A slot that changes hands meanwhile is none of ours: who faults holds its map.
        let is_steady = slot.start.load(Ordering::Relaxed) == start;
        if start != 0 && is_steady && start <= address && address < slot_end {
            slot.is_lost.store(true, Ordering::SeqCst);
            end = slot_end;
        }
    }
    if end == 0 || !put_zeros(page, end) {
        stand_back();
    }
}

/// Maps zeros from `page` to `end`, within a map of ours that stays where it is.
fn put_zeros(page: usize, end: usize) -> bool {
    // SAFETY: The address of the thread's own errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: It is valid for as long as the thread is.
    let before = unsafe { *errno };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let (at, len) = (page as *mut libc::c_void, end - page);
    // SAFETY: The range lies within a map that its holder, the thread that faulted, keeps alive, and
    // that nothing is ever written through. mmap is a plain system call.
    let mapped = unsafe { libc::mmap(at, len, libc::PROT_READ, flags, -1, 0) };
    // SAFETY: As above.
    unsafe { *errno = before };
    mapped != libc::MAP_FAILED
}

/// Lets the handler of before have the fault, which comes again at once.
fn stand_back() {
    if let Some(before) = BEFORE.get() {
        // SAFETY: This is what was in force before; sigaction may be called by a handler.
        unsafe { libc::sigaction(libc::SIGBUS, before, ptr::null_mut()) };
    }
}
