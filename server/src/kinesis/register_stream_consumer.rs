//! `RegisterStreamConsumer`: adds a consumer to a stream, in CREATING until its transition is due.

use std::collections::BTreeMap;

use bytes::Bytes;
use kinelog_engine::types::{Stream, StreamStatus};

use super::account::Account;
use super::attributes::{Attributes, Mode};
use super::consumer_ref::ConsumerRef;
use super::consumers::{self, Consumer, ConsumerStatus, Consumers};
use super::context::Call;
use super::resource::ResourceRef;
use super::stream_ref::StreamRef;
use super::{failures, lifecycle, shapes, tags, unconfirmed};
use crate::aws::exception::Exception;
use crate::aws::input::Input;
use crate::aws::shape::Structure;
use crate::limits;

/// The input.
pub(super) static SHAPE: Structure = Structure {
    name: "RegisterStreamConsumerRequest",
    members: &[
        shapes::STREAM_ARN_REQUIRED,
        shapes::required("ConsumerName", shapes::NAME),
        shapes::optional("Tags", tags::TAGS),
        shapes::STREAM_ID,
    ],
};

/// A sound request.
#[derive(Debug)]
struct Request {
    stream: StreamRef,
    name: String,
    tags: BTreeMap<String, String>,
}

impl Request {
    fn parse(call: &Call<'_>, input: &Input<'_>) -> Result<Self, Exception> {
        let stream = StreamRef::parse(call, input)?;
        let name = input.text("ConsumerName").unwrap_or_default().to_owned();
        let mut new_tags = BTreeMap::new();
        let consumer = ConsumerRef::named(stream.clone(), name.clone());
        tags::add(&ResourceRef::Consumer(consumer), &mut new_tags, input)?;
        Ok(Self { stream, name, tags: new_tags })
    }
}

/// Answers the call.
///
/// # Errors
///
/// The exception to answer.
pub(super) async fn answer(call: &Call<'_>, input: &Input<'_>) -> Result<Bytes, Exception> {
    let request = Request::parse(call, input)?;
    let per_second = limits::REGISTER_STREAM_CONSUMER_PER_SECOND;
    request.stream.admit(call, "RegisterStreamConsumer", per_second)?;
    let stream = request.stream.name.clone();
    let (name, consumer) = run(call, request).await?;
    let mut writer = call.writer(512);
    writer.begin_map();
    writer.key("Consumer");
    writer.begin_map();
    let shown = (name.as_str(), &consumer, ConsumerStatus::Creating);
    consumers::write_consumer(&mut writer, call, &stream, shown);
    writer.end_map();
    writer.end_map();
    Ok(writer.finish())
}

async fn run(call: &Call<'_>, request: Request) -> Result<(String, Consumer), Exception> {
    let Request { stream: named, name, tags } = request;
    let mut consumer = Consumer {
        created_seconds: call.now.seconds(),
        status: ConsumerStatus::Creating,
        transition_due: Some(lifecycle::due(call.context)),
        tags,
        policy: None,
    };
    let register = |stream: &Stream, attributes: &mut Attributes| {
        check_state(call, stream)?;
        let consumers = &mut attributes.consumers;
        check_room(call, stream, consumers, &name)?;
        consumers::forget_gone(consumers, call.now);
        if let Some(last) = consumers.get(&name) {
            consumer.created_seconds = consumer.created_seconds.max(last.created_seconds + 1);
        }
        consumers.insert(name.clone(), consumer.clone());
        Ok(Vec::new())
    };
    lifecycle::amend(call, &named, register).await?;
    Ok((name, consumer))
}

fn check_state(call: &Call<'_>, stream: &Stream) -> Result<(), Exception> {
    match stream.status {
        StreamStatus::Active | StreamStatus::Updating => Ok(()),
        status @ (StreamStatus::Creating | StreamStatus::Deleting) => {
            Err(failures::stream_not_active(&stream.key.name, call.account, status))
        }
    }
}

fn check_room(
    call: &Call<'_>,
    stream: &Stream,
    consumers: &Consumers,
    name: &str,
) -> Result<(), Exception> {
    let mode = Mode::of(stream);
    let (stream, account) = (stream.key.name.as_str(), call.account);
    let existing = || consumers::existing(consumers, call.now);
    if existing().any(|(other, ..)| other == name) {
        return Err(unconfirmed::consumer_exists(name, stream, account));
    }
    if call.context.settings().limits.is_off() {
        let max = limits::CONSUMERS_MAX;
        let is_full = existing().count() >= max;
        return if is_full {
            Err(unconfirmed::too_many_consumers(stream, account, max))
        } else {
            Ok(())
        };
    }
    let max = Account::of(call)?.consumers_max(mode, call.now);
    if existing().count() >= max {
        return Err(unconfirmed::too_many_consumers(stream, account, max));
    }
    let creating = existing().filter(|(.., status)| *status == ConsumerStatus::Creating);
    let max = limits::CREATING_CONSUMERS_MAX;
    if creating.count() >= max {
        return Err(unconfirmed::too_many_consumers_creating(stream, account, max));
    }
    Ok(())
}
