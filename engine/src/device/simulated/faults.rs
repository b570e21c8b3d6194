//! What goes wrong, and when.

use std::collections::BTreeMap;
use std::io;

use fastrand::Rng;

/// A kind of call on the simulated disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Any of the others.
    Any,
    /// `Files::create_dir_all`.
    CreateDirectory,
    /// `Files::list`.
    List,
    /// `Files::create`.
    Create,
    /// `Files::open`, `Files::open_read` and the log's open.
    Open,
    /// `Files::rename`.
    Rename,
    /// `Files::remove`.
    Remove,
    /// `Files::sync_dir`.
    SyncDirectory,
    /// `Files::sync_all_files`.
    SyncAllFiles,
    /// `Files::free_bytes`.
    FreeBytes,
    /// `Files::lock`.
    Lock,
    /// `File::bytes`.
    Measure,
    /// `File::read`.
    Read,
    /// `File::write`.
    Write,
    /// `File::sync_data`.
    SyncData,
    /// `File::map`.
    Map,
    /// `Files::prefault`.
    Prefault,
    /// `LogFile::write_durable`.
    LogWrite,
}

impl Operation {
    /// The verb phrase errors carry.
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Any => "do",
            Self::CreateDirectory => "create directory",
            Self::List => "list",
            Self::Create => "create",
            Self::Open => "open",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::SyncDirectory => "sync directory",
            Self::SyncAllFiles => "sync file system",
            Self::FreeBytes => "free space",
            Self::Lock => "lock",
            Self::Measure => "measure",
            Self::Read => "read",
            Self::Write | Self::LogWrite => "write",
            Self::SyncData => "sync",
            Self::Map => "map",
            Self::Prefault => "read map",
        }
    }
}

/// How a call fails. A write that fails leaves a part of its bytes behind, drawn by the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// EIO.
    Io,
    /// ENOSPC.
    Full,
    /// A sync fails with EIO and what was unsynced never reaches the device although it stays
    /// visible; the next sync succeeds. Other calls: as `Io`.
    LosePages,
    /// A write succeeds, yet its bytes land at another place of the file, drawn by the seed. Other
    /// calls: none.
    Misdirected,
    /// A read or a map succeeds with one bit flipped. Other calls: none.
    FlippedRead,
    /// The call takes up to a minute and succeeds.
    Stall,
    /// The power goes off with this call: it fails as all later ones do.
    PowerOff,
}

impl Fault {
    /// True when the call fails with an error.
    pub(super) const fn is_error(self) -> bool {
        !matches!(self, Self::Misdirected | Self::FlippedRead | Self::Stall)
    }

    /// The system's error.
    pub(super) fn error(self) -> io::Error {
        let code = match self {
            Self::Full => rustix::io::Errno::NOSPC,
            Self::PowerOff => return io::Error::other("the power is off"),
            Self::Io | Self::LosePages | Self::Misdirected | Self::FlippedRead | Self::Stall => {
                rustix::io::Errno::IO
            }
        };
        code.into()
    }
}

/// Faults to come, and calls so far.
#[derive(Debug, Default)]
pub(super) struct Plan {
    planned: Vec<(Operation, u64, Fault)>,
    /// Chances in 10,000 calls.
    rates: Vec<(Operation, Fault, u32)>,
    calls: BTreeMap<Operation, u64>,
    met: BTreeMap<(Operation, Fault), u64>,
}

impl Plan {
    pub(super) fn add(&mut self, operation: Operation, nth: u64, fault: Fault) {
        self.planned.push((operation, nth.max(1), fault));
    }

    pub(super) fn set_rates(&mut self, rates: Vec<(Operation, Fault, u32)>) {
        self.rates = rates;
    }

    pub(super) fn clear(&mut self) {
        self.planned.clear();
        self.rates.clear();
    }

    pub(super) const fn met(&self) -> &BTreeMap<(Operation, Fault), u64> {
        &self.met
    }

    pub(super) fn calls(&self, operation: Operation) -> u64 {
        self.calls.get(&operation).copied().unwrap_or(0)
    }

    /// Counts a call; answers with the fault that meets it.
    pub(super) fn next(&mut self, operation: Operation, random: &mut Rng) -> Option<Fault> {
        for counted in [operation, Operation::Any] {
            *self.calls.entry(counted).or_default() += 1;
        }
        let mut met = None;
        self.planned.retain_mut(|(kind, left, fault)| {
            if *kind == operation || *kind == Operation::Any {
                *left -= 1;
            }
            if *left == 0 {
                met = Some(*fault);
            }
            *left > 0
        });
        for (kind, fault, chance) in &self.rates {
            if (*kind == operation || *kind == Operation::Any) && random.u32(..10_000) < *chance {
                met = met.or(Some(*fault));
            }
        }
        if let Some(fault) = met {
            *self.met.entry((operation, fault)).or_default() += 1;
        }
        met
    }
}
