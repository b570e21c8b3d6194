//! Records must run without gaps from the first one kept through segments and log.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::Verifier;
use super::log::{Damage, LogCopies};
use super::metadata::Known;
use super::segments::Span;
use crate::segment;
use crate::types::{LostRange, Ordinal, ShardUid};

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
    // A start passes over the others, sound or not.
    for copy in copies.values().filter(|copy| copy.is_needed && copy.damage != Damage::Whole) {
        let end = copy.base.plus(u64::from(copy.count));
        stretches.entry(copy.shard).or_default().insert(copy.base, (end, &copy.file));
    }
    for span in spans {
        let shard = stretches.entry(span.shard).or_default();
        let log = shard.get(&span.base).map_or(span.base, |stretch| stretch.0);
        shard.insert(span.base, (span.end.max(log), &span.path));
    }
    check_overlaps(verifier, known, spans);
    let none = Stretches::new();
    for shard in known.kept_shards() {
        check_shard(verifier, known, shard, stretches.get(&shard).unwrap_or(&none));
    }
}

/// No record stands in two segments: one of the files is of another time or place.
fn check_overlaps(verifier: &mut Verifier<'_>, known: &Known, spans: &[Span]) {
    let mut last: HashMap<ShardUid, Ordinal> = HashMap::new();
    let mut in_order: Vec<_> = spans.iter().filter(|span| span.base < span.end).collect();
    in_order.sort_by_key(|span| (span.shard, span.base, span.end));
    for span in in_order {
        let end = last.entry(span.shard).or_insert(span.base);
        if span.base < *end {
            let (label, until) = (known.label(span.shard), span.end.min(*end));
            let (base, last) = (span.base, until.0 - 1);
            let message = format!("records {base} to {last} of {label} are in two segments");
            verifier.damage(&span.path, 0, message);
        }
        *end = span.end.max(*end);
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
        let may_have_expired =
            known.may_be_outdated && known.shard(shard).is_none_or(|known| known.may_have_expired);
        if base > next && may_have_expired && next == known.first_kept(shard) {
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

/// Records `from..to` are in no file; `file` is where they show to be missing. Those that a repair
/// has recorded as lost are known.
fn tell_missing(
    verifier: &mut Verifier<'_>,
    known: &Known,
    shard: ShardUid,
    file: &Path,
    from: Ordinal,
    to: Ordinal,
) {
    let lost = known.shard(shard).map(|known| &known.lost[..]).unwrap_or_default();
    let label = known.label(shard);
    for LostRange { from, until } in (LostRange { from, until: to }).without(lost) {
        let last = until.0 - 1;
        let message = format!("records {from} to {last} of {label} are missing, they are lost");
        verifier.damage(file, 0, message);
    }
}
