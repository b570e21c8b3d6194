//! `power_cut_every_write`: one run is recorded as the disk sees it, and then every moment at which
//! the power might have gone is tried, with what the cache may have kept.

use std::sync::Arc;

use fastrand::Rng;
use kinelog_tests::history::{History, Moment, Recorder};

use crate::disk::{Event, Image, Kept, Write, keep};
use crate::load::{Load, Shared, create, pause};
use crate::process::Process;
use crate::reader::read_all;
use crate::report::Tally;
use crate::rounds::{Ground, Plan, judge};
use crate::system::Failure;

/// What is left of the cache after each write: the choices that differ most.
const CHOICES: [Kept; 4] = [Kept::None, Kept::Random, Kept::Torn, Kept::All];

/// A run as the disk and the clients saw it.
struct Recording {
    base: Image,
    events: Vec<Event>,
    history: History,
    /// At each of these moments the disk had done at least so much.
    marks: Vec<(Moment, usize)>,
}

impl Recording {
    /// What clients knew when the disk had done `events`, or less than that.
    fn history_at(&self, events: usize) -> (History, Moment) {
        let known = self.marks.partition_point(|(_, done)| *done <= events);
        let moment = known.checked_sub(1).map_or(0, |last| self.marks[last].0);
        (self.history.until(moment), moment)
    }
}

/// Tries cut points until `images` were checked, spread over the run where it has more.
pub(crate) async fn run_cut_points(
    plan: &Plan,
    acks: usize,
    images: u64,
) -> Result<Tally, Failure> {
    let mut rng = Rng::with_seed(plan.seed);
    let mut tally = Tally::default();
    while tally.images < images {
        let mut ground = Ground::new(plan.stop, &plan.scratch)?;
        let recording = record(plan, &mut ground, acks, &mut rng).await?;
        let left = images - tally.images;
        cut(plan, &mut ground, &recording, left, &mut rng, &mut tally).await?;
        tally.rounds += 1;
        eprintln!("{tally}");
    }
    Ok(tally)
}

async fn record(
    plan: &Plan,
    ground: &mut Ground,
    acks: usize,
    rng: &mut Rng,
) -> Result<Recording, Failure> {
    let mut server = Process::spawn(&plan.program, &ground.data(), 0)?;
    let (port, _) = server.listening()?;
    let Ground::Disk { disk, volume, .. } = ground else {
        return Err("only a disk of ours can be recorded".into());
    };
    let base = disk.record();
    let shared = Arc::new(Shared::new(port, Recorder::new(), Some(Arc::clone(disk)))?);
    create(&shared).await?;
    let load = Load::start(shared, plan.cast, rng);
    while load.shared.recorder.acknowledged() < acks {
        pause().await;
    }
    let shared = load.stop().await?;
    let events = disk.take_events();
    server.kill()?;
    volume.unmount().await?;
    Ok(Recording { base, events, history: shared.recorder.history(), marks: shared.marks() })
}

/// Walks through the events and tries every write among them, or so many that `images` are made.
async fn cut(
    plan: &Plan,
    ground: &mut Ground,
    recording: &Recording,
    images: u64,
    rng: &mut Rng,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let is_write = |event: &&Event| matches!(event, Event::Write(_));
    let writes = recording.events.iter().filter(is_write).count() as u64;
    let wanted = images.div_ceil(CHOICES.len() as u64).clamp(1, writes);
    let (mut durable, mut cache) = (recording.base.clone(), Vec::<Write>::new());
    let mut seen = 0;
    for (at, event) in recording.events.iter().enumerate() {
        match event {
            Event::Flush => {
                for Write { offset, bytes } in cache.drain(..) {
                    durable.write(offset, &bytes);
                }
            }
            Event::Write(write) => {
                cache.push(write.clone());
                seen += 1;
                // Evenly spread where not all are wanted.
                if seen * wanted / writes == (seen - 1) * wanted / writes {
                    continue;
                }
                for kept in CHOICES {
                    let mut image = durable.clone();
                    keep(&mut image, &cache, kept, rng);
                    let outcome = try_image(plan, ground, recording, at + 1, image, tally).await;
                    outcome.map_err(|failure| {
                        format!(
                            "cut after event {} of {}, cache kept: {}: {failure}",
                            at + 1,
                            recording.events.len(),
                            kept.name()
                        )
                    })?;
                    *tally.kept.entry(kept.name()).or_default() += 1;
                    tally.images += 1;
                }
            }
        }
    }
    Ok(())
}

/// Starts a server on what was left and reads everything.
async fn try_image(
    plan: &Plan,
    ground: &mut Ground,
    recording: &Recording,
    events: usize,
    image: Image,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let data = ground.data();
    let Ground::Disk { disk, volume, .. } = ground else {
        return Err("only a disk of ours can be loaded".into());
    };
    disk.load(image);
    volume.mount()?;
    let mut server = Process::spawn(&plan.program, &data, 0)?;
    let (port, took) = server.listening()?;
    tally.longest_start = tally.longest_start.max(took);
    let (history, moment) = recording.history_at(events);
    let has_stream = history.attempts.iter().any(|_| true);
    let shared = Shared::new(port, Recorder::continuing(history, moment), None)?;
    shared.recorder.restarted();
    let read = read_all(&shared).await;
    // Before the stream was answered for, it need not be there.
    if has_stream {
        read.map_err(|failure| format!("the last reader: {failure}\n{}", server.log()))?;
    }
    server.kill()?;
    volume.unmount().await?;
    judge(&shared, tally)
}
