//! Files of closed shards that somebody else cuts or punches while a server has them mapped, or that
//! the disk cannot give any more. The server lives, says what is gone, and serves everything else.

use std::path::{Path, PathBuf};

use fastrand::Rng;
use kinelog::client::answers;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::load::{Cast, Load, STREAM, Shared, pause, until_active};
use crate::process::Process;
use crate::reader::{self, read_all, read_what_is_left};
use crate::report::Tally;
use crate::rounds::{Ground, Plan, begin, judge};
use crate::system::{Broken, Failure, run};

/// Records that are stored at the least before anything is damaged.
const RECORDS: usize = 600;

/// What a disk loses at a time.
const PAGE_BYTES: u64 = 4096;

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Cut while it is mapped, to half its length.
    Cut,
    /// A hole of zeros in its middle, made while no server runs.
    Hole,
    /// The disk has lost a page in its middle.
    Unreadable,
    /// The disk has lost its last whole page, where the index is.
    UnreadableIndex,
}

/// Does these, one after the other, each to another file of a store, for so many stores.
pub(crate) async fn run_damage(plan: &Plan, harms: &[Harm]) -> Result<Tally, Failure> {
    let mut rng = Rng::with_seed(plan.seed);
    let mut tally = Tally::default();
    let mut ground = Ground::new(plan.stop, &plan.scratch)?;
    while tally.rounds < plan.rounds {
        if tally.rounds > 0 {
            ground.clear().await?;
        }
        one_store(plan, &mut ground, harms, &mut rng, &mut tally).await?;
        tally.rounds += 1;
        eprintln!("{tally}");
    }
    Ok(tally)
}

async fn one_store(
    plan: &Plan,
    ground: &mut Ground,
    harms: &[Harm],
    rng: &mut Rng,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let data = ground.data();
    let (mut server, port, shared) = begin(&plan.program, &data).await?;
    let cast = Cast { reshard_every_ms: 0, ..plan.cast };
    let load = Load::start(shared, cast, rng);
    while load.shared.recorder.acknowledged() < RECORDS {
        pause().await;
    }
    let shared = load.stop().await?;
    close_all(&shared).await?;
    // The segments of closed shards are sealed, and mapped by who reads them after a restart.
    end(server, Signal::TERM)?;
    server = start(plan, &data, port)?;
    read_all(&shared).await?;

    let files = largest_first(&data.join("segments"))?;
    for (harm, file) in harms.iter().copied().zip(&files) {
        let lost = shared.recorder.damage_reported();
        server = inflict(plan, ground, harm, file, server, port).await?;
        let left = read_what_is_left(&shared).await;
        left.map_err(|failure| format!("{harm:?}: {failure}\n{}", server.log()))?;
        if let Some(status) = server.ended()? {
            let words = format!("{harm:?}: the server ended: {status}\n{}", server.log());
            return Err(Broken(words).into());
        }
        // An index is made again from the records.
        if harm != Harm::UnreadableIndex && shared.recorder.damage_reported() == lost {
            return Err(format!("{harm:?} of {} was not noticed", file.display()).into());
        }
    }
    tally.damage_reported += shared.recorder.damage_reported();
    judge(&shared, tally)
}

/// Starts the server again on the same port.
fn start(plan: &Plan, data: &Path, port: u16) -> Result<Process, Failure> {
    let mut server = Process::spawn(&plan.program, data, port)?;
    server.listening()?;
    Ok(server)
}

fn end(mut server: Process, signal: Signal) -> Result<(), Failure> {
    server.signal(signal)?;
    server.wait().map(drop)
}

/// Splits every open shard, and waits until its half-open time is over.
async fn close_all(shared: &Shared) -> Result<(), Failure> {
    let open: Vec<_> =
        reader::list(shared).await?.into_iter().filter(answers::Shard::is_open).collect();
    for shard in &open {
        until_active(shared).await?;
        let keys = shard.hash_key_range;
        let middle =
            keys.starting_hash_key + (keys.ending_hash_key - keys.starting_hash_key) / 2 + 1;
        let input = json!({ "StreamName": STREAM, "ShardToSplit": shard.shard_id,
                            "NewStartingHashKey": middle.to_string() });
        let _: Value = shared.client.call_once("SplitShard", &input).await?;
    }
    for shard in &open {
        reader::read_to_end(shared, &shard.shard_id).await?;
    }
    Ok(())
}

/// The files of a directory by size.
fn largest_first(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in directory.read_dir()? {
        let entry = entry?;
        files.push((entry.metadata()?.len(), entry.path()));
    }
    files.sort();
    Ok(files.into_iter().rev().map(|(_, path)| path).collect())
}

async fn inflict(
    plan: &Plan,
    ground: &mut Ground,
    harm: Harm,
    file: &Path,
    server: Process,
    port: u16,
) -> Result<Process, Failure> {
    let (data, len) = (ground.data(), file.metadata()?.len());
    let middle = (len / 2).next_multiple_of(PAGE_BYTES);
    match harm {
        Harm::Cut => {
            let size = format!("--size={}", len / 2);
            run("truncate", [size.as_ref(), file.as_os_str()])?;
            Ok(server)
        }
        Harm::Hole => {
            end(server, Signal::KILL)?;
            let (offset, length) = (format!("--offset={middle}"), "--length=4096");
            let arguments = ["--punch-hole", &offset, length].map(AsRef::as_ref);
            run("fallocate", arguments.into_iter().chain([file.as_os_str()]))?;
            start(plan, &data, port)
        }
        Harm::Unreadable | Harm::UnreadableIndex => {
            let Ground::Disk { disk, volume, .. } = ground else {
                return Err("only pages of a disk of ours can be spoiled".into());
            };
            let last = (len / PAGE_BYTES - 1) * PAGE_BYTES;
            let at = if harm == Harm::Unreadable { middle } else { last };
            let page = page(file, at)?;
            end(server, Signal::TERM)?;
            volume.unmount().await?;
            for place in disk.image().find(&page) {
                disk.spoil(place..place + page.len() as u64);
            }
            volume.mount()?;
            start(plan, &data, port)
        }
    }
}

/// One page of a file.
#[expect(clippy::disallowed_methods, reason = "looks at a file as anybody does")]
fn page(file: &Path, offset: u64) -> Result<Vec<u8>, Failure> {
    use std::os::unix::fs::FileExt;
    let mut page = vec![0; 4096];
    std::fs::File::options().read(true).open(file)?.read_exact_at(&mut page, offset)?;
    Ok(page)
}
