//! One simulation from beginning to end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use kinelog_engine::bugs;
use tokio::task::LocalSet;

use super::options::Options;
use super::shared::Counts;
use super::story::Story;
use super::witness::see_unanswered_records;
use super::world::World;
use crate::history::check;

/// What came of a simulation.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What is wrong, empty when nothing is.
    pub wrong: Vec<String>,
    /// All that happened.
    pub events: Vec<String>,
    /// What was met, by name.
    pub counts: Counts,
    /// How long it took, once nothing failed any more, until all open shards took writes, in
    /// simulated milliseconds.
    pub healing_ms: Option<u64>,
    /// All files at the end, as the last process saw them.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
}

thread_local! {
    static PANICS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Panics on a thread that runs a simulation are findings of it, not lines on the terminal.
fn catch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let caught = PANICS.with_borrow_mut(|panics| {
                panics.as_mut().map(|panics| panics.push(info.to_string())).is_some()
            });
            if !caught {
                usual(info);
            }
        }));
    });
}

/// Runs a simulation on this thread.
///
/// # Panics
///
/// When the system grants no runtime.
pub fn run(options: &Options, story: &Story) -> Outcome {
    catch_panics();
    PANICS.set(Some(Vec::new()));
    bugs::switch(options.bug);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system");
    let outcome = RefCell::new(Outcome::default());
    let told = catch_unwind(AssertUnwindSafe(|| {
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, tell(options.clone(), story, &outcome));
    }));
    drop(catch_unwind(AssertUnwindSafe(|| drop(runtime))));
    bugs::switch(None);
    let mut outcome = outcome.into_inner();
    let panics = PANICS.take().unwrap_or_default();
    if told.is_err() && panics.is_empty() {
        outcome.wrong.push("the simulation ended early".to_owned());
    }
    outcome.wrong.extend(panics);
    outcome
}

/// Runs seeds on so many threads; `each` sees what came of them, in no order.
pub fn run_all(
    seeds: Range<u64>,
    threads: usize,
    of: impl Fn(u64) -> (Options, Story) + Sync,
    each: impl Fn(&Options, &Story, Outcome) + Sync,
) {
    let next = AtomicU64::new(seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let (options, story) = of(seed);
                    let outcome = run(&options, &story);
                    each(&options, &story, outcome);
                }
            });
        }
    });
}

/// As many threads as there are cores.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

async fn tell(options: Options, story: &Story, outcome: &RefCell<Outcome>) {
    let mut world = match World::new(options).await {
        Ok(world) => world,
        Err(wrong) => {
            outcome.borrow_mut().wrong.push(wrong);
            return;
        }
    };
    for step in &story.0 {
        if world.is_over || !world.shared.wrong.borrow().is_empty() {
            break;
        }
        world.step(step).await;
    }
    if !world.is_over {
        world.epilogue().await;
    }
    let (is_whole, healing_ms) = (!world.is_over, world.healing_ms);
    let files = world.disk.snapshot();
    let followers = world.followers.drain(..).map(|follower| follower.task);
    for task in followers.chain(world.pending.drain(..)) {
        task.abort();
        drop(task.await);
    }
    let shared = Rc::clone(&world.shared);
    drop(world);
    // Whoever still holds it is a task that will never end; what it has taken down counts.
    let mut outcome = outcome.borrow_mut();
    let history = shared.recorder.history();
    outcome.wrong.extend(shared.wrong.borrow().iter().cloned());
    if is_whole
        && outcome.wrong.is_empty()
        && let Err(violations) = check(&history)
    {
        outcome.wrong.extend(violations.iter().take(20).map(ToString::to_string));
    }
    see_unanswered_records(&shared, &history);
    outcome.events.clone_from(&shared.events.borrow());
    outcome.counts.clone_from(&shared.counts.borrow());
    outcome.files = files;
    outcome.healing_ms = healing_ms;
}
