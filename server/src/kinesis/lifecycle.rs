//! How a stream leaves CREATING, UPDATING and DELETING: `transition_ms` after it entered; and how
//! its shards change in the seconds planned for that.
//!
//! What is due when stands in the stream's document, so a restart takes up where the last run ended.
//! A timer does what is due; whoever looks at the stream first does so too, which makes the visible
//! state a function of the clock alone.
//!
//! A stream is stored as UPDATING until its plan is done. Callers see it ACTIVE when it is due, up
//! to a second before the last step begins. One that is deleted meanwhile goes on with its plan until
//! it is gone.

use std::sync::Arc;
use std::time::Duration;

use kinelog_engine::error::CatalogError;
use kinelog_engine::types::{ShardIndex, Stream, StreamChange, StreamId, StreamStatus, Timestamp};

use super::attributes::{Attributes, Mode};
use super::context::{Call, Context};
use super::failures;
use super::reshard::{self, Step, Swap};
use super::stream_ref::StreamRef;
use crate::aws::exception::Exception;

/// What happens next to a stream by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Transition {
    stream: StreamId,
    due: Timestamp,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It becomes ACTIVE.
    Ready,
    /// The next step of its plan.
    Step,
    /// It is removed.
    Gone,
}

impl Transition {
    fn of(stream: &Stream, now: Timestamp) -> Option<Self> {
        let (kind, due) = match stream.status {
            StreamStatus::Active => return None,
            StreamStatus::Creating => (Kind::Ready, end_of_state(stream)),
            StreamStatus::Updating => match reshard::next_begins(stream) {
                Some(begins) => (Kind::Step, begins),
                None => (Kind::Ready, end_of_state(stream)),
            },
            // Until it is gone its readers have the shards they were shown.
            StreamStatus::Deleting => match reshard::next_begins(stream) {
                Some(begins) if begins.max(now) < end_of_state(stream) => (Kind::Step, begins),
                Some(_) | None => return Self::gone(stream),
            },
        };
        Some(Self { stream: stream.id, due, kind })
    }

    /// The end of a stream that is being deleted.
    fn gone(stream: &Stream) -> Option<Self> {
        let is_ending = stream.status == StreamStatus::Deleting;
        let (due, kind) = (end_of_state(stream), Kind::Gone);
        is_ending.then_some(Self { stream: stream.id, due, kind })
    }

    /// A change of state does not wait for a clock that was set back, but shards change by the clock.
    async fn wait(self, context: &Context) {
        loop {
            let remaining = self.due.since(context.engine.now());
            if self.kind == Kind::Step && remaining > 0 {
                tokio::time::sleep(Duration::from_millis(remaining)).await;
            } else {
                let remaining = remaining.min(context.settings().transition_ms);
                return tokio::time::sleep(Duration::from_millis(remaining)).await;
            }
        }
    }
}

/// When the state the stream is in ends, unless it is ACTIVE.
fn end_of_state(stream: &Stream) -> Timestamp {
    Attributes::transition_due(stream).unwrap_or(stream.created_at)
}

/// When a transition that begins now is due.
pub(super) fn due(context: &Context) -> Timestamp {
    Timestamp(context.engine.now().0.saturating_add(context.settings().transition_ms))
}

/// The stream as callers see it now; `None` when it is due to be gone.
pub(super) async fn settle(context: &Context, stream: Arc<Stream>) -> Option<Arc<Stream>> {
    let stored = settle_stored(context, stream).await?;
    Some(shown(stored, context.engine.now()))
}

/// The caller's streams in the states they are due to be in.
pub(super) async fn settle_all(call: &Call<'_>) -> Vec<Arc<Stream>> {
    let mut settled = Vec::new();
    for stream in call.context.engine.streams(&call.namespace, None, usize::MAX) {
        settled.extend(settle(call.context, stream).await);
    }
    settled
}

/// The stream as it is stored once all that is due has been done: the one to write to. `None` when
/// it is due to be gone.
pub(super) async fn settle_stored(
    context: &Context,
    mut stream: Arc<Stream>,
) -> Option<Arc<Stream>> {
    loop {
        let now = context.engine.now();
        let transition = Transition::of(&stream, now);
        let Some(transition) = transition.filter(|it| it.due <= now) else {
            return Some(stream);
        };
        // A change that fails, on a full disk say, leaves the stream as it is.
        let completed = complete(context, transition).await;
        tracing::trace!(stream = %stream.key.name, ?completed, "settled");
        let before = stream;
        stream = context.engine.stream_by_id(before.id)?;
        if completed.is_err() || Arc::ptr_eq(&before, &stream) {
            return Some(stream);
        }
    }
}

/// A stored stream as callers see it at `now`.
pub(super) fn shown(stored: Arc<Stream>, now: Timestamp) -> Arc<Stream> {
    if stored.status == StreamStatus::Active || !reshard::is_shown_ahead(&stored, now) {
        return stored;
    }
    let Ok(attributes) = Attributes::of(&stored) else { return stored };
    let mut stream = Stream::clone(&stored);
    if stream.status == StreamStatus::Updating && end_of_state(&stored) <= now {
        stream.status = StreamStatus::Active;
    }
    for step in attributes.reshard.iter().take_while(|step| step.shown_from() <= now) {
        step.foreshadow(&mut stream);
    }
    Arc::new(stream)
}

