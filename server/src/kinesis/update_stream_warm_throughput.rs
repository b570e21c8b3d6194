//! `UpdateStreamWarmThroughput`: gives an on-demand stream shards ahead of its traffic, or lets it
//! give back those it does not need.

use bytes::Bytes;
use kinelog_engine::types::Stream;

use super::arn::StreamArn;
use super::attributes::{Attributes, Mode};
use super::context::Call;
use super::reshard::Swap;
use super::stream_ref::StreamRef;
use super::{lifecycle, shapes, unconfirmed, warm_throughput};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "UpdateStreamWarmThroughputRequest",
    members: &[
        shapes::STREAM_ARN,
        shapes::STREAM_NAME,
        shapes::STREAM_ID,
        shapes::required("WarmThroughputMiBps", shapes::WARM_THROUGHPUT),
    ],
};

/// A sound request.
#[derive(Debug)]
struct Request {
    stream: StreamRef,
    mibps: u32,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let stream = StreamRef::parse(call, input)?;
        let given = input.integer("WarmThroughputMiBps").map(i32::unsigned_abs);
        Ok(Self { stream, mibps: given.unwrap_or_default() })
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = Request::parse(call, input)?;
    let rate = limits::UPDATE_STREAM_WARM_THROUGHPUT_PER_SECOND;
    request.stream.admit(call, "UpdateStreamWarmThroughput", rate)?;
    // What is due to be gone does not count.
    lifecycle::settle_all(call).await;
    let mut open_shards = 0;
    lifecycle::reshard(call, &request.stream, |stream, attributes| {
        open_shards = stream.open.len();
        request.plan(call, stream, attributes)
    })
    .await?;
    Ok(request.write(call, open_shards))
}

impl Request {
    fn plan(
        &self,
        call: &Call<'_>,
        stream: &Stream,
        attributes: &mut Attributes,
    ) -> Result<Vec<Vec<Swap>>, Exception> {
        lifecycle::check_active(call, stream)?;
        if attributes.mode == Mode::Provisioned {
            return Err(unconfirmed::on_demand_only("WarmThroughputMiBps"));
        }
        warm_throughput::set(call, stream, attributes, self.mibps)
    }

    fn write(&self, call: &Call<'_>, open_shards: usize) -> Bytes {
        let name = &self.stream.name;
        let mut writer = call.writer(256);
        writer.begin_map();
        writer.key("StreamARN");
        writer.text(&StreamArn { region: call.region, account: call.account, name }.to_string());
        writer.key("StreamName");
        writer.text(name);
        warm_throughput::write(&mut writer, self.mibps, open_shards);
        writer.end_map();
        writer.finish()
    }
}
