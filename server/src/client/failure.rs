//! Why a call failed: what the service said in its own words, or what came in between.

use std::fmt;

use hyper::StatusCode;
use hyper::header::HeaderMap;
use serde_json::Value;

use crate::aws::exception::Kind;

/// Most characters shown of an answer that is no error of the service.
const EXCERPT_CHARS: usize = 200;

/// Why a call failed. Each reads as one sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The service answered with an error.
    #[error("{0}")]
    Refused(Refusal),
    /// Nothing was sent.
    #[error("{endpoint} cannot be reached: {reason}; check --endpoint")]
    Unreachable {
        /// Where to.
        endpoint: String,
        /// What the system says.
        reason: String,
    },
    /// It was sent, and may have been carried out.
    #[error("{endpoint} gave no answer to {operation}: {reason}")]
    Lost {
        /// Where to.
        endpoint: String,
        /// What was asked.
        operation: String,
        /// What the system says.
        reason: String,
    },
    /// The answer is not one of the Kinesis API.
    #[error("{endpoint} does not answer {operation} as Kinesis does: {reason}")]
    Strange {
        /// Where to.
        endpoint: String,
        /// What was asked.
        operation: String,
        /// What is wrong.
        reason: String,
    },
}

impl Failure {
    /// True if the service says that it is of this kind.
    pub fn is(&self, kind: Kind) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is(kind))
    }

    /// True if the service says that this was too much, and less of it would pass.
    pub fn is_throttling(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_throttling())
    }

    /// True if the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_passing(),
            Self::Unreachable { .. } | Self::Lost { .. } => true,
            Self::Strange { .. } => false,
        }
    }
}

/// An error the service answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its name, such as `ResourceNotFoundException`.
    pub name: String,
    /// Its text, which may be empty.
    pub message: String,
    /// Status of the answer.
    pub status: u16,
}

impl Refusal {
    /// From an answer that is not a success.
    pub(super) fn of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let body_text = String::from_utf8_lossy(body);
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |key: &str| json.get(key).and_then(Value::as_str);
        let header = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let name = text("__type").or(header).map_or("", short_name);
        let message = text("message").or_else(|| text("Message"));
        let name = if name.is_empty() { status.to_string() } else { name.to_owned() };
        let message = message.map_or_else(
            || if json.is_object() { String::new() } else { excerpt(&body_text) },
            str::to_owned,
        );
        Self { name, message, status: status.as_u16() }
    }

    /// An error that is told inside an answer: of a record, or of a subscription.
    pub fn inside(name: &str, message: &str) -> Self {
        let name = short_name(name).to_owned();
        let is_fault = name.starts_with(Kind::InternalFailure.name());
        Self { name, message: message.to_owned(), status: if is_fault { 500 } else { 400 } }
    }

    /// True if it is of this kind.
    pub fn is(&self, kind: Kind) -> bool {
        self.name == kind.name()
    }

    /// True if less of the same would have passed. `LimitExceededException` stands for quotas too,
    /// which waiting does not change.
    pub fn is_throttling(&self) -> bool {
        self.is(Kind::ProvisionedThroughputExceeded)
            || self.name.contains("Throttling")
            || self.name == "RequestLimitExceeded"
            || self.is(Kind::LimitExceeded) && self.message.starts_with("Rate exceeded")
    }

    /// True if the same may succeed later.
    pub fn is_passing(&self) -> bool {
        self.is_throttling() || self.status >= 500
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        if self.message.is_empty() {
            return Ok(());
        }
        write!(formatter, ": {}", self.message)
    }
}

/// Without the namespace before it and the address after it that some services add.
fn short_name(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default()
}

/// The beginning of a text that is not for people, on one line.
fn excerpt(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(EXCERPT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal::of(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn the_service_is_told_in_its_own_words() {
        for (body, expected) in [
            (r#"{"__type":"ResourceInUseException","message":"a"}"#, "ResourceInUseException: a"),
            (r#"{"__type":"AccessDeniedException","Message":"b"}"#, "AccessDeniedException: b"),
            (r#"{"__type":"com.amazonaws.kinesis#X:http://y","message":"c"}"#, "X: c"),
            (r#"{"__type":"UnknownOperationException"}"#, "UnknownOperationException"),
            ("<a>\n  not found</a>\n", "400 Bad Request: <a> not found</a>"),
            ("{}", "400 Bad Request"),
            ("", "400 Bad Request"),
        ] {
            assert_eq!(refusal(400, body).to_string(), expected);
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-amzn-errortype", "ThrottlingException:".parse().unwrap());
        let named = Refusal::of(StatusCode::BAD_REQUEST, &headers, b"{}");
        assert_eq!(named.name, "ThrottlingException");
        assert!(refusal(502, &"x".repeat(10_000)).to_string().len() < 250);
    }

    #[test]
    fn what_may_pass_later_is_told_from_what_will_not() {
        let refused = |status, name, message| {
            let name = String::from(name);
            Failure::Refused(Refusal { name, message: String::from(message), status })
        };
        let rate = "Rate exceeded for shard shardId-000000000000 in stream s under account 1.";
        let quota = "This request would exceed the shard limit";
        for (failure, throttling, passing) in [
            (refused(400, "ProvisionedThroughputExceededException", rate), true, true),
            (refused(400, "LimitExceededException", rate), true, true),
            (refused(400, "LimitExceededException", quota), false, false),
            (refused(400, "KMSThrottlingException", ""), true, true),
            (refused(400, "RequestLimitExceeded", ""), true, true),
            (refused(400, "ValidationException", ""), false, false),
            (refused(500, "InternalFailure", ""), false, true),
            (refused(503, "503 Service Unavailable", ""), false, true),
        ] {
            assert_eq!(failure.is_throttling(), throttling, "{failure}");
            assert_eq!(failure.is_passing(), passing, "{failure}");
        }
        let unreachable = Failure::Unreachable { endpoint: String::new(), reason: String::new() };
        assert!(unreachable.is_passing() && !unreachable.is_throttling());
    }

    #[test]
    fn errors_inside_answers_have_the_status_they_would_have_had() {
        assert_eq!(Refusal::inside("InternalFailure", "m").status, 500);
        assert_eq!(Refusal::inside("InternalFailureException", "m").status, 500);
        let found = Refusal::inside("ResourceNotFoundException", "m");
        assert!(found.is(Kind::ResourceNotFound) && found.status == 400);
    }
}
