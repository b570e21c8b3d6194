//! `UpdateStreamMode`: switches a stream between provisioned and on-demand capacity. The shards stay
//! as they are, unless warm throughput needs more.

use bytes::Bytes;
use kinelog_engine::types::Stream;

use super::attributes::{Attributes, Distribution, Mode};
use super::context::Call;
use super::on_demand::History;
use super::reshard::Swap;
use super::stream_ref::StreamRef;
use super::{account, lifecycle, shapes, unconfirmed, warm_throughput};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::{Shape, Structure};
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "UpdateStreamModeRequest",
    members: &[
        shapes::STREAM_ARN_REQUIRED,
        shapes::STREAM_ID,
        shapes::required("StreamModeDetails", Shape::Structure(&shapes::MODE_DETAILS)),
        shapes::optional("WarmThroughputMiBps", shapes::WARM_THROUGHPUT),
    ],
};

/// A sound request: warm throughput comes with mode on-demand only.
#[derive(Debug)]
struct Request {
    stream: StreamRef,
    mode: Mode,
    warm_mibps: Option<u32>,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let stream = StreamRef::parse(call, input)?;
        let mode = input.structure("StreamModeDetails").and_then(|it| it.text("StreamMode"));
        let mode = Mode::named(mode);
        let warm_mibps = input.integer("WarmThroughputMiBps").map(i32::unsigned_abs);
        if warm_mibps.is_some() && mode == Mode::Provisioned {
            return Err(unconfirmed::on_demand_only("WarmThroughputMiBps"));
        }
        Ok(Self { stream, mode, warm_mibps })
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = Request::parse(call, input)?;
    request.stream.admit(call, "UpdateStreamMode", limits::UPDATE_STREAM_MODE_PER_SECOND)?;
    // What is due to be gone does not count.
    lifecycle::settle_all(call).await;
    let plan =
        |stream: &Stream, attributes: &mut Attributes| request.plan(call, stream, attributes);
    lifecycle::reshard(call, &request.stream, plan).await?;
    Ok(Bytes::new())
}

impl Request {
    /// Changes the attributes; gives the steps to shards for warm throughput.
    fn plan(
        &self,
        call: &Call<'_>,
        stream: &Stream,
        attributes: &mut Attributes,
    ) -> Result<Vec<Vec<Swap>>, Exception> {
        lifecycle::check_active(call, stream)?;
        if self.mode != attributes.mode {
            self.switch(call, stream, attributes)?;
        }
        match self.warm_mibps {
            Some(mibps) => warm_throughput::set(call, stream, attributes, mibps),
            None => Ok(Vec::new()),
        }
    }

    fn switch(
        &self,
        call: &Call<'_>,
        stream: &Stream,
        attributes: &mut Attributes,
    ) -> Result<(), Exception> {
        if !call.context.settings().limits.is_off() {
            if self.mode == Mode::OnDemand {
                let streams = call.context.engine.streams(&call.namespace, None, usize::MAX);
                account::check_on_demand_quota(call, streams.iter().map(AsRef::as_ref))?;
            }
            let most = limits::MODE_SWITCHES_PER_DAY;
            if !attributes.mode_switches.admit(call.now, most) {
                return Err(unconfirmed::too_many_mode_switches(
                    &stream.key.name,
                    call.account,
                    most,
                ));
            }
        }
        attributes.mode = self.mode;
        match self.mode {
            Mode::OnDemand => {
                let shards = u32::try_from(stream.open.len()).unwrap_or(u32::MAX);
                attributes.history = History::beginning(call.now, shards);
            }
            Mode::Provisioned => {
                attributes.warm_mibps = None;
                attributes.write.distribution = Distribution::UserPartitionKey;
            }
        }
        Ok(())
    }
}
