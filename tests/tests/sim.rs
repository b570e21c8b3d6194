//! Simulations of the engine by seed. More of them, and one alone: the command `sim`; see
//! docs/durability.md.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use kinelog_engine::bugs::Bug;
use kinelog_engine::device::simulated::{Fault, Operation, Survive};
use kinelog_tests::sim::{
    self, Counts, End, Options, Outcome, Rot, Step, Story, run, shortest, situations,
};

/// Seeds of the swarm. The command runs any number.
const SWARM_SEEDS: u64 = 1_000;
/// Seeds of stories made of rare situations.
const RARE_SEEDS: u64 = 300;
/// Seeds that run twice.
const TWICE_SEEDS: u64 = 60;
/// Seeds with many faults that must be got over.
const LIVELY_SEEDS: u64 = 150;
/// Simulated milliseconds in which a store takes writes again once nothing fails any more: the two
/// seconds it is given, and what a start and the writes take.
const HEALING_MS_MAX: u64 = 2_500;

/// Runs seeds from 0 on, each with its own story.
fn run_all(
    seeds: u64,
    of: impl Fn(u64) -> Options + Sync,
    each: impl Fn(&Options, &Story, Outcome) + Sync,
) {
    let of = |seed| {
        let options = of(seed);
        let story = Story::of(&options);
        (options, story)
    };
    sim::run_all(0..seeds, sim::cores(), of, each);
}

/// The swarm, run once for all tests that look at it.
fn swarm() -> &'static (Counts, Vec<String>) {
    static SWARM: OnceLock<(Counts, Vec<String>)> = OnceLock::new();
    SWARM.get_or_init(|| {
        let (counts, failed) = (Mutex::new(Counts::new()), Mutex::new(Vec::new()));
        let each = |options: &Options, story: &Story, outcome: Outcome| {
            let mut counts = counts.lock().expect("no holder panics");
            for (name, times) in outcome.counts {
                *counts.entry(name).or_default() += times;
            }
            if !outcome.wrong.is_empty() {
                failed.lock().expect("no holder panics").push(shortest(options, story));
            }
        };
        run_all(SWARM_SEEDS, Options::of, each);
        run_all(RARE_SEEDS, Options::rare, each);
        let unlocked = "no holder panicked";
        (counts.into_inner().expect(unlocked), failed.into_inner().expect(unlocked))
    })
}

#[test]
fn sim_swarm() {
    let (_, failed) = swarm();
    assert!(failed.is_empty(), "{} seeds fail; the first:\n{}", failed.len(), failed[0]);
}

#[test]
fn sim_coverage_points() {
    let (counts, _) = swarm();
    let expected = situations::MET_BY_CI.iter().chain(situations::ORDINARY);
    let missed: Vec<_> = expected.filter(|name| !counts.contains_key(**name)).collect();
    assert!(missed.is_empty(), "never met: {missed:?}");
    let unnamed: Vec<_> = situations::unnamed(counts).collect();
    assert!(unnamed.is_empty(), "met, but in no list of `situations`: {unnamed:?}");
}

