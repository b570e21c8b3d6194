//! A disk in memory that can fail in every way a real one may, by seed.
//!
//! It keeps apart what the process sees and what the device holds: per sector of 512 bytes, per
//! length, per name. [`SimulatedDisk::power_cut`] gives the disk as found afterwards. With one
//! thread and one seed every run is the same, faults included.

mod content;
mod cut;
mod faults;
mod handles;
mod names;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;

use self::content::{Content, SECTOR_BYTES};
use self::cut::Cut;
use self::names::{Entry, Names, Tree};
use super::clock::{Clock, Entropy};
use super::{BoxFuture, Device};
use crate::error::DeviceError;
pub use cut::Survive;
pub use faults::{Fault, Operation};

/// A disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// False after a power cut: every call fails.
    powered: bool,
    random: Rng,
    /// Orders all changes; each takes the next number.
    stamp: u64,
    names: Names,
    plan: faults::Plan,
    capacity: Option<u64>,
    pauses_max: u32,
    locked: BTreeSet<PathBuf>,
}

impl SimulatedDisk {
    /// An empty disk that holds only the root directory.
    pub fn new(seed: u64) -> Self {
        Self::at_rest(seed, Tree::new())
    }

    /// A disk with these files, all durable, and the directories they need.
    pub fn from_snapshot(seed: u64, files: BTreeMap<PathBuf, Vec<u8>>) -> Self {
        let mut tree = Tree::new();
        for (path, bytes) in files {
            for above in path.ancestors().skip(1).filter(|above| above.file_name().is_some()) {
                tree.insert(above.to_path_buf(), Entry::Directory);
            }
            tree.insert(path, Entry::File(Arc::new(Mutex::new(Content::at_rest(bytes)))));
        }
        Self::at_rest(seed, tree)
    }

