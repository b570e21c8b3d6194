//! The front end's own bounds against slow, large and many requests.

use std::time::Duration;

/// Longest request body in any encoding but CBOR, in bytes.
///
/// Reason: a full PutRecords call is 10 MiB, 13.4 MiB in base64, plus 500 keys and names.
pub const JSON_BODY_BYTES_MAX: usize = 16 << 20;

/// Longest CBOR request body, in bytes: the same call without base64.
///
/// Reason: a full PutRecords call is 10 MiB, plus keys and names.
pub const CBOR_BODY_BYTES_MAX: usize = 12 << 20;

/// Bytes of an over-long body that are read and thrown away, so that a client which sends first and
/// reads later sees the answer instead of a reset.
///
/// Reason: four of the longest bodies; reading them costs time but no memory.
pub const DISCARDED_BODY_BYTES_MAX: u64 = 64 << 20;

/// Bytes all request bodies together may hold in memory.
///
/// Reason: 32 of the longest bodies at once; above it requests are shed with 503.
pub const BODY_MEMORY_BYTES_MAX: usize = 512 << 20;

/// Bytes of buffers of past bodies that are kept for the next ones. Reason: about as many calls of
/// 500 records of 1 KiB as a busy server has in hand at once.
pub const SPARE_BODY_BYTES_MAX: usize = 16 << 20;

/// Bytes of buffers of past answers that are kept for the next ones. Reason: the longest answer, 10 MiB
/// in base64 and what else it says of the records.
pub const SPARE_ANSWER_BYTES_MAX: usize = 16 << 20;

/// Longest request head, in bytes: request line and header lines.
///
/// Source: what AWS load balancers accept for a whole head.
pub const HEAD_BYTES_MAX: u32 = 64 << 10;

/// Most header lines of a request.
///
/// Reason: SDKs send fewer than 20; hyper keeps up to 100 without allocating.
pub const HEAD_LINES_MAX: usize = 100;

/// Time a request head may take from its first byte, and a new connection to its first byte.
///
/// Reason: a head is one packet or two; slower ones only hold a connection.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// Time a body may take before [`BODY_BYTES_PER_SECOND_MIN`] counts.
///
/// Reason: a client may stall once, for a lost packet or a collection of garbage.
pub const BODY_GRACE: Duration = Duration::from_secs(10);

/// Slowest pace of a body after [`BODY_GRACE`], in bytes a second.
///
/// Reason: slower than any modem; below it a body only holds memory.
pub const BODY_BYTES_PER_SECOND_MIN: u32 = 1_000;

/// Time a connection may be open without a request.
///
/// Reason: SDKs keep idle connections for a minute at most.
pub const IDLE_TIME_MAX: Duration = Duration::from_mins(1);

/// Time an answer may wait without the client reading one byte of it.
///
/// Reason: clients give up an answer after 10 to 30 seconds.
pub const UNREAD_TIME_MAX: Duration = Duration::from_secs(30);

/// How far a worker may be behind with its work before it sheds requests with 503.
///
/// Reason: clients give up after seconds, and a request waits for its turn three to five times, for
/// its connection, head, body and answer.
pub const LAG_MAX: Duration = Duration::from_millis(250);

/// Of requests that come while a worker is behind, one in so many is served.
///
/// Reason: shedding costs a tenth of serving, so this takes as much time as all that is shed.
pub const LAG_SERVED_ONE_IN: u32 = 8;

/// Time between two looks at how far a worker is behind.
///
/// Reason: a hundredth of what is looked for; costs nothing beside the requests in that time.
pub const LAG_LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Age at which such a look tells nothing any more.
///
/// Reason: a worker with requests looks ten times as often.
pub const LAG_AGE_MAX: Duration = Duration::from_millis(100);

/// Connections in all, unless told otherwise on the command line.
///
/// Reason: the JS SDK opens one for each request in flight; 20,000 take about 400 MB at worst.
pub const CONNECTIONS_MAX: usize = 20_000;

/// Connections of one address, unless told otherwise on the command line.
///
/// Reason: a quarter is left to others; many clients may share one address.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = CONNECTIONS_MAX / 4 * 3;

/// Connections the kernel may hold for us before they are accepted.
///
/// Reason: the kernel's own bound, `net.core.somaxconn`.
pub const LISTEN_BACKLOG: i32 = 4_096;

/// Concurrent HTTP/2 streams of a connection.
///
/// Reason: consumers keep one open for each shard on few connections.
pub const HTTP2_STREAMS_MAX: u32 = 1_024;

/// HTTP/2 flow-control window of one stream, in bytes: the longest body without a stall.
///
/// Reason: as long as `JSON_BODY_BYTES_MAX`.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 16 << 20;

/// HTTP/2 flow-control window of a connection, in bytes: two such bodies.
///
/// Reason: bodies are read at once, so little of it is ever in memory.
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 32 << 20;

/// Largest HTTP/2 frame accepted, in bytes; larger ones save work on large bodies.
///
/// Reason: 40 frames for a body of 10 MiB instead of 640.
pub const HTTP2_FRAME_BYTES_MAX: u32 = 256 << 10;

/// Streams a client may reset before they are handled; more end the connection.
///
/// Source: the default of h2, set after the rapid-reset attacks (CVE-2023-44487).
pub const HTTP2_PENDING_RESETS_MAX: usize = 20;

/// Streams reset for the client's own mistakes; more end the connection.
///
/// Source: the default of hyper.
pub const HTTP2_ERROR_RESETS_MAX: usize = 1_024;

/// HTTP/2 frames that carry nothing of a request which a connection may send at once; see
/// `http/frame_screen.rs`.
///
/// Reason: a client may cancel all its streams at once, twice over.
pub const HTTP2_CONTROL_FRAMES_MAX: u32 = 2 * HTTP2_STREAMS_MAX;

/// The same, a second for ever.
///
/// Reason: real clients send a few a minute; so many cost the server less than one request.
pub const HTTP2_CONTROL_FRAMES_PER_SECOND: u32 = 100;

/// Time between our own HTTP/2 pings, and time for their answer.
///
/// Reason: finds dead consumers before their streams pile up.
pub const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(20);

/// How far the date of a request may be off, either way, in seconds, unless told otherwise.
///
/// Source: Signature Version 4 of AWS, which allows 5 minutes for most services.
pub const CLOCK_SKEW_SECONDS: u64 = 300;

/// Time requests in flight get to finish when the server stops.
///
/// Reason: requests take milliseconds; supervisors kill after 10 seconds.
pub const STOP_GRACE: Duration = Duration::from_secs(5);

/// Pause of a listener after the system refused it a connection (no descriptors, no memory).
///
/// Reason: long enough not to spin, short enough for service within 2 seconds.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections of operators open at once; further ones wait.
///
/// Reason: a few scrapers and checks; they must never take what the service's clients need.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;

/// Time a TLS handshake may take from the start of the connection.
///
/// Reason: two round trips and a signature; slower ones only hold a connection.
pub const TLS_HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// TLS handshakes that may be under way at once; further connections are closed.
///
/// Reason: one may hold 64 KiB of a message that never ends, 128 MiB in all.
pub const TLS_HANDSHAKES_MAX: usize = 2_048;

/// Time a message of an event stream may wait without the client taking all of it.
///
/// Reason: no longer than a subscription lasts, so that a client may pause for all of one.
pub const STALLED_TIME_MAX: Duration = Duration::from_mins(5);
