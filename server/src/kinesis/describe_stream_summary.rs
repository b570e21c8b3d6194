//! `DescribeStreamSummary`: a stream's settings without its shards.

use bytes::Bytes;
use kinelog_engine::types::{Stream, StreamStatus};

use super::account::Account;
use super::attributes::{Attributes, Mode};
use super::context::Call;
use super::stream_ref::StreamRef;
use super::{consumers, describe, shapes, warm_throughput};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;
use crate::aws::writer::Writer;
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "DescribeStreamSummaryRequest",
    members: &[shapes::STREAM_NAME, shapes::STREAM_ARN, shapes::STREAM_ID],
};

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = StreamRef::parse(call, input)?;
    request.admit(call, "DescribeStreamSummary", limits::DESCRIBE_STREAM_SUMMARY_PER_SECOND)?;
    let stream = request.get(call).await?;
    let account = Account::of(call)?;
    let attributes = Attributes::of(&stream)?;
    let warm_mibps = attributes.warm_mibps.filter(|_| account.is_committed(call.now));
    Ok(write(call, &stream, &attributes, warm_mibps))
}

/// Channels and queues are counted as 0, since no stream can have any.
fn write(
    call: &Call<'_>,
    stream: &Stream,
    attributes: &Attributes,
    warm_mibps: Option<u32>,
) -> Bytes {
    let creating = stream.status == StreamStatus::Creating;
    let open = if creating { 0 } else { stream.open.len() };
    let mut writer = call.writer(1024);
    writer.begin_map();
    writer.key("StreamDescriptionSummary");
    writer.begin_map();
    describe::write_identity(&mut writer, call, stream, attributes);
    describe::write_settings(&mut writer, stream, attributes);
    count(&mut writer, "OpenShardCount", open as u64);
    let consumers = consumers::existing(&attributes.consumers, call.now).count();
    count(&mut writer, "ConsumerCount", consumers as u64);
    count(&mut writer, "ChannelCount", 0);
    count(&mut writer, "QueueCount", 0);
    count(&mut writer, "MaxRecordSizeInKiB", attributes.write.record_kib_max.into());
    if attributes.mode == Mode::OnDemand {
        writer.key("RecordDistributionStrategy");
        writer.text(attributes.write.distribution.name());
    }
    if let Some(target) = warm_mibps {
        warm_throughput::write(&mut writer, target, open);
    }
    writer.end_map();
    writer.end_map();
    writer.finish()
}

fn count(writer: &mut Writer, name: &str, value: u64) {
    writer.key(name);
    writer.integer(i64::try_from(value).unwrap_or(i64::MAX));
}
