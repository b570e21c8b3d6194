//! Writing and reading at once: half of the connections each, on the same streams.

use std::sync::Arc;

use super::put;
use crate::arguments::Load;
use crate::client::Failure;
use crate::drive::{Work, drive};
use crate::outcome::Outcome;
use crate::payload::Payloads;
use crate::setup::Session;

/// What the writing half did, and the reading half. Both tell the processor time of both.
pub(crate) fn run(load: &Load) -> Result<(Outcome, Outcome), Failure> {
    let mut session = Session::open(load)?;
    let payloads = Arc::new(Payloads::new(load, session.streams()));
    let half = Load { connections: (load.connections / 2).max(1), ..load.clone() };
    put::fill(&Load { fill_mb: load.fill_mb.min(64), ..half.clone() }, &payloads)?;
    let read = Work::Get(Arc::new(session.iterators()?), Arc::clone(&payloads));
    let reader = {
        let half = half.clone();
        std::thread::spawn(move || drive(&half, &read))
    };
    let written = drive(&half, &Work::Put(payloads))?;
    let read = reader.join().map_err(|_| "the reading half panicked")??;
    session.close()?;
    Ok((written, read))
}
