//! One change as a journal frame holds it, and what it makes of a stream or a document.
//!
//! An entry holds only what changed and carries the ids and times chosen when it was made, so that
//! replaying it gives the same outcome for ever.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::state::State;
use crate::bugs::{self, Bug};
use crate::error::CatalogError;
use crate::types::{
    NewShard, NewStream, Reshard, Shard, ShardEnd, ShardIndex, ShardUid, Stream, StreamChange,
    StreamId, StreamStatus, Timestamp,
};

/// First frame of every generation: what the snapshot that follows it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Start {
    /// Frames of kind `Stream` that follow and belong to the snapshot.
    pub(super) streams: u64,
    /// Frames of kind `Document` that follow those and belong to the snapshot.
    #[serde(default)]
    pub(super) documents: u64,
    /// Highest stream id ever given out.
    pub(super) last_stream: u64,
    /// Highest shard uid ever given out.
    pub(super) last_shard: u64,
}

impl Start {
    /// Frames that follow and belong to the snapshot.
    pub(super) const fn frames(self) -> u64 {
        self.streams.saturating_add(self.documents)
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Entry {
    /// A stream as a whole: a new one, or one of the snapshot.
    Stream(Arc<Stream>),
    /// New settings.
    Change { stream: StreamId, settings: Settings },
    /// Shards closed and opened.
    Reshard {
        stream: StreamId,
        close: Vec<(ShardIndex, ShardEnd)>,
        open: Vec<Arc<Shard>>,
        settings: Settings,
    },
    /// Closed shards forgotten.
    Expire { stream: StreamId, shards: Vec<ShardIndex> },
    /// A stream forgotten.
    Remove { stream: StreamId },
    /// The document of a namespace as a whole.
    Document { namespace: String, document: Arc<serde_json::Value> },
}

/// Settings of a stream that an entry replaces; those it leaves alone are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<StreamStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retention_hours: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trimmed_before: Option<Timestamp>,
    /// A list of one or none: `null` is a document, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    arrivals_until: Vec<(ShardIndex, Timestamp)>,
}

/// An entry that the state before it rules out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Contradiction(&'static str);

impl Entry {
    pub(super) fn create(
        state: &State,
        new: NewStream,
        now: Timestamp,
    ) -> Result<Self, CatalogError> {
        if state.stream(&new.key).is_some() {
            return Err(CatalogError::StreamExists(new.key));
        }
        let shards = number_shards(new.shards, 0, state.last_shard());
        let mut stream = Stream {
            id: StreamId(state.last_stream().saturating_add(1)),
            key: new.key,
            created_at: now,
            status: new.status,
            retention_hours: new.retention_hours,
            trimmed_before: Timestamp(0),
            next_shard_index: next_index(&shards, 0),
            shards,
            attributes: new.attributes,
            open: Vec::new(),
        };
        stream.index_open_shards();
        check_coverage(&stream)?;
        Ok(Self::Stream(Arc::new(stream)))
    }

    pub(super) fn change(
        state: &State,
        id: StreamId,
        changes: Vec<StreamChange>,
        now: Timestamp,
    ) -> Result<Self, CatalogError> {
        let stream = state.stream_by_id(id).ok_or(CatalogError::StreamNotFound)?;
        Ok(Self::Change { stream: id, settings: Settings::of(stream, changes, now) })
    }

    pub(super) fn reshard(
        state: &State,
        id: StreamId,
        reshard: Reshard,
        ends: Vec<ShardEnd>,
        changes: Vec<StreamChange>,
        now: Timestamp,
    ) -> Result<Self, CatalogError> {
        let stream = state.stream_by_id(id).ok_or(CatalogError::StreamNotFound)?;
        assert_eq!(reshard.close.len(), ends.len(), "every closed shard has an end");
        let open = number_shards(reshard.open, stream.next_shard_index, state.last_shard());
        let close: Vec<_> = reshard.close.into_iter().zip(ends).collect();
        let mut closing = HashSet::new();
        for &(index, _) in &close {
            let is_open = stream.shard(index).is_some_and(|shard| shard.closed.is_none());
            if !is_open || !closing.insert(index) {
                return Err(CatalogError::ShardNotOpen(index));
            }
        }
        let settings = Settings::of(stream, changes, now);
        let entry = Self::Reshard { stream: id, close, open, settings };
        match entry.outcome(state) {
            Ok(Some(after)) => check_coverage(&after)?,
            Ok(None) | Err(_) => return Err(CatalogError::Coverage),
        }
        Ok(entry)
    }

    pub(super) fn expire(
        state: &State,
        id: StreamId,
        mut shards: Vec<ShardIndex>,
    ) -> Result<Self, CatalogError> {
        let stream = state.stream_by_id(id).ok_or(CatalogError::StreamNotFound)?;
        shards.retain(|&index| stream.shard(index).is_some_and(|shard| shard.closed.is_some()));
        shards.sort_unstable();
        shards.dedup();
        Ok(Self::Expire { stream: id, shards })
    }

    pub(super) fn remove(state: &State, id: StreamId) -> Result<Self, CatalogError> {
        state.stream_by_id(id).ok_or(CatalogError::StreamNotFound)?;
        Ok(Self::Remove { stream: id })
    }

