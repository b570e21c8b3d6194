//! `backup_restore`: a copy of a running store, taken while its file system stands still, becomes a
//! store of its own. It has what was acknowledged until then and nothing from later, and goes on
//! with numbers that the other one never gave out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use kinelog_tests::history::{Fate, History, Moment, Number, Recorder, ShardId};

use crate::load::{Load, Shared, pause};
use crate::process::{Process, Program};
use crate::reader::read_all;
use crate::report::Tally;
use crate::rounds::{Ground, Plan, begin, judge};
use crate::system::{Broken, Failure, run};

/// Records that are acknowledged before the copy is taken, after it, and by the restored store.
const RECORDS: usize = 400;
/// A shard made from now on has another second of creation than those before.
const NEXT_SECOND: Duration = Duration::from_millis(1001);

/// Takes a copy, goes on, restores and goes on with what was restored, for so many rounds.
pub(crate) async fn run_backups(plan: &Plan) -> Result<Tally, Failure> {
    let mut rng = Rng::with_seed(plan.seed);
    let mut tally = Tally::default();
    let mut ground = Ground::new(plan.stop, &plan.scratch)?;
    while tally.rounds < plan.rounds {
        if tally.rounds > 0 {
            ground.clear().await?;
        }
        one_copy(plan, &ground, &mut rng, &mut tally).await?;
        tally.rounds += 1;
        eprintln!("{tally}");
    }
    Ok(tally)
}

async fn one_copy(
    plan: &Plan,
    ground: &Ground,
    rng: &mut Rng,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let place = tempfile::Builder::new().prefix("copy-").tempdir_in(&plan.scratch)?;
    let (copy, restored) = (place.path().join("copy"), place.path().join("restored"));
    let (mut server, _, shared) = begin(&plan.program, &ground.data()).await?;
    let load = Load::start(shared, plan.cast, rng);
    acknowledge(&load.shared, &server).await?;
    let moment = copy_at_rest(ground, &copy, &load.shared.recorder)?;
    acknowledge(&load.shared, &server).await?;
    let shared = load.stop().await?;
    let read = read_all(&shared).await;
    read.map_err(|failure| format!("the last reader: {failure}\n{}", server.log()))?;
    server.kill()?;
    judge(&shared, tally)?;
    tokio::time::sleep(NEXT_SECOND).await;

    let copy_as_text = copy.to_str().ok_or("the copy's path is no text")?;
    run("mount", ["--bind", "-o", "ro", copy_as_text, copy_as_text].map(AsRef::as_ref))?;
    let done = restore(&plan.program, &copy, &restored);
    run("umount", [copy.as_os_str()])?;
    done?;
    let whole = shared.recorder.history();
    go_on(plan, &restored, &whole, moment, rng, tally).await
}

/// Waits until so many more records are acknowledged.
async fn acknowledge(shared: &Shared, server: &Process) -> Result<(), Failure> {
    let before = shared.recorder.acknowledged();
    while shared.recorder.acknowledged() < before + RECORDS {
        if !shared.strange().is_empty() {
            let strange = shared.strange().join("; ");
            return Err(
                format!("the server answered strangely: {strange}\n{}", server.log()).into()
            );
        }
        pause().await;
    }
    Ok(())
}

/// Copies the data directory while the file system takes no writes. What was acknowledged until the
/// moment it returns is in the copy, and nothing that was sent later.
fn copy_at_rest(ground: &Ground, into: &Path, recorder: &Recorder) -> Result<Moment, Failure> {
    let (Ground::File { volume, .. }, data) = (ground, ground.data()) else {
        return Err("only a file system of ours can stand still".into());
    };
    let frozen = |how: &str| run("fsfreeze", [how.as_ref(), volume.path().as_os_str()]);
    frozen("--freeze")?;
    let moment = recorder.now();
    let copied = run("cp", ["-a".as_ref(), data.as_os_str(), into.as_os_str()]);
    frozen("--unfreeze")?;
    copied.map(|_| moment)
}

/// Makes a store of the copy, which cannot be written, by the program's own command.
fn restore(program: &Program, copy: &Path, into: &Path) -> Result<(), Failure> {
    let arguments = ["restore".as_ref(), copy.as_os_str(), "--into".as_ref(), into.as_os_str()];
    let binary = program.binary.to_str().ok_or("the server's path is no text")?;
    let told = run(binary, arguments).map_err(|failure| Broken(format!("restore: {failure}")))?;
    if told.contains("lost:") || told.contains("saved:") {
        return Err(Broken(format!("something was wrong with a whole copy:\n{told}")).into());
    }
    Ok(())
}

/// The restored store goes on where the copy was taken; all it gives out is new.
async fn go_on(
    plan: &Plan,
    restored: &Path,
    whole: &History,
    moment: Moment,
    rng: &mut Rng,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut server = Process::spawn(&plan.program, restored, 0)?;
    let (port, took) = server.listening()?;
    tally.longest_start = tally.longest_start.max(took);
    let recorder = Recorder::continuing(whole.until(moment), moment);
    let shared = Arc::new(Shared::new(port, recorder, None)?);
    shared.recorder.restarted();
    let load = Load::start(shared, plan.cast, rng);
    acknowledge(&load.shared, &server).await?;
    let shared = load.stop().await?;
    let read = read_all(&shared).await;
    read.map_err(|failure| format!("restored, the last reader: {failure}\n{}", server.log()))?;
    server.kill()?;
    let highest = highest_of(whole);
    let given = shared.recorder.history();
    for (shard, number, at) in stored(&given).filter(|(.., at)| *at > moment) {
        if highest.get(&shard).is_some_and(|highest| number <= *highest) {
            let words = format!("shard {shard}: {number}, answered at {at}, was given out before");
            return Err(Broken(words).into());
        }
    }
    judge(&shared, tally)
}

/// Shard, number and moment of what was answered with success.
fn stored(history: &History) -> impl Iterator<Item = (ShardId, Number, Moment)> {
    history.attempts.iter().filter_map(|attempt| match attempt.fate {
        Fate::Stored { shard, number, at } => Some((shard, number, at)),
        Fate::Refused { .. } | Fate::Unknown => None,
    })
}

/// The highest number of each shard that was answered or read.
fn highest_of(history: &History) -> BTreeMap<ShardId, Number> {
    let steps = history.walks.iter().flat_map(|walk| {
        let records = walk.steps.iter().flat_map(|step| &step.records);
        records.map(|record| (walk.shard, record.number))
    });
    let answered = stored(history).map(|(shard, number, _)| (shard, number));
    let mut highest = BTreeMap::new();
    for (shard, number) in answered.chain(steps) {
        let known = highest.entry(shard).or_insert(number);
        *known = number.max(*known);
    }
    highest
}
