//! `DeleteStream`: puts a stream into DELETING, and its consumers with it where that is asked for;
//! it is gone when its transition is due.

use bytes::Bytes;
use kinelog_engine::types::{Stream, StreamChange, StreamStatus};

use super::attributes::Attributes;
use super::consumers;
use super::context::Call;
use super::stream_ref::StreamRef;
use super::{failures, lifecycle, shapes, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::{Shape, Structure};
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "DeleteStreamRequest",
    members: &[
        shapes::STREAM_NAME,
        shapes::optional("EnforceConsumerDeletion", Shape::Boolean),
        shapes::STREAM_ARN,
        shapes::STREAM_ID,
    ],
};

/// A sound request.
#[derive(Debug)]
struct Request {
    stream: StreamRef,
    with_consumers: bool,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let with_consumers = input.boolean("EnforceConsumerDeletion") == Some(true);
        Ok(Self { stream: StreamRef::parse(call, input)?, with_consumers })
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = Request::parse(call, input)?;
    request.stream.admit(call, "DeleteStream", limits::DELETE_STREAM_PER_SECOND)?;
    run(call, &request).await?;
    Ok(Bytes::new())
}

async fn run(call: &Call<'_>, request: &Request) -> Result<(), Exception> {
    let begin = |stream: &Stream, attributes: &mut Attributes| {
        if stream.status == StreamStatus::Deleting {
            let name = &stream.key.name;
            return Err(failures::stream_not_active(name, call.account, stream.status));
        }
        let has_consumers = consumers::existing(&attributes.consumers, call.now).next().is_some();
        if has_consumers && !request.with_consumers {
            return Err(unconfirmed::stream_has_consumers(&stream.key.name, call.account));
        }
        let due = lifecycle::due(call.context);
        let consumers = attributes.consumers.values_mut();
        for consumer in consumers.filter(|it| it.status_at(call.now).is_some()) {
            *consumer = consumer.deleting(due);
        }
        attributes.transition_due = Some(due);
        Ok(vec![StreamChange::Status(StreamStatus::Deleting)])
    };
    let deleting = lifecycle::amend(call, &request.stream, begin).await?;
    call.context.subscriptions().end_stream(deleting.id, &request.stream.not_found());
    lifecycle::schedule(call.context, &deleting);
    Ok(())
}
