//! Protocol pieces shared by AWS JSON services: nothing here knows streams.

pub mod base64;
pub mod basic_date;
pub mod cbor;
pub mod event_stream;
pub mod exception;
pub mod input;
pub mod json;
pub mod output;
pub mod policy;
pub mod rope;
pub mod shape;
pub mod sheets;
pub mod sigv4;
pub mod value;
pub mod writer;

/// Encoding of a request and of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `application/x-amz-json-1.1`
    Json,
    /// `application/x-amz-cbor-1.1`
    Cbor,
}

impl Encoding {
    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => "application/x-amz-cbor-1.1",
        }
    }
}