    /// The stream this entry is about, as it is afterwards; for a removal, as it was. None for a
    /// document.
    pub(super) fn outcome(&self, state: &State) -> Result<Option<Arc<Stream>>, Contradiction> {
        let current = |id: &StreamId| {
            state.stream_by_id(*id).ok_or(Contradiction("an entry names an unknown stream"))
        };
        let stream = match self {
            Self::Document { .. } => return Ok(None),
            Self::Stream(stream) => admit(state, stream)?,
            Self::Remove { stream } => Arc::clone(current(stream)?),
            Self::Change { stream, settings } => {
                let mut after = Stream::clone(current(stream)?);
                settings.apply(&mut after);
                Arc::new(after)
            }
            Self::Expire { stream, shards } => {
                let mut after = Stream::clone(current(stream)?);
                after.shards.retain(|shard| shards.binary_search(&shard.index).is_err());
                after.index_open_shards();
                Arc::new(after)
            }
            Self::Reshard { stream, close, open, settings } => {
                let mut after = Stream::clone(current(stream)?);
                check_uids(state, open)?;
                close_shards(&mut after, close)?;
                after.next_shard_index = next_index(open, after.next_shard_index);
                after.shards.extend(open.iter().cloned());
                after.index_open_shards();
                settings.apply(&mut after);
                Arc::new(after)
            }
        };
        Ok(Some(stream))
    }

    /// True for changes that give space back, which a full disk must not hinder.
    pub(super) const fn frees_space(&self) -> bool {
        matches!(self, Self::Expire { .. } | Self::Remove { .. })
    }
}

impl Settings {
    fn of(stream: &Stream, changes: Vec<StreamChange>, now: Timestamp) -> Self {
        let mut settings = Self::default();
        let mut after = stream.clone();
        for change in changes {
            match change {
                StreamChange::Status(status) => settings.status = Some(status),
                StreamChange::Attributes(document) => settings.attributes = vec![document],
                StreamChange::ArrivalsUntil(shards, until) => {
                    let limits = shards.into_iter().map(|shard| (shard, until));
                    settings.arrivals_until.extend(limits);
                }
                StreamChange::Retention(hours) => {
                    if hours > after.retention_hours && !bugs::is_on(Bug::ExpiredComesBack) {
                        after.trimmed_before = after.horizon(now);
                        settings.trimmed_before = Some(after.trimmed_before);
                    }
                    after.retention_hours = hours;
                    settings.retention_hours = Some(hours);
                }
            }
        }
        settings
    }

    fn apply(&self, stream: &mut Stream) {
        stream.status = self.status.unwrap_or(stream.status);
        stream.retention_hours = self.retention_hours.unwrap_or(stream.retention_hours);
        stream.trimmed_before = self.trimmed_before.unwrap_or(stream.trimmed_before);
        if let Some(document) = self.attributes.first() {
            stream.attributes = document.clone();
        }
        for (index, until) in &self.arrivals_until {
            if let Ok(at) = stream.shards.binary_search_by_key(index, |shard| shard.index) {
                Arc::make_mut(&mut stream.shards[at]).arrivals_until = Some(*until);
            }
        }
    }
}

/// A whole stream, its routing table in place.
fn admit(state: &State, stream: &Arc<Stream>) -> Result<Arc<Stream>, Contradiction> {
    if state.stream_by_id(stream.id).is_some() || state.stream(&stream.key).is_some() {
        return Err(Contradiction("a stream is made twice"));
    }
    check_uids(state, &stream.shards)?;
    let mut stream = stream.clone();
    if stream.open.is_empty() {
        // As read from the journal, which does not hold the table.
        Arc::make_mut(&mut stream).index_open_shards();
    }
    Ok(stream)
}

/// No two shards are kept in the same place.
fn check_uids(state: &State, new: &[Arc<Shard>]) -> Result<(), Contradiction> {
    let mut given = HashSet::with_capacity(new.len());
    if new.iter().all(|shard| !state.has_shard(shard.uid) && given.insert(shard.uid)) {
        Ok(())
    } else {
        Err(Contradiction("a uid is given to two shards"))
    }
}

fn close_shards(
    stream: &mut Stream,
    close: &[(ShardIndex, ShardEnd)],
) -> Result<(), Contradiction> {
    for (index, end) in close {
        let at = stream.shards.binary_search_by_key(index, |shard| shard.index);
        let at = at.map_err(|_| Contradiction("an entry closes an unknown shard"))?;
        Arc::make_mut(&mut stream.shards[at]).closed = Some(*end);
    }
    Ok(())
}

/// Gives new shards the next indexes from `first_index` and the next uids after `last_uid`.
fn number_shards(new: Vec<NewShard>, first_index: u32, last_uid: u64) -> Vec<Arc<Shard>> {
    let numbered = (first_index..).zip(last_uid.saturating_add(1)..).zip(new);
    numbered
        .map(|((index, uid), new)| {
            Arc::new(Shard {
                uid: ShardUid(uid),
                index: ShardIndex(index),
                range: new.range,
                created_seconds: new.created_seconds,
                parents: new.parents,
                arrivals_until: None,
                closed: None,
                lost: Vec::new(),
            })
        })
        .collect()
}

fn next_index(shards: &[Arc<Shard>], unless: u32) -> u32 {
    shards.last().map_or(unless, |shard| shard.index.0.saturating_add(1))
}

/// The open shards must cover the hash key space exactly once.
fn check_coverage(stream: &Stream) -> Result<(), CatalogError> {
    let mut expected = Some(0);
    for shard in stream.open_shards() {
        let range = shard.range;
        if expected != Some(range.start) || range.end < range.start {
            return Err(CatalogError::Coverage);
        }
        expected = range.end.checked_add(1);
    }
    if expected.is_some() { Err(CatalogError::Coverage) } else { Ok(()) }
}
