//! The shards of a stream against each other: who covers which hash keys, and who came from whom.

use std::path::Path;

use super::Verifier;
use crate::types::{Shard, Stream};

/// Checks one stream of the catalogue in `file`.
pub(super) fn check(verifier: &mut Verifier<'_>, file: &Path, stream: &Stream) {
    let name = &stream.key.name;
    let mut due = Some(0);
    for shard in stream.open_shards() {
        if due != Some(shard.range.start) || shard.range.end < shard.range.start {
            break;
        }
        due = shard.range.end.checked_add(1);
    }
    if due.is_some() {
        let message =
            format!("the open shards of stream {name} do not cover the hash keys exactly once");
        verifier.damage(file, 0, message);
    }
    for shard in &stream.shards {
        if let Some(reason) = stray(stream, shard) {
            let message = format!("shard {} of stream {name} {reason}", shard.index);
            verifier.damage(file, 0, message);
        }
    }
}

/// What is wrong between a shard and its parents. A parent that is not there has expired.
fn stray(stream: &Stream, shard: &Shard) -> Option<&'static str> {
    if shard.index.0 >= stream.next_shard_index {
        return Some("has a number that was not given out");
    }
    for parent in &shard.parents {
        if *parent >= shard.index {
            return Some("is older than its parent");
        }
        let Some(parent) = stream.shard(*parent) else { continue };
        if parent.closed.is_none() {
            return Some("has a parent that is open");
        }
        if parent.range.end < shard.range.start || shard.range.end < parent.range.start {
            return Some("has no hash key of its parent");
        }
    }
    None
}
