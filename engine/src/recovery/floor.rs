//! Torn or corrupt: a pure function over the bytes of one commit-log file.
//!
//! Groups are written one at a time: group n+1 is submitted only after group n is durable, and
//! says so. Hence an invalid stretch followed anywhere later by a valid group (of this file, or of
//! a later one) whose durable position lies beyond it was once durable: corrupt, never cut.
//! An invalid stretch that nothing later vouches for is the torn tail of a write nobody was told
//! about. Between the two stands the tail group damaged by a single flipped bit: it is repaired,
//! since a torn sector does not look like one flipped bit.
//!
//! Groups of an earlier use of a recycled file carry another salt and never decode: after the last
//! group they are a clean end, as zeros are. So is a write of which not even the first sector
//! landed; `Torn` says that the start of a write was seen. Both are cut, only the report differs.
//!
//! The work is bounded by the length of the file: each group is read once, and a later page is
//! summed only when it claims the very log position that its place in the file gives it.

use crate::bugs::{self, Bug};
use crate::format::checksum::{FlippedBit, Salt};
use crate::format::group::Head;
use crate::format::{batch, group};
use crate::limits::PAGE_BYTES;
use crate::types::StoreId;

/// Where a scan starts: what is known of the group expected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Number of the next group.
    pub number: u64,
    /// Its log position.
    pub position: u64,
    /// Header CRC of the group before it; `None` when unknown.
    pub previous_crc: Option<u32>,
}

/// One group found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Offset in the file.
    pub offset: u64,
    /// Its head.
    pub head: Head,
}

/// How the scan of one file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing but zeros or groups of an earlier use of the file follows.
    Clean {
        /// Offset after the last group.
        offset: u64,
    },
    /// A group that was never acknowledged follows: it is cut.
    Torn {
        /// Where it starts.
        offset: u64,
    },
    /// Damage inside what was durable.
    Corrupt {
        /// Where it starts.
        offset: u64,
        /// Offset of the next sound group of this file, if any. `Scan::next` is what to expect
        /// there: a scan from here with it goes on after the damage.
        resume: Option<u64>,
    },
}

/// Result of scanning one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Sound groups in order. Batches inside may still be damaged where a later group vouches for
    /// this one; they are told apart by the batch checks.
    pub groups: Vec<Found>,
    /// How it ended.
    pub end: End,
    /// What the next file must continue with; what stands at `resume` where there is one.
    pub next: Expect,
    /// Flipped bits repaired in heads, and the one in `flipped`.
    pub repaired_bits: u64,
    /// The flipped bit in a batch of the last group, by its offset in the file: whoever reads the
    /// batches of that group flips it back first.
    pub flipped: Option<FlippedBit>,
}

/// Scans `file` (all bytes of the log file) from `offset`. `taken_over_at` is the log position at
/// which the next file that holds a sound group begins, `None` when there is no such file:
/// everything below it is in this file and was durable, and a group of this file at or above it
/// was written again there and is cut.
/// A group whose batches are damaged counts as torn only if it is the last one, nothing vouches
/// for it, and a single flipped bit does not explain the damage.
pub fn scan(
    file: &[u8],
    store: StoreId,
    sequence: u64,
    offset: u64,
    expect: Expect,
    taken_over_at: Option<u64>,
) -> Scan {
    let log = Log { file, store, sequence };
    let mut chain = Chain { offset, next: expect, groups: Vec::new() };
    let limit = taken_over_at.unwrap_or(u64::MAX);
    let stranger = chain.follow(&log, limit);
    let (offset, position) = (chain.offset, chain.next.position);
    let resume = match stranger {
        _ if bugs::is_on(Bug::CutAtFirstDamage) => None,
        None if position < limit => log.vouching_after(offset, position),
        found => found,
    };
    let taken_over_at = taken_over_at.filter(|_| !bugs::is_on(Bug::CutAtFirstDamage));
    let mut flipped = None;
    let end = if let Some((resume, head)) = resume {
        let Head { header, .. } = head;
        let (number, position) = (header.number, header.position);
        chain.next = Expect { number, position, previous_crc: None };
        End::Corrupt { offset, resume: Some(resume) }
    } else if taken_over_at.is_some_and(|start| start > position) {
        End::Corrupt { offset, resume: None }
    } else if log.write_was_started(offset, chain.next) {
        End::Torn { offset }
    } else if taken_over_at.is_some() {
        End::Clean { offset }
    } else {
        match chain.groups.last().map_or(LastGroup::Sound, |last| log.judge(last)) {
            LastGroup::Sound => End::Clean { offset },
            LastGroup::OneBit(bit) => {
                flipped = Some(bit);
                End::Clean { offset }
            }
            LastGroup::Torn => End::Torn { offset: chain.cut_last(expect) },
        }
    };
    let heads = chain.groups.iter().filter(|found| found.head.repaired).count();
    let repaired_bits = heads as u64 + u64::from(flipped.is_some());
    Scan { groups: chain.groups, end, next: chain.next, repaired_bits, flipped }
}