/// Does by itself what happens next to `stream`, when it is due, and what happens after that.
pub(super) fn schedule(context: &Context, stream: &Stream) {
    let next = Transition::of(stream, context.engine.now());
    // No step that fails, or waits for a clock that was set back, keeps what is to be gone.
    let gone = Transition::gone(stream).filter(|it| Some(*it) != next);
    for first in [next, gone].into_iter().flatten() {
        follow(context, first);
    }
}

fn follow(context: &Context, first: Transition) {
    let (context, mut next) = (context.clone(), Some(first));
    tokio::spawn(async move {
        while let Some(transition) = next {
            transition.wait(&context).await;
            if let Err(error) = complete(&context, transition).await {
                tracing::warn!(stream = %transition.stream, %error, "a stream stays in its state");
                return;
            }
            let after = context.engine.stream_by_id(transition.stream);
            let now = context.engine.now();
            next = after.and_then(|it| Transition::of(&it, now)).filter(|it| *it != transition);
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
        check_active(call, stream)?;
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

/// Refuses a stream whose shards a caller cannot change: because they are the service's business,
/// which waiting does not help, or because it is not ACTIVE.
///
/// # Errors
///
/// `ValidationException`, `ResourceInUseException`.
pub(super) fn check_reshardable(
    call: &Call<'_>,
    stream: &Stream,
    attributes: &Attributes,
) -> Result<(), Exception> {
    match attributes.mode {
        Mode::Provisioned => check_active(call, stream),
        Mode::OnDemand => Err(failures::stream_on_demand(&stream.key.name, call.account)),
    }
}

/// Refuses a stream that is not ACTIVE.
///
/// # Errors
///
/// `ResourceInUseException`.
pub(super) fn check_active(call: &Call<'_>, stream: &Stream) -> Result<(), Exception> {
    if stream.status == StreamStatus::Active {
        return Ok(());
    }
    Err(failures::stream_not_active(&stream.key.name, call.account, stream.status))
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
    let stored = engine.stream_by_id(found.id).ok_or_else(|| named.not_found())?;
    let before = Attributes::of(&stored)?;
    let mut attributes = before.clone();
    let stream = shown(stored, engine.now());
    let mut changes = change(&stream, &mut attributes)?;
    if changes.is_empty() && attributes == before {
        return Ok(stream);
    }
    changes.push(StreamChange::Attributes(attributes.to_document()));
    let changed = engine.change_stream(stream.id, changes).await;
    changed.map_err(|error| failures::of_catalog(&error, &stream.key.name, call.account))
}

/// Plans new shards for a stream and puts it into UPDATING until they are there. `plan` checks that
/// the stream can be changed so, ACTIVE above all, and gives the steps; where there are none and the
/// attributes stay as they are, nothing changes.
///
/// # Errors
///
/// `ResourceNotFoundException`, and whatever `plan` refuses with; nothing has changed then.
pub(super) async fn reshard(
    call: &Call<'_>,
    named: &StreamRef,
    plan: impl FnOnce(&Stream, &mut Attributes) -> Result<Vec<Vec<Swap>>, Exception>,
) -> Result<(), Exception> {
    let engine = &call.context.engine;
    let found = named.get(call).await?;
    let _exclusive = call.context.exclusive_changes().await;
    let stored = engine.stream_by_id(found.id).ok_or_else(|| named.not_found())?;
    let before = Attributes::of(&stored)?;
    let mut attributes = before.clone();
    let steps = plan(&shown(Arc::clone(&stored), engine.now()), &mut attributes)?;
    if steps.is_empty() && attributes == before {
        return Ok(());
    }
    let begun = begin(call.context, &stored, attributes, steps).await;
    begun.map_err(|error| failures::of_catalog(&error, &stored.key.name, call.account))
}

/// Plans new shards for a stream of which nobody has said how many it should have. What `plan`
/// changes in the attributes counts also where it gives no steps; the stream stays ACTIVE then.
///
/// # Errors
///
/// See `CatalogError`; nothing has changed then.
pub(super) async fn reshard_unasked(
    context: &Context,
    stream: StreamId,
    plan: impl FnOnce(&Stream, &mut Attributes) -> Vec<Vec<Swap>>,
) -> Result<(), CatalogError> {
    let engine = &context.engine;
    let _exclusive = context.exclusive_changes().await;
    let Some(stored) = engine.stream_by_id(stream) else { return Ok(()) };
    let Ok(before) = Attributes::of(&stored) else { return Ok(()) };
    let mut attributes = before.clone();
    let steps = plan(&shown(Arc::clone(&stored), engine.now()), &mut attributes);
    if !steps.is_empty() {
        return begin(context, &stored, attributes, steps).await;
    }
    if attributes == before {
        return Ok(());
    }
    let document = StreamChange::Attributes(attributes.to_document());
    engine.change_stream(stored.id, vec![document]).await.map(drop)
}

/// Puts a stream into UPDATING with these steps ahead of it.
async fn begin(
    context: &Context,
    stored: &Stream,
    mut attributes: Attributes,
    steps: Vec<Vec<Swap>>,
) -> Result<(), CatalogError> {
    let engine = &context.engine;
    let pending = std::mem::take(&mut attributes.reshard);
    // A shard lives a second at least, also where the clock was set back after it began.
    let youngest = stored.open_shards().map(|shard| shard.created_seconds).max();
    let mut after = pending.last().map(Step::begins_seconds).max(youngest).unwrap_or(0);
    loop {
        let due = due(context);
        after = after.max(engine.now().seconds());
        let scheduled = reshard::schedule(steps.clone(), after, due);
        let is_there = |shard| stored.shard(shard).is_some();
        let mut changes: Vec<_> = reshard::end_arrivals(&scheduled, is_there).collect();
        attributes.transition_due = Some(scheduled.last().map_or(due, Step::shown_from));
        attributes.reshard = pending.iter().cloned().chain(scheduled).collect();
        changes.push(StreamChange::Status(StreamStatus::Updating));
        changes.push(StreamChange::Attributes(attributes.to_document()));
        match engine.change_stream(stored.id, changes).await {
            Ok(updating) => {
                schedule(context, &updating);
                return Ok(());
            }
            // A record was faster, or arrived before the clock was set back.
            Err(CatalogError::ArrivedLater(at)) => after = after.max(at.seconds()),
            Err(error) => return Err(error),
        }
    }
}

/// Puts off the plan of a stream that is restored at `now`, by a second at the least: where it came
/// from, its plan has been carried out, and a shard with another second of creation is another
/// shard.
pub fn put_off(stream: &mut Stream, now: Timestamp) {
    let Ok(mut attributes) = Attributes::of(stream) else { return };
    let Some(first) = attributes.reshard.first() else { return };
    let seconds = (now.seconds() + 1).saturating_sub(first.begins_seconds()).max(1);
    let steps = std::mem::take(&mut attributes.reshard).into_iter();
    attributes.reshard = steps.map(|step| step.later(seconds)).collect();
    for step in &attributes.reshard {
        for closed in step.closed() {
            if let Ok(at) = stream.shards.binary_search_by_key(&closed, |shard| shard.index) {
                Arc::make_mut(&mut stream.shards[at]).arrivals_until = Some(step.closed_at());
            }
        }
    }
    let due = attributes.reshard.last().map(Step::shown_from);
    attributes.transition_due = attributes.transition_due.max(due);
    stream.attributes = attributes.to_document();
}

/// Takes up all transitions of an opened store; to be called once, before requests are served.
pub fn resume(context: &Context) {
    for stream in context.engine.all_streams() {
        schedule(context, &stream);
    }
}

async fn complete(context: &Context, transition: Transition) -> Result<(), CatalogError> {
    let _exclusive = context.exclusive_changes().await;
    let engine = &context.engine;
    let Some(stream) = engine.stream_by_id(transition.stream) else { return Ok(()) };
    let is_next = Transition::of(&stream, engine.now()) == Some(transition);
    if !is_next && Transition::gone(&stream) != Some(transition) {
        return Ok(());
    }
    let attributes = Attributes::of(&stream).ok();
    match (transition.kind, attributes) {
        (Kind::Gone, _) => engine.remove_stream(stream.id).await,
        (Kind::Step, Some(attributes)) => step(context, &stream, attributes).await,
        (Kind::Step, None) => Ok(()),
        (Kind::Ready, attributes) => {
            let changes = make_ready(attributes);
            engine.change_stream(stream.id, changes).await.map(drop)
        }
    }
}

fn make_ready(attributes: Option<Attributes>) -> Vec<StreamChange> {
    let ready = StreamChange::Status(StreamStatus::Active);
    let document = attributes.map(|it| StreamChange::Attributes(it.settled().to_document()));
    document.into_iter().chain([ready]).collect()
}

/// Carries out the first step of the plan; with the last one the stream is ready, unless its state
/// ends later or it is being deleted.
async fn step(
    context: &Context,
    stream: &Stream,
    mut attributes: Attributes,
) -> Result<(), CatalogError> {
    let step = attributes.reshard.remove(0);
    let rest = &attributes.reshard;
    let (closed_at, reshard) = (step.closed_at(), step.to_reshard());
    let next = stream.next_shard_index as usize;
    let is_new =
        |shard: ShardIndex| (next..next + reshard.open.len()).contains(&(shard.0 as usize));
    let is_due = end_of_state(stream) <= context.engine.now();
    let is_ready = stream.status == StreamStatus::Updating && rest.is_empty() && is_due;
    let mut changes: Vec<_> = reshard::end_arrivals(rest, is_new).collect();
    if is_ready {
        changes.extend(make_ready(Some(attributes)));
    } else {
        changes.push(StreamChange::Attributes(attributes.to_document()));
    }
    context.engine.reshard(stream.id, reshard, closed_at, changes).await.map(drop)
}
