//! The service's behaviour as AWS has shown it, through the real front end over TCP. Where time
//! matters, the service runs in this process on a clock moved by hand; where a real process matters,
//! it is one.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod cbor;
mod checks;
mod errors;
mod operations_page;
mod pipeline;
mod sequence_number;
mod service;
mod wire;
