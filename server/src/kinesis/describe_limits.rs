//! `DescribeLimits`: how many shards and on-demand streams the account has and may have.

use std::sync::Arc;

use bytes::Bytes;
use kinelog_engine::types::Stream;

use super::context::Call;
use super::{account, lifecycle};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;
use crate::limits;

const NAME: &str = "DescribeLimits";

/// The input.
pub(super) static SHAPE: Structure = Structure { name: "DescribeLimitsRequest", members: &[] };

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, _input: &Input<'_>) -> Result<Bytes, Exception> {
    call.admit(NAME, limits::DESCRIBE_LIMITS_PER_SECOND)?;
    let streams = lifecycle::settle_all(call).await;
    Ok(write(call, &streams))
}

/// Channels do not exist here, so there is room for none.
fn write(call: &Call<'_>, streams: &[Arc<Stream>]) -> Bytes {
    let settings = call.context.settings();
    let open_shards: usize = streams.iter().map(|stream| stream.open.len()).sum();
    let on_demand = account::count_on_demand(streams.iter().map(AsRef::as_ref));
    let mut writer = call.writer(256);
    writer.begin_map();
    for (name, count) in [
        ("ShardLimit", settings.shards_max(call.region) as usize),
        ("OpenShardCount", open_shards),
        ("OnDemandStreamCount", on_demand),
        ("OnDemandStreamCountLimit", settings.on_demand_streams_max()),
        ("ChannelCount", 0),
        ("ChannelCountLimit", 0),
    ] {
        writer.key(name);
        writer.integer(i64::try_from(count).unwrap_or(i64::MAX));
    }
    writer.end_map();
    writer.finish()
}
