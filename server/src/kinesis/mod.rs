//! The Kinesis Data Streams operations, one file each, and what they share.
//!
//! `Operation::of_target` finds the operation, `Operation::run` does it: coerce and validate by its
//! table, then its own checks in the service's order, then the work.

pub mod context;

use crate::aws::Encoding;
use crate::aws::exception::Exception;
use crate::aws::sigv4::Principal;
use crate::aws::value::Value;
use bytes::Bytes;
use context::Context;

/// The operations known by name. `UnknownOperation` is answered for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {}

impl Operation {
    /// The operation of an `X-Amz-Target` value such as `Kinesis_20131202.PutRecord`.
    pub fn of_target(target: &str) -> Option<Self> {
        let _ = target;
        todo!()
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {}
    }

    /// Does it. The body is a parsed map; the answer is a whole body in the same encoding, empty
    /// where the operation has no output.
    ///
    /// # Errors
    ///
    /// The exception to answer.
    pub async fn run(
        self,
        context: &Context,
        principal: &Principal,
        encoding: Encoding,
        body: Value<'_>,
    ) -> Result<Bytes, Exception> {
        let _ = (context, principal, encoding, body);
        match self {}
    }
}