#[test]
fn no_rare_situation_is_named_twice() {
    let mut names: Vec<_> = situations::names().collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn sim_deterministic() {
    run_all(TWICE_SEEDS, Options::of, |options, story, outcome| {
        let again = run(options, story);
        assert_eq!(outcome.events, again.events, "seed {}", options.seed);
        assert!(outcome.files == again.files, "seed {} leaves other bytes", options.seed);
        assert!(outcome == again, "seed {}", options.seed);
    });
}

#[test]
fn sim_liveness() {
    run_all(LIVELY_SEEDS, Options::lively, |options, story, outcome| {
        assert!(outcome.wrong.is_empty(), "{}", shortest(options, story));
        let healing_ms = outcome.healing_ms.expect("a run that ends has healed");
        assert!(healing_ms <= HEALING_MS_MAX, "seed {}: {healing_ms} ms", options.seed);
    });
}

#[test]
fn sim_regressions() {
    for (what, options, story) in regressions() {
        let outcome = run(&options, &story);
        assert!(outcome.wrong.is_empty(), "{what}: {}", shortest(&options, &story));
    }
}

/// Stories that failed once: what was wrong, and how it came about.
fn regressions() -> Vec<(&'static str, Options, Story)> {
    // So many that what a manifest says of them takes two sectors, of which a cut may keep one.
    const SHARDS: u32 = 8;
    let plain = |seed| {
        let mut options = Options::of(seed);
        (options.rot, options.rates, options.pauses_max, options.shards) =
            (Rot::None, vec![], 0, SHARDS);
        options.config.checkpoint_log_bytes = 1 << 30;
        options.config.checkpoint_interval_ms = 3_600_000;
        options
    };
    let send =
        || Step::Send { calls: 1, shard: 0, runs: SHARDS, records: 1, bytes: 700, wait: true };
    let fail = |nth, fault| Step::Fail { operation: Operation::SyncData, nth, fault };
    // The third manifest ever, the first that is written over another, is lost in a failed sync, the
    // next process believes it, and the write of the fourth one is torn.
    // A checkpoint syncs the segments first; after a start those of before, which end, as well.
    let segments = u64::from(SHARDS);
    let manifests = (0..40).map(|seed| {
        let steps = vec![
            send(),
            Step::Checkpoint,
            send(),
            Step::Checkpoint,
            send(),
            fail(segments + 1, Fault::LosePages),
            Step::Checkpoint,
            send(),
            fail(2 * segments + 1, Fault::PowerOff),
            Step::Crash { nth: 1_000, end: End::Cut(Survive::Random) },
            Step::Checkpoint,
        ];
        ("a manifest that was never on the disk was relied upon", plain(seed), Story(steps))
    });
    manifests.chain(drawn()).collect()
}

/// Whole stories of the swarm that failed once.
fn drawn() -> impl Iterator<Item = (&'static str, Options, Story)> {
    let back_in_flight =
        "records sent before the clock went back, stored after, were thought younger";
    let flipped_sum = "a footer took the sum of a header from before its flipped bit was repaired";
    let later_end = "records arrived past the end of their shard, under a later one not stored";
    let header_elsewhere = "a log file whose header was written elsewhere was taken for another";
    let first_batch = "a search by time passed over a segment that had lost its first batch";
    let drawn = [
        (1_116, "a log file whose only group had a flipped bit was not seen to take over"),
        (200_636, "a log file given up unused left a gap that told of a lost one"),
        (201_245, later_end),
        (
            303_878,
            "a start that could not sync the log's last group left it to the next, which trusted it",
        ),
        (
            304_562,
            "a bit that flipped on its way into a map was damage for as long as the map lived",
        ),
        (307_537, later_end),
        (307_976, later_end),
        (309_973, later_end),
        (312_660, "a bit that flipped in two reads of the log was copied to where it stayed"),
        (314_169, "the story did not know the end of a shard that a start had found"),
        (314_465, "a log file left half made stopped writes once there was space again"),
        (314_960, "the lost end of a closed shard was taken for expired"),
        (316_545, "a log file left half made stopped writes once there was space again"),
        (319_576, "a short frame uncovered the remains of a longer one that was taken back"),
        (320_210, later_end),
        (411_999, back_in_flight),
        (414_046, back_in_flight),
        (428_938, "a manifest that a full disk had cut short was taken for a damaged one"),
        (437_246, back_in_flight),
        (441_393, header_elsewhere),
        (450_909, back_in_flight),
        (453_771, header_elsewhere),
        (461_740, "a mirror of the catalogue that lost a sector was thought to lack a torn frame"),
        (465_684, "two flipped bits in the head of one batch were to cost two records"),
        (472_634, back_in_flight),
        (482_892, back_in_flight),
        (489_263, flipped_sum),
        (492_504, back_in_flight),
        (494_870, header_elsewhere),
        (496_547, "a read that a longer retention overtook was judged by what was asked later"),
        (501_871, back_in_flight),
        (509_643, flipped_sum),
        (511_165, back_in_flight),
        (511_279, first_batch),
        (530_282, first_batch),
        (532_396, header_elsewhere),
        (533_044, back_in_flight),
        (535_268, "what had expired was called damaged by the older of two manifests"),
        (559_820, back_in_flight),
        (581_868, "a batch that could not be read for a moment was left out of a footer"),
    ];
    drawn.into_iter().map(|(seed, what)| {
        let options = Options::of(seed);
        let story = Story::of(&options);
        (what, options, story)
    })
}

/// Each fault that the usual stories find, and how many of their seeds that took.
const FOUND: &[(Bug, u64)] = &[
    (Bug::LogNameNotSynced, 2),
    (Bug::LogHeaderNotSynced, 120),
    (Bug::CatalogNotSynced, 2),
    (Bug::FoundNamesNotSynced, 2),
    (Bug::AnsweredBeforeWritten, 2),
    (Bug::StoredYetRefused, 1),
    (Bug::CutAtFirstDamage, 34),
    (Bug::LogFileReplaced, 6),
    (Bug::BatchMisplaced, 1),
    (Bug::LogReleasedEarly, 16),
    (Bug::ReplayStartsLate, 32),
    (Bug::ManifestAhead, 32),
    (Bug::GarbageRemovedEarly, 1154),
    (Bug::ReshardNotWritten, 2),
    (Bug::ChangeNotWritten, 2),
    (Bug::ParentStaysOpen, 4),
    (Bug::ParentEndsEarly, 4),
    (Bug::BatchLeavesEarly, 71),
    (Bug::ArrivalLimitIgnored, 18),
    (Bug::ArrivalLimitForgotten, 2),
    (Bug::EndTooHigh, 4),
    (Bug::RetentionEarly, 107),
    (Bug::SeamSkipped, 1),
    (Bug::ManifestUnchecked, 141),
    (Bug::CatalogUnchecked, 31),
];

/// The same for those that stories of rare situations find sooner, or alone.
const FOUND_BY_RARE: &[(Bug, u64)] = &[
    (Bug::LogNotSynced, 1),
    (Bug::SegmentsNotSynced, 1),
    (Bug::SegmentNamesNotSynced, 2),
    (Bug::ManifestNotSynced, 3),
    (Bug::ReplayNotSynced, 6),
    (Bug::ReplayNotWritten, 28),
    (Bug::DirtyRead, 2),
    (Bug::SegmentSyncRetried, 2),
    (Bug::CatalogSyncRetried, 4),
    (Bug::LogWriteErrorIgnored, 2),
    (Bug::FullDiskAcknowledged, 10),
    (Bug::PoisonIgnored, 10),
    (Bug::CheckpointFailureIgnored, 2),
    (Bug::TornTailKept, 7),
    (Bug::ReplaySkipsGroup, 1),
    (Bug::ReplaySkipsFile, 2),
    (Bug::ClosedShardReopened, 5),
    (Bug::ArrivalFalls, 2),
    (Bug::LastArrivalForgotten, 1),
    (Bug::EndTooLow, 2),
    (Bug::FollowersNotWoken, 48),
    (Bug::TrimForgotten, 2),
    (Bug::ExpiredComesBack, 29),
    (Bug::ExpiredShown, 2),
    (Bug::SearchTooFar, 8),
    (Bug::SearchTooShort, 29),
    (Bug::RecordUnchecked, 3),
    (Bug::GroupUnchecked, 2),
    (Bug::BatchUnchecked, 106),
];

#[test]
fn sim_finds_seeded_bugs() {
    let missed = Mutex::new(Vec::new());
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..sim::cores() {
            scope.spawn(|| {
                while let Some((bug, needed, of)) = taken(&next) {
                    // The seed that found it first, and others where the store has changed since.
                    let fails = |options: Options, story: &Story| {
                        !run(&Options { bug: Some(bug), ..options }, story).wrong.is_empty()
                    };
                    let is_found = (needed - 1..needed).chain(0..MORE_SEEDS).any(|seed| {
                        let options = Options { bug: Some(bug), ..of(seed) };
                        let story = Story::of(&options);
                        fails(options, &story)
                    });
                    // Else a story must that failed once for this very reason.
                    let failed = |(_, options, story)| fails(options, &story);
                    if !is_found && !regressions().into_iter().any(failed) {
                        missed.lock().expect("no holder panics").push(bug);
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().expect("no holder panicked");
    assert!(missed.is_empty(), "not found: {missed:?}");
}

/// Seeds that a fault has when its own does not find it any more.
const MORE_SEEDS: u64 = 400;

/// What a kind of story is drawn by.
type Kind = fn(u64) -> Options;

/// The next fault, the seeds it took, and what draws them.
fn taken(next: &AtomicU64) -> Option<(Bug, u64, Kind)> {
    let at = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).ok()?;
    let of_rare = at.checked_sub(FOUND.len());
    let (of, found): (Kind, _) = match of_rare {
        Some(at) => (Options::rare, FOUND_BY_RARE.get(at)),
        None => (Options::of, FOUND.get(at)),
    };
    let (bug, needed) = *found?;
    Some((bug, needed, of))
}
