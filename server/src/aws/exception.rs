//! Exceptions as the service names them, with their HTTP status and the spelling of their body.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use hyper::StatusCode;

use super::Encoding;
use super::writer::Writer;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident: $name:literal,)*) => {
        /// Name of an exception.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    /// 400
    AccessDenied: "AccessDeniedException",
    /// 400
    DryRunOperation: "DryRunOperationException",
    /// 400
    ExpiredIterator: "ExpiredIteratorException",
    /// 400
    ExpiredNextToken: "ExpiredNextTokenException",
    /// 400
    ExpiredToken: "ExpiredTokenException",
    /// 400
    IncompleteSignature: "IncompleteSignatureException",
    /// 500, `{"__type":"InternalFailure"}`, with a message where the operator can act on it
    InternalFailure: "InternalFailure",
    /// 400
    InvalidArgument: "InvalidArgumentException",
    /// 400
    InvalidSignature: "InvalidSignatureException",
    /// 400
    KmsAccessDenied: "KMSAccessDeniedException",
    /// 400
    KmsDisabled: "KMSDisabledException",
    /// 400
    KmsInvalidState: "KMSInvalidStateException",
    /// 400
    KmsNotFound: "KMSNotFoundException",
    /// 400
    KmsOptInRequired: "KMSOptInRequired",
    /// 400
    KmsThrottling: "KMSThrottlingException",
    /// 400
    LimitExceeded: "LimitExceededException",
    /// 400
    MissingAuthenticationToken: "MissingAuthenticationTokenException",
    /// 400
    ProvisionedThroughputExceeded: "ProvisionedThroughputExceededException",
    /// 400
    ResourceInUse: "ResourceInUseException",
    /// 400
    ResourceNotFound: "ResourceNotFoundException",
    /// 400, message key `Message`
    Serialization: "SerializationException",
    /// 503, while shutting down
    ServiceUnavailable: "ServiceUnavailable",
    /// 400, no message
    UnknownOperation: "UnknownOperationException",
    /// 400
    UnrecognizedClient: "UnrecognizedClientException",
    /// 400
    Validation: "ValidationException",
}

impl Kind {
    /// The exception of this name, with or without `Exception` at its end.
    pub fn of_name(name: &str) -> Option<Self> {
        let stem = |name: &str| name.strip_suffix("Exception").unwrap_or(name).to_owned();
        Self::ALL.iter().copied().find(|kind| stem(kind.name()) == stem(name))
    }

    /// Its HTTP status where it is answered in the encoding of the request.
    pub const fn status(self) -> StatusCode {
        if matches!(self, Self::InternalFailure) {
            StatusCode::INTERNAL_SERVER_ERROR
        } else if matches!(self, Self::ServiceUnavailable) {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::BAD_REQUEST
        }
    }

    /// Key of its message.
    const fn message_key(self) -> &'static str {
        if matches!(self, Self::AccessDenied | Self::Serialization) { "Message" } else { "message" }
    }
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

    /// The body of its answer in the encoding of the request.
    pub fn body(&self, encoding: Encoding) -> Bytes {
        let length = self.message.as_ref().map_or(0, |message| message.len());
        let mut writer = Writer::new(encoding, length + 64);
        writer.begin_map();
        writer.key("__type");
        writer.text(self.kind.name());
        if let Some(message) = &self.message {
            writer.key(self.kind.message_key());
            writer.text(message);
        }
        writer.end_map();
        writer.finish()
    }

    /// The XML body of its answer to a request that names no operation or no known encoding.
    pub fn xml_body(&self) -> Bytes {
        let name = self.kind.name();
        let Some(message) = &self.message else { return format!("<{name}/>\n").into() };
        let message = message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!("<{name}>\n  <Message>{message}</Message>\n</{name}>\n").into()
    }

    /// The body of its answer to a request in plain `application/json`, which never works and is
    /// never told why.
    pub fn wrapped_body(&self) -> Bytes {
        let mut writer = Writer::new(Encoding::Json, 128);
        writer.begin_map();
        writer.key("Output");
        writer.begin_map();
        writer.key("__type");
        writer.display(&format_args!("com.amazon.coral.service#{}", self.kind.name()));
        writer.end_map();
        writer.key("Version");
        writer.text("1.0");
        writer.end_map();
        writer.finish()
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind.name())?;
        self.message.iter().try_for_each(|message| write!(formatter, ": {message}"))
    }
}

