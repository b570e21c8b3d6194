//! The HTTP front end: hyper without a framework.
//!
//! A worker thread owns a listener, a runtime and the connections it accepts; nothing moves between
//! workers. A connection is TLS or clear text (`opening`), then HTTP/1.1 or HTTP/2, both told by
//! first bytes. A request passes
//! `pipeline`, one step after the other in the service's order, and then runs in the [`Api`] behind.
//! Every wait for a client ends: `connection` watches heads, idleness and unread answers, and
//! `request_body` the pace and the memory of bodies.

mod admin;
mod answer;
mod api;
mod body;
mod bounds;
mod connection;
mod cors;
mod crowd;
mod event_body;
mod frame_screen;
mod head_screen;
#[cfg(feature = "fuzzing")]
pub(crate) mod in_memory;
mod lag;
mod listener;
mod media;
mod opening;
mod pipeline;
mod request_body;
mod transport;
mod worker;

#[cfg(test)]
mod tests;

pub use admin::Admin;
pub use api::{Api, Health, Status};
pub use body::{BrokenOff, ResponseBody};
pub use bounds::Bounds;
pub use worker::{NotServing, Running, Settings, start};
