//! `DeregisterStreamConsumer`: puts a consumer into DELETING, where it has not been put already; it
//! is gone when its transition is due.

use bytes::Bytes;
use kinelog_engine::types::Stream;

use super::attributes::Attributes;
use super::consumer_ref::ConsumerRef;
use super::consumers::{self, ConsumerStatus};
use super::context::Call;
use super::{lifecycle, shapes};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "DeregisterStreamConsumerRequest",
    members: &[shapes::STREAM_ARN, shapes::CONSUMER_NAME, shapes::CONSUMER_ARN, shapes::STREAM_ID],
};

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = ConsumerRef::parse(call, input)?;
    let per_second = limits::DEREGISTER_STREAM_CONSUMER_PER_SECOND;
    request.stream.admit_stream(call, "DeregisterStreamConsumer", per_second)?;
    run(call, &request).await?;
    Ok(Bytes::new())
}

async fn run(call: &Call<'_>, request: &ConsumerRef) -> Result<(), Exception> {
    let deregister = |_: &Stream, attributes: &mut Attributes| {
        consumers::forget_gone(&mut attributes.consumers, call.now);
        let (consumer, status) = request.find(call, &attributes.consumers)?;
        if status != ConsumerStatus::Deleting {
            let consumer = consumer.deleting(lifecycle::due(call.context));
            attributes.consumers.insert(request.name.clone(), consumer);
        }
        Ok(Vec::new())
    };
    let stream = lifecycle::amend(call, &request.stream, deregister).await?;
    let reason = request.not_found();
    call.context.subscriptions().end_consumer(stream.id, &request.name, &reason);
    Ok(())
}
