//! How a stream leaves CREATING, UPDATING and DELETING: `transition_ms` after it entered.
//!
//! The time it is due stands in the stream's attributes, so a restart takes up where the last run
//! ended. A timer completes the transition; whoever looks at the stream first once it is due does
//! so too, which makes the visible state a function of the clock alone.

use std::sync::Arc;
use std::time::Duration;

use kinelog_engine::error::CatalogError;
use kinelog_engine::types::{Stream, StreamChange, StreamId, StreamStatus, Timestamp};

use super::attributes::Attributes;
use super::context::{Call, Context};
use super::failures;
use super::stream_ref::StreamRef;
use crate::aws::exception::Exception;

/// A transition under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Transition {
    stream: StreamId,
    from: StreamStatus,
    due: Timestamp,
}

impl Transition {
    fn of(stream: &Stream) -> Option<Self> {
        if stream.status == StreamStatus::Active {
            return None;
        }
        let due = Attributes::of(stream).ok()?.transition_due.unwrap_or(stream.created_at);
        Some(Self { stream: stream.id, from: stream.status, due })
    }
}

/// When a transition that begins now is due.
pub(super) fn due(context: &Context) -> Timestamp {
    Timestamp(context.engine.now().0.saturating_add(context.settings().transition_ms))
}

/// The stream in the state it is due to be in; `None` when it is due to be gone.
pub(super) async fn settle(context: &Context, stream: Arc<Stream>) -> Option<Arc<Stream>> {
    let transition = Transition::of(&stream);
    let Some(transition) = transition.filter(|it| it.due <= context.engine.now()) else {
        return Some(stream);
    };
    // A change that fails, on a full disk say, leaves the stream in the state it is in.
    let completed = complete(context, transition).await;
    tracing::trace!(stream = %stream.key.name, ?completed, "settled");
    context.engine.stream_by_id(stream.id)
}

/// The caller's streams in the states they are due to be in.
pub(super) async fn settle_all(call: &Call<'_>) -> Vec<Arc<Stream>> {
    let mut settled = Vec::new();
    for stream in call.context.engine.streams(&call.namespace, None, usize::MAX) {
        settled.extend(settle(call.context, stream).await);
    }
    settled
}

/// Completes the transition of `stream` in `transition_ms` from now, or when it is due if that is
/// sooner.
pub(super) fn schedule(context: &Context, stream: &Stream) {
    let Some(transition) = Transition::of(stream) else { return };
    let remaining = transition.due.since(context.engine.now());
    let wait = Duration::from_millis(remaining.min(context.settings().transition_ms));
    let context = context.clone();
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        if let Err(error) = complete(&context, transition).await {
            tracing::warn!(stream = %transition.stream, %error, "a stream stays in its state");
        }
    });
}

/// Changes a stream that is ACTIVE and puts it into UPDATING; the change counts at once, the state
/// ends when it is due. `change` alters the attributes and says what else is to change; where it
/// does neither, the stream stays ACTIVE.
///
/// # Errors
///
/// `ResourceNotFoundException`, `ResourceInUseException` when the stream is not ACTIVE, and
/// whatever `change` refuses with; nothing has changed then.
pub(super) async fn update(
    call: &Call<'_>,
    named: &StreamRef,
    change: impl FnOnce(&Stream, &mut Attributes) -> Result<Vec<StreamChange>, Exception>,
) -> Result<Arc<Stream>, Exception> {
    let begin = |stream: &Stream, attributes: &mut Attributes| {
        if stream.status != StreamStatus::Active {
            let name = &stream.key.name;
            return Err(failures::stream_not_active(name, call.account, stream.status));
        }
        let before = attributes.clone();
        let mut changes = change(stream, attributes)?;
        if changes.is_empty() && *attributes == before {
            return Ok(changes);
        }
        attributes.transition_due = Some(due(call.context));
        changes.push(StreamChange::Status(StreamStatus::Updating));
        Ok(changes)
    };
    let updating = amend(call, named, begin).await?;
    schedule(call.context, &updating);
    Ok(updating)
}

/// Changes a stream in whatever state it is, which it stays in. `change` as for `update`.
///
/// # Errors
///
/// `ResourceNotFoundException`, and whatever `change` refuses with; nothing has changed then.
pub(super) async fn amend(
    call: &Call<'_>,
    named: &StreamRef,
    change: impl FnOnce(&Stream, &mut Attributes) -> Result<Vec<StreamChange>, Exception>,
) -> Result<Arc<Stream>, Exception> {
    let engine = &call.context.engine;
    let found = named.get(call).await?;
    let _exclusive = call.context.exclusive_changes().await;
    let stream = engine.stream_by_id(found.id).ok_or_else(|| named.not_found())?;
    let before = Attributes::of(&stream)?;
    let mut attributes = before.clone();
    let mut changes = change(&stream, &mut attributes)?;
    if changes.is_empty() && attributes == before {
        return Ok(stream);
    }
    changes.push(StreamChange::Attributes(attributes.to_document()));
    let changed = engine.change_stream(stream.id, changes).await;
    changed.map_err(|error| failures::of_catalog(&error, &stream.key.name, call.account))
}

/// Takes up all transitions of an opened store; to be called once, before requests are served.
pub fn resume(context: &Context) {
    for stream in context.engine.all_streams() {
        schedule(context, &stream);
    }
}

async fn complete(context: &Context, transition: Transition) -> Result<(), CatalogError> {
    let _exclusive = context.exclusive_changes().await;
    let Some(stream) = context.engine.stream_by_id(transition.stream) else { return Ok(()) };
    if Transition::of(&stream) != Some(transition) {
        return Ok(());
    }
    match transition.from {
        StreamStatus::Active => Ok(()),
        StreamStatus::Deleting => context.engine.remove_stream(stream.id).await,
        StreamStatus::Creating | StreamStatus::Updating => {
            let mut changes = vec![StreamChange::Status(StreamStatus::Active)];
            if let Ok(attributes) = Attributes::of(&stream) {
                let settled = Attributes { transition_due: None, ..attributes };
                changes.push(StreamChange::Attributes(settled.to_document()));
            }
            context.engine.change_stream(stream.id, changes).await.map(drop)
        }
    }
}
