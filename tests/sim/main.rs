//! Runs simulations by seed and tells the shortest failing story.
//!
//! `sim --seeds N [--from S]` runs N seeds on all cores and tells which rare situations were met and
//! which never; `sim --seed S` replays one and prints what happened; `sim --bugs` tells for each fault
//! of the program how many seeds it takes to find it.
#![expect(clippy::print_stdout, reason = "this is what the command is for")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use kinelog_engine::bugs::Bug;
use kinelog_tests::sim::{Counts, Options, Story, cores, run, run_all, shrink, situations};

/// What to run.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Replays this seed alone and prints its events.
    #[arg(long)]
    seed: Option<u64>,
    /// Switches a fault of the program on, by its name.
    #[arg(long)]
    bug: Option<String>,
    /// Runs every fault of the program until it is found, with at most `--seeds` seeds each.
    #[arg(long)]
    bugs: bool,
    /// What the stories are like.
    #[arg(long, value_enum, default_value_t = Stories::Usual)]
    stories: Stories,
    /// Prints the failing story whole.
    #[arg(long)]
    no_shrink: bool,
    /// Threads; all cores unless said otherwise.
    #[arg(long)]
    threads: Option<usize>,
}

/// Kinds of stories.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Stories {
    /// Drawn step by step.
    Usual,
    /// The same with many faults of the disk in every run.
    Lively,
    /// Made of rare situations.
    Rare,
    /// Each of these kinds in turn.
    Mixed,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let bug = match arguments.bug.as_deref().map(|name| (name, named(name))) {
        Some((name, None)) => {
            println!("there is no fault {name}");
            return ExitCode::FAILURE;
        }
        found => found.and_then(|(_, bug)| bug),
    };
    if arguments.bugs {
        return find_all(&arguments);
    }
    if let Some(seed) = arguments.seed {
        let (options, story) = of(&arguments, seed, bug);
        let outcome = run(&options, &story);
        println!("{options}\n{story}{}", outcome.events.join("\n"));
        return tell(&options, &story, &outcome.wrong, arguments.no_shrink);
    }
    run_many(&arguments, bug)
}

fn named(name: &str) -> Option<Bug> {
    Bug::ALL.iter().copied().find(|bug| format!("{bug:?}") == name)
}

fn of(arguments: &Arguments, seed: u64, bug: Option<Bug>) -> (Options, Story) {
    let drawn = match arguments.stories {
        Stories::Usual => Options::of(seed),
        Stories::Lively => Options::lively(seed),
        Stories::Rare => Options::rare(seed),
        Stories::Mixed => match seed % 3 {
            0 => Options::of(seed),
            1 => Options::lively(seed),
            _ => Options::rare(seed),
        },
    };
    let options = Options { bug, ..drawn };
    let story = Story::of(&options);
    (options, story)
}

/// The end of a run: nothing, or the shortest story that fails.
fn tell(options: &Options, story: &Story, wrong: &[String], no_shrink: bool) -> ExitCode {
    if wrong.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("seed {} fails:\n  {}", options.seed, wrong.join("\n  "));
    if !no_shrink {
        let short = shrink(options, story);
        let outcome = run(options, &short);
        println!("{options}\nits shortest story, {} of {} steps:", short.0.len(), story.0.len());
        println!("{short}{}\n  {}", outcome.events.join("\n"), outcome.wrong.join("\n  "));
    }
    ExitCode::FAILURE
}

fn threads(arguments: &Arguments) -> usize {
    arguments.threads.unwrap_or_else(cores)
}

fn run_many(arguments: &Arguments, bug: Option<Bug>) -> ExitCode {
    let begun = Instant::now();
    let seeds = arguments.from..arguments.from + arguments.seeds;
    let failed = Mutex::new(BTreeMap::<u64, Vec<String>>::new());
    let total = Mutex::new(Counts::new());
    let of_seed = |seed| of(arguments, seed, bug);
    run_all(seeds, threads(arguments), of_seed, |options, _, outcome| {
        let mut total = total.lock().expect("no holder panics");
        for (name, times) in outcome.counts {
            *total.entry(name).or_default() += times;
        }
        if !outcome.wrong.is_empty() {
            failed.lock().expect("no holder panics").insert(options.seed, outcome.wrong);
        }
    });
    let total = total.into_inner().expect("no holder panicked");
    tell_situations(&total);
    let failed = failed.into_inner().expect("no holder panicked");
    let seconds = begun.elapsed().as_secs();
    println!(
        "{} seeds from {}, {} seeds failed, {seconds} s",
        arguments.seeds,
        arguments.from,
        failed.len()
    );
    for (seed, wrong) in failed.iter().skip(1).take(30) {
        println!("seed {seed} fails: {}", wrong.first().map_or("", String::as_str));
    }
    let Some((seed, wrong)) = failed.first_key_value() else { return ExitCode::SUCCESS };
    let (options, story) = of(arguments, *seed, bug);
    tell(&options, &story, wrong, arguments.no_shrink)
}

/// What was counted, and which rare situations were never met.
fn tell_situations(counts: &Counts) {
    for (name, times) in counts {
        println!("{times:>12} {name}");
    }
    let never: Vec<_> = situations::all().filter(|name| !counts.contains_key(*name)).collect();
    for name in &never {
        println!("       never {name}");
    }
    let all = situations::all().count();
    println!("{} of {all} rare situations met", all - never.len());
    for name in situations::unnamed(counts) {
        println!("counted, but no situation that has a name: {name}");
    }
}

/// How many seeds each fault takes.
fn find_all(arguments: &Arguments) -> ExitCode {
    let next = AtomicU64::new(0);
    let missed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads(arguments) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(bug) = usize::try_from(at).ok().and_then(|at| Bug::ALL.get(at)) else {
                        return;
                    };
                    let mut seeds = arguments.from..arguments.from + arguments.seeds;
                    let found = seeds.find_map(|seed| {
                        let (options, story) = of(arguments, seed, Some(*bug));
                        let wrong = run(&options, &story).wrong;
                        wrong.first().map(|wrong| (seed, wrong.clone()))
                    });
                    if let Some((seed, wrong)) = found {
                        let wrong = wrong.lines().next().unwrap_or_default();
                        let needed = seed - arguments.from + 1;
                        println!("{:<28} {needed:>6} seeds: {wrong}", format!("{bug:?}"));
                    } else {
                        missed.fetch_add(1, Ordering::Relaxed);
                        println!("{:<28} NOT FOUND", format!("{bug:?}"));
                    }
                }
            });
        }
    });
    let missed = missed.into_inner();
    println!("{} faults, {missed} not found", Bug::ALL.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
