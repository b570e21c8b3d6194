//! The kernel's switch that forbids new rings (`io_uring_disabled`, since Linux 6.6), as it was
//! before once the run is over. A ring that a process has already is its own.

use crate::process::Process;
use crate::report::Tally;
use crate::system::{Broken, Failure};

const SWITCH: &str = "/proc/sys/kernel/io_uring_disabled";
/// Values of the switch: anybody may have a ring, nobody may.
const ALLOWED: &str = "0";
const FORBIDDEN: &str = "2";
/// What the server says when it goes without a ring.
const WITHOUT: &str = "the log is written by threads";

/// Holds what the switch was.
#[derive(Debug)]
pub(crate) struct Switch {
    before: String,
}

/// Why rings cannot be forbidden here, if they cannot.
pub(crate) fn missing() -> Option<String> {
    read().and_then(|now| set(&now)).err().map(|failure| format!("{SWITCH}: {failure}"))
}

fn read() -> Result<String, Failure> {
    Ok(std::fs::read_to_string(SWITCH)?.trim().to_owned())
}

#[expect(clippy::disallowed_methods, reason = "the kernel's switch, no file of a store")]
fn set(value: &str) -> Result<(), Failure> {
    Ok(std::fs::write(SWITCH, value)?)
}

impl Switch {
    /// Remembers how it stands.
    pub(crate) fn take() -> Result<Self, Failure> {
        Ok(Self { before: read()? })
    }

    /// Turns it to the other side.
    pub(crate) fn turn() -> Result<(), Failure> {
        set(if is_allowed()? { FORBIDDEN } else { ALLOWED })
    }

    /// A server that has just started has a ring if it may.
    pub(crate) fn check(server: &Process, tally: &mut Tally) -> Result<(), Failure> {
        let (is_allowed, has_ring) = (is_allowed()?, !server.log().contains(WITHOUT));
        if is_allowed != has_ring {
            let words = format!("rings allowed: {is_allowed}, used: {has_ring}\n{}", server.log());
            return Err(Broken(words).into());
        }
        tally.starts_without_ring += u64::from(!has_ring);
        Ok(())
    }
}

fn is_allowed() -> Result<bool, Failure> {
    Ok(read()? == ALLOWED)
}

impl Drop for Switch {
    fn drop(&mut self) {
        if let Err(failure) = set(&self.before) {
            eprintln!("{SWITCH} was {} and could not be put back: {failure}", self.before);
        }
    }
}