    fn at_rest(seed: u64, tree: Tree) -> Self {
        let state = State {
            powered: true,
            random: Rng::with_seed(seed),
            stamp: 0,
            names: Names::at_rest(tree),
            plan: faults::Plan::default(),
            capacity: None,
            pauses_max: 0,
            locked: BTreeSet::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// This disk as a device, with `clock` and randomness by the disk's seed.
    pub fn device(&self, clock: Arc<dyn Clock>) -> Device {
        self.device_with(clock, false)
    }

    /// The same, with log threads as tasks of the `LocalSet` they are started in: then everything
    /// runs on one thread, and one seed gives one run. A store that was dropped ends as that set is
    /// driven on; see [`Self::is_in_use`].
    pub fn single_threaded_device(&self, clock: Arc<dyn Clock>) -> Device {
        self.device_with(clock, true)
    }

    fn device_with(&self, clock: Arc<dyn Clock>, as_tasks: bool) -> Device {
        let seed = self.lock().random.u64(..);
        Device {
            files: Arc::new(handles::SimulatedFiles(self.clone())),
            log: Arc::new(handles::SimulatedLog { disk: self.clone(), as_tasks }),
            clock,
            entropy: Arc::new(SeededEntropy(Mutex::new(Rng::with_seed(seed)))),
        }
    }

    /// All files as the process sees them. Directories without files are left out.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.lock();
        let files = state.names.now().iter().filter_map(|(path, entry)| match entry {
            Entry::File(content) => Some((path.clone(), lock(content).now().to_vec())),
            Entry::Directory => None,
        });
        files.collect()
    }

    /// Cuts the power: every call on this disk fails from now on, locks are gone. Returns the disk
    /// as found afterwards; `seed` draws what survives and is the new disk's seed.
    #[must_use]
    pub fn power_cut(&self, seed: u64, survive: Survive) -> Self {
        self.lock().powered = false;
        self.after_power_cut(seed, survive)
    }

    /// The disk as it would be found after a power cut now; this one goes on.
    #[must_use]
    pub fn after_power_cut(&self, seed: u64, survive: Survive) -> Self {
        self.cut(seed, survive).0
    }

    /// How many sectors, lengths and names a power cut now would decide about.
    pub fn changes_at_risk(&self) -> u32 {
        self.cut(0, Survive::None).1
    }

    fn cut(&self, seed: u64, survive: Survive) -> (Self, u32) {
        let state = self.lock();
        let mut cut = Cut::new(seed, survive, state.oldest_unsynced(), state.stamp);
        let mut found = Tree::new();
        for (path, entry) in state.names.after(&mut cut) {
            let entry = match entry {
                Entry::Directory => Entry::Directory,
                Entry::File(content) => {
                    let content = Content::at_rest(lock(&content).after(&mut cut));
                    Entry::File(Arc::new(Mutex::new(content)))
                }
            };
            found.insert(path, entry);
        }
        (Self::at_rest(seed, found), cut.decided)
    }

    /// Kills the process: every call on this disk fails from now on, locks are gone. Returns the
    /// disk with all the system's caches as they are, synced or not.
    #[must_use]
    pub fn kill(&self, seed: u64) -> Self {
        let mut dead = self.lock();
        dead.powered = false;
        let state = State {
            powered: true,
            random: Rng::with_seed(seed),
            stamp: dead.stamp,
            names: std::mem::take(&mut dead.names),
            plan: faults::Plan::default(),
            capacity: dead.capacity,
            pauses_max: dead.pauses_max,
            locked: BTreeSet::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// True until the power has gone off.
    pub fn is_powered(&self) -> bool {
        self.lock().powered
    }

    /// True while anybody holds a lock on a directory.
    pub fn is_in_use(&self) -> bool {
        !self.lock().locked.is_empty()
    }

    /// Bytes of all files together.
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_bytes()
    }

    /// Lets the `nth` call of that kind from now on fail, 1 being the next.
    pub fn fail_nth(&self, operation: Operation, nth: u64, fault: Fault) {
        self.lock().plan.add(operation, nth, fault);
    }

    /// The next sync of a file fails and loses what was unsynced; the one after it says all is
    /// well.
    pub fn fail_sync_once_losing_pages(&self) {
        self.fail_nth(Operation::SyncData, 1, Fault::LosePages);
    }

    /// Lets each call of a kind meet a fault with that many chances in 10,000.
    pub fn set_fault_rates(&self, rates: Vec<(Operation, Fault, u32)>) {
        self.lock().plan.set_rates(rates);
    }

    /// How many calls of each kind have met each fault.
    pub fn faults_met(&self) -> BTreeMap<(Operation, Fault), u64> {
        self.lock().plan.met().clone()
    }

    /// Forgets all faults that have not come yet.
    pub fn clear_faults(&self) {
        self.lock().plan.clear();
    }

    /// How many calls of that kind there were.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.lock().plan.calls(operation)
    }

    /// Bounds the bytes of all files together; `None` lifts the bound. What is there stays.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// Lets every call give way to other tasks up to that many times before it takes effect.
    pub fn set_pauses_max(&self, pauses: u32) {
        self.lock().pauses_max = pauses;
    }

    /// Changes a file at rest: on the device and in the page cache alike.
    ///
    /// # Errors
    /// There is no such file.
    pub fn alter(&self, path: &Path, mut change: impl FnMut(&mut [u8])) -> io::Result<()> {
        let content = self.lock().names.file(path)?;
        lock(&content).alter(&mut change);
        Ok(())
    }

    /// Flips bit `bit` (0 to 7) of byte `byte` at rest; nothing when the file is shorter.
    ///
    /// # Errors
    /// There is no such file.
    pub fn flip_bit(&self, path: &Path, byte: usize, bit: u8) -> io::Result<()> {
        self.alter(path, |bytes| {
            if let Some(found) = bytes.get_mut(byte) {
                *found ^= 1 << (bit & 7);
            }
        })
    }

    /// Fills a sector with zeros, or with random bytes by the disk's seed; nothing when the file
    /// has no such whole sector.
    ///
    /// # Errors
    /// There is no such file.
    pub fn spoil_sector(&self, path: &Path, sector: usize, zeros: bool) -> io::Result<()> {
        let mut garbage = [0; SECTOR_BYTES];
        if !zeros {
            self.lock().random.fill(&mut garbage);
        }
        self.alter(path, |bytes| {
            if let Some(found) = bytes.chunks_exact_mut(SECTOR_BYTES).nth(sector) {
                found.copy_from_slice(&garbage);
            }
        })
    }

    /// Lets every read of any of these bytes of a file fail from now on, until the power is cut.
    ///
    /// # Errors
    /// There is no such file.
    pub fn make_unreadable(&self, path: &Path, range: Range<usize>) -> io::Result<()> {
        let content = self.lock().names.file(path)?;
        lock(&content).make_unreadable(range);
        Ok(())
    }

    /// Swaps two sectors of a file; nothing when the file does not have both whole.
    ///
    /// # Errors
    /// There is no such file.
    pub fn swap_sectors(&self, path: &Path, one: usize, other: usize) -> io::Result<()> {
        self.alter(path, |bytes| {
            let (low, high) = (one.min(other) * SECTOR_BYTES, one.max(other) * SECTOR_BYTES);
            if low < high && high + SECTOR_BYTES <= bytes.len() {
                let (head, tail) = bytes.split_at_mut(high);
                head[low..low + SECTOR_BYTES].swap_with_slice(&mut tail[..SECTOR_BYTES]);
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Gives way to other tasks as often as the seed says.
    async fn pause(&self) {
        let pauses = {
            let mut state = self.lock();
            let most = state.pauses_max;
            state.random.u32(..=most)
        };
        for _ in 0..pauses {
            tokio::task::yield_now().await;
        }
    }

    /// One call: counted and admitted at first, in effect after a pause. `begin` sees the state
    /// when the call starts and hands what it notes to `finish`.
    fn call<Noted: Send + 'static, T: Send + 'static>(
        &self,
        operation: Operation,
        path: &Path,
        begin: impl FnOnce(&mut State, Option<Fault>) -> io::Result<Noted> + Send + 'static,
        finish: impl FnOnce(&mut State, Noted) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<Result<T, DeviceError>> {
        let (disk, path) = (self.clone(), path.to_path_buf());
        Box::pin(async move {
            let mut stall = None;
            let begun = disk.lock().powered().and_then(|state| {
                let mut fault = state.plan.next(operation, &mut state.random);
                if fault == Some(Fault::Stall) {
                    stall = Some(Duration::from_millis(state.random.u64(1..60_000)));
                    fault = None;
                }
                state.powered = fault != Some(Fault::PowerOff);
                begin(state, fault)
            });
            let done = match begun {
                Ok(noted) => {
                    if let Some(stall) = stall {
                        tokio::time::sleep(stall).await;
                    }
                    disk.pause().await;
                    disk.lock().powered().and_then(|state| finish(state, noted))
                }
                Err(error) => Err(error),
            };
            done.map_err(|error| DeviceError::new(operation.verb(), path, &error))
        })
    }

    /// A call that a fault prevents altogether.
    fn simple_call<T: Send + 'static>(
        &self,
        operation: Operation,
        path: &Path,
        action: impl FnOnce(&mut State) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<Result<T, DeviceError>> {
        let admit = |_: &mut State, fault: Option<Fault>| {
            fault.filter(|fault| fault.is_error()).map_or(Ok(()), |fault| Err(fault.error()))
        };
        self.call(operation, path, admit, |state, ()| action(state))
    }

    /// A sync. It covers what was changed before it began; a fault fails it, and may lose that.
    fn sync_call(
        &self,
        operation: Operation,
        path: &Path,
        apply: impl FnOnce(&mut State, SyncEffect) -> io::Result<()> + Send + 'static,
    ) -> BoxFuture<Result<(), DeviceError>> {
        let begin = |state: &mut State, fault: Option<Fault>| Ok((state.stamp, fault));
        self.call(operation, path, begin, |state, (stamp, fault)| {
            let Some(fault) = fault.filter(|fault| fault.is_error()) else {
                return apply(state, SyncEffect::Keep { stamp });
            };
            if fault == Fault::LosePages {
                apply(state, SyncEffect::Lose)?;
            }
            Err(fault.error())
        })
    }
}

/// What a sync does to what is unsynced.
#[derive(Clone, Copy, Debug)]
enum SyncEffect {
    /// Changes up to `stamp` become durable.
    Keep { stamp: u64 },
    /// They never will.
    Lose,
}

impl SyncEffect {
    fn apply(self, content: &mut Content) {
        match self {
            Self::Keep { stamp } => content.sync(stamp),
            Self::Lose => content.lose_unsynced(),
        }
    }
}

impl State {
    fn powered(&mut self) -> io::Result<&mut Self> {
        if self.powered { Ok(self) } else { Err(io::Error::other("the power is off")) }
    }

    /// Stamp of the first change that a power cut may take away; the next stamp when there is none.
    fn oldest_unsynced(&self) -> u64 {
        let files = self.names.all_files();
        let in_files = files.iter().filter_map(|file| lock(file).oldest_unsynced());
        in_files.chain(self.names.oldest_unsynced()).min().unwrap_or(self.stamp + 1)
    }

    fn used_bytes(&self) -> u64 {
        let lengths = self.names.now().values().map(|entry| match entry {
            Entry::File(content) => lock(content).now().len() as u64,
            Entry::Directory => 0,
        });
        lengths.sum()
    }

    fn free_bytes(&self) -> u64 {
        let used = self.used_bytes();
        // Without a bound: more than any test fills.
        self.capacity.unwrap_or(1 << 50).saturating_sub(used)
    }

    /// Where a misdirected write of `len` bytes for `start` lands: at another sector, with the same
    /// place in it, inside the file where that is long enough.
    fn astray(&mut self, content: &Mutex<Content>, start: usize, len: usize) -> usize {
        let room = lock(content).now().len().saturating_sub(len) / SECTOR_BYTES;
        let sector = self.random.usize(..=room);
        let other = if sector == start / SECTOR_BYTES { sector + 1 } else { sector };
        other * SECTOR_BYTES + start % SECTOR_BYTES
    }

    /// Writes unsynced; answers where. A fault, or the end of the space, cuts the write short and
    /// fails it.
    fn write(
        &mut self,
        content: &Mutex<Content>,
        offset: u64,
        bytes: &[u8],
        fault: Option<Fault>,
    ) -> io::Result<usize> {
        let too_large = || io::Error::from(io::ErrorKind::FileTooLarge);
        let start = usize::try_from(offset).map_err(|_| too_large())?;
        let end = start.checked_add(bytes.len()).ok_or_else(too_large)?;
        let growth = end.saturating_sub(lock(content).now().len()) as u64;
        let over = match self.capacity {
            Some(_) if growth > 0 => growth.saturating_sub(self.free_bytes()),
            _ => 0,
        };
        // What does not fit is less than the write, which is in memory.
        let fitting = bytes.len().saturating_sub(usize::try_from(over).unwrap_or(usize::MAX));
        let start = if fault == Some(Fault::Misdirected) {
            self.astray(content, start, bytes.len())
        } else {
            start
        };
        let fault = fault.filter(|fault| fault.is_error());
        let fault = fault.or((over > 0).then_some(Fault::Full));
        let kept = if fault.is_some() { self.random.usize(..=fitting) } else { fitting };
        lock(content).write(start, &bytes[..kept], &mut self.stamp);
        fault.map_or(Ok(start), |fault| Err(fault.error()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that panicked has failed already; others may go on.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Random numbers by seed.
#[derive(Debug)]
struct SeededEntropy(Mutex<Rng>);

impl Entropy for SeededEntropy {
    fn next_u64(&self) -> u64 {
        lock(&self.0).u64(..)
    }
}
