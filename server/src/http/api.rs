//! What stands behind the front end, as the front end sees it.

use std::future::Future;

use serde::Serialize;

use crate::aws::Encoding;
use crate::aws::exception::Exception;
use crate::aws::input::Body;
use crate::aws::output::Output;
use crate::aws::shape::Structure;
use crate::aws::sigv4::Principal;
use crate::faults::Faults;
use crate::metrics::Observed;

/// A set of operations reached by `X-Amz-Target`. One value is shared by all worker threads.
pub trait Api: Send + Sync + 'static {
    /// One operation.
    type Operation: Copy + 'static;

    /// The operation of a target such as `Kinesis_20131202.PutRecord`.
    fn find(&self, target: &str) -> Option<Self::Operation>;

    /// Its name, for metrics and logs.
    fn name(&self, operation: Self::Operation) -> &'static str;

    /// What its input looks like.
    fn shape(&self, operation: Self::Operation) -> &'static Structure;

    /// True when it changes nothing and may answer at length: where memory for bodies has run out since
    /// it began, it is given up instead of adding its answer to that.
    fn is_long_read(&self, operation: Self::Operation) -> bool;

    /// Does it; `body` was read with its shape. The future stays on its thread, and so do the events it may give.
    fn run<'a>(
        &'a self,
        operation: Self::Operation,
        principal: &'a Principal,
        encoding: Encoding,
        body: Body<'a>,
    ) -> impl Future<Output = Result<Output, Exception>> + 'a;

    /// Seconds since the epoch.
    fn now_seconds(&self) -> u64;

    /// Names of all operations.
    fn operations(&self) -> &'static [&'static str];

    /// Faults injected on purpose.
    fn faults(&self) -> &Faults;

    /// How the server is.
    fn health(&self) -> Health;

    /// What is exported beside the front end's own counters.
    fn observed(&self) -> Observed;
}

/// How the server is; answered as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// Version of the program.
    pub version: &'static str,
    /// In one word.
    pub status: Status,
    /// What an acknowledgement means: `fsync` or `none`.
    pub durability: &'static str,
    /// How the log is written: `io_uring`, `posix` or `simulated`.
    pub io: &'static str,
    /// Time a durable write of 4 KiB took at the start, in microseconds, once it is known.
    pub flush_micros: Option<u64>,
    /// Why writes have stopped, if they have.
    pub stopped: Option<String>,
    /// True while writes are refused for lack of space.
    pub disk_full: bool,
    /// Limits in force: `aws`, `off` or a factor.
    pub limits: String,
    /// How on-demand streams scale: `aws` or `open`.
    pub on_demand: &'static str,
    /// Where the certificate comes from: `files` or `self-signed`; nothing without TLS.
    pub tls: Option<&'static str>,
    /// Rules of the faults injected on purpose; empty when there are none.
    pub faults: Vec<String>,
}

/// Health in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Everything works.
    Ok,
    /// Reads work, writes are refused until space is freed.
    DiskFull,
    /// Reads work, writes are refused until a restart.
    Stopped,
}
