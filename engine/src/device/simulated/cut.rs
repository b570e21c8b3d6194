//! What a power cut leaves of changes that were not synced.

use fastrand::Rng;

/// Which unsynced changes survive a power cut: writes of sectors, growth, and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survive {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// Any subset, each sector, length and name by itself; also versions that were overwritten.
    Random,
    /// Everything up to a random moment and nothing later: the last write may be torn.
    Torn,
    /// Of the unsynced sectors, lengths and names, in order, those whose bit is set; none after
    /// the 64th.
    Chosen(u64),
}

/// One power cut; decides for each change.
#[derive(Debug)]
pub(super) struct Cut {
    survive: Survive,
    random: Rng,
    /// `Torn`: changes with a later stamp are lost.
    last_stamp: u64,
    /// `Random`: how many of 16 changes survive.
    sixteenths: u8,
    /// Changes decided so far.
    pub(super) decided: u32,
}

impl Cut {
    /// `newest` is the last stamp given out, `oldest_unsynced` the first that may be lost.
    pub(super) fn new(seed: u64, survive: Survive, oldest_unsynced: u64, newest: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let last_stamp = random.u64(oldest_unsynced.saturating_sub(1)..=newest);
        // A subset drawn evenly would hardly ever miss just one sector of many, or keep just one.
        let sixteenths = *random.choice(&[1, 8, 15]).expect("the choices are not empty");
        Self { survive, random, last_stamp, sixteenths, decided: 0 }
    }

    /// Which of the changes with these stamps, oldest first, is found; `None` is the state before
    /// all of them.
    pub(super) fn survivor(&mut self, stamps: &[u64]) -> Option<usize> {
        let newest = stamps.len().checked_sub(1)?;
        let place = self.decided;
        self.decided += 1;
        match self.survive {
            Survive::All => Some(newest),
            Survive::Torn => stamps.iter().rposition(|stamp| *stamp <= self.last_stamp),
            Survive::Random if self.random.u8(..16) < self.sixteenths => {
                Some(if self.random.bool() { newest } else { self.random.usize(..=newest) })
            }
            Survive::Chosen(bits) if bits.checked_shr(place).unwrap_or(0) & 1 == 1 => Some(newest),
            Survive::None | Survive::Random | Survive::Chosen(_) => None,
        }
    }
}
