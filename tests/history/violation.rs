//! What a history can show that no store may do, in words.

use super::{Moment, Number, ShardId};

/// The sort of a violation, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Something is gone that must be there.
    Lost,
    /// Something is other than it was sent or read before.
    Altered,
    /// Something is there more than once, or a number stands for two things.
    Duplicated,
    /// Something is not in its order.
    Reordered,
    /// Something is there that must not be.
    Invented,
    /// Shards do not fit together.
    Lineage,
    /// The history is not complete enough to be judged.
    Incomplete,
}

/// One thing that no store may do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named by the texts")]
pub enum Violation {
    /// P1.
    #[error("record {number} of shard {shard} was acknowledged and is gone")]
    Lost { shard: ShardId, number: Number },
    /// P2.
    #[error("record {number} of shard {shard} was read before and is missing from a later read")]
    ReadThenLost { shard: ShardId, number: Number },
    /// Reads give all that was acknowledged or read before they were asked for.
    #[error(
        "a read of shard {shard} asked for at {asked} said it was at the end, before record {number} known by then"
    )]
    Behind { shard: ShardId, number: Number, asked: Moment },
    /// No gap.
    #[error("an iterator of shard {shard} skipped record {number}")]
    Skipped { shard: ShardId, number: Number },
    /// An iterator that begins at a record, a time or the oldest begins there.
    #[error("an iterator of shard {shard} began after record {number}, where it had to begin")]
    BeganLate { shard: ShardId, number: Number },
    /// The same from the other side.
    #[error("an iterator of shard {shard} began at record {number}, before its start")]
    BeganEarly { shard: ShardId, number: Number },
    /// Retention.
    #[error("record {number} of shard {shard} was trimmed within its retention")]
    TrimmedEarly { shard: ShardId, number: Number },
    /// P1, P5.
    #[error("record {number} of shard {shard} holds other bytes than were acknowledged")]
    Altered { shard: ShardId, number: Number },
    /// P5.
    #[error("record {number} of shard {shard} was read in two versions")]
    ReadsDiffer { shard: ShardId, number: Number },
    /// P5.
    #[error("record {number} of shard {shard} was never sent")]
    NeverSent { shard: ShardId, number: Number },
    /// P1.
    #[error("what was acknowledged as {number} of shard {shard} is {other} of shard {other_shard}")]
    Misplaced { shard: ShardId, number: Number, other_shard: ShardId, other: Number },
    /// P1, P4.
    #[error("what was sent once is both {first} of shard {first_shard} and {number} of {shard}")]
    StoredTwice { first_shard: ShardId, first: Number, shard: ShardId, number: Number },
    /// P3.
    #[error("number {number} of shard {shard} was given to two records")]
    NumberGivenTwice { shard: ShardId, number: Number },
    /// No repeat.
    #[error("an iterator of shard {shard} gave record {number} twice")]
    Repeated { shard: ShardId, number: Number },
    /// P3.
    #[error("an iterator of shard {shard} gave record {number} after {before}")]
    OutOfOrder { shard: ShardId, before: Number, number: Number },
    /// P3.
    #[error("record {number} of shard {shard} arrived before the one in front of it")]
    ArrivalFell { shard: ShardId, number: Number },
    /// P3, real time.
    #[error(
        "record {number} of shard {shard} was sent after {later} was acknowledged, and stands before it"
    )]
    OrderOfTime { shard: ShardId, number: Number, later: Number },
    /// P4.
    #[error("record {number} of shard {shard} had been refused")]
    RefusedYetStored { shard: ShardId, number: Number },
    /// Cause and effect.
    #[error("record {number} of shard {shard} was read before it was sent")]
    ReadBeforeSent { shard: ShardId, number: Number },
    /// The end of a shard is its end.
    #[error("shard {shard} was said to have ended before its record {number}")]
    EndedEarly { shard: ShardId, number: Number },
    /// The end of a shard is its end.
    #[error("an iterator of shard {shard} was read on after the end")]
    ReadAfterEnd { shard: ShardId },
    /// The end of a shard names what comes next.
    #[error("at its end shard {shard} named the children {named:?} and has {listed:?}")]
    WrongChildren { shard: ShardId, named: Vec<ShardId>, listed: Vec<ShardId> },
    /// Children come after their parents.
    #[error(
        "record {number} of shard {shard} was sent after its descendant {child} had acknowledged one"
    )]
    ParentAfterChild { shard: ShardId, number: Number, child: ShardId },
    /// Children come after their parents.
    #[error("record {number} of shard {shard} has no higher number than its ancestors' last")]
    NumberBelowParent { shard: ShardId, number: Number },
    /// Open shards cover the hash keys once.
    #[error("hash key {key} belongs to no open shard at {at}")]
    KeyUncovered { key: u128, at: Moment },
    /// Open shards cover the hash keys once.
    #[error("hash key {key} belongs to more than one open shard at {at}")]
    KeyCoveredTwice { key: u128, at: Moment },
    /// A key chooses the shard.
    #[error("record {number} went to shard {shard}, where its key does not belong")]
    WrongShard { shard: ShardId, number: Number },
    /// Shards have names.
    #[error("records were acknowledged in shard {shard}, which was never listed")]
    UnlistedShard { shard: ShardId },
    /// What was said of a shard stays true.
    #[error("shard {shard} has changed its parents or hash keys")]
    ShardChanged { shard: ShardId },
    /// A change of shards that was answered is carried out.
    #[error("a split or merge of shard {shard} was acknowledged and is lost")]
    ReshardLost { shard: ShardId },
    /// What was said of a shard stays true.
    #[error("shard {shard} was closed and is open again")]
    Reopened { shard: ShardId },
    /// What was said of a shard stays true.
    #[error("shard {shard} was open and is not listed any more")]
    ShardLost { shard: ShardId },
    /// Without this nothing is proved.
    #[error("shard {shard} was not read to its end after everything else")]
    NotReadToTheEnd { shard: ShardId },
    /// The recorder needs each record to be told from all others.
    #[error("the attempts {first} and {second} sent the same content")]
    SameContent { first: usize, second: usize },
}

