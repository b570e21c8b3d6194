//! The bounds a server may be started with; the defaults are those of `limits`.

use std::time::Duration;

use crate::limits;

/// Bounds of the front end against slow, large and many requests.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Longest body that is not CBOR, in bytes.
    pub json_body_bytes_max: usize,
    /// Longest CBOR body, in bytes.
    pub cbor_body_bytes_max: usize,
    /// Bytes all bodies may hold together.
    pub body_memory_bytes_max: usize,
    /// Time of a head from its first byte, and of a new connection to its first byte.
    pub head_time_max: Duration,
    /// Time of a TLS handshake, from the start of the connection.
    pub handshake_time_max: Duration,
    /// TLS handshakes under way at once.
    pub handshakes_max: usize,
    /// Time of a body before its pace counts.
    pub body_grace: Duration,
    /// Slowest pace of a body, in bytes a second; at least 1.
    pub body_bytes_per_second_min: u32,
    /// Time of a connection without a request.
    pub idle_time_max: Duration,
    /// Time of an answer of which the client reads nothing.
    pub unread_time_max: Duration,
    /// Time of a message of an event stream of which the client takes nothing.
    pub stalled_time_max: Duration,
    /// HTTP/2 frames that carry nothing of a request: of one connection at once.
    pub control_frames_max: u32,
    /// The same, a second for ever.
    pub control_frames_per_second: u32,
    /// How far a worker may be behind before it sheds requests.
    pub lag_max: Duration,
    /// Connections in all.
    pub connections_max: usize,
    /// Connections of one address.
    pub connections_per_address_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            json_body_bytes_max: limits::JSON_BODY_BYTES_MAX,
            cbor_body_bytes_max: limits::CBOR_BODY_BYTES_MAX,
            body_memory_bytes_max: limits::BODY_MEMORY_BYTES_MAX,
            head_time_max: limits::HEAD_TIME_MAX,
            handshake_time_max: limits::TLS_HANDSHAKE_TIME_MAX,
            handshakes_max: limits::TLS_HANDSHAKES_MAX,
            body_grace: limits::BODY_GRACE,
            body_bytes_per_second_min: limits::BODY_BYTES_PER_SECOND_MIN,
            idle_time_max: limits::IDLE_TIME_MAX,
            unread_time_max: limits::UNREAD_TIME_MAX,
            stalled_time_max: limits::STALLED_TIME_MAX,
            control_frames_max: limits::HTTP2_CONTROL_FRAMES_MAX,
            control_frames_per_second: limits::HTTP2_CONTROL_FRAMES_PER_SECOND,
            lag_max: limits::LAG_MAX,
            connections_max: limits::CONNECTIONS_MAX,
            connections_per_address_max: limits::CONNECTIONS_PER_ADDRESS_MAX,
        }
    }
}

impl Bounds {
    /// The shortest of the times a connection is watched for.
    pub(crate) fn shortest_watch(&self) -> Duration {
        let times = [self.head_time_max, self.idle_time_max, self.unread_time_max];
        times.into_iter().fold(self.stalled_time_max, Duration::min)
    }
}
