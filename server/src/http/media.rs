//! Media types of requests and answers.

use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use crate::aws::Encoding;

/// What the `Content-Type` of a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// One of the two encodings of the service.
    Service(Encoding),
    /// `application/json`, which the service knows and never serves.
    PlainJson,
    /// Anything else, or nothing.
    Unsupported,
}

impl Media {
    /// Of a request's headers; cut at the first `;` and trimmed.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let value = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
        match value[..end].trim_ascii() {
            b"application/x-amz-json-1.1" => Self::Service(Encoding::Json),
            b"application/x-amz-cbor-1.1" => Self::Service(Encoding::Cbor),
            b"application/json" => Self::PlainJson,
            _ => Self::Unsupported,
        }
    }

    /// The encoding of an answer given before the body counts: JSON if asked in it, else CBOR.
    pub(super) const fn json_else_cbor(self) -> Encoding {
        match self {
            Self::Service(Encoding::Json) => Encoding::Json,
            Self::Service(Encoding::Cbor) | Self::PlainJson | Self::Unsupported => Encoding::Cbor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(value: &'static str) -> Media {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
        Media::of(&headers)
    }

    #[test]
    fn media_type_is_cut_at_the_semicolon_and_trimmed() {
        assert_eq!(media(" application/x-amz-json-1.1 ; x"), Media::Service(Encoding::Json));
        assert_eq!(media("application/x-amz-cbor-1.1"), Media::Service(Encoding::Cbor));
        assert_eq!(media("application/json;charset=utf-8"), Media::PlainJson);
    }

    #[test]
    fn other_media_types_are_unsupported() {
        for value in
            ["", "application/x-amz-json-1.0", "application/x-amz-json-1.1, b", "text/plain"]
        {
            assert_eq!(media(value), Media::Unsupported, "{value}");
        }
        assert_eq!(Media::of(&HeaderMap::new()), Media::Unsupported);
    }
}
