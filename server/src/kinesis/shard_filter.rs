//! The six shard filters of `ListShards`.
//!
//! The filters that ask for one moment must give shards that cover the hash key space exactly once,
//! also where the answer has several pages and the stream is resharded between them. So a filter is
//! settled when the first page is made, into a form that later changes do not alter, and travels in
//! the page token.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use kinelog_engine::types::{Shard, ShardIndex, Stream, Timestamp};
use serde::{Deserialize, Serialize};

use super::shard_id::ShardId;
use super::stream_ref::StreamRef;
use super::{failures, shapes, shards, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::{Shape, Structure};

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "ShardFilter",
    members: &[
        shapes::required(
            "Type",
            shapes::one_of(&[
                "AFTER_SHARD_ID",
                "AT_TRIM_HORIZON",
                "FROM_TRIM_HORIZON",
                "AT_LATEST",
                "AT_TIMESTAMP",
                "FROM_TIMESTAMP",
            ]),
        ),
        shapes::optional("ShardId", shapes::NAME),
        shapes::optional("Timestamp", Shape::Timestamp),
    ],
};

/// A filter as asked for. Times are seconds since the epoch, as sequence numbers carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShardFilter {
    /// Shards with higher ids.
    After(ShardIndex),
    /// Shards that were open at the trim horizon.
    AtTrimHorizon,
    /// All shards.
    FromTrimHorizon,
    /// Open shards.
    AtLatest,
    /// Shards that were open in this second.
    At(u64),
    /// Shards that were open in this second or later.
    From(u64),
}

/// A filter that gives the same shards on every page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SettledFilter {
    /// Shards with higher ids.
    After(ShardIndex),
    /// All shards.
    All,
    /// Shards without a parent that is still kept.
    Oldest,
    /// Shards that were open when the stream had shards below this index only.
    OpenBefore(ShardIndex),
    /// Shards that were open in this second.
    At(u64),
    /// Shards that were open in this second or later.
    From(u64),
}

impl ShardFilter {
    /// From the member `ShardFilter`.
    ///
    /// # Errors
    ///
    /// `InvalidArgumentException` when type and fields do not fit, or for a time to come;
    /// `ResourceNotFoundException` for a text that is no shard id.
    pub(super) fn parse(
        stream: &StreamRef,
        filter: Option<&Input<'_>>,
        now: Timestamp,
    ) -> Result<Self, Exception> {
        let Some(filter) = filter else { return Ok(Self::FromTrimHorizon) };
        let name = filter.text("Type").unwrap_or_default();
        let (shard, timestamp) = (filter.text("ShardId"), filter.timestamp("Timestamp"));
        let needs_shard = name == "AFTER_SHARD_ID";
        let needs_timestamp = matches!(name, "AT_TIMESTAMP" | "FROM_TIMESTAMP");
        for (field, given, needed) in [
            ("ShardId", shard.is_some(), needs_shard),
            ("Timestamp", timestamp.is_some(), needs_timestamp),
        ] {
            match (given, needed) {
                (false, true) => return Err(unconfirmed::filter_field_missing(name, field)),
                (true, false) => return Err(unconfirmed::filter_field_unused(name, field)),
                (true, true) | (false, false) => {}
            }
        }
        let timestamp = timestamp.unwrap_or_default();
        let at = Timestamp(u64::try_from(timestamp).unwrap_or(0));
        if at > now {
            return Err(unconfirmed::filter_in_future(timestamp, now));
        }
        match name {
            "AFTER_SHARD_ID" => {
                let raw = shard.unwrap_or_default();
                ShardId::parse(raw).map(|id| Self::After(id.0)).ok_or_else(|| {
                    failures::shard_id_unparsable(raw, &stream.name, &stream.account)
                })
            }
            "AT_TRIM_HORIZON" => Ok(Self::AtTrimHorizon),
            "AT_LATEST" => Ok(Self::AtLatest),
            "AT_TIMESTAMP" => Ok(Self::At(at.seconds())),
            "FROM_TIMESTAMP" => Ok(Self::From(at.seconds())),
            _ => Ok(Self::FromTrimHorizon),
        }
    }

    /// The filter for all pages of a listing that begins now.
    pub(super) fn settle(self, stream: &Stream, now: Timestamp) -> SettledFilter {
        let first = shards::visible(stream, now).map(|shard| shard.created_seconds).min();
        // A time before the horizon, or before the stream, is moved there.
        let oldest = stream.horizon(now).seconds().max(first.unwrap_or(0));
        match self {
            Self::After(index) => SettledFilter::After(index),
            Self::FromTrimHorizon => SettledFilter::All,
            Self::AtTrimHorizon => SettledFilter::Oldest,
            Self::At(seconds) if seconds <= oldest => SettledFilter::Oldest,
            Self::At(seconds) => SettledFilter::At(seconds),
            Self::From(seconds) => SettledFilter::From(seconds),
            Self::AtLatest => SettledFilter::OpenBefore(ShardIndex(stream.next_shard_index)),
        }
    }
}

impl SettledFilter {
    /// The shards of `visible` (all the caller can see, by index) that pass.
    pub(super) fn apply<'a, S: AsRef<Shard>>(
        self,
        visible: impl Iterator<Item = &'a S> + Clone,
    ) -> Vec<&'a S> {
        match self {
            Self::All => visible.collect(),
            Self::After(index) => visible.filter(|it| it.as_ref().index > index).collect(),
            Self::Oldest => {
                let kept: HashSet<_> = visible.clone().map(|it| it.as_ref().index).collect();
                let is_oldest = |it: &Shard| !it.parents.iter().any(|p| kept.contains(p));
                visible.filter(|it| is_oldest(it.as_ref())).collect()
            }
            Self::OpenBefore(next) => {
                let before = visible.take_while(|it| it.as_ref().index < next);
                let replaced: HashSet<_> =
                    before.clone().flat_map(|it| it.as_ref().parents.iter().copied()).collect();
                before.filter(|it| !replaced.contains(&it.as_ref().index)).collect()
            }
            Self::At(seconds) => visible
                .filter(|it| it.as_ref().created_seconds <= seconds)
                .filter(|it| lasted_until(it.as_ref(), seconds))
                .collect(),
            Self::From(seconds) => {
                visible.filter(|it| lasted_until(it.as_ref(), seconds)).collect()
            }
        }
    }
}

/// True when the shard took records in this second or later.
fn lasted_until(shard: &Shard, seconds: u64) -> bool {
    shard.closed.is_none_or(|end| end.closed_at.seconds() >= seconds)
}