impl Violation {
    /// What it is counted as.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Lost { .. }
            | Self::ReadThenLost { .. }
            | Self::Behind { .. }
            | Self::Skipped { .. }
            | Self::BeganLate { .. }
            | Self::TrimmedEarly { .. }
            | Self::EndedEarly { .. } => Kind::Lost,
            Self::Altered { .. } | Self::ReadsDiffer { .. } => Kind::Altered,
            Self::StoredTwice { .. } | Self::NumberGivenTwice { .. } | Self::Repeated { .. } => {
                Kind::Duplicated
            }
            Self::OutOfOrder { .. }
            | Self::ArrivalFell { .. }
            | Self::OrderOfTime { .. }
            | Self::Misplaced { .. }
            | Self::ParentAfterChild { .. }
            | Self::NumberBelowParent { .. } => Kind::Reordered,
            Self::NeverSent { .. }
            | Self::BeganEarly { .. }
            | Self::RefusedYetStored { .. }
            | Self::ReadAfterEnd { .. }
            | Self::ReadBeforeSent { .. } => Kind::Invented,
            Self::WrongChildren { .. }
            | Self::KeyUncovered { .. }
            | Self::KeyCoveredTwice { .. }
            | Self::WrongShard { .. }
            | Self::UnlistedShard { .. }
            | Self::ReshardLost { .. }
            | Self::ShardChanged { .. }
            | Self::Reopened { .. }
            | Self::ShardLost { .. } => Kind::Lineage,
            Self::NotReadToTheEnd { .. } | Self::SameContent { .. } => Kind::Incomplete,
        }
    }
}
