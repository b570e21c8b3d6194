//! `DeleteStream`: puts a stream into DELETING; it is gone when its transition is due.

use bytes::Bytes;
use kinelog_engine::types::{StreamChange, StreamStatus};

use super::attributes::Attributes;
use super::context::Call;
use super::stream_ref::StreamRef;
use super::{failures, lifecycle, shapes};
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

/// A sound request. `EnforceConsumerDeletion` has nothing to enforce while a stream cannot have
/// consumers.
#[derive(Debug)]
struct Request {
    stream: StreamRef,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        Ok(Self { stream: StreamRef::parse(call, input)? })
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
    let context = call.context;
    let found = request.stream.get(call).await?;
    let _exclusive = context.exclusive_changes().await;
    let stream = context.engine.stream_by_id(found.id).ok_or_else(|| request.stream.not_found())?;
    let name = &stream.key.name;
    if stream.status == StreamStatus::Deleting {
        return Err(failures::stream_not_active(name, call.account, stream.status));
    }
    let attributes = Attributes::of(&stream)?;
    let attributes = Attributes { transition_due: Some(lifecycle::due(context)), ..attributes };
    let changes = vec![
        StreamChange::Status(StreamStatus::Deleting),
        StreamChange::Attributes(attributes.to_document()),
    ];
    match context.engine.change_stream(stream.id, changes).await {
        Ok(deleting) => {
            lifecycle::schedule(context, &deleting);
            Ok(())
        }
        Err(error) => Err(failures::of_catalog(&error, name, call.account)),
    }
}
