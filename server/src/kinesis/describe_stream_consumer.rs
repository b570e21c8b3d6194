//! `DescribeStreamConsumer`: one consumer, and its stream.

use bytes::Bytes;

use super::arn::StreamArn;
use super::consumer_ref::ConsumerRef;
use super::context::Call;
use super::{consumers, shapes};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "DescribeStreamConsumerRequest",
    members: &[shapes::STREAM_ARN, shapes::CONSUMER_NAME, shapes::CONSUMER_ARN, shapes::STREAM_ID],
};

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = ConsumerRef::parse(call, input)?;
    let per_second = limits::DESCRIBE_STREAM_CONSUMER_PER_SECOND;
    request.stream.admit_stream(call, "DescribeStreamConsumer", per_second)?;
    let (stream, consumer, status) = request.get(call).await?;
    let name = &stream.key.name;
    let mut writer = call.writer(512);
    writer.begin_map();
    writer.key("ConsumerDescription");
    writer.begin_map();
    consumers::write_consumer(&mut writer, call, name, (&request.name, &consumer, status));
    writer.key("StreamARN");
    writer.text(&StreamArn { region: call.region, account: call.account, name }.to_string());
    writer.end_map();
    writer.end_map();
    Ok(writer.finish())
}
