//! `kinelog repair`: what is damaged, what can be saved, what is lost; and a clean store of it.
//! `kinelog restore`: the same of a copy of a store that went on.

use std::path::Path;
use std::process::ExitCode;

use kinelog_engine::recovery::repair::{LostRecords, Purpose, Repair, SavedRange, ShardName, plan};
use kinelog_engine::recovery::verify::verify;
use kinelog_engine::types::{Ordinal, SequenceNumber, Timestamp};

use super::{Io, Sentence, describe, device, print, runtime, sentence};
use crate::kinesis;

/// Exit code when the new store, if one was asked for, is written and records are lost.
const RECORDS_LOST: u8 = 3;

/// Makes a new store of the one in `directory`; without `into` tells only what that would do.
pub(crate) fn repair(
    directory: &Path,
    into: Option<&Path>,
    purpose: Purpose,
) -> Result<ExitCode, Sentence> {
    runtime()?.block_on(async {
        let device = device(Io::Posix, directory)?;
        let report = verify(&device, directory).await;
        print(&describe(&report.map_err(|error| sentence(&error, directory))?));
        let planned = plan(&device, directory, purpose).await;
        let mut repair = planned.map_err(|error| error.to_string())?;
        if purpose == Purpose::Restore {
            let now = device.clock.now();
            repair.amend_streams(|stream| kinesis::put_off_plan(stream, now));
        }
        print(&tell(&repair));
        if let Some(into) = into {
            repair.write(&device, directory, into).await.map_err(|error| error.to_string())?;
            print(&format!("written into {}; the old store is unchanged\n", into.display()));
        }
        let code = if repair.is_lossless() { ExitCode::SUCCESS } else { RECORDS_LOST.into() };
        Ok(code)
    })
}

fn tell(repair: &Repair) -> String {
    let notes = repair.notes.iter().map(|note| format!("note: {note}\n"));
    let saved = repair.saved.iter().map(tell_saved);
    let lost = repair.lost.iter().map(tell_lost);
    let summary = format!(
        "{} records kept, {} stretches of them from another copy; {} stretches lost\n",
        repair.records,
        repair.saved.len(),
        repair.lost.len(),
    );
    notes.chain(saved).chain(lost).chain([summary]).collect()
}

fn tell_saved(saved: &SavedRange) -> String {
    format!(
        "saved: {} of {} from {}: {} at byte {}\n",
        range(saved.first, saved.last),
        name(&saved.shard),
        saved.origin,
        saved.file.display(),
        saved.offset
    )
}

/// The numbers are those of the first and the last record; where it is not known when they arrived,
/// no record that is there has a number between the two.
fn tell_lost(lost: &LostRecords) -> String {
    let what = if lost.is_certain { "lost" } else { "lost, if they ever were" };
    format!(
        "{what}: {} of {}, sequence numbers {} to {}\n",
        range(lost.first, lost.last),
        name(&lost.shard),
        number(&lost.shard, lost.first, lost.arrived_from),
        number(&lost.shard, lost.last, lost.arrived_until),
    )
}

fn range(first: Ordinal, last: Ordinal) -> String {
    if first == last { format!("record {first}") } else { format!("records {first} to {last}") }
}

fn name(shard: &ShardName) -> String {
    let key = &shard.stream;
    format!("shard {} of stream {} ({})", shard.index, key.name, key.namespace)
}

fn number(shard: &ShardName, ordinal: Ordinal, arrival: Timestamp) -> SequenceNumber {
    SequenceNumber::of_record(shard.created_seconds, shard.index, ordinal, arrival)
}
