//! The keeper: copies, checkpoints, seals what is idle, watches the free space. One task, one step
//! after another; the commit loop goes on meanwhile.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::checkpoint::checkpoint;
use super::copy::copy_shards;
use super::log_thread::{LogThread, Space};
use crate::types::ShardUid;

/// How often the free space is looked at while anything is written.
const TICK: Duration = Duration::from_millis(200);
/// Segments are looked over for age and idleness every so many ticks.
const SWEEP_TICKS: u32 = 5;
/// Most segments sealed by one sweep.
const SWEEP_SEALS_MAX: usize = 64;

/// Runs until the log thread ends.
pub(super) async fn run(log: Rc<LogThread>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0;
    while !log.is_over() {
        let is_tick = tokio::select! {
            biased; // Under load there always is a notice: it must not hide the ticks.
            _ = ticks.tick() => true,
            () = log.keeper.notified() => false,
        };
        if is_tick {
            count += 1;
            watch_space(&log).await;
            if count % SWEEP_TICKS == 0 {
                sweep(&log);
            }
        }
        copy_due(&log).await;
        if is_checkpoint_due(&log) {
            checkpoint(&log).await;
        }
    }
    log.progress.notify_one();
    log.checkpoint_requests.borrow_mut().clear();
    log.seal_requests.borrow_mut().clear();
}

/// Sees how much is free, and refuses or admits appends accordingly.
pub(super) async fn watch_space(log: &LogThread) {
    let is_idle = log.since.borrow().first_change.is_none();
    if is_idle && !log.is_full() {
        return;
    }
    match log.device.files.free_bytes(&log.config().directory).await {
        Ok(free) => {
            let needed = log.config().reserve_bytes.saturating_add(log.pending_bytes.get());
            let is_low = free < needed;
            log.set_space(Space { free, is_low, ..log.space.get() });
        }
        Err(error) => tracing::warn!(%error, "the free space is unknown"),
    }
}

async fn copy_due(log: &Rc<LogThread>) {
    let mut due: Vec<ShardUid> = log.due.borrow_mut().iter().copied().collect();
    if log.space.get().is_refused {
        due = shards_with_work(log);
    }
    let seal_requests = std::mem::take(&mut *log.seal_requests.borrow_mut());
    if due.is_empty() && !log.space.get().is_refused {
        return; // And the requests, if any, with what they ask for.
    }
    log.due.borrow_mut().clear();
    match copy_shards(log, due.clone()).await {
        Ok(()) => {
            log.set_space(Space { is_refused: false, ..log.space.get() });
            for request in seal_requests {
                request.send(()).ok();
            }
        }
        Err(error) => {
            log.due.borrow_mut().extend(due);
            log.failed(&error);
        }
    }
}

/// Shards with something to copy or to seal.
pub(super) fn shards_with_work(log: &LogThread) -> Vec<ShardUid> {
    let writers = log.writers.borrow();
    let due = writers.iter().filter(|(_, writer)| writer.borrow().has_work());
    due.map(|(uid, _)| *uid).collect()
}

fn is_checkpoint_due(log: &LogThread) -> bool {
    let since = log.since.borrow();
    let interval = Duration::from_millis(log.config().checkpoint_interval_ms);
    let is_late = since.first_change.is_some_and(|change| change.elapsed() >= interval);
    // A manifest with a right sum and a wrong position may be ahead of the log.
    let written = log.log.cursor().position.saturating_sub(since.position);
    // A full disk is asked again by `copy_due` first.
    let may = !log.space.get().is_refused && log.shared.stopped().is_none();
    let is_asked = !log.checkpoint_requests.borrow().is_empty();
    may && (is_asked || is_late || written >= log.config().checkpoint_log_bytes)
}

fn sweep(log: &LogThread) {
    let now = log.device.clock.now();
    let mut due = log.due.borrow_mut();
    let mut seals = 0;
    for (uid, writer) in log.writers.borrow().iter() {
        if writer.borrow_mut().end_when_due(now, log.config()) {
            due.insert(*uid);
            seals += 1;
        }
        if seals == SWEEP_SEALS_MAX {
            break;
        }
    }
    if seals > 0 {
        log.touch();
    }
}
