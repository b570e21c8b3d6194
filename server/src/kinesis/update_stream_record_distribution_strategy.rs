//! `UpdateStreamRecordDistributionStrategy`: says who chooses the shards of new records, at once.
//! Stored records stay where they are.

use bytes::Bytes;

use super::attributes::{Distribution, Mode};
use super::context::Call;
use super::stream_ref::StreamRef;
use super::{lifecycle, shapes, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "UpdateStreamRecordDistributionStrategyRequest",
    members: &[
        shapes::STREAM_ARN_REQUIRED,
        shapes::STREAM_ID,
        shapes::required("RecordDistributionStrategy", shapes::DISTRIBUTION),
    ],
};

/// A sound request.
#[derive(Debug)]
struct Request {
    stream: StreamRef,
    distribution: Distribution,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let stream = StreamRef::parse(call, input)?;
        let given = input.text("RecordDistributionStrategy");
        Ok(Self { stream, distribution: Distribution::named(given) })
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = Request::parse(call, input)?;
    let rate = limits::UPDATE_STREAM_RECORD_DISTRIBUTION_STRATEGY_PER_SECOND;
    request.stream.admit(call, "UpdateStreamRecordDistributionStrategy", rate)?;
    lifecycle::amend(call, &request.stream, |stream, attributes| {
        lifecycle::check_active(call, stream)?;
        if request.distribution == Distribution::Auto && attributes.mode == Mode::Provisioned {
            return Err(unconfirmed::on_demand_only("RecordDistributionStrategy AUTO"));
        }
        attributes.write.distribution = request.distribution;
        Ok(Vec::new())
    })
    .await?;
    Ok(Bytes::new())
}
