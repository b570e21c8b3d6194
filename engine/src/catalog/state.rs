//! The catalogue in memory: immutable streams by id and by key, the documents of namespaces, and
//! what must never be reused.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use super::entry::{Entry, Start};
use crate::types::{Shard, ShardUid, Stream, StreamId, StreamKey};

/// Streams by id and by key. A change replaces one `Arc` and copies nothing else.
#[derive(Debug, Default)]
pub(super) struct State {
    by_id: BTreeMap<StreamId, Arc<Stream>>,
    /// By name space, then by name: lets a listing seek by borrowed text.
    by_key: BTreeMap<String, BTreeMap<String, Arc<Stream>>>,
    shards: HashSet<ShardUid>,
    /// By name space.
    documents: BTreeMap<String, Arc<serde_json::Value>>,
    last_stream: u64,
    last_shard: u64,
}

impl State {
    pub(super) fn stream(&self, key: &StreamKey) -> Option<&Arc<Stream>> {
        self.by_key.get(&key.namespace)?.get(&key.name)
    }

    pub(super) fn stream_by_id(&self, id: StreamId) -> Option<&Arc<Stream>> {
        self.by_id.get(&id)
    }

    /// The streams of a namespace in order of name, those after `after`.
    pub(super) fn streams(
        &self,
        namespace: &str,
        after: Option<&str>,
    ) -> impl Iterator<Item = &Arc<Stream>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let names = self.by_key.get(namespace);
        names.into_iter().flat_map(move |names| {
            names.range::<str, _>((start, Bound::Unbounded)).map(|(_, stream)| stream)
        })
    }

    /// All streams in order of id.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.by_id.values()
    }

    pub(super) fn has_shard(&self, shard: ShardUid) -> bool {
        self.shards.contains(&shard)
    }

    /// The document of a namespace.
    pub(super) fn document(&self, namespace: &str) -> Option<&Arc<serde_json::Value>> {
        self.documents.get(namespace)
    }

    /// The highest stream id ever given out, 0 when there was none.
    pub(super) const fn last_stream(&self) -> u64 {
        self.last_stream
    }

    /// The highest shard uid ever given out, 0 when there was none.
    pub(super) const fn last_shard(&self) -> u64 {
        self.last_shard
    }

    /// Raises the marks below which no id is given out again.
    pub(super) fn raise_marks(&mut self, last_stream: u64, last_shard: u64) {
        self.last_stream = self.last_stream.max(last_stream);
        self.last_shard = self.last_shard.max(last_shard);
    }

    /// Makes `entry` and its outcome, the stream it is about, visible.
    pub(super) fn publish(&mut self, entry: &Entry, outcome: Option<Arc<Stream>>) {
        if let Entry::Document { namespace, document } = entry {
            self.documents.insert(namespace.clone(), Arc::clone(document));
        }
        let Some(stream) = outcome else { return };
        match entry {
            Entry::Remove { .. } => self.take(&stream),
            Entry::Stream(_) => {
                self.add_shards(&stream.shards);
                self.put(stream);
            }
            Entry::Reshard { open, .. } => {
                self.add_shards(open);
                self.put(stream);
            }
            Entry::Expire { .. } => {
                if let Some(before) = self.by_id.get(&stream.id) {
                    for shard in &before.shards {
                        if stream.shard(shard.index).is_none() {
                            self.shards.remove(&shard.uid);
                        }
                    }
                }
                self.put(stream);
            }
            Entry::Change { .. } | Entry::Document { .. } => self.put(stream),
        }
    }

    fn add_shards(&mut self, shards: &[Arc<Shard>]) {
        for shard in shards {
            self.shards.insert(shard.uid);
            self.raise_marks(0, shard.uid.0);
        }
    }

    fn put(&mut self, stream: Arc<Stream>) {
        self.raise_marks(stream.id.0, 0);
        self.by_key
            .entry(stream.key.namespace.clone())
            .or_default()
            .insert(stream.key.name.clone(), stream.clone());
        self.by_id.insert(stream.id, stream);
    }

    fn take(&mut self, stream: &Stream) {
        for shard in &stream.shards {
            self.shards.remove(&shard.uid);
        }
        self.by_id.remove(&stream.id);
        if let Some(names) = self.by_key.get_mut(&stream.key.namespace) {
            names.remove(&stream.key.name);
            if names.is_empty() {
                self.by_key.remove(&stream.key.namespace);
            }
        }
    }

    /// Lets `change` alter each stream, but not its identity, its key or which shards it has.
    pub(super) fn amend(&mut self, mut change: impl FnMut(&mut Stream)) {
        for stream in self.by_id.values().cloned().collect::<Vec<_>>() {
            let mut changed = Stream::clone(&stream);
            change(&mut changed);
            self.put(Arc::new(changed));
        }
    }

    /// All that a new generation of the journal must say.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            last_stream: self.last_stream,
            last_shard: self.last_shard,
            streams: self.all().cloned().collect(),
            documents: self.documents.clone().into_iter().collect(),
        }
    }
}

/// The whole state at one moment.
pub(super) struct Snapshot {
    pub(super) last_stream: u64,
    pub(super) last_shard: u64,
    pub(super) streams: Vec<Arc<Stream>>,
    pub(super) documents: Vec<(String, Arc<serde_json::Value>)>,
}

impl Snapshot {
    /// The frame that a generation of the journal begins with.
    pub(super) const fn start(&self) -> Start {
        Start {
            streams: self.streams.len() as u64,
            documents: self.documents.len() as u64,
            last_stream: self.last_stream,
            last_shard: self.last_shard,
        }
    }

    /// The frames that follow it.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        let streams = self.streams.iter().cloned().map(Entry::Stream);
        let documents = self.documents.iter().cloned();
        streams
            .chain(documents.map(|(namespace, document)| Entry::Document { namespace, document }))
    }
}