impl std::error::Error for Exception {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_body_has_the_short_name_and_the_message() {
        let exception = Exception::new(Kind::ResourceNotFound, "Stream \"a\" not found.");
        let expected =
            r#"{"__type":"ResourceNotFoundException","message":"Stream \"a\" not found."}"#;
        assert_eq!(exception.body(Encoding::Json), expected);
    }

    #[test]
    fn cbor_body_has_the_same_keys() {
        let exception = Exception::new(Kind::Validation, "no");
        let expected: &[u8] = b"\xbf\x66__type\x73ValidationException\x67message\x62no\xff";
        assert_eq!(exception.body(Encoding::Cbor), expected);
    }

    #[test]
    fn two_exceptions_have_a_capital_message_key() {
        for (kind, expected) in [
            (Kind::Serialization, r#"{"__type":"SerializationException","Message":"m"}"#),
            (Kind::AccessDenied, r#"{"__type":"AccessDeniedException","Message":"m"}"#),
            (Kind::LimitExceeded, r#"{"__type":"LimitExceededException","message":"m"}"#),
        ] {
            assert_eq!(Exception::new(kind, "m").body(Encoding::Json), expected);
        }
    }

    #[test]
    fn bare_exceptions_have_no_message() {
        let failure = Exception::bare(Kind::InternalFailure);
        assert_eq!(failure.body(Encoding::Json), r#"{"__type":"InternalFailure"}"#);
        let unavailable = Exception::bare(Kind::ServiceUnavailable);
        assert_eq!(unavailable.body(Encoding::Json), r#"{"__type":"ServiceUnavailable"}"#);
    }

    #[test]
    fn kinds_are_found_by_name() {
        for (name, kind) in [
            ("KMSOptInRequired", Some(Kind::KmsOptInRequired)),
            ("KMSThrottlingException", Some(Kind::KmsThrottling)),
            ("InternalFailure", Some(Kind::InternalFailure)),
            ("InternalFailureException", Some(Kind::InternalFailure)),
            ("ResourceInUse", Some(Kind::ResourceInUse)),
            ("resourceinuse", None),
            ("", None),
        ] {
            assert_eq!(Kind::of_name(name), kind, "{name}");
        }
        assert!(Kind::ALL.iter().all(|kind| Kind::of_name(kind.name()) == Some(*kind)));
    }

    #[test]
    fn only_faults_of_the_server_are_not_400() {
        assert_eq!(Kind::InternalFailure.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(Kind::ServiceUnavailable.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(Kind::ProvisionedThroughputExceeded.status(), StatusCode::BAD_REQUEST);
        assert_eq!(Kind::UnknownOperation.status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn failures_of_keys_have_their_names() {
        let names: Vec<_> = [
            Kind::KmsAccessDenied,
            Kind::KmsDisabled,
            Kind::KmsInvalidState,
            Kind::KmsNotFound,
            Kind::KmsOptInRequired,
            Kind::KmsThrottling,
        ]
        .into_iter()
        .map(|kind| {
            assert_eq!(kind.status(), StatusCode::BAD_REQUEST);
            kind.name()
        })
        .collect();
        assert_eq!(
            names,
            [
                "KMSAccessDeniedException",
                "KMSDisabledException",
                "KMSInvalidStateException",
                "KMSNotFoundException",
                "KMSOptInRequired",
                "KMSThrottlingException",
            ]
        );
    }

    #[test]
    fn xml_body_has_the_message_on_its_own_line() {
        let denied = Exception::new(Kind::AccessDenied, "a < b");
        let expected =
            "<AccessDeniedException>\n  <Message>a &lt; b</Message>\n</AccessDeniedException>\n";
        assert_eq!(denied.xml_body(), expected);
        let unknown = Exception::bare(Kind::UnknownOperation);
        assert_eq!(unknown.xml_body(), "<UnknownOperationException/>\n");
    }

    #[test]
    fn plain_json_is_answered_in_a_wrapper() {
        let expected = concat!(
            r#"{"Output":{"__type":"com.amazon.coral.service#SerializationException"},"#,
            r#""Version":"1.0"}"#,
        );
        assert_eq!(Exception::bare(Kind::Serialization).wrapped_body(), expected);
    }
}
