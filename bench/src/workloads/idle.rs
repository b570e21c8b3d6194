//! Connections that are open and silent: what they cost, and what they do to others.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::task::LocalSet;

use super::put;
use crate::arguments::Load;
use crate::client::{Client, Failure};
use crate::outcome::Outcome;
use crate::process::Usage;
use crate::signer::Signer;

/// Writes while `load.idle` further connections, each after one call, are open. Tells also what
/// each added to the server's memory, in bytes, if the server's process is known.
pub(crate) fn run(load: &Load) -> Result<(Outcome, Option<f64>), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let before = load.pid.map(Usage::of).transpose()?;
    let silent = local.block_on(&runtime, open(load))?;
    let after = load.pid.map(Usage::of).transpose()?;
    let outcome = put::run(load)?;
    drop(silent);
    #[expect(clippy::cast_precision_loss, reason = "bytes of memory stay far below 2^52")]
    let each = before.zip(after).map(|(before, after)| {
        let grown = after.resident_bytes.saturating_sub(before.resident_bytes);
        grown as f64 / load.idle.max(1) as f64
    });
    Ok((outcome, each))
}

async fn open(load: &Load) -> Result<Vec<Client>, Failure> {
    let signer = Rc::new(RefCell::new(Signer::new(&load.region)));
    let mut silent = Vec::new();
    for _ in 0..load.idle {
        let mut client = Client::connect(load, &signer).await?;
        client.call("Kinesis_20131202.ListStreams", "{}".into()).await?;
        silent.push(client);
    }
    Ok(silent)
}
