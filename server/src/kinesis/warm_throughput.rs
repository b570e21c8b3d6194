//! Warm throughput: shards an on-demand stream has ahead of its traffic, one for each MiB/s. It counts
//! while the account is committed to a minimum throughput.

use kinelog_engine::types::Stream;

use super::account::Account;
use super::attributes::Attributes;
use super::context::Call;
use super::reshard::Swap;
use super::{on_demand, shards, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::writer::Writer;
use crate::limits;

/// Refuses warm throughput to a caller whose account has not committed itself, or beyond what an
/// account can have.
///
/// # Errors
///
/// `InvalidArgumentException`, `LimitExceededException`.
pub(super) fn check(call: &Call<'_>, mibps: u32) -> Result<(), Exception> {
    if !Account::of(call)?.is_committed(call.now) {
        return Err(unconfirmed::warm_throughput_without_commitment());
    }
    if mibps > limits::WARM_THROUGHPUT_MIBPS_MAX {
        return Err(unconfirmed::warm_throughput_too_large(limits::WARM_THROUGHPUT_MIBPS_MAX));
    }
    Ok(())
}

/// Gives an on-demand stream so much, and the steps to the shards it needs for that. The same as
/// before, or less, lets the stream give back what it does not need.
///
/// # Errors
///
/// As `check`, and `LimitExceededException` for more shards than the account may have.
pub(super) fn set(
    call: &Call<'_>,
    stream: &Stream,
    attributes: &mut Attributes,
    mibps: u32,
) -> Result<Vec<Vec<Swap>>, Exception> {
    check(call, mibps)?;
    let additional = u64::from(mibps).saturating_sub(stream.open.len() as u64);
    shards::check_quota(call, additional, call.context.settings().shards_max(call.region))?;
    if attributes.warm_mibps.is_some_and(|before| mibps <= before) {
        attributes.history.release();
    }
    attributes.warm_mibps = Some(mibps);
    Ok(on_demand::grow_to(stream, mibps))
}

/// Writes what was asked for, and how much of it the open shards carry.
pub(super) fn write(writer: &mut Writer, target: u32, open_shards: usize) {
    let current = target.min(u32::try_from(open_shards).unwrap_or(u32::MAX));
    writer.key("WarmThroughput");
    writer.begin_map();
    for (name, mibps) in [("TargetMiBps", target), ("CurrentMiBps", current)] {
        writer.key(name);
        writer.integer(mibps.into());
    }
    writer.end_map();
}
