//! Records must run without gaps from the first one kept through segments and log.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::Verifier;
use super::log::{Damage, LogCopies};
use super::metadata::Known;
use super::segments::Span;
use crate::segment;
use crate::types::{Ordinal, ShardUid};

/// Stretches of records, each with the file it stands in, by first record.
type Stretches<'a> = BTreeMap<Ordinal, (Ordinal, &'a Path)>;

/// Checks every kept shard.
pub(super) fn check(
    verifier: &mut Verifier<'_>,
    known: &Known,
    spans: &[Span],
    copies: &LogCopies,
) {
    let mut stretches: HashMap<ShardUid, Stretches<'_>> = HashMap::new();
    for copy in copies.values().filter(|copy| copy.damage != Damage::Whole) {
        let end = copy.base.plus(u64::from(copy.count));
        stretches.entry(copy.shard).or_default().insert(copy.base, (end, &copy.file));
    }
    for span in spans {
        let shard = stretches.entry(span.shard).or_default();
        let log = shard.get(&span.base).map_or(span.base, |stretch| stretch.0);
        shard.insert(span.base, (span.end.max(log), &span.path));
    }
    let none = Stretches::new();
    for shard in known.kept_shards() {
        check_shard(verifier, known, shard, stretches.get(&shard).unwrap_or(&none));
    }
}

fn check_shard(
    verifier: &mut Verifier<'_>,
    known: &Known,
    shard: ShardUid,
    stretches: &Stretches<'_>,
) {
    let floor = known.floors.get(&shard);
    let mut next = known.first_kept(shard);
    let mut last: PathBuf = segment::directory(verifier.directory);
    for (&base, &(end, path)) in stretches {
        if base > next && known.may_be_outdated && next == known.first_kept(shard) {
            let message = "older records expired after the checkpoint that serves";
            verifier.harmless(path, 0, message);
        } else if base > next {
            tell_missing(verifier, known, shard, path, next, base);
        }
        if end > next {
            next = end;
            path.clone_into(&mut last);
        }
    }
    let closed = known.shard(shard).and_then(|known| known.end);
    let due = closed.or(floor.map(|floor| floor.next)).unwrap_or(next);
    if due > next {
        tell_missing(verifier, known, shard, &last, next, due);
    }
    if closed.is_some_and(|closed| next > closed) {
        let label = known.label(shard);
        let message =
            format!("{label} holds records up to {} though it was closed before", next.0 - 1);
        verifier.damage(&last, 0, message);
    }
}

/// Records `from..to` are in no file; `file` is where they show to be missing.
fn tell_missing(
    verifier: &mut Verifier<'_>,
    known: &Known,
    shard: ShardUid,
    file: &Path,
    from: Ordinal,
    to: Ordinal,
) {
    let label = known.label(shard);
    let message = format!("records {from} to {} of {label} are missing, they are lost", to.0 - 1);
    verifier.damage(file, 0, message);
}
