//! Exceptions as the service names them, with their HTTP status and the spelling of their body.

use std::borrow::Cow;

/// Name of an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 400
    AccessDenied,
    /// 400
    DryRunOperation,
    /// 400
    ExpiredIterator,
    /// 400
    ExpiredNextToken,
    /// 400
    ExpiredToken,
    /// 400
    IncompleteSignature,
    /// 500, `{"__type":"InternalFailure"}`, with a message where the operator can act on it
    InternalFailure,
    /// 400
    InvalidArgument,
    /// 400
    InvalidSignature,
    /// 400
    LimitExceeded,
    /// 400
    MissingAuthenticationToken,
    /// 400
    ProvisionedThroughputExceeded,
    /// 400
    ResourceInUse,
    /// 400
    ResourceNotFound,
    /// 400, message key `Message`
    Serialization,
    /// 503, while shutting down
    ServiceUnavailable,
    /// 400, no message
    UnknownOperation,
    /// 400
    UnrecognizedClient,
    /// 400
    Validation,
}

/// An exception to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Its name.
    pub kind: Kind,
    /// Its message, if it has one.
    pub message: Option<Cow<'static, str>>,
}

impl Exception {
    /// With a message.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: Some(message.into()) }
    }

    /// Without one.
    pub const fn bare(kind: Kind) -> Self {
        Self { kind, message: None }
    }
}