/// A later group that proves an earlier stretch to have been durable, and where it stands.
type Voucher = (u64, Head);

/// What the bytes of a last group that nothing vouches for say.
enum LastGroup {
    Sound,
    OneBit(FlippedBit),
    Torn,
}

/// Groups that follow one another.
struct Chain {
    /// Offset after the last one.
    offset: u64,
    /// What must stand there.
    next: Expect,
    groups: Vec<Found>,
}

impl Chain {
    /// Adds groups below the position `limit` until there is none. A sound group that does
    /// not follow the one before it ends the chain too and is returned: something between them is
    /// missing.
    fn follow(&mut self, log: &Log<'_>, limit: u64) -> Option<Voucher> {
        while self.next.position < limit {
            let (bytes, salt) = (log.from(self.offset), log.salt(self.offset));
            let head = group::decode_head(bytes, salt).ok()?;
            let header = &head.header;
            let follows = header.number == self.next.number
                && header.position == self.next.position
                && self.next.previous_crc.is_none_or(|crc| crc == header.previous_crc);
            if !follows {
                return (!head.repaired).then_some((self.offset, head));
            }
            let offset = self.offset;
            self.offset = offset.saturating_add(u64::from(header.bytes));
            self.next = after(&head);
            self.groups.push(Found { offset, head });
        }
        None
    }

    /// Takes the last group away again and returns its offset; `first` is what the first group
    /// was expected to be.
    fn cut_last(&mut self, first: Expect) -> u64 {
        if let Some(cut) = self.groups.pop() {
            self.offset = cut.offset;
            self.next = self.groups.last().map_or(first, |last| after(&last.head));
        }
        self.offset
    }
}

/// What the group after this one must be.
fn after(head: &Head) -> Expect {
    let header = &head.header;
    Expect {
        number: header.number.saturating_add(1),
        position: header.position.saturating_add(u64::from(header.bytes)),
        previous_crc: Some(header.crc),
    }
}

/// The file being scanned.
struct Log<'a> {
    file: &'a [u8],
    store: StoreId,
    sequence: u64,
}

impl<'a> Log<'a> {
    fn salt(&self, offset: u64) -> Salt {
        group::salt(self.store, self.sequence, offset)
    }

    /// The file from `offset` on; nothing when it ends before.
    fn from(&self, offset: u64) -> &'a [u8] {
        usize::try_from(offset).ok().and_then(|offset| self.file.get(offset..)).unwrap_or_default()
    }

    /// The first group on a page after the one at `offset`, where a group of `position` should be,
    /// that says that more than `position` was durable.
    fn vouching_after(&self, offset: u64, position: u64) -> Option<Voucher> {
        let pages = (self.from(offset).len() / PAGE_BYTES) as u64;
        (1..pages).map(|page| page * PAGE_BYTES as u64).find_map(|distance| {
            let at = offset + distance;
            let bytes = self.from(at);
            if group::claimed_position(bytes) != position.checked_add(distance) {
                return None;
            }
            let head = group::decode_sound_head(bytes, self.salt(at)).ok()?;
            (head.header.durable_position > position).then_some((at, head))
        })
    }

    /// True when the first sector of the expected group is there, though the group is not sound.
    /// Its header names the CRC of the group before, which it was submitted after: that one was
    /// durable then.
    fn write_was_started(&self, offset: u64, expect: Expect) -> bool {
        let Expect { number, position, previous_crc } = expect;
        previous_crc.is_some_and(|crc| group::names(self.from(offset), number, position, crc))
    }

    /// Checks the batches of a group that nothing vouches for.
    fn judge(&self, last: &Found) -> LastGroup {
        let bytes = self.from(last.offset);
        let mut flips = u32::from(last.head.repaired);
        let mut flipped = None;
        for (prefix, range) in last.head.batches() {
            let start = range.start;
            let salt = batch::salt(prefix.segment, prefix.offset);
            match bytes.get(range).map(|batch| batch::inspect(batch, salt)) {
                Some(Ok(None)) => {}
                Some(Ok(Some(bit))) => {
                    flips += 1;
                    let in_file = usize::try_from(last.offset).map(|at| bit.moved_by(at + start));
                    flipped = in_file.ok();
                }
                Some(Err(_)) if bugs::is_on(Bug::TornTailKept) => {}
                Some(Err(_)) | None => return LastGroup::Torn,
            }
            if flips > 1 {
                return LastGroup::Torn;
            }
        }
        flipped.map_or(LastGroup::Sound, LastGroup::OneBit)
    }
}

#[cfg(test)]
mod tests;
