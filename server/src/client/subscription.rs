//! A subscription with enhanced fan-out: the events of one shard, pushed as an event stream.

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::answers::Event;
use super::failure::{Failure, Refusal};
use super::{Client, Position};
use crate::aws::event_stream::{self, Message};
use crate::limits;

const OPERATION: &str = "SubscribeToShard";
/// Bytes of a message by which its length is known to be right.
const BEGINNING: usize = 12;
const CUT_OFF: &str = "it ended within an event";

/// A subscription. It ends when it is dropped.
#[derive(Debug)]
pub struct Subscription<'c> {
    client: &'c Client,
    body: Incoming,
    /// Received and not taken apart yet.
    received: BytesMut,
}

impl Client {
    /// Subscribes a consumer to a shard, once.
    ///
    /// # Errors
    ///
    /// `Failure`.
    pub async fn subscribe(
        &self,
        consumer_arn: &str,
        shard: &str,
        position: &Position,
    ) -> Result<Subscription<'_>, Failure> {
        let input = json!({
            "ConsumerARN": consumer_arn,
            "ShardId": shard,
            "StartingPosition": position.members("Type", "SequenceNumber"),
        });
        let sent =
            tokio::time::timeout(limits::CLIENT_ANSWER_TIME_MAX, self.send(OPERATION, &input));
        let answer = sent.await.map_err(|elapsed| self.lost(OPERATION, &elapsed))??;
        let body = answer.into_body();
        Ok(Subscription { client: self, body, received: BytesMut::new() })
    }
}

impl Subscription<'_> {
    /// The next event; nothing when the subscription has ended, as each does after a few minutes.
    ///
    /// # Errors
    ///
    /// `Failure`; it is over then.
    pub async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            while let Some(message) = self.take()? {
                if let Some(event) = self.understand(&message)? {
                    return Ok(Some(event));
                }
            }
            let frame =
                tokio::time::timeout(limits::CLIENT_EVENT_TIME_MAX, self.body.frame()).await;
            match frame {
                Ok(None) if self.received.is_empty() => return Ok(None),
                Ok(None) => return Err(self.client.strange(OPERATION, CUT_OFF.to_owned())),
                Ok(Some(Ok(frame))) => {
                    let data = frame.into_data().unwrap_or_default();
                    self.received.extend_from_slice(&data);
                }
                Ok(Some(Err(error))) => return Err(self.client.lost(OPERATION, &error)),
                Err(elapsed) => return Err(self.client.lost(OPERATION, &elapsed)),
            }
        }
    }

    /// The first message, once it is there whole.
    fn take(&mut self) -> Result<Option<Message>, Failure> {
        let Some(length) = self.received.first_chunk() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        let is_whole = self.received.len() >= length;
        // A length beyond all bounds is not waited for: the rest of its beginning refuses it.
        let is_absurd =
            length > limits::CLIENT_ANSWER_BYTES_MAX && self.received.len() >= BEGINNING;
        if !is_whole && !is_absurd {
            return Ok(None);
        }
        let mut whole = self.received.split_to(length.min(self.received.len())).freeze();
        event_stream::take_message(&mut whole)
            .map_err(|error| self.client.strange(OPERATION, error.to_string()))
    }

    /// What a message tells; nothing if that is of no use here.
    fn understand(&self, message: &Message) -> Result<Option<Event>, Failure> {
        let header = |name| message.header(name).unwrap_or_default();
        match header(":message-type") {
            "event" if header(":event-type") == "SubscribeToShardEvent" => {
                let event = serde_json::from_slice(&message.payload);
                event.map(Some).map_err(|error| self.client.strange(OPERATION, error.to_string()))
            }
            "exception" => {
                let told: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
                let words = told["message"].as_str().unwrap_or_default();
                Err(Failure::Refused(Refusal::inside(header(":exception-type"), words)))
            }
            "error" => {
                let (name, words) = (header(":error-code"), header(":error-message"));
                Err(Failure::Refused(Refusal::inside(name, words)))
            }
            _ => Ok(None),
        }
    }
}
