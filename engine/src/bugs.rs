//! Faults of the program that can be switched on, so that the simulation proves that it finds them.
//!
//! Only the feature `seeded-bugs`, which no product build has, makes the switch; without it
//! [`is_on`] is a constant, and nothing of all this is left in the program.

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $($(#[$doc])* $name,)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

bugs! {
    /// Groups are written to the log and not synced.
    LogNotSynced,
    /// A log file that was made is not synced under its name.
    LogNameNotSynced,
    /// The header of a recycled log file is not synced.
    LogHeaderNotSynced,
    /// A checkpoint does not sync segments.
    SegmentsNotSynced,
    /// A checkpoint does not sync the names of segments.
    SegmentNamesNotSynced,
    /// A manifest is written and not synced.
    ManifestNotSynced,
    /// A change of streams is written and not synced.
    CatalogNotSynced,
    /// What the last process left unsynced in the log is not synced by a start.
    ReplayNotSynced,
    /// What the last process could not sync of the log is not written again by a start.
    ReplayNotWritten,
    /// What a start has cut off the log is left there.
    CutComesBack,
    /// What the last process left unsynced in the manifests is not synced by a start. It takes a
    /// power cut that tears the next manifest as well: no seed so far.
    FoundManifestNotSynced,
    /// What the last process could not sync of the manifests is not written again by a start. Since a
    /// slot has its name only once it is synced, the disk holds an older manifest there that still
    /// serves, unless it is torn: no seed so far.
    FoundManifestNotWritten,
    /// Names that the last process left unsynced are not synced by a start.
    FoundNamesNotSynced,
    /// Appends are answered before their group is written.
    AnsweredBeforeWritten,
    /// Records can be read before their group is written.
    DirtyRead,
    /// A failed sync of segments is tried again, and its success believed.
    SegmentSyncRetried,
    /// A failed sync of a manifest is tried again, and its success believed. The manifest before
    /// serves, unless the next one is torn: no seed so far.
    ManifestSyncRetried,
    /// A failed sync of the catalogue is tried again, and its success believed.
    CatalogSyncRetried,
    /// A failed write of the log counts as done.
    LogWriteErrorIgnored,
    /// A full disk counts as a write done.
    FullDiskAcknowledged,
    /// After a group could be written nowhere, writes go on.
    PoisonIgnored,
    /// After a failed checkpoint writes go on.
    CheckpointFailureIgnored,
    /// An append that was stored is refused.
    StoredYetRefused,
    /// Recovery ends at the first group that is not sound, whatever follows.
    CutAtFirstDamage,
    /// Recovery keeps a last group that is torn.
    TornTailKept,
    /// Ordinals that damage may have taken are given out again. The damage has to hit the last
    /// batch of a shard, and nothing else of it in the log: no seed so far.
    OrdinalsReused,
    /// Recovery forgets the first group of each file.
    ReplaySkipsGroup,
    /// Recovery ends with the first file.
    ReplaySkipsFile,
    /// After a start the newest log file is replaced.
    LogFileReplaced,
    /// A batch lies one place further on in its segment than its header says.
    BatchMisplaced,
    /// A batch leaves memory before its copy can be read.
    BatchLeavesEarly,
    /// The log is released before the checkpoint that allows it.
    LogReleasedEarly,
    /// The log is released for a manifest that the other one would still need.
    LogReleasedForNewest,
    /// A checkpoint's replay starts behind what it has copied.
    ReplayStartsLate,
    /// A manifest states what is not copied yet.
    ManifestAhead,
    /// All manifests go to one slot. It takes one that is torn between two sectors: no seed so far.
    OneManifestSlot,
    /// Files of expired segments go before the manifest that says so.
    GarbageRemovedEarly,
    /// A change of shards is not written down.
    ReshardNotWritten,
    /// A change of settings is not written down.
    ChangeNotWritten,
    /// Changes go to one mirror of the catalogue only.
    OneMirror,
    /// A closed shard still takes records.
    ParentStaysOpen,
    /// After a start a closed shard takes records again.
    ClosedShardReopened,
    /// The end of a closed shard is one too low.
    ParentEndsEarly,
    /// The end of arrivals is not kept.
    ArrivalLimitIgnored,
    /// After a start the end of arrivals is forgotten.
    ArrivalLimitForgotten,
    /// Arrival follows the clock, backwards too.
    ArrivalFalls,
    /// After a start the last arrival is forgotten.
    LastArrivalForgotten,
    /// The durable end is one too high.
    EndTooHigh,
    /// The durable end is one too low.
    EndTooLow,
    /// The durable end moves before the batch is in the tail cache. Between the two only another thread
    /// can look: `engine/shuttle` finds it.
    EndBeforeTail,
    /// Followers are not woken.
    FollowersNotWoken,
    /// Retention takes segments off the list before it says that they are not kept. Between the two only
    /// another thread can look: `engine/shuttle` finds it.
    SegmentsGoBeforeMark,
    /// Retention is an hour short.
    RetentionEarly,
    /// What retention gave up is not written down.
    TrimForgotten,
    /// A longer retention brings back what had expired.
    ExpiredComesBack,
    /// Records are shown after their retention.
    ExpiredShown,
    /// A read skips a record where it goes from a segment to memory.
    SeamSkipped,
    /// The search for a time goes one record too far.
    SearchTooFar,
    /// The search for a time stops at the batch before.
    SearchTooShort,
    /// Records are not checked.
    RecordUnchecked,
    /// Headers and tables of batches are not checked.
    BatchUnchecked,
    /// Heads of groups are not checked.
    GroupUnchecked,
    /// Manifests are not checked.
    ManifestUnchecked,
    /// Frames of the catalogue are not checked.
    CatalogUnchecked,
    /// Footers are not checked, and their hints are followed blindly.
    FooterTrusted,
}

/// True while the fault is switched on.
#[cfg(not(feature = "seeded-bugs"))]
#[inline]
pub const fn is_on(_bug: Bug) -> bool {
    false
}

#[cfg(feature = "seeded-bugs")]
pub use switch::{is_on, switch};

#[cfg(feature = "seeded-bugs")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static ON: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Switches one fault on for this thread, or all off.
    pub fn switch(bug: Option<Bug>) {
        ON.set(bug);
    }

    /// True while the fault is switched on.
    pub fn is_on(bug: Bug) -> bool {
        ON.get() == Some(bug)
    }
}
